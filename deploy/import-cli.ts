// npm run -s import -- --data DIR: assets, accounts and operations of a data set into the registry, in place of what is there.
import { parseArgs } from 'node:util'
import { readConfig } from '#runtime/config.ts'
import { createLog } from '#runtime/log.ts'
import { createKeyring } from '#runtime/personal.ts'
import { createPool } from '#runtime/postgres.ts'
import { importDataSet } from './import.ts'
import { migrate } from './migrate.ts'

const WARNINGS_MAX = 20

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { data: { type: 'string' } } })
  if (values.data === undefined) throw new Error('usage: npm run -s import -- --data DIR')
  const config = readConfig(process.env)
  const pool = createPool({ url: config.POSTGRES_URL, log: createLog('import', config.LOG_LEVEL), name: 'import' })
  try {
    await migrate(pool)
    const { warnings, ...counts } = await importDataSet(pool, values.data, createKeyring(config.PERSONAL_DATA_KEYS))
    for (const w of warnings.slice(0, WARNINGS_MAX)) process.stderr.write(`warning: ${w}\n`)
    if (warnings.length > WARNINGS_MAX) process.stderr.write(`warning: ... and ${warnings.length - WARNINGS_MAX} more\n`)
    process.stdout.write(`${JSON.stringify({ type: 'imported', ...counts, warnings: warnings.length })}\n`)
  } finally {
    await pool.end()
  }
}

main().catch((error: Error) => {
  process.stderr.write(`import: ${error.message}\n`)
  process.exitCode = 1
})

// npm run -s backup -- --to DIR        while the system runs
// npm run -s backup -- --restore DIR   into an empty system whose services do not run
import { parseArgs } from 'node:util'
import { readConfig } from '#runtime/config.ts'
import { createLog } from '#runtime/log.ts'
import { backup, restore } from './backup/backup.ts'

const USAGE = 'usage: backup --to DIR | --restore DIR'

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { to: { type: 'string' }, restore: { type: 'string' } } })
  const config = readConfig(process.env)
  const deps = { config, log: createLog('backup', config.LOG_LEVEL), say: (line: string) => void process.stderr.write(`${line}\n`) }
  if ((values.to === undefined) === (values.restore === undefined)) throw new Error(USAGE)
  const manifest = values.to === undefined ? await restore(deps, values.restore as string) : await backup(deps, values.to)
  const rows = manifest.tables.reduce((n, t) => n + t.rows, 0)
  const series = Object.fromEntries(manifest.series.map((s) => [s.table, s.rows]))
  const topics = Object.fromEntries(manifest.topics.map((t) => [t.topic, t.records]))
  process.stdout.write(
    `${JSON.stringify({ type: values.to === undefined ? 'restored' : 'backup', takenAt: manifest.takenAt, rows, series, topics })}\n`,
  )
}

if (import.meta.main) {
  main().catch((error: Error) => {
    process.stderr.write(`backup: ${error.message}\n`)
    process.exitCode = 1
  })
}

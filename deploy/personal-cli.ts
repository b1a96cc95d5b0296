// npm run -s personal: seals all personal data with the first of PERSONAL_DATA_KEYS. To rotate: put the new key in front, restart, run this, then
// take the old key away. `--new-key ID` prints a key.
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { readConfig } from '#runtime/config.ts'
import { createLog } from '#runtime/log.ts'
import { createKeyring } from '#runtime/personal.ts'
import { createPool } from '#runtime/postgres.ts'
import { resealAll } from '../api/queries/personal.ts'

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { 'new-key': { type: 'string' } } })
  if (values['new-key'] !== undefined) {
    const key = `${values['new-key']}:${randomBytes(32).toString('base64')}`
    createKeyring(key)
    process.stdout.write(`${key}\n`)
    return
  }
  const config = readConfig(process.env)
  const keyring = createKeyring(config.PERSONAL_DATA_KEYS)
  if (!keyring.active) throw new Error('PERSONAL_DATA_KEYS is empty: make a key with --new-key ID')
  const pool = createPool({ url: config.POSTGRES_URL, log: createLog('personal', config.LOG_LEVEL), name: 'personal', max: 1 })
  try {
    process.stdout.write(`${JSON.stringify({ type: 'personal', sealed: await resealAll(pool, keyring) })}\n`)
  } finally {
    await pool.end()
  }
}

if (import.meta.main) {
  main().catch((error: Error) => {
    process.stderr.write(`personal: ${error.message}\n`)
    process.exitCode = 1
  })
}

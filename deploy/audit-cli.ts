// npm run -s audit: computes the hash chain of the audit trail again. One JSON line; exit code 1 when an entry was changed or taken out.
import { readConfig } from '#runtime/config.ts'
import { createLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { verifyAudit } from '../api/access/audit.ts'

async function main(): Promise<void> {
  const config = readConfig(process.env)
  const pool = createPool({ url: config.POSTGRES_URL, log: createLog('audit', config.LOG_LEVEL), name: 'audit', max: 1 })
  try {
    const check = await verifyAudit(pool)
    process.stdout.write(`${JSON.stringify({ type: 'audit', ok: check.broken === undefined, ...check })}\n`)
    if (check.broken !== undefined) process.exitCode = 1
  } finally {
    await pool.end()
  }
}

if (import.meta.main) {
  main().catch((error: Error) => {
    process.stderr.write(`audit: ${error.message}\n`)
    process.exitCode = 1
  })
}

// Applies deploy/migrations/NNN_name.sql in order, each in its own transaction, once. Also a command: `npm run migrate`.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { readConfig } from '#runtime/config.ts'
import { createLog } from '#runtime/log.ts'
import { createPool, type Pool } from '#runtime/postgres.ts'

export const MIGRATIONS_DIR = new URL('./migrations/', import.meta.url)
/** Any constant of our own: two processes that migrate at once take turns. */
const LOCK = 0x4d53_0001

export interface Migration {
  version: number
  name: string
  sql: string
  sha256: string
}

/** Reads the files in order of their numbers. @throws Error when a name is not `NNN_name.sql` or a number is taken twice. */
export async function readMigrations(dir: URL = MIGRATIONS_DIR): Promise<Migration[]> {
  const names = (await readdir(dir)).filter((n) => n.endsWith('.sql')).sort()
  const migrations: Migration[] = []
  for (const name of names) {
    const m = /^(\d{3})_[a-z0-9_]+\.sql$/.exec(name)
    if (m === null) throw new Error(`deploy/migrations/${name}: the name must be NNN_name.sql`)
    const version = Number(m[1])
    if (migrations.some((o) => o.version === version)) throw new Error(`deploy/migrations/${name}: number ${m[1]} is taken`)
    const sql = await readFile(new URL(name, dir), 'utf8')
    migrations.push({ version, name, sql, sha256: createHash('sha256').update(sql).digest('hex') })
  }
  return migrations
}

/**
 * Brings the database up to date; returns the names applied now.
 * @throws Error when a file changed after it was applied, or when a statement fails (that file is rolled back, earlier ones stay).
 */
export async function migrate(pool: Pool, dir: URL = MIGRATIONS_DIR): Promise<string[]> {
  const migrations = await readMigrations(dir)
  const client = await pool.connect()
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK])
    await client.query(
      'CREATE TABLE IF NOT EXISTS schema_migrations (version int PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
    )
    const { rows } = await client.query<{ version: number; sha256: string }>('SELECT version, sha256 FROM schema_migrations')
    const applied = new Map(rows.map((r) => [r.version, r.sha256]))
    const now: string[] = []
    for (const m of migrations) {
      const known = applied.get(m.version)
      if (known === m.sha256) continue
      if (known !== undefined) throw new Error(`deploy/migrations/${m.name} changed after it was applied; add a new file instead`)
      try {
        await client.query('BEGIN')
        await client.query(m.sql)
        await client.query('INSERT INTO schema_migrations (version, name, sha256) VALUES ($1, $2, $3)', [m.version, m.name, m.sha256])
        await client.query('COMMIT')
      } catch (error) {
        await client.query('ROLLBACK')
        throw new Error(`deploy/migrations/${m.name}: ${(error as Error).message}`, { cause: error })
      }
      now.push(m.name)
    }
    return now
  } finally {
    // The lock belongs to the session; ending it frees the lock whatever happened.
    client.release(true)
  }
}

async function main(): Promise<void> {
  const config = readConfig(process.env)
  const pool = createPool({ url: config.POSTGRES_URL, log: createLog('migrate', config.LOG_LEVEL), name: 'migrate' })
  try {
    const names = await migrate(pool)
    process.stderr.write(names.length === 0 ? 'Database is up to date.\n' : `Applied ${names.join(', ')}.\n`)
  } finally {
    await pool.end()
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error: Error) => {
    process.stderr.write(`migrate: ${error.message}\n`)
    process.exitCode = 1
  })
}

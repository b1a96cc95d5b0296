// PostgreSQL: a bounded pool and transactions. SQL is always parameterised.
import pg from 'pg'
import type { Log } from './log.ts'

export type Pool = pg.Pool
export type PoolClient = pg.PoolClient
/** Whatever can run a statement: the pool, or the client of a transaction. */
export type Queryable = Pick<pg.ClientBase, 'query'>

export interface PoolOptions {
  url: string
  log: Log
  /** Shown in pg_stat_activity. */
  name?: string
  /** Connections; callers beyond wait up to `connectionTimeoutMs`, then fail. */
  max?: number
  statementTimeoutMs?: number
  connectionTimeoutMs?: number
}

const INT8 = 20

/** bigint comes back as a number: ours are epoch ms, sequences and counts, all far below 2^53. */
const types = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === INT8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
}

/** A pool; it connects when first used. A lost idle connection is logged and replaced. Close with `pool.end()`. */
export function createPool(options: PoolOptions): Pool {
  const { url, log, name = 'meterstream', max = 10, statementTimeoutMs = 30_000, connectionTimeoutMs = 10_000 } = options
  const pool = new pg.Pool({
    connectionString: url,
    application_name: name,
    max,
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: 60_000,
    connectionTimeoutMillis: connectionTimeoutMs,
    keepAlive: true,
    types,
  })
  // Without a listener the loss of an idle connection would end the process.
  pool.on('error', (error) => log.warn({ err: error }, 'idle PostgreSQL connection lost'))
  return pool
}

/** Runs `fn` in a transaction: committed when it returns, rolled back when it throws. Not retried: the caller knows whether it may be. */
export async function tx<T>(pool: Pool, fn: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  // A connection lost between two statements: the next one fails for it. Without a listener the whole process would end.
  const onLost = (error: Error) => {
    broken = error
  }
  client.on('error', onLost)
  try {
    await client.query('BEGIN')
    const result = await fn(client)
    await client.query('COMMIT')
    return result
  } catch (error) {
    // A connection that cannot roll back is thrown away, not returned to the pool.
    await client.query('ROLLBACK').catch((e: Error) => {
      broken = e
    })
    throw error
  } finally {
    client.off('error', onLost)
    client.release(broken)
  }
}

// LISTEN on a PostgreSQL channel, on a connection of its own that is made again whenever it is lost.
import pg from 'pg'
import type { Log } from './log.ts'

const RETRY_MS = 1_000
const RETRY_MS_MAX = 30_000

export interface ListenOptions {
  url: string
  /** An identifier of ours: letters, digits and underscores. */
  channel: string
  log: Log
  /** Also after each new connection: something may have been missed meanwhile. */
  onNotify(): void
}

/** Listens until closed. A lost notification is possible at any time: the caller polls as well, now and then. */
export function listen(options: ListenOptions): { close(): Promise<void> } {
  const { url, channel, log, onNotify } = options
  if (!/^[a-z0-9_]+$/.test(channel)) throw new Error(`${channel} is no channel of ours`)
  let client: pg.Client | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let waitMs = RETRY_MS

  const again = (c: pg.Client, error: Error) => {
    if (closed || client !== c) return
    client = undefined
    log.warn({ channel, error: error.message }, 'not listening, trying again')
    c.end().catch(() => undefined) // It is broken already; only its socket is let go.
    timer = setTimeout(connect, waitMs)
    waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)
  }
  const connect = () => {
    const c = new pg.Client({
      connectionString: url,
      application_name: `listen ${channel}`,
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
    })
    client = c
    c.on('error', (error) => again(c, error))
    c.on('end', () => again(c, new Error('connection ended')))
    c.on('notification', onNotify)
    c.connect()
      .then(() => c.query(`LISTEN ${channel}`))
      .then(() => {
        waitMs = RETRY_MS
        onNotify()
      })
      .catch((error: Error) => again(c, error))
  }
  connect()
  return {
    async close() {
      closed = true
      clearTimeout(timer)
      await client?.end().catch(() => undefined) // Closing what is broken is closed.
    },
  }
}

// QuestDB: statements over HTTP, and rows through the official client's transport (connections, retries, timeouts). Rows are encoded by
// ilp.ts. A write resolves when QuestDB has committed all of it; until then the caller keeps the rows.
import { createTransport, SenderOptions, type SenderTransport } from '@questdb/nodejs-client'
import type { IlpRows } from './ilp.ts'

export interface QuestDbLog {
  debug(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

/** A whole write, retries included. A large flush on a busy server takes seconds. */
const WRITE_MS_MAX = 60_000
const EXEC_MS_MAX = 30_000
/** Rows QuestDB refused that are named in the log, per write. */
const REFUSED_LOGGED_MAX = 5

export interface QueryResult {
  columns: { name: string; type: string }[]
  /** Rows; timestamps come as ISO text, doubles as numbers. */
  dataset: unknown[][]
}

export interface QuestDb {
  /** Runs one statement. Values go through `literal`. @throws Error with QuestDB's message and the statement. */
  exec(sql: string): Promise<QueryResult>
  /**
   * Writes rows of one or more tables in one request. Resolves with the number of rows that QuestDB refused for what they are: these
   * are logged and lost, all others are stored. @throws when QuestDB cannot be reached or does not answer: the rows may or may not be
   * stored, write them again (tables deduplicate).
   */
  write(tables: readonly IlpRows[]): Promise<{ refused: number }>
  close(): Promise<void>
}

/** A text value in SQL. QuestDB's HTTP endpoint takes no parameters. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** A time in SQL: epoch ms as microseconds. */
export function timeLiteral(ms: number): string {
  if (!Number.isSafeInteger(ms)) throw new RangeError(`${ms} is not a time in milliseconds`)
  return `cast(${ms}000 as timestamp)`
}

/** True for an answer that says the data is at fault, not the server: writing it again cannot help. */
function isRefusal(error: unknown): boolean {
  return /statusCode=4\d\d/.test(String((error as Error)?.message))
}

/** For the client's configuration text, in which a semicolon is doubled. */
function credentials({ username, password }: URL): string {
  const text = (value: string) => decodeURIComponent(value).replaceAll(';', ';;')
  return username === '' ? '' : `username=${text(username)};password=${text(password)};`
}

export interface QuestDbEndpoint {
  origin: string
  headers: Record<string, string>
}

/** For what goes over HTTP beside statements and rows. User and password of the URL become a header. */
export function endpointOf(questdbUrl: string): QuestDbEndpoint {
  const { origin, username, password } = new URL(questdbUrl)
  if (username === '') return { origin, headers: {} }
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { origin, headers: { authorization: `Basic ${Buffer.from(text).toString('base64')}` } }
}

export async function createQuestDb(options: { url: string; log: QuestDbLog }): Promise<QuestDb> {
  const { log } = options
  const url = new URL(options.url)
  const client = await SenderOptions.fromConfig(
    `${url.protocol === 'https:' ? 'https' : 'http'}::addr=${url.host};${credentials(url)}auto_flush=off;protocol_version=2;request_timeout=${WRITE_MS_MAX};retry_timeout=${WRITE_MS_MAX};`,
    { log: (level, message) => (level === 'error' || level === 'warn' ? log.warn({}, `questdb client: ${message}`) : undefined) },
  )
  const transport: SenderTransport = createTransport(client)

  const { origin, headers } = endpointOf(options.url)
  const exec = async (sql: string): Promise<QueryResult> => {
    const response = await fetch(new URL(`/exec?query=${encodeURIComponent(sql)}`, origin), {
      headers,
      signal: AbortSignal.timeout(EXEC_MS_MAX),
    })
    const body = (await response.json()) as { error?: string; columns?: QueryResult['columns']; dataset?: unknown[][] }
    if (!response.ok || body.error !== undefined) throw new Error(`QuestDB: ${body.error ?? response.statusText} in: ${sql.slice(0, 500)}`)
    return { columns: body.columns ?? [], dataset: body.dataset ?? [] }
  }

  /** Halves until the refused rows are alone. */
  const salvage = async (rows: IlpRows, from: number, to: number, found: { refused: number }): Promise<void> => {
    try {
      await transport.send(rows.slice(from, to))
    } catch (error) {
      if (!isRefusal(error)) throw error
      if (to - from > 1) {
        const middle = (from + to) >>> 1
        await salvage(rows, from, middle, found)
        await salvage(rows, middle, to, found)
        return
      }
      found.refused += 1
      if (found.refused <= REFUSED_LOGGED_MAX) log.error({ error: (error as Error).message.slice(0, 500) }, 'QuestDB refused a row')
    }
  }

  // One body for all writes, one after the other: a new one of 20 MB a second would keep the garbage collector busy.
  let body = Buffer.alloc(0)
  let writing: Promise<unknown> = Promise.resolve()
  const joined = (tables: readonly IlpRows[]): Buffer => {
    const bytes = tables.reduce((n, t) => n + t.bytes, 0)
    if (body.length < bytes) body = Buffer.allocUnsafe(Math.ceil(bytes * 1.25))
    let at = 0
    for (const t of tables) at += t.view().copy(body, at)
    return body.subarray(0, at)
  }
  const write = async (tables: readonly IlpRows[]): Promise<{ refused: number }> => {
    const filled = tables.filter((t) => t.rows > 0)
    if (filled.length === 0) return { refused: 0 }
    try {
      await transport.send(filled.length === 1 ? (filled[0] as IlpRows).view() : joined(filled))
      return { refused: 0 }
    } catch (error) {
      if (!isRefusal(error)) throw error
      log.warn({ error: (error as Error).message.slice(0, 500) }, 'QuestDB refused a write, looking for the rows')
      const found = { refused: 0 }
      for (const t of filled) await salvage(t, 0, t.rows, found)
      return found
    }
  }

  return {
    exec,
    write(tables) {
      const written = writing.then(() => write(tables))
      writing = written.catch(() => undefined)
      return written
    },
    close: async () => {
      await transport.close()
    },
  }
}

// The book of messages in PostgreSQL. What a batch counted is written while Kafka takes the batch, and before its messages are
// acknowledged: after a kill -9 no message is missing from the book that the broker will not bring again. When the database is away,
// messages are acknowledged after a while all the same; the book is written when it comes back.
import { setTimeout as sleep } from 'node:timers/promises'
import { HOUR_MS } from '#model/time.ts'
import type { Log } from '#runtime/log.ts'
import type { Pool } from '#runtime/postgres.ts'
import { type BookEntry, type Delivery, MessageBook } from './message-book.ts'

/** A database that does not answer for so long is away: until it writes again nobody waits for it. */
const SAVE_MS_MAX = 10_000
const RETRY_MS = 1_000
/** Counters go on from the last entry of each gateway within this time. */
const RESTORE_MS = 48 * HOUR_MS
const KEPT_DAYS = 400

export interface MessageLedger {
  count(delivery: Delivery): void
  /** Begins to write what was counted; resolves when it is written, or after a while. Undefined when there is nothing to write. */
  saved(): Promise<void> | undefined
  close(): Promise<void>
}

export interface MessageLedgerOptions {
  pool: Pool
  cluster: string
  instance: string
  log: Log
}

/** @throws when the database is away now. */
export async function openMessageLedger(o: MessageLedgerOptions): Promise<MessageLedger> {
  const { pool, cluster, instance } = o
  await pool.query(`DELETE FROM message_ledger WHERE hour < now() - make_interval(days => $1)`, [KEPT_DAYS])
  const { rows } = await pool.query<Omit<BookEntry, 'hourMs'> & { hour_ms: number }>(
    `SELECT gateway, (extract(epoch FROM hour) * 1000)::bigint AS hour_ms, run, deliveries, redelivered, unnumbered, refused,
       ARRAY(SELECT r::float8 FROM unnest(ranges) WITH ORDINALITY AS u(r, i) ORDER BY i) AS ranges, joined
     FROM message_ledger m WHERE cluster = $1 AND instance = $2
       AND hour > (SELECT max(hour) FROM message_ledger n WHERE n.cluster = $1 AND n.instance = $2 AND n.gateway = m.gateway) - make_interval(secs => $3)
     ORDER BY hour, run`,
    [cluster, instance, RESTORE_MS / 1000],
  )
  const book = new MessageBook()
  book.restore(rows.map(({ hour_ms, ...r }) => ({ ...r, hourMs: hour_ms })))
  return new KeptLedger(o, book)
}

class KeptLedger implements MessageLedger {
  readonly #o: MessageLedgerOptions
  readonly #book: MessageBook
  #writing: Promise<void> | undefined
  #next: Promise<void> | undefined
  #closed = false
  #away = false

  constructor(options: MessageLedgerOptions, book: MessageBook) {
    this.#o = options
    this.#book = book
  }

  count(delivery: Delivery): void {
    this.#book.count(delivery)
  }

  saved(): Promise<void> | undefined {
    // One write at a time, and one that waits for it: it takes everything that was counted until it begins.
    if (this.#book.changed()) this.#next ??= this.#after(this.#writing)
    const work = this.#next ?? this.#writing
    return work === undefined ? undefined : this.#limited(work)
  }

  async #after(before: Promise<void> | undefined): Promise<void> {
    await before
    this.#next = undefined
    const entries = this.#book.take()
    if (entries === undefined) return
    const writing: Promise<void> = this.#write(entries).finally(() => {
      if (this.#writing === writing) this.#writing = undefined
    })
    this.#writing = writing
    await writing
  }

  #limited(work: Promise<void>): Promise<void> | undefined {
    if (this.#away) return undefined
    const waiting = new AbortController()
    const late = sleep(SAVE_MS_MAX, undefined, { ref: false, signal: waiting.signal }).then(
      () => {
        this.#away = true
        this.#o.log.warn('the book of messages waits for the database; messages are acknowledged without it')
      },
      () => undefined, // Written in time.
    )
    return Promise.race([work.finally(() => waiting.abort()), late])
  }

  async #write(entries: readonly BookEntry[]): Promise<void> {
    try {
      await write(this.#o, entries)
      this.#away = false
    } catch (error) {
      this.#o.log.warn({ error: (error as Error).message }, 'cannot write the book of messages now')
      this.#book.putBack(entries)
      // The next batch writes them; with the database away for long it must not ask at each.
      this.#away = true
      if (!this.#closed) await sleep(RETRY_MS)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.saved()
  }
}

async function write({ pool, cluster, instance }: MessageLedgerOptions, entries: readonly BookEntry[]): Promise<void> {
  const column = (of: (e: BookEntry) => unknown) => entries.map(of)
  await pool.query(
    `INSERT INTO message_ledger (cluster, instance, gateway, hour, run, deliveries, redelivered, unnumbered, refused, ranges, joined)
     SELECT $1, $2, gateway, to_timestamp(ms / 1000), run, deliveries, redelivered, unnumbered, refused, ranges::bigint[], joined
     FROM unnest($3::text[], $4::float8[], $5::int[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::bigint[])
       AS e(gateway, ms, run, deliveries, redelivered, unnumbered, refused, ranges, joined)
     ON CONFLICT (cluster, instance, gateway, hour, run) DO UPDATE SET deliveries = excluded.deliveries, redelivered = excluded.redelivered,
       unnumbered = excluded.unnumbered, refused = excluded.refused, ranges = excluded.ranges, joined = excluded.joined`,
    [
      cluster,
      instance,
      column((e) => e.gateway),
      column((e) => e.hourMs),
      column((e) => e.run),
      column((e) => e.deliveries),
      column((e) => e.redelivered),
      column((e) => e.unnumbered),
      column((e) => e.refused),
      // Arrays of different lengths are no array of arrays for PostgreSQL: each goes as its text.
      column((e) => `{${e.ranges.join()}}`),
      column((e) => e.joined),
    ],
  )
}

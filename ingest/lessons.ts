// What formats must know of earlier messages (births, units) survives a restart: such messages are kept in PostgreSQL, each key once,
// and decoded again at the start; several ingests learn from each other the same way. A message that taught something is acknowledged
// to the broker when it is saved, or after a while when the database is away; then it is saved as soon as that comes back.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '#runtime/log.ts'
import type { Pool } from '#runtime/postgres.ts'
import type { Decode } from './decode.ts'

/** Longer keys and payloads are no lessons: the largest births of real plants have some hundred KiB. */
const KEY_LENGTH_MAX = 500
const PAYLOAD_BYTES_MAX = 1_048_576
/** Not saved yet; beyond it the oldest are given up, and the devices must be asked for a new birth. */
const PENDING_MAX = 5_000
/** Kept for each log. */
const KEPT_MAX = 20_000
const SAVE_MS_MAX = 2_000
const RETRY_MS = 1_000
const FOLLOW_MS = 5_000

export interface Lesson {
  format: string
  key: string
  topic: string
  payload: Buffer
  receivedAtMs: number
}

export interface Lessons {
  learn(lesson: Lesson): void
  /** Undefined when there is nothing to save; resolves when it is saved, or later. */
  saved(): Promise<void> | undefined
  close(): Promise<void>
}

export interface LessonsOptions {
  pool: Pool
  cluster: string
  instance: string
  decode: Decode
  log: Log
}

/** Decodes what was kept, then keeps what comes. @throws when the database is away now. */
export async function openLessons(o: LessonsOptions): Promise<Lessons> {
  const { pool, cluster, log } = o
  await pool.query(
    `DELETE FROM format_lessons WHERE cluster = $1 AND (format, key) IN
       (SELECT format, key FROM format_lessons WHERE cluster = $1 ORDER BY received_at DESC OFFSET $2)`,
    [cluster, KEPT_MAX],
  )
  const lessons = new KeptLessons(o)
  const count = await lessons.read('')
  if (count > 0) log.info({ count }, 'formats know again what earlier messages taught')
  lessons.follow()
  return lessons
}

class KeptLessons implements Lessons {
  readonly #o: LessonsOptions
  readonly #pending = new Map<string, Lesson>()
  #readUntil = new Date(0)
  #saving: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: LessonsOptions) {
    this.#o = options
  }

  /** Those saved since, by others than `except`, oldest first. */
  async read(except: string): Promise<number> {
    const { pool, cluster, decode } = this.#o
    const { rows } = await pool.query<{ topic: string; payload: Buffer; received_ms: number; saved_at: Date }>(
      `SELECT topic, payload, (extract(epoch FROM received_at) * 1000)::bigint AS received_ms, saved_at FROM format_lessons
       WHERE cluster = $1 AND saved_at > $2 AND instance <> $3 ORDER BY received_at, format, key`,
      [cluster, this.#readUntil, except],
    )
    for (const { topic, payload, received_ms, saved_at } of rows) {
      decode({ topic, payload, receivedAtMs: received_ms, retained: false })
      if (saved_at > this.#readUntil) this.#readUntil = saved_at
    }
    return rows.length
  }

  follow(): void {
    const again = async (): Promise<void> => {
      await this.read(this.#o.instance).catch((error: Error) =>
        this.#o.log.warn({ error: error.message }, 'cannot read lessons of others now'),
      )
      if (!this.#closed) this.#timer = setTimeout(() => void again(), FOLLOW_MS)
    }
    this.#timer = setTimeout(() => void again(), FOLLOW_MS)
  }

  learn(lesson: Lesson): void {
    if (lesson.payload.length > PAYLOAD_BYTES_MAX || lesson.key.length > KEY_LENGTH_MAX) return
    const key = `${lesson.format}\n${lesson.key}`
    this.#pending.delete(key)
    if (this.#pending.size >= PENDING_MAX) {
      const oldest = this.#pending.keys().next().value as string
      this.#pending.delete(oldest)
      this.#o.log.error(
        { lesson: oldest.replace('\n', ' ') },
        'given up: the database is away for long; ask the device for a new birth after a restart',
      )
    }
    this.#pending.set(key, lesson)
  }

  saved(): Promise<void> | undefined {
    if (this.#pending.size === 0) return undefined
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined
    })
    return Promise.race([this.#saving, sleep(SAVE_MS_MAX, undefined, { ref: false })])
  }

  async #save(): Promise<void> {
    while (this.#pending.size > 0 && !this.#closed) {
      const lessons = [...this.#pending.values()]
      try {
        await this.#write(lessons)
        for (const l of lessons) {
          const key = `${l.format}\n${l.key}`
          if (this.#pending.get(key) === l) this.#pending.delete(key)
        }
      } catch (error) {
        this.#o.log.warn({ error: (error as Error).message, lessons: lessons.length }, 'cannot save lessons, trying again')
        await sleep(RETRY_MS)
      }
    }
  }

  async #write(lessons: readonly Lesson[]): Promise<void> {
    const { pool, cluster, instance } = this.#o
    await pool.query(
      `INSERT INTO format_lessons (cluster, instance, format, key, topic, payload, received_at)
       SELECT $1, $2, format, key, topic, payload, to_timestamp(ms / 1000) FROM unnest($3::text[], $4::text[], $5::text[], $6::bytea[], $7::float8[])
         AS l(format, key, topic, payload, ms)
       ON CONFLICT (cluster, format, key) DO UPDATE SET topic = excluded.topic, payload = excluded.payload, received_at = excluded.received_at,
         instance = excluded.instance, saved_at = clock_timestamp()`,
      [
        cluster,
        instance,
        lessons.map((l) => l.format),
        // PostgreSQL's text has no null characters.
        lessons.map((l) => l.key.replaceAll('\u0000', '\ufffd')),
        lessons.map((l) => l.topic),
        lessons.map((l) => l.payload),
        lessons.map((l) => l.receivedAtMs),
      ],
    )
  }

  async close(): Promise<void> {
    await this.saved()
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#saving
  }
}

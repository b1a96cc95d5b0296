// Gives edits of intervals to the log: those that people asked for and those that folds asked for. Looks every few seconds; one process at a
// time has an edit.
import { encodeControl } from '#model/telemetry.ts'
import type { RecordProducer } from '#runtime/kafka.ts'
import type { Log } from '#runtime/log.ts'
import type { Pool } from '#runtime/postgres.ts'
import type { QuestDb } from '#runtime/questdb.ts'
import { buildEdits, takeEdit } from '../sinks/edits.ts'

const LOOK_MS = 2_000

export interface EditorOptions {
  pool: Pool
  questdb: QuestDb
  producer: RecordProducer
  log: Log
  /** QuestDB tables. */
  prefix: string
  /** Full name of the topic. */
  telemetry: string
}

export class Editor {
  readonly #o: EditorOptions
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #stopping = false

  constructor(options: EditorOptions) {
    this.#o = options
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.#work().then(() => {
        if (!this.#stopping) this.start()
      })
    }, LOOK_MS)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    await this.#running
  }

  async #work(): Promise<void> {
    const { pool, questdb, producer, log, prefix, telemetry } = this.#o
    try {
      let more = true
      while (more && !this.#stopping) {
        more = await takeEdit(pool, async (asked) => {
          const { edits, problem } = await buildEdits({ pool, questdb, prefix }, asked)
          await producer.send(
            edits.map((edit) => ({
              topic: telemetry,
              key: asked.zone,
              value: encodeControl({ kind: 'edit', zone: asked.zone, receivedAtMs: asked.askedAtMs, edit }),
            })),
          )
          const intervals = edits.reduce((n, e) => n + e.intervals.length, 0)
          log.info({ edit: asked.id, kind: asked.kind, meter: asked.meter, intervals, problem }, 'edit of intervals given to the log')
          return { intervals, problem }
        })
      }
    } catch (error) {
      // The row is as it was: the next look tries again.
      log.warn({ err: error }, 'edits of intervals wait')
    }
  }
}

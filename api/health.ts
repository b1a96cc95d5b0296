// How the parts are, looked at every few seconds in the background, so that a health request costs and waits for nothing. Ingest and
// processors are judged by what they write into the log, wherever they run.
import type { PartHealth } from '#model/live-events.ts'
import { TOPICS } from '#model/topics.ts'
import type { Config } from '#runtime/config.ts'
import { type Kafka, topicName, topicOffsets } from '#runtime/kafka.ts'
import type { Pool } from '#runtime/postgres.ts'
import type { QuestDb } from '#runtime/questdb.ts'
import type { Live } from './live/live.ts'

export interface HealthOptions {
  pool: Pool
  questdb: QuestDb
  kafka: Kafka
  config: Pick<Config, 'METERSTREAM_PREFIX'>
  live: Live
  /** Changes of the desk reach this process. */
  listening(): boolean
}

const EVERY_MS = 5_000
const CHECK_MS_MAX = 5_000
/** Processors write a record a second for each partition; ticks reach the log every ten seconds at most. */
const PROCESSORS_SILENT_MS = 15_000
const LOG_STILL_MS = 40_000

export interface HealthChecks {
  /** Parts that this process cannot do without. */
  ready(): { ok: boolean; parts: PartHealth[] }
  stop(): void
}

export function startHealthChecks(options: HealthOptions): HealthChecks {
  const { pool, questdb, kafka, config, live } = options
  const servers = new Map<string, PartHealth>()
  let log = { nowMs: 0, movedMs: Date.now() }
  const check = async (part: string, ask: () => Promise<unknown>) => {
    servers.set(
      part,
      await within(ask()).then(
        (): PartHealth => ({ part, state: 'up', detail: '' }),
        (error: Error) => ({ part, state: 'down', detail: reasonOf(error) }),
      ),
    )
  }
  const look = async () => {
    await Promise.all([
      check('postgres', () => pool.query('SELECT 1')),
      check('questdb', () => questdb.exec('SELECT 1')),
      check('kafka', () => topicOffsets(kafka, topicName(config, TOPICS.live))),
    ])
    if (live.nowMs() !== log.nowMs) log = { nowMs: live.nowMs(), movedMs: Date.now() }
    live.setParts(parts())
  }
  const parts = (): PartHealth[] => [...servers.values(), ingest(log), processors(live.heardMs()), api(options.listening())]
  void look()
  const timer = setInterval(look, EVERY_MS)
  timer.unref()
  return {
    ready: () => ({
      ok: servers.size > 0 && ['postgres', 'questdb', 'kafka'].every((p) => servers.get(p)?.state === 'up') && options.listening(),
      parts: parts(),
    }),
    stop: () => clearInterval(timer),
  }
}

async function within(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  try {
    await Promise.race([
      work,
      new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error('no answer')), CHECK_MS_MAX)
      }),
    ])
  } finally {
    clearTimeout(timer)
  }
}

/** In our own words: addresses and statements stay inside. */
function reasonOf(error: Error): string {
  return /no answer|timeout/i.test(error.message) ? 'does not answer in time' : 'cannot be reached'
}

function processors(heardMs: number): PartHealth {
  const part = 'processors'
  if (heardMs === 0) return { part, state: 'unknown', detail: 'nothing heard yet' }
  const silentMs = Date.now() - heardMs
  return silentMs < PROCESSORS_SILENT_MS
    ? { part, state: 'up', detail: '' }
    : { part, state: 'degraded', detail: `nothing heard for ${Math.round(silentMs / 1000)} s` }
}

function ingest(log: { nowMs: number; movedMs: number }): PartHealth {
  const part = 'ingest'
  if (log.nowMs === 0) return { part, state: 'unknown', detail: 'the log has no clock yet' }
  const stillMs = Date.now() - log.movedMs
  return stillMs < LOG_STILL_MS
    ? { part, state: 'up', detail: '' }
    : { part, state: 'degraded', detail: `the log's clock stands still for ${Math.round(stillMs / 1000)} s` }
}

function api(listening: boolean): PartHealth {
  return listening
    ? { part: 'api', state: 'up', detail: '' }
    : { part: 'api', state: 'degraded', detail: 'changes of tickets do not arrive, connecting again' }
}

// Runs the alarms: findings from Kafka, the clock every two seconds, and the load on the shift as metrics and for the page. Offsets are
// committed after PostgreSQL has committed.
import type { AlarmLoad } from '#model/alarm.ts'
import type { Finding } from '#model/finding.ts'
import { HOUR_MS, parseIso } from '#model/time.ts'
import { TOPICS } from '#model/topics.ts'
import type { Config } from '#runtime/config.ts'
import { consume, type InRecord, type Kafka, topicName } from '#runtime/kafka.ts'
import type { Log } from '#runtime/log.ts'
import { counter, gauge, type Registry } from '#runtime/metrics.ts'
import type { Pool } from '#runtime/postgres.ts'
import { JOURNAL_MS } from './policy.ts'
import { loadOf } from './rates.ts'
import { callsIn, pruneJournal, weights } from './rows.ts'
import { passTime, takeFindings } from './store.ts'

export interface AlarmServiceOptions {
  kafka: Kafka
  config: Pick<Config, 'METERSTREAM_PREFIX'>
  pool: Pool
  log: Log
  registry: Registry
  /** The log's clock. */
  nowMs(): number
  onLoad(load: AlarmLoad): void
  everyMs?: number
}

const EVERY_MS = 2_000
const PRUNE_EVERY_MS = HOUR_MS
const PRUNED_AT_ONCE = 10_000
/** For the load: more than anybody can look at. */
const WEIGHED_MAX = 20_000
const CALLS_MAX = 20_000
/** A flood older than this is shown as so old. */
const CALLS_BACK_MS = 6 * HOUR_MS

export async function startAlarms(options: AlarmServiceOptions): Promise<{ stop(): Promise<void> }> {
  const { kafka, config, pool, log, registry } = options
  const changes = counter(registry, 'meterstream_alarm_changes_total', 'Alarms changed, by what changed them', ['by'])
  const clock = startClock(options, (n) => changes.inc({ by: 'clock' }, n))
  const consumer = await consume(kafka, {
    group: topicName(config, 'alarms'),
    topics: [topicName(config, TOPICS.findings)],
    log,
    from: 'beginning',
    commit: 'after-batch',
    async onBatch({ records, heartbeat }) {
      for (let i = 0; i < records.length; i += PART) {
        changes.inc({ by: 'finding' }, await takeFindings(pool, records.slice(i, i + PART).flatMap(findingOf)))
        await heartbeat()
      }
    },
  })
  return {
    async stop() {
      await clock.stop()
      await consumer.stop()
    },
  }
}

/** Between two heartbeats. */
const PART = 500

/** The desk reads the same topic, and logs and counts what is not as agreed; here it is only left out. */
function findingOf(r: InRecord): Finding[] {
  try {
    const f = JSON.parse(r.value.toString()) as Finding
    const sound =
      f?.type === 'finding' &&
      Number.isInteger(f.rev) &&
      typeof f.id === 'string' &&
      typeof f.scope?.id === 'string' &&
      typeof f.updatedAt === 'string' &&
      !Number.isNaN(parseIso(f.updatedAt))
    return sound ? [f] : []
  } catch (error) {
    if (error instanceof SyntaxError) return []
    throw error
  }
}

function startClock(options: AlarmServiceOptions, onChanged: (n: number) => void): { stop(): Promise<void> } {
  const { pool, log, registry, nowMs } = options
  let load: AlarmLoad | undefined
  measure(registry, () => load)
  let prunedMs = 0
  let lookedUpTo = ''
  const beat = async () => {
    const now = nowMs()
    const passed = await passTime(pool, now, lookedUpTo)
    lookedUpTo = passed.next
    onChanged(passed.changed)
    const [alarms, calls] = await Promise.all([weights(pool, now, WEIGHED_MAX), callsIn(pool, now - CALLS_BACK_MS, now + 1, CALLS_MAX)])
    load = loadOf(
      alarms,
      calls.map((c) => c.atMs),
      now,
    )
    options.onLoad(load)
    if (Date.now() - prunedMs > PRUNE_EVERY_MS) {
      prunedMs = Date.now()
      await pruneJournal(pool, now - JOURNAL_MS, PRUNED_AT_ONCE)
    }
  }
  let running: Promise<void> = Promise.resolve()
  let busy = false
  const timer = setInterval(() => {
    // A slow database makes beats rarer, never two at a time.
    if (busy) return
    busy = true
    running = beat()
      .catch((error: Error) => log.warn({ error: error.message }, "the alarms' clock could not go on, trying again"))
      .finally(() => {
        busy = false
      })
  }, options.everyMs ?? EVERY_MS)
  timer.unref()
  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}

function measure(registry: Registry, load: () => AlarmLoad | undefined): void {
  gauge(
    registry,
    'meterstream_alarms',
    'Alarms of the shift by what they are: standing, unacknowledged, stale, chattering …',
    ['what'],
    function () {
      const l = load()
      if (l === undefined) return
      const { last10Min, lastHour, floodSinceMs, ...counts } = l
      for (const [what, n] of Object.entries(counts)) this.set({ what }, n)
      this.set({ what: 'called_last_10_min' }, last10Min)
      this.set({ what: 'called_last_hour' }, lastHour)
      this.set({ what: 'flood' }, floodSinceMs === null ? 0 : 1)
    },
  )
}

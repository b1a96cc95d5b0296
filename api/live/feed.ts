// What feeds the live stream: topics `live` and `crews` from Kafka, findings and tickets from PostgreSQL as they are committed there
// (by whichever api process holds the desk), and at the start the newest values from QuestDB.
import { setTimeout as sleep } from 'node:timers/promises'
import type { LiveRecord } from '#model/live.ts'
import type { CrewView, LiveValue } from '#model/live-events.ts'
import { TOPICS } from '#model/topics.ts'
import type { Config } from '#runtime/config.ts'
import { consume, type Kafka, type RecordConsumer, topicName, topicOffsets } from '#runtime/kafka.ts'
import type { Log } from '#runtime/log.ts'
import type { Pool, PoolClient } from '#runtime/postgres.ts'
import { literal, type QuestDb, timeLiteral } from '#runtime/questdb.ts'
import { alarmsByKey, shownAlarms } from '../alarms/rows.ts'
import { viewOf as alarmView } from '../alarms/state.ts'
import { DESK_CHANNEL } from '../desk/rows.ts'
import { viewOf } from '../desk/ticket.ts'
import { recentTickets, ticketsByNo } from '../desk/ticket-lists.ts'
import { findingsById, recentFindings } from '../queries/findings.ts'
import type { Live } from './live.ts'
import { KEPT_MAX, RECENT_MS } from './picture.ts'
import { createPositions } from './positions.ts'

export interface FeedOptions {
  kafka: Kafka
  config: Pick<Config, 'METERSTREAM_PREFIX'>
  pool: Pool
  questdb: QuestDb
  live: Live
  instance: string
  nowMs(): number
  log: Log
}

export interface Feed {
  /** True while changes of the desk reach us. */
  listening(): boolean
  stop(): Promise<void>
}

/** Records read back at the start: enough for every crew and a recent clock of every partition. */
const BACK_RECORDS = 2_000

export async function startFeed(options: FeedOptions): Promise<Feed> {
  const desk = startDeskFeed(options)
  const seeding = startSeeding(options)
  const consumer = await startTopics(options)
  return {
    listening: desk.listening,
    async stop() {
      clearTimeout(seeding.again)
      await consumer.stop()
      await desk.stop()
    },
  }
}

async function startTopics({ kafka, config, live, instance, log }: FeedOptions): Promise<RecordConsumer> {
  const topics = { live: topicName(config, TOPICS.live), crews: topicName(config, TOPICS.crews) }
  const next = new Map<string, Map<number, number>>()
  for (const topic of Object.values(topics)) {
    const offsets = await offsetsOf(kafka, topic)
    next.set(topic, new Map(offsets.map((o) => [o.partition, Math.max(o.low, o.high - BACK_RECORDS)])))
  }
  const positions = createPositions(next, (topic, error) =>
    log.info({ topic, error: error.message }, 'the live consumer crashed as it started; it reads on when it has joined again'),
  )
  let consumer: RecordConsumer | undefined
  consumer = await consume(kafka, {
    // A group of its own: every api process needs everything.
    group: topicName(config, `live-${instance}`),
    topics: Object.values(topics),
    log,
    from: 'end',
    commit: 'manual',
    onAssign: (assigned) => positions.assigned(assigned, consumer?.seek),
    async onBatch({ topic, partition, records }) {
      if (!positions.mayTake(topic, partition)) return
      for (const r of records) {
        try {
          const value: unknown = JSON.parse(r.value.toString())
          if (topic === topics.live) live.takeRecord(value as LiveRecord, r.timestampMs)
          else live.takeCrew(crewOf(value as CrewRecord))
        } catch (error) {
          log.error({ topic, offset: r.offset, error: (error as Error).message }, 'a record is not as agreed and was skipped')
        }
        positions.taken(topic, partition, r.offset)
      }
    },
  })
  positions.ready(consumer.seek)
  return consumer
}

const OFFSETS_TRIES = 20

/** A topic just created has no leader for a moment. */
async function offsetsOf(kafka: Kafka, topic: string): ReturnType<typeof topicOffsets> {
  for (let tries = 1; ; tries++) {
    try {
      return await topicOffsets(kafka, topic)
    } catch (error) {
      if (tries === OFFSETS_TRIES) throw error
      await sleep(500)
    }
  }
}

/** A record of the topic `crews`, as ingest writes it. */
interface CrewRecord {
  crew: string
  tsMs: number
  lon: number
  lat: number
  accuracyM: number | null
  batteryPct: number | null
  speedKmh: number | null
}

const crewOf = (c: CrewRecord) => ({
  crew: c.crew,
  lon: c.lon,
  lat: c.lat,
  tsMs: c.tsMs,
  accuracyM: c.accuracyM ?? null,
  speedKmh: c.speedKmh ?? null,
  batteryPct: c.batteryPct ?? null,
})

/** Ids waiting to be looked up at most; beyond, everything is loaded anew. */
const WAITING_MAX = 5_000
const GATHER_MS = 100

/** Ids of what changed, to be looked up. */
interface Changed {
  tickets: Set<number>
  findings: Set<string>
  alarms: Set<string>
}

function startDeskFeed(options: FeedOptions): { listening(): boolean; stop(): Promise<void> } {
  const { pool, log } = options
  const waiting: Changed = { tickets: new Set(), findings: new Set(), alarms: new Set() }
  let client: PoolClient | undefined
  let stopped = false
  let listening = false
  let again: NodeJS.Timeout | undefined
  let gather: NodeJS.Timeout | undefined

  const lost = (error: Error) => {
    if (client === undefined || stopped) return
    log.warn({ error: error.message }, 'changes of the desk do not reach the live stream, connecting again')
    listening = false
    client.release(error)
    client = undefined
    again = setTimeout(open, 1000)
  }
  const flush = () => {
    gather = undefined
    const { tickets, findings, alarms } = waiting
    const load = tickets.size + findings.size + alarms.size > WAITING_MAX ? reload(options) : loadChanged(options, { ...waiting })
    waiting.tickets = new Set()
    waiting.findings = new Set()
    waiting.alarms = new Set()
    load.catch(lost)
  }
  const onNotification = ({ channel, payload = '' }: { channel: string; payload?: string | undefined }) => {
    if (channel === 'registry_changed') {
      loadSkills(options).catch(lost)
      return
    }
    if (payload.startsWith('t:')) waiting.tickets.add(Number(payload.slice(2)))
    else if (payload.startsWith('a:')) waiting.alarms.add(payload.slice(2))
    else waiting.findings.add(payload.slice(2))
    gather ??= setTimeout(flush, GATHER_MS)
  }
  /** Listens first and loads then, so that no change falls between. */
  const open = async (): Promise<void> => {
    try {
      const c = await pool.connect()
      client = c
      c.on('notification', onNotification)
      c.on('error', lost)
      await c.query(`LISTEN ${DESK_CHANNEL}`)
      await c.query('LISTEN registry_changed')
      await Promise.all([reload(options), loadSkills(options)])
      listening = true
    } catch (error) {
      if (client !== undefined) lost(error as Error)
      else if (!stopped) again = setTimeout(open, 1000)
    }
  }
  void open()
  return {
    listening: () => listening,
    async stop() {
      stopped = true
      clearTimeout(again)
      clearTimeout(gather)
      client?.removeAllListeners('notification')
      // Not back into the pool: it listens.
      client?.release(true)
    },
  }
}

async function loadChanged({ pool, live, nowMs }: FeedOptions, { tickets, findings, alarms }: Changed): Promise<void> {
  // Findings first: a ticket and an alarm are about them.
  if (findings.size > 0) for (const f of await findingsById(pool, [...findings])) live.takeFinding(f)
  if (tickets.size > 0) for (const t of await ticketsByNo(pool, [...tickets])) live.takeTicket(viewOf(t, nowMs()))
  if (alarms.size > 0) for (const a of (await alarmsByKey(pool, [...alarms])).values()) live.takeAlarm(alarmView(a, nowMs()))
}

async function reload({ pool, live, nowMs }: FeedOptions): Promise<void> {
  const sinceMs = nowMs() - RECENT_MS
  const [findings, tickets, alarms] = await Promise.all([
    recentFindings(pool, sinceMs, KEPT_MAX),
    recentTickets(pool, sinceMs, KEPT_MAX),
    shownAlarms(pool, sinceMs, KEPT_MAX),
  ])
  live.replaceDesk(
    findings,
    tickets.map((t) => viewOf(t, nowMs())),
    alarms.map((a) => alarmView(a, nowMs())),
  )
}

async function loadSkills({ pool, live }: FeedOptions): Promise<void> {
  const { rows } = await pool.query<{ id: string; skills: CrewView['skills'] | null }>(
    "SELECT id, properties->'skills' AS skills FROM assets WHERE kind = 'crew'",
  )
  live.setSkills(new Map(rows.map((r) => [r.id, r.skills ?? []])))
}

const SEED_AGAIN_MS = 10_000

/** Until it has worked once: at the very first start there is no table yet, and QuestDB may be away. Values that come late replace nothing newer. */
function startSeeding(options: FeedOptions): { again: NodeJS.Timeout | undefined } {
  const state: { again: NodeJS.Timeout | undefined } = { again: undefined }
  const seed = () =>
    seedValues(options).catch((error: Error) => {
      options.log.debug({ error: error.message }, 'no values from QuestDB yet, the map fills as readings come')
      state.again = setTimeout(seed, SEED_AGAIN_MS)
      state.again.unref()
    })
  void seed()
  return state
}

const CHUNK = 200
const SEEDED_MAX = 20_000
/** What has not spoken for so long is not "now". */
const SEED_BACK_MS = 2 * 86_400_000

/** Newest stored values of what the map shows: sensors, flow meters, totalising meters, and computed values of areas and transformers. */
async function seedValues({ pool, questdb, config, live }: FeedOptions): Promise<void> {
  const { rows } = await pool.query<{ id: string }>(
    `SELECT id FROM assets WHERE kind IN ('pressure_sensor', 'level_sensor', 'pump_sensor', 'flow_meter', 'transformer', 'feeder', 'dma')
     OR (kind = 'electric_meter' AND properties->>'role' <> 'customer') ORDER BY id LIMIT $1`,
    [SEEDED_MAX],
  )
  const table = `'${config.METERSTREAM_PREFIX}readings'`
  const newest = await questdb.exec(`SELECT cast(max(ts) as long) FROM ${table}`)
  const newestUs = newest.dataset[0]?.[0]
  if (typeof newestUs !== 'number') return
  const since = timeLiteral(Math.floor(newestUs / 1000) - SEED_BACK_MS)
  for (let i = 0; i < rows.length; i += CHUNK) {
    const ids = rows
      .slice(i, i + CHUNK)
      .map((r) => literal(r.id))
      .join(', ')
    const { dataset } = await questdb.exec(
      `SELECT device, quantity, channel, cast(ts as long), value, quality FROM ${table} WHERE device IN (${ids}) AND ts >= ${since}
       LATEST ON ts PARTITION BY device, quantity, channel`,
    )
    live.takeValues(
      dataset.map(
        ([device, quantity, channel, us, value, quality]) =>
          [device, quantity, channel ?? '', Math.floor((us as number) / 1000), value, quality] as LiveValue,
      ),
    )
  }
}

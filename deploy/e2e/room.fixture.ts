// A control room in seconds, for tests of the page: the real servers and the real api with the registry of the simulated town and some
// days of readings, without ingest and processors. What happens is said by the test, through Kafka as the processors would.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { AssetFeature } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import type { LiveValue } from '#model/live-events.ts'
import type { TicketIntent } from '#model/ticket.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { readConfig } from '#runtime/config.ts'
import { doubleColumn, IlpRows, rowPrefix, timeColumn } from '#runtime/ilp.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { publisher, startTestApi, type TestApi, TOKEN, until } from '../../api/api.fixture.ts'
import { ensureQuestDbTables } from '../../processors/sinks/questdb.ts'
import { makeTown, townFeatures } from '../../simulators/town.ts'
import { importRegistry } from '../import.ts'
import { ensurePage } from '../local/page.ts'
import { startServers } from '../local/servers.ts'
import { migrate } from '../migrate.ts'

export interface Room {
  url: string
  api: TestApi
  features: readonly AssetFeature[]
  /** The log's clock of the room. */
  nowMs(): number
  /** The clock goes on, with new values. */
  clock(nowMs: number, values?: LiveValue[]): Promise<void>
  findings(...list: Finding[]): Promise<void>
  tickets(...list: TicketIntent[]): Promise<void>
  stop(): Promise<void>
}

export interface RoomOptions {
  features?: readonly AssetFeature[]
  /** Days of readings before now. */
  historyDays?: number
  nowMs?: number
  timezone?: string
}

const NOW = Date.parse('2026-03-18T21:30:00Z')
/** Of the last day, and of the days before it. */
const STEP_MS = 5 * MINUTE_MS
const OLD_STEP_MS = 15 * MINUTE_MS
const FINE_MS = 26 * HOUR_MS
const WEB = fileURLToPath(new URL('../../api/web/dist/', import.meta.url))

export async function startRoom(options: RoomOptions = {}): Promise<Room> {
  const { nowMs = NOW, historyDays = 15, timezone = 'Asia/Shanghai' } = options
  const features = options.features ?? townFeatures(makeTown()).features
  const dir = mkdtempSync(join(tmpdir(), 'meterstream-room-'))
  await ensurePage(() => undefined)
  const servers = await startServers({ dir, ports: 'auto', only: ['kafka', 'questdb', 'postgres'] })
  const config = readConfig({ ...servers.env, MQTT_URL: 'mqtt://127.0.0.1:1', LOG_LEVEL: 'warn' })
  const pool = createPool({ url: config.POSTGRES_URL, log: silentLog, max: 2 })
  await migrate(pool)
  await importRegistry(pool, {
    meta: { name: 'Room', timezone, warmupUntilMs: 0, intervalSeconds: 300 },
    features,
    accounts: [],
    operations: [],
  })
  await pool.end()
  const api = await startTestApi({ config, consumers: true, webDir: WEB })
  await ensureQuestDbTables(api.questdb, config.METERSTREAM_PREFIX)
  const values = await history(api, config.METERSTREAM_PREFIX, { features, fromMs: nowMs - historyDays * DAY_MS, toMs: nowMs })
  const out = await publisher(api.kafka, config)
  let clockMs = 0
  const clock = async (next: number, news: LiveValue[] = []) => {
    clockMs = next
    await out.put('live', [
      { key: '', value: { type: 'live', zone: '', partition: 0, nowMs: next, readings: news.length, values: news, lagRecords: 0 } },
    ])
    await until('the clock of the api', () => api.live.nowMs() >= next)
  }
  await until('the api', async () => (await api.get('/health/ready')).status === 200)
  await clock(nowMs, values)
  return {
    url: `${api.url}/#token=${TOKEN}`,
    api,
    features,
    nowMs: () => clockMs,
    clock,
    findings: (...list) =>
      out.put(
        'findings',
        list.map((f) => ({ key: f.id, value: f })),
      ),
    tickets: (...list) =>
      out.put(
        'tickets',
        list.map((t) => ({ key: t.key, value: t })),
      ),
    async stop() {
      await out.close()
      await api.stop()
      await servers.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** Quantity of a kind and its value by hour of the day, a spread of 0 to 1 between devices, and the rating of a transformer. */
const QUANTITIES: Record<string, [quantity: string, of: (hour: number, spread: number, ratingKva: number) => number]> = {
  pressure_sensor: ['pressure_bar', (h, s) => 3.2 + s - 0.5 * use(h)],
  flow_meter: ['flow_m3h', (h, s) => (20 + 20 * s) * (0.4 + use(h))],
  dma: ['flow_m3h', (h, s) => (30 + 30 * s) * (0.3 + use(h))],
  level_sensor: ['level_m', (h) => 3 + Math.cos((h / 12) * Math.PI)],
  transformer: ['power_kw', (h, s, r) => r * (0.15 + 0.2 * s) * (0.4 + use(h))],
  feeder: ['power_kw', (h, s) => (600 + 900 * s) * (0.4 + use(h))],
}

/** Use by hour of the day: low at night, peaks in the morning and the evening. */
function use(hour: number): number {
  return 0.15 + 0.8 * Math.exp(-(((hour - 7.5) / 2) ** 2)) + Math.exp(-(((hour - 19) / 2.5) ** 2)) + (hour > 8 && hour < 18 ? 0.35 : 0)
}

/** Writes the history into QuestDB and gives the newest value of each series. */
async function history(
  api: TestApi,
  prefix: string,
  { features, fromMs, toMs }: { features: readonly AssetFeature[]; fromMs: number; toMs: number },
): Promise<LiveValue[]> {
  const newest: LiveValue[] = []
  const value = doubleColumn('value')
  const received = timeColumn('received_at')
  let expected = 0
  let rows = new IlpRows()
  for (const [i, f] of features.entries()) {
    const { id, kind } = f.properties
    const wanted = QUANTITIES[kind]
    if (wanted === undefined) continue
    const [quantity, of] = wanted
    const rating = 'rating_kva' in f.properties ? Number(f.properties.rating_kva) : 0
    const zone = ('dma' in f.properties && typeof f.properties.dma === 'string' ? f.properties.dma : undefined) ?? id
    const row = rowPrefix(`${prefix}readings`, { device: id, quantity, zone, quality: kind === 'dma' ? 'computed' : 'good' })
    for (let t = fromMs; t <= toMs; t += t < toMs - FINE_MS ? OLD_STEP_MS : STEP_MS) {
      const hour = ((t + 8 * HOUR_MS) % DAY_MS) / HOUR_MS
      // A little unrest that is the same in every run.
      const v = of(hour, ((i * 37) % 100) / 100, rating) * (1 + 0.02 * Math.sin(t / 1.7e6 + i))
      rows.begin(row)
      rows.double(value, v)
      rows.time(received, t + 20_000)
      rows.end(t)
      expected += 1
      if (t + STEP_MS > toMs) newest.push([id, quantity, '', t, Math.round(v * 100) / 100, 'good'])
    }
    if (i % 40 === 39) {
      await api.questdb.write([rows])
      rows = new IlpRows()
    }
  }
  await api.questdb.write([rows])
  const written = expected
  await until(
    'the history in QuestDB',
    async () => (await api.questdb.exec(`SELECT count() FROM '${prefix}readings'`)).dataset[0]?.[0] === written || undefined,
    60_000,
  )
  return newest
}

// An api as main.ts wires it, on a free port, for the integration tests.
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Finding, type FindingKind, findingId, type Scope } from '#model/finding.ts'
import type { TicketIntent } from '#model/ticket.ts'
import { MINUTE_MS, toIso } from '#model/time.ts'
import type { Config } from '#runtime/config.ts'
import { doubleColumn, IlpRows, longColumn, rowPrefix, timeColumn } from '#runtime/ilp.ts'
import { createKafka, createProducer, ensureTopics, type Kafka, type RecordProducer, topicName } from '#runtime/kafka.ts'
import { silentLog } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import type { Keyring } from '#runtime/personal.ts'
import { createPool, type Pool } from '#runtime/postgres.ts'
import { createQuestDb, type QuestDb } from '#runtime/questdb.ts'
import { ensureQuestDbTables } from '../processors/sinks/questdb.ts'
import { startAlarms } from './alarms/service.ts'
import type { App, Limits } from './app.ts'
import { createAuth } from './auth.ts'
import { startDeskConsumer } from './desk/consumer.ts'
import { applyFindings } from './desk/finding-store.ts'
import { applyIntents } from './desk/store.ts'
import { startHealthChecks } from './health.ts'
import { startFeed } from './live/feed.ts'
import { createLive, type Live } from './live/live.ts'
import { buildServer } from './server.ts'

export const TOKEN = 'a-token-for-tests-only'
export const T0 = Date.parse('2026-03-01T10:00:00Z')

export interface TestApi {
  url: string
  app: App
  pool: Pool
  questdb: QuestDb
  kafka: Kafka
  live: Live
  get(path: string, headers?: Record<string, string>): Promise<Response>
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  stop(): Promise<void>
}

export interface TestApiOptions {
  config: Config
  limits?: Partial<Limits>
  /** The topics' consumers too; without them only HTTP over the stores. */
  consumers?: boolean
  webDir?: string
  keyring?: Keyring
}

export async function startTestApi(options: TestApiOptions): Promise<TestApi> {
  const { config } = options
  const log = silentLog
  const registry = createRegistry('api')
  const pool = createPool({ url: config.POSTGRES_URL, log, max: 10 })
  const questdb = await createQuestDb({ url: config.QUESTDB_URL, log })
  const kafka = createKafka(config, log)
  const instance = randomBytes(6).toString('hex')
  const limits = { requestsPerSecond: 10_000, requestsBurst: 10_000, failuresBurst: 10_000, ...options.limits }
  const live = createLive({ clientsMax: options.limits?.liveClients ?? 50, instance, wallMs: Date.now, flushMs: 50, clockMs: 300 })
  const nowMs = () => live.nowMs() || T0 + 60 * MINUTE_MS
  const stops: (() => Promise<void> | void)[] = [() => pool.end(), () => questdb.close()]
  let listening = () => true
  if (options.consumers === true) {
    await ensureTopics(kafka, config)
    const feed = await startFeed({ kafka, config, pool, questdb, live, instance, nowMs, log })
    const desk = await startDeskConsumer({ kafka, config, pool, log, registry })
    const alarms = await startAlarms({ kafka, config, pool, log, registry, nowMs, onLoad: (load) => live.setLoad(load), everyMs: 100 })
    const health = startHealthChecks({ pool, questdb, kafka, config, live, listening: feed.listening })
    stops.push(
      () => feed.stop(),
      () => desk.stop(),
      () => alarms.stop(),
      () => health.stop(),
    )
    listening = feed.listening
  }
  const app = await buildServer(
    {
      pool,
      questdb,
      prefix: config.METERSTREAM_PREFIX,
      auth: createAuth(TOKEN),
      live,
      registry,
      log,
      nowMs,
      accountLinkSecret: 'a-link-secret-for-tests',
      limits,
      ...(options.keyring === undefined ? {} : { keyring: options.keyring }),
      ...(options.webDir === undefined ? {} : { webDir: options.webDir }),
    },
    { ready: () => ({ ok: listening(), parts: [] }) },
  )
  stops.push(
    () => app.close(),
    () => live.close(),
  )
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const headersOf = (more: Record<string, string> = {}) => ({ authorization: `Bearer ${TOKEN}`, ...more })
  return {
    url,
    app,
    pool,
    questdb,
    kafka,
    live,
    get: (path, headers) => fetch(url + path, { headers: headersOf(headers) }),
    send: (method, path, body, headers) =>
      fetch(url + path, {
        method,
        headers: headersOf({ ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers }),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async stop() {
      for (const stop of stops.reverse()) await stop()
    },
  }
}

/** Puts records on a topic of this test. */
export async function publisher(
  kafka: Kafka,
  config: Config,
): Promise<{ put(topic: string, records: { key: string; value: object }[]): Promise<void>; close(): Promise<void> }> {
  const producer: RecordProducer = await createProducer(kafka)
  return {
    put: (topic, records) =>
      producer.send(records.map((r) => ({ topic: topicName(config, topic), key: r.key, value: JSON.stringify(r.value) }))),
    close: () => producer.close(),
  }
}

export async function until<T>(what: string, look: () => Promise<T | undefined | false> | T | undefined | false, ms = 20_000): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > end) throw new Error(`still not: ${what}`)
    await sleep(50)
  }
}

export function aFinding(kind: FindingKind, scope: Scope, given: Partial<Finding> = {}): Finding {
  return {
    type: 'finding',
    id: findingId({ kind, subtype: given.subtype, scope, onsetMs: T0 }),
    rev: 1,
    kind,
    scope,
    zone: 'F1',
    startedAt: toIso(T0),
    detectedAt: toIso(T0 + MINUTE_MS),
    updatedAt: toIso(T0 + MINUTE_MS),
    clearedAt: null,
    severity: 'major',
    confidence: 0.9,
    reason: 'test',
    evidence: [{ what: 'last-gasps', count: 3 }],
    detector: 'test',
    ...given,
  }
}

export function anIntent(key: string, given: Partial<TicketIntent> = {}): TicketIntent {
  return {
    type: 'ticket',
    key,
    rev: 1,
    class: 'outage',
    findings: [key],
    priority: 2,
    severity: 'major',
    zone: 'F1',
    scope: { type: 'transformer', id: "T'1" },
    title: "Outage: transformer T'1",
    description: '2 meters without supply',
    affected: ['E1', 'E2'],
    openedAt: toIso(T0),
    updatedAt: toIso(T0),
    closedAt: null,
    reason: 'first_finding',
    ...given,
  }
}

export interface SseEvent {
  event: string
  id: string
  data: unknown
}

/** A client of the event stream; `next` waits for an event of a name, `closed` for the end. */
export async function listen(url: string, headers: Record<string, string> = {}) {
  const stop = new AbortController()
  const response = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}`, ...headers }, signal: stop.signal })
  const events: SseEvent[] = []
  let ended = false
  const read = (async () => {
    let text = ''
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        text += Buffer.from(chunk).toString()
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const fields = Object.fromEntries(
            text
              .slice(0, end)
              .split('\n')
              .map((l) => [l.slice(0, l.indexOf(':')), l.slice(l.indexOf(':') + 2)]),
          )
          text = text.slice(end + 2)
          if (fields.event !== undefined) events.push({ event: fields.event, id: fields.id ?? '', data: JSON.parse(fields.data ?? 'null') })
        }
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error
    } finally {
      ended = true
    }
  })()
  return {
    response,
    events,
    next: (name: string, ok: (e: SseEvent) => boolean = () => true) =>
      until(`event ${name}`, () => events.find((e) => e.event === name && ok(e))),
    closed: () => until('end of the stream', () => ended),
    async close() {
      stop.abort()
      await read
    },
  }
}

/** An id with everything that a statement could stumble over. */
export const WEIRD = 'P\'1"; DROP TABLE readings; --'

/** One sensor with ten readings, one meter, one gateway; a ledger that adds up; an open finding and a ticket. */
export async function seedStores(api: TestApi, prefix: string): Promise<void> {
  await ensureQuestDbTables(api.questdb, prefix)

  for (const [id, kind, properties, at] of [
    ['A', 'dma', {}, null],
    ['G1', 'gateway', {}, [8, 47]],
    ["T'1", 'transformer', { feeder: 'F1' }, [8.5, 47.4]],
    ['F1', 'feeder', {}, null],
    [WEIRD, 'pressure_sensor', { gateway: 'G1', dma: 'A' }, [8.1, 47.1]],
    ['W1', 'water_meter', { gateway: 'G1', dma: 'A', account: 'C-1' }, [8.2, 47.2]],
  ] as const) {
    await api.pool.query('INSERT INTO assets (id, kind, geometry, properties) VALUES ($1, $2, $3, $4)', [
      id,
      kind,
      at === null ? null : JSON.stringify({ type: 'Point', coordinates: at }),
      JSON.stringify({ id, kind, ...properties }),
    ])
  }
  const rows = new IlpRows()
  const value = doubleColumn('value')
  const received = timeColumn('received_at')
  for (let i = 0; i < 10; i++) {
    rows.begin(rowPrefix(`${prefix}readings`, { device: WEIRD, quantity: 'pressure_bar', gateway: 'G1', zone: 'A', quality: 'good' }))
    rows.double(value, 3 + i / 10)
    rows.time(received, T0 + i * 300_000 + 1000)
    rows.end(T0 + i * 300_000)
  }
  const iv = new IlpRows()
  for (const rev of [1, 2]) {
    iv.begin(
      rowPrefix(`${prefix}intervals`, {
        meter: 'W1',
        quantity: 'water_volume_m3',
        status: rev === 1 ? 'estimated' : 'actual',
        zone: 'A',
      }),
    )
    iv.time(timeColumn('end'), T0 + 3_600_000)
    iv.double(value, rev / 2)
    iv.long(longColumn('rev'), rev)
    iv.end(T0)
  }
  await api.questdb.write([rows, iv])
  await until(
    'rows in QuestDB',
    async () =>
      ((await api.questdb.exec(`SELECT count() FROM '${prefix}readings'`)).dataset[0]?.[0] === 10 &&
        (await api.questdb.exec(`SELECT count() FROM '${prefix}intervals'`)).dataset[0]?.[0] === 2) ||
      undefined,
  )
  await api.pool.query(
    `INSERT INTO ledger (zone, gateway, hour, received, accepted, duplicate, redelivered, quarantined) VALUES ('A', 'G1', to_timestamp($1), 13, 10, 2, 0, '{"impossible_time": 1}')`,
    [T0 / 1000],
  )
  for (const id of ['fold-1', "in'1"]) {
    await api.pool.query(
      `INSERT INTO quarantine (id, reason, field, message, gateway, device, topic, format, received_at, entries, payload, encoding, truncated, redelivered)
       VALUES ($1, 'impossible_time', 'ts', 'too old', 'G1', 'W1', 't', 'native', to_timestamp($2), 1, '{}', 'utf8', false, false)`,
      [id, T0 / 1000 + 5],
    )
  }
  for (let day = 1; day <= 5; day++) {
    await api.pool.query(
      `INSERT INTO meter_days (meter, quantity, channel, date, rev, value, actual, estimated, missing, zone, decided_at) VALUES ('W1', 'water_volume_m3', '', $1, 1, $2, 24, 0, 0, 'A', now())`,
      [`2026-02-0${day}`, day],
    )
  }
  await applyFindings(api.pool, [
    aFinding('outage', { type: 'transformer', id: "T'1" }),
    aFinding('low_pressure', { type: 'sensor', id: WEIRD }, { zone: 'A', clearedAt: toIso(T0) }),
  ])
  await applyIntents(api.pool, [anIntent('k-1')])
}

/** `path METHOD` from the tree that the application prints of itself, so that a route added later is asked too. */
export function routesOf(tree: string): Set<string> {
  const routes = new Set<string>()
  const above: string[] = []
  for (const line of tree.split('\n')) {
    const m = /^([│ ]*)[├└]── (\S*)(?: \(([A-Z, ]+)\))?/.exec(line)
    if (m === null) continue
    const depth = (m[1] as string).length / 4
    const path = (above[depth - 1] ?? '') + m[2]
    above.length = depth
    above.push(path)
    for (const method of m[3]?.split(', ') ?? []) routes.add(`${path} ${method}`)
  }
  return routes
}

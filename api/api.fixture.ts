// An api as main.ts wires it, on a free port, for the integration tests.
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Finding, findingId, type FindingKind, type Scope } from '#model/finding.ts'
import type { TicketIntent } from '#model/ticket.ts'
import { MINUTE_MS, toIso } from '#model/time.ts'
import type { Config } from '#runtime/config.ts'
import { createKafka, createProducer, ensureTopics, type Kafka, type RecordProducer, topicName } from '#runtime/kafka.ts'
import { silentLog } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import { createPool, type Pool } from '#runtime/postgres.ts'
import { createQuestDb, type QuestDb } from '#runtime/questdb.ts'
import type { App, Limits } from './app.ts'
import { createAuth } from './auth.ts'
import { startDeskConsumer } from './desk/consumer.ts'
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
    const health = startHealthChecks({ pool, questdb, kafka, config, live, listening: feed.listening })
    stops.push(() => feed.stop(), () => desk.stop(), () => health.stop())
    listening = feed.listening
  }
  const app = await buildServer(
    { pool, questdb, prefix: config.METERSTREAM_PREFIX, auth: createAuth(TOKEN), live, registry, log, nowMs, limits, ...(options.webDir === undefined ? {} : { webDir: options.webDir }) },
    { ready: () => ({ ok: listening(), parts: [] }) },
  )
  stops.push(() => app.close(), () => live.close())
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const headersOf = (more: Record<string, string> = {}) => ({ authorization: `Bearer ${TOKEN}`, ...more })
  return {
    url, app, pool, questdb, kafka, live,
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
export async function publisher(kafka: Kafka, config: Config): Promise<{ put(topic: string, records: { key: string; value: object }[]): Promise<void>; close(): Promise<void> }> {
  const producer: RecordProducer = await createProducer(kafka)
  return {
    put: (topic, records) => producer.send(records.map((r) => ({ topic: topicName(config, topic), key: r.key, value: JSON.stringify(r.value) }))),
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
    type: 'finding', id: findingId({ kind, subtype: given.subtype, scope, onsetMs: T0 }), rev: 1, kind, scope, zone: 'F1', startedAt: toIso(T0), detectedAt: toIso(T0 + MINUTE_MS),
    updatedAt: toIso(T0 + MINUTE_MS), clearedAt: null, severity: 'major', confidence: 0.9, reason: 'test', evidence: [{ what: 'last-gasps', count: 3 }], detector: 'test', ...given,
  }
}

export function anIntent(key: string, given: Partial<TicketIntent> = {}): TicketIntent {
  return {
    type: 'ticket', key, rev: 1, class: 'outage', findings: [key], priority: 2, severity: 'major', zone: 'F1', scope: { type: 'transformer', id: "T'1" },
    title: "Outage: transformer T'1", description: '2 meters without supply', affected: ['E1', 'E2'], openedAt: toIso(T0), updatedAt: toIso(T0), closedAt: null,
    reason: 'first_finding', ...given,
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
          const fields = Object.fromEntries(text.slice(0, end).split('\n').map((l) => [l.slice(0, l.indexOf(':')), l.slice(l.indexOf(':') + 2)]))
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
    next: (name: string, ok: (e: SseEvent) => boolean = () => true) => until(`event ${name}`, () => events.find((e) => e.event === name && ok(e))),
    closed: () => until('end of the stream', () => ended),
    async close() {
      stop.abort()
      await read
    },
  }
}

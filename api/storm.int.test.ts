// A storm: 10,000 findings of 200 outages, from the topic of the zones through the incidents to tickets in PostgreSQL, with two desks.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Finding, findingId, type Scope } from '#model/finding.ts'
import { MINUTE_MS, toIso } from '#model/time.ts'
import { TOPICS } from '#model/topics.ts'
import { createKafka, createProducer, ensureTopics, type Kafka, type RecordProducer, topicName } from '#runtime/kafka.ts'
import { silentLog } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import { createPool, type Pool } from '#runtime/postgres.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { StageRunner } from '../processors/runner/stage.ts'
import { TOPOLOGY } from '../processors/topology.ts'
import { T0, until } from './api.fixture.ts'
import { startDeskConsumer } from './desk/consumer.ts'

const FEEDERS = 20
const TRANSFORMERS = 10
const PREMISES = 49
/** Log time, and at least wall time, between two rounds of 50 findings: 500 a second, three times the rate that must be borne. */
const ROUND_MS = 100

let space: Isolated
let kafka: Kafka
let producer: RecordProducer
let pool: Pool
let stage: StageRunner
const stops: (() => Promise<void>)[] = []

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  const { config } = space
  kafka = createKafka(config, silentLog)
  await ensureTopics(kafka, config)
  producer = await createProducer(kafka)
  pool = createPool({ url: config.POSTGRES_URL, log: silentLog, max: 10 })
  for (let i = 0; i < 2; i++) {
    const desk = await startDeskConsumer({ kafka, config, pool, log: silentLog, registry: createRegistry('desk') })
    stops.push(() => desk.stop())
  }
  const topics = Object.fromEntries(Object.entries(TOPICS).map(([k, name]) => [k, topicName(config, name)])) as never
  stage = new StageRunner({
    kafka,
    producer,
    pool,
    log: silentLog,
    metrics: { findings() {}, tickets() {}, unreadable() {}, faults: (part) => expect.fail(`a fault in ${part}`) },
    cluster: 'test',
    group: topicName(config, 'stage'),
    topics,
    topology: TOPOLOGY,
    telemetryPartitions: 1,
    owner: 'test',
  })
  await stage.start()
})
afterAll(async () => {
  await stage?.stop()
  for (const stop of stops) await stop()
  await producer?.close()
  await pool?.end()
  await space?.drop()
})

const seqs = new Map<string, number>()
let sentAt = new Map<string, number>()

function aFinding(scope: Scope, zone: string, affected: string[], atMs: number): Finding {
  const onsetMs = atMs - MINUTE_MS
  return {
    type: 'finding',
    id: findingId({ kind: 'outage', scope, onsetMs }),
    rev: 1,
    kind: 'outage',
    scope,
    zone,
    startedAt: toIso(onsetMs),
    detectedAt: toIso(atMs),
    updatedAt: toIso(atMs),
    clearedAt: null,
    severity: 'major',
    confidence: 0.9,
    affected,
    reason: 'last-gasps',
    evidence: [],
    detector: 'outage',
  }
}

/** Findings as the zones send them, then the watermark that lets the second stage decide them. */
async function send(findings: readonly Finding[], atMs: number): Promise<void> {
  const topic = topicName(space.config, TOPICS.summaries)
  const records = findings.map((finding) => {
    const seq = (seqs.get(finding.zone) ?? 0) + 1
    seqs.set(finding.zone, seq)
    return { topic, key: finding.zone, value: JSON.stringify({ type: 'notice', zone: finding.zone, seq, atMs, finding }) }
  })
  const now = Date.now()
  for (const f of findings) sentAt.set(f.id, now)
  await producer.send([...records, { topic, key: 'p0', value: JSON.stringify({ type: 'watermark', partition: 0, nowMs: atMs + 1 }) }])
}

it('opens one ticket an incident, within five seconds at p99', async () => {
  let atMs = T0
  let findings = 0
  const opened = new Map<string, number>()
  let seen = 0
  let busy = false
  // Only what is new: a measure that reads ten thousand rows each time would be what it measures.
  const look = async () => {
    if (busy) return
    busy = true
    const { rows } = await pool.query<{ no: number; key: string }>('SELECT no, key FROM tickets WHERE no > $1 ORDER BY no', [seen])
    const now = Date.now()
    for (const r of rows) {
      opened.set(r.key, now)
      seen = r.no
    }
    busy = false
  }
  await send([], atMs)
  const looking = setInterval(() => void look(), 100)
  const began = Date.now()
  for (let t = 0; t < TRANSFORMERS; t++) {
    for (let f = 0; f < FEEDERS; f++) {
      atMs += ROUND_MS
      const meters = Array.from({ length: PREMISES }, (_, m) => `E-${f}-${t}-${m}`)
      const round = meters.map((m) => aFinding({ type: 'premise', id: m }, `F-${f}`, [m], atMs))
      await sleep(Math.max(0, began + (atMs - T0) - Date.now()))
      await send([...round, aFinding({ type: 'transformer', id: `T-${f}-${t}` }, `F-${f}`, meters, atMs)], atMs)
      findings += round.length + 1
    }
  }
  const sentMs = Date.now() - began
  await send([], atMs + 2 * MINUTE_MS)
  // Every open ticket is a transformer's, and lists all its premises: no finding on two open tickets.
  const open = `SELECT scope_type, count(DISTINCT no) AS tickets, count(*) AS n, count(DISTINCT f) AS once FROM tickets, unnest(findings) f
     WHERE state = 'received' GROUP BY scope_type`
  const wanted = { scope_type: 'transformer', tickets: FEEDERS * TRANSFORMERS, n: findings, once: findings }
  await until('one open ticket an outage', async () => JSON.stringify((await pool.query(open)).rows) === JSON.stringify([wanted]), 60_000)
  await look()
  clearInterval(looking)
  expect(findings).toBe(10_000)
  const waits = [...opened].map(([key, at]) => at - (sentAt.get(key) as number)).sort((a, b) => a - b)
  const p = (q: number) => waits[Math.min(waits.length - 1, Math.floor(q * waits.length))] as number
  console.log(
    `10,000 findings sent in ${sentMs} ms; finding to ticket: p50 ${p(0.5)} ms, p99 ${p(0.99)} ms, worst ${waits.at(-1)} ms; ${opened.size} tickets seen`,
  )
  expect(p(0.99)).toBeLessThan(5_000)
  sentAt = new Map()
}, 120_000)

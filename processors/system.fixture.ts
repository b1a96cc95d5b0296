// What integration tests of the processors share: a log, its expected results by the in-process folds, and a system on real servers.
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import type { Finding } from '#model/finding.ts'
import { encodeControl, encodeData, type LogRecord } from '#model/telemetry.ts'
import { TOPICS } from '#model/topics.ts'
import type { Config } from '#runtime/config.ts'
import { consume, createKafka, createProducer, ensureTopics, type Kafka, type OutRecord, topicName, topicOffsets } from '#runtime/kafka.ts'
import { createLog, silentLog as silent } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import { createPool, type Pool } from '#runtime/postgres.ts'
import { createQuestDb, type QuestDb } from '#runtime/questdb.ts'
import { Backtest, type BacktestCounts } from './backtest.ts'
import { startProcessors } from './service.ts'
import type { Topology } from './topology.ts'
import { aDevice, aReading, aZone, START_MS } from './zone-fold.fixture.ts'

/** TEST_LOG=info shows what the processors say. */
const silentLog = process.env.TEST_LOG === undefined ? silent : createLog('test', process.env.TEST_LOG)

export interface Space {
  prefix: string
  postgresUrl: string
  env: Record<string, string>
  config: Config
  drop(): Promise<void>
}

export const PARTITIONS = 4

/** Pressure is calm; now and then it opens a finding of the talker (above 90) or clears one (below 10). */
function spike(x: number): number {
  return x < 0.01 ? 95 : x < 0.03 ? 5 : 40 + Math.floor(x * 20)
}

/** Two days of six zones with repeats, late reads, refusals, events and operations. Seeded. */
export function syntheticLog(hours = 48): LogRecord[] {
  let seed = 12345
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed / 2_147_483_648
  }
  const zones = ['A', 'B', 'C', 'D', 'E', 'F']
  const log: LogRecord[] = zones.map((zone): LogRecord => {
    const devices = Array.from({ length: 12 }, (_, i) => aDevice({ id: `${zone}-${i}`, kind: i < 10 ? 'water_meter' : 'pressure_sensor' }))
    return { kind: 'zone', zone, receivedAtMs: 0, def: aZone(zone, devices) }
  })
  const registers = new Map<string, number>()
  for (let minute = 0; minute < hours * 60; minute += 5) {
    const nowMs = START_MS + minute * 60_000
    log.push({ kind: 'tick', nowMs, ingest: 'test', brokerConnected: true, gatewaysOnline: 6 })
    for (const zone of zones) {
      const receivedAtMs = nowMs + 1000 + Math.floor(random() * 200_000)
      const readings = Array.from({ length: 12 }, (_, i) => {
        const device = `${zone}-${i}`
        const pressure = i >= 10
        const value = pressure ? spike(random()) : (registers.get(device) ?? 0) + Math.floor(random() * 10) / 64
        if (!pressure) registers.set(device, value)
        const tsMs = nowMs - (random() < 0.02 ? 1_800_000 : 0)
        const gateway = `G${zone}`
        const quantity = pressure ? 'pressure_bar' : 'water_volume_m3'
        return aReading({ device, quantity, tsMs, value: random() < 0.01 ? -1 : value, gateway, receivedAtMs, seq: minute })
      })
      const events =
        random() < 0.02
          ? [{ device: `${zone}-1`, event: 'tamper' as const, tsMs: nowMs, detail: undefined, gateway: `G${zone}`, receivedAtMs }]
          : []
      log.push({ kind: 'data', zone, readings, events })
      if (random() < 0.03) log.push({ kind: 'data', zone, readings, events })
      if (random() < 0.01) {
        const operation = {
          knownAtMs: nowMs,
          kind: 'hydrant',
          scopeType: 'dma',
          scope: zone,
          startMs: nowMs,
          endMs: nowMs + 3_600_000,
          note: '',
        } as const
        log.push({ kind: 'operation', zone, receivedAtMs, operation })
      }
    }
  }
  log.push({ kind: 'tick', nowMs: START_MS + hours * 3_600_000, ingest: 'test', brokerConnected: true, gatewaysOnline: 6 })
  return log
}

function encoded(log: readonly LogRecord[], telemetry: string): OutRecord[] {
  return log.flatMap((r): OutRecord[] => {
    if (r.kind === 'data') return [{ topic: telemetry, key: r.zone, value: encodeData(r.readings, r.events) }]
    const value = encodeControl(r)
    if (r.kind !== 'tick') return [{ topic: telemetry, key: r.zone, value }]
    return Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: telemetry, key: '', value, partition }))
  })
}

export function inProcess(
  log: readonly LogRecord[],
  topology: Topology,
): { findings: string[]; tickets: string[]; counts: BacktestCounts } {
  const lines: string[] = []
  const backtest = new Backtest({
    topology,
    emit: new Set(['findings', 'tickets']),
    write: (line) => void lines.push(line),
    onFault: (part, error) => {
      throw new Error(`${part}: ${error}`)
    },
  })
  for (const r of log) backtest.apply(r)
  backtest.end()
  const ofType = (type: string) => lines.filter((l) => l.startsWith(`{"type":"${type}"`))
  return { findings: ofType('finding'), tickets: ofType('ticket'), counts: backtest.counts }
}

/** Reads a one-partition topic to its present end. */
export async function readTopic(kafka: Kafka, topic: string, group: string): Promise<string[]> {
  const high = (await topicOffsets(kafka, topic))[0]?.high ?? 0
  const lines: string[] = []
  if (high === 0) return lines
  let done: () => void = () => undefined
  const finished = new Promise<void>((r) => {
    done = r
  })
  const consumer = await consume(kafka, {
    group,
    topics: [topic],
    log: silentLog,
    from: 'beginning',
    commit: 'manual',
    onBatch: async (batch) => {
      for (const r of batch.records) {
        lines.push(r.value.toString())
        if (r.offset + 1 >= high) done()
      }
    },
  })
  await finished
  await consumer.stop()
  return lines
}

/** First occurrence of each id and revision: what a consumer that drops repeats keeps. */
function distinct(lines: readonly string[]): string[] {
  const seen = new Set<string>()
  return lines.filter((l) => {
    const v = JSON.parse(l) as { id?: string; key?: string; rev: number }
    const key = `${v.id ?? v.key}#${v.rev}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

/** Findings of different partitions reach the topic in any order; within a zone the order is the fold's. */
function byZone(lines: readonly string[]): Record<string, string[]> {
  const zones: Record<string, string[]> = {}
  for (const l of lines) {
    const f = JSON.parse(l) as Finding
    const stage = f.detector === 'listener' ? 'network' : f.zone
    zones[stage] = [...(zones[stage] ?? []), l]
  }
  return zones
}

export class Life {
  readonly parts: { part: string; close: () => Promise<void> | void }[] = []
  problem: string | undefined
  onStop(part: string, close: () => Promise<void> | void): void {
    this.parts.push({ part, close })
  }
  stop(reason: string): void {
    this.problem = reason
  }
  async close(): Promise<void> {
    for (let part = this.parts.pop(); part !== undefined; part = this.parts.pop()) await part.close()
  }
}

export async function until(what: string, condition: () => Promise<boolean>, ms = 60_000): Promise<void> {
  const end = Date.now() + ms
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms for: ${what}`)
    await sleep(100)
  }
}

export interface System {
  space: Space
  kafka: Kafka
  pool: Pool
  questdb: QuestDb
  telemetry: string
  publish(log: readonly LogRecord[]): Promise<void>
  /** All of the log folded, sent and saved; second stage too. */
  settled(ms?: number): Promise<void>
  rows(sql: string): Promise<unknown[][]>
}

export async function aSystem(space: Space): Promise<System> {
  const config = { ...space.config, KAFKA_TELEMETRY_PARTITIONS: PARTITIONS }
  const kafka = createKafka(config, silentLog, 'test')
  await ensureTopics(kafka, config)
  const pool = createPool({ url: space.postgresUrl, log: silentLog })
  const questdb = await createQuestDb({ url: config.QUESTDB_URL, log: silentLog })
  const producer = await createProducer(kafka)
  const telemetry = topicName(config, TOPICS.telemetry)
  const saved = async (stage: string) => {
    const { rows } = await pool.query<{ partition: number; next_offset: number }>(
      'SELECT partition, next_offset FROM checkpoints WHERE stage = $1',
      [stage],
    )
    return new Map(rows.map((r) => [r.partition, r.next_offset]))
  }
  const caughtUp = async (stage: string, topic: string) => {
    const at = await saved(stage)
    return (await topicOffsets(kafka, topic)).every((o) => o.high === 0 || at.get(o.partition) === o.high)
  }
  const life = new Life()
  life.onStop('space', () => space.drop())
  life.onStop('questdb', () => questdb.close())
  life.onStop('pool', () => pool.end())
  life.onStop('producer', () => producer.close())
  onTestFinished(() => life.close())
  return {
    space,
    kafka,
    pool,
    questdb,
    telemetry,
    publish: (log) => producer.send(encoded(log, telemetry)),
    async settled(ms = 60_000) {
      await until('zones', () => caughtUp('zones', telemetry), ms)
      await until('second stage', () => caughtUp('network', topicName(config, TOPICS.summaries)), ms)
    },
    rows: async (sql) => (await questdb.exec(sql)).dataset,
  }
}

export async function run(system: System, topology: Topology, owner = 'test') {
  const life = new Life()
  const config = { ...system.space.config, KAFKA_TELEMETRY_PARTITIONS: PARTITIONS }
  const processors = await startProcessors({
    config,
    log: silentLog,
    registry: createRegistry(owner),
    topology,
    life,
    owner,
    checkpointMs: 500,
    sessionTimeoutMs: 6_000,
  })
  onTestFinished(() => life.close())
  return { processors, life }
}

export async function countOf(system: System, table: string): Promise<number> {
  return Number((await system.rows(`SELECT count() FROM '${system.space.prefix}${table}'`))[0]?.[0])
}

export async function expectStored(system: System, counts: BacktestCounts): Promise<void> {
  const wanted = { readings: counts.stored + counts.computed, intervals: counts.intervals, events: counts.events }
  for (const [table, n] of Object.entries(wanted)) {
    // WAL tables show rows a moment after the write.
    await until(`${n} rows in ${table}, there are ${await countOf(system, table)}`, async () => (await countOf(system, table)) >= n, 20_000)
    expect([table, await countOf(system, table)]).toEqual([table, n])
  }
  const { rows } = await system.pool.query(`SELECT coalesce(sum(received), 0)::int received, coalesce(sum(accepted), 0)::int accepted,
    coalesce(sum(duplicate), 0)::int duplicate, coalesce(sum((SELECT sum(value::int) FROM jsonb_each_text(quarantined))), 0)::int quarantined FROM ledger`)
  expect(rows[0].received).toBe(rows[0].accepted + rows[0].duplicate + rows[0].quarantined)
  expect(rows[0].accepted).toBe(counts.stored + counts.events)
  const refused = Object.values(counts.quarantined).reduce((a, b) => a + b, 0)
  expect(rows[0].quarantined).toBe(refused)
  const days = await system.pool.query('SELECT count(*)::int n FROM meter_days')
  expect(days.rows[0].n).toBe(counts.days)
}

export async function expectSaid(system: System, expected: { findings: string[]; tickets: string[] }): Promise<void> {
  const topic = (t: keyof typeof TOPICS) => topicName(system.space.config, TOPICS[t])
  const group = `${system.space.prefix}check-${Math.floor(performance.now())}`
  const findings = distinct(await readTopic(system.kafka, topic('findings'), `${group}f`))
  expect(byZone(findings)).toEqual(byZone(expected.findings))
  // Why an incident has no ticket travels in the same topic and is not part of what a backtest prints.
  const tickets = distinct(await readTopic(system.kafka, topic('tickets'), `${group}t`)).filter((l) => l.startsWith('{"type":"ticket"'))
  expect(tickets).toEqual(expected.tickets)
}

export function spawnProcessors(system: System): ChildProcess {
  return spawn(process.execPath, ['processors/processors.fixture.ts'], {
    env: { ...process.env, ...system.space.env, KAFKA_TELEMETRY_PARTITIONS: String(PARTITIONS), LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

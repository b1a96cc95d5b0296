// The processors against real Kafka, QuestDB and PostgreSQL: live equals in-process, a kill loses and doubles nothing, a zombie stays silent.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Finding } from '#model/finding.ts'
import { encodeControl, encodeData, type LogRecord } from '#model/telemetry.ts'
import { TOPICS } from '#model/topics.ts'
import { consume, createKafka, createProducer, ensureTopics, type Kafka, type OutRecord, topicName, topicOffsets } from '#runtime/kafka.ts'
import { createLog, silentLog as silent } from '#runtime/log.ts'

const silentLog = process.env.TEST_LOG ? createLog('test', process.env.TEST_LOG) : silent

import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createRegistry } from '#runtime/metrics.ts'
import { createPool, type Pool } from '#runtime/postgres.ts'
import { createQuestDb, type QuestDb } from '#runtime/questdb.ts'
import { readDataSet } from '../deploy/dataset.ts'
import { dataSetLog } from '../deploy/dataset-log.ts'
import { type Isolated, startTestServers, type TestServers } from '../deploy/local/test-servers.ts'
import { parseSettings } from '../ingest/settings.ts'
import { Backtest, type BacktestCounts } from './backtest.ts'
import { PLAIN_TOPOLOGY } from './processors.fixture.ts'
import { startProcessors } from './service.ts'
import { acquire, encodeState, LostPartition, save } from './sinks/checkpoints.ts'
import { TOPOLOGY, type Topology } from './topology.ts'
import { aDevice, aReading, aZone, START_MS } from './zone-fold.fixture.ts'

const PARTITIONS = 4

/** Pressure is calm; now and then it opens a finding of the talker (above 90) or clears one (below 10). */
function spike(x: number): number {
  return x < 0.01 ? 95 : x < 0.03 ? 5 : 40 + Math.floor(x * 20)
}

/** Two days of six zones with repeats, late reads, refusals, events and operations. Seeded. */
function syntheticLog(hours = 48): LogRecord[] {
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

function inProcess(log: readonly LogRecord[], topology: Topology): { findings: string[]; tickets: string[]; counts: BacktestCounts } {
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
async function readTopic(kafka: Kafka, topic: string, group: string): Promise<string[]> {
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

class Life {
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

async function until(what: string, condition: () => Promise<boolean>, ms = 60_000): Promise<void> {
  const end = Date.now() + ms
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms for: ${what}`)
    await sleep(100)
  }
}

interface System {
  space: Isolated
  kafka: Kafka
  pool: Pool
  questdb: QuestDb
  telemetry: string
  publish(log: readonly LogRecord[]): Promise<void>
  /** All of the log folded, sent and saved; second stage too. */
  settled(ms?: number): Promise<void>
  rows(sql: string): Promise<unknown[][]>
}

async function aSystem(servers: TestServers): Promise<System> {
  const space = await servers.isolate()
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

async function run(system: System, topology: Topology, owner = 'test') {
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

async function countOf(system: System, table: string): Promise<number> {
  return Number((await system.rows(`SELECT count() FROM '${system.space.prefix}${table}'`))[0]?.[0])
}

async function expectStored(system: System, counts: BacktestCounts): Promise<void> {
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

async function expectSaid(system: System, expected: { findings: string[]; tickets: string[] }): Promise<void> {
  const topic = (t: keyof typeof TOPICS) => topicName(system.space.config, TOPICS[t])
  const group = `${system.space.prefix}check-${Math.floor(performance.now())}`
  const findings = distinct(await readTopic(system.kafka, topic('findings'), `${group}f`))
  expect(byZone(findings)).toEqual(byZone(expected.findings))
  const tickets = distinct(await readTopic(system.kafka, topic('tickets'), `${group}t`))
  expect(tickets).toEqual(expected.tickets)
}

function spawnProcessors(system: System): ChildProcess {
  return spawn(process.execPath, ['processors/processors.fixture.ts'], {
    env: { ...process.env, ...system.space.env, KAFKA_TELEMETRY_PARTITIONS: String(PARTITIONS), LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

describe('processors', () => {
  let servers: TestServers
  beforeAll(async () => {
    servers = await startTestServers()
  })

  test('the log through Kafka gives byte for byte what it gives in-process', async () => {
    const system = await aSystem(servers)
    const log = syntheticLog()
    const expected = inProcess(log, PLAIN_TOPOLOGY)
    expect(expected.findings.length).toBeGreaterThan(100)
    expect(expected.tickets.length).toBeGreaterThan(0)
    const { life } = await run(system, PLAIN_TOPOLOGY)
    // In pieces, so that checkpoints and flushes fall anywhere.
    for (let i = 0; i < log.length; i += 700) await system.publish(log.slice(i, i + 700))
    await system.settled()
    await expectSaid(system, expected)
    await expectStored(system, expected.counts)
    const refused = await readTopic(system.kafka, topicName(system.space.config, TOPICS.quarantine), `${system.space.prefix}check-q`)
    const ids = new Set(refused.map((l) => (JSON.parse(l) as { id: string }).id))
    await until('quarantine', async () => (await system.pool.query('SELECT count(*)::int n FROM quarantine')).rows[0].n === ids.size)
    expect(life.problem).toBeUndefined()
    await life.close()
  })

  test('kill -9 in the midst of the log, twice, loses nothing and doubles nothing', async () => {
    const system = await aSystem(servers)
    const log = syntheticLog()
    const expected = inProcess(log, PLAIN_TOPOLOGY)
    let child = spawnProcessors(system)
    await once(child.stdout as NodeJS.ReadableStream, 'data')
    for (let i = 0, piece = 0; i < log.length; i += 400, piece++) {
      await system.publish(log.slice(i, i + 400))
      await sleep(200)
      if (piece === 2 || piece === 5) {
        child.kill('SIGKILL')
        await once(child, 'exit')
        child = spawnProcessors(system)
      }
    }
    await system.settled()
    child.kill('SIGTERM')
    const [code] = await once(child, 'exit')
    expect(code).toBe(0)
    await expectSaid(system, expected)
    await expectStored(system, expected.counts)
  })

  test('two processes share the partitions, and one takes over when the other goes', async () => {
    const system = await aSystem(servers)
    const log = syntheticLog()
    const expected = inProcess(log, PLAIN_TOPOLOGY)
    const first = await run(system, PLAIN_TOPOLOGY, 'first')
    await system.publish(log.slice(0, 900))
    const second = await run(system, PLAIN_TOPOLOGY, 'second')
    await system.publish(log.slice(900, 2000))
    await sleep(3_000)
    await first.life.close()
    await system.publish(log.slice(2000))
    await system.settled()
    await second.life.close()
    await expectSaid(system, expected)
    await expectStored(system, expected.counts)
  })

  test('who lost a partition cannot save over its successor', async () => {
    const system = await aSystem(servers)
    const at = { stage: 'zones', partition: 3, cluster: 'c' } as const
    const checkpoint = (epoch: number, nextOffset: number) => ({
      partition: 3,
      epoch,
      cluster: 'c',
      nextOffset,
      state: encodeState({ clockMs: nextOffset }),
      zones: [],
      ledger: [],
      days: [],
    })
    const old = await acquire(system.pool, { ...at, owner: 'old' })
    await save(system.pool, 'zones', checkpoint(old.epoch, 10))
    const successor = await acquire(system.pool, { ...at, owner: 'successor' })
    expect(successor).toMatchObject({ epoch: old.epoch + 1, nextOffset: 10, state: { clockMs: 10 } })
    await expect(save(system.pool, 'zones', checkpoint(old.epoch, 20))).rejects.toThrow(LostPartition)
    await save(system.pool, 'zones', checkpoint(successor.epoch, 30))
    const third = await acquire(system.pool, { ...at, owner: 'third', cluster: 'other' })
    expect(third).toMatchObject({ nextOffset: undefined, state: { clockMs: 30 } })
  })

  test('a zombie sends nothing more', async () => {
    const system = await aSystem(servers)
    const log = syntheticLog(6)
    const { processors, life } = await run(system, PLAIN_TOPOLOGY)
    await system.publish(log)
    await system.settled()
    const before = await countOf(system, 'readings')
    const held = [...processors.zones.partitions.keys()]
    expect(held).toHaveLength(PARTITIONS)
    // Someone else takes all partitions over behind its back.
    await system.pool.query("UPDATE checkpoints SET epoch = epoch + 1, owner = 'other'")
    await system.publish(syntheticLog(12).slice(log.length))
    await until('letting go', async () => processors.zones.partitions.size === 0)
    await sleep(1_000)
    expect(await countOf(system, 'readings')).toBe(before)
    await life.close()
  })

  test('a record that is none is quarantined and the rest goes on', async () => {
    const system = await aSystem(servers)
    const { life } = await run(system, PLAIN_TOPOLOGY)
    const log = syntheticLog(2)
    await system.publish(log.slice(0, 20))
    const producer = await createProducer(system.kafka)
    await producer.send([
      { topic: system.telemetry, key: 'A', value: 'not a record' },
      { topic: system.telemetry, key: 'A', value: encodeControl({ kind: 'zone', zone: 'A', receivedAtMs: START_MS } as never) },
    ])
    await producer.close()
    await system.publish(log.slice(20))
    await system.settled()
    await until(
      'quarantine',
      async () => (await system.pool.query("SELECT count(*)::int n FROM quarantine WHERE format = 'log'")).rows[0].n === 2,
    )
    await expectSaid(system, inProcess(log, PLAIN_TOPOLOGY))
    await life.close()
  })

  // A week of warm-up and two days after it.
  const sets = [
    { name: 'water', endMs: Date.UTC(2025, 2, 12) },
    { name: 'power', endMs: Date.UTC(2025, 9, 29) },
  ]
  for (const { name, endMs } of sets) {
    const dir = `../shared/data/${name}`
    test.skipIf(!existsSync(dir))(
      `nine days of the data set ${name}, all detectors: the findings and tickets of the backtest`,
      async () => {
        const system = await aSystem(servers)
        const log: LogRecord[] = []
        for await (const records of dataSetLog(await readDataSet(dir), parseSettings('')).records()) {
          log.push(...records)
          const last = records.at(-1)
          if (last?.kind === 'data' && (last.readings[0]?.receivedAtMs ?? 0) > endMs) break
        }
        const expected = inProcess(log, TOPOLOGY)
        const { life } = await run(system, TOPOLOGY)
        for (let i = 0; i < log.length; i += 2_000) await system.publish(log.slice(i, i + 2_000))
        await system.settled(240_000)
        await expectSaid(system, expected)
        await life.close()
      },
      600_000,
    )
  }
})

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt from 'mqtt'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { QuarantineEntry } from '#model/outcome.ts'
import type { DataRecord, GatewayRecord, OperationRecord, TickRecord, ZoneRecord } from '#model/telemetry.ts'
import { toIso } from '#model/time.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { type Isolated, startTestServers, type TestServers } from '../deploy/local/test-servers.ts'
import { feature, type IngestProcess, readLog, readTopic, setRegistry, startIngest } from './ingest.fixture.ts'
import { readMessageFile } from './message-files.ts'

let servers: TestServers
let space: Isolated
let client: mqtt.MqttClient
const running: IngestProcess[] = []

const FEATURES = [
  feature({ id: 'A', kind: 'dma' }),
  feature({ id: 'B', kind: 'dma' }),
  feature({ id: 'W-1', kind: 'water_meter', dma: 'A', gateway: 'G-1' }),
  feature({ id: 'W-2', kind: 'water_meter', dma: 'B', gateway: 'G-2' }),
  feature({
    id: 'Q-1',
    kind: 'flow_meter',
    gateway: 'G-1',
    flows: [
      { dma: 'B', sign: 1 },
      { dma: 'A', sign: -1 },
    ],
  }),
]

beforeAll(async () => {
  servers = await startTestServers()
  client = await mqtt.connectAsync(servers.mqtt.url)
})
afterEach(async () => {
  for (const p of running.splice(0)) await p.stop('SIGKILL')
  await space.drop()
})
afterAll(async () => client.endAsync())

async function started(env: Record<string, string> = {}, operations: Parameters<typeof setRegistry>[2] = []): Promise<IngestProcess> {
  space = await servers.isolate()
  await setRegistry(space.postgresUrl, FEATURES, operations)
  return again(env)
}

async function again(env: Record<string, string> = {}): Promise<IngestProcess> {
  const p = await startIngest({ ...space.env, ...env })
  running.push(p)
  return p
}

const send = (gateway: string, body: object | string, kind = 'readings', retain = false) =>
  client.publishAsync(`telemetry/v1/${gateway}/${kind}`, typeof body === 'string' ? body : JSON.stringify(body), { qos: 1, retain })
const aReading = (device: string, value: number, ts = toIso(Date.now() - 1_000)) => ({ device, quantity: 'flow_m3h', ts, value })
const log = () => readLog(servers.kafka.brokers, `${space.prefix}telemetry`)
const quarantine = async () =>
  (await readTopic(servers.kafka.brokers, `${space.prefix}quarantine`)).map((r) => JSON.parse(r.value.toString()) as QuarantineEntry)
async function sql(text: string): Promise<unknown[]> {
  const pool = createPool({ url: space.postgresUrl, log: silentLog, max: 1 })
  try {
    return (await pool.query(text)).rows
  } finally {
    await pool.end()
  }
}
const ofKind = async <K extends string>(kind: K) => (await log()).filter((r) => r.kind === kind)
const dataRecords = async () => (await ofKind('data')) as (DataRecord & { partition: number })[]
const metric = async (p: IngestProcess, name: string) =>
  Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(await (await fetch(`${p.url}/metrics`)).text())?.[1])
const readingsAre = (p: IngestProcess, n: number) =>
  vi.waitUntil(async () => (await metric(p, 'meterstream_readings_total')) >= n, { timeout: 20_000, interval: 100 })

test('what is published is in the log, in order, in the zones that need it, after the zones were told', async () => {
  const p = await started()
  for (let i = 0; i < 30; i++) await send('G-1', { seq: i, readings: [aReading('W-1', i), aReading('Q-1', -i - 1)] })
  await readingsAre(p, 60)
  const data = await dataRecords()
  const of = (zone: string, device: string) =>
    data.filter((d) => d.zone === zone).flatMap((d) => d.readings.filter((r) => r.device === device))
  const expected = Array.from({ length: 30 }, (_, i) => i)
  expect(of('A', 'W-1').map((r) => r.value)).toEqual(expected)
  expect(of('B', 'Q-1').map((r) => -r.value - 1)).toEqual(expected)
  expect(of('A', 'Q-1')).toEqual(of('B', 'Q-1'))
  expect(of('A', 'W-1').map((r) => r.seq)).toEqual(expected)
  expect(of('A', 'W-1').every((r) => r.gateway === 'G-1' && !r.redelivered && Math.abs(r.receivedAtMs - Date.now()) < 30_000)).toBe(true)
  for (const zone of ['A', 'B']) {
    const first = (await log()).find((r) => 'zone' in r && r.zone === zone)
    expect(first).toMatchObject({ kind: 'zone', def: { zone, kind: 'dma' } })
  }
  expect(await quarantine()).toEqual([])
})

test('what is wrong is quarantined with its reason, and disturbs nothing else', async () => {
  const p = await started()
  await send('G-1', '{"readings":[')
  await send('G-9', { readings: [aReading('W-1', 1)] })
  await send('G-1', {
    seq: 1,
    readings: [aReading('W-9', 1), aReading('W-2', 2), aReading('W-1', 3, '2099-01-01T00:00:00Z'), aReading('W-1', 4)],
  })
  await send('G-1', { readings: [{ device: 'W-1', quantity: 'flow_m3h', value: 5 }] })
  await client.publishAsync('telemetry/v1/G-1/readings', Buffer.alloc(1_100_000, 32), { qos: 1 })
  await readingsAre(p, 2)
  await vi.waitUntil(async () => (await quarantine()).length === 6, { timeout: 10_000, interval: 200 })
  expect((await quarantine()).map((q) => [q.reason, q.field, q.gateway, q.device])).toEqual([
    ['malformed', '', 'G-1', ''],
    ['unknown_gateway', '', 'G-9', ''],
    ['unknown_device', 'readings[0].device', 'G-1', 'W-9'],
    ['wrong_gateway', 'readings[1].device', 'G-1', 'W-2'],
    ['impossible_time', 'readings[2].ts', 'G-1', 'W-1'],
    ['too_large', '', 'G-1', ''],
  ])
  const readings = (await dataRecords()).flatMap((d) => d.readings)
  expect(readings.map((r) => [r.value, r.flags])).toEqual([
    [4, undefined],
    [5, ['time_filled']],
  ])
  expect(await metric(p, 'meterstream_ingest_refusals_total')).toBeGreaterThan(0)
})

test('a gateway that comes and goes is told to its zones; a kept status is seen at the start', async () => {
  await started()
  await running.pop()?.stop()
  await send('G-2', { online: true, ts: '2026-03-01T10:00:00Z' }, 'status', true)
  const p = await again()
  const will = await mqtt.connectAsync(servers.mqtt.url, {
    will: { topic: 'telemetry/v1/G-1/status', payload: Buffer.from('{"online":false}'), qos: 1, retain: false },
  })
  will.stream.destroy()
  await will.endAsync(true)
  await vi.waitUntil(async () => (await ofKind('gateway')).length >= 3, { timeout: 20_000, interval: 300 })
  const records = (await ofKind('gateway')) as GatewayRecord[]
  expect(
    records
      .filter((r) => r.gateway === 'G-1')
      .map((r) => [r.zone, r.online])
      .sort(),
  ).toEqual([
    ['A', false],
    ['B', false],
  ])
  // Once by the session that was kept, once as retained: the folds recognise the same status.
  expect(new Set(records.filter((r) => r.gateway === 'G-2').map((r) => `${r.zone} ${r.online} ${r.tsMs}`))).toEqual(
    new Set([`B true ${Date.UTC(2026, 2, 1, 10)}`]),
  )
  await send('G-2', '', 'status', true)
  expect(p.child.exitCode).toBeNull()
})

test('where a crew is goes to its topic, if the crew is known', async () => {
  space = await servers.isolate()
  await setRegistry(space.postgresUrl, [...FEATURES, feature({ id: 'CREW-1', kind: 'crew', skills: ['water'] })])
  await again()
  const fix = { _type: 'location', lat: 47.37, lon: 8.54, tst: Math.floor(Date.now() / 1000), batt: 80 }
  for (const crew of ['CREW-1', 'CREW-X']) await client.publishAsync(`crews/${crew}`, JSON.stringify(fix), { qos: 1 })
  const crews = async () => (await readTopic(servers.kafka.brokers, `${space.prefix}crews`)).map((r) => JSON.parse(r.value.toString()))
  await vi.waitUntil(async () => (await crews()).length === 1 && (await quarantine()).length === 1, { timeout: 10_000, interval: 200 })
  expect(await crews()).toMatchObject([{ crew: 'CREW-1', lon: 8.54, lat: 47.37, batteryPct: 80, accuracyM: null, tsMs: fix.tst * 1000 }])
  expect(await quarantine()).toMatchObject([{ reason: 'unknown_device', device: 'CREW-X' }])
})

test('a change of the registry reaches the log before the readings that need it', async () => {
  const p = await started()
  await send('G-3', { readings: [aReading('W-3', 1)] })
  await vi.waitUntil(async () => (await quarantine()).length === 1, { timeout: 10_000, interval: 200 })
  await setRegistry(space.postgresUrl, [...FEATURES, feature({ id: 'W-3', kind: 'water_meter', dma: 'C', gateway: 'G-3' })])
  await vi.waitUntil(async () => (await ofKind('zone')).length === 3, { timeout: 10_000, interval: 200 })
  await send('G-3', { readings: [aReading('W-3', 2)] })
  await readingsAre(p, 1)
  expect((await log()).flatMap((r) => ('zone' in r && r.zone === 'C' ? [r.kind] : []))).toEqual(['zone', 'data'])
  // The others did not change, and a restart repeats nothing.
  await p.stop()
  await again()
  await sleep(1_000)
  expect(await ofKind('zone')).toHaveLength(3)
  // A zone that is no more is emptied.
  await setRegistry(space.postgresUrl, FEATURES)
  await vi.waitUntil(async () => (await ofKind('zone')).length === 4, { timeout: 10_000, interval: 200 })
  expect(((await ofKind('zone')) as ZoneRecord[]).at(-1)).toBeDefined()
  expect(((await log()) as ZoneRecord[]).filter((r) => r.zone === 'C' && r.kind === 'zone').at(-1)?.def.devices).toEqual([])
})

test('in a simulation the messages carry the clock: ticks, operations and readings in total order, also over a restart', async () => {
  const at = (s: number) => toIso(Date.UTC(2026, 2, 1, 10) + s * 1_000)
  const knownAtMs = Date.UTC(2026, 2, 1, 10, 0, 12)
  const operation = {
    knownAtMs,
    kind: 'hydrant' as const,
    scopeType: 'dma' as const,
    scope: 'A',
    startMs: knownAtMs,
    endMs: knownAtMs + 1,
    note: '',
  }
  const p = await started({ METERSTREAM_CLOCK: 'messages' }, [operation])
  await send('G-1', { receivedAt: at(1), readings: [aReading('W-1', 1, at(0))] })
  await send('G-1', { receivedAt: at(21), readings: [aReading('W-1', 2, at(20))] })
  await send('G-1', { readings: [aReading('W-1', 3, at(21))] })
  await send('sim', { now: at(31) }, 'clock')
  await vi.waitUntil(async () => (await ofKind('tick')).length === 24, { timeout: 20_000, interval: 300 })
  await sleep(1_500)
  await p.stop('SIGKILL')
  await again({ METERSTREAM_CLOCK: 'messages' })
  await send('G-1', { receivedAt: at(55), readings: [aReading('W-1', 4, at(50))] })
  await vi.waitUntil(async () => (await ofKind('tick')).length === 40, { timeout: 20_000, interval: 300 })
  const records = await log()
  const partition = records.find((r) => r.kind === 'zone' && r.zone === 'A')?.partition
  const seen = records
    .filter((r) => r.partition === partition && (r.kind === 'tick' || ('zone' in r && r.zone === 'A')))
    .map((r) => {
      if (r.kind === 'tick') return `tick ${(r.nowMs - Date.UTC(2026, 2, 1, 10)) / 1_000} ${r.brokerConnected}`
      if (r.kind === 'data')
        return `data ${r.readings.map((x) => `${x.value}@${(x.receivedAtMs - Date.UTC(2026, 2, 1, 10)) / 1_000}`).join()}`
      return r.kind
    })
  expect(seen.join('; ').replace('data 2@21; data 3@21', 'data 2@21,3@21')).toBe(
    'zone; data 1@1; tick 10 true; operation; tick 20 true; data 2@21,3@21; tick 30 true; tick 40 true; tick 50 true; data 4@55',
  )
  expect(((await ofKind('operation')) as OperationRecord[])[0]?.operation).toEqual(operation)
}, 90_000)

test('sessions that nobody uses are emptied and ended; meanwhile ticks go to every partition', async () => {
  // A pool that was larger, and an instance that was given up an hour ago.
  const p = await started({ MQTT_POOL: '2' })
  const other = await again({ INGEST_INSTANCE: 'other' })
  await p.stop()
  await other.stop()
  await sql("UPDATE ingest_instances SET seen_at = now() - interval '1 hour' WHERE instance = 'other'")
  for (let i = 0; i < 60; i++) await send('G-1', { seq: i, readings: [aReading('W-1', i)] })
  const q = await again({ MQTT_POOL: '1' })
  await readingsAre(q, 60)
  const values = (await dataRecords()).flatMap((d) => d.readings.map((r) => r.value))
  expect(values.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i))

  await vi.waitUntil(async () => (await ofKind('tick')).length >= 24, { timeout: 45_000, interval: 1_000 })
  const ticks = (await ofKind('tick')) as (TickRecord & { partition: number })[]
  for (let partition = 0; partition < 8; partition++) {
    const own = ticks.filter((t) => t.partition === partition)
    // What was before our start is not known to have been in order.
    expect(own[0]).toMatchObject({ brokerConnected: false, gatewaysOnline: 2, ingest: 'ingest' })
    expect(own.at(-1)).toMatchObject({ brokerConnected: true })
    for (const [i, t] of own.entries()) if (i > 0) expect((t.nowMs - (own[i - 1]?.nowMs ?? 0)) % 10_000).toBe(0)
  }
  // Nothing goes to the ended sessions: all that is published now arrives.
  expect(await sql('SELECT instance, connections FROM ingest_instances')).toEqual([{ instance: 'ingest', connections: 1 }])
  for (let i = 60; i < 80; i++) await send('G-1', { seq: i, readings: [aReading('W-1', i)] })
  await readingsAre(q, 80)
}, 90_000)

test('births of Sparkplug outlive kill -9: data by alias alone are read after the restart', async () => {
  const files = join(import.meta.dirname, 'formats/samples/sparkplug')
  const samples = readdirSync(files)
    .filter((n) => n.endsWith('.json') && !n.endsWith('.expected.json'))
    .map((n) => readMessageFile(n.slice(0, -5), readFileSync(join(files, n), 'utf8')))
    .filter((m) => m !== undefined)
  const birth = samples.find((m) => /\/DBIRTH\//.test(m.topic))
  const data = samples.find((m) => /\/DDATA\//.test(m.topic) && m.topic.split('/').at(-1) === birth?.topic.split('/').at(-1))
  if (birth === undefined || data === undefined) throw new Error('the samples have no birth with data')
  const p = await started()
  const kinds = async () => (await quarantine()).map((q) => q.reason)
  await client.publishAsync(birth.topic, birth.payload, { qos: 1 })
  await vi.waitUntil(async () => (await kinds()).length > 0, { timeout: 10_000, interval: 100 })
  const before = (await kinds()).length
  await p.stop('SIGKILL')
  await again()
  await client.publishAsync(data.topic, data.payload, { qos: 1 })
  await vi.waitUntil(async () => (await kinds()).length > before, { timeout: 10_000, interval: 100 })
  // The devices are not registered here; without their births the aliases would be bad_schema.
  expect(new Set(await kinds())).toEqual(new Set(['unknown_device']))
})

// Devices that nobody registered, from their first message to their claim, over the real ingest, processors and api.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { MINUTE_MS, toIso } from '#model/time.ts'
import { startTestApi, type TestApi } from '../../api/api.fixture.ts'
import { type Isolated, startTestServers, type TestServers } from '../../deploy/local/test-servers.ts'
import { feature, freePort, type IngestProcess, setRegistry, startIngest } from '../../ingest/ingest.fixture.ts'

let servers: TestServers
let space: Isolated
let client: mqtt.MqttClient
let ingest: IngestProcess
let processors: ChildProcess
let api: TestApi

const FEATURES = [
  feature({ id: 'A', kind: 'dma' }),
  feature({ id: 'G-1', kind: 'gateway', zone: 'A' }),
  feature({ id: 'G-2', kind: 'gateway', zone: 'A' }),
  feature({ id: 'W-1', kind: 'water_meter', dma: 'A', gateway: 'G-1', interval_s: 900 }),
]

beforeAll(async () => {
  servers = await startTestServers()
  client = await mqtt.connectAsync(servers.mqtt.url)
  space = await servers.isolate()
  await setRegistry(space.postgresUrl, FEATURES)
  ingest = await startIngest(space.env)
  const port = await freePort()
  processors = spawn(process.execPath, [join(import.meta.dirname, '../../processors/main.ts')], {
    env: { ...process.env, LOG_LEVEL: 'warn', ...space.env, PROCESSORS_PORT: String(port) },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  api = await startTestApi({ config: space.config })
})
afterAll(async () => {
  await client?.endAsync()
  await api?.stop()
  await ingest?.stop('SIGKILL')
  processors?.kill('SIGKILL')
  await space?.drop()
})

// biome-ignore lint/suspicious/noExplicitAny: the shapes are what is tested
type Json = Record<string, any>
const json = async (r: Promise<Response>): Promise<Json> => (await (await r).json()) as Json
const START = Math.floor(Date.now() / 900_000) * 900_000 - 20 * 900_000
const send = (gateway: string, seq: number, readings: object[]) =>
  client.publishAsync(`telemetry/v1/${gateway}/readings`, JSON.stringify({ seq, readings }), { qos: 1 })
const unclaimed = async () => (await json(api.get('/v1/devices/unclaimed'))).devices as Json[]
const stored = async (device: string) =>
  (await json(api.get(`/v1/readings?device=${device}&from=${toIso(START)}&to=${toIso(Date.now() + MINUTE_MS)}`))).readings as Json[]
const soon = (what: () => Promise<boolean>) => vi.waitUntil(() => what().catch(() => false), { timeout: 40_000, interval: 300 })

test('an unknown device is listed, claimed, and every reading it has sent is stored once, also when ingest is killed midway', async () => {
  const N = 20
  for (let i = 0; i < N; i++) {
    const ts = toIso(START + i * 900_000)
    const entry = { device: "W'9", quantity: 'water_volume_m3', ts, value: 100 + i }
    await send('G-1', i, [entry, { device: "W'9", quantity: 'rssi_dbm', ts, value: -90 - (i % 3) }])
  }
  await send('G-2', 1, [{ device: "W'9", quantity: 'water_volume_m3', ts: toIso(START + 60_000), value: 7 }])
  await soon(async () => (await unclaimed())[0]?.count === 2 * N + 1)
  const listed = await unclaimed()
  expect(listed).toMatchObject([
    { id: "W'9", gateway: 'G-2', gateways: ['G-1', 'G-2'], formats: ['native'], values: [{ quantity: 'water_volume_m3', value: 7 }] },
  ])
  expect(listed[0]?.signalDbm).toBeLessThan(-80)

  const path = `/v1/devices/unclaimed/${encodeURIComponent("W'9")}/claim`
  expect((await json(api.send('POST', path, { kind: 'water_meter', zone: 'NOWHERE' }))).type).toContain('unknown_reference')
  expect((await api.send('POST', path, { kind: 'flow_meter', flows: 3 })).status).toBe(422)

  const claim = api.send('POST', path, { kind: 'water_meter', zone: 'A', gateway: 'G-1', interval_s: 900 })
  await vi.waitUntil(
    async () => (await api.pool.query("SELECT 1 FROM quarantine WHERE release_at IS NOT NULL OR state = 'released'")).rowCount !== 0,
    {
      timeout: 10_000,
      interval: 5,
    },
  )
  await ingest.stop('SIGKILL')
  expect((await claim).status).toBe(200)
  ingest = await startIngest(space.env)
  await soon(
    async () => (await json(api.send('POST', path, { kind: 'water_meter', zone: 'A', gateway: 'G-1', interval_s: 900 }))).waiting === 0,
  )
  expect(await json(api.send('POST', path, { kind: 'water_meter', zone: 'A', gateway: 'G-1', interval_s: 900 }))).toMatchObject({
    result: 'same',
    released: 2 * N,
    refused: 1,
  })

  await soon(async () => (await stored("W'9")).length === 2 * N)
  const readings = (await stored("W'9")).filter((r) => r.quantity === 'water_volume_m3')
  expect(readings.map((r) => r.value)).toEqual(Array.from({ length: N }, (_, i) => 100 + i))
  // The time of receipt is that of the message, not of its release.
  expect(readings.every((r) => Date.parse(r.receivedAt) <= Date.parse(listed[0]?.lastSeen) && r.gateway === 'G-1')).toBe(true)
  expect((await unclaimed())[0]).toMatchObject({ id: "W'9", count: 1, gateways: ['G-2'] })
})

test('an entry is released as it is, or mended, or says why not', async () => {
  await send('G-2', 2, [{ device: 'W-1', quantity: 'water_volume_m3', ts: toIso(START), value: 5 }])
  await send('G-1', 30, [{ device: 'W-1', quantity: 'water_volume_m3', ts: '2099-01-01T00:00:00Z', value: 6 }])
  const of = async (reason: string) => ((await json(api.get(`/v1/quarantine?device=W-1&reason=${reason}`))).entries as Json[])[0]
  await soon(async () => (await of('wrong_gateway')) !== undefined && (await of('impossible_time')) !== undefined)
  const release = (id: string, body?: object) => json(api.send('POST', `/v1/quarantine/${id}/release`, body))

  expect(await release((await of('wrong_gateway'))?.id)).toMatchObject({ republished: true, repeated: false, entry: { state: 'released' } })
  expect(await release((await of('wrong_gateway'))?.id)).toMatchObject({ republished: true, repeated: true })
  const late = await of('impossible_time')
  const again = await release(late?.id)
  expect(again).toMatchObject({ republished: false, entry: { state: 'open' } })
  expect(again.entry.releaseNote).toContain('2')
  const payload = JSON.stringify({ device: 'W-1', quantity: 'water_volume_m3', ts: toIso(START + 900_000), value: 6 })
  expect(await release(late?.id, { payload })).toMatchObject({ republished: true })
  await soon(async () => (await stored('W-1')).length === 2)
  expect((await stored('W-1')).map((r) => [r.value, r.gateway])).toEqual([
    [5, 'G-2'],
    [6, 'G-1'],
  ])
  expect((await api.send('POST', '/v1/quarantine/none/release')).status).toBe(404)
})

test('the ledger adds up with what was released', async () => {
  const total = async () => (await json(api.get(`/v1/ledger?from=${toIso(START)}&to=${toIso(Date.now() + MINUTE_MS)}`))).total
  await soon(async () => (await total()).accepted === 42)
  expect(await total()).toMatchObject({ stored: 42, unaccounted: 0, difference: 0 })
})

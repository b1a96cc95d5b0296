// The ledger tried: losses are planted, and it must name each of them.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { startTestApi, type TestApi } from '../../api/api.fixture.ts'
import { type Isolated, startTestServers } from '../../deploy/local/test-servers.ts'
import { feature, freePort, type IngestProcess, setRegistry, startIngest } from '../../ingest/ingest.fixture.ts'

let space: Isolated
let client: mqtt.MqttClient
let ingest: IngestProcess
let processors: ChildProcess
let api: TestApi
const START = Date.UTC(2026, 2, 1)

beforeAll(async () => {
  const servers = await startTestServers()
  client = await mqtt.connectAsync(servers.mqtt.url)
  await forgetRetained(client)
  space = await servers.isolate()
  await setRegistry(space.postgresUrl, [
    feature({ id: 'A', kind: 'dma' }),
    feature({ id: 'W-1', kind: 'water_meter', dma: 'A', gateway: 'L-1', interval_s: 900 }),
    feature({ id: 'W-2', kind: 'water_meter', dma: 'A', gateway: 'L-2', interval_s: 900 }),
  ])
  // Messages carry the clock: hours pass at once.
  ingest = await startIngest({ ...space.env, METERSTREAM_CLOCK: 'messages' })
  processors = spawn(process.execPath, [join(import.meta.dirname, '../../processors/main.ts')], {
    env: { ...process.env, LOG_LEVEL: 'warn', ...space.env, PROCESSORS_PORT: String(await freePort()) },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  api = await startTestApi({ config: space.config })
})
/** Other tests share the broker: what it keeps of their gateways would be the first messages here, of another time. */
async function forgetRetained(of: mqtt.MqttClient): Promise<void> {
  const kept = new Set<string>()
  const note = (topic: string, _payload: Buffer, packet: { retain: boolean }) => void (packet.retain && kept.add(topic))
  of.on('message', note)
  await of.subscribeAsync('#')
  await new Promise((resolve) => setTimeout(resolve, 500))
  await of.unsubscribeAsync('#')
  of.off('message', note)
  for (const topic of kept) await of.publishAsync(topic, '', { retain: true, qos: 1 })
}

afterAll(async () => {
  await client?.endAsync()
  await api?.stop()
  await ingest?.stop('SIGKILL')
  processors?.kill('SIGKILL')
  await space?.drop()
})

// biome-ignore lint/suspicious/noExplicitAny: the shapes are what is tested
type Json = Record<string, any>
const ledger = async () =>
  (await (await api.get(`/v1/ledger?from=${toIso(START)}&to=${toIso(START + 3 * HOUR_MS)}`)).json()) as { entries: Json[]; total: Json }
const soon = (what: () => Promise<boolean>) => vi.waitUntil(() => what().catch(() => false), { timeout: 40_000, interval: 300 })
const send = (gateway: string, device: string, seq: number) => {
  const ts = START + seq * MINUTE_MS
  const readings = [{ device, quantity: 'water_volume_m3', ts: toIso(ts), value: seq }]
  return client.publishAsync(`telemetry/v1/${gateway}/readings`, JSON.stringify({ seq, receivedAt: toIso(ts + 1_000), readings }), {
    qos: 1,
  })
}

test('without a loss everything agrees; a message that never came is named; it survives kill -9', async () => {
  for (let seq = 0; seq < 40; seq++) {
    await send('L-1', 'W-1', seq)
    if (seq !== 17) await send('L-2', 'W-2', seq)
  }
  await soon(async () => (await ledger()).total.accepted === 79)
  await ingest.stop('SIGKILL')
  ingest = await startIngest({ ...space.env, METERSTREAM_CLOCK: 'messages' })
  for (let seq = 40; seq < 130; seq++) {
    await send('L-1', 'W-1', seq)
    await send('L-2', 'W-2', seq)
  }
  await soon(async () => {
    const { total } = await ledger()
    return total.accepted === 259 && total.stored === 259
  })
  const { entries, total } = await ledger()
  expect(total).toMatchObject({ received: 259, accepted: 259, difference: 0, messages: { present: 259, missing: 1, expected: 260 } })
  expect(entries.map((e) => [e.gateway, e.hour, e.messages.present, e.messages.missing, e.messages.holes])).toEqual([
    ['L-1', toIso(START), 60, 0, []],
    ['L-2', toIso(START), 59, 1, [[17, 17]]],
    ['L-1', toIso(START + HOUR_MS), 60, 0, []],
    ['L-2', toIso(START + HOUR_MS), 60, 0, []],
    ['L-1', toIso(START + 2 * HOUR_MS), 10, 0, []],
    ['L-2', toIso(START + 2 * HOUR_MS), 10, 0, []],
  ])
})

test('one reading less in the store is a difference of one, in its hour and gateway only', async () => {
  const table = `${space.config.METERSTREAM_PREFIX}readings`
  const sql = `UPDATE ${table} SET gateway = 'stolen' WHERE device = 'W-1' AND value = 5`
  await fetch(`${space.config.QUESTDB_URL}/exec?query=${encodeURIComponent(sql)}`)
  const off = async () => (await ledger()).entries.filter((e) => e.difference !== 0 && e.gateway !== 'stolen')
  await soon(async () => (await off()).length > 0)
  await soon(async () => (await off())[0]?.settled === true)
  expect(await off()).toMatchObject([
    { gateway: 'L-1', hour: toIso(START), accepted: 60, stored: 59, unstored: 1, difference: 1, settled: true },
  ])
})

// Nothing lost when ingest, Kafka or the broker fail under load. Own servers, because they are stopped and killed.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt from 'mqtt'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DataRecord } from '#model/telemetry.ts'
import { toIso } from '#model/time.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { type Servers, startServers } from '../deploy/local/servers.ts'
import { migrate } from '../deploy/migrate.ts'
import { feature, type IngestProcess, readLog, setRegistry, startIngest } from './ingest.fixture.ts'

const dir = mkdtempSync(join(tmpdir(), 'ingest-faults-'))
let servers: Servers
let client: mqtt.MqttClient
let ingest: IngestProcess
let published = 0

beforeAll(async () => {
  chmodSync(dir, 0o755)
  servers = await startServers({ dir, ports: 'auto', only: ['kafka', 'postgres', 'mqtt'] })
  const pool = createPool({ url: servers.postgres.url, log: silentLog, max: 1 })
  await migrate(pool)
  await pool.end()
  const meters = Array.from({ length: 50 }, (_, i) => feature({ id: `W-${i}`, kind: 'water_meter', dma: `D-${i % 5}`, gateway: 'G-1' }))
  await setRegistry(servers.postgres.url, meters)
  client = await mqtt.connectAsync(servers.mqtt.url)
  ingest = await start()
})
afterAll(async () => {
  await client?.endAsync(true)
  await ingest?.stop('SIGKILL')
  await servers?.stop()
  rmSync(dir, { recursive: true, force: true })
})

const start = () => startIngest({ ...servers.env, LOG_LEVEL: 'error', MQTT_POOL: '2' })

/** Publishes at about 1,000 messages a second until told to stop; a message is published when the broker has acknowledged it. */
function load(): { stop(): Promise<void> } {
  let going = true
  const done = (async () => {
    while (going) {
      await Promise.all(
        Array.from({ length: 50 }, () => {
          const n = published++
          const reading = { device: `W-${n % 50}`, quantity: 'flow_m3h', ts: toIso(Date.now() - 1_000), value: n }
          return client.publishAsync('telemetry/v1/G-1/readings', JSON.stringify({ seq: n, readings: [reading] }), { qos: 1 })
        }),
      )
      await sleep(50)
    }
  })()
  return {
    async stop() {
      going = false
      await done
    },
  }
}

/** Waits until everything published is in the log; fails after a while with what is missing. */
async function nothingIsLost(): Promise<void> {
  for (const began = Date.now(); ; await sleep(1_000)) {
    const readings = ((await readLog(servers.kafka.brokers, 'telemetry')).filter((r) => r.kind === 'data') as DataRecord[]).flatMap(
      (d) => d.readings,
    )
    const values = new Set(readings.map((r) => r.value))
    if (values.size === published || Date.now() - began > 30_000) {
      const missing = Array.from({ length: published }, (_, i) => i).filter((i) => !values.has(i))
      expect(missing.slice(0, 10), `of ${published}, ${missing.length} are missing`).toEqual([])
      return
    }
  }
}

const ready = async () => (await fetch(`${ingest.url}/health/ready`)).ok
const inFlight = async () =>
  Number(/^meterstream_ingest_in_flight_messages\S* (\S+)$/m.exec(await (await fetch(`${ingest.url}/metrics`)).text())?.[1])

test('Kafka stands still for 15 s: ingest stays connected, says that it is not ready, and catches up', async () => {
  const running = load()
  await sleep(1_000)
  servers.kill('kafka', 'SIGSTOP')
  await sleep(15_000)
  expect(await ready()).toBe(false)
  expect(await inFlight()).toBeGreaterThan(500)
  servers.kill('kafka', 'SIGCONT')
  await sleep(2_000)
  await running.stop()
  await nothingIsLost()
  expect(await ready()).toBe(true)
  expect(ingest.child.exitCode).toBeNull()
}, 120_000)

test('ingest is killed in the middle: every published reading is in the log at least once', async () => {
  const running = load()
  for (let kills = 0; kills < 3; kills++) {
    await sleep(700)
    await ingest.stop('SIGKILL')
    ingest = await start()
  }
  await running.stop()
  await nothingIsLost()
}, 120_000)

test('Kafka is killed and comes back', async () => {
  const running = load()
  await sleep(500)
  servers.kill('kafka', 'SIGKILL')
  await sleep(2_000)
  await servers.start('kafka')
  await sleep(1_000)
  await running.stop()
  await nothingIsLost()
}, 120_000)

test('the broker stands still again and again', async () => {
  const running = load()
  for (let i = 0; i < 3; i++) {
    await sleep(800)
    servers.kill('mqtt', 'SIGSTOP')
    await sleep(1_500)
    servers.kill('mqtt', 'SIGCONT')
  }
  await running.stop()
  await nothingIsLost()
}, 120_000)

test('ingest is stopped in order: nothing is left half done, and the next one goes on', async () => {
  const running = load()
  await sleep(500)
  expect(await ingest.stop('SIGTERM')).toBe(0)
  await sleep(500)
  ingest = await start()
  await running.stop()
  await nothingIsLost()
}, 120_000)

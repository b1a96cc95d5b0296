import type { AddressInfo } from 'node:net'
import { createServer, connect as dial, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt from 'mqtt'
import packets, { type Packet } from 'mqtt-packet'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { startTestServers } from '../../deploy/local/test-servers.ts'
import { silentLog } from './log.ts'
import { createMqttPool, type MqttMessage, type MqttPool, type MqttPoolOptions } from './mqtt.ts'

let brokerUrl: string
let publisher: mqtt.MqttClient
const open: MqttPool[] = []
let proxy: Proxy
let names = 0
let topic: string

beforeAll(async () => {
  brokerUrl = (await startTestServers()).mqtt.url
  publisher = await mqtt.connectAsync(brokerUrl)
})
afterAll(async () => publisher.endAsync())
beforeEach(async () => {
  topic = `mqtt-test/${process.pid}/${++names}`
  proxy = await startProxy(new URL(brokerUrl))
})
afterEach(async () => {
  for (const pool of open.splice(0)) await pool.close()
  await proxy.close()
})

function pool(over: Partial<MqttPoolOptions> = {}): { pool: MqttPool; got: MqttMessage[] } {
  const got: MqttMessage[] = []
  const p = createMqttPool({
    url: proxy.url,
    clientId: `pool-${process.pid}-${names}`,
    filters: [`$share/g${process.pid}-${names}/${topic}`],
    connections: 1,
    qos: 1,
    sessionExpiryS: 60,
    log: silentLog,
    onMessage: (m) => got.push(m),
    ...over,
  })
  open.push(p)
  return { pool: p, got }
}

const subscribed = (p: MqttPool) => vi.waitUntil(() => p.stats().connected === p.stats().connections, { timeout: 10_000 })
const publish = (n: number, from = 0) =>
  Promise.all(Array.from({ length: n }, (_, i) => publisher.publishAsync(topic, String(from + i), { qos: 1 })))
const texts = (got: readonly MqttMessage[]) => got.map((m) => m.payload.toString())
const count = (got: readonly MqttMessage[], n: number) => vi.waitUntil(() => got.length >= n, { timeout: 10_000 })

test('no PUBACK leaves before the receiver acknowledges; then one for each, in order of receipt', async () => {
  const { pool: p, got } = pool({ receiveMaximum: 100 })
  await subscribed(p)
  await publish(50)
  await count(got, 50)
  await sleep(300)
  expect(proxy.pubacks).toEqual([])
  expect(p.stats()).toMatchObject({ unacknowledged: 50, received: 50 })

  // Done out of order: nothing until the oldest is done.
  p.acknowledge(got.slice(10, 50).reverse())
  await sleep(200)
  expect(proxy.pubacks).toEqual([])
  p.acknowledge(got.slice(0, 10))
  await vi.waitUntil(() => proxy.pubacks.length === 50)
  expect(proxy.pubacks).toEqual(proxy.publishes)
  expect(p.stats()).toMatchObject({ unacknowledged: 0, bytes: 0 })
})

test('the broker keeps at most receiveMaximum messages in our hands', async () => {
  const { pool: p, got } = pool({ receiveMaximum: 20 })
  await subscribed(p)
  await publish(70)
  await sleep(300)
  expect(got).toHaveLength(20)
  for (let done = 0; done < 70; done += 10) {
    await count(got, done + 10)
    p.acknowledge(got.slice(done, done + 10))
  }
  await vi.waitUntil(() => proxy.pubacks.length === 70)
  expect(texts(got)).toEqual(Array.from({ length: 70 }, (_, i) => String(i)))
})

test('what was not acknowledged comes again after the connection broke, marked, and a late acknowledgement of the old copy is not sent', async () => {
  const { pool: p, got } = pool({ receiveMaximum: 100 })
  await subscribed(p)
  await publish(10)
  await count(got, 10)
  p.acknowledge(got.slice(0, 4))
  await vi.waitUntil(() => proxy.pubacks.length === 4)
  proxy.cut()
  await count(got, 16)
  expect(texts(got.slice(10))).toEqual(['4', '5', '6', '7', '8', '9'])
  expect(got.slice(10).every((m) => m.redelivered)).toBe(true)
  p.acknowledge(got.slice(4, 10))
  await sleep(200)
  expect(proxy.pubacks).toHaveLength(4)
  p.acknowledge(got.slice(10))
  await vi.waitUntil(() => proxy.pubacks.length === 10)
  expect(p.stats()).toMatchObject({ redelivered: 6, unacknowledged: 0, bytes: 0, reconnects: 1 })
})

test('messages published while we are away are kept for us', async () => {
  const first = pool()
  await subscribed(first.pool)
  await publish(3)
  await count(first.got, 3)
  first.pool.acknowledge(first.got.slice(0, 2))
  await first.pool.close()
  await publish(5, 3)
  const { pool: p, got } = pool()
  await count(got, 6)
  expect(texts(got)).toEqual(['2', '3', '4', '5', '6', '7'])
  p.acknowledge(got)
})

test('a stall longer than every keep-alive keeps the connection, and goes on where it was', async () => {
  const { pool: p, got } = pool({ receiveMaximum: 500, bytesMax: 20_000, keepaliveS: 1 })
  await subscribed(p)
  await publish(200)
  await sleep(4_500)
  expect(p.stats()).toMatchObject({ stalled: true, connected: 1, reconnects: 0 })
  expect(got.length).toBeLessThan(60)
  for (let done = 0; done < 200; ) {
    await count(got, done + 1)
    const batch = got.slice(done)
    done += batch.length
    p.acknowledge(batch)
  }
  expect(texts(got)).toEqual(Array.from({ length: 200 }, (_, i) => String(i)))
  expect(p.stats()).toMatchObject({ reconnects: 0, stalled: false })
}, 30_000)

test('QoS 0 messages are bounded by bytes as well', async () => {
  const { pool: p, got } = pool({ bytesMax: 10_000 })
  await subscribed(p)
  for (let i = 0; i < 200; i++) publisher.publish(topic, String(i), { qos: 0 })
  await sleep(500)
  expect(got.length).toBeLessThan(40)
  for (let done = 0; done < 200; ) {
    await count(got, done + 1)
    const batch = got.slice(done)
    done += batch.length
    p.acknowledge(batch)
  }
  expect(proxy.pubacks).toEqual([])
})

test('a session that stops delivering while its connection lives is reconnected', async () => {
  const { pool: p, got } = pool({ watchdog: true, watchdogIntervalMs: 300 })
  await subscribed(p)
  await sleep(1_000)
  proxy.swallowPublishes = true
  await publish(5)
  await vi.waitUntil(() => p.stats().watchdogRestarts > 0, { timeout: 10_000 })
  proxy.swallowPublishes = false
  await count(got, 5)
  p.acknowledge(got)
  expect(p.stats().received).toBeGreaterThanOrEqual(5)
}, 30_000)

test('a broker that says that another process took our name is heard', async () => {
  const onTakenOver = vi.fn()
  const { pool: p } = pool({ onTakenOver })
  await subscribed(p)
  proxy.tellClients({ cmd: 'disconnect', reasonCode: 0x8e } as Packet)
  await vi.waitUntil(() => onTakenOver.mock.calls.length > 0)
})

test('a broker that only hangs up on the elder of two is noticed by its pattern', async () => {
  const error = vi.fn()
  const { pool: p } = pool({ log: { ...silentLog, info: () => undefined, warn: () => undefined, error } })
  await subscribed(p)
  for (let i = 0; i < 5; i++) {
    proxy.cut()
    await vi.waitUntil(() => p.stats().reconnects > i && p.stats().connected === 1, { timeout: 5_000 })
  }
  await vi.waitUntil(() => error.mock.calls.some(([, text]) => /another ingest/.test(text as string)))
}, 30_000)

test('a filter that the broker refuses is told, and the others work', async () => {
  const error = vi.fn()
  proxy.subackCodes = [0x87, 1]
  const log = { ...silentLog, info: () => undefined, warn: () => undefined, error }
  const { pool: p, got } = pool({ filters: ['not/for/us', topic], log })
  await subscribed(p)
  await publish(3)
  await count(got, 3)
  p.acknowledge(got)
  expect(error.mock.calls).toMatchObject([[{ problem: 'the broker refuses not/for/us' }, 'cannot subscribe']])
})

test('a pool shares the messages', async () => {
  const { pool: p, got } = pool({ connections: 4 })
  await subscribed(p)
  await publish(100)
  await count(got, 100)
  p.acknowledge(got)
  await vi.waitUntil(() => proxy.pubacks.length === 100)
  expect(new Set(texts(got)).size).toBe(100)
})

interface Proxy {
  url: string
  /** Packet ids of PUBACKs that clients sent, and of PUBLISHes (QoS 1) that the broker sent to them. */
  pubacks: number[]
  publishes: number[]
  swallowPublishes: boolean
  /** Instead of what the broker granted. */
  subackCodes: number[] | undefined
  /** Writes a packet to every client as if the broker sent it. */
  tellClients(packet: Packet): void
  cut(): void
  close(): Promise<void>
}

/** A network between clients and the broker that is watched packet by packet. */
async function startProxy(to: URL): Promise<Proxy> {
  const port = Number(to.port)
  const sockets = new Set<Socket>()
  const clients = new Set<Socket>()
  const server: Server = createServer((client) => {
    const broker = dial(port, '127.0.0.1')
    clients.add(client)
    for (const [from, onto, seen] of [
      [client, broker, (p: Packet) => void (p.cmd === 'puback' && state.pubacks.push(p.messageId as number))],
      [broker, client, (p: Packet) => void (p.cmd === 'publish' && p.qos === 1 && state.publishes.push(p.messageId as number))],
    ] as const) {
      const parser = packets.parser({ protocolVersion: 5 })
      parser.on('packet', seen)
      parser.on('packet', (p) => {
        if (from === broker && p.cmd === 'publish' && state.swallowPublishes) return
        if (p.cmd === 'suback' && state.subackCodes !== undefined) p.granted = state.subackCodes
        onto.write(packets.generate(p, { protocolVersion: 5 }))
      })
      from.on('data', (d) => parser.parse(d))
      from.on('error', () => onto.destroy())
      from.on('close', () => onto.end())
      sockets.add(from)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const state: Proxy = {
    url: Object.assign(new URL(to), { port: String((server.address() as AddressInfo).port) }).href,
    pubacks: [],
    publishes: [],
    swallowPublishes: false,
    subackCodes: undefined,
    tellClients: (packet) => {
      for (const c of clients) c.write(packets.generate(packet, { protocolVersion: 5 }))
    },
    cut: () => {
      for (const s of sockets) s.destroy()
      sockets.clear()
    },
    close: async () => {
      for (const s of sockets) s.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return state
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt from 'mqtt'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { startTestServers } from '../../deploy/local/test-servers.ts'
import { startAgent } from './agent.ts'

/** A way to the broker that can be cut. */
class Cable {
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  readonly #target: number
  port = 0

  constructor(target: number) {
    this.#target = target
  }

  async plug(): Promise<void> {
    this.#server = createServer((from) => {
      const to = dial(this.#target, '127.0.0.1')
      for (const s of [from, to]) {
        this.#sockets.add(s)
        s.on('error', () => s.destroy())
        s.on('close', () => this.#sockets.delete(s))
      }
      from.pipe(to).pipe(from)
    })
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  async cut(): Promise<void> {
    for (const s of this.#sockets) s.destroy()
    const server = this.#server as Server
    server.close()
    await once(server, 'close')
  }
}

let cable: Cable
/** The broker's address, by way of the cable. */
let url: string
let dir: string
let listener: mqtt.MqttClient
let heard: { topic: string; payload: string }[] = []

beforeAll(async () => {
  const direct = new URL((await startTestServers()).mqtt.url)
  cable = new Cable(Number(direct.port))
  await cable.plug()
  const through = new URL(direct)
  through.port = String(cable.port)
  url = through.href
  dir = mkdtempSync(join(tmpdir(), 'agent-'))
  listener = await mqtt.connectAsync(direct.href)
  listener.on('message', (topic, payload) => {
    heard.push({ topic, payload: payload.toString() })
  })
  await listener.subscribeAsync(['telemetry/v1/AGENT-1/#', 'telemetry/v1/AGENT-2/#'], { qos: 1 })
})
afterAll(async () => {
  await listener.endAsync()
  await cable.cut()
  rmSync(dir, { recursive: true, force: true })
})

const readingsOf = (gateway: string) =>
  heard
    .filter((m) => m.topic === `telemetry/v1/${gateway}/readings`)
    .map((m) => JSON.parse(m.payload) as { seq: number; readings: { value: number }[] })

test('hours offline: everything is kept and forwarded in order once the broker is back', async () => {
  const agent = startAgent({
    url,
    gateway: 'AGENT-1',
    dir: join(dir, 'one'),
    entriesMax: 10,
    flushMs: 20,
    retryMsMax: 300,
  })
  let value = 0
  const put = (n: number) => {
    for (let i = 0; i < n; i++) agent.put({ device: 'W-1', quantity: 'flow_m3h', ts: '2026-03-01T10:00:00Z', value: value++ })
  }
  put(100)
  await vi.waitUntil(() => agent.forwarded >= 10, { timeout: 10_000 })
  await cable.cut()
  put(5_000)
  await vi.waitUntil(() => !agent.connected, { timeout: 10_000 })
  put(5_000)
  agent.flush()
  expect(agent.waiting).toBeGreaterThan(900)
  await cable.plug()
  await vi.waitUntil(() => agent.waiting === 0, { timeout: 20_000 })
  await agent.close()
  await sleep(200)
  const once = new Map(readingsOf('AGENT-1').map((m) => [m.seq, m.readings.map((r) => r.value)]))
  expect([...once.keys()]).toEqual([...once.keys()].sort((a, b) => a - b))
  expect([...once.values()].flat()).toEqual(Array.from({ length: value }, (_, i) => i))
  const status = heard.filter((m) => m.topic.endsWith('AGENT-1/status')).map((m) => (JSON.parse(m.payload) as { online: boolean }).online)
  expect(status[0]).toBe(true)
  expect(status.at(-1)).toBe(false)
})

test('kill -9 at any moment: every line that was told as kept arrives, under one number, in order', async () => {
  heard = []
  let kept = 0
  let fed = 0
  const start = (): ChildProcess => {
    const from = kept
    fed = kept
    const child = spawn(
      process.execPath,
      ['simulators/gateways/agent-cli.ts', '--gateway', 'AGENT-2', '--spool', join(dir, 'two'), '--url', url, '--flush', '10'],
      { stdio: ['pipe', 'pipe', 'ignore'] },
    )
    let text = ''
    child.stdout?.on('data', (data: Buffer) => {
      text += data.toString()
      const lines = text.split('\n')
      text = lines.pop() as string
      for (const l of lines) kept = from + (JSON.parse(l) as { line: number }).line
    })
    child.stdin?.on('error', () => child.stdin?.destroy())
    return child
  }
  const feed = (child: ChildProcess, n: number) => {
    for (let i = 0; i < n; i++)
      child.stdin?.write(`${JSON.stringify({ device: 'W-2', quantity: 'flow_m3h', ts: '2026-03-01T10:00:00Z', value: fed++ })}\n`)
  }
  for (let round = 0; round < 4; round++) {
    const child = start()
    const before = kept
    feed(child, 3_000)
    await vi.waitUntil(() => kept > before + 300 * (round + 1), { timeout: 30_000 })
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  const last = start()
  feed(last, 500)
  last.stdin?.end()
  await once(last, 'close')
  await sleep(300)
  // Lines that were fed and not told as kept are fed again, so a value may come twice under two numbers; a number never changes its content.
  const byNumber = new Map<number, string>()
  for (const m of readingsOf('AGENT-2')) {
    const content = m.readings.map((r) => r.value).join()
    expect(byNumber.get(m.seq) ?? content).toBe(content)
    byNumber.set(m.seq, content)
  }
  const numbers = [...byNumber.keys()]
  expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
  expect(numbers.at(-1)).toBe(numbers.length)
  const values = new Set([...byNumber.values()].flatMap((c) => c.split(',').map(Number)))
  const missing = Array.from({ length: fed }, (_, i) => i).filter((v) => !values.has(v))
  expect(missing).toEqual([])
})

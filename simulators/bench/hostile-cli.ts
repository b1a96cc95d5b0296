// node simulators/bench/hostile-cli.ts: a million hostile messages against the real broker and the real ingest. Each must be counted with
// a disposition, none may stop ingest or the good message among them, and ingest's memory must stay where it was.
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import mqtt from 'mqtt'
import { HOUR_MS, toIso } from '#model/time.ts'
import { makeRandom, type Random } from '../random.ts'
import { type FleetOptions, gatewayId } from './fleet.ts'
import { openServers, Service } from './system.ts'

const USAGE = 'usage: node simulators/bench/hostile-cli.ts [--messages 1000000] [--seed 1]'
/** One in so many messages is a good one, which must arrive. */
const GOOD_EVERY = 1_000
/** Ingest's memory after the first tenth and at the end may differ by this much: V8 does not give all back at once. */
const GROWTH_MB_MAX = 64
const SAMPLES = 10
/** The broker's queue is bounded (512 MB): no more than so many messages wait in it. */
const BACKLOG_MAX = 10_000
const CHECK_EVERY = 2_000
const INGEST_PORT = 'INGEST_PORT'

const say = (line: string): void => void process.stderr.write(`${line}\n`)

const DEEP = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
const LONG = 'x'.repeat(200_000)
/** Ids that are text for somebody: SQL, line protocol, shells, paths, other alphabets. */
const IDS = [
  "'; DROP TABLE readings; --",
  'a,b=c d',
  'new\nline',
  'quo"te',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  ' ',
  '',
  '\u0000',
  '\ud800',
  '水表-1',
  LONG,
]
const VALUES = ['1e308', '-1e308', '1e999', 'NaN', 'null', '"12"', 'true', '[]', '{}', '-0', '""', '9007199254740993']
const TIMES = ['1970-01-01T00:00:00Z', '2099-01-01T00:00:00Z', '2026-02-30T00:00:00Z', '2026-03-01T10:00:00', 'yesterday', '', '0']
const TOPICS = [
  'telemetry/v1/GW-0001/readings',
  'telemetry/v1/GW-0002/status',
  'telemetry/v1/nobody/readings',
  'application/a/device/0101010101010101/event/up',
  'v3/a@t/devices/d/up',
  'wmbusmeters/12345678',
  'v1/gateway/telemetry',
  'spBv1.0/G/DDATA/n/d',
  'spBv1.0/G/NBIRTH/n',
  'dsmr/raw',
  'tele/x/SENSOR',
  'rtl_433/h/events',
  'shellypro3em-08f9e0e67204/events/rpc',
  'zigbee2mqtt/x',
  'zigbee2mqtt/bridge/devices',
  'devices/d/messages/events/',
  'crews/c',
]

const text = (t: string): string => JSON.stringify(t)

function payload(random: Random, n: number): Buffer | string {
  const reading = (more: string): string => `{"seq":${n},"readings":[${more}]}`
  const now = text(toIso(Date.now()))
  switch (random.int(12)) {
    case 0:
      return reading(`{"device":${text(random.pick(IDS))},"quantity":"flow_m3h","ts":${now},"value":1}`)
    case 1:
      return reading(`{"device":"M-1","quantity":"flow_m3h","ts":${now},"value":${random.pick(VALUES)}}`)
    case 2:
      return reading(`{"device":"M-1","quantity":"flow_m3h","ts":${text(random.pick(TIMES))},"value":1}`)
    case 3:
      return reading(`{"device":"M-1","device":"M-2","quantity":"__proto__","ts":${now},"value":1,"__proto__":{"value":2}}`)
    case 4:
      return '{"readings":[{"device":"M-1","quan'
    case 5:
      return n % 200 === 0 ? DEEP : '[[[[[[[[[[]]]]]]]]]]'
    case 6:
      return Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])
    case 7:
      return Buffer.from(Array.from({ length: random.int(200) }, () => random.int(256)))
    case 8:
      return n % 500 === 0 ? Buffer.alloc(3_000_000, 32) : ''
    case 9:
      return `{"online":${random.pick(VALUES)},"ts":${text(random.pick(TIMES))}}`
    case 10:
      return `{"object":{"volume_m3":${random.pick(VALUES.filter((v) => v !== 'NaN'))}},"deviceInfo":{"devEui":${text(random.pick(IDS))}},"id":${text(random.pick(IDS))}}`
    default:
      return `{"__proto__":[{"ts":${random.int(2)},"values":{"flow_m3h":1}}],"${n}":{"constructor":{"prototype":1}}}`
  }
}

function rssMb(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN) / 1024)
}

async function counted(
  ingest: Service,
): Promise<{ messages: number; byDisposition: Record<string, number>; byReason: Record<string, number> }> {
  const metrics = await (await fetch(`${ingest.url}/metrics`)).text()
  const sums = (name: string, label: string): Record<string, number> => {
    const found: Record<string, number> = {}
    for (const m of metrics.matchAll(new RegExp(`^${name}\\{[^}]*${label}="([^"]*)"[^}]*\\} (\\d+)$`, 'gm')))
      found[m[1] as string] = (found[m[1] as string] ?? 0) + Number(m[2])
    return found
  }
  const byDisposition = sums('meterstream_ingest_messages_total', 'disposition')
  const messages = Object.values(byDisposition).reduce((a, b) => a + b, 0)
  return { messages, byDisposition, byReason: sums('meterstream_ingest_refusals_total', 'reason') }
}

const WINDOW = 1_000

/** Publishes with a window of unacknowledged messages. */
async function openSender(url: string): Promise<{ send(topic: string, payload: Buffer | string): Promise<void>; close(): Promise<void> }> {
  const client = await mqtt.connectAsync(url, { clientId: 'hostile', log: () => undefined })
  let waiting = 0
  let wake: () => void = () => undefined
  const room = async (most: number): Promise<void> => {
    while (waiting > most)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
  }
  return {
    async send(topic, body) {
      waiting += 1
      client.publish(topic, body, { qos: 1 }, () => {
        waiting -= 1
        wake()
      })
      await room(WINDOW)
    },
    async close() {
      await room(0)
      await client.endAsync()
    },
  }
}

async function run(total: number, seed: number, dir: string): Promise<boolean> {
  const fleet: FleetOptions = { meters: 200, zones: 2, gateways: 2, perMessage: 1, readings: 0, startMs: Date.now() - HOUR_MS, seed }
  const servers = await openServers(dir, ['kafka', 'postgres', 'mqtt'], fleet, say)
  const ingest = new Service({
    name: 'ingest',
    entry: 'ingest/main.ts',
    dir,
    env: { ...servers.env, LOG_LEVEL: 'error', METERSTREAM_CLOCK: 'wall' },
    profile: false,
  })
  try {
    await ingest.start(INGEST_PORT)
    const { pid } = ingest
    const sender = await openSender(servers.mqtt.url)
    const random = makeRandom(seed)
    const memoryMb: number[] = []
    let good = 0
    for (let n = 0; n < total; n++) {
      if (n % GOOD_EVERY === 0) {
        good += 1
        const reading = { device: 'W-0', quantity: 'water_volume_m3', ts: toIso(fleet.startMs + good), value: good }
        await sender.send(`telemetry/v1/${gatewayId(0)}/readings`, JSON.stringify({ seq: n, readings: [reading] }))
        continue
      }
      await sender.send(random.pick(TOPICS), payload(random, n))
      if (n % CHECK_EVERY === 1) while ((await counted(ingest)).messages < n - BACKLOG_MAX) await sleep(100)
      if ((n + 1) % Math.ceil(total / SAMPLES) === 0) {
        memoryMb.push(rssMb(pid))
        say(`${n + 1} messages, ${memoryMb.at(-1)} MB`)
      }
    }
    await sender.close()
    for (const began = Date.now(); (await counted(ingest)).messages < total && Date.now() - began < 120_000; ) await sleep(500)
    memoryMb.push(rssMb(pid))
    const found = await counted(ingest)
    const readings = await ingest.metric('meterstream_readings_total')
    const growthMb = Math.max(...memoryMb.slice(1)) - (memoryMb[0] as number)
    const ok = found.messages === total && readings >= good && growthMb <= GROWTH_MB_MAX
    process.stdout.write(`${JSON.stringify({ type: 'hostile', ok, sent: total, ...found, good, readings, memoryMb, growthMb }, null, 1)}\n`)
    return ok
  } finally {
    await ingest.stop('SIGKILL')
    await servers.stop()
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { messages: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' } } })
  const total = Number(values.messages)
  if (!Number.isSafeInteger(total) || total < SAMPLES) throw new Error(USAGE)
  const dir = mkdtempSync(join(tmpdir(), 'meterstream-hostile-'))
  chmodSync(dir, 0o755)
  try {
    if (!(await run(total, Number(values.seed), dir))) process.exitCode = 1
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

await main()

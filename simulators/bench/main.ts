// `npm run bench`: what a reading costs, end to end, against real servers of its own. Publishes a known fleet's readings, waits until
// all are stored, compares count, keys and sums exactly, and reports readings/s and CPU by process. A run that lost or doubled a
// reading is a failed run.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { HOUR_MS } from '#model/time.ts'
import { TOPICS } from '#model/topics.ts'
import type { ServerName, Servers } from '../../deploy/local/servers.ts'
import type { FleetOptions, Totals } from './fleet.ts'
import { openPublisher, openServers, type Publisher, Service } from './system.ts'
import { Meter, type Usage } from './usage.ts'
import { storedCount, type Verdict, verifyLog, verifyStore } from './verify.ts'

const USAGE = `usage: bench [--readings 1000000] [--per-message 100] [--meters 50000] [--zones 50] [--gateways 200] [--warmup 100000]
             [--rate READINGS_PER_S] [--stage ingest|all] [--processors 1] [--pool N] [--kill] [--profile] [--json FILE] [--keep]`
const CONNECTIONS = 20
const WINDOW = 20
const WAIT_MS_MAX = 600_000

interface Options {
  fleet: FleetOptions
  warmup: number
  rate: number
  stage: 'ingest' | 'all'
  processors: number
  pool: string
  kill: boolean
  profile: boolean
  json: string | undefined
  keep: boolean
}

interface Result {
  options: {
    readings: number
    perMessage: number
    meters: number
    zones: number
    gateways: number
    stage: string
    kill: boolean
    rate: number
    processors: number
  }
  seconds: number
  publishSeconds: number
  readingsPerSecond: number
  cpuSecondsPerMillion: Record<string, number>
  cpuSecondsPerMillionTotal: number
  peakRssMb: Record<string, number>
  bytesPerReading: number
  log: Verdict
  store: Verdict | undefined
  /** Messages that ingest held when it was killed. */
  heldAtKill: number | undefined
  ok: boolean
}

const say = (line: string): void => void process.stderr.write(`${line}\n`)

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      'readings': { type: 'string', default: '1000000' },
      'per-message': { type: 'string', default: '100' },
      'meters': { type: 'string', default: '50000' },
      'zones': { type: 'string', default: '50' },
      'gateways': { type: 'string', default: '200' },
      'warmup': { type: 'string', default: '100000' },
      'rate': { type: 'string', default: '0' },
      'stage': { type: 'string', default: 'all' },
      'processors': { type: 'string', default: '1' },
      'pool': { type: 'string', default: '' },
      'kill': { type: 'boolean', default: false },
      'profile': { type: 'boolean', default: false },
      'json': { type: 'string' },
      'keep': { type: 'boolean', default: false },
    },
  })
  const number = (text: string, name: string) => {
    const n = Number(text)
    if (!Number.isSafeInteger(n) || n < 0) throw new Error(`--${name} must be a number\n${USAGE}`)
    return n
  }
  if (values.stage !== 'ingest' && values.stage !== 'all') throw new Error(`--stage must be ingest or all\n${USAGE}`)
  const readings = number(values.readings, 'readings') + number(values.warmup, 'warmup')
  const zones = number(values.zones, 'zones')
  const gateways = number(values.gateways, 'gateways')
  if (zones % 2 !== 0 || gateways % zones !== 0) throw new Error('--zones must be even and divide --gateways')
  // The last of the readings are of now: the fleet forwards what it kept, hour by hour. 125,000 an hour of 50,000 meters.
  const meters = number(values.meters, 'meters')
  const hours = Math.ceil(readings / (meters * 2.5))
  return {
    fleet: {
      meters,
      zones,
      gateways,
      perMessage: number(values['per-message'], 'per-message'),
      readings,
      startMs: Math.floor(Date.now() / HOUR_MS - hours) * HOUR_MS,
      seed: 7,
    },
    warmup: number(values.warmup, 'warmup'),
    rate: number(values.rate, 'rate'),
    stage: values.stage,
    processors: number(values.processors, 'processors'),
    pool: values.pool,
    kill: values.kill,
    profile: values.profile,
    json: values.json,
    keep: values.keep,
  }
}

interface Bench {
  o: Options
  servers: Servers
  ingest: Service
  processors: Service[]
  publisher: Publisher
}

const INGEST_PORT = 'INGEST_PORT'
const PROCESSORS_PORT = 'PROCESSORS_PORT'

async function open(o: Options, dir: string): Promise<Bench> {
  const only: ServerName[] = o.stage === 'ingest' ? ['kafka', 'postgres', 'mqtt'] : ['kafka', 'questdb', 'postgres', 'mqtt']
  const servers = await openServers(dir, only, o.fleet, say)
  const env = { ...servers.env, LOG_LEVEL: 'info', METERSTREAM_CLOCK: 'wall', ...(o.pool === '' ? {} : { MQTT_POOL: o.pool }) }
  const service = (name: string, entry: string) => new Service({ name, entry, dir, env, profile: o.profile })
  const ingest = service('ingest', 'ingest/main.ts')
  const processors =
    o.stage === 'ingest' ? [] : Array.from({ length: o.processors }, (_, i) => service(`processors-${i}`, 'processors/main.ts'))
  const bench = { o, servers, ingest, processors, publisher: undefined as unknown as Publisher }
  try {
    say('starting ingest and processors')
    await ingest.start(INGEST_PORT)
    for (const p of processors) await p.start(PROCESSORS_PORT)
    say(`building ${o.fleet.readings} readings`)
    const warmupMessages = Math.floor(o.warmup / o.fleet.perMessage)
    const { url } = servers.mqtt
    bench.publisher = await openPublisher({ fleet: o.fleet, url, connections: CONNECTIONS, window: WINDOW, warmupMessages, rate: o.rate })
    return bench
  } catch (error) {
    await close(bench)
    throw error
  }
}

async function close({ servers, ingest, processors, publisher }: Bench): Promise<void> {
  publisher?.stop()
  await Promise.all([ingest, ...processors].map((s) => s.stop()))
  await servers.stop()
}

/** Readings that have arrived where the stage ends. */
async function arrived({ o, servers, ingest }: Bench): Promise<number> {
  if (o.stage === 'all') return storedCount(servers.questdb.url, 'readings')
  return ingest.metric('meterstream_readings_total')
}

/** Polled rarely: asking costs what is measured. Near the end more often, for the end is the result. */
async function untilArrived(bench: Bench, expected: Totals, published: Promise<unknown>): Promise<void> {
  let done = false
  void published.then(() => {
    done = true
  })
  const began = Date.now()
  for (let shown = began; ; ) {
    await sleep(done ? 200 : 1_000)
    const n = await arrived(bench)
    if (n >= expected.readings) return
    if (Date.now() - shown > 5_000) {
      shown = Date.now()
      say(`${n} of ${expected.readings}`)
    }
    if (Date.now() - began > WAIT_MS_MAX)
      throw new Error(`only ${n} of ${expected.readings} readings arrived within ${WAIT_MS_MAX / 1000} s`)
  }
}

/**
 * kill -9 of ingest when it has a third of the readings, and of a processor when two thirds are stored. Returns the messages that ingest
 * held when it was killed: with none the kill would have proved nothing.
 */
async function killMidway(bench: Bench, from: number, all: Totals): Promise<number> {
  const { ingest, servers } = bench
  const share = (part: number) => from + (all.readings - from) * part
  while ((await ingest.metric('meterstream_readings_total')) < share(1 / 3)) await sleep(20)
  const held = await ingest.metric('meterstream_ingest_in_flight_messages')
  say(`kill -9 ingest, which holds ${held} messages`)
  await ingest.killAndRestart(INGEST_PORT)
  const [processor] = bench.processors
  if (processor === undefined) return held
  while ((await storedCount(servers.questdb.url, 'readings')) < share(2 / 3)) await sleep(100)
  say('kill -9 processors')
  await processor.killAndRestart(PROCESSORS_PORT)
  return held
}

/** Killing resets ingest's counter: then the log itself is asked. */
async function untilInLog(bench: Bench, expected: Totals): Promise<Verdict> {
  for (const began = Date.now(); ; await sleep(1_000)) {
    const idle = (await bench.ingest.metric('meterstream_ingest_in_flight_messages')) === 0
    if (!idle && Date.now() - began < WAIT_MS_MAX) continue
    const v = await verifyLog(bench.servers.kafka.brokers, TOPICS.telemetry, expected)
    if (v.ok || Date.now() - began > 30_000) return v
  }
}

async function measure(bench: Bench): Promise<Result> {
  const { o, servers, ingest, processors, publisher } = bench
  const { warmup, all } = publisher.ready
  if (warmup.messages > 0) {
    say(`warm-up: ${warmup.readings} readings`)
    await untilArrived(bench, warmup, publisher.go())
    await sleep(1_000)
  } else await publisher.go()
  for (const s of [ingest, ...processors]) s.resetMeter()
  const meters: [string, Meter][] = [
    ['mosquitto', new Meter(servers.mqtt.pid)],
    ['kafka', new Meter(servers.kafka.pid)],
    ...(o.stage === 'all' ? [['questdb', new Meter(servers.questdb.pid)] as [string, Meter]] : []),
    ['postgres', new Meter(servers.postgres.pid, true)],
    ...[ingest, ...processors].map((s): [string, Meter] => [s.name, s.meter as Meter]),
    ['generator', publisher.meter()],
  ]
  say(`publishing ${all.readings - warmup.readings} readings, ${o.fleet.perMessage} per message`)
  const began = performance.now()
  const published = publisher.go()
  const killed = o.kill ? killMidway(bench, warmup.readings, all) : undefined
  const waitsOnCounter = !(o.kill && o.stage === 'ingest')
  if (waitsOnCounter) await untilArrived(bench, all, published)
  await published
  const heldAtKill = await killed
  const { ms } = await published
  const inLog = waitsOnCounter ? undefined : await untilInLog(bench, all)
  const seconds = (performance.now() - began) / 1000
  const usage = meters.map(([name, meter]): [string, Usage] => [name, meter.read()])
  say('verifying')
  // A late repetition would show now.
  await sleep(o.kill ? 3_000 : 500)
  const log = inLog ?? (await verifyLog(servers.kafka.brokers, TOPICS.telemetry, all))
  const store = o.stage === 'all' ? await verifyStore(servers.questdb.url, 'readings', all) : undefined
  const n = all.readings - warmup.readings
  const cpu = Object.fromEntries(usage.map(([name, u]) => [name, round((u.cpuS / n) * 1e6)]))
  return {
    options: {
      readings: n,
      perMessage: o.fleet.perMessage,
      meters: o.fleet.meters,
      zones: o.fleet.zones,
      gateways: o.fleet.gateways,
      stage: o.stage,
      kill: o.kill,
      rate: o.rate,
      processors: processors.length,
    },
    seconds: round(seconds),
    publishSeconds: round(ms / 1000),
    readingsPerSecond: Math.round(n / seconds),
    cpuSecondsPerMillion: cpu,
    cpuSecondsPerMillionTotal: round(Object.entries(cpu).reduce((sum, [name, s]) => sum + (name === 'generator' ? 0 : s), 0)),
    peakRssMb: Object.fromEntries(usage.map(([name, u]) => [name, Math.round(u.peakRssMb)])),
    bytesPerReading: round(publisher.ready.bytes / all.readings),
    log,
    store,
    heldAtKill,
    ok: log.ok && (store?.ok ?? true) && heldAtKill !== 0,
  }
}

const round = (x: number): number => Math.round(x * 100) / 100

function table(r: Result): string {
  const names = Object.keys(r.cpuSecondsPerMillion)
  const rows = names.map(
    (n) =>
      `| ${n.padEnd(14)} | ${(r.cpuSecondsPerMillion[n] as number).toFixed(2).padStart(17)} | ${String(r.peakRssMb[n]).padStart(11)} |`,
  )
  const check = (name: string, v: Verdict) =>
    `${name}: ${v.found} found, ${v.distinct} distinct, ${v.lost} lost, ${v.repeated} repeated, sums ${v.ok ? 'agree' : 'DIFFER or count is wrong'}`
  return [
    `${r.options.readings} readings, ${r.options.perMessage} per message, ${r.options.meters} meters, stage ${r.options.stage}${r.options.kill ? ', with kill -9' : ''}`,
    `${r.readingsPerSecond} readings/s (${r.seconds} s; published in ${r.publishSeconds} s)`,
    '',
    '| process        | CPU s per million | peak RSS MB |',
    '| -------------- | ----------------- | ----------- |',
    ...rows,
    `| all but generator | ${r.cpuSecondsPerMillionTotal.toFixed(2).padStart(14)} |             |`,
    '',
    check('log', r.log),
    ...(r.store === undefined ? [] : [check('store', r.store)]),
    r.ok ? 'ok' : 'FAILED',
  ].join('\n')
}

const o = readOptions()
const dir = mkdtempSync(join(tmpdir(), 'meterstream-bench-'))
// Servers that run as another user must be able to reach their folders.
chmodSync(dir, 0o755)
try {
  const bench = await open(o, dir)
  try {
    const result = await measure(bench)
    process.stdout.write(`${table(result)}\n`)
    if (o.json !== undefined) writeFileSync(o.json, `${JSON.stringify(result, undefined, 1)}\n`)
    process.exitCode = result.ok ? 0 : 1
  } finally {
    await close(bench)
  }
} catch (error) {
  say(`bench: ${(error as Error).message}`)
  process.exitCode = 1
} finally {
  if (o.keep || o.profile) say(`kept: ${dir}`)
  else rmSync(dir, { recursive: true, force: true })
}

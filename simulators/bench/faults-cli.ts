// node simulators/bench/faults-cli.ts: a fleet's readings while ingest is killed -9 at random and Kafka stands still for a minute. Then
// every number must agree: published = accepted + duplicate + quarantined, and every accepted reading is in the store once. Readings
// that must be refused and messages that are sent twice on purpose are part of what is published.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import mqtt from 'mqtt'
import { countOf, unionOf } from '#model/ranges.ts'
import { HOUR_MS, toIso } from '#model/time.ts'
import { TOPICS } from '#model/topics.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import type { Servers } from '../../deploy/local/servers.ts'
import { makeRandom, type Random } from '../random.ts'
import { type FleetOptions, fleetMessages } from './fleet.ts'
import { openPublisher, openServers, Service } from './system.ts'
import { storedCount, type Verdict, verifyLog, verifyStore } from './verify.ts'

const USAGE =
  'usage: node simulators/bench/faults-cli.ts [--readings 1000000] [--gateways 200] [--kills 10] [--stop-kafka SECONDS] [--rate 8000] [--seed 1]'
const CONNECTIONS = 20
const WINDOW = 20
const PER_MESSAGE = 100
const WAIT_MS_MAX = 400_000
/** Messages sent again on purpose, messages for unknown devices, messages that are no JSON. */
const REPEATED = 50
const UNKNOWN = 20
const MALFORMED = 10
/** Ingest's and processors' variables of their ports. */
const INGEST_PORT = 'INGEST_PORT'
const PROCESSORS_PORT = 'PROCESSORS_PORT'

const say = (line: string): void => void process.stderr.write(`${line}\n`)

interface Options {
  fleet: FleetOptions
  kills: number
  stopKafkaS: number
  rate: number
  random: Random
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      'readings': { type: 'string', default: '1000000' },
      'gateways': { type: 'string', default: '200' },
      'kills': { type: 'string', default: '10' },
      'stop-kafka': { type: 'string', default: '60' },
      'rate': { type: 'string', default: '8000' },
      'seed': { type: 'string', default: '1' },
    },
  })
  const number = (name: keyof typeof values): number => {
    const n = Number(values[name])
    if (!Number.isSafeInteger(n) || n < 0) throw new Error(`--${name} must be a number\n${USAGE}`)
    return n
  }
  const readings = number('readings')
  const meters = 50_000
  return {
    fleet: {
      meters,
      zones: 50,
      gateways: number('gateways'),
      perMessage: PER_MESSAGE,
      readings,
      startMs: Math.floor(Date.now() / HOUR_MS - Math.ceil(readings / (meters * 2.5))) * HOUR_MS,
      seed: 7,
    },
    kills: number('kills'),
    stopKafkaS: number('stop-kafka'),
    rate: number('rate'),
    random: makeRandom(number('seed')),
  }
}

interface Faults {
  kills: number
  /** Messages that ingest held, unacknowledged, at each kill. */
  heldAtKill: number[]
  kafkaStoppedS: number
}

/** Kills spread at random over the time of publishing; one of them, and the standstill of Kafka, in its middle. */
async function makeTrouble(o: Options, ingest: Service, servers: Servers, publishS: number): Promise<Faults> {
  const times = Array.from({ length: o.kills }, () => 5 + o.random.next() * (publishS - 10)).sort((a, b) => a - b)
  const began = performance.now()
  const elapsed = (): number => (performance.now() - began) / 1000
  const heldAtKill: number[] = []
  let stopped = false
  const kill = async (): Promise<void> => {
    heldAtKill.push(await ingest.metric('meterstream_ingest_in_flight_messages').catch(() => Number.NaN))
    await ingest.killAndRestart(INGEST_PORT)
  }
  for (const [i, at] of times.entries()) {
    if (!stopped && (at > publishS / 2 || i === times.length - 1) && o.stopKafkaS > 0) {
      stopped = true
      say(`${elapsed().toFixed(0)} s: Kafka stands still`)
      servers.kill('kafka', 'SIGSTOP')
      const again = sleep(o.stopKafkaS * 1000).then(() => servers.kill('kafka', 'SIGCONT'))
      await sleep((o.stopKafkaS * 1000) / 2)
      say(`${elapsed().toFixed(0)} s: kill ${i + 1}, while Kafka stands still`)
      await kill()
      await again
      say(`${elapsed().toFixed(0)} s: Kafka goes on`)
      continue
    }
    await sleep(Math.max(200, (at - elapsed()) * 1000))
    say(`${elapsed().toFixed(0)} s: kill ${i + 1}`)
    await kill()
  }
  return { kills: heldAtKill.length, heldAtKill, kafkaStoppedS: stopped ? o.stopKafkaS : 0 }
}

interface OnPurpose {
  repeated: number
  unknown: number
  malformed: number
}

/** What must be recognised as sent before, and what must be refused. */
async function publishOnPurpose(o: Options, url: string): Promise<OnPurpose> {
  const client = await mqtt.connectAsync(url)
  const count: OnPurpose = { repeated: 0, unknown: 0, malformed: 0 }
  let n = 0
  for (const m of fleetMessages(o.fleet, { readings: 0, messages: 0, sumThousandths: 0 })) {
    if (n >= REPEATED) break
    // A message with the number 1 would be a counter that begins again.
    if (m.payload.toString('latin1', 0, 9) === '{"seq":1,') continue
    n += 1
    await client.publishAsync(m.topic, m.payload, { qos: 1 })
    count.repeated += m.readings
    const [, , gateway = ''] = m.topic.split('/')
    if (n <= UNKNOWN) {
      const readings = Array.from({ length: PER_MESSAGE }, (_, i) => ({
        device: `STRANGER-${i}`,
        quantity: 'flow_m3h',
        ts: toIso(o.fleet.startMs),
        value: i,
      }))
      await client.publishAsync(`telemetry/v1/${gateway}/readings`, JSON.stringify({ readings }), { qos: 1 })
      count.unknown += PER_MESSAGE
    }
    if (n <= MALFORMED) {
      await client.publishAsync(`telemetry/v1/${gateway}/readings`, `{"seq":${n},"readings":[`, { qos: 1 })
      count.malformed += 1
    }
  }
  await client.endAsync()
  return count
}

interface Ledger {
  received: number
  accepted: number
  duplicate: number
  redelivered: number
  quarantined: Record<string, number>
}

async function readLedger(url: string): Promise<Ledger> {
  const pool = createPool({ url, log: silentLog, max: 1 })
  try {
    const folds = await pool.query<Omit<Ledger, 'quarantined'>>(
      'SELECT sum(received)::bigint AS received, sum(accepted)::bigint AS accepted, sum(duplicate)::bigint AS duplicate, sum(redelivered)::bigint AS redelivered FROM ledger',
    )
    const refused = await pool.query<{ reason: string; n: number }>('SELECT reason, sum(entries)::bigint AS n FROM quarantine GROUP BY 1')
    const quarantined = Object.fromEntries(refused.rows.map((r) => [r.reason, r.n]))
    return { ...(folds.rows[0] as Omit<Ledger, 'quarantined'>), quarantined }
  } finally {
    await pool.end()
  }
}

interface Messages {
  /** Different numbers of the gateways' counters. */
  present: number
  missing: number
  deliveries: number
  redelivered: number
}

async function readMessages(url: string): Promise<Messages> {
  const pool = createPool({ url, log: silentLog, max: 1 })
  try {
    const { rows } = await pool.query<{ gateway: string; run: number; deliveries: number; redelivered: number; ranges: string[] }>(
      'SELECT gateway, run, deliveries, redelivered, ranges::text[] FROM message_ledger',
    )
    const sets = new Map<string, number[][]>()
    for (const r of rows) {
      const key = `${r.gateway} ${r.run}`
      sets.set(key, [...(sets.get(key) ?? []), r.ranges.map(Number)])
    }
    const whole = [...sets.values()].map(unionOf).filter((s) => s.length > 0)
    const present = whole.reduce((n, s) => n + countOf(s), 0)
    const expected = whole.reduce((n, s) => n + (s.at(-1) as number) - (s[0] as number) + 1, 0)
    const sum = (of: (r: (typeof rows)[number]) => number) => rows.reduce((n, r) => n + of(r), 0)
    return { present, missing: expected - present, deliveries: sum((r) => r.deliveries), redelivered: sum((r) => r.redelivered) }
  } finally {
    await pool.end()
  }
}

async function untilLedger(url: string, settled: (l: Ledger) => boolean): Promise<Ledger> {
  for (const began = Date.now(); ; await sleep(1_000)) {
    const ledger = await readLedger(url)
    if (settled(ledger) || Date.now() - began > 60_000) return ledger
  }
}

async function run(o: Options, dir: string): Promise<boolean> {
  const servers = await openServers(dir, ['kafka', 'questdb', 'postgres', 'mqtt'], o.fleet, say)
  const env = { ...servers.env, LOG_LEVEL: 'warn', METERSTREAM_CLOCK: 'wall' }
  const ingest = new Service({ name: 'ingest', entry: 'ingest/main.ts', dir, env, profile: false })
  const processors = new Service({ name: 'processors', entry: 'processors/main.ts', dir, env, profile: false })
  try {
    await ingest.start(INGEST_PORT)
    await processors.start(PROCESSORS_PORT)
    const publisher = await openPublisher({
      fleet: o.fleet,
      url: servers.mqtt.url,
      connections: CONNECTIONS,
      window: WINDOW,
      warmupMessages: 0,
      rate: o.rate,
    })
    await publisher.go()
    const { all } = publisher.ready
    say(`publishing ${all.readings} readings of ${o.fleet.gateways} gateways at ${o.rate}/s`)
    const published = publisher.go()
    const faults = await makeTrouble(o, ingest, servers, all.readings / o.rate)
    await published
    say('published; waiting until all are stored')
    const stored = () => storedCount(servers.questdb.url, 'readings')
    for (const began = Date.now(); (await stored()) < all.readings && Date.now() - began < WAIT_MS_MAX; ) await sleep(1_000)
    const purpose = await publishOnPurpose(o, servers.mqtt.url)
    const refusals = purpose.unknown + purpose.malformed
    const sum = (l: Ledger): number => Object.values(l.quarantined).reduce((a, b) => a + b, 0)
    const ledger = await untilLedger(
      servers.postgres.url,
      (l) => l.accepted === all.readings && l.duplicate - l.redelivered >= purpose.repeated && sum(l) >= refusals,
    )
    await sleep(2_000)
    const log = await verifyLog(servers.kafka.brokers, TOPICS.telemetry, all)
    const store = await verifyStore(servers.questdb.url, 'readings', all)
    publisher.stop()
    const messages = await readMessages(servers.postgres.url)
    return report({ published: all.readings, sent: all.messages, messages, purpose, ledger, faults, log, store, quarantined: sum(ledger) })
  } finally {
    await Promise.all([ingest.stop('SIGKILL'), processors.stop('SIGKILL')])
    await servers.stop()
  }
}

interface Report {
  published: number
  /** Messages of the fleet. */
  sent: number
  messages: Messages
  purpose: OnPurpose
  ledger: Ledger
  faults: Faults
  log: Verdict
  store: Verdict
  quarantined: number
}

/** Repeats by the broker or by ingest itself are no messages of a gateway: they are the duplicates beyond those sent on purpose. */
function report({ published, sent, messages, purpose, ledger, faults, log, store, quarantined }: Report): boolean {
  const total = published + purpose.repeated + purpose.unknown + purpose.malformed
  const repeats = ledger.duplicate - purpose.repeated
  const checks = {
    'received = accepted + duplicate (at the folds)': ledger.received === ledger.accepted + ledger.duplicate,
    'accepted = distinct readings published': ledger.accepted === published,
    'quarantined = what had to be': quarantined === purpose.unknown + purpose.malformed,
    'published = accepted + duplicate + quarantined':
      total === ledger.accepted + (ledger.duplicate - repeats) + quarantined && repeats >= 0,
    'every message number came, none is missing': messages.present === sent && messages.missing === 0,
    'log holds every reading': log.ok,
    'store holds every reading once': store.ok && store.found === ledger.accepted,
  }
  const ok = Object.values(checks).every(Boolean)
  process.stdout.write(
    `${JSON.stringify({ type: 'faults', ok, total, published, sent, messages, onPurpose: purpose, ledger, repeatsAfterFaults: repeats, faults, log, store, checks }, null, 1)}\n`,
  )
  return ok
}

async function main(): Promise<void> {
  const o = readOptions()
  const dir = mkdtempSync(join(tmpdir(), 'meterstream-faults-'))
  chmodSync(dir, 0o755)
  try {
    if (!(await run(o, dir))) process.exitCode = 1
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

await main()

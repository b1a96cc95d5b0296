// npm run faults: readings at a steady rate while parts of the system are killed -9 and stopped, one and two at a time, at random but
// repeatable moments. At the end every number must agree: each reading published is in the log, and in the store exactly once; the
// ledger shows no difference; no ticket is doubled.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { HOUR_MS } from '#model/time.ts'
import { TOPICS } from '#model/topics.ts'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import type { ServerName, Servers } from '../../deploy/local/servers.ts'
import type { FleetOptions } from '../bench/fleet.ts'
import { openPublisher, openServers, Service } from '../bench/system.ts'
import { storedCount, type Verdict, verifyLog, verifyStore } from '../bench/verify.ts'
import { makeRandom } from '../random.ts'
import { type Fault, planFaults, SERVICES, type ServiceName, type Target } from './plan.ts'

const USAGE = 'usage: npm run faults -- [--faults 30] [--rate 2000] [--seed 1] [--doc FILE]'
const CONNECTIONS = 20
const WINDOW = 20
const PORTS: Record<ServiceName, string> = {
  'ingest': 'INGEST_PORT',
  'processors-0': 'PROCESSORS_PORT',
  'processors-1': 'PROCESSORS_PORT',
  'api': 'API_PORT',
}
const ENTRIES: Record<ServiceName, string> = {
  'ingest': 'ingest/main.ts',
  'processors-0': 'processors/main.ts',
  'processors-1': 'processors/main.ts',
  'api': 'api/main.ts',
}
const RECOVERED_MS_MAX = 180_000
const STORED_MS_MAX = 300_000
const METERS = 50_000
/** Records; below it processors are as live as they ever are at this rate. */
const LAG_LIVE = 200
const QUEUE_LIVE_S = 2

const say = (line: string): void => void process.stderr.write(`${line}\n`)

interface Done extends Fault {
  /** From the end of the fault until all is live again, seconds. */
  recoveredS: number
}

const isService = (t: Target): t is ServiceName => (SERVICES as readonly string[]).includes(t)

class System {
  readonly servers: Servers
  readonly services: Record<ServiceName, Service>

  constructor(servers: Servers, dir: string) {
    this.servers = servers
    const env = { ...servers.env, LOG_LEVEL: 'warn', METERSTREAM_CLOCK: 'wall', API_TOKEN: 'a-token-for-the-fault-suite' }
    const service = (name: ServiceName) => new Service({ name, entry: ENTRIES[name], dir, env, profile: false })
    this.services = Object.fromEntries(SERVICES.map((n) => [n, service(n)])) as Record<ServiceName, Service>
  }

  async begin(t: Target, action: Fault['action']): Promise<void> {
    const signal = action === 'kill' ? 'SIGKILL' : 'SIGSTOP'
    if (!isService(t)) this.servers.kill(t as ServerName, signal)
    else if (action === 'kill') await this.services[t].stop('SIGKILL')
    else this.services[t].signal(signal)
  }

  async end(t: Target, action: Fault['action']): Promise<void> {
    if (action === 'pause') {
      if (isService(t)) this.services[t].signal('SIGCONT')
      else this.servers.kill(t as ServerName, 'SIGCONT')
    } else if (isService(t)) await this.services[t].start(PORTS[t])
    else await this.servers.start(t as ServerName)
  }

  /** Ready, no old message in ingest, no lag. A paused service may have ended itself: it is started, as a supervisor would. */
  async isLive(): Promise<boolean> {
    for (const name of SERVICES) {
      if (!this.services[name].runs) await this.services[name].start(PORTS[name])
      const ready = await fetch(`${this.services[name].url}/health/ready`, { signal: AbortSignal.timeout(2_000) }).then(
        (r) => r.ok,
        () => false,
      )
      if (!ready) return false
    }
    const metric = (name: ServiceName, what: string) => this.services[name].metric(what).catch(() => Number.NaN)
    const [age, a, b] = await Promise.all([
      metric('ingest', 'meterstream_ingest_queue_age_seconds'),
      metric('processors-0', 'meterstream_log_lag_records'),
      metric('processors-1', 'meterstream_log_lag_records'),
    ])
    return age <= QUEUE_LIVE_S && a + b <= LAG_LIVE
  }

  async untilLive(): Promise<void> {
    for (const began = performance.now(); !(await this.isLive()); await sleep(200))
      if (performance.now() - began > RECOVERED_MS_MAX) throw new Error(`not live ${RECOVERED_MS_MAX / 1000} s after a fault ended`)
  }

  async close(): Promise<void> {
    for (const s of Object.values(this.services)) s.signal('SIGCONT')
    await Promise.all(Object.values(this.services).map((s) => s.stop('SIGKILL')))
    await this.servers.stop()
  }
}

async function suffer(system: System, faults: readonly Fault[]): Promise<Done[]> {
  const done: Done[] = []
  for (const f of faults) {
    await sleep(f.afterS * 1000)
    await Promise.all(f.targets.map((t) => system.begin(t, f.action)))
    await sleep(f.lastsS * 1000)
    // What was killed is started again at this moment; its start is part of the recovery.
    const ended = performance.now()
    await Promise.all(f.targets.map((t) => system.end(t, f.action)))
    await system.untilLive()
    const recoveredS = (performance.now() - ended) / 1000
    done.push({ ...f, recoveredS })
    say(`${f.no}/${faults.length} ${f.action} ${f.targets.join(' and ')} for ${f.lastsS} s: live again after ${recoveredS.toFixed(1)} s`)
  }
  return done
}

interface Books {
  received: number
  accepted: number
  duplicate: number
  /** Keys of tickets that exist more than once. */
  doubledTickets: number
}

async function readBooks(url: string): Promise<Books> {
  const pool = createPool({ url, log: silentLog, max: 1 })
  try {
    const ledger = await pool.query<Omit<Books, 'doubledTickets'>>(
      'SELECT coalesce(sum(received), 0)::bigint AS received, coalesce(sum(accepted), 0)::bigint AS accepted, coalesce(sum(duplicate), 0)::bigint AS duplicate FROM ledger',
    )
    const tickets = await pool.query<{ n: number }>(
      'SELECT count(*)::bigint AS n FROM (SELECT key FROM tickets GROUP BY key HAVING count(*) > 1) t',
    )
    return { ...(ledger.rows[0] as Omit<Books, 'doubledTickets'>), doubledTickets: tickets.rows[0]?.n ?? 0 }
  } finally {
    await pool.end()
  }
}

interface Report {
  seed: number
  rate: number
  readings: number
  faults: Done[]
  log: Verdict
  store: Verdict
  books: Books
  checks: Record<string, boolean>
  ok: boolean
}

async function run(o: { count: number; rate: number; seed: number }, dir: string): Promise<Report> {
  const faults = planFaults(makeRandom(o.seed), o.count)
  // Load for all of it: what is left is published after the last fault.
  const seconds = faults.reduce((s, f) => s + f.afterS + f.lastsS + 8, 20)
  const readings = Math.ceil((seconds * o.rate) / 100) * 100
  const fleet: FleetOptions = {
    ...{ meters: METERS, zones: 50, gateways: 200, perMessage: 100, readings, seed: 7 },
    startMs: Math.floor(Date.now() / HOUR_MS - Math.ceil(readings / (METERS * 2.5))) * HOUR_MS,
  }
  const servers = await openServers(dir, ['kafka', 'questdb', 'postgres', 'mqtt'], fleet, say)
  const system = new System(servers, dir)
  try {
    for (const name of SERVICES) await system.services[name].start(PORTS[name])
    const publisher = await openPublisher({
      fleet,
      url: servers.mqtt.url,
      connections: CONNECTIONS,
      window: WINDOW,
      warmupMessages: 0,
      rate: o.rate,
    })
    await publisher.go()
    const { all } = publisher.ready
    say(`${all.readings} readings at ${o.rate}/s, ${faults.length} faults, seed ${o.seed}`)
    const published = publisher.go()
    const done = await suffer(system, faults)
    await published
    say('published; waiting until all is stored and counted')
    const until = async (isSo: () => Promise<boolean>) => {
      for (const began = Date.now(); !(await isSo()) && Date.now() - began < STORED_MS_MAX; ) await sleep(1_000)
    }
    await until(async () => (await storedCount(servers.questdb.url, 'readings')) >= all.readings)
    await until(async () => (await readBooks(servers.postgres.url)).accepted >= all.readings)
    const log = await verifyLog(servers.kafka.brokers, TOPICS.telemetry, all)
    const store = await verifyStore(servers.questdb.url, 'readings', all)
    const books = await readBooks(servers.postgres.url)
    publisher.stop()
    const checks = {
      'every reading published is in the log': log.ok,
      'and in the store exactly once': store.ok,
      'accepted = published': books.accepted === all.readings,
      'received = accepted + duplicate': books.received === books.accepted + books.duplicate,
      'no ticket is doubled': books.doubledTickets === 0,
    }
    const ok = Object.values(checks).every(Boolean)
    return { seed: o.seed, rate: o.rate, readings: all.readings, faults: done, log, store, books, checks, ok }
  } finally {
    await system.close()
  }
}

const percentile = (values: readonly number[], p: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(values.length * p) - 1)] ?? 0

function table(r: Report): string {
  const kinds = new Map<string, Done[]>()
  for (const f of r.faults) {
    const kind = f.targets.length > 1 ? `${f.action}, two at once` : `${f.action} ${(f.targets[0] as string).replace(/-\d$/, '')}`
    kinds.set(kind, [...(kinds.get(kind) ?? []), f])
  }
  const rows = [...kinds]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([kind, fs]) => {
      const s = fs.map((f) => f.recoveredS)
      return `| ${kind} | ${fs.length} | ${percentile(s, 0.5).toFixed(1)} | ${Math.max(...s).toFixed(1)} |`
    })
  const all = r.faults.map((f) => f.recoveredS)
  return `# Reliability

Made by \`npm run faults -- --faults ${r.faults.length} --rate ${r.rate} --seed ${r.seed} --doc docs/reliability.md\`: real servers on one machine of 2 cores, ${r.readings.toLocaleString('en')} readings at
${r.rate.toLocaleString('en')} a second, ingest, two processors and the api, while parts are killed (-9) and stopped (SIGSTOP, up to 40 s: longer than the consumer group's session).

| after ${r.faults.length} faults | |
| --- | --- |
| readings lost | ${r.log.lost + r.store.lost} |
| readings doubled in the store | ${r.store.repeated} |
| repeated in the log after redelivery, recognised | ${r.books.duplicate} |
| ledger: received − accepted − duplicate | ${r.books.received - r.books.accepted - r.books.duplicate} |
| tickets doubled | ${r.books.doubledTickets} |
| live again after the fault's end, median / p99 | ${percentile(all, 0.5).toFixed(1)} s / ${percentile(all, 0.99).toFixed(1)} s |

Live means: every service ready, no message older than ${QUEUE_LIVE_S} s in ingest, no more than ${LAG_LIVE} records of lag.

| fault | times | live again, median s | worst s |
| --- | --- | --- | --- |
${rows.join('\n')}

That findings, tickets, rows and days equal an undisturbed run byte for byte is tested in \`processors/faults.int.test.ts\` and \`processors/processors.int.test.ts\`. The broker is
paused and not killed: mosquitto saves its state every 5 s, so a kill -9 of the broker itself may lose up to 5 s of what it acknowledged and had not delivered.
`
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      faults: { type: 'string', default: '30' },
      rate: { type: 'string', default: '2000' },
      seed: { type: 'string', default: '1' },
      doc: { type: 'string' },
    },
  })
  const number = (name: 'faults' | 'rate' | 'seed') => {
    const n = Number(values[name])
    if (!Number.isSafeInteger(n) || n < 1) throw new Error(`--${name} must be a whole number above 0\n${USAGE}`)
    return n
  }
  const dir = mkdtempSync(join(tmpdir(), 'meterstream-faults-'))
  chmodSync(dir, 0o755)
  try {
    const report = await run({ count: number('faults'), rate: number('rate'), seed: number('seed') }, dir)
    process.stdout.write(`${JSON.stringify({ type: 'faults', ...report })}\n`)
    if (values.doc !== undefined) writeFileSync(values.doc, table(report))
    for (const [what, held] of Object.entries(report.checks)) say(`${held ? 'ok   ' : 'WRONG'} ${what}`)
    if (!report.ok) process.exitCode = 1
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

await main()

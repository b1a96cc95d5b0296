// The whole system on this machine: servers, then tables and registry, then our services, each restarted when it ends; stopped in
// the order in which data flows, so that nothing in flight is lost.
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Config, readConfig } from '#runtime/config.ts'
import { createKafka, ensureTopics } from '#runtime/kafka.ts'
import { createLog } from '#runtime/log.ts'
import { createKeyring } from '#runtime/personal.ts'
import { createPool } from '#runtime/postgres.ts'
import { migrate } from '../migrate.ts'
import type { Say } from './install.ts'
import { ensurePage } from './page.ts'
import { type Keeper, keeper, type Part } from './parts.ts'
import { freePorts, PortTaken, portProblem } from './ports.ts'
import { readPidFile, writePidFile } from './process.ts'
import { type LiveNumbers, metricValues } from './screen.ts'
import {
  endLeftovers,
  removeServerData,
  SERVER_NAMES,
  SERVER_TITLES,
  SERVER_VARIABLES,
  type ServerName,
  type Servers,
  startServers,
} from './servers.ts'
import { type Service, service } from './service.ts'
import { prepareSource, type Source, writeSource } from './source.ts'

const READY_MS_MAX = 60_000
/** Kept by --fresh: downloads, and what belongs to no run. */
const KEPT = new Set(['lib', 'install.lock', 'test-report.json'])

export interface SystemOptions {
  ports: 'usual' | 'auto'
  fresh: boolean
  /** Data set folder to import and replay in place of the simulated town. */
  data: string | undefined
  simulator: boolean
  /** Passed on to the simulator or the replay. */
  simulatorArgs: string[]
  env: Record<string, string | undefined>
  say: Say
}

export interface System {
  parts: Part[]
  pageUrl: string
  token: string
  dataDir: string
  /** Since the last call. */
  numbers(): LiveNumbers
  stop(): Promise<void>
  /** At once: nothing is flushed; the next start recovers. */
  kill(): void
}

const WHAT: Record<ServerName, string> = {
  kafka: 'the log (Kafka)',
  questdb: 'readings and intervals (QuestDB)',
  postgres: 'registry, days, tickets (PostgreSQL)',
  mqtt: 'broker of the gateways (mosquitto)',
}

/** Starts everything; resolves when all parts are up. On an error what was started is stopped again. */
export async function startSystem(options: SystemOptions): Promise<System> {
  const { say, env } = options
  const dataDir = resolve(env.METERSTREAM_DATA_DIR || '.meterstream')
  mkdirSync(dataDir, { recursive: true, mode: 0o755 })
  const unlock = lockDataDir(dataDir)
  // Closings in the order of starting; run from the end.
  const closings: (() => Promise<void>)[] = []
  const kills: (() => void)[] = []
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      for (const close of closings.reverse()) await close()
      unlock()
    })()
    return stopping
  }
  const kill = () => {
    for (const k of kills) k()
    unlock()
  }
  try {
    if (options.fresh) await removeData(dataDir, say)
    const parts: Part[] = []
    const { servers, keepers } = await startLocalServers(options, dataDir, parts)
    closings.push(async () => {
      for (const k of keepers.values()) k.release()
      await servers?.stop()
      for (const k of keepers.values()) k.part.state = 'stopped'
    })
    kills.push(() => {
      for (const [name, k] of keepers) {
        k.release()
        servers?.kill(name, 'SIGKILL')
      }
    })
    const ports = await servicePorts(options)
    const token = env.API_TOKEN || ownSecret(dataDir, 'token', () => randomBytes(24).toString('base64url'))
    const serviceEnv: Record<string, string> = { ...servers?.env, ...ports, METERSTREAM_DATA_DIR: dataDir, API_TOKEN: token }
    serviceEnv.PERSONAL_DATA_KEYS =
      env.PERSONAL_DATA_KEYS || ownSecret(dataDir, 'personal-keys', () => `k1:${randomBytes(32).toString('base64')}`)
    const { config, source } = await prepare(options, dataDir, serviceEnv)
    writeEnvironment(dataDir, serviceEnv, closings)
    const services = ourServices(config, serviceEnv, dataDir, say)
    for (const s of services) {
      parts.push(s.part)
      kills.push(s.kill)
    }
    // Stopped last to first: ingest before processors before api, so each has nothing more to come.
    for (const s of [...services].reverse()) closings.push(s.stop)
    await Promise.all(services.map((s) => s.start()))
    await Promise.all(services.map((s) => s.untilReady(READY_MS_MAX)))
    const feeder = feederOf(source, options, serviceEnv, dataDir)
    if (feeder !== undefined) {
      parts.push(feeder.part)
      kills.push(feeder.kill)
      closings.push(feeder.stop)
      await feeder.start()
    }
    const numbers = liveNumbers(services, feeder)
    return { parts, pageUrl: `http://${config.HTTP_HOST}:${config.API_PORT}/`, token, dataDir, numbers, stop, kill }
  } catch (error) {
    await stop()
    throw error
  }
}

function lockDataDir(dataDir: string): () => void {
  const path = join(dataDir, 'supervisor.pid')
  const other = readPidFile(path)
  if (other !== undefined) {
    throw new Error(`Meterstream already runs here (process ${other.pid}): stop it first, or set METERSTREAM_DATA_DIR to another folder`)
  }
  writePidFile(path, process.pid)
  return () => rmSync(path, { force: true })
}

async function removeData(dataDir: string, say: Say): Promise<void> {
  await endLeftovers(dataDir, say)
  say(`Removing the data in ${dataDir}`)
  removeServerData(dataDir)
  for (const name of readdirSync(dataDir))
    if (!KEPT.has(name) && name !== 'supervisor.pid') rmSync(join(dataDir, name), { recursive: true, force: true })
}

/** Starts the servers whose addresses are not configured, and builds the page meanwhile. */
async function startLocalServers(
  { env, ports, say }: SystemOptions,
  dataDir: string,
  parts: Part[],
): Promise<{ servers: Servers | undefined; keepers: Map<ServerName, Keeper> }> {
  const configured = (name: ServerName) => (env[SERVER_VARIABLES[name]] ?? '') !== ''
  const local = SERVER_NAMES.filter((n) => !configured(n))
  const keepers = new Map<ServerName, Keeper>()
  let servers: Servers | undefined
  const starting = Promise.allSettled([
    startServers({
      dir: dataDir,
      only: local,
      say,
      ...(ports === 'auto' ? { ports } : {}),
      onExit: (name, how) => keepers.get(name)?.ended(how),
    }),
    ensurePage(say),
  ])
  const [started, page] = await starting
  if (started.status === 'fulfilled') servers = started.value
  if (started.status === 'rejected' || page.status === 'rejected') {
    await servers?.stop()
    throw started.status === 'rejected' ? started.reason : (page as PromiseRejectedResult).reason
  }
  for (const name of SERVER_NAMES) {
    const address = (configured(name) ? env[SERVER_VARIABLES[name]] : servers?.env[SERVER_VARIABLES[name]]) ?? ''
    const part: Part = {
      name,
      what: WHAT[name],
      address: withoutPassword(address),
      state: configured(name) ? 'configured' : 'up',
      detail: '',
      restarts: 0,
    }
    parts.push(part)
    if (configured(name)) continue
    const start = async () => {
      await (servers as Servers).start(name)
      part.state = 'up'
      part.detail = ''
      say(`${SERVER_TITLES[name]}: serves again`)
    }
    keepers.set(name, keeper({ part, start, say }))
  }
  return { servers, keepers }
}

function withoutPassword(address: string): string {
  return address.replace(/(\/\/[^:/@]+):[^@]*@/, '$1@')
}

const SERVICE_PORTS = { API_PORT: 'the api', INGEST_PORT: 'ingest', PROCESSORS_PORT: 'processors' } as const

async function servicePorts({ env, ports }: SystemOptions): Promise<Record<keyof typeof SERVICE_PORTS, string>> {
  const names = Object.keys(SERVICE_PORTS) as (keyof typeof SERVICE_PORTS)[]
  const config = readConfig(env)
  const free = ports === 'auto' ? await freePorts(names.length) : []
  const chosen = {} as Record<keyof typeof SERVICE_PORTS, string>
  for (const [i, name] of names.entries()) {
    // A port that was asked for is meant, also with --ports auto.
    const port = ports === 'auto' && (env[name] ?? '') === '' ? (free[i] as number) : config[name]
    if ((await portProblem(port)) !== undefined) throw new PortTaken(port, SERVICE_PORTS[name], name)
    chosen[name] = String(port)
  }
  return chosen
}

/** A secret of this installation, made once and readable by the owner only. */
function ownSecret(dataDir: string, name: string, make: () => string): string {
  const path = join(dataDir, name)
  if (!existsSync(path)) writeFileSync(path, `${make()}\n`, { mode: 0o600 })
  chmodSync(path, 0o600)
  return readFileSync(path, 'utf8').trim()
}

/** Tables, topics, registry. Completes `serviceEnv` with what follows from the source. */
async function prepare(
  options: SystemOptions,
  dataDir: string,
  serviceEnv: Record<string, string>,
): Promise<{ config: Config; source: Source }> {
  const { env, say } = options
  const config = readConfig({ ...env, ...serviceEnv })
  const log = createLog('start', 'error')
  const pool = createPool({ url: config.POSTGRES_URL, log, name: 'start', max: 2 })
  try {
    const [applied, topics] = await Promise.all([migrate(pool), ensureTopics(createKafka(config, log, 'start'), config)])
    if (applied.length > 0) say(`PostgreSQL: ${applied.length} migrations applied`)
    say(`Kafka: topics in place, telemetry has ${topics.telemetryPartitions} partitions`)
    const source = await prepareSource(pool, {
      dataDir,
      data: options.data,
      simulator: options.simulator,
      say,
      keyring: createKeyring(config.PERSONAL_DATA_KEYS),
    })
    if (source.kind !== 'gateways') {
      // Messages of a simulation or replay carry their time; one connection keeps their order.
      serviceEnv.METERSTREAM_CLOCK = env.METERSTREAM_CLOCK || 'messages'
      serviceEnv.MQTT_POOL = env.MQTT_POOL || '1'
    }
    return { config: readConfig({ ...env, ...serviceEnv }), source }
  } finally {
    await pool.end()
  }
}

/** Addresses for the other commands (import, replay, bench), which need them when ports are not the usual ones. */
function writeEnvironment(dataDir: string, serviceEnv: Record<string, string>, closings: (() => Promise<void>)[]): void {
  const path = join(dataDir, 'env')
  const lines = Object.entries(serviceEnv).map(([k, v]) => `${k}=${v}`)
  rmSync(path, { force: true })
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 })
  closings.push(async () => rmSync(path, { force: true }))
}

function ourServices(config: Config, env: Record<string, string>, dataDir: string, say: Say): Service[] {
  const common = { env, logDir: join(dataDir, 'logs'), say }
  const url = (port: number) => `http://${config.HTTP_HOST}:${port}`
  return [
    service({ ...common, name: 'ingest', what: 'gateways to the log', entry: 'ingest/main.ts', url: url(config.INGEST_PORT) }),
    service({
      ...common,
      name: 'processors',
      what: 'validation, detection, incidents',
      entry: 'processors/main.ts',
      url: url(config.PROCESSORS_PORT),
    }),
    service({ ...common, name: 'api', what: 'REST, tickets, control room', entry: 'api/main.ts', url: url(config.API_PORT) }),
  ]
}

/** The simulator or the replay; none when real gateways feed the system, or when the data set has been replayed to its end. */
function feederOf(source: Source, options: SystemOptions, env: Record<string, string>, dataDir: string): Service | undefined {
  const common = { env, logDir: join(dataDir, 'logs'), say: options.say }
  if (source.kind === 'town') {
    const args = ['--dir', source.dir, ...options.simulatorArgs]
    return service({ ...common, name: 'simulator', what: 'a town of gateways', entry: 'simulators/main.ts', args })
  }
  if (source.kind !== 'data') return undefined
  if (source.replayed) {
    options.say(`Replay: ${source.dir} was replayed to its end before`)
    return undefined
  }
  const args = ['--data', source.dir, ...(options.simulatorArgs.length > 0 ? options.simulatorArgs : ['--speed', 'max'])]
  const onDone = () => writeSource(dataDir, { ...source, replayed: true })
  return service({ ...common, name: 'replay', what: `data set ${source.dir}`, entry: 'simulators/replay-cli.ts', args, onDone })
}

/** The metrics that docs/operators.md names. */
function liveNumbers(services: readonly Service[], feeder: Service | undefined): () => LiveNumbers {
  const values = (name: string, metricName: string) => metricValues(services.find((s) => s.part.name === name)?.metrics() ?? '', metricName)
  const metric = (name: string, metricName: string) => values(name, metricName)?.reduce((sum, v) => sum + v, 0)
  let last: { readings: number; atMs: number } | undefined
  let rate: number | undefined
  return () => {
    const readings = metric('ingest', 'meterstream_readings_total')
    const atMs = performance.now()
    if (readings === undefined) {
      last = undefined
      rate = undefined
    } else if (last === undefined || readings < last.readings) last = { readings, atMs }
    else if (readings !== last.readings || atMs - last.atMs > 5_000) {
      // Polls and redraws have their own rhythm: a rate is taken from change to change.
      rate = ((readings - last.readings) * 1000) / (atMs - last.atMs)
      last = { readings, atMs }
    }
    // One value a partition; the furthest is where the log is.
    const logSeconds = Math.max(0, ...(values('processors', 'meterstream_log_clock_seconds') ?? []))
    return {
      readingsPerS: rate,
      lagRecords: metric('processors', 'meterstream_log_lag_records'),
      findingsOpen: metric('api', 'meterstream_findings_open'),
      ticketsOpen: metric('api', 'meterstream_tickets_open'),
      logTime: logSeconds <= 0 ? undefined : `${new Date(logSeconds * 1000).toISOString().slice(0, 16)}Z`,
      progress: feeder?.part.state === 'up' ? feeder.part.detail : '',
    }
  }
}

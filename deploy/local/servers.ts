// The four servers as child processes on loopback, for `npm start` and for the integration tests: no Docker, real servers.
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureJars, ensureJava, ensureMosquitto, type Say, unprivilegedUser } from './install.ts'
import { kafkaSpec } from './kafka.ts'
import { mosquittoSpec, mosquittoUrl } from './mosquitto.ts'
import { fallbackDir, worldTraversable } from './paths.ts'
import { freePorts, PortTaken, portProblem } from './ports.ts'
import { postgresSpec, postgresUrl } from './postgres.ts'
import { endProcess, logTail, readPidFile, type Spawned, spawnWatched } from './process.ts'
import { questdbSpec } from './questdb.ts'
import { SERVER_NAMES, type ServerName, type ServerSpec, type Unprivileged } from './spec.ts'

export { PortTaken } from './ports.ts'
export { SERVER_NAMES, type ServerName } from './spec.ts'

export const DEFAULT_PORTS: Record<ServerName, number> = { kafka: 9092, questdb: 9000, postgres: 5432, mqtt: 1883 }
export const SERVER_VARIABLES: Record<ServerName, string> = {
  kafka: 'KAFKA_BROKERS',
  questdb: 'QUESTDB_URL',
  postgres: 'POSTGRES_URL',
  mqtt: 'MQTT_URL',
}
export const SERVER_TITLES: Record<ServerName, string> = { kafka: 'Kafka', questdb: 'QuestDB', postgres: 'PostgreSQL', mqtt: 'mosquitto' }

export interface StartOptions {
  /** Each server gets a folder in here, all logs are in its folder `logs`. Data in it is used again. */
  dir: string
  /** `auto` takes free ports; missing entries are the usual ones. */
  ports?: 'auto' | Partial<Record<ServerName, number>>
  only?: readonly ServerName[]
  /** One line a step; silent when left out. */
  say?: Say
  /** A server ended that nobody stopped. It is not restarted: call `start`. */
  onExit?: (name: ServerName, how: string) => void
}

export interface Servers {
  kafka: { brokers: string; pid: number }
  questdb: { url: string; pid: number }
  postgres: { url: string; pid: number }
  mqtt: { url: string; pid: number }
  /** Environment variables with the addresses of the servers that run. */
  env: Record<string, string>
  logPath(name: ServerName): string
  /** In order, or one; resolves when gone. */
  stop(name?: ServerName): Promise<void>
  /** Sends a signal and returns at once. */
  kill(name: ServerName, signal: NodeJS.Signals): void
  /** Starts one that ended, on the same port with the same data; resolves when it serves. */
  start(name: ServerName): Promise<void>
}

interface Running {
  spec: ServerSpec
  child: Spawned
  stopping: boolean
  alive: boolean
  /** It has served: an end before is told by the promise of its start, an end after by onExit. */
  served: boolean
}

/** Clients stop first, so the log outlives those who write to it. */
const STOP_ORDER: readonly ServerName[] = ['mqtt', 'questdb', 'postgres', 'kafka']

/**
 * Starts the servers in parallel, installing what is missing first; resolves when all serve.
 * @throws PortTaken; Error when a server cannot start (with the end of its log), or when the folder belongs to a run that is alive.
 */
export async function startServers(options: StartOptions): Promise<Servers> {
  const { only = SERVER_NAMES, say = () => undefined } = options
  const dir = resolve(options.dir)
  const names = SERVER_NAMES.filter((n) => only.includes(n))
  mkdirSync(dir, { recursive: true, mode: 0o755 })
  if (names.includes('kafka') || names.includes('questdb')) {
    await ensureJava(say)
    await ensureJars(say)
  }
  if (names.includes('mqtt')) await ensureMosquitto(say)
  const as = names.includes('postgres') || names.includes('mqtt') ? await unprivilegedUser(say) : undefined
  const dirs = foldersOf(dir, as)
  for (const name of names) await endLeftover(name, dirs[name], say)
  const { ports, controllerPort } = await choosePorts(names, options.ports)
  const running = new Map<ServerName, Running>()

  const launch = async (name: ServerName) => {
    const spec = await specOf(name, dirs[name], ports[name], controllerPort, as)
    const entry: Running = {
      spec,
      child: spawnWatched({ ...spec, logDir: join(dir, 'logs') }),
      stopping: false,
      alive: true,
      served: false,
    }
    running.set(name, entry)
    void entry.child.exited.then((how) => {
      entry.alive = false
      if (entry.served && !entry.stopping && running.get(name) === entry) options.onExit?.(name, how)
    })
    await untilReady(entry)
    entry.served = true
    say(`${SERVER_TITLES[name]}: serves on 127.0.0.1:${ports[name]}`)
  }
  const stopOne = async (name: ServerName) => {
    const entry = running.get(name)
    if (entry === undefined || !entry.alive) return
    entry.stopping = true
    await endProcess(entry.child.pid, entry.spec.stopSignal, entry.spec.stopMsMax)
    await entry.child.exited
  }
  const stop = async (name?: ServerName) => {
    for (const n of name === undefined ? STOP_ORDER : [name]) await stopOne(n)
  }

  const results = await Promise.allSettled(names.map(launch))
  const failed = results.find((r) => r.status === 'rejected')
  if (failed !== undefined) {
    await stop()
    throw failed.reason
  }
  const pidOf = (name: ServerName) => running.get(name)?.child.pid ?? -1
  const urls = addresses(names, ports, dirs)
  return {
    kafka: {
      brokers: urls.KAFKA_BROKERS ?? '',
      get pid() {
        return pidOf('kafka')
      },
    },
    questdb: {
      url: urls.QUESTDB_URL ?? '',
      get pid() {
        return pidOf('questdb')
      },
    },
    postgres: {
      url: urls.POSTGRES_URL ?? '',
      get pid() {
        return pidOf('postgres')
      },
    },
    mqtt: {
      url: urls.MQTT_URL ?? '',
      get pid() {
        return pidOf('mqtt')
      },
    },
    env: urls,
    logPath: (name) => join(dir, 'logs', `${name}.log`),
    stop,
    kill: (name, signal) => void process.kill(pidOf(name), signal),
    start: async (name) => {
      const entry = running.get(name)
      // A server that was just killed may still be ending.
      if (entry?.alive === true) await Promise.race([entry.child.exited, sleep(entry.spec.stopMsMax)])
      if (entry?.alive === true) throw new Error(`${SERVER_TITLES[name]} still runs`)
      await launch(name)
    },
  }
}

function addresses(
  names: readonly ServerName[],
  ports: Record<ServerName, number>,
  dirs: Record<ServerName, string>,
): Record<string, string> {
  const make: Record<ServerName, () => string> = {
    kafka: () => `127.0.0.1:${ports.kafka}`,
    questdb: () => `http://127.0.0.1:${ports.questdb}`,
    postgres: () => postgresUrl(dirs.postgres, ports.postgres),
    mqtt: () => mosquittoUrl(dirs.mqtt, ports.mqtt),
  }
  return Object.fromEntries(names.map((n) => [SERVER_VARIABLES[n], make[n]()]))
}

/** Folders by server; those that run as another user move out when they could not reach `dir`. */
function foldersOf(dir: string, as: Unprivileged | undefined): Record<ServerName, string> {
  const shared = as === undefined || worldTraversable(dir) ? dir : fallbackDir(dir)
  return { kafka: join(dir, 'kafka'), questdb: join(dir, 'questdb'), postgres: join(shared, 'postgres'), mqtt: join(shared, 'mqtt') }
}

/** Removes all data of the servers of `dir`. They must not run. */
export function removeServerData(dir: string): void {
  for (const base of [resolve(dir), fallbackDir(dir)]) {
    for (const name of SERVER_NAMES) rmSync(join(base, name), { recursive: true, force: true })
  }
}

/** Ends all servers of `dir` that a crashed run left behind. @throws Error when the run that started them is alive. */
export async function endLeftovers(dir: string, say: Say): Promise<void> {
  for (const base of new Set([resolve(dir), fallbackDir(dir)]))
    for (const name of SERVER_NAMES) await endLeftover(name, join(base, name), say)
}

/** Ends what a crashed run left behind. @throws Error when the run that started it is alive: the folder is in use. */
async function endLeftover(name: ServerName, dir: string, say: Say): Promise<void> {
  const path = join(dir, `${name}.pid`)
  if (!existsSync(path)) return
  const left = readPidFile(path)
  if (left !== undefined) {
    if (left.ownerAlive && left.ownerPid !== process.pid) {
      throw new Error(`${dir} is in use by process ${left.ownerPid}: stop it first, or set METERSTREAM_DATA_DIR to another folder`)
    }
    say(`${SERVER_TITLES[name]}: ending process ${left.pid}, left from a run that crashed`)
    await endProcess(left.pid, name === 'postgres' ? 'SIGINT' : 'SIGTERM', 10_000)
  }
  rmSync(path, { force: true })
}

async function choosePorts(
  names: readonly ServerName[],
  wanted: StartOptions['ports'],
): Promise<{ ports: Record<ServerName, number>; controllerPort: number }> {
  // Kafka's controller listens too; nobody else needs its port, so it is always a free one.
  const free = await freePorts(SERVER_NAMES.length + 1)
  const ports = { ...DEFAULT_PORTS }
  for (const [i, name] of SERVER_NAMES.entries())
    ports[name] = wanted === 'auto' ? (free[i] as number) : (wanted?.[name] ?? DEFAULT_PORTS[name])
  for (const name of names) {
    if ((await portProblem(ports[name])) !== undefined) throw new PortTaken(ports[name], SERVER_TITLES[name], SERVER_VARIABLES[name])
  }
  return { ports, controllerPort: free[SERVER_NAMES.length] as number }
}

function specOf(name: ServerName, dir: string, port: number, controllerPort: number, as: Unprivileged | undefined): Promise<ServerSpec> {
  switch (name) {
    case 'kafka':
      return kafkaSpec(dir, port, controllerPort)
    case 'questdb':
      return questdbSpec(dir, port)
    case 'postgres':
      return postgresSpec(dir, port, as)
    case 'mqtt':
      return mosquittoSpec(dir, port, as)
  }
}

async function untilReady(entry: Running): Promise<void> {
  const { spec, child } = entry
  let last = 'no answer'
  for (const started = performance.now(); performance.now() - started < spec.readyMsMax; ) {
    if (!entry.alive)
      throw new Error(
        `${SERVER_TITLES[spec.name]} ended (${await child.exited}); its log, ${child.logPath}, ends:\n${logTail(child.logPath)}`,
      )
    try {
      await spec.ready()
      return
    } catch (error) {
      last = (error as Error).message
    }
    await sleep(50)
  }
  await endProcess(child.pid, spec.stopSignal, spec.stopMsMax)
  throw new Error(
    `${SERVER_TITLES[spec.name]} did not serve within ${spec.readyMsMax / 1000} s (${last}); its log, ${child.logPath}, ends:\n${logTail(child.logPath)}`,
  )
}

// The system under test: own servers in an own folder, a registry, and our services as processes that can be killed.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { mkdirSync, openSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '#runtime/log.ts'
import { createPool } from '#runtime/postgres.ts'
import { importRegistry } from '../../deploy/import.ts'
import { type ServerName, type Servers, startServers } from '../../deploy/local/servers.ts'
import { SERVICE_FLAGS } from '../../deploy/local/service.ts'
import { migrate } from '../../deploy/migrate.ts'
import { type FleetOptions, fleetFeatures } from './fleet.ts'
import type { PublisherOptions, ToParent } from './publisher-cli.ts'
import { Meter } from './usage.ts'

const ROOT = join(import.meta.dirname, '../..')
const READY_MS_MAX = 60_000

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

export async function openServers(
  dir: string,
  only: readonly ServerName[],
  fleet: FleetOptions,
  say: (line: string) => void,
): Promise<Servers> {
  const servers = await startServers({ dir, ports: 'auto', only, say })
  const pool = createPool({ url: servers.postgres.url, log: silentLog, max: 1, statementTimeoutMs: 300_000 })
  try {
    await migrate(pool)
    await importRegistry(pool, {
      meta: { timezone: 'UTC', warmupUntilMs: 0 },
      features: fleetFeatures(fleet),
      accounts: [],
      operations: [],
    })
  } finally {
    await pool.end()
  }
  return servers
}

/** One of our services. */
export class Service {
  readonly name: string
  readonly #entry: string
  readonly #dir: string
  readonly #env: Record<string, string>
  readonly #profile: boolean
  url = ''
  #child: ChildProcess | undefined
  meter: Meter | undefined

  constructor(o: { name: string; entry: string; dir: string; env: Record<string, string>; profile: boolean }) {
    this.name = o.name
    this.#entry = o.entry
    this.#dir = o.dir
    this.#env = o.env
    this.#profile = o.profile
  }

  /** Resolves when the service is ready. */
  async start(portVariable: string): Promise<void> {
    const port = await freePort()
    mkdirSync(this.#dir, { recursive: true })
    const log = openSync(join(this.#dir, `${this.name}.log`), 'a')
    const flags = this.#profile
      ? [...SERVICE_FLAGS, '--cpu-prof', `--cpu-prof-dir=${join(this.#dir, 'profiles')}`, `--cpu-prof-name=${this.name}-${port}.cpuprofile`]
      : SERVICE_FLAGS
    const child = spawn(process.execPath, [...flags, join(ROOT, this.#entry)], {
      env: { ...process.env, ...this.#env, [portVariable]: String(port) },
      stdio: ['ignore', log, log],
    })
    this.#child = child
    this.url = `http://127.0.0.1:${port}`
    for (const began = Date.now(); ; await sleep(100)) {
      if (child.exitCode !== null)
        throw new Error(`${this.name} ended with code ${child.exitCode}; its log: ${join(this.#dir, `${this.name}.log`)}`)
      if (
        await fetch(`${this.url}/health/ready`).then(
          (r) => r.ok,
          () => false,
        )
      )
        break
      if (Date.now() - began > READY_MS_MAX) throw new Error(`${this.name} was not ready within ${READY_MS_MAX / 1000} s`)
    }
    const pid = child.pid as number
    if (this.meter === undefined) this.meter = new Meter(pid)
    else this.meter.restarted(pid)
  }

  /** kill -9, then a new start. */
  async killAndRestart(portVariable: string): Promise<void> {
    this.meter?.ending()
    await this.stop('SIGKILL')
    await this.start(portVariable)
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  /** What is measured begins now. */
  resetMeter(): void {
    this.meter = new Meter(this.#child?.pid as number)
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text()
    return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? Number.NaN)
  }

  get runs(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  signal(signal: NodeJS.Signals): void {
    if (this.runs) this.#child?.kill(signal)
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await exited
  }
}

export interface Publisher {
  ready: Extract<ToParent, { type: 'ready' }>
  /** Runs the next phase; resolves when the broker has acknowledged its last message. */
  go(): Promise<Extract<ToParent, { type: 'done' }>>
  meter(): Meter
  stop(): void
}

export async function openPublisher(options: PublisherOptions): Promise<Publisher> {
  const child = fork(join(import.meta.dirname, 'publisher-cli.ts'), [JSON.stringify(options)], { execArgv: SERVICE_FLAGS })
  const next = <T extends ToParent['type']>(type: T): Promise<Extract<ToParent, { type: T }>> =>
    new Promise((resolve, reject) => {
      const onExit = (code: number | null) => reject(new Error(`the publisher ended with code ${code}`))
      child.once('exit', onExit)
      child.once('message', (m: ToParent) => {
        child.removeListener('exit', onExit)
        if (m.type === type) resolve(m as Extract<ToParent, { type: T }>)
        else reject(new Error(`publisher said ${m.type}, not ${type}`))
      })
    })
  const ready = await next('ready')
  return {
    ready,
    go() {
      const done = next('done')
      child.send('go')
      return done
    },
    meter: () => new Meter(child.pid as number),
    stop: () => void child.disconnect(),
  }
}

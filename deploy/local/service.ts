// Our own processes (ingest, processors, api, simulator): started with the system's addresses, watched by their health pages.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Say } from './install.ts'
import { keeper, type Part } from './parts.ts'
import { ROOT } from './paths.ts'
import { endProcess, logTail, readPidFile, type Spawned, spawnWatched } from './process.ts'

/**
 * Batches of readings live longer than Node's young generation is wide: a wider one saves about 1 CPU second per million readings. The image sets
 * the same. kafkajs arms timers in the past, which Node 24 reports once a process.
 */
export const SERVICE_FLAGS = ['--disable-warning=TimeoutNegativeWarning', '--max-semi-space-size=64']

const STOP_MS_MAX = 20_000
const HEALTH_EVERY_MS = 2_000
const HEALTH_MS_MAX = 5_000
/** Without an answer of /health/live, or with a bad one, for so long the process is ended, to be started anew. */
const LIFELESS_MS_MAX = 30_000

export interface ServiceOptions {
  name: string
  what: string
  /** TypeScript file from the root of the checkout. */
  entry: string
  args?: string[]
  env: Record<string, string>
  /** Its HTTP address; without one it is up while it runs. */
  url?: string
  /** Ends with code 0 when its work is done, is then not started again, and this is called. */
  onDone?: () => void
  logDir: string
  say: Say
}

export interface Service {
  part: Part
  /** Metrics text of the last poll, '' when there is none. */
  metrics(): string
  readonly pid: number
  start(): Promise<void>
  /** Resolves when ready; @throws Error when it is not within `msMax`. */
  untilReady(msMax: number): Promise<void>
  stop(): Promise<void>
  /** At once, without waiting. */
  kill(): void
}

export function service(options: ServiceOptions): Service {
  const { name, what, entry, args = [], env, url, onDone, logDir, say } = options
  const part: Part = { name, what, address: url ?? '', state: 'starting', detail: '', restarts: 0 }
  let child: Spawned | undefined
  let stopping = false
  let metrics = ''
  let polling: NodeJS.Timeout | undefined
  let aliveMs = 0

  const start = async (): Promise<void> => {
    await endLeftover(join(logDir, `${name}.pid`), name, say)
    if (stopping) return
    const spawned = spawnWatched({
      name,
      dir: logDir,
      command: process.execPath,
      args: [...SERVICE_FLAGS, resolve(ROOT, entry), ...args],
      env,
      cwd: ROOT,
      stopSignal: 'SIGTERM',
      onMessage: (message) => {
        // A long job tells how far it is: process.send({ type: 'progress', text }).
        const { type, text } = (message ?? {}) as { type?: unknown; text?: unknown }
        if (type === 'progress' && typeof text === 'string') part.detail = text.slice(0, 80)
      },
    })
    child = spawned
    aliveMs = performance.now()
    part.state = url === undefined ? 'up' : 'starting'
    part.detail = ''
    void spawned.exited.then((how) => {
      if (child !== spawned || stopping) return
      child = undefined
      metrics = ''
      if (onDone !== undefined && how === 'exit code 0') {
        part.state = 'done'
        part.detail = ''
        onDone()
        say(`${name}: done`)
      } else keep.ended(how)
    })
  }
  const keep = keeper({ part, start, say })

  const poll = async (): Promise<void> => {
    if (url === undefined || child === undefined || stopping) return
    const of = child
    const ask = (path: string) => fetch(`${url}${path}`, { signal: AbortSignal.timeout(HEALTH_MS_MAX) })
    try {
      const ready = await ask('/health/ready')
      const detail = describe(await ready.text())
      const text = await (await ask('/metrics')).text()
      if (child !== of || stopping) return
      metrics = text
      part.state = ready.ok ? 'up' : 'not ready'
      part.detail = ready.ok ? '' : detail
      if ((await ask('/health/live')).ok) aliveMs = performance.now()
    } catch (error) {
      if (child !== of || stopping) return
      // Not listening yet is a start; silence afterwards is a fault.
      if (part.state !== 'starting') {
        part.state = 'not ready'
        part.detail = (error as Error).name === 'TimeoutError' ? 'does not answer' : 'not reachable'
      }
    }
    if (performance.now() - aliveMs > LIFELESS_MS_MAX && child === of) {
      aliveMs = performance.now()
      say(`${name}: no sign of life for ${LIFELESS_MS_MAX / 1000} s, ending it`)
      process.kill(of.pid, 'SIGKILL')
    }
  }
  const pollOn = (): void => {
    polling = setTimeout(() => void poll().finally(() => !stopping && pollOn()), part.state === 'starting' ? 200 : HEALTH_EVERY_MS)
  }

  return {
    part,
    metrics: () => metrics,
    get pid() {
      return child?.pid ?? -1
    },
    start: async () => {
      await start()
      pollOn()
    },
    untilReady: async (msMax) => {
      for (let waited = 0; waited < msMax; waited += 100) {
        if (part.state === 'up' || part.state === 'done') return
        if (part.state === 'given up' || stopping) break
        await sleep(100)
      }
      const log = join(logDir, `${name}.log`)
      throw new Error(`${name}: not ready within ${msMax / 1000} s (${part.state} ${part.detail}); its log, ${log}, ends:\n${logTail(log)}`)
    },
    stop: async () => {
      stopping = true
      keep.release()
      clearTimeout(polling)
      if (child !== undefined && !(await endProcess(child.pid, 'SIGTERM', STOP_MS_MAX))) say(`${name}: did not stop in time and was killed`)
      part.state = 'stopped'
    },
    kill: () => {
      stopping = true
      keep.release()
      if (child !== undefined) process.kill(child.pid, 'SIGKILL')
    },
  }
}

/** `kafka: connecting` out of the JSON of /health/ready. */
function describe(text: string): string {
  try {
    const { details } = JSON.parse(text) as { details?: Record<string, unknown> }
    return Object.entries(details ?? {})
      .map(([k, v]) => `${k}: ${v}`)
      .join(', ')
      .slice(0, 80)
  } catch {
    // Not our JSON: shown as it is.
    return text.trim().slice(0, 80)
  }
}

async function endLeftover(pidPath: string, name: string, say: Say): Promise<void> {
  const left = existsSync(pidPath) ? readPidFile(pidPath) : undefined
  if (left === undefined || (left.ownerAlive && left.ownerPid === process.pid)) return
  say(`${name}: ending process ${left.pid}, left from a run that crashed`)
  await endProcess(left.pid, 'SIGTERM', STOP_MS_MAX)
}

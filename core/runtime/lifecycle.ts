// The life of a service process: start, wait for a signal, stop its parts in reverse order within a bounded time.
// A supervised service (spawned with an IPC channel) also stops when its supervisor disappears, so nothing is left running.
import type { Log } from './log.ts'

const STOP_MS_MAX = 15_000

export interface Lifecycle {
  /** Registers a part to close; the last registered is closed first. */
  onStop(part: string, close: () => Promise<void> | void): void
  /** Stops the service as a signal would; `code` becomes the exit code. */
  stop(reason: string, code?: number): void
  readonly stopping: boolean
}

export interface ServiceOptions {
  log: Log
  /** Longest time for all closings together; after it the process exits with code 1. */
  stopMsMax?: number
  /** Replaced by tests; `process.exit` otherwise. */
  exit?: (code: number) => void
}

/**
 * Runs a service: `start` makes its parts and registers their closing. SIGTERM, SIGINT and the loss of the supervisor stop it in order;
 * a second signal exits at once. An error of `start`, an uncaught exception or an unhandled rejection is logged and ends the process
 * with code 1 (the supervisor restarts it): going on with unknown state could lose data.
 */
export async function runService(options: ServiceOptions, start: (life: Lifecycle) => Promise<void>): Promise<void> {
  const { log, stopMsMax = STOP_MS_MAX, exit = (code) => process.exit(code) } = options
  const parts: { part: string; close: () => Promise<void> | void }[] = []
  let stopping = false

  const stop = (reason: string, code = 0) => {
    if (stopping) return
    stopping = true
    log.info({ reason }, 'stopping')
    const timer = setTimeout(() => {
      log.error({ stopMsMax }, 'stopping took too long, leaving')
      exit(1)
    }, stopMsMax)
    closeAll(parts, log).then((failed) => {
      clearTimeout(timer)
      log.info('stopped')
      exit(failed ? 1 : code)
    })
  }
  const fail = (what: string) => (error: unknown) => {
    log.error({ err: error }, what)
    if (stopping) exit(1)
    else stop(what, 1)
  }
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping) exit(130)
    else stop(signal)
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('uncaughtException', fail('uncaught exception'))
  process.on('unhandledRejection', fail('unhandled rejection'))
  if (process.connected) process.on('disconnect', () => stop('supervisor gone'))

  const life: Lifecycle = {
    onStop: (part, close) => void parts.push({ part, close }),
    stop,
    get stopping() {
      return stopping
    },
  }
  try {
    await start(life)
  } catch (error) {
    fail('could not start')(error)
  }
}

/** Closes the parts, last first; a failing part does not keep the others from closing. Returns true when one failed. */
export async function closeAll(parts: readonly { part: string; close: () => Promise<void> | void }[], log: Log): Promise<boolean> {
  let failed = false
  for (const { part, close } of [...parts].reverse()) {
    try {
      await close()
    } catch (error) {
      failed = true
      log.error({ err: error, part }, 'could not close')
    }
  }
  return failed
}

/** Tells a supervisor how far a long job is, in a few words for its status line; nothing without one. */
export function reportProgress(text: string): void {
  if (process.connected) process.send?.({ type: 'progress', text })
}

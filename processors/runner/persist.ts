// Trying again until a server that is away is back. What is to be stored stays in memory meanwhile, and folding stops when much waits.
import type { Log } from '#runtime/log.ts'
import { LostPartition } from '../sinks/checkpoints.ts'

const FIRST_WAIT_MS = 100
const WAIT_MS_MAX = 5_000
/** An attempt without an answer for so long is a problem worth showing, though it goes on: clients retry by themselves. */
const SLOW_MS = 5_000
/** When stopping, a server that is away gets this long. */
const GIVE_UP_MS = 5_000

export interface Persist {
  log: Log
  /** True when the process is stopping: then only a short while. */
  givingUp(): boolean
  /** Told at every failure, and with '' when it works again. */
  onProblem(text: string): void
  /** Called between attempts, so that Kafka does not take the partitions away; its error ends the trying. */
  alive?(): Promise<void>
}

/** Runs `attempt` until it succeeds. @throws LostPartition at once; the last error when stopping. */
export async function persistently<T>(what: string, persist: Persist, attempt: () => Promise<T>): Promise<T> {
  let waitMs = FIRST_WAIT_MS
  let failed = false
  let stoppingSinceMs = 0
  for (;;) {
    const slow = setTimeout(() => {
      failed = true
      persist.log.warn({ what, ms: SLOW_MS }, 'no answer yet')
      persist.onProblem(`${what}: no answer for ${SLOW_MS / 1000} s`)
    }, SLOW_MS)
    try {
      const result = await attempt()
      if (failed) {
        persist.log.info({ what }, 'works again')
        persist.onProblem('')
      }
      return result
    } catch (error) {
      if (error instanceof LostPartition) throw error
      if (persist.givingUp()) {
        stoppingSinceMs ||= Date.now()
        if (Date.now() - stoppingSinceMs > GIVE_UP_MS) throw error
      }
      // Once as a warning: nothing is lost, and one line every few seconds for hours helps nobody.
      persist.log[failed ? 'debug' : 'warn']({ err: error, what }, 'failed, trying again')
      persist.onProblem(`${what}: ${(error as Error).message.slice(0, 200)}`)
      failed = true
    } finally {
      clearTimeout(slow)
    }
    await new Promise((r) => setTimeout(r, waitMs))
    await persist.alive?.()
    waitMs = Math.min(waitMs * 2, WAIT_MS_MAX)
  }
}

// The parts of a running system as the status screen shows them, and the keeper that starts a part again when it ends.
import { setTimeout as sleep } from 'node:timers/promises'
import { type Backoff, nextDelayMs } from './backoff.ts'
import type { Say } from './install.ts'

export type PartState = 'starting' | 'up' | 'not ready' | 'restarting' | 'given up' | 'done' | 'stopped' | 'configured'

export interface Part {
  name: string
  /** What it is, for people. */
  what: string
  address: string
  state: PartState
  /** Why it is not up, or how far it is. */
  detail: string
  restarts: number
}

export interface Keeper {
  part: Part
  /** To be called when the part ended by itself. */
  ended(how: string): void
  /** No more restarts: the system stops. */
  release(): void
}

export interface KeeperOptions {
  part: Part
  /** Starts the part; resolves when it runs. A rejection counts as an end. */
  start(): Promise<void>
  say: Say
}

/** Starts an ended part again after the waits of backoff.ts. */
export function keeper({ part, start, say }: KeeperOptions): Keeper {
  const backoff: Backoff = { ends: 0 }
  const stop = new AbortController()
  let startedMs = performance.now()

  const again = async (how: string): Promise<void> => {
    const delayMs = nextDelayMs(backoff, performance.now() - startedMs)
    if (delayMs === undefined) {
      part.state = 'given up'
      part.detail = how
      say(`${part.name}: ended (${how}) too often; given up, see its log`)
      return
    }
    part.state = 'restarting'
    part.detail = how
    part.restarts += 1
    say(`${part.name}: ended (${how}); starting again in ${delayMs / 1000} s`)
    try {
      await sleep(delayMs, undefined, { signal: stop.signal })
    } catch {
      // Released while waiting: the system stops.
      return
    }
    startedMs = performance.now()
    try {
      await start()
    } catch (error) {
      if (!stop.signal.aborted) await again((error as Error).message.split('\n')[0] as string)
    }
  }
  return {
    part,
    ended: (how) => {
      if (!stop.signal.aborted) void again(how)
    },
    release: () => stop.abort(),
  }
}

// When to try again, and when to give up. Pure.
const S = 1000
const M = 60 * S
const H = 60 * M

/** Waits after the first, second, … failure: the schedule that Standard Webhooks recommends, over three days in all. */
export const WAITS_MS: readonly number[] = [5 * S, 5 * M, 30 * M, 2 * H, 5 * H, 10 * H, 14 * H, 20 * H, 24 * H]

/** A receiver that asks for more time gets it, up to a day. */
const ASKED_MAX_MS = 24 * H

/**
 * Wait before the next attempt, ms; undefined when there is none: it goes to the dead letters. `spread` is 0 to 1, so that what failed
 * together does not come back together.
 */
export function waitMs(attempts: number, spread: number, askedMs = 0): number | undefined {
  const wait = WAITS_MS[attempts - 1]
  return wait === undefined ? undefined : Math.max(Math.round(wait * (1 + spread / 4)), Math.min(askedMs, ASKED_MAX_MS))
}

/** `Retry-After`: seconds or a date; 0 when it is neither. */
export function retryAfterMs(header: string | null, nowMs: number): number {
  if (header === null) return 0
  if (/^\d{1,7}$/.test(header)) return Number(header) * S
  const at = Date.parse(header)
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs)
}

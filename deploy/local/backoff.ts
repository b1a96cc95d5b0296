// When a part that ended is started again. Waits of 0.5 s, doubled each time up to 30 s; a minute of running forgets earlier ends;
// after 20 ends in a row it is given up, because something is wrong that a restart does not mend.

const FIRST_MS = 500
const DELAY_MS_MAX = 30_000
const STEADY_MS = 60_000
const ENDS_MAX = 20

export interface Backoff {
  /** Ends in a row, each after less than a minute of running. */
  ends: number
}

/** The wait before the next start, or undefined when there is none; counts the end. */
export function nextDelayMs(backoff: Backoff, ranMs: number): number | undefined {
  if (ranMs >= STEADY_MS) backoff.ends = 0
  backoff.ends += 1
  if (backoff.ends > ENDS_MAX) return undefined
  return Math.min(DELAY_MS_MAX, FIRST_MS * 2 ** (backoff.ends - 1))
}

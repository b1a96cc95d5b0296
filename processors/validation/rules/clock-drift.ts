// Clock drift: the mean of receipt minus measurement is beyond the tolerance, from readings that came as they were made; a stored one says
// nothing about the clock. `clock_set` begins anew. Customary tolerance: 3 minutes.
import type { Reading } from '#model/reading.ts'
import type { Work } from '../state.ts'

/** The mean of the lag forgets in about this many readings. */
const LAG_MEMORY = 16

export function clockDrifts(w: Work, r: Reading): boolean {
  const lag = r.receivedAtMs - r.tsMs
  const mean = w.t.lagMs[w.row] as number
  if (Math.abs(lag) >= w.c.intervalMs) return Math.abs(mean) > w.s.clockToleranceMs
  const next = mean + (lag - mean) / LAG_MEMORY
  w.t.lagMs[w.row] = next
  return Math.abs(next) > w.s.clockToleranceMs
}

// Time tolerance: a reading stamped later than it was received, by more than the tolerance: its clock is ahead, or was never set. Customary:
// a warning above 3 minutes, which is clock drift, and this one above an interval.
import type { Reading } from '#model/reading.ts'

export function isAhead(r: Reading, intervalMs: number, toleranceShare: number): boolean {
  return r.tsMs - r.receivedAtMs > toleranceShare * intervalMs
}

// The log's ticks: which ones lie between two log times. Ingest and backtest must agree on them to the millisecond.

/** Log time between two ticks. */
export const TICK_MS = 10_000
/** A longer silence gets a single tick at its end: a replay over a gap of months must not make millions of them. */
export const TICK_GAP_MS = 3_600_000

/**
 * Ticks due before a record with receipt time `toMs` when the last tick or record was at `fromMs`: each multiple of TICK_MS in (from, to];
 * a single one, the last multiple, when the gap is above TICK_GAP_MS. None when the clock does not move. `fromMs` undefined (the log
 * begins): only a tick at `toMs` itself, if that is a multiple.
 */
export function ticksBetween(fromMs: number | undefined, toMs: number): number[] {
  const last = Math.floor(toMs / TICK_MS) * TICK_MS
  if (fromMs === undefined) return last === toMs ? [last] : []
  if (last <= fromMs) return []
  if (toMs - fromMs > TICK_GAP_MS) return [last]
  const ticks: number[] = []
  for (let t = (Math.floor(fromMs / TICK_MS) + 1) * TICK_MS; t <= last; t += TICK_MS) ticks.push(t)
  return ticks
}

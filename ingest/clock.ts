// The log's clock as ingest keeps it, and the ticks that are due when it moves.
import { ticksBetween } from '#model/clock.ts'

export interface LogClock {
  /** The newest receipt time or tick so far; undefined before the first. */
  nowMs: number | undefined
}

const NONE: readonly number[] = []

/** Moves the log's clock forward to `nowMs` and returns the ticks that are due; none when it would go back. */
export function advance(clock: LogClock, nowMs: number): readonly number[] {
  if (clock.nowMs !== undefined && nowMs <= clock.nowMs) return NONE
  const ticks = ticksBetween(clock.nowMs, nowMs)
  clock.nowMs = nowMs
  return ticks
}

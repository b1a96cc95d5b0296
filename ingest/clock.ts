// The log's clock as ingest keeps it: which receipt time a message gets and which ticks come before it.
import { ticksBetween } from '#model/clock.ts'

export interface LogClock {
  /** The newest receipt time or tick so far; undefined before the first. */
  nowMs: number | undefined
}

/** Times of the ticks that are due, and the receipt time that the message gets. */
export interface ClockStep {
  ticks: readonly number[]
  receivedAtMs: number
}

const NONE: readonly number[] = []

/**
 * Receipt time of a message when messages carry the time (METERSTREAM_CLOCK=messages): `carriedMs` if the message has one, else the
 * log's time; at the very beginning of a log, the newest time `fallbackMs` that the message knows. A time before the log's is
 * kept for the message (its readings were received then), and the log's clock stays where it is.
 */
export function stepByMessage(clock: LogClock, carriedMs: number | undefined, fallbackMs: number): ClockStep {
  const receivedAtMs = carriedMs ?? clock.nowMs ?? fallbackMs
  return { receivedAtMs, ticks: advance(clock, receivedAtMs) }
}

/** Moves the log's clock forward to `nowMs` and returns the ticks that are due; none when it would go back. */
export function advance(clock: LogClock, nowMs: number): readonly number[] {
  if (clock.nowMs !== undefined && nowMs <= clock.nowMs) return NONE
  const ticks = ticksBetween(clock.nowMs, nowMs)
  clock.nowMs = nowMs
  return ticks
}

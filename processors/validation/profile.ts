// A meter's like-day shape: the mean rate by kind of day (weekday, weekend or holiday) and local hour, of about its last four such
// days, kept as a running mean, and a level: how much the last two days lay above what the shape expected of them, so that a cold week
// counts. Source of the method: like-day estimation over 3 to 4 valid reference days (UBP, Oracle "proxy day").
import { HOUR_MS } from '#model/time.ts'
import type { DayWindow } from './days.ts'
import { PROFILE, profileOf, type SeriesTable } from './series.ts'

const HOURS = 24
/** Weight of the newest day: a mean over the last four or so. */
const NEWEST_SHARE = 0.3
const RATE_MAX = 65_504
/** The level is a mean over about this time. */
const LEVEL_MS = 48 * HOUR_MS
/** The level corrects the shape by at most this factor either way. */
const LEVEL_MAX = 4

export function hourOf(day: DayWindow, ms: number): number {
  const h = Math.floor((ms - day.startMs) / HOUR_MS)
  return h < HOURS ? h : HOURS - 1
}

/** Learns the rate of one actual interval, register units per hour. A register that never moves needs no shape. */
export function learn(
  t: SeriesTable,
  row: number,
  day: DayWindow,
  holiday: boolean,
  startMs: number,
  ratePerHour: number,
  intervalMs: number,
): void {
  if (ratePerHour === 0 && (t.profile[row] as number) < 0) return
  const at = profileOf(t, row) * PROFILE + (day.weekend || holiday ? HOURS : 0) + hourOf(day, startMs)
  const old = t.profiles[at] as number
  if (!Number.isNaN(old)) {
    const part = intervalMs < LEVEL_MS ? intervalMs / LEVEL_MS : 1
    const seenMean = t.levelSeen[row] as number
    const expectedMean = t.levelExpected[row] as number
    t.levelSeen[row] = seenMean + (ratePerHour - seenMean) * part
    t.levelExpected[row] = expectedMean + (old - expectedMean) * part
  }
  const share = intervalMs >= HOUR_MS ? NEWEST_SHARE : (NEWEST_SHARE * intervalMs) / HOUR_MS
  // Kept with three digits in half the room; the largest rate that has one is far above any connection.
  t.profiles[at] = Math.min(RATE_MAX, Number.isNaN(old) ? ratePerHour : old + (ratePerHour - old) * share)
}

/** How far the last days lay above (or below) their like days. */
function level(t: SeriesTable, row: number): number {
  const expected = t.levelExpected[row] as number
  if (!(expected > 0)) return 1
  return Math.min(LEVEL_MAX, Math.max(1 / LEVEL_MAX, (t.levelSeen[row] as number) / expected))
}

/** Expected rate at an instant, register units per hour. NaN when nothing is known of any hour. */
export function expectedRate(t: SeriesTable, row: number, day: DayWindow, at: { holiday: boolean; ms: number }): number {
  const p = t.profile[row] as number
  if (p < 0) return (t.learnt[row] as number) > 0 ? 0 : Number.NaN
  const own = day.weekend || at.holiday ? HOURS : 0
  const h = hourOf(day, at.ms)
  const rate = t.profiles[p * PROFILE + own + h] as number
  if (!Number.isNaN(rate)) return rate * level(t, row)
  const other = t.profiles[p * PROFILE + HOURS - own + h] as number
  if (!Number.isNaN(other)) return other * level(t, row)
  let sum = 0
  let n = 0
  for (let i = 0; i < PROFILE; i++) {
    const v = t.profiles[p * PROFILE + i] as number
    if (!Number.isNaN(v)) {
      sum += v
      n++
    }
  }
  return n === 0 ? Number.NaN : sum / n
}

// What a series usually is at this time of the day and week. Pure.
import { DAY_MS, localHour } from '#model/time.ts'

export interface Sample {
  tsMs: number
  value: number
}
export interface BandPoint {
  tsMs: number
  low: number
  mid: number
  high: number
}

const BACK_DAYS = 28
/** Fewer samples say nothing about what is usual. */
const SAMPLES_MIN = 5

/**
 * For each slot of `stepMs` in [fromMs, toMs): the 10th, 50th and 90th percentile of the same slot of the day over the 28 days before
 * it, working days and weekends apart, in the utility's time zone. Each point uses only what came before it, so a fault does not
 * widen its own band. Slots with fewer than five samples are left out.
 * @param samples one a slot, ascending
 */
export function bandOf(
  samples: readonly Sample[],
  { fromMs, toMs, stepMs, timezone }: { fromMs: number; toMs: number; stepMs: number; timezone: string },
): BandPoint[] {
  const slotMinutes = stepMs / 60_000
  const keyOf = (tsMs: number): number => {
    const { minuteOfDay, weekday } = localHour(timezone, tsMs)
    return Math.floor(minuteOfDay / slotMinutes) * 2 + Number(weekday === 0 || weekday === 6)
  }
  const bySlot = new Map<number, Sample[]>()
  for (const s of samples) {
    const key = keyOf(s.tsMs)
    const list = bySlot.get(key)
    if (list === undefined) bySlot.set(key, [s])
    else list.push(s)
  }
  const out: BandPoint[] = []
  for (let t = Math.ceil(fromMs / stepMs) * stepMs; t < toMs; t += stepMs) {
    const before = (bySlot.get(keyOf(t)) ?? []).filter((s) => s.tsMs < t && s.tsMs >= t - BACK_DAYS * DAY_MS)
    if (before.length < SAMPLES_MIN) continue
    const sorted = before.map((s) => s.value).sort((a, b) => a - b)
    out.push({ tsMs: t, low: quantile(sorted, 0.1), mid: quantile(sorted, 0.5), high: quantile(sorted, 0.9) })
  }
  return out
}

/** Linear between order statistics (type 7 of Hyndman and Fan, 1996). */
export function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q
  const i = Math.floor(at)
  const a = sorted[i] ?? Number.NaN
  const b = sorted[i + 1] ?? a
  return a + (b - a) * (at - i)
}

export const bandBackMs = BACK_DAYS * DAY_MS

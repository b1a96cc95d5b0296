// The day's peak of a transformer or feeder, foretold from its own habit: mean load by local hour, working days and rest days apart,
// scaled by how today has gone so far.
import { DAY_MS, HOUR_MS, localDay, localHour } from '#model/time.ts'

const HOURS = 24
/** Days of a kind before anything is foretold. */
const DAYS_MIN = 3
/** The habit forgets in about so many days of a kind. */
const MEMORY_DAYS = 10
/** Today is compared with the habit over so many last hours. */
const RECENT_H = 3
/** A day is scaled within these bounds: a holiday or a cold day, no more. */
const SCALE: readonly [number, number] = [0.5, 2]

/** Plain data: habit of working days in the first 24, of rest days in the last; sums of the hour that is going on; today's hours. */
export interface DayPeak {
  habitKw: Float32Array
  days: [number, number]
  today: Float32Array
  dayMs: number
  sumKw: number
  n: number
  hour: number
  /** Today's largest interval, kW, and how far intervals exceed the mean of their hour, as a share. */
  peakKw: number
  crest: number
}

export function newDayPeak(): DayPeak {
  return {
    habitKw: new Float32Array(2 * HOURS),
    days: [0, 0],
    today: new Float32Array(HOURS).fill(Number.NaN),
    dayMs: 0,
    sumKw: 0,
    n: 0,
    hour: -1,
    peakKw: 0,
    crest: 1.1,
  }
}

const kindOf = (weekday: number): 0 | 1 => (weekday === 0 || weekday === 6 ? 1 : 0)

/** Takes the load of an interval that ended at `endMs` in. */
export function notePeak(p: DayPeak, timezone: string, endMs: number, kw: number): void {
  const at = endMs - 1
  const { hour } = localHour(timezone, at)
  if (hour !== p.hour || endMs - p.dayMs > DAY_MS + HOUR_MS) {
    if (p.hour >= 0 && p.n > 0) p.today[p.hour] = p.sumKw / p.n
    const { startMs } = localDay(timezone, at)
    if (startMs !== p.dayMs) {
      if (p.dayMs > 0) learnDay(p, kindOf(localHour(timezone, p.dayMs).weekday))
      p.dayMs = startMs
      p.today.fill(Number.NaN)
      p.peakKw = 0
    }
    p.hour = hour
    p.sumKw = 0
    p.n = 0
  }
  p.sumKw += kw
  p.n += 1
  p.peakKw = Math.max(p.peakKw, kw)
  const mean = p.sumKw / p.n
  if (p.n > 1 && mean > 0) p.crest += (Math.min(2, Math.max(1, kw / mean)) - p.crest) * (kw > mean * p.crest ? 0.2 : 0.01)
}

function learnDay(p: DayPeak, kind: 0 | 1): void {
  let whole = 0
  for (const kw of p.today) if (!Number.isNaN(kw)) whole += 1
  if (whole < HOURS - 4) return
  const weight = 1 / Math.min(MEMORY_DAYS, p.days[kind] + 1)
  for (let h = 0; h < HOURS; h++) {
    const kw = p.today[h] as number
    if (Number.isNaN(kw)) continue
    const k = kind * HOURS + h
    p.habitKw[k] = (p.habitKw[k] as number) + (kw - (p.habitKw[k] as number)) * weight
  }
  p.days[kind] += 1
}

export interface Foretold {
  kw: number
  atMs: number
  days: number
  scale: number
}

/** The largest load still to come today, undefined without enough history. */
export function foretell(p: DayPeak, timezone: string, nowMs: number): Foretold | undefined {
  const { hour, weekday } = localHour(timezone, nowMs)
  const kind = kindOf(weekday)
  if (p.days[kind] < DAYS_MIN) return undefined
  const habit = (h: number): number => p.habitKw[kind * HOURS + h] as number
  let was = 0
  let usual = 0
  for (let h = Math.max(0, hour - RECENT_H); h < hour; h++) {
    const kw = p.today[h] as number
    if (Number.isNaN(kw)) continue
    was += kw
    usual += habit(h)
  }
  const scale = usual > 0 ? Math.min(SCALE[1], Math.max(SCALE[0], was / usual)) : 1
  let best: Foretold | undefined
  for (let h = hour + 1; h < HOURS; h++) {
    const kw = habit(h) * scale * p.crest
    if (best === undefined || kw > best.kw) best = { kw, atMs: p.dayMs + h * HOUR_MS, days: p.days[kind], scale }
  }
  return best
}

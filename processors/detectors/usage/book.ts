// What is remembered of a customer meter's use: local days, the shape of a day, runs of zero. About 0.5 KiB a meter.
import { HOUR_MS, localDay, offsetMs } from '#model/time.ts'
import { madSd, median, quantile } from '../../statistics/robust.ts'

/** Days kept: four weeks, so that every weekday is there four times. */
export const DAYS_KEPT = 28
/** A day counts when at least this share of its intervals were read. */
const COVERAGE_MIN = 0.8

/** Sums of one local day that is not closed yet. */
export interface DaySum {
  day: number
  kwh: number
  /** Read intervals, and the time they cover. */
  coveredMs: number
}

export interface MeterBook {
  /** Two open days, by parity of the day number: reads of yesterday come late while today runs. */
  open: [DaySum, DaySum]
  /** kWh of closed days, newest last, NaN for a day that does not count. */
  days: number[]
  /** kWh by local hour: exponentially weighted over about four weeks, and over about four days. */
  usual: Float32Array
  recent: Float32Array
  lastEndMs: number
  /** Start of the present run of zero intervals, 0 when there is none, and the longest that ever ended. */
  zeroSinceMs: number
  longestZeroMs: number
  /** End of the newest interval that validation refused because the register stood still. */
  stuckEndMs: number
  /** Exported energy since the first unexplained export, its first and latest interval, and how many. */
  exportKwh: number
  exportSinceMs: number
  exportLastMs: number
  exportIntervals: number
  /** Latest cover or tamper event, 0 when there was none. */
  tamperMs: number
}

export function createBook(): MeterBook {
  return {
    open: [
      { day: -1, kwh: 0, coveredMs: 0 },
      { day: -1, kwh: 0, coveredMs: 0 },
    ],
    days: [],
    usual: new Float32Array(24),
    recent: new Float32Array(24),
    lastEndMs: 0,
    zeroSinceMs: 0,
    longestZeroMs: 0,
    stuckEndMs: 0,
    exportKwh: 0,
    exportSinceMs: 0,
    exportLastMs: 0,
    exportIntervals: 0,
    tamperMs: 0,
  }
}

/** Local days with their bounds, remembered because intervals of the same day come by the thousand. */
export interface Calendar {
  bounds: { day: number; startMs: number; endMs: number; offsetMs: number }[]
}

/** Number (days since 1970 in local time) and offset of the local day that contains an instant. */
export function dayOf(calendar: Calendar, timezone: string, ms: number): { day: number; startMs: number; endMs: number; offsetMs: number } {
  for (const b of calendar.bounds) if (ms >= b.startMs && ms < b.endMs) return b
  const { date, startMs, endMs } = localDay(timezone, ms)
  const b = { day: Math.floor(Date.parse(`${date}T00:00:00Z`) / 86_400_000), startMs, endMs, offsetMs: offsetMs(timezone, startMs) }
  calendar.bounds.push(b)
  if (calendar.bounds.length > 4) calendar.bounds.shift()
  return b
}

const USUAL_WEIGHT = 1 / 24
const RECENT_WEIGHT = 1 / 4

/** Adds a read interval of the import register. */
export function addImport(book: MeterBook, startMs: number, endMs: number, kwh: number, at: { day: number; offsetMs: number }): void {
  const sum = book.open[at.day & 1] as DaySum
  if (sum.day !== at.day) {
    // Only a day that was never closed is thrown away here: it is older than the one before yesterday.
    if (at.day < sum.day) return
    sum.day = at.day
    sum.kwh = 0
    sum.coveredMs = 0
  }
  sum.kwh += kwh
  sum.coveredMs += endMs - startMs
  if (endMs <= book.lastEndMs) return
  book.lastEndMs = endMs
  if (kwh > 0) {
    if (book.zeroSinceMs > 0) book.longestZeroMs = Math.max(book.longestZeroMs, startMs - book.zeroSinceMs)
    book.zeroSinceMs = 0
  } else if (book.zeroSinceMs === 0) book.zeroSinceMs = startMs
  const hour = Math.floor(((((startMs + at.offsetMs) / HOUR_MS) % 24) + 24) % 24)
  const perHour = (kwh * HOUR_MS) / (endMs - startMs)
  // Weights are per day; a day has several intervals in an hour.
  const share = (endMs - startMs) / HOUR_MS
  const mix = (row: Float32Array, weight: number) => {
    const old = row[hour] as number
    row[hour] = old === 0 && book.days.length === 0 ? perHour : old + (perHour - old) * weight * share
  }
  mix(book.usual, USUAL_WEIGHT)
  mix(book.recent, RECENT_WEIGHT)
}

/** Closes a local day; returns its kWh scaled to the whole day, NaN when too little of it was read. */
export function closeDay(book: MeterBook, day: number, lengthMs: number): number {
  const sum = book.open[day & 1] as DaySum
  const share = sum.day === day ? sum.coveredMs / lengthMs : 0
  const kwh = share >= COVERAGE_MIN ? sum.kwh / Math.min(1, share) : Number.NaN
  book.days.push(kwh)
  if (book.days.length > DAYS_KEPT) book.days.shift()
  return kwh
}

/** Closed days before the last `skip` ones that count. */
export function daysBefore(book: MeterBook, skip: number): number[] {
  return book.days.slice(0, Math.max(0, book.days.length - skip)).filter((d) => Number.isFinite(d))
}

export interface Usual {
  n: number
  medianKwh: number
  sdKwh: number
  /** Nine of ten days use less. */
  highKwh: number
}

export function usualOf(book: MeterBook, skip: number): Usual {
  const d = daysBefore(book, skip)
  return { n: d.length, medianKwh: median(d), sdKwh: madSd(d), highKwh: quantile(d, 0.9) }
}

/** Correlation of the recent shape of the day with the usual one; a home that stands empty has lost its shape, a bypassed one keeps it. */
export function shapeCorrelation(book: MeterBook): number {
  return correlation(book.usual, book.recent)
}

function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const n = a.length
  let ma = 0
  let mb = 0
  for (let i = 0; i < n; i++) {
    ma += (a[i] as number) / n
    mb += (b[i] as number) / n
  }
  let ab = 0
  let aa = 0
  let bb = 0
  for (let i = 0; i < n; i++) {
    const x = (a[i] as number) - ma
    const y = (b[i] as number) - mb
    ab += x * y
    aa += x * x
    bb += y * y
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0
}

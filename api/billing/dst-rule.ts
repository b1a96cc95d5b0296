// Summer time as ESPI's rules: 32 bits that say in which month, on which weekday of it and at which hour the clock changes. Pure.
import { DAY_MS, HOUR_MS } from '#model/time.ts'

export interface TimeRules {
  /** Offset of standard time from UTC, seconds. */
  offsetS: number
  /** What summer time adds, seconds; 0 without. */
  dstOffsetS: number
  /** Eight hexadecimal digits; all F: no summer time. */
  startRule: string
  endRule: string
}

const NONE = 'FFFFFFFF'
const LAST = 7

interface Change {
  /** Wall clock just before the change, as if it were UTC. */
  wallMs: number
  /** Of the offset, ms. */
  by: number
}

/** Changes of the offset in a year, found by halving the day in which they are. */
function changesOf(year: number, offsetMs: (ms: number) => number): Change[] {
  const out: Change[] = []
  const end = Date.UTC(year + 1, 0, 1)
  for (let day = Date.UTC(year, 0, 1); day < end; day += DAY_MS) {
    const before = offsetMs(day)
    if (offsetMs(day + DAY_MS) === before) continue
    let low = day
    let high = day + DAY_MS
    while (high - low > 60_000) {
      const middle = low + Math.floor((high - low) / 120_000) * 60_000
      if (offsetMs(middle) === before) low = middle
      else high = middle
    }
    out.push({ wallMs: high + before, by: offsetMs(high) - before })
  }
  return out
}

/**
 * The rules of a year. A change is named by the weekday's place in the month, `last` when it is the last one this year and the next; where
 * two years do not agree on anything the date itself is named.
 */
export function timeRules(year: number, offsetMs: (ms: number) => number): TimeRules {
  const now = changesOf(year, offsetMs)
  const next = changesOf(year + 1, offsetMs)
  const start = now.find((c) => c.by > 0)
  const end = now.find((c) => c.by < 0)
  const offset = Math.min(offsetMs(Date.UTC(year, 0, 1)), offsetMs(Date.UTC(year, 6, 1)))
  if (now.length !== 2 || start === undefined || end === undefined) {
    return { offsetS: offset / 1000, dstOffsetS: 0, startRule: NONE, endRule: NONE }
  }
  return {
    offsetS: offset / 1000,
    dstOffsetS: start.by / 1000,
    startRule: ruleOf(
      start,
      next.find((c) => c.by > 0),
    ),
    endRule: ruleOf(
      end,
      next.find((c) => c.by < 0),
    ),
  }
}

function ruleOf(change: Change, next: Change | undefined): string {
  const at = new Date(change.wallMs)
  const ms = change.wallMs % DAY_MS
  const hours = Math.floor(ms / HOUR_MS)
  const seconds = Math.floor((ms % HOUR_MS) / 1000)
  const place = next === undefined ? 0 : placeOf(at, new Date(next.wallMs))
  const weekday = place === 0 ? 0 : ((at.getUTCDay() + 6) % 7) + 1
  const date = place === 0 ? at.getUTCDate() : 0
  const bits =
    (BigInt(at.getUTCMonth() + 1) << 28n) |
    (BigInt(place) << 25n) |
    (BigInt(date) << 20n) |
    (BigInt(weekday) << 17n) |
    (BigInt(hours) << 12n) |
    BigInt(seconds)
  return bits.toString(16).toUpperCase().padStart(8, '0')
}

/** Operator: 7 the last such weekday, 2 to 6 the first to fifth, 0 when the two years do not agree. */
function placeOf(a: Date, b: Date): number {
  if (a.getUTCDay() !== b.getUTCDay() || a.getUTCMonth() !== b.getUTCMonth()) return 0
  const days = (d: Date) => new Date(Date.UTC(d.getUTCFullYear(), d.getUTCMonth() + 1, 0)).getUTCDate()
  const isLast = (d: Date) => d.getUTCDate() + 7 > days(d)
  if (isLast(a) && isLast(b)) return LAST
  const nth = (d: Date) => Math.ceil(d.getUTCDate() / 7)
  return nth(a) === nth(b) ? nth(a) + 1 : 0
}

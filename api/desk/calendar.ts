// Working time: how much of it lies between two instants, and when so much of it has passed. In the utility's time zone, with holidays,
// right on the days when clocks change: a window is between two local times, however long that is.
import { DAY_MS, localDate, MINUTE_MS, offsetMs } from '#model/time.ts'
import type { DeskSettings } from './settings.ts'

export interface Calendar {
  readonly timezone: string
  /** By weekday, Sunday first: minutes of the local day, from and to. */
  readonly hours: readonly (readonly [number, number])[][]
  readonly holidays: ReadonlySet<string>
}

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'] as const

export function calendarOf(settings: DeskSettings['calendar'], timezone: string): Calendar {
  return {
    timezone: settings.timezone === '' ? timezone : settings.timezone,
    hours: WEEKDAYS.map((d) => settings[d].map(([from, to]) => [minuteOf(from), minuteOf(to)] as const)),
    holidays: new Set(settings.holidays),
  }
}

export function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5))
}

/** The instant of a local time of a local date. One that the clocks skip is the instant at which they skip it, moved by the skip. */
export function instantOf(timezone: string, date: string, minute: number): number {
  const naive = Date.parse(`${date}T00:00:00Z`) + minute * MINUTE_MS
  const first = naive - offsetMs(timezone, naive)
  return naive - offsetMs(timezone, first)
}

function nextDate(date: string): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + DAY_MS).toISOString().slice(0, 10)
}

/** Windows of a local date, as instants. */
function windowsOf(c: Calendar, date: string): (readonly [number, number])[] {
  if (c.holidays.has(date)) return []
  const weekday = new Date(`${date}T00:00:00Z`).getUTCDay()
  return (c.hours[weekday] ?? []).map(([from, to]) => [instantOf(c.timezone, date, from), instantOf(c.timezone, date, to)] as const)
}

/** Days looked through at most: a calendar has at least one window a week, holidays aside. */
const DAYS_MAX = 4000

/** Working milliseconds between two instants; 0 when `toMs` is not later. */
export function workingMs(c: Calendar, fromMs: number, toMs: number): number {
  let sum = 0
  let date = localDate(c.timezone, fromMs)
  for (let i = 0; i < DAYS_MAX && toMs > fromMs; i++) {
    const windows = windowsOf(c, date)
    for (const [from, to] of windows) sum += Math.max(0, Math.min(to, toMs) - Math.max(from, fromMs))
    date = nextDate(date)
    if (instantOf(c.timezone, date, 0) >= toMs) return sum
  }
  return sum
}

/** The instant at which `amountMs` of working time has passed since `fromMs`. With 0: the next instant of working time. */
export function addWorking(c: Calendar, fromMs: number, amountMs: number): number {
  let left = amountMs
  let date = localDate(c.timezone, fromMs)
  for (let i = 0; i < DAYS_MAX; i++) {
    for (const [from, to] of windowsOf(c, date)) {
      const start = Math.max(from, fromMs)
      if (start >= to) continue
      if (left <= to - start) return start + left
      left -= to - start
    }
    date = nextDate(date)
  }
  // Holidays without end: round the clock from there, so that a limit still exists.
  return instantOf(c.timezone, date, 0) + left
}

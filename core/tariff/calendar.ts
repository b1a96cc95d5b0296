// Local calendar arithmetic of tariffs: dates as text, seasons, time-of-use periods. The time zone is the utility's, always given.
import { DAY_MS, localDate, localHour, startOfLocalDate } from '#model/time.ts'

export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10)
}

/** Days from one date to another, the second not included. */
export function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY_MS)
}

/** True for a date that exists: not 30 February. */
export function isDate(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(`${text}T00:00:00Z`)) && addDays(text, 0) === text
}

export function startOfMonth(date: string): string {
  return `${date.slice(0, 7)}-01`
}

export function nextMonth(date: string): string {
  const year = Number(date.slice(0, 4))
  const month = Number(date.slice(5, 7))
  return month === 12 ? `${String(year + 1).padStart(4, '0')}-01-01` : `${date.slice(0, 4)}-${String(month + 1).padStart(2, '0')}-01`
}

/** The last anniversary of `MM-DD` that is not after the date. */
export function startOfYear(date: string, yearStart: string): string {
  const year = Number(date.slice(0, 4))
  return `${String(date.slice(5) >= yearStart ? year : year - 1).padStart(4, '0')}-${yearStart}`
}

/** 0 = Sunday to 6 = Saturday. */
export function weekdayOf(date: string): number {
  return new Date(`${date}T00:00:00Z`).getUTCDay()
}

export interface SeasonLike {
  id: string
  from: readonly string[]
}

/** The season of a date: the one that began last. Undefined when there are no seasons. */
export function seasonOf(seasons: readonly SeasonLike[], date: string): string | undefined {
  const monthDay = date.slice(5)
  let best: { id: string; from: string } | undefined
  let last: { id: string; from: string } | undefined
  for (const s of seasons) {
    for (const from of s.from) {
      if (from <= monthDay && (best === undefined || from > best.from)) best = { id: s.id, from }
      if (last === undefined || from > last.from) last = { id: s.id, from }
    }
  }
  return (best ?? last)?.id
}

export const MINUTES = 1440

/** `HH:MM` as minutes of the day; `24:00` is 1440. */
export function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3))
}

export interface LocalMoment {
  date: string
  minuteOfDay: number
}

export function localMoment(timezone: string, ms: number): LocalMoment {
  return { date: localDate(timezone, ms), minuteOfDay: localHour(timezone, ms).minuteOfDay }
}

export function startOf(timezone: string, date: string): number {
  return startOfLocalDate(timezone, date)
}

// The utility's billing calendar: months that begin on a day of its choice, closed some days after their end at a local time. Pure.

import { localDate, MINUTE_MS, startOfLocalDate } from '#model/time.ts'
import { addDays } from '#tariff/calendar.ts'

export interface BillingCalendar {
  /** Day of the month on which a period begins, 1 to 28. */
  startDay: number
  /** Local days after the end of a period when it is closed: late reads have until then. */
  closeAfterDays: number
  /** Local time of that day, HH:MM. */
  closeTime: string
}

/** Closed on the third day of the next month: nine in ten late reads have come by then, and a bill is still a bill of last month. */
export const USUAL_CALENDAR: BillingCalendar = { startDay: 1, closeAfterDays: 3, closeTime: '02:00' }

export interface BillingPeriod {
  /** Year and month in which it begins: `2026-03`. */
  id: string
  /** First local day, and first day that is not in it. */
  from: string
  to: string
}

const pad = (n: number) => String(n).padStart(2, '0')

function periodFrom(year: number, month: number, startDay: number): BillingPeriod {
  const next = month === 12 ? [year + 1, 1] : [year, month + 1]
  return {
    id: `${year}-${pad(month)}`,
    from: `${year}-${pad(month)}-${pad(startDay)}`,
    to: `${next[0]}-${pad(next[1] as number)}-${pad(startDay)}`,
  }
}

/** The period that a local day belongs to. */
export function periodOf(calendar: BillingCalendar, date: string): BillingPeriod {
  const [year, month, day] = date.split('-').map(Number) as [number, number, number]
  if (day >= calendar.startDay) return periodFrom(year, month, calendar.startDay)
  return month === 1 ? periodFrom(year - 1, 12, calendar.startDay) : periodFrom(year, month - 1, calendar.startDay)
}

export function nextPeriod(calendar: BillingCalendar, period: BillingPeriod): BillingPeriod {
  return periodOf(calendar, period.to)
}

/** When a period is closed, epoch ms. In a night in which the clock jumps over that time, an hour later. */
export function dueMs(calendar: BillingCalendar, period: BillingPeriod, timezone: string): number {
  const [hours, minutes] = calendar.closeTime.split(':').map(Number) as [number, number]
  return startOfLocalDate(timezone, addDays(period.to, calendar.closeAfterDays)) + (hours * 60 + minutes) * MINUTE_MS
}

/** The newest period that is due at an instant. */
export function newestDue(calendar: BillingCalendar, timezone: string, nowMs: number): BillingPeriod {
  let period = periodOf(calendar, localDate(timezone, nowMs))
  while (dueMs(calendar, period, timezone) > nowMs) period = periodOf(calendar, addDays(period.from, -1))
  return period
}

/** Dates of a period in order. */
export function datesOf(period: { from: string; to: string }): string[] {
  const out: string[] = []
  for (let d = period.from; d < period.to; d = addDays(d, 1)) out.push(d)
  return out
}

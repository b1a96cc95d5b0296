// Use cut into pieces that lie in one local day and one time-of-use period each. Quantities are whole thousandths, and the cutting
// loses none: the pieces of all slices add up to the rounded sum.
import { HOUR_MS } from '#model/time.ts'
import { addDays, localMoment, MINUTES, seasonOf, startOf, weekdayOf } from './calendar.ts'
import { milli } from './money.ts'
import { dayTable, type TariffVersion } from './tariff.ts'

/** Use between two instants: an interval, or a whole day. In kWh or m3. */
export interface Usage {
  startMs: number
  endMs: number
  value: number
  /** `import` when left out. */
  register?: 'import' | 'export'
}

export interface Piece {
  register: 'import' | 'export'
  date: string
  quantityMilli: number
  /** Index in the version's periods; -1 when it has none. */
  period: number
  season: string | undefined
  /** Mean power of the slice, thousandths of kW (or m3/h); 0 when the slice is too long to say. */
  powerMilli: number
}

/** A mean over more than an hour is no peak. */
const DEMAND_SLICE_MS = HOUR_MS

/** Season and period of local times in one version, with its tables made once. */
export interface Clockwork {
  at(date: string, minuteOfDay: number): { period: number; season: string | undefined; untilMinute: number }
}

export function clockworkOf(v: TariffVersion): Clockwork {
  const tables = new Map<string, Int8Array>()
  const days = new Map<string, { season: string | undefined; table: Int8Array | undefined }>()
  const holidays = new Set(v.holidays)
  const dayOf = (date: string) => {
    let day = days.get(date)
    if (day === undefined) {
      const season = seasonOf(v.seasons, date)
      const weekday = holidays.has(date) ? 0 : weekdayOf(date)
      const key = `${season ?? ''}|${weekday}`
      let table = tables.get(key)
      if (table === undefined && v.periods.length > 0) {
        table = dayTable(v, season, weekday)
        tables.set(key, table)
      }
      day = { season, table }
      days.set(date, day)
    }
    return day
  }
  return {
    at(date, minuteOfDay) {
      const { season, table } = dayOf(date)
      if (table === undefined) return { period: -1, season, untilMinute: MINUTES }
      const period = table[minuteOfDay] as number
      let until = minuteOfDay + 1
      while (until < MINUTES && table[until] === period) until++
      return { period, season, untilMinute: until }
    },
  }
}

/**
 * Cuts slices in order of time. A slice over several days or periods is divided by time: with whole days and time-of-use prices that is
 * an estimate. `clockwork` gives that of a date; pieces of dates without one carry no period.
 */
export function cut(usage: readonly Usage[], timezone: string, clockwork: (date: string) => Clockwork | undefined): Piece[] {
  const sorted = [...usage].sort((a, b) => a.startMs - b.startMs || a.endMs - b.endMs)
  const out: Piece[] = []
  const sums = { import: { value: 0, given: 0 }, export: { value: 0, given: 0 } }
  for (const u of sorted) {
    const register = u.register ?? 'import'
    const sum = sums[register]
    sum.value += u.value
    const total = milli(sum.value) - sum.given
    sum.given += total
    const length = Math.max(1, u.endMs - u.startMs)
    const powerMilli = length <= DEMAND_SLICE_MS ? Math.round((u.value * 1000 * HOUR_MS) / length) : 0
    let at = u.startMs
    let given = 0
    do {
      const { date, minuteOfDay } = localMoment(timezone, at)
      const place = clockwork(date)?.at(date, minuteOfDay) ?? { period: -1, season: undefined, untilMinute: MINUTES }
      const until = endOf(timezone, date, at, place.untilMinute - minuteOfDay, place.untilMinute === MINUTES)
      const end = Math.min(u.endMs, until)
      const share = end >= u.endMs ? total - given : Math.round((total * (end - u.startMs)) / length) - given
      given += share
      out.push({ register, date, quantityMilli: share, period: place.period, season: place.season, powerMilli })
      at = end
    } while (at < u.endMs)
  }
  return out
}

/** Where a stretch of the local clock ends: at midnight exactly, also on days of 23 or 25 hours. */
function endOf(timezone: string, date: string, atMs: number, minutes: number, midnight: boolean): number {
  const next = startOf(timezone, addDays(date, 1))
  if (midnight) return next
  const minuteStart = Math.floor(atMs / 60_000) * 60_000
  const hourEnd = (Math.floor(atMs / HOUR_MS) + 1) * HOUR_MS
  // The clock may change at a full hour: no stretch is trusted beyond it.
  return Math.min(next, minuteStart + minutes * 60_000, hourEnd > atMs ? hourEnd : next)
}

// The account page as a function of what the stores say: use today, this month against the last and against the neighbours, its cost,
// and what the bill will come to. Pure.
import type { Segment } from '#model/asset.ts'
import { DAY_MS, localDate, startOfLocalDate } from '#model/time.ts'
import { addDays, daysBetween, nextMonth, startOfMonth, weekdayOf } from '#tariff/calendar.ts'
import { type Priced, priceConsumption } from '#tariff/price.ts'
import type { Usage } from '#tariff/slices.ts'
import { type Tariff, versionOn } from '#tariff/tariff.ts'

export interface DayUse {
  date: string
  value: number
  /** Intervals estimated or missing, and all of them. */
  uncertain: number
  intervals: number
}

export interface MeterUse {
  meter: string
  /** Consumption by local day, newest revision, in order; today may be missing or partial. */
  days: DayUse[]
  /** Newest revision of the intervals of this month, in order: in kWh or m3. */
  intervals: Usage[]
  /** The same for what was fed back. */
  exported: Usage[]
}

export interface Neighbours {
  count: number
  /** Median of their use of the same days. */
  median: number
  /** Share of them that used more, 0 to 1. */
  moreThanYou: number
}

/** Fewer would tell one neighbour about another. */
export const NEIGHBOURS_MIN = 5

export function neighboursOf(own: number, others: readonly number[]): Neighbours | null {
  if (others.length < NEIGHBOURS_MIN) return null
  const sorted = [...others].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
  return { count: others.length, median: round(median), moreThanYou: round(others.filter((v) => v > own).length / others.length) }
}

export interface UsageView {
  meters: string[]
  today: { value: number; uncertainPct: number; until: string | null }
  month: { from: string; value: number; lastMonthSameDays: number | null; lastMonth: number | null; changePct: number | null }
  /** Days of the last five weeks, in order. */
  days: DayUse[]
}

/** Of all meters of one commodity together. */
export function usageView(uses: readonly MeterUse[], nowMs: number, timezone: string): UsageView {
  const today = localDate(timezone, nowMs)
  const month = startOfMonth(today)
  const last = startOfMonth(addDays(month, -1))
  const days = daysOf(uses, today, timezone)
  const sum = (from: string, to: string) => {
    const list = days.filter((d) => d.date >= from && d.date < to)
    return list.length === 0 ? null : round(list.reduce((n, d) => n + d.value, 0))
  }
  const todayDay = days.find((d) => d.date === today)
  const value = sum(month, addDays(today, 1)) ?? 0
  // Today is not over: the same whole days are compared.
  const whole = sum(month, today)
  const before = sum(last, addDays(last, Math.min(daysBetween(month, today), daysBetween(last, month))))
  const latest = Math.max(0, ...uses.flatMap((u) => u.intervals.map((i) => i.endMs)))
  return {
    meters: uses.map((u) => u.meter),
    today: {
      value: todayDay?.value ?? 0,
      uncertainPct: todayDay === undefined || todayDay.intervals === 0 ? 0 : Math.round((100 * todayDay.uncertain) / todayDay.intervals),
      until: latest === 0 ? null : new Date(latest).toISOString(),
    },
    month: {
      from: month,
      value,
      lastMonthSameDays: before,
      lastMonth: sum(last, month),
      changePct: whole === null || before === null || before === 0 ? null : Math.round((100 * (whole - before)) / before),
    },
    days: days.filter((d) => d.date > addDays(today, -36)),
  }
}

/** Days of all meters added; today from its intervals. */
function daysOf(uses: readonly MeterUse[], today: string, timezone: string): DayUse[] {
  const out = new Map<string, DayUse>()
  const add = (d: DayUse) => {
    const known = out.get(d.date)
    if (known === undefined) out.set(d.date, { ...d })
    else {
      known.value = round(known.value + d.value)
      known.uncertain += d.uncertain
      known.intervals += d.intervals
    }
  }
  const startMs = startOfLocalDate(timezone, today)
  for (const u of uses) {
    for (const d of u.days) if (d.date < today) add(d)
    const now = u.intervals.filter((i) => i.startMs >= startMs)
    if (now.length > 0) add({ date: today, value: round(now.reduce((n, i) => n + i.value, 0)), uncertain: 0, intervals: now.length })
  }
  return [...out.values()].sort((a, b) => (a.date < b.date ? -1 : 1))
}

export interface CostView {
  tariff: { code: string; label: { en: string; zh?: string | undefined } }
  currency: string
  minorDigits: number
  /** From the first of the month to now, standing charges up to today. */
  soFar: Priced
  /** The whole month, at the use of the last weeks. */
  forecastMinor: number
  /** Eight months in ten should end between. */
  forecastLowMinor: number
  forecastHighMinor: number
}

/** Standard normal: one in ten lies above. */
const TENTH = 1.2816

/**
 * Cost so far and forecast. The days to come are those of the same weekday in the four weeks before (their median), divided over the hours
 * as the last days were; the range is the spread of days about that, as if days were independent.
 */
export function costView(input: {
  tariff: Tariff
  uses: readonly MeterUse[]
  nowMs: number
  timezone: string
  segment: Segment
  persons: number
}): CostView | null {
  const { tariff, uses, nowMs, timezone } = input
  const today = localDate(timezone, nowMs)
  const month = startOfMonth(today)
  if (versionOn(tariff, today) === undefined) return null
  const days = daysOf(uses, today, timezone)
  const before = days.filter((d) => d.date < month).map((d) => dayUsage(d.date, d.value, timezone))
  const sofar = monthUsage(uses, days, month, addDays(today, 1), timezone)
  const common = { tariff, timezone, before, segment: input.segment, persons: input.persons }
  const soFar = priceConsumption({ ...common, from: month, to: addDays(today, 1), usage: sofar })
  const end = nextMonth(month)
  const { expected, deviation } = expectedDays(days, today, end, nowMs, timezone)
  const whole = (shift: number) => {
    const total = expected.reduce((n, d) => n + d.value, 0)
    const factor = total > 0 ? Math.max(0, 1 + shift / total) : 1
    const rest = expected.flatMap((d) => shaped(d.date, d.value * factor, d.fromMs, sofar, timezone))
    return priceConsumption({ ...common, from: month, to: end, usage: [...sofar, ...rest] }).totalMinor
  }
  const spread = TENTH * deviation * Math.sqrt(Math.max(1, expected.length))
  return {
    tariff: { code: tariff.code, label: tariff.label },
    currency: tariff.currency,
    minorDigits: tariff.minorDigits,
    soFar,
    forecastMinor: whole(0),
    forecastLowMinor: whole(-spread),
    forecastHighMinor: whole(spread),
  }
}

function dayUsage(date: string, value: number, timezone: string): Usage {
  return { startMs: startOfLocalDate(timezone, date), endMs: startOfLocalDate(timezone, addDays(date, 1)), value }
}

/** Intervals where a day has them, whole days where it has not: a day is never counted twice. */
function monthUsage(uses: readonly MeterUse[], days: readonly DayUse[], from: string, to: string, timezone: string): Usage[] {
  const out: Usage[] = uses.flatMap((u) => [...u.intervals, ...u.exported.map((e) => ({ ...e, register: 'export' as const }))])
  const byDay = new Map<string, number>()
  for (const u of uses) {
    for (const i of u.intervals) {
      const date = localDate(timezone, i.startMs)
      byDay.set(date, (byDay.get(date) ?? 0) + i.value)
    }
  }
  for (const d of days) {
    if (d.date < from || d.date >= to) continue
    const rest = d.value - (byDay.get(d.date) ?? 0)
    // Less than a step of a register is rounding, not a part of the day without intervals.
    if (Math.abs(rest) > 0.01) out.push(dayUsage(d.date, rest, timezone))
  }
  return out
}

const WEEKS = 4
const HOUR_SHAPE_DAYS = 7

function expectedDays(days: readonly DayUse[], today: string, end: string, nowMs: number, timezone: string) {
  const recent = days.filter((d) => d.date < today && d.date >= addDays(today, -7 * WEEKS))
  const of = (weekday: number) => recent.filter((d) => weekdayOf(d.date) === weekday).map((d) => d.value)
  const all = median(recent.map((d) => d.value))
  const usual = Array.from({ length: 7 }, (_, w) => (of(w).length < 2 ? all : median(of(w))))
  const away = recent.map((d) => Math.abs(d.value - (usual[weekdayOf(d.date)] as number)))
  const expected: { date: string; value: number; fromMs: number }[] = []
  for (let d = today; d < end; d = addDays(d, 1)) {
    const startMs = startOfLocalDate(timezone, d)
    const endMs = startOfLocalDate(timezone, addDays(d, 1))
    const fromMs = Math.max(startMs, Math.min(nowMs, endMs))
    const value = (usual[weekdayOf(d)] as number) * ((endMs - fromMs) / (endMs - startMs))
    if (value > 0) expected.push({ date: d, value, fromMs })
  }
  return { expected, deviation: recent.length < 3 ? 0 : 1.4826 * median(away) }
}

/** A day's use divided over its hours as the last days were; evenly when they are not known. */
function shaped(date: string, value: number, fromMs: number, known: readonly Usage[], timezone: string): Usage[] {
  const endMs = startOfLocalDate(timezone, addDays(date, 1))
  const hours = Math.max(1, Math.round((endMs - fromMs) / 3_600_000))
  const latest = known.at(-1)?.endMs ?? 0
  const shape = new Float64Array(24)
  for (const u of known) {
    if (u.register === 'export' || u.startMs < latest - HOUR_SHAPE_DAYS * DAY_MS || u.endMs - u.startMs > 3_600_000) continue
    const k = Math.floor((((u.startMs - startOfLocalDate(timezone, localDate(timezone, u.startMs))) / 3_600_000) % 24) + 1e-9)
    shape[k] = (shape[k] as number) + u.value
  }
  const weights = Array.from({ length: hours }, (_, h) => shape[Math.max(0, 24 - hours + h) % 24] as number)
  const total = weights.reduce((a, b) => a + b, 0)
  return weights.map((w, h) => ({
    startMs: fromMs + ((endMs - fromMs) * h) / hours,
    endMs: fromMs + ((endMs - fromMs) * (h + 1)) / hours,
    value: total > 0 ? (value * w) / total : value / hours,
  }))
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 0
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

const round = (v: number) => Math.round(v * 1000) / 1000

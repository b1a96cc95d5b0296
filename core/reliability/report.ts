// The reliability report: per feeder and system, per month and rolling year, with and without major event days.
import { dailySaidi, type Indices, type Interruption, indicesOf, type MajorEventDays, majorEventDays } from './indices.ts'

export interface Period {
  /** `2026-03`, or `2025-04/2026-03` for a rolling year. */
  period: string
  all: Indices
  withoutMajorEvents: Indices
}

export interface Place {
  months: Period[]
  /** The twelve months that end with each month. */
  rollingYears: Period[]
}

export interface ReliabilityReport {
  majorEvents: MajorEventDays
  system: Place
  /** Feeder -> its indices. */
  feeders: Map<string, Place>
}

export interface ReportOptions {
  /** First and last month of the report, `YYYY-MM`. */
  fromMonth: string
  toMonth: string
  /** Feeder -> customers served. */
  customersServed: ReadonlyMap<string, number>
}

const MONTHS_IN_YEAR = 12

/** Months from one to another, both included. */
export function monthsBetween(from: string, to: string): string[] {
  const out: string[] = []
  let [y, m] = from.split('-').map(Number) as [number, number]
  for (let month = from; month <= to; ) {
    out.push(month)
    m += 1
    if (m > MONTHS_IN_YEAR) {
      m = 1
      y += 1
    }
    month = `${y}-${String(m).padStart(2, '0')}`
  }
  return out
}

/** `months` months before a month. */
export function monthBefore(month: string, months: number): string {
  const [y, m] = month.split('-').map(Number) as [number, number]
  const k = y * MONTHS_IN_YEAR + (m - 1) - months
  return `${Math.floor(k / MONTHS_IN_YEAR)}-${String((k % MONTHS_IN_YEAR) + 1).padStart(2, '0')}`
}

/** Feeders without customers are left out; interruptions of feeders that are not served any more count in nothing. */
export function reportOf(interruptions: readonly Interruption[], o: ReportOptions): ReliabilityReport {
  const served = [...o.customersServed].filter(([, n]) => n > 0)
  const total = served.reduce((s, [, n]) => s + n, 0)
  const known = interruptions.filter((i) => (o.customersServed.get(i.feeder) ?? 0) > 0)
  if (total === 0) {
    const none: MajorEventDays = { thresholdMinutes: null, alpha: null, beta: null, basisDays: 0, days: [] }
    return { majorEvents: none, system: { months: [], rollingYears: [] }, feeders: new Map() }
  }
  // Days are judged for the system as a whole, and left out everywhere.
  const majorEvents = majorEventDays(dailySaidi(known, total), `${o.fromMonth}-01`)
  const major = new Set(majorEvents.days)
  const byFeeder = Map.groupBy(known, (i) => i.feeder)
  const place = (list: readonly Interruption[], n: number): Place => placeOf(list, n, major, o)
  return {
    majorEvents,
    system: place(known, total),
    feeders: new Map(served.map(([feeder, n]) => [feeder, place(byFeeder.get(feeder) ?? [], n)])),
  }
}

function placeOf(list: readonly Interruption[], served: number, major: ReadonlySet<string>, o: ReportOptions): Place {
  const byMonth = Map.groupBy(list, (i) => i.date.slice(0, 7))
  const over = (period: string, months: readonly string[]): Period => {
    const within = months.flatMap((m) => byMonth.get(m) ?? [])
    const quiet = within.filter((i) => !major.has(i.date))
    return { period, all: indicesOf(within, served), withoutMajorEvents: indicesOf(quiet, served) }
  }
  const months = monthsBetween(o.fromMonth, o.toMonth)
  return {
    months: months.map((m) => over(m, [m])),
    rollingYears: months.map((m) => {
      const first = monthBefore(m, MONTHS_IN_YEAR - 1)
      return over(`${first}/${m}`, monthsBetween(first, m))
    }),
  }
}

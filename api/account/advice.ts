// Advice on shifting load: what a day's curve costs at each tariff, and what moving a part of it from dear to cheap hours saves. Pure.
import type { Segment } from '#model/asset.ts'
import { localDate, localHour } from '#model/time.ts'
import { addDays } from '#tariff/calendar.ts'
import { priceConsumption } from '#tariff/price.ts'
import { type RateSpan, ratesOfDay } from '#tariff/rates.ts'
import type { Usage } from '#tariff/slices.ts'
import { type Tariff, versionOn } from '#tariff/tariff.ts'

export interface TariffCost {
  code: string
  label: { en: string; zh?: string | undefined }
  currency: string
  minorDigits: number
  /** The day, with its share of monthly charges and taxes. */
  totalMinor: number
  /** Against the tariff in force; null for another currency. Negative: cheaper. */
  differenceMinor: number | null
  current: boolean
}

export interface Shift {
  /** Share moved, and what it is in kWh or m3. */
  sharePct: number
  quantity: number
  from: { period: string; spans: string[] }
  to: { period: string; spans: string[] }
  savedMinorDay: number
}

export interface Advice {
  date: string
  quantity: number
  highestHour: { hour: string; power: number } | null
  tariffs: TariffCost[]
  /** Null when the price is the same all day, or nothing could be moved. */
  shift: Shift | null
}

const clock = (minute: number) => `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`

/** `usage`: the intervals of one local day. `current`: code of the account's tariff. */
export function advise(input: {
  date: string
  timezone: string
  usage: readonly Usage[]
  tariffs: readonly Tariff[]
  current: string
  segment: Segment
  sharePct: number
}): Advice {
  const { date, timezone, usage, current, segment } = input
  const cost = (tariff: Tariff, of: readonly Usage[]) =>
    priceConsumption({ tariff, timezone, from: date, to: addDays(date, 1), usage: of, segment }).totalMinor
  const usable = input.tariffs.filter((t) => versionOn(t, date) !== undefined)
  const own = usable.find((t) => t.code === current)
  const ownMinor = own === undefined ? undefined : cost(own, usage)
  const tariffs = usable
    .map((t): TariffCost => {
      const totalMinor = t === own ? (ownMinor as number) : cost(t, usage)
      const comparable = own !== undefined && own.currency === t.currency && own.minorDigits === t.minorDigits
      return {
        code: t.code,
        label: t.label,
        currency: t.currency,
        minorDigits: t.minorDigits,
        totalMinor,
        differenceMinor: comparable ? totalMinor - (ownMinor as number) : null,
        current: t === own,
      }
    })
    .sort((a, b) => a.totalMinor - b.totalMinor || (a.code < b.code ? -1 : 1))
  return {
    date,
    quantity: round(usage.reduce((n, u) => n + u.value, 0)),
    highestHour: highest(usage, timezone),
    tariffs,
    shift: own === undefined ? null : shiftOf(ratesOfDay(own, date, { segment }), input, (of) => cost(own, of)),
  }
}

function highest(usage: readonly Usage[], timezone: string): Advice['highestHour'] {
  let best: Usage | undefined
  const power = (u: Usage) => (u.value * 3_600_000) / (u.endMs - u.startMs)
  for (const u of usage) if (u.endMs - u.startMs <= 3_600_000 && (best === undefined || power(u) > power(best))) best = u
  return best === undefined ? null : { hour: clock(localHour(timezone, best.startMs).minuteOfDay), power: round(power(best)) }
}

/** Moves the share of what was used in the dearest period evenly into the hours of the cheapest, and prices the day again. */
function shiftOf(
  rates: readonly RateSpan[],
  input: { date: string; timezone: string; usage: readonly Usage[]; sharePct: number },
  cost: (usage: readonly Usage[]) => number,
): Shift | null {
  const spanOf = (u: Usage) => {
    const minute = localHour(input.timezone, u.startMs).minuteOfDay
    return localDate(input.timezone, u.startMs) === input.date
      ? rates.find((r) => minute >= r.fromMinute && minute < r.toMinute)
      : undefined
  }
  const used = rates.filter((r) => input.usage.some((u) => spanOf(u) === r && u.value > 0))
  if (used.length === 0) return null
  const dear = Math.max(...used.map((r) => r.rateMicro))
  const cheap = Math.min(...rates.map((r) => r.rateMicro))
  if (dear <= cheap) return null
  let moved = 0
  const rest = input.usage.map((u) => {
    if (spanOf(u)?.rateMicro !== dear) return u
    moved += (u.value * input.sharePct) / 100
    return { ...u, value: u.value * (1 - input.sharePct / 100) }
  })
  const places = rest.filter((u) => spanOf(u)?.rateMicro === cheap)
  if (moved <= 0 || places.length === 0) return null
  const into = new Set(places)
  const next = rest.map((u) => (into.has(u) ? { ...u, value: u.value + moved / places.length } : u))
  const side = (rate: number) => {
    const list = rates.filter((r) => r.rateMicro === rate)
    return { period: list[0]?.period ?? '', spans: list.map((r) => `${clock(r.fromMinute)}-${clock(r.toMinute)}`) }
  }
  return {
    sharePct: input.sharePct,
    quantity: round(moved),
    from: side(dear),
    to: side(cheap),
    savedMinorDay: cost(input.usage) - cost(next),
  }
}

const round = (v: number) => Math.round(v * 1000) / 1000

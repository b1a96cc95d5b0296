// What consumption costs: line by line, in integer minor units, each line rounded once, so that a bill can be checked by hand.
import type { Segment } from '#model/asset.ts'
import { HOUR_MS } from '#model/time.ts'
import { addDays, daysBetween, nextMonth, seasonOf, startOf, startOfMonth, startOfYear } from './calendar.ts'
import { amountMinor, divideRounded, includedMinor, micro, partMinor, percentMinor } from './money.ts'
import { type Clockwork, clockworkOf, cut, type Piece, type Usage } from './slices.ts'
import { type Charge, type ChargeType, type Tariff, type TariffVersion, versionOn } from './tariff.ts'
import { createMeter, type TierState, type TierWalk, tierStates, walk } from './tiers.ts'

export interface PriceInput {
  tariff: Tariff
  /** IANA, the utility's: days, months, periods begin there. */
  timezone: string
  /** Local dates: first day, and first day not billed. */
  from: string
  to: string
  /** Use of these days; what lies outside them is left out. Intervals where prices depend on the time, else days do. */
  usage: readonly Usage[]
  /** Use before `from` that counts towards blocks of the month and year: from `countsFrom` on. */
  before?: readonly Usage[]
  segment?: Segment
  /** Persons of the household, for allowances. 1 when left out. */
  persons?: number
}

export interface LineItem {
  kind: ChargeType | 'tax'
  /** Id of the charge or tax. */
  charge: string
  label: { en: string; zh?: string | undefined }
  /** Days that this line is about, `to` not included. */
  from: string
  to: string
  quantity: number
  unit: 'kWh' | 'm3' | 'day' | 'month' | 'kW' | '%'
  /** Price of one unit as decimal text in the major unit; '' where there is none. */
  rate: string
  /** Block, 1 for the first. */
  tier?: number
  /** For a tax within the prices: shown, not added. */
  included?: true
  amountMinor: number
}

export interface Priced {
  currency: string
  minorDigits: number
  lines: LineItem[]
  /** Without taxes that are added; taxes that are added; what is to pay. */
  netMinor: number
  taxMinor: number
  totalMinor: number
  /** Where the blocks stand after the last use. */
  tiers: TierState[]
  /** Days on which no version holds: they are not priced, and no bill should be closed on them. */
  uncovered: { from: string; to: string }[]
  warnings: ('time_of_use_from_long_slices' | 'demand_needs_intervals')[]
}

/** First local date whose use counts towards a bill from `from` on; `from` itself when nothing adds up. */
export function countsFrom(tariff: Tariff, from: string): string {
  let first = from
  for (const c of versionOn(tariff, from)?.charges ?? []) {
    if (c.type !== 'energy' || c.tiers === undefined) continue
    const start =
      c.tiers.accumulate === 'year' ? startOfYear(from, c.tiers.yearStart) : c.tiers.accumulate === 'month' ? startOfMonth(from) : from
    if (start < first) first = start
  }
  return first
}

/** A stretch of the bill within one version. */
interface Part {
  version: TariffVersion
  from: string
  to: string
}

/**
 * Prices the use of whole local days. Blocks fill in order of time. Monthly amounts are divided by days; a minimum is compared version by
 * version. Rounding: half away from zero, once a line.
 */
export function priceConsumption(input: PriceInput): Priced {
  const { tariff, timezone, from, to } = input
  if (daysBetween(from, to) < 1) throw new RangeError(`to: must be after from ${from}, got ${to}`)
  const { parts, uncovered } = partsOf(tariff, from, to)
  const clockworks = new Map<TariffVersion, Clockwork>()
  const clockwork = (date: string) => {
    const v = versionOn(tariff, date)
    if (v === undefined) return undefined
    let c = clockworks.get(v)
    if (c === undefined) {
      c = clockworkOf(v)
      clockworks.set(v, c)
    }
    return c
  }
  const startMs = startOf(timezone, from)
  const endMs = startOf(timezone, to)
  const earlier = cut(
    (input.before ?? []).filter((u) => u.startMs < startMs),
    timezone,
    clockwork,
  ).filter((p) => p.date < from)
  const pieces = cut(
    input.usage.filter((u) => u.startMs < endMs && u.endMs > startMs),
    timezone,
    clockwork,
  ).filter((p) => p.date >= from && p.date < to)
  const meter = createMeter({ persons: input.persons ?? 1, days: daysBetween(from, to) })
  const charged = energy(input, earlier, pieces, meter)
  const lines: LineItem[] = []
  for (const part of parts) {
    const own = linesOf(input, part, pieces, charged)
    lines.push(...own, ...taxesOf(part, own))
  }
  const sum = (want: (l: LineItem) => boolean) => lines.reduce((n, l) => (want(l) ? n + l.amountMinor : n), 0)
  const netMinor = sum((l) => l.kind !== 'tax')
  const taxMinor = sum((l) => l.kind === 'tax' && l.included !== true)
  return {
    currency: tariff.currency,
    minorDigits: tariff.minorDigits,
    lines,
    netMinor,
    taxMinor,
    totalMinor: netMinor + taxMinor,
    tiers: tierStates(meter, parts.at(-1)?.version, addDays(to, -1), input.segment),
    uncovered,
    warnings: warningsOf(input, parts),
  }
}

function partsOf(tariff: Tariff, from: string, to: string): { parts: Part[]; uncovered: { from: string; to: string }[] } {
  const parts: Part[] = []
  const uncovered: { from: string; to: string }[] = []
  let at = from
  for (const version of tariff.versions) {
    const begin = version.validFrom > at ? version.validFrom : at
    const end = version.validUntil === null || version.validUntil > to ? to : version.validUntil
    if (begin >= end) continue
    if (begin > at) uncovered.push({ from: at, to: begin })
    parts.push({ version, from: begin, to: end })
    at = end
  }
  if (at < to) uncovered.push({ from: at, to })
  return { parts, uncovered }
}

/** Version -> charge -> block -> thousandths charged. */
type Charged = Map<TariffVersion, Map<string, number[]>>

function energy(input: PriceInput, earlier: readonly Piece[], pieces: readonly Piece[], meter: TierWalk): Charged {
  const out: Charged = new Map()
  const add = (list: readonly Piece[], bill: boolean) => {
    for (const p of list) {
      const version = versionOn(input.tariff, p.date)
      if (version === undefined) continue
      let byCharge = out.get(version)
      if (byCharge === undefined) {
        byCharge = new Map()
        out.set(version, byCharge)
      }
      for (const c of version.charges) {
        if (c.type !== 'energy' || c.register !== p.register || !isFor(c, input.segment)) continue
        const hit = inSeason(c, p.season) && inPeriod(c, version, p.period)
        const amounts = walk(meter, c, p, { hit, bill })
        if (!bill || !hit) continue
        const sums = byCharge.get(c.id) ?? []
        for (const [tier, m] of amounts) sums[tier] = (sums[tier] ?? 0) + m
        byCharge.set(c.id, sums)
      }
    }
  }
  add(earlier, false)
  add(pieces, true)
  return out
}

export const isFor = (c: Charge, segment: Segment | undefined) => c.segments === undefined || c.segments.includes(segment ?? 'general')
const inSeason = (c: Charge, season: string | undefined) => c.seasons === undefined || (season !== undefined && c.seasons.includes(season))
const inPeriod = (c: { periods?: string[] | undefined }, v: TariffVersion, period: number) =>
  c.periods === undefined || c.periods.includes(v.periods[period]?.id ?? '')

function linesOf(input: PriceInput, part: Part, pieces: readonly Piece[], charged: Charged): LineItem[] {
  const lines: LineItem[] = []
  const mine = part.version.charges.filter((c) => isFor(c, input.segment))
  const of = <T extends ChargeType>(type: T) => mine.filter((c): c is Extract<Charge, { type: T }> => c.type === type)
  for (const c of of('energy')) lines.push(...energyLines(input.tariff, part, c, charged.get(part.version)?.get(c.id) ?? []))
  for (const c of of('demand')) lines.push(...demandLines(input.tariff, part, c, pieces))
  for (const c of of('standing')) {
    const line = timeLine(input.tariff, part, c)
    if (line !== undefined) lines.push(line)
  }
  for (const c of of('discount')) {
    const base = lines.reduce((n, l) => (l.kind === 'discount' ? n : n + l.amountMinor), 0)
    const off = -percentMinor(base, c.percent)
    if (off !== 0) lines.push({ ...lineBase(part, c), quantity: Number(c.percent), unit: '%', rate: '', amountMinor: off })
  }
  const reached = lines.reduce((n, l) => n + l.amountMinor, 0)
  for (const c of of('minimum')) {
    const line = timeLine(input.tariff, part, c)
    if (line !== undefined && line.amountMinor > reached) lines.push({ ...line, amountMinor: line.amountMinor - reached })
  }
  return lines
}

function lineBase(part: Part, c: Charge): Pick<LineItem, 'kind' | 'charge' | 'label' | 'from' | 'to'> {
  return { kind: c.type, charge: c.id, label: c.label, from: part.from, to: part.to }
}

export const unitOf = (commodity: Tariff['commodity']): 'kWh' | 'm3' => (commodity === 'power' || commodity === 'heat' ? 'kWh' : 'm3')

function energyLines(tariff: Tariff, part: Part, c: Extract<Charge, { type: 'energy' }>, sums: readonly number[]): LineItem[] {
  const out: LineItem[] = []
  sums.forEach((sum, tier) => {
    const quantity = Math.round(sum * c.share)
    if (quantity === 0) return
    const rate = c.tiers === undefined ? (c.rate as string) : (c.tiers.blocks[tier]?.rate as string)
    out.push({
      ...lineBase(part, c),
      quantity: quantity / 1000,
      unit: unitOf(tariff.commodity),
      rate,
      ...(c.tiers === undefined ? {} : { tier: tier + 1 }),
      amountMinor: amountMinor(quantity, micro(rate), tariff.minorDigits),
    })
  })
  return out
}

/** Days of the part in each calendar month, only those of the charge's seasons. */
function monthsOf(part: Part, c: Charge): { month: string; days: number; of: number }[] {
  const out: { month: string; days: number; of: number }[] = []
  for (let month = startOfMonth(part.from); month < part.to; month = nextMonth(month)) {
    const end = nextMonth(month)
    let days = 0
    for (let d = part.from > month ? part.from : month; d < end && d < part.to; d = addDays(d, 1)) {
      if (c.seasons === undefined || inSeason(c, seasonOf(part.version.seasons, d))) days += 1
    }
    if (days > 0) out.push({ month, days, of: daysBetween(month, end) })
  }
  return out
}

function timeLine(tariff: Tariff, part: Part, c: Extract<Charge, { type: 'standing' | 'minimum' }>): LineItem | undefined {
  const months = monthsOf(part, c)
  if (months.length === 0) return undefined
  const daily = c.perDay !== undefined
  const rate = (daily ? c.perDay : c.perMonth) as string
  const days = months.reduce((n, m) => n + m.days, 0)
  const amount = daily
    ? partMinor(micro(rate), days, 1, tariff.minorDigits)
    : months.reduce((n, m) => n + partMinor(micro(rate), m.days, m.of, tariff.minorDigits), 0)
  const quantity = daily ? days : Math.round(months.reduce((n, m) => n + m.days / m.of, 0) * 1000) / 1000
  return { ...lineBase(part, c), quantity, unit: daily ? 'day' : 'month', rate, amountMinor: amount }
}

/** The highest mean power of an interval in each calendar month. */
function demandLines(tariff: Tariff, part: Part, c: Extract<Charge, { type: 'demand' }>, pieces: readonly Piece[]): LineItem[] {
  return monthsOf(part, c).flatMap(({ month, days, of }) => {
    const end = nextMonth(month)
    let peak = 0
    for (const p of pieces) {
      const here = p.date >= part.from && p.date < part.to && p.date >= month && p.date < end
      if (here && p.register === 'import' && inSeason(c, p.season) && inPeriod(c, part.version, p.period))
        peak = Math.max(peak, p.powerMilli)
    }
    if (peak === 0) return []
    const amount = divideRounded(
      BigInt(peak) * BigInt(micro(c.perKwMonth)) * BigInt(days),
      BigInt(of) * 10n ** BigInt(9 - tariff.minorDigits),
    )
    const from = month > part.from ? month : part.from
    return [
      {
        ...lineBase(part, c),
        from,
        to: end < part.to ? end : part.to,
        quantity: peak / 1000,
        unit: 'kW' as const,
        rate: c.perKwMonth,
        amountMinor: amount,
      },
    ]
  })
}

function taxesOf(part: Part, lines: readonly LineItem[]): LineItem[] {
  return part.version.taxes.flatMap((t) => {
    const base = lines.reduce((n, l) => (t.on === undefined || (t.on as string[]).includes(l.kind) ? n + l.amountMinor : n), 0)
    if (base === 0) return []
    const amount = t.included ? includedMinor(base, t.percent) : percentMinor(base, t.percent)
    return [
      {
        kind: 'tax' as const,
        charge: t.id,
        label: t.label,
        from: part.from,
        to: part.to,
        quantity: Number(t.percent),
        unit: '%' as const,
        rate: '',
        ...(t.included ? { included: true as const } : {}),
        amountMinor: amount,
      },
    ]
  })
}

function warningsOf(input: PriceInput, parts: readonly Part[]): Priced['warnings'] {
  const long = input.usage.some((u) => u.endMs - u.startMs > HOUR_MS)
  if (!long) return []
  const has = (want: (c: Charge) => boolean) => parts.some((p) => p.version.charges.some((c) => want(c) && isFor(c, input.segment)))
  const out: Priced['warnings'] = []
  if (has((c) => c.type === 'energy' && c.periods !== undefined)) out.push('time_of_use_from_long_slices')
  if (has((c) => c.type === 'demand')) out.push('demand_needs_intervals')
  return out
}

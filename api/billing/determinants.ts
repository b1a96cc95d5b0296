// From billed days and facts to the document of a period: determinants and charges. Pure: the same input gives the same bytes.

import { localDay, startOfLocalDate } from '#model/time.ts'
import { type Priced, priceConsumption } from '#tariff/price.ts'
import { type Clockwork, clockworkOf, cut, type Piece, type Usage } from '#tariff/slices.ts'
import { type Tariff, type TariffVersion, versionOn } from '#tariff/tariff.ts'
import {
  type Adjustment,
  type BilledDay,
  billRoleOf,
  compareRegisters,
  type PeriodDocument,
  type PeriodFacts,
  type QualityMix,
  type RegisterDocument,
  type RegisterFacts,
  registerKey,
  type TimeOfUse,
} from './period-model.ts'

export interface PeriodInput {
  facts: PeriodFacts
  /** Null when there is none that may be used; facts say why. */
  tariff: Tariff | null
  /** Billed days of the period. */
  days: readonly BilledDay[]
  /** Billed days before it that count towards blocks of a month or year. */
  earlier: readonly BilledDay[]
  corrections: readonly Correction[]
}

/** A closed period some days of which have another revision now. */
export interface Correction {
  sha256: string
  facts: PeriodFacts
  tariff: Tariff | null
  earlier: readonly BilledDay[]
  before: readonly BilledDay[]
  after: readonly BilledDay[]
}

/** Sums of doubles in steps of a millionth: no trace of binary fractions in a bill. */
const exact = (n: number) => Math.round(n * 1e6) / 1e6

export function periodDocument(input: PeriodInput): PeriodDocument {
  const { facts, tariff } = input
  const days = sorted(input.days)
  const priced = price(input)
  const adjustments = input.corrections.map(adjustmentOf)
  const pieces = piecesOf(facts, tariff, usageOf(facts, days))
  const gap = priced !== null && priced.uncovered.length > 0 ? priced.uncovered : []
  const charges = priced === null || gap.length > 0 ? null : chargesOf(priced)
  return {
    period: facts.period.id,
    from: facts.period.from,
    to: facts.period.to,
    timezone: facts.timezone,
    closedAt: facts.dueAt,
    account: facts.account === '' ? null : facts.account,
    meter: facts.meter === '' ? null : facts.meter,
    commodity: facts.commodity,
    segment: facts.segment,
    tariff: facts.tariff,
    consumption: { import: sumOf(pieces, 'import'), export: sumOf(pieces, 'export') },
    registers: [...facts.registers].sort(compareRegisters).map((r) => registerDocument(r, facts, days)),
    timeOfUse: timeOfUse(pieces, tariff),
    tiers: charges === null || priced === null ? [] : priced.tiers,
    charges,
    adjustments,
    totalMinor: charges === null ? null : charges.totalMinor + adjustments.reduce((n, a) => n + (a.totalMinor ?? 0), 0),
    problems: problemsOf(facts, gap),
  }
}

/** The bytes that are kept and given out. */
export function documentText(document: PeriodDocument): string {
  return JSON.stringify(document)
}

function sorted(days: readonly BilledDay[]): BilledDay[] {
  return [...days].sort((a, b) => compareRegisters(a, b) || (a.date < b.date ? -1 : 1))
}

function price(input: Pick<PeriodInput, 'facts' | 'tariff' | 'days' | 'earlier'>): Priced | null {
  const { facts, tariff } = input
  if (tariff === null) return null
  return priceConsumption({
    tariff,
    timezone: facts.timezone,
    from: facts.period.from,
    to: facts.period.to,
    usage: usageOf(facts, sorted(input.days)),
    before: usageOf(facts, sorted(input.earlier)),
    segment: facts.segment,
    persons: facts.persons,
  })
}

function chargesOf(p: Priced): PeriodDocument['charges'] {
  const { currency, minorDigits, netMinor, taxMinor, totalMinor, warnings, lines } = p
  return { currency, minorDigits, netMinor, taxMinor, totalMinor, warnings, lines }
}

/** Registers whose days are charged: the total where there is one, else all channels of the quantity together. */
export function isBilled(r: { meter: string; quantity: string; channel: string }, all: readonly RegisterFacts[]): boolean {
  if (billRoleOf(r.quantity) === 'shown') return false
  return r.channel === '' || !all.some((o) => o.meter === r.meter && o.quantity === r.quantity && o.channel === '')
}

function usageOf(facts: PeriodFacts, days: readonly BilledDay[]): Usage[] {
  return days.filter((d) => isBilled(d, facts.registers)).flatMap((d) => dayUsage(d, facts.timezone))
}

/**
 * A day's use as slices that add up to the figure of the feed. Intervals that say another sum (a revision of one of them was on its way
 * when the period was closed) keep their shape and are scaled; without any the day is one slice.
 */
export function dayUsage(day: BilledDay, timezone: string): Usage[] {
  const register = billRoleOf(day.quantity) === 'export' ? 'export' : 'import'
  const sum = day.intervals.reduce((n, i) => n + (i.value ?? 0), 0)
  if (sum <= 0) {
    const startMs = startOfLocalDate(timezone, day.date)
    return [{ startMs, endMs: localDay(timezone, startMs).endMs, value: day.value, register }]
  }
  const scale = Math.abs(sum - day.value) < 5e-7 ? 1 : day.value / sum
  return day.intervals
    .filter((i) => i.value !== null)
    .map((i) => ({ startMs: i.startMs, endMs: i.endMs, value: (i.value as number) * scale, register }))
}

function piecesOf(facts: PeriodFacts, tariff: Tariff | null, usage: readonly Usage[]): Piece[] {
  const works = new Map<TariffVersion, Clockwork>()
  return cut(usage, facts.timezone, (date) => {
    const version = tariff === null ? undefined : versionOn(tariff, date)
    if (version === undefined) return undefined
    const known = works.get(version) ?? clockworkOf(version)
    works.set(version, known)
    return known
  })
}

function sumOf(pieces: readonly Piece[], register: 'import' | 'export'): number {
  return pieces.reduce((n, p) => (p.register === register ? n + p.quantityMilli : n), 0) / 1000
}

/** Use by season and time-of-use period, in order of their names; '' where the tariff has none. */
function timeOfUse(pieces: readonly Piece[], tariff: Tariff | null): TimeOfUse[] {
  const sums = new Map<string, TimeOfUse & { milli: number }>()
  for (const p of pieces) {
    const period = tariff === null ? '' : (versionOn(tariff, p.date)?.periods[p.period]?.id ?? '')
    const season = p.season ?? ''
    const key = `${p.register}\n${season}\n${period}`
    const known = sums.get(key)
    if (known === undefined) sums.set(key, { register: p.register, season, period, value: 0, milli: p.quantityMilli })
    else known.milli += p.quantityMilli
  }
  return [...sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { milli, ...t }]) => ({ ...t, value: milli / 1000 }))
}

function registerDocument(r: RegisterFacts, facts: PeriodFacts, days: readonly BilledDay[]): RegisterDocument {
  const key = registerKey(r)
  const mine = days.filter((d) => registerKey(d) === key)
  const { start, end } = r
  return {
    meter: r.meter,
    quantity: r.quantity,
    channel: r.channel,
    role: billRoleOf(r.quantity),
    billed: isBilled(r, facts.registers),
    multiplier: r.multiplier,
    start,
    end,
    difference: start === null || end === null || end.value < start.value ? null : exact((end.value - start.value) * r.multiplier),
    consumption: exact(mine.reduce((n, d) => n + d.value, 0)),
    days: mine.length,
    quality: qualityOf(mine),
  }
}

function qualityOf(days: readonly BilledDay[]): QualityMix {
  const mix: QualityMix = { intervals: {}, volume: {} }
  for (const status of ['actual', 'estimated', 'rejected', 'missing', 'edited'] as const) {
    let count = 0
    let volume = 0
    for (const d of days) {
      for (const i of d.intervals) {
        if (i.status !== status) continue
        count += 1
        volume += i.value ?? 0
      }
    }
    if (count === 0) continue
    mix.intervals[status] = count
    mix.volume[status] = exact(volume)
  }
  return mix
}

function problemsOf(facts: PeriodFacts, gap: Priced['uncovered']): PeriodDocument['problems'] {
  const out: PeriodDocument['problems'] = []
  if (facts.tariffProblem !== null) {
    out.push({ kind: facts.tariffProblem, detail: facts.tariffCode === '' ? '' : `tariff ${facts.tariffCode}` })
  }
  for (const g of gap)
    out.push({ kind: 'tariff_gap', date: g.from, detail: `no version of tariff ${facts.tariff?.code} holds from ${g.from} to ${g.to}` })
  const unbilled = [...facts.unbilled].sort((a, b) => compareRegisters(a, b) || (a.date < b.date ? -1 : 1))
  for (const u of unbilled) out.push({ kind: u.reason, meter: u.meter, quantity: u.quantity, date: u.date, detail: u.detail })
  return out
}

/** What a closed period would say with the days as they are now, less what was said. */
function adjustmentOf(c: Correction): Adjustment {
  const before = new Map(c.before.map((d) => [`${registerKey(d)}\n${d.date}`, d]))
  const changed = sorted(c.after).filter((d) => before.get(`${registerKey(d)}\n${d.date}`)?.rev !== d.rev)
  const old = price({ facts: c.facts, tariff: c.tariff, days: c.before, earlier: c.earlier })
  const now = price({ facts: c.facts, tariff: c.tariff, days: c.after, earlier: c.earlier })
  const priced = old !== null && now !== null && old.uncovered.length === 0
  return {
    period: c.facts.period.id,
    sha256: c.sha256,
    days: changed.map((d) => {
      const was = before.get(`${registerKey(d)}\n${d.date}`)
      const { meter, quantity, channel, date } = d
      const old = was?.value ?? 0
      return {
        meter,
        quantity,
        channel,
        date,
        fromRev: was?.rev ?? null,
        toRev: d.rev,
        before: old,
        after: d.value,
        delta: exact(d.value - old),
      }
    }),
    timeOfUse: difference(timesOf(c, c.before), timesOf(c, c.after)),
    netMinor: priced ? now.netMinor - old.netMinor : null,
    taxMinor: priced ? now.taxMinor - old.taxMinor : null,
    totalMinor: priced ? now.totalMinor - old.totalMinor : null,
  }
}

function timesOf(c: Correction, days: readonly BilledDay[]): TimeOfUse[] {
  return timeOfUse(piecesOf(c.facts, c.tariff, usageOf(c.facts, sorted(days))), c.tariff)
}

function difference(before: readonly TimeOfUse[], after: readonly TimeOfUse[]): TimeOfUse[] {
  const out: TimeOfUse[] = []
  const same = (a: TimeOfUse) => (b: TimeOfUse) => a.register === b.register && a.season === b.season && a.period === b.period
  for (const t of after) {
    const delta = exact(t.value - (before.find(same(t))?.value ?? 0))
    if (delta !== 0) out.push({ ...t, value: delta })
  }
  for (const t of before) if (t.value !== 0 && !after.some(same(t))) out.push({ ...t, value: -t.value })
  return out
}

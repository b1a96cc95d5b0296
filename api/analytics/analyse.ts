// What goes wrong where, and what it costs: findings counted by cause, district and segment, over time; which of them grow; which come
// before worse; how much water and energy is lost meanwhile. Pure.
import type { Segment } from '#model/asset.ts'
import type { Severity } from '#model/finding.ts'
import { DAY_MS, HOUR_MS } from '#model/time.ts'

export interface Fact {
  kind: string
  subtype: string
  zone: string
  /** Of the account behind the meter; undefined for findings that are not about one customer. */
  segment: Segment | undefined
  scopeId: string
  severity: Severity
  startedMs: number
  detectedMs: number
  /** null: it lasts. */
  clearedMs: number | null
  size: Record<string, number>
}

/** Money a kWh and a m3, major unit; null: by the price in each finding. */
export interface Prices {
  kwh: number | null
  m3: number | null
}

export interface Loss {
  kwh: number
  m3: number
  money: number
}

export interface Group extends Loss {
  key: string
  /** Detected in the time asked for, and open at its end. */
  count: number
  open: number
}

export interface Growth {
  kind: string
  subtype: string
  zone: string
  before: number
  now: number
  /** Probability of so uneven a split by chance. */
  p: number
}

export interface Analysis {
  total: Group
  byCause: Group[]
  byDistrict: Group[]
  bySegment: Group[]
  mostCommon: Group[]
  growing: Growth[]
  /** Open signs that tend to come before a failure, a burst or a complaint. */
  earlyWarning: (Group & { zone: string; oldestMs: number })[]
  series: { startMs: number; counts: Record<string, number> }[]
}

/** Signs of wear and of trouble to come: worth a look before they become an outage, a burst or a wrong bill. */
export const EARLY = new Set([
  'leak',
  'low_pressure',
  'overload',
  'clock_fault',
  'sensor_fault.drift',
  'sensor_fault.noise',
  'abnormal_usage.rising_base',
  'abnormal_usage.voltage',
  'abnormal_usage.phase_loss',
  'abnormal_usage.zero_usage',
])
/** The balance's view of what `abnormal_usage` names meter by meter: counted, but not added to the sums of loss a second time. */
const BALANCE = 'line_loss'
const MOST_COMMON = 10
const P_GROWING = 0.05
const GROWING_MIN = 3

const causeOf = (f: Fact) => (f.subtype === '' ? f.kind : `${f.kind}.${f.subtype}`)

export interface AnalysisOptions {
  fromMs: number
  toMs: number
  bucketMs: number
  prices: Prices
}

export function analyse(facts: readonly Fact[], o: AnalysisOptions): Analysis {
  const largest = largestLoss(facts, o)
  const groups = {
    total: new Map<string, Group>(),
    cause: new Map<string, Group>(),
    district: new Map<string, Group>(),
    segment: new Map<string, Group>(),
  }
  const early = new Map<string, Analysis['earlyWarning'][number]>()
  for (const f of facts) {
    const cause = causeOf(f)
    const loss = lossIn(f, o)
    // One meter with two findings has lost once.
    const summed = f.kind !== BALANCE && largest.get(placeOf(f)) === f
    add(groups.cause, cause, f, o, loss)
    add(groups.district, f.zone, f, o, summed ? loss : NOTHING)
    add(groups.total, 'total', f, o, summed ? loss : NOTHING)
    if (f.segment !== undefined) add(groups.segment, f.segment, f, o, summed ? loss : NOTHING)
    if (isOpen(f, o) && (EARLY.has(cause) || EARLY.has(f.kind))) {
      const key = `${cause}|${f.zone}`
      const known = early.get(key) ?? { key: cause, zone: f.zone, count: 0, open: 0, kwh: 0, m3: 0, money: 0, oldestMs: f.startedMs }
      early.set(key, known)
      put(known, f, o, loss)
      known.oldestMs = Math.min(known.oldestMs, f.startedMs)
    }
  }
  const sorted = (map: Map<string, Group>, by: (g: Group) => number) =>
    [...map.values()].map(rounded).sort((a, b) => by(b) - by(a) || (a.key < b.key ? -1 : 1))
  const byCause = sorted(groups.cause, (g) => g.money)
  return {
    total: rounded(groups.total.get('total') ?? empty('total')),
    byCause,
    byDistrict: sorted(groups.district, (g) => g.money),
    bySegment: sorted(groups.segment, (g) => g.money),
    mostCommon: sorted(groups.cause, (g) => g.count).slice(0, MOST_COMMON),
    growing: growing(facts, o),
    earlyWarning: [...early.values()].map((g) => ({ ...g, ...rounded(g) })).sort((a, b) => b.open - a.open || a.oldestMs - b.oldestMs),
    series: series(facts, o),
  }
}

const NOTHING: Loss = { kwh: 0, m3: 0, money: 0 }
const empty = (key: string): Group => ({ key, count: 0, open: 0, ...NOTHING })
const placeOf = (f: Fact) => `${f.scopeId}|${f.size.m3Year !== undefined || f.size.flowM3h !== undefined ? 'water' : 'power'}`
const isOpen = (f: Fact, o: AnalysisOptions) => f.startedMs < o.toMs && (f.clearedMs === null || f.clearedMs > o.toMs)

function add(map: Map<string, Group>, key: string, f: Fact, o: AnalysisOptions, loss: Loss): void {
  let g = map.get(key)
  if (g === undefined) {
    g = empty(key)
    map.set(key, g)
  }
  put(g, f, o, loss)
}

function put(g: Group, f: Fact, o: AnalysisOptions, loss: Loss): void {
  if (f.detectedMs >= o.fromMs && f.detectedMs < o.toMs) g.count += 1
  if (isOpen(f, o)) g.open += 1
  g.kwh += loss.kwh
  g.m3 += loss.m3
  g.money += loss.money
}

function rounded(g: Group): Group {
  return { key: g.key, count: g.count, open: g.open, kwh: Math.round(g.kwh), m3: Math.round(g.m3), money: Math.round(g.money) }
}

/** What was lost within the time asked for: a rate a year, or a flow, over the hours that it lasted. */
export function lossIn(f: Fact, o: AnalysisOptions): Loss {
  const ms = Math.max(0, Math.min(o.toMs, f.clearedMs ?? o.toMs) - Math.max(o.fromMs, f.startedMs))
  const years = ms / (365 * DAY_MS)
  const kwh = (f.size.kwhYear ?? 0) * years
  const m3 = f.size.m3Year === undefined ? (f.size.flowM3h ?? 0) * (ms / HOUR_MS) : f.size.m3Year * years
  const own = (f.size.moneyYear ?? 0) * years
  const priced = (kwh > 0 && o.prices.kwh !== null) || (m3 > 0 && o.prices.m3 !== null)
  return { kwh, m3, money: priced ? kwh * (o.prices.kwh ?? 0) + m3 * (o.prices.m3 ?? 0) : own }
}

function largestLoss(facts: readonly Fact[], o: AnalysisOptions): Map<string, Fact> {
  const best = new Map<string, { f: Fact; loss: number }>()
  for (const f of facts) {
    if (f.kind === BALANCE) continue
    const { kwh, m3 } = lossIn(f, o)
    const key = placeOf(f)
    const known = best.get(key)
    if (known === undefined || kwh + m3 > known.loss) best.set(key, { f, loss: kwh + m3 })
  }
  return new Map([...best].map(([key, { f }]) => [key, f]))
}

/** The second half of the time against the first, by cause and district: a split as uneven as that must be unlikely by chance. */
function growing(facts: readonly Fact[], o: AnalysisOptions): Growth[] {
  const middle = (o.fromMs + o.toMs) / 2
  const counts = new Map<string, Growth>()
  const count = (f: Fact, zone: string) => {
    const key = `${causeOf(f)}|${zone}`
    const g = counts.get(key) ?? { kind: f.kind, subtype: f.subtype, zone, before: 0, now: 0, p: 1 }
    counts.set(key, g)
    if (f.detectedMs >= middle) g.now += 1
    else g.before += 1
  }
  for (const f of facts) {
    if (f.detectedMs < o.fromMs || f.detectedMs >= o.toMs) continue
    count(f, f.zone)
    count(f, '')
  }
  return [...counts.values()]
    .map((g) => ({ ...g, p: Math.round(tail(g.now, g.now + g.before) * 10_000) / 10_000 }))
    .filter((g) => g.now >= GROWING_MIN && g.p < P_GROWING)
    .sort((a, b) => a.p - b.p || b.now - a.now || (a.zone < b.zone ? -1 : 1))
    .slice(0, 50)
}

/** P(X >= k) for n fair coins: two Poisson counts of equal rate, given their sum (Przyborowski and Wilenski, Biometrika 31, 1940). */
export function tail(k: number, n: number): number {
  let term = 0.5 ** n
  if (term === 0) return k > n / 2 ? 0 : 1
  let sum = 0
  for (let i = 0; i <= n; i++) {
    if (i >= k) sum += term
    term *= (n - i) / (i + 1)
  }
  return Math.min(1, sum)
}

function series(facts: readonly Fact[], o: AnalysisOptions): Analysis['series'] {
  const out: Analysis['series'] = []
  for (let startMs = o.fromMs; startMs < o.toMs; startMs += o.bucketMs) out.push({ startMs, counts: {} })
  for (const f of facts) {
    const bucket = out[Math.floor((f.detectedMs - o.fromMs) / o.bucketMs)]
    if (bucket === undefined || f.detectedMs < o.fromMs) continue
    const cause = causeOf(f)
    bucket.counts[cause] = (bucket.counts[cause] ?? 0) + 1
  }
  return out
}

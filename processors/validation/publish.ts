// Days as they leave: when they may, with what rules of days say of them.
import type { RevisionReason } from '#model/interval.ts'
import { QUANTITIES, type Quantity } from '#model/quantity.ts'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import { type DayOutlet, type DayWindow, dayByNo, expectedIntervals, FIGURES, findDay, type SaidDay } from './days.ts'
import { newestMs, ringPos } from './dedupe.ts'
import { rolloverModulus, tidy } from './register.ts'
import { DAY_RULES } from './rules/index.ts'
import type { DayFacts } from './rules/rule.ts'
import { isOff } from './rules/unit-multiplier.ts'
import { codeOf, DAYS, findRow, type SeriesConfig, USED } from './series.ts'
import { fired, quantityOf, snap, type Work } from './state.ts'
import { byBand } from './tou.ts'

/** Whole days after which a usual day is known, and over about how many it is a mean. */
const USUAL_DAYS = 7
const USUAL_MEMORY = 14
/** Days off by a factor after which that is the usual. */
const UNIT_DAYS_MAX = 30
const DAYS_COUNTED_MAX = 250

/** True when all that is estimated of a day lies between known registers within the day: its value stands, whatever comes late. */
function isFirm(w: Work, no: number): boolean {
  for (const g of w.t.gaps.get(w.row) ?? []) {
    if (findDay(g.days, no, FIGURES) < 0) continue
    if (g.open || g.days.length > FIGURES || g.d.some((d) => Number.isNaN(d))) return false
  }
  return true
}

/** Where the row's days go. `why` is for days that were published before. */
export function outlet(w: Work, why: RevisionReason): DayOutlet {
  return {
    timezone: w.ctx.zone.def.timezone,
    intervalMs: w.c.intervalMs,
    nowMs: w.ctx.nowMs,
    holdMs: w.s.dayHoldMs,
    giveUpMs: w.s.stormLimitMs + w.s.dayHoldMs + DAY_MS,
    isFirm: (no) => isFirm(w, no),
    day: (window, d) => sayDay(w, window, d, why),
  }
}

function sayDay(w: Work, window: DayWindow, d: SaidDay, why: RevisionReason): void {
  const value = tidy(d.value, 1e6)
  const rules = judge(w, window, d)
  if (d.rev === 1) learnDay(w, window, d)
  if (rules.length > 0) fired(w.state, w.ctx, w.c.class, rules)
  w.ctx.day(
    {
      meter: w.t.device[w.row] as string,
      quantity: quantityOf(w),
      channel: w.t.channel[w.row] as string,
      date: window.date,
      value,
      actual: d.actual,
      estimated: d.estimated,
      missing: d.missing,
      edited: d.edited,
      estimatedValue: tidy(d.estimatedValue, 1e6),
      tou: w.c.tou ? byBand(w.s.tou, value, d.bands, (v) => tidy(v, 1e6)) : undefined,
      rules,
      rev: d.rev,
      was: d.rev > 1 ? { value: tidy(d.before, 1e6), why } : undefined,
    },
    w.info,
  )
}

const NO_RULES: string[] = []

function isWhole(w: Work, window: DayWindow, d: Pick<SaidDay, 'actual' | 'estimated' | 'missing' | 'edited'>): boolean {
  return d.actual + d.estimated + d.missing + d.edited >= expectedIntervals(window, w.c.intervalMs, Number.NEGATIVE_INFINITY)
}

/** Names of the rules that fire on a day. Parts of days (the first of a meter, the last) are not judged. */
function judge(w: Work, window: DayWindow, d: SaidDay): string[] {
  if (!isWhole(w, window, d)) return NO_RULES
  const facts = factsOf(w, window, d)
  const guessed = d.estimated + d.missing > 0
  let names: string[] = NO_RULES
  for (const r of DAY_RULES) {
    const c = w.s.rules[r.name]
    if (c?.enabled !== true || (guessed && r.estimatesToo !== true) || !r.fires(facts, c)) continue
    if (names === NO_RULES) names = []
    names.push(r.name)
  }
  return names
}

function factsOf(w: Work, window: DayWindow, d: SaidDay): DayFacts {
  const { t, row, c } = w
  const usual = usualOf(w, row)
  const mostly = (d.estimated + d.missing) * 2 > d.actual + d.edited + d.estimated + d.missing
  const value = tidy(d.value, 1e6)
  return {
    info: w.info,
    quantity: quantityOf(w),
    channel: t.channel[row] as string,
    value,
    actual: d.actual,
    estimated: d.estimated,
    missing: d.missing,
    edited: d.edited,
    hours: (window.endMs - window.startMs) / HOUR_MS,
    step: c.resolution * c.multiplier,
    multiplier: c.multiplier,
    difference: registerDifference(w, window) * c.multiplier,
    usual,
    zeroDaysMax: t.zeroDaysMax[row] as number,
    estimatedDays: mostly ? (t.estimatedDays[row] as number) + (d.rev === 1 ? 1 : 0) : 0,
    unitDays: isOff({ value, usual, multiplier: c.multiplier }) ? (t.unitDays[row] as number) + (d.rev === 1 ? 1 : 0) : 0,
    spacing: t.spacing[row] as number,
    sibling: (quantity, channel = '') => siblingDay(w, window, quantity, channel),
    silentSiblings: silentSiblings(w, window),
  }
}

function usualOf(w: Work, row: number): number {
  return (w.t.useDays[row] as number) < USUAL_DAYS ? Number.NaN : (w.t.useMean[row] as number)
}

/** Difference of the register's face between the two midnights of a day; NaN when it is not known. */
function registerDifference(w: Work, window: DayWindow): number {
  const { t, row, c } = w
  const k = row * DAYS + (window.no & (DAYS - 1))
  if (t.dayNo[k] !== window.no) return Number.NaN
  const from = t.dayEdge[k] as number
  const to = registerAt(w, window.endMs)
  const delta = to - from
  return delta >= 0 ? delta : delta + (rolloverModulus(from, c.modulus) || Number.NaN)
}

/** Face of the register at a midnight of late, by the day that it begins or by the newest reads. */
function registerAt(w: Work, ms: number): number {
  const { t, row, c } = w
  const no = dayNoAt(w, ms)
  const k = row * DAYS + (no & (DAYS - 1))
  if (t.dayNo[k] === no) return t.dayEdge[k] as number
  for (let i = (t.ringCount[row] as number) - 1; i >= 0; i--) {
    const p = ringPos(t, row, i)
    if (t.ringMark[p] === USED && snap(c, t.ringTs[p] as number) === ms) return t.ringValue[p] as number
  }
  return Number.NaN
}

function siblingDay(w: Work, window: DayWindow, quantity: string, channel: string): ReturnType<DayFacts['sibling']> {
  const { t } = w
  const row = findRow(t, w.info.asset.id, codeOf(quantity as Quantity), channel)
  if (row < 0) return undefined
  const c = t.configs[t.config[row] as number] as SeriesConfig
  const k = row * DAYS + (window.no & (DAYS - 1))
  const n = t.dayNo[k] === window.no ? (t.dayActual[k] as number) : 0
  return {
    value: t.dayNo[k] === window.no ? (t.dayValue[k] as number) : 0,
    complete: n >= expectedIntervals(window, c.intervalMs, Number.NEGATIVE_INFINITY),
    usual: usualOf(w, row),
  }
}

/** Registers of the device without a read since the day began, although they had some. */
function silentSiblings(w: Work, window: DayWindow): number {
  const { t } = w
  let n = 0
  for (let row = t.first.get(w.info.asset.id) ?? -1; row >= 0; row = t.next[row] as number) {
    const c = t.configs[t.config[row] as number] as SeriesConfig
    if (row !== w.row && c.register && newestMs(t, row) <= window.startMs && QUANTITIES[t.code[row] as number] !== undefined) n++
  }
  return n
}

function dayNoAt(w: Work, ms: number): number {
  const near = Math.floor(ms / DAY_MS)
  const zone = w.ctx.zone.def.timezone
  for (const no of [near - 1, near, near + 1]) {
    const d = dayByNo(zone, no)
    if (ms >= d.startMs && ms < d.endMs) return no
  }
  return near
}

/** Learns what days are usual from first revisions of whole days. */
function learnDay(w: Work, window: DayWindow, d: SaidDay): void {
  const { t, row } = w
  if (!isWhole(w, window, d)) return
  const facts = { value: d.value, usual: usualOf(w, row), multiplier: w.c.multiplier }
  const mostly = (d.estimated + d.missing) * 2 > d.actual + d.edited + d.estimated + d.missing
  t.estimatedDays[row] = mostly ? Math.min(DAYS_COUNTED_MAX, (t.estimatedDays[row] as number) + 1) : 0
  if (d.estimated + d.missing > 0) return
  if (d.value === 0) {
    t.zeroDays[row] = Math.min(DAYS_COUNTED_MAX, (t.zeroDays[row] as number) + 1)
    return
  }
  t.zeroDaysMax[row] = Math.max(t.zeroDaysMax[row] as number, t.zeroDays[row] as number)
  t.zeroDays[row] = 0
  const off = isOff(facts)
  t.unitDays[row] = off ? (t.unitDays[row] as number) + 1 : 0
  if (off && (t.unitDays[row] as number) < UNIT_DAYS_MAX) return
  const n = off ? 1 : Math.min(USUAL_MEMORY, (t.useDays[row] as number) + 1)
  t.useDays[row] = n
  t.useMean[row] = (t.useMean[row] as number) + (d.value - (t.useMean[row] as number)) / n
  if (off) t.unitDays[row] = 0
}

// Energy taken past a meter. Where a totalising meter stands above it, what is missing there since some day follows, hour by hour, what
// the meter still shows (a share of all load is led past it), or equals what it shows less (one circuit is). Without a totalising meter
// a lasting drop of one premise, with the shape of its use kept and the neighbours unchanged, is suspicion only.
import { z } from 'zod'
import type { MeterEvent } from '#model/reading.ts'
import { DAY_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { addInterval, type Balance, compareDue, createBalance, isDue } from './power/balance.ts'
import { addToDay, closeDay, createDays, type Days, isPlain, lastDays } from './power/days.ts'
import { clearDrops, dropRule } from './power/drop.ts'
import { layoutOf, type PowerLayout } from './power/layout.ts'
import { closed, createMissing, follow, type Missing, type Suspect, settle, suspects, unexplained } from './power/missing.ts'
import { KWH_PRICE, powerLoss, priceEvidence } from './usage/price.ts'

export const BypassSettings = z.object({
  /** How closely the missing energy must follow the meter ... */
  correlationMin: z.number().min(0).max(1).default(0.9),
  /** ... and, after longHours, where a second trouble below the same transformer blurs it. */
  correlationLater: z.number().min(0).max(1).default(0.75),
  longHours: z.number().positive().default(60),
  /** ... and how much better than the next one: what the next one leaves unexplained of its variance, against what this one leaves. */
  leadFactor: z.number().min(1).default(1.6),
  /** Share of the load led past the meter, smallest that is said. */
  shareMin: z.number().min(0).max(1).default(0.2),
  /** Missing power that is looked at: in usual deviations of the balance, kW, and as a share of the load. */
  sigmas: z.number().positive().default(5),
  missingKwMin: z.number().positive().default(0.05),
  missingShareMin: z.number().positive().default(0.01),
  /** Its own use fell by at least this share of what is missing. */
  ownDropShare: z.number().min(0).max(1).default(0.3),
  /** Time over which it must follow, hours compared. */
  hoursMin: z.number().positive().default(24),
  /** For a circuit: days over which the drop must equal what is missing, within the tolerance. */
  circuitDays: z.number().int().min(2).default(4),
  circuitTolerance: z.number().positive().default(0.3),
  /** Without a totalising meter: days of the drop, its depth, and how far the days before reached down. */
  dropDays: z.number().int().min(2).default(6),
  dropDaysAfterTamper: z.number().int().min(2).default(3),
  dropRatioMin: z.number().min(0).max(1).default(0.15),
  dropRatioMax: z.number().min(0).max(1).default(0.6),
  /** Shape of use kept: a vacant home runs flat. */
  shapeKept: z.number().min(0).max(1).default(0.7),
  historyDays: z.number().int().min(7).default(14),
  /** Over when this much of the former use is back, or nothing is missing, for so many days. */
  clearDays: z.number().int().min(1).default(3),
  /** A cover opened, or a magnet, counts for this long. */
  tamperDays: z.number().positive().default(7),
  ...KWH_PRICE,
})
export type BypassSettings = z.infer<typeof BypassSettings>
type Ctx = DetectorContext<BypassSettings>

const WAIT_MS = 3_600_000
const HISTORY_DAYS_MIN = 5

export interface BypassOpen {
  onsetMs: number
  /** Daily use before, kWh; 0 when unknown. */
  usualKwh: number
  kwhYear: number
  confidence: number
  reason: string
  /** Days since it ended, so far. */
  quiet: number
  /** By the balance, or by the drop alone. */
  balance: boolean
}

interface State {
  ids: string[]
  balance: Balance
  missing: Missing
  days: Days
  /** Meter -> last tampering, epoch ms. */
  tamper: Map<string, number>
  open: Map<string, BypassOpen>
}

export const bypass: Detector<State, BypassSettings> = {
  name: 'bypass',
  zoneKinds: ['feeder', 'network'],
  kinds: ['abnormal_usage'],
  version: 1,
  settings: BypassSettings,
  create(zone) {
    const layout = layoutOf(zone)
    return {
      ids: layout.ids,
      balance: createBalance(zone, true),
      missing: createMissing(layout),
      days: createDays(layout.ids, true),
      tamper: new Map(),
      open: new Map(),
    }
  },
  onZone(s, ctx) {
    const layout = layoutOf(ctx.zone)
    s.missing = createMissing(layout, s.missing)
    s.balance = createBalance(ctx.zone, true, s.balance)
    s.days = createDays(layout.ids, true, s.days)
    s.ids = layout.ids
    for (const map of [s.tamper, s.open]) for (const id of map.keys()) if (!layout.index.has(id)) map.delete(id)
  },
  onInterval(s, interval, _info, ctx) {
    addInterval(s.balance, ctx.zone, interval)
    if (interval.quantity !== 'active_energy_import_kwh') return
    const layout = layoutOf(ctx.zone)
    const i = layout.index.get(interval.meter)
    if (i !== undefined && layout.customer[i] && isPlain(interval, layout.stepMs[i] as number))
      addToDay(s.days, i, interval, ctx.zone.def.timezone)
  },
  onEvent(s, event: MeterEvent, info, _ctx) {
    if ((event.event === 'tamper' || event.event === 'cover_open') && info.asset.kind === 'electric_meter')
      s.tamper.set(event.device, event.receivedAtMs)
  },
  onTick(s, _tick, ctx) {
    const { nowMs } = ctx
    if (isDue(s.balance, nowMs)) compare(s, nowMs, ctx)
    if (closeDay(s.days, nowMs, WAIT_MS, ctx.zone.def.timezone)) endOfDay(s, layoutOf(ctx.zone), ctx)
  },
}

function compare(s: State, nowMs: number, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const layout = layoutOf(ctx.zone)
  compareDue(s.balance, ctx.zone, nowMs, (c) => {
    if (!c.learnt) return
    follow(s.missing, layout, c, Math.max(cfg.sigmas * c.noiseKw, cfg.missingKwMin, cfg.missingShareMin * Math.abs(c.checkKw)))
    if (c.endMs % WAIT_MS === 0) byBalance(s, c.t, c.endMs, layout, ctx)
  })
}

/** Which meter of a transformer the missing energy follows, asked every hour. */
function byBalance(s: State, t: number, endMs: number, layout: PowerLayout, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const list = suspects(s.missing, layout, t, cfg.hoursMin)
  const [first, second] = list
  if (first === undefined || first.share < cfg.shareMin) return
  const need = first.hours >= cfg.longHours ? cfg.correlationLater : cfg.correlationMin
  const rest = (x: Suspect | undefined) => 1 - Math.max(0, x?.correlation ?? 0) ** 2
  if (first.correlation < need || rest(second) < cfg.leadFactor * rest(first)) return
  const id = s.ids[first.i] as string
  if (s.open.has(id) || !shownLess(s, first, t, endMs, layout, cfg)) return
  const sinceMs = s.missing.riseMs[t] as number
  const open = start(s, id, {
    onsetMs: sinceMs,
    missingKw: first.missingKw,
    confidence: 0.95,
    reason: 'missing-energy-follows-meter',
    balance: true,
    usualKwh: 0,
  })
  say(id, open, null, followEvidence(s, first, layout, t, endMs), ctx)
  settle(s.missing, layout, t, first.i, first.share)
}

/**
 * The meter itself shows less than before, by a part at least of what is missing. Neighbours have like habits: without this, one of
 * them could stand for a meter of which next to nothing is left to follow. Unknown history is no objection.
 */
function shownLess(s: State, x: Suspect, t: number, endMs: number, layout: PowerLayout, cfg: BypassSettings): boolean {
  const days = Math.min(7, Math.max(1, Math.floor((endMs - (s.missing.riseMs[t] as number)) / DAY_MS)))
  const [drop] = clearDrops(s.days, layout, [x.i], days, HISTORY_DAYS_MIN)
  return drop === undefined || drop.dropKwh >= cfg.ownDropShare * x.missingKw * 24
}

function followEvidence(s: State, x: Suspect, layout: PowerLayout, t: number, endMs: number) {
  const tamperMs = s.tamper.get(s.ids[x.i] as string)
  return [
    {
      what: 'balance',
      transformer: layout.transformers[t]?.id ?? '',
      missingKw: round(x.missingKw),
      since: toIso(s.missing.riseMs[t] as number),
      until: toIso(endMs),
      comparedHours: Math.round(x.hours),
    },
    { what: 'follows-meter', correlation: round(x.correlation), pastMeterPct: Math.round(x.share * 100) },
    ...(tamperMs === undefined ? [] : [{ what: 'tamper-event', at: toIso(tamperMs) }]),
  ]
}

function start(s: State, id: string, how: Omit<BypassOpen, 'quiet' | 'kwhYear'> & { missingKw: number }): BypassOpen {
  const { missingKw, ...rest } = how
  const open: BypassOpen = { ...rest, quiet: 0, kwhYear: Math.round(missingKw * 8760) }
  s.open.set(id, open)
  return open
}

function endOfDay(s: State, layout: PowerLayout, ctx: Ctx): void {
  const { settings: cfg, nowMs } = ctx
  for (const [id, ms] of s.tamper) if (nowMs - ms > cfg.tamperDays * DAY_MS) s.tamper.delete(id)
  for (const [t, tx] of layout.transformers.entries()) circuits(s, t, tx.customers, layout, ctx)
  if (!ctx.operations.some((o) => o.kind === 'holiday' && o.startMs <= nowMs && o.endMs + cfg.dropDays * DAY_MS >= nowMs)) {
    for (const d of dropRule(
      s.days,
      layout,
      (id) => s.tamper.get(id),
      (id) => s.open.has(id),
      cfg,
    )) {
      const open = start(s, d.id, {
        onsetMs: s.days.dayStartMs - d.days * DAY_MS,
        missingKw: d.missingKwhDay / 24,
        confidence: d.confidence,
        reason: 'lasting-drop',
        balance: false,
        usualKwh: d.usualKwh,
      })
      say(d.id, open, null, d.evidence, ctx)
    }
  }
  ended(s, layout, ctx)
}

/** One circuit led past: what the balance lacks equals what one meter shows less than it used to. */
function circuits(s: State, t: number, customers: readonly number[], layout: PowerLayout, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const missing = unexplained(s.missing, t)
  const days = (s.days.dayStartMs - (s.missing.riseMs[t] as number)) / DAY_MS
  if (missing === undefined || days < cfg.circuitDays || customers.some((i) => s.open.has(s.ids[i] as string))) return
  const kwhDay = missing.kw * 24
  const drops = clearDrops(s.days, layout, customers, cfg.circuitDays, cfg.historyDays)
  // One whose days do not count, a stuck register for one, may be the cause: then nobody is named.
  if (drops.length < customers.length) return
  const fits = drops.filter((d) => Math.abs(d.dropKwh - kwhDay) <= cfg.circuitTolerance * kwhDay && d.dropKwh >= 3 * d.deviationKwh)
  const [only] = fits
  if (only === undefined || fits.length > 1) return
  const id = s.ids[only.i] as string
  const onsetMs = s.missing.riseMs[t] as number
  const open = start(s, id, {
    onsetMs,
    missingKw: missing.kw,
    confidence: 0.75,
    reason: 'drop-equals-missing-energy',
    balance: true,
    usualKwh: only.usualKwh,
  })
  const evidence = [
    {
      what: 'balance',
      transformer: layout.transformers[t]?.id ?? '',
      missingKw: round(missing.kw),
      since: toIso(onsetMs),
      days: Math.floor(days),
    },
    { what: 'drop', fromKwhDay: round(only.usualKwh), byKwhDay: round(only.dropKwh), usualDeviationKwh: round(only.deviationKwh) },
  ]
  say(id, open, null, evidence, ctx)
}

/** Nothing missing any more, or the former use is back. */
function ended(s: State, layout: PowerLayout, ctx: Ctx): void {
  const { settings: cfg } = ctx
  for (const [id, o] of s.open) {
    const i = layout.index.get(id)
    if (i === undefined) continue
    const t = layout.transformer[i] as number
    const over = o.balance ? balanceClosed(s, t, i) : recovered(s.days, i, o)
    o.quiet = over ? o.quiet + 1 : 0
    if (o.quiet < cfg.clearDays) continue
    s.open.delete(id)
    s.missing.led[i] = 0
    say(id, o, s.days.dayStartMs - cfg.clearDays * DAY_MS, [{ what: o.balance ? 'balance-closed' : 'use-is-back', days: o.quiet }], ctx)
  }
}

/** A circuit has no share of its own: there the missing energy itself must be gone. */
function balanceClosed(s: State, t: number, i: number): boolean {
  return (s.missing.led[i] as number) > 0 ? closed(s.missing, t) : s.missing.riseMs[t] === 0
}

function recovered(days: Days, i: number, o: BypassOpen): boolean {
  const yesterday = lastDays(days.kwh, days, i, 1, 1)[0] ?? 0
  return yesterday >= 0.8 * o.usualKwh
}

function say(
  id: string,
  o: BypassOpen,
  clearedAtMs: number | null,
  evidence: { what: string; [key: string]: string | number }[],
  ctx: Ctx,
): void {
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: 'bypass',
    scope: { type: 'meter', id },
    onsetMs: o.onsetMs,
    clearedAtMs,
    severity: clearedAtMs === null ? 'major' : 'warning',
    confidence: o.confidence,
    affected: [id],
    size: { ...powerLoss(o.kwhYear, ctx.settings), kwhDay: round(o.kwhYear / 365) },
    reason: clearedAtMs === null ? o.reason : 'ended',
    evidence: [...evidence, priceEvidence('power', ctx.settings)],
  })
}

const round = (v: number) => Math.round(v * 100) / 100

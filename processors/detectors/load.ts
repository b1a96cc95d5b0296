// Load of transformers and feeders from their meters, for the live map; overload against the rating, with its duration.
import { z } from 'zod'
import type { Scope } from '#model/finding.ts'
import type { Interval } from '#model/interval.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { type DayPeak, foretell, newDayPeak, notePeak } from './power/day-peak.ts'
import { layoutOf, NONE, type PowerTransformer } from './power/layout.ts'
import { newPhases, notePhase, type Phases, unbalance } from './power/phases.ts'

export const LoadSettings = z.object({
  /** kVA = kW / power factor, where the meters give none. */
  powerFactor: z.number().positive().max(1).default(0.95),
  /** Overload: above this share of the rating for this long ... */
  limitShare: z.number().positive().default(1),
  limitHours: z.number().nonnegative().default(2),
  /** ... or above this at once. */
  emergencyShare: z.number().positive().default(1.2),
  /** Over when below this share for an hour. */
  clearShare: z.number().positive().default(0.9),
  /** A transformer without a totalising meter is summed when this share of its meters has reported; the rest counts as their mean. */
  coverageMin: z.number().min(0).max(1).default(0.8),
  /** Reverse power: export above this share of the rating for an hour; over after two days without. */
  reverseShare: z.number().positive().default(0.05),
  /**
   * Phases of a transformer: (largest - smallest) / largest above this for limitHours, while it carries unbalanceLoadShare of its rating.
   * A quarter is what operating rules for distribution transformers allow.
   */
  unbalanceMax: z.number().positive().default(0.25),
  unbalanceLoadShare: z.number().positive().default(0.2),
  /** How long an interval waits for its meters. */
  waitS: z.number().positive().default(180),
})
type Settings = z.infer<typeof LoadSettings>
type Ctx = DetectorContext<Settings>

/** Intervals open at a time: the newest and the one before. */
const SLOTS = 2

interface Slot {
  endMs: number
  sumKwh: number
  seen: number
  checkKwh: number
  checkSeen: boolean
  done: boolean
}

interface Row {
  slots: Slot[]
  /** Newest load and its time; kW, import positive. */
  kw: number
  atMs: number
  aboveMs: number
  belowMs: number
  peakShare: number
  onsetMs: number
  day: DayPeak
  phases: Phases
  /** Since when export lasts, its last interval, and the onset as said; 0 not. */
  exportMs: number
  exportedMs: number
  reverseMs: number
  /** The same of unbalance, and the largest of it. */
  unevenMs: number
  unbalanceMs: number
  unbalance: number
  /** Local day of the peak that was foretold; 0 none. */
  foretoldMs: number
}

/** A transformer, or the feeder itself. */
interface Place {
  scope: Scope
  stepMs: number
  limitKva: number | undefined
}

interface State {
  rows: Map<string, Row>
  dueMs: number
  /** The feeder as a whole; its slots hold its own totalising meter. */
  feeder: Row
}

const aRow = (): Row => ({
  slots: Array.from({ length: SLOTS }, () => ({ endMs: 0, sumKwh: 0, seen: 0, checkKwh: 0, checkSeen: false, done: true })),
  kw: Number.NaN,
  atMs: 0,
  aboveMs: 0,
  belowMs: 0,
  peakShare: 0,
  onsetMs: 0,
  day: newDayPeak(),
  phases: newPhases(),
  exportMs: 0,
  exportedMs: 0,
  reverseMs: 0,
  unevenMs: 0,
  unbalanceMs: 0,
  unbalance: 0,
  foretoldMs: 0,
})

export const load: Detector<State, Settings> = {
  name: 'load',
  zoneKinds: ['feeder'],
  kinds: ['overload'],
  version: 2,
  settings: LoadSettings,
  create: (zone) => ({ rows: new Map(layoutOf(zone).transformers.map((t) => [t.id, aRow()])), dueMs: 0, feeder: aRow() }),
  onZone(s, ctx) {
    const { transformers } = layoutOf(ctx.zone)
    s.rows = new Map(transformers.map((t) => [t.id, s.rows.get(t.id) ?? aRow()]))
  },
  onInterval: (s, interval, _info, ctx) => add(s, interval, ctx),
  onRead(s, read, ctx) {
    if (read.phase === '' || (read.quantity !== 'current_a' && read.quantity !== 'power_kw')) return
    const layout = layoutOf(ctx.zone)
    const i = layout.index.get(read.device)
    const tx = i === undefined ? undefined : layout.transformers[layout.transformer[i] as number]
    if (tx === undefined || tx.check !== i) return
    const r = s.rows.get(tx.id) as Row
    const three = notePhase(r.phases, read)
    if (three !== undefined) uneven(tx, r, three, read.tsMs, ctx)
  },
  onTick(s, _tick, ctx) {
    if (s.dueMs === 0 || ctx.nowMs < s.dueMs) return
    s.dueMs = 0
    for (const tx of layoutOf(ctx.zone).transformers) {
      const r = s.rows.get(tx.id)
      if (r === undefined || tx.stepMs === 0) continue
      for (const slot of r.slots) settle(s, tx, r, slot, ctx)
    }
    feeder(s, ctx)
  },
}

function add(s: State, interval: Interval, ctx: Ctx): void {
  const { quantity, endMs, value } = interval
  const imported = quantity === 'active_energy_import_kwh'
  if ((!imported && quantity !== 'active_energy_export_kwh') || interval.channel !== '' || interval.rev > 1) return
  if (interval.status !== 'actual' || value === null) return
  const layout = layoutOf(ctx.zone)
  const i = layout.index.get(interval.meter)
  if (i !== undefined && i === layout.feederMeter) {
    addFeeder(s, interval, imported, ctx)
    return
  }
  const tx = i === undefined ? undefined : layout.transformers[layout.transformer[i] as number]
  if (i === undefined || tx === undefined || tx.stepMs === 0 || ctx.nowMs - endMs > SLOTS * tx.stepMs) return
  const r = s.rows.get(tx.id) as Row
  const slot = r.slots[(endMs / tx.stepMs) % SLOTS]
  if (slot === undefined || slot.endMs > endMs) return
  if (slot.endMs < endMs) {
    slot.endMs = endMs
    slot.sumKwh = 0
    slot.seen = 0
    slot.checkKwh = 0
    slot.checkSeen = false
    slot.done = false
    const due = endMs + ctx.settings.waitS * 1000
    if (s.dueMs === 0 || due < s.dueMs) s.dueMs = due
  }
  const kwh = imported ? value : -value
  if (i === tx.check) {
    slot.checkKwh += kwh
    slot.checkSeen ||= imported
  } else if (layout.customer[i]) {
    slot.sumKwh += kwh
    if (imported) slot.seen += 1
  }
}

function settle(s: State, tx: PowerTransformer, r: Row, slot: Slot, ctx: Ctx): void {
  if (slot.done) return
  const due = slot.endMs + ctx.settings.waitS * 1000
  if (ctx.nowMs < due) {
    if (s.dueMs === 0 || due < s.dueMs) s.dueMs = due
    return
  }
  slot.done = true
  if (slot.endMs <= r.atMs) return
  const n = tx.customers.length
  const enough = n > 0 && slot.seen >= n * ctx.settings.coverageMin
  if (!slot.checkSeen && !enough) return
  const kwh = slot.checkSeen ? slot.checkKwh : (slot.sumKwh * n) / slot.seen
  r.kw = kwh / (tx.stepMs / HOUR_MS)
  r.atMs = slot.endMs
  const place: Place = { scope: { type: 'transformer', id: tx.id }, stepMs: tx.stepMs, limitKva: tx.ratingKva }
  weigh(place, r, slot.checkSeen, ctx)
}

/** What a new load means: for the map, against the rating, for the day to come. */
function weigh(place: Place, r: Row, fromCheck: boolean, ctx: Ctx): void {
  const { timezone } = ctx.zone.def
  ctx.measure(place.scope.id, 'power_kw', r.atMs, Math.round(r.kw * 1000) / 1000)
  notePeak(r.day, timezone, r.atMs, r.kw)
  if (place.limitKva === undefined || place.limitKva <= 0) return
  overload(place, r, fromCheck, ctx)
  reverse(place, r, ctx)
  foresee(place, r, ctx)
}

/** The feeder's own totalising meter. */
function addFeeder(s: State, interval: Interval, imported: boolean, ctx: Ctx): void {
  const { endMs, startMs, value } = interval
  const r = s.feeder
  const slot = r.slots[(endMs / (endMs - startMs)) % SLOTS]
  if (slot === undefined || slot.endMs > endMs) return
  if (slot.endMs < endMs) Object.assign(slot, { endMs, checkKwh: 0, checkSeen: false, done: false })
  slot.checkKwh += imported ? (value as number) : -(value as number)
  slot.checkSeen ||= imported
  const due = endMs + ctx.settings.waitS * 1000
  if (s.dueMs === 0 || due < s.dueMs) s.dueMs = due
}

/** What the feeder carries: by its own meter, else the sum of its transformers at the same time, when all of them have one. */
function feeder(s: State, ctx: Ctx): void {
  const layout = layoutOf(ctx.zone)
  const { area, zone } = ctx.zone.def
  const r = s.feeder
  const limit = Number((area as Record<string, unknown> | undefined)?.rating_kva)
  const meterKw = layout.feederMeter === NONE ? Number.NaN : layout.maxKw(layout.feederMeter)
  const limitKva = limit > 0 ? limit : meterKw > 0 ? meterKw / ctx.settings.powerFactor : undefined
  const place: Place = { scope: { type: 'feeder', id: zone }, stepMs: HOUR_MS, limitKva }
  if (layout.feederMeter !== NONE) {
    place.stepMs = layout.stepMs[layout.feederMeter] as number
    for (const slot of r.slots) {
      if (slot.done || !slot.checkSeen || ctx.nowMs < slot.endMs + ctx.settings.waitS * 1000 || slot.endMs <= r.atMs) continue
      slot.done = true
      r.kw = slot.checkKwh / (place.stepMs / HOUR_MS)
      r.atMs = slot.endMs
      weigh(place, r, true, ctx)
    }
    if (ctx.nowMs - r.atMs < 2 * place.stepMs) return
  }
  let sum = 0
  let atMs = 0
  for (const tx of layout.transformers) {
    if (tx.customers.length === 0 && tx.check === NONE) continue
    const t = s.rows.get(tx.id) as Row
    if (atMs === 0) atMs = t.atMs
    if (t.atMs !== atMs || Number.isNaN(t.kw)) return
    sum += t.kw
    place.stepMs = tx.stepMs
  }
  if (atMs === 0 || atMs <= r.atMs) return
  r.kw = sum
  r.atMs = atMs
  weigh(place, r, false, ctx)
}

function overload(place: Place, r: Row, fromCheck: boolean, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const share = Math.abs(r.kw) / cfg.powerFactor / (place.limitKva as number)
  const startMs = r.atMs - place.stepMs
  if (share >= cfg.limitShare) {
    if (r.aboveMs === 0) {
      r.aboveMs = startMs
      r.peakShare = 0
    }
    r.peakShare = Math.max(r.peakShare, share)
    r.belowMs = 0
  } else if (share < cfg.clearShare) {
    if (r.belowMs === 0) r.belowMs = startMs
    if (r.atMs - r.belowMs >= HOUR_MS || r.onsetMs === 0) r.aboveMs = 0
  } else if (r.onsetMs === 0) r.aboveMs = 0
  const long = r.aboveMs > 0 && r.atMs - r.aboveMs >= cfg.limitHours * HOUR_MS
  if (r.onsetMs === 0 && r.aboveMs > 0 && (long || share >= cfg.emergencyShare)) r.onsetMs = r.aboveMs
  if (r.onsetMs === 0) return
  const cleared = r.aboveMs === 0
  const endMs = cleared ? r.belowMs : r.atMs
  const minutes = Math.round((endMs - r.onsetMs) / MINUTE_MS)
  ctx.emit({
    kind: 'overload',
    scope: place.scope,
    onsetMs: r.onsetMs,
    clearedAtMs: cleared ? r.belowMs : null,
    severity: cleared ? 'warning' : r.peakShare >= cfg.emergencyShare ? 'major' : 'minor',
    confidence: fromCheck ? 0.95 : 0.8,
    // A revision an hour and at every new tenth of the peak is enough.
    size: {
      peakPct: Math.round(r.peakShare * 10) * 10,
      ratingKva: place.limitKva as number,
      hours: cleared ? Math.round(minutes / 6) / 10 : Math.floor(minutes / 60),
    },
    reason: cleared ? 'below-rating' : r.kw < 0 ? 'reverse-power' : 'above-rating',
    evidence: [
      {
        what: 'load',
        since: toIso(r.onsetMs),
        source: fromCheck ? 'totalising-meter' : 'customer-meters',
        powerFactor: cfg.powerFactor,
      },
    ],
  })
  if (cleared) r.onsetMs = 0
}

/** Power that flows back into the grid, said once and ended after two days without. */
function reverse(place: Place, r: Row, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const share = -r.kw / cfg.powerFactor / (place.limitKva as number)
  if (share >= cfg.reverseShare) {
    if (r.exportMs === 0) r.exportMs = r.atMs - place.stepMs
    r.exportedMs = r.atMs
  } else r.exportMs = 0
  const begins = r.reverseMs === 0 && r.exportMs > 0 && r.atMs - r.exportMs >= HOUR_MS
  const ends = r.reverseMs > 0 && r.atMs - r.exportedMs >= 2 * DAY_MS
  if (begins) r.reverseMs = r.exportMs
  if (!begins && !ends) return
  ctx.emit({
    kind: 'overload',
    subtype: 'reverse_power',
    scope: place.scope,
    onsetMs: r.reverseMs,
    clearedAtMs: ends ? r.exportedMs : null,
    severity: 'warning',
    confidence: 0.9,
    size: { exportKw: Math.round(Math.max(0, -r.kw) * 10) / 10, ratingKva: place.limitKva as number },
    reason: ends ? 'export-ended' : 'reverse-power',
    evidence: [{ what: 'export', since: toIso(r.reverseMs), sharePct: Math.round(share * 100) }],
  })
  if (ends) r.reverseMs = 0
}

/** The day's peak will exceed the rating: said in the morning rather than at night, once a day. */
function foresee(place: Place, r: Row, ctx: Ctx): void {
  const { settings: cfg, zone } = ctx
  const rating = place.limitKva as number
  if (r.foretoldMs === r.day.dayMs && r.foretoldMs > 0) return
  const open = r.foretoldMs > 0
  const f = foretell(r.day, zone.def.timezone, r.atMs)
  const share = f === undefined ? 0 : f.kw / cfg.powerFactor / rating
  const draft = { kind: 'overload', subtype: 'forecast', scope: place.scope, severity: 'warning' } as const
  // Yesterday's is over, whatever came of it.
  if (open) {
    ctx.emit({ ...draft, onsetMs: r.foretoldMs, clearedAtMs: r.day.dayMs, confidence: 0.5, reason: 'day-over', evidence: [] })
    r.foretoldMs = 0
  }
  if (f === undefined || share < cfg.limitShare || r.onsetMs > 0) return
  r.foretoldMs = r.day.dayMs
  ctx.emit({
    ...draft,
    onsetMs: r.foretoldMs,
    startedAtMs: f.atMs,
    confidence: 0.6,
    size: { peakPct: Math.round(share * 100), peakKw: Math.round(f.kw), ratingKva: rating },
    reason: 'peak-expected',
    evidence: [{ what: 'habit', days: f.days, todayFactor: Math.round(f.scale * 100) / 100, peakAt: toIso(f.atMs) }],
  })
}

/** Three phase values of one instant. */
function uneven(tx: PowerTransformer, r: Row, three: readonly [number, number, number], tsMs: number, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const u = unbalance(three)
  const loaded = Math.abs(r.kw) >= cfg.unbalanceLoadShare * (tx.ratingKva ?? 0) * cfg.powerFactor
  if (u > cfg.unbalanceMax && loaded) {
    if (r.unevenMs === 0) {
      r.unevenMs = tsMs
      r.unbalance = 0
    }
    r.unbalance = Math.max(r.unbalance, u)
  } else if (r.unbalanceMs === 0 || u < 0.8 * cfg.unbalanceMax) r.unevenMs = 0
  const begins = r.unbalanceMs === 0 && r.unevenMs > 0 && tsMs - r.unevenMs >= cfg.limitHours * HOUR_MS
  const ends = r.unbalanceMs > 0 && r.unevenMs === 0
  if (begins) r.unbalanceMs = r.unevenMs
  if (!begins && !ends) return
  ctx.emit({
    kind: 'overload',
    subtype: 'unbalance',
    scope: { type: 'transformer', id: tx.id },
    onsetMs: r.unbalanceMs,
    clearedAtMs: ends ? tsMs : null,
    severity: 'warning',
    confidence: 0.9,
    size: { unbalancePct: Math.round(r.unbalance * 100) },
    reason: ends ? 'phases-even' : 'phases-uneven',
    evidence: [{ what: 'phases', L1: three[0], L2: three[1], L3: three[2], at: toIso(tsMs) }],
  })
  if (ends) r.unbalanceMs = 0
}

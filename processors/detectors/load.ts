// Load of transformers and feeders from their meters, for the live map; overload against the rating, with its duration.
import { z } from 'zod'
import type { Interval } from '#model/interval.ts'
import { HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { layoutOf, NONE, type PowerTransformer } from './power/layout.ts'

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
}

interface State {
  rows: Map<string, Row>
  dueMs: number
  feederMs: number
}

const aRow = (): Row => ({
  slots: Array.from({ length: SLOTS }, () => ({ endMs: 0, sumKwh: 0, seen: 0, checkKwh: 0, checkSeen: false, done: true })),
  kw: Number.NaN,
  atMs: 0,
  aboveMs: 0,
  belowMs: 0,
  peakShare: 0,
  onsetMs: 0,
})

export const load: Detector<State, Settings> = {
  name: 'load',
  zoneKinds: ['feeder'],
  kinds: ['overload'],
  version: 1,
  settings: LoadSettings,
  create: (zone) => ({ rows: new Map(layoutOf(zone).transformers.map((t) => [t.id, aRow()])), dueMs: 0, feederMs: 0 }),
  onZone(s, ctx) {
    const { transformers } = layoutOf(ctx.zone)
    s.rows = new Map(transformers.map((t) => [t.id, s.rows.get(t.id) ?? aRow()]))
  },
  onInterval: (s, interval, _info, ctx) => add(s, interval, ctx),
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
  ctx.measure(tx.id, 'power_kw', slot.endMs, Math.round(r.kw * 1000) / 1000)
  if (tx.ratingKva !== undefined && tx.ratingKva > 0) overload(tx, r, { fromCheck: slot.checkSeen, seen: slot.seen }, ctx)
}

/** The feeder is the sum of its transformers at the same time, when all of them have one. */
function feeder(s: State, ctx: Ctx): void {
  let sum = 0
  let atMs = 0
  for (const tx of layoutOf(ctx.zone).transformers) {
    if (tx.customers.length === 0 && tx.check === NONE) continue
    const r = s.rows.get(tx.id) as Row
    if (atMs === 0) atMs = r.atMs
    if (r.atMs !== atMs || Number.isNaN(r.kw)) return
    sum += r.kw
  }
  if (atMs === 0 || atMs <= s.feederMs) return
  s.feederMs = atMs
  ctx.measure(ctx.zone.def.zone, 'power_kw', atMs, Math.round(sum * 1000) / 1000)
}

function overload(tx: PowerTransformer, r: Row, from: { fromCheck: boolean; seen: number }, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const share = Math.abs(r.kw) / cfg.powerFactor / (tx.ratingKva as number)
  const startMs = r.atMs - tx.stepMs
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
    scope: { type: 'transformer', id: tx.id },
    onsetMs: r.onsetMs,
    clearedAtMs: cleared ? r.belowMs : null,
    severity: cleared ? 'warning' : r.peakShare >= cfg.emergencyShare ? 'major' : 'minor',
    confidence: from.fromCheck ? 0.95 : 0.8,
    // A revision an hour and at every new tenth of the peak is enough.
    size: {
      peakPct: Math.round(r.peakShare * 10) * 10,
      ratingKva: tx.ratingKva as number,
      hours: cleared ? Math.round(minutes / 6) / 10 : Math.floor(minutes / 60),
    },
    reason: cleared ? 'below-rating' : r.kw < 0 ? 'reverse-power' : 'above-rating',
    evidence: [
      {
        what: 'load',
        since: toIso(r.onsetMs),
        source: from.fromCheck ? 'totalising-meter' : 'customer-meters',
        powerFactor: cfg.powerFactor,
      },
    ],
  })
  if (cleared) r.onsetMs = 0
}

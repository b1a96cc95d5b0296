// The load that never sleeps has grown: the lowest quarter hour of each night, a week against the weeks before. A pump that no longer
// stops, a heater left on, a tapped line. Heating grows with the cold, unevenly and at the neighbours' too; a device that hangs takes
// the same every night. So the rise must be steady, and the neighbours' must be less.
import { z } from 'zod'
import { HOUR_MS, localDay, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { isPlain, mad, median } from './power/days.ts'
import { carryColumn, layoutOf } from './power/layout.ts'
import { KWH_PRICE, powerLoss, priceEvidence } from './usage/price.ts'

export const RisingBaseSettings = z.object({
  /** Nights that must be high, and nights known before them. */
  nights: z.number().int().min(3).max(10).default(5),
  historyNights: z.number().int().min(5).max(18).default(10),
  /** Least rise: kW, share of what was, and usual deviations of the nights before. */
  riseKwMin: z.number().positive().default(0.1),
  riseShare: z.number().positive().default(0.5),
  sigmas: z.number().positive().default(5),
  /** The high nights may differ by this share of the rise: a hanging device is steady. */
  steadyShare: z.number().positive().default(0.3),
  /** A rise of so many of the zone's meters is weather. */
  commonShare: z.number().min(0).max(1).default(0.2),
  /** Over after so many nights with less than half of the rise. */
  clearNights: z.number().int().min(1).default(3),
  ...KWH_PRICE,
})
type Settings = z.infer<typeof RisingBaseSettings>
type Ctx = DetectorContext<Settings>

const NIGHTS = 28
/** Local hours of the night, and how much of it must have been read. */
const FROM_H = 1
const TO_H = 5
const HOURS_MIN = 3
/** Wait for late reads. */
const WAIT_MS = 2 * HOUR_MS
/** After this it is the new usual. */
const GIVE_UP_NIGHTS = 60

interface Open {
  onsetMs: number
  beforeKw: number
  riseKw: number
  deviationKw: number
  /** Meters of the zone whose floor rose too, %, when it was said. */
  risenPct: number
  quiet: number
  nights: number
}

interface State {
  ids: string[]
  /** Lowest power of the night being read, kW, and hours read. */
  lowKw: Float32Array
  hours: Float32Array
  /** Of the last nights, a ring for all meters at the same place; NaN for a hole. */
  floorKw: Float32Array
  turn: number
  nightStartMs: number
  nightEndMs: number
  open: Map<string, Open>
}

export const risingBase: Detector<State, Settings> = {
  name: 'rising-base',
  zoneKinds: ['feeder', 'network'],
  kinds: ['abnormal_usage'],
  settings: RisingBaseSettings,
  create: (zone) => createState(layoutOf(zone).ids),
  onZone(s, ctx) {
    const { ids, index } = layoutOf(ctx.zone)
    const next = createState(ids)
    for (const c of ['lowKw', 'hours'] as const) carryColumn(s.ids, s[c], ids, next[c])
    carryColumn(s.ids, s.floorKw, ids, next.floorKw, NIGHTS)
    for (const [id, o] of s.open) if (index.has(id)) next.open.set(id, o)
    const { turn, nightStartMs, nightEndMs } = s
    Object.assign(s, next, { turn, nightStartMs, nightEndMs })
  },
  onInterval(s, interval, _info, ctx) {
    // Most intervals end here: it is not night.
    if (interval.startMs < s.nightStartMs || interval.endMs > s.nightEndMs || interval.quantity !== 'active_energy_import_kwh') return
    const layout = layoutOf(ctx.zone)
    const i = layout.index.get(interval.meter)
    if (i === undefined || !layout.customer[i] || !isPlain(interval, layout.stepMs[i] as number)) return
    const hours = (interval.endMs - interval.startMs) / HOUR_MS
    s.lowKw[i] = Math.min(s.lowKw[i] as number, (interval.value as number) / hours)
    s.hours[i] = (s.hours[i] as number) + hours
  },
  onTick(s, _tick, ctx) {
    if (s.nightEndMs === 0) openNight(s, ctx)
    if (ctx.nowMs < s.nightEndMs + WAIT_MS) return
    closeNight(s)
    judge(s, ctx)
    openNight(s, ctx)
  },
}

function createState(ids: string[]): State {
  const n = ids.length
  return {
    ids,
    lowKw: new Float32Array(n).fill(Number.POSITIVE_INFINITY),
    hours: new Float32Array(n),
    floorKw: new Float32Array(n * NIGHTS).fill(Number.NaN),
    turn: 0,
    nightStartMs: 0,
    nightEndMs: 0,
    open: new Map(),
  }
}

/** The next night that begins after now. */
function openNight(s: State, ctx: Ctx): void {
  const { timezone } = ctx.zone.def
  let day = localDay(timezone, ctx.nowMs)
  if (ctx.nowMs >= day.startMs + FROM_H * HOUR_MS) day = localDay(timezone, day.endMs)
  s.nightStartMs = day.startMs + FROM_H * HOUR_MS
  s.nightEndMs = day.startMs + TO_H * HOUR_MS
}

function closeNight(s: State): void {
  for (let i = 0; i < s.ids.length; i++) {
    s.floorKw[i * NIGHTS + s.turn] = (s.hours[i] as number) >= HOURS_MIN ? (s.lowKw[i] as number) : Number.NaN
  }
  s.lowKw.fill(Number.POSITIVE_INFINITY)
  s.hours.fill(0)
  s.turn = (s.turn + 1) % NIGHTS
}

/** Floors of the nights `from` to `to` back (1 = last night), holes left out. */
function nights(s: State, i: number, from: number, to: number): number[] {
  const out: number[] = []
  for (let back = from; back <= to; back++) {
    const v = s.floorKw[i * NIGHTS + ((s.turn - back + NIGHTS) % NIGHTS)] as number
    if (!Number.isNaN(v)) out.push(v)
  }
  return out
}

interface Rise {
  i: number
  beforeKw: number
  nowKw: number
  deviationKw: number
  recent: number[]
}

function judge(s: State, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const layout = layoutOf(ctx.zone)
  const rises: Rise[] = []
  let risen = 0
  let judged = 0
  for (let i = 0; i < s.ids.length; i++) {
    if (!layout.customer[i]) continue
    const recent = nights(s, i, 1, cfg.nights)
    const before = nights(s, i, cfg.nights + 1, NIGHTS)
    if (recent.length < cfg.nights || before.length < cfg.historyNights) continue
    judged += 1
    const beforeKw = median(before)
    const nowKw = median(recent)
    if (nowKw > beforeKw * 1.2 + (layout.resolutionKwh[i] as number)) risen += 1
    // Each of the nights is above each of those before: no mean can hide a single feast.
    if (Math.min(...recent) > Math.max(...before)) rises.push({ i, beforeKw, nowKw, deviationKw: mad(before, beforeKw), recent })
  }
  ended(s, ctx)
  if (ctx.warmingUp || risen > Math.max(1, cfg.commonShare * judged)) return
  for (const r of rises) {
    const rise = r.nowKw - r.beforeKw
    const id = s.ids[r.i] as string
    if (s.open.has(id) || rise < Math.max(cfg.riseKwMin, cfg.riseShare * r.beforeKw, cfg.sigmas * r.deviationKw)) continue
    if (Math.max(...r.recent) - Math.min(...r.recent) > cfg.steadyShare * rise) continue
    const o: Open = {
      onsetMs: s.nightStartMs - (cfg.nights - 1) * 24 * HOUR_MS,
      beforeKw: r.beforeKw,
      riseKw: rise,
      deviationKw: r.deviationKw,
      risenPct: Math.round((100 * risen) / judged),
      quiet: 0,
      nights: cfg.nights,
    }
    s.open.set(id, o)
    say(id, o, { clearedAtMs: null, reason: 'base-load-rose' }, ctx)
  }
}

function ended(s: State, ctx: Ctx): void {
  const index = layoutOf(ctx.zone).index
  for (const [id, o] of s.open) {
    const i = index.get(id)
    const last = i === undefined ? [] : nights(s, i, 1, 1)
    if (last.length === 0) continue
    o.nights += 1
    o.quiet = (last[0] as number) < o.beforeKw + o.riseKw / 2 ? o.quiet + 1 : 0
    const stale = o.nights > GIVE_UP_NIGHTS
    if (o.quiet < ctx.settings.clearNights && !stale) continue
    s.open.delete(id)
    say(
      id,
      o,
      { clearedAtMs: s.nightStartMs - (ctx.settings.clearNights - 1) * 24 * HOUR_MS, reason: stale ? 'new-usual' : 'back-to-usual' },
      ctx,
    )
  }
}

function say(id: string, o: Open, how: { clearedAtMs: number | null; reason: string }, ctx: Ctx): void {
  const round = (v: number) => Math.round(v * 1000) / 1000
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: 'rising_base',
    scope: { type: 'meter', id },
    onsetMs: o.onsetMs,
    clearedAtMs: how.clearedAtMs,
    severity: 'warning',
    confidence: 0.6,
    affected: [id],
    size: powerLoss(o.riseKw * 8760, ctx.settings),
    reason: how.reason,
    evidence: [
      {
        what: 'night-floor',
        beforeKw: round(o.beforeKw),
        nowKw: round(o.beforeKw + o.riseKw),
        nights: o.nights,
        since: toIso(o.onsetMs),
        usualDeviationKw: round(o.deviationKw),
        neighboursRisenPct: o.risenPct,
      },
      priceEvidence('power', ctx.settings),
    ],
  })
}

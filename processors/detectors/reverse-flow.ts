// What flows the wrong way through a meter: energy from a premise where no generation is registered, or more than was registered; water
// pressed back into the mains, which is a danger to everybody's drinking water (EN 1717) and a meter mounted the wrong way round.
import { z } from 'zod'
import type { ZoneDevice } from '#model/asset.ts'
import type { Interval } from '#model/interval.ts'
import { DAY_MS, HOUR_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { KWH_PRICE, M3_PRICE, powerLoss, priceEvidence, waterLoss } from './usage/price.ts'

export const ReverseFlowSettings = z.object({
  /** Intervals with export, and steps of the register in all, before anything is said: one pulse is no plant. */
  intervalsMin: z.number().int().min(1).default(3),
  stepsMin: z.number().positive().default(5),
  /** Exports this far apart do not add up. */
  windowHours: z.number().positive().default(48),
  /** Above the registered power by this factor it is another plant; a cloud's edge gives 1.1. */
  registeredFactor: z.number().min(1).default(1.25),
  /** Over when nothing came for this many days: an overcast fortnight is possible, three weeks are not. */
  clearDays: z.number().positive().default(21),
  ...KWH_PRICE,
  ...M3_PRICE,
})
type Settings = z.infer<typeof ReverseFlowSettings>
type Ctx = DetectorContext<Settings>

/** Only meters that have exported against the rules have a row. */
interface Row {
  firstMs: number
  lastMs: number
  intervals: number
  /** kWh or m3 in all. */
  sum: number
  peak: number
  days: number
  dayMs: number
  onsetMs: number
  saidMs: number
}

interface State {
  rows: Map<string, Row>
  sweepMs: number
}

export const reverseFlow: Detector<State, Settings> = {
  name: 'reverse-flow',
  zoneKinds: ['dma', 'feeder', 'network'],
  kinds: ['abnormal_usage'],
  version: 2,
  settings: ReverseFlowSettings,
  create: () => ({ rows: new Map(), sweepMs: 0 }),
  onZone(s, ctx) {
    for (const id of s.rows.keys()) if (ctx.zone.device(id) === undefined) s.rows.delete(id)
  },
  onInterval(s, interval, info, ctx) {
    const { quantity } = interval
    if (quantity !== 'active_energy_export_kwh' && quantity !== 'water_volume_reverse_m3') return
    if ((interval.value ?? 0) > 0) exported(s, interval, info, ctx)
  },
  onTick(s, _tick, ctx) {
    if (ctx.nowMs < s.sweepMs || s.rows.size === 0) return
    s.sweepMs = ctx.nowMs + HOUR_MS
    for (const [id, r] of s.rows) {
      const quiet = ctx.nowMs - r.lastMs
      if (r.onsetMs > 0 && quiet > ctx.settings.clearDays * DAY_MS) say(id, r, r.lastMs, ctx)
      if (quiet > (r.onsetMs > 0 ? ctx.settings.clearDays * DAY_MS : ctx.settings.windowHours * HOUR_MS)) s.rows.delete(id)
    }
  },
}

/** Power (kW, or m3/h) up to which flow back is in order. */
function allowed(a: ZoneDevice['asset']): number {
  return a.kind === 'electric_meter' ? (a.registered_generation_kwp ?? 0) : 0
}

function exported(s: State, interval: Interval, info: ZoneDevice, ctx: Ctx): void {
  const a = info.asset
  if (a.kind !== 'water_meter' && (a.kind !== 'electric_meter' || a.role !== 'customer')) return
  if (interval.status !== 'actual' || interval.rev > 1 || interval.channel !== '') return
  const { settings: cfg } = ctx
  const value = interval.value as number
  const power = value / ((interval.endMs - interval.startMs) / HOUR_MS)
  const registered = allowed(a)
  if (registered > 0 && power <= registered * cfg.registeredFactor) return
  let r = s.rows.get(interval.meter)
  if (r === undefined || (r.onsetMs === 0 && interval.startMs - r.lastMs > cfg.windowHours * HOUR_MS)) {
    r = { firstMs: interval.startMs, lastMs: 0, intervals: 0, sum: 0, peak: 0, days: 0, dayMs: 0, onsetMs: 0, saidMs: 0 }
    s.rows.set(interval.meter, r)
  }
  r.lastMs = Math.max(r.lastMs, interval.endMs)
  r.intervals += 1
  r.sum += value
  r.peak = Math.max(r.peak, power)
  if (interval.endMs - r.dayMs >= DAY_MS) {
    r.dayMs = interval.endMs
    r.days += 1
  }
  const step = 10 ** -(a.decimals ?? (a.kind === 'water_meter' ? 3 : 2)) * (a.multiplier ?? 1)
  if (r.onsetMs === 0 && r.intervals >= cfg.intervalsMin && r.sum >= cfg.stepsMin * step) r.onsetMs = r.firstMs
  // The next day makes it certain; after that a week's sum is news enough.
  const wait = r.days === 2 ? DAY_MS / 2 : 7 * DAY_MS
  if (r.onsetMs > 0 && interval.endMs - r.saidMs >= wait) say(interval.meter, r, null, ctx)
}

function say(id: string, r: Row, clearedAtMs: number | null, ctx: Ctx): void {
  r.saidMs = r.lastMs
  const { settings: cfg } = ctx
  const a = ctx.zone.device(id)?.asset
  const water = a?.kind === 'water_meter'
  const registered = a === undefined ? 0 : allowed(a)
  const year = (r.sum / Math.max(1, (r.lastMs - r.firstMs) / DAY_MS)) * 365
  const seen = { intervals: r.intervals, days: r.days }
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: 'reverse_flow',
    scope: { type: 'meter', id },
    onsetMs: r.onsetMs,
    clearedAtMs,
    severity: clearedAtMs === null ? 'minor' : 'warning',
    confidence: r.days > 1 ? 0.95 : 0.85,
    size: water
      ? { backM3: round(r.sum), peakM3h: round(r.peak), ...waterLoss(year, cfg) }
      : { exportKwh: round(r.sum), peakKw: round(r.peak), ...powerLoss(year, cfg) },
    affected: [id],
    reason:
      clearedAtMs !== null
        ? 'export-ended'
        : water
          ? 'water-flows-back'
          : registered > 0
            ? 'more-than-registered'
            : 'no-registered-generation',
    evidence: [
      water
        ? { what: 'backflow', m3: round(r.sum), ...seen, peakM3h: round(r.peak), since: toIso(r.firstMs) }
        : { what: 'export', kwh: round(r.sum), ...seen, peakKw: round(r.peak), registeredKwp: registered, since: toIso(r.firstMs) },
      priceEvidence(water ? 'water' : 'power', cfg),
    ],
  })
}

const round = (v: number) => Math.round(v * 1000) / 1000

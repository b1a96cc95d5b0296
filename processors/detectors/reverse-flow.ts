// Energy that flows back from a premise where no generation is registered, or more than was registered.
import { z } from 'zod'
import type { ZoneDevice } from '#model/asset.ts'
import type { Interval } from '#model/interval.ts'
import { DAY_MS, HOUR_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'

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
})
type Settings = z.infer<typeof ReverseFlowSettings>
type Ctx = DetectorContext<Settings>

/** Only meters that have exported against the rules have a row. */
interface Row {
  firstMs: number
  lastMs: number
  intervals: number
  kwh: number
  peakKw: number
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
  zoneKinds: ['feeder', 'network'],
  kinds: ['abnormal_usage'],
  version: 1,
  settings: ReverseFlowSettings,
  create: () => ({ rows: new Map(), sweepMs: 0 }),
  onZone(s, ctx) {
    for (const id of s.rows.keys()) if (ctx.zone.device(id) === undefined) s.rows.delete(id)
  },
  onInterval(s, interval, info, ctx) {
    if (interval.quantity === 'active_energy_export_kwh' && (interval.value ?? 0) > 0) exported(s, interval, info, ctx)
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

function exported(s: State, interval: Interval, info: ZoneDevice, ctx: Ctx): void {
  const a = info.asset
  if (a.kind !== 'electric_meter' || a.role !== 'customer' || interval.status !== 'actual' || interval.rev > 1 || interval.channel !== '')
    return
  const { settings: cfg } = ctx
  const kwh = interval.value as number
  const kw = kwh / ((interval.endMs - interval.startMs) / HOUR_MS)
  const registered = a.registered_generation_kwp ?? 0
  if (registered > 0 && kw <= registered * cfg.registeredFactor) return
  let r = s.rows.get(interval.meter)
  if (r === undefined || (r.onsetMs === 0 && interval.startMs - r.lastMs > cfg.windowHours * HOUR_MS)) {
    r = { firstMs: interval.startMs, lastMs: 0, intervals: 0, kwh: 0, peakKw: 0, days: 0, dayMs: 0, onsetMs: 0, saidMs: 0 }
    s.rows.set(interval.meter, r)
  }
  r.lastMs = Math.max(r.lastMs, interval.endMs)
  r.intervals += 1
  r.kwh += kwh
  r.peakKw = Math.max(r.peakKw, kw)
  if (interval.endMs - r.dayMs >= DAY_MS) {
    r.dayMs = interval.endMs
    r.days += 1
  }
  const step = 10 ** -(a.decimals ?? 2) * (a.multiplier ?? 1)
  if (r.onsetMs === 0 && r.intervals >= cfg.intervalsMin && r.kwh >= cfg.stepsMin * step) r.onsetMs = r.firstMs
  // The next day makes it certain; after that a week's sum is news enough.
  const wait = r.days === 2 ? DAY_MS / 2 : 7 * DAY_MS
  if (r.onsetMs > 0 && interval.endMs - r.saidMs >= wait) say(interval.meter, r, null, ctx)
}

function say(id: string, r: Row, clearedAtMs: number | null, ctx: Ctx): void {
  r.saidMs = r.lastMs
  const a = ctx.zone.device(id)?.asset
  const registered = a?.kind === 'electric_meter' ? (a.registered_generation_kwp ?? 0) : 0
  const perDay = r.kwh / Math.max(1, (r.lastMs - r.firstMs) / DAY_MS)
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: 'reverse_flow',
    scope: { type: 'meter', id },
    onsetMs: r.onsetMs,
    clearedAtMs,
    severity: clearedAtMs === null ? 'minor' : 'warning',
    confidence: r.days > 1 ? 0.95 : 0.85,
    size: { exportKwh: round(r.kwh), kwhYear: Math.round(perDay * 365), peakKw: round(r.peakKw) },
    affected: [id],
    reason: clearedAtMs !== null ? 'export-ended' : registered > 0 ? 'more-than-registered' : 'no-registered-generation',
    evidence: [
      {
        what: 'export',
        kwh: round(r.kwh),
        intervals: r.intervals,
        days: r.days,
        peakKw: round(r.peakKw),
        registeredKwp: registered,
        since: toIso(r.firstMs),
      },
    ],
  })
}

const round = (v: number) => Math.round(v * 100) / 100

// Much more water than usual, day after day: against the meter's own weekdays and weekends, and against what the neighbours do on the
// same days. A tap that runs on is `customer-leak`'s; this is a habit that changed, an irrigation that never ends, somebody else's use.
import { z } from 'zod'
import type { MeterDay } from '#model/interval.ts'
import { toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { carryColumn } from './power/layout.ts'
import { type Customer, type Customers, countsDay, customersOf, dayNo, dayStartMs } from './usage/customers.ts'
import { createLevels, type Levels, learnDay } from './usage/level.ts'
import { M3_PRICE, priceEvidence, waterLoss } from './usage/price.ts'
import { createRatios, peersOn, type Ratios, tellDay } from './usage/ratio.ts'

export const WaterHighUsageSettings = z.object({
  /** Days of the same kind (working day or weekend) known before anything is said. */
  historyDays: z.number().int().min(3).default(6),
  /** Whole days in a row above this multiple of the usual, by so many usual deviations, and by this much. */
  daysMin: z.number().int().min(1).default(4),
  factor: z.number().min(1).default(2.5),
  deviations: z.number().positive().default(6),
  excessM3Min: z.number().positive().default(0.4),
  /** Over after two days below this multiple; or after sixty days, when it is the new usual. */
  clearFactor: z.number().min(1).default(1.4),
  clearDays: z.number().int().min(1).default(2),
  giveUpDays: z.number().int().min(7).default(60),
  ...M3_PRICE,
})
type Settings = z.infer<typeof WaterHighUsageSettings>
type Ctx = DetectorContext<Settings>

interface Run {
  sinceNo: number
  days: number
  /** Sum of what was used and of what was usual. */
  used: number
  usual: number
  peers: number
  /** 0 until it is said. */
  onsetMs: number
  quiet: number
  seen: number
}

/** Two places by meter: working days, weekends. */
interface State extends Ratios {
  ids: string[]
  kinds: Levels
  runs: Map<string, Run>
}

export const waterHighUsage: Detector<State, Settings> = {
  name: 'water-high-usage',
  zoneKinds: ['dma', 'network'],
  kinds: ['abnormal_usage'],
  settings: WaterHighUsageSettings,
  create: (zone) => createState(customersOf(zone).ids),
  onZone(s, ctx) {
    const { ids, index } = customersOf(ctx.zone)
    const next = createState(ids)
    for (const c of ['ratio', 'ratioNo'] as const) carryColumn(s.ids, s[c], ids, next[c])
    for (const c of ['level', 'deviation', 'days'] as const) carryColumn(s.ids, s.kinds[c], ids, next.kinds[c], 2)
    for (const [id, r] of s.runs) if (index.has(id)) next.runs.set(id, r)
    Object.assign(s, next, { whole: s.whole })
  },
  onDay(s, day, _info, ctx) {
    const customers = customersOf(ctx.zone)
    const i = customers.index.get(day.meter)
    if (i === undefined) return
    const c = customers.list[i] as Customer
    if (c.commodity === 'water' && countsDay(day, c)) follow(s, i, { c, customers, day }, ctx)
  },
}

function createState(ids: string[]): State {
  return { ...createRatios(ids.length), ids, kinds: createLevels(ids.length * 2), runs: new Map() }
}

function follow(s: State, i: number, at: { c: Customer; customers: Customers; day: MeterDay }, ctx: Ctx): void {
  const { c, customers, day } = at
  const { settings: cfg } = ctx
  const no = dayNo(day.date)
  const weekday = (((no + 4) % 7) + 7) % 7
  const k = i * 2 + (weekday === 0 || weekday === 6 ? 1 : 0)
  const level = s.kinds.level[k] as number
  tellDay(s, i, customers, { no, value: day.value, level })
  const run = s.runs.get(c.id)
  if ((s.kinds.days[k] as number) < cfg.historyDays) {
    learnDay(s.kinds, k, day.value)
    return
  }
  // What the neighbours use more is weather; what they use less excuses nothing.
  const peers = Math.max(1, peersOn(s, customers, 'water', no))
  const usual = level * peers
  if (run !== undefined && run.onsetMs > 0) {
    goesOn(s, { c, run, no, value: day.value, usual, k }, ctx)
    return
  }
  const limit = Math.max(usual * cfg.factor, usual + cfg.deviations * (s.kinds.deviation[k] as number), usual + cfg.excessM3Min)
  if (day.value <= limit) {
    s.runs.delete(c.id)
    learnDay(s.kinds, k, day.value)
    return
  }
  const next = run ?? { sinceNo: no, days: 0, used: 0, usual: 0, peers: 1, onsetMs: 0, quiet: 0, seen: 0 }
  s.runs.set(c.id, next)
  next.days += 1
  next.used += day.value
  next.usual += usual
  next.peers = peers
  if (next.days < cfg.daysMin || ctx.warmingUp) return
  next.onsetMs = dayStartMs(ctx.zone.def.timezone, next.sinceNo)
  say(c, next, { clearedAtMs: null, reason: 'days-above-usual' }, ctx)
}

function goesOn(s: State, at: { c: Customer; run: Run; no: number; value: number; usual: number; k: number }, ctx: Ctx): void {
  const { c, run, no } = at
  const { settings: cfg } = ctx
  run.seen += 1
  run.quiet = at.value < at.usual * cfg.clearFactor ? run.quiet + 1 : 0
  if (run.quiet === 0) {
    run.days += 1
    run.used += at.value
    run.usual += at.usual
  }
  const stale = run.seen >= cfg.giveUpDays
  if (run.quiet < cfg.clearDays && !stale) return
  say(c, run, { clearedAtMs: dayStartMs(ctx.zone.def.timezone, no - run.quiet + 1), reason: stale ? 'new-usual' : 'back-to-usual' }, ctx)
  s.runs.delete(c.id)
  learnDay(s.kinds, at.k, at.value)
}

function say(c: Customer, r: Run, how: { clearedAtMs: number | null; reason: string }, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const round = (v: number) => Math.round(v * 1000) / 1000
  const excess = Math.max(0, r.used - r.usual) / r.days
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: 'high_usage',
    scope: { type: 'meter', id: c.id },
    onsetMs: r.onsetMs,
    clearedAtMs: how.clearedAtMs,
    severity: how.clearedAtMs === null ? 'minor' : 'warning',
    confidence: 0.7,
    affected: [c.id],
    size: { excessM3Day: round(excess), timesUsual: Math.round((100 * r.used) / r.usual) / 100, ...waterLoss(excess * 365, cfg) },
    reason: how.reason,
    evidence: [
      { what: 'usual', m3Day: round(r.usual / r.days), neighbours: round(r.peers) },
      { what: 'since', at: toIso(r.onsetMs), m3Day: round(r.used / r.days), days: r.days },
      priceEvidence('water', cfg),
    ],
  })
}

// Nothing is used where somebody is a customer: a register that is read and stands still for much longer than it ever did, with no outage
// and no holiday to explain it. A main switch is seldom off for three weeks in a home, for four days in a business; where somebody
// vulnerable lives, three days are worth a call. Power without a totalising meter above is left to `stuck-register`, which is quicker.
import { z } from 'zod'
import type { Segment } from '#model/asset.ts'
import type { MeterDay } from '#model/interval.ts'
import { DAY_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { carryColumn } from './power/layout.ts'
import { type Customer, countsDay, customersOf, dayNo, dayStartMs, isMainDay, markedDay } from './usage/customers.ts'
import { createLevels, type Levels, learnDay } from './usage/level.ts'
import { KWH_PRICE, M3_PRICE, powerLoss, priceEvidence, waterLoss } from './usage/price.ts'

export const ZeroUsageSettings = z.object({
  /** Days with use before anything is said. */
  historyDays: z.number().int().min(3).default(14),
  /** Days without use, by segment: a long holiday, a long weekend, a day in which somebody should have been heard. */
  daysGeneral: z.number().int().min(1).default(21),
  daysBusiness: z.number().int().min(1).default(4),
  daysVulnerable: z.number().int().min(1).default(3),
  /** And so many times the longest stand-still so far. */
  factor: z.number().min(1).default(3),
  ...KWH_PRICE,
  ...M3_PRICE,
})
type Settings = z.infer<typeof ZeroUsageSettings>
type Ctx = DetectorContext<Settings>

interface State extends Levels {
  ids: string[]
  /** Days without use: now, and the most that ever came before use. */
  run: Uint16Array
  longest: Uint16Array
  sinceNo: Int32Array
  lastNo: Int32Array
  outageNo: Int32Array
  /** Days from and to which validation holds the register for stuck: it estimates them, but what was read did not move. */
  stillFrom: Int32Array
  stillTo: Int32Array
  /** Meter -> onset of its open finding. */
  open: Map<string, number>
}

const COLUMNS = ['level', 'deviation', 'days', 'run', 'longest', 'sinceNo', 'lastNo', 'outageNo', 'stillFrom', 'stillTo'] as const

export const zeroUsage: Detector<State, Settings> = {
  name: 'zero-usage',
  zoneKinds: ['dma', 'feeder', 'network'],
  kinds: ['abnormal_usage'],
  version: 1,
  settings: ZeroUsageSettings,
  create: (zone) => createState(customersOf(zone).ids),
  onZone(s, ctx) {
    const { ids, index } = customersOf(ctx.zone)
    const next = createState(ids)
    for (const c of COLUMNS) carryColumn(s.ids, s[c], ids, next[c])
    for (const [id, ms] of s.open) if (index.has(id)) next.open.set(id, ms)
    Object.assign(s, next)
  },
  onInterval(s, interval, _info, ctx) {
    if (interval.reasons.length === 0) return
    const { timezone } = ctx.zone.def
    const outage = markedDay(interval, 'outage', timezone)
    const still = outage === undefined ? markedDay(interval, 'stuck_register', timezone) : undefined
    if (outage === undefined && still === undefined) return
    const i = customersOf(ctx.zone).index.get(interval.meter)
    if (i === undefined) return
    if (outage !== undefined) s.outageNo[i] = outage
    if (still !== undefined) standsStill(s, i, still)
  },
  onDay(s, day, _info, ctx) {
    const customers = customersOf(ctx.zone)
    const i = customers.index.get(day.meter)
    if (i !== undefined) follow(s, i, customers.list[i] as Customer, day, ctx)
  },
}

function createState(ids: string[]): State {
  const n = ids.length
  return {
    ...createLevels(n),
    ids,
    run: new Uint16Array(n),
    longest: new Uint16Array(n),
    sinceNo: new Int32Array(n),
    lastNo: new Int32Array(n),
    outageNo: new Int32Array(n),
    stillFrom: new Int32Array(n),
    stillTo: new Int32Array(n),
    open: new Map(),
  }
}

function standsStill(s: State, i: number, no: number): void {
  if (no > (s.stillTo[i] as number) + 1) s.stillFrom[i] = no
  s.stillFrom[i] = Math.min(s.stillFrom[i] as number, no)
  s.stillTo[i] = Math.max(s.stillTo[i] as number, no)
}

function follow(s: State, i: number, c: Customer, day: MeterDay, ctx: Ctx): void {
  const no = dayNo(day.date)
  const still = no >= (s.stillFrom[i] as number) && no <= (s.stillTo[i] as number) && isMainDay(day, c) && day.actual === 0
  if (!still && !countsDay(day, c)) return
  if (no <= (s.lastNo[i] as number)) return
  s.lastNo[i] = no
  if (s.outageNo[i] === no) return
  if (!still && day.value >= c.step / 2) {
    const onset = s.open.get(c.id)
    if (onset !== undefined) {
      s.open.delete(c.id)
      say(s, i, c, { onsetMs: onset, clearedAtMs: dayStartMs(ctx.zone.def.timezone, no), reason: 'used-again', limit: 0 }, ctx)
    }
    s.longest[i] = Math.max(s.longest[i] as number, s.run[i] as number)
    s.run[i] = 0
    learnDay(s, i, day.value)
    return
  }
  if (s.run[i] === 0) s.sinceNo[i] = no
  s.run[i] = Math.min(65_535, (s.run[i] as number) + 1)
  if (s.open.has(c.id) || ctx.warmingUp || (c.commodity === 'power' && !c.totalised)) return
  const limit = Math.max(daysOf(c.segment, ctx.settings), ctx.settings.factor * (s.longest[i] as number))
  if ((s.days[i] as number) < ctx.settings.historyDays || (s.run[i] as number) - holidays(s, i, no, ctx) < limit) return
  const onsetMs = dayStartMs(ctx.zone.def.timezone, s.sinceNo[i] as number)
  s.open.set(c.id, onsetMs)
  say(s, i, c, { onsetMs, clearedAtMs: null, reason: 'no-use-for-long', limit }, ctx)
}

function daysOf(segment: Segment, cfg: Settings): number {
  if (segment === 'vulnerable') return cfg.daysVulnerable
  return segment === 'general' ? cfg.daysGeneral : cfg.daysBusiness
}

/** Days of the stand-still that were holidays. */
function holidays(s: State, i: number, no: number, ctx: Ctx): number {
  const fromMs = (s.sinceNo[i] as number) * DAY_MS
  const toMs = (no + 1) * DAY_MS
  let days = 0
  for (const o of ctx.operations) {
    if (o.kind === 'holiday') days += Math.max(0, Math.min(toMs, o.endMs) - Math.max(fromMs, o.startMs)) / DAY_MS
  }
  return Math.ceil(days)
}

function say(
  s: State,
  i: number,
  c: Customer,
  how: { onsetMs: number; clearedAtMs: number | null; reason: string; limit: number },
  ctx: Ctx,
): void {
  const { settings: cfg } = ctx
  const year = (s.level[i] as number) * 365
  const usual = Math.round((s.level[i] as number) * 1000) / 1000
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: 'zero_usage',
    scope: { type: 'meter', id: c.id },
    onsetMs: how.onsetMs,
    clearedAtMs: how.clearedAtMs,
    severity: how.clearedAtMs === null && c.segment === 'vulnerable' ? 'major' : 'warning',
    confidence: c.segment === 'general' ? 0.5 : 0.7,
    affected: [c.id],
    size: c.commodity === 'water' ? waterLoss(year, cfg) : powerLoss(year, cfg),
    reason: how.reason,
    evidence: [
      { what: 'no-use', since: toIso(how.onsetMs), days: s.run[i] as number, longestBefore: s.longest[i] as number, neededDays: how.limit },
      { what: 'usual', ...(c.commodity === 'water' ? { m3Day: usual } : { kwhDay: usual }), segment: c.segment },
      priceEvidence(c.commodity, cfg),
    ],
  })
}

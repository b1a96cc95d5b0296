// A cover opened, a magnet, a tampering alarm, and less use from then on. Either alone is nothing: batteries are changed, families travel.
// Together, with the neighbours unchanged, they are worth a visit. It needs no totalising meter; where one stands, `bypass` says how much.
import { z } from 'zod'
import type { MeterDay } from '#model/interval.ts'
import { DAY_MS, localDate, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { carryColumn } from './power/layout.ts'
import { type Customer, type Customers, countsDay, customersOf, dayNo, dayStartMs } from './usage/customers.ts'
import { createLevels, type Levels, learnDay } from './usage/level.ts'
import { KWH_PRICE, M3_PRICE, powerLoss, priceEvidence, waterLoss } from './usage/price.ts'
import { createRatios, peersOn, type Ratios, tellDay } from './usage/ratio.ts'

export const TamperSettings = z.object({
  historyDays: z.number().int().min(3).default(10),
  /** Whole days after the event below (1 - dropShare) of the usual, and of the usual less so many deviations. */
  daysMin: z.number().int().min(1).default(2),
  dropShare: z.number().min(0).max(1).default(0.4),
  deviations: z.number().positive().default(2),
  /** A drop that begins later has nothing to do with the event. */
  watchDays: z.number().int().min(1).default(10),
  /** Over when so many days in a row are back above this share of the usual. */
  clearDays: z.number().int().min(1).default(3),
  clearShare: z.number().min(0).max(1).default(0.8),
  ...KWH_PRICE,
  ...M3_PRICE,
})
type Settings = z.infer<typeof TamperSettings>
type Ctx = DetectorContext<Settings>

/** Meters with an event lately. */
interface Watch {
  eventMs: number
  eventNo: number
  event: string
  /** Days of the drop so far: use, and what the usual would have been. */
  days: number
  used: number
  expected: number
  /** 0 until it is said. */
  onsetMs: number
  back: number
}

interface State extends Levels, Ratios {
  ids: string[]
  outageNo: Int32Array
  watch: Map<string, Watch>
}

const COLUMNS = ['level', 'deviation', 'days', 'ratio', 'ratioNo', 'outageNo'] as const
const EVENTS = new Set(['tamper', 'cover_open'])

export const tamper: Detector<State, Settings> = {
  name: 'tamper',
  zoneKinds: ['dma', 'feeder', 'network'],
  kinds: ['abnormal_usage'],
  settings: TamperSettings,
  create: (zone) => createState(customersOf(zone).ids),
  onZone(s, ctx) {
    const { ids, index } = customersOf(ctx.zone)
    const next = createState(ids)
    for (const c of COLUMNS) carryColumn(s.ids, s[c], ids, next[c])
    for (const [id, w] of s.watch) if (index.has(id)) next.watch.set(id, w)
    Object.assign(s, next, { whole: s.whole })
  },
  onEvent(s, event, _info, ctx) {
    if (event.event === 'power_lost' && s.watch.size > 0) {
      const i = customersOf(ctx.zone).index.get(event.device)
      if (i !== undefined) s.outageNo[i] = dayNo(localDate(ctx.zone.def.timezone, event.tsMs))
    }
    if (!EVENTS.has(event.event) || !customersOf(ctx.zone).index.has(event.device) || s.watch.has(event.device)) return
    const no = dayNo(localDate(ctx.zone.def.timezone, event.tsMs))
    s.watch.set(event.device, { eventMs: event.tsMs, eventNo: no, event: event.event, days: 0, used: 0, expected: 0, onsetMs: 0, back: 0 })
  },
  onDay(s, day, _info, ctx) {
    const customers = customersOf(ctx.zone)
    const i = customers.index.get(day.meter)
    if (i === undefined) return
    const c = customers.list[i] as Customer
    if (!countsDay(day, c)) return
    const no = dayNo(day.date)
    tellDay(s, i, customers, { no, value: day.value, level: s.level[i] as number })
    const w = s.watch.get(c.id)
    // Days after the event never become the usual while it is watched.
    if (w === undefined || no <= w.eventNo) learnDay(s, i, day.value)
    else judge(s, i, { c, customers, w, day, no }, ctx)
  },
}

function createState(ids: string[]): State {
  const n = ids.length
  return { ...createLevels(n), ...createRatios(n), ids, outageNo: new Int32Array(n), watch: new Map() }
}

function judge(s: State, i: number, at: { c: Customer; customers: Customers; w: Watch; day: MeterDay; no: number }, ctx: Ctx): void {
  const { c, customers, w, day, no } = at
  const { settings: cfg } = ctx
  if (s.outageNo[i] === no) return
  const peers = peersOn(s, customers, c.commodity, no)
  const expected = (s.level[i] as number) * peers
  if (w.onsetMs > 0) {
    w.back = day.value >= cfg.clearShare * expected ? w.back + 1 : 0
    if (w.back < cfg.clearDays) return
    say(
      c,
      w,
      { clearedAtMs: dayStartMs(ctx.zone.def.timezone, no - cfg.clearDays + 1), reason: 'use-is-back', level: s.level[i] as number },
      ctx,
    )
    s.watch.delete(c.id)
    return
  }
  const limit = Math.min((1 - cfg.dropShare) * expected, expected - cfg.deviations * (s.deviation[i] as number))
  if (day.value >= limit || (s.days[i] as number) < cfg.historyDays) {
    w.days = 0
    w.used = 0
    w.expected = 0
    if (no - w.eventNo >= cfg.watchDays) s.watch.delete(c.id)
    return
  }
  w.days += 1
  w.used += day.value
  w.expected += expected
  if (w.days < cfg.daysMin || ctx.warmingUp) return
  w.onsetMs = w.eventMs
  say(c, w, { clearedAtMs: null, reason: 'drop-after-tampering', level: s.level[i] as number }, ctx)
}

function say(c: Customer, w: Watch, how: { clearedAtMs: number | null; reason: string; level: number }, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const missing = Math.max(0, w.expected - w.used) / Math.max(1, w.days)
  const round = (v: number) => Math.round(v * 1000) / 1000
  const unit = c.commodity === 'water' ? 'm3Day' : 'kwhDay'
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: 'tamper',
    scope: { type: 'meter', id: c.id },
    onsetMs: w.onsetMs,
    clearedAtMs: how.clearedAtMs,
    severity: how.clearedAtMs === null ? 'major' : 'warning',
    confidence: 0.75,
    affected: [c.id],
    size: c.commodity === 'water' ? waterLoss(missing * 365, cfg) : powerLoss(missing * 365, cfg),
    reason: how.reason,
    evidence: [
      { what: 'event', event: w.event, at: toIso(w.eventMs) },
      {
        what: 'drop',
        days: w.days,
        [`${unit}Before`]: round(how.level),
        [`${unit}Expected`]: round(w.expected / Math.max(1, w.days)),
        [`${unit}Now`]: round(w.used / Math.max(1, w.days)),
      },
      { what: 'watched', until: toIso(w.eventMs + cfg.watchDays * DAY_MS) },
      priceEvidence(c.commodity, cfg),
    ],
  })
}

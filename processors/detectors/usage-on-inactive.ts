// Use where nobody has a contract: a customer meter without an account, or one that the registry calls inactive, counts day after day.
// Where most meters of a zone have no account the registry simply does not hold accounts, and only `status` counts.
import { z } from 'zod'
import type { MeterDay } from '#model/interval.ts'
import { DAY_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { type Customer, type Customers, countsDay, customersOf, dayNo, dayStartMs, markedDay } from './usage/customers.ts'
import { KWH_PRICE, M3_PRICE, powerLoss, priceEvidence, waterLoss } from './usage/price.ts'

export const UsageOnInactiveSettings = z.object({
  /** Days with use within the window before it is said: one day may be a test of the installation. */
  daysMin: z.number().int().min(1).default(2),
  windowDays: z.number().int().min(1).default(4),
  /** Use of a day that counts, and in steps of the register. */
  kwhMin: z.number().positive().default(0.3),
  m3Min: z.number().positive().default(0.02),
  stepsMin: z.number().positive().default(3),
  /** Over after so many days without. */
  clearDays: z.number().int().min(1).default(7),
  /** Share of the zone's meters that must have an account for a missing one to mean anything. */
  accountShareMin: z.number().min(0).max(1).default(0.5),
  ...KWH_PRICE,
  ...M3_PRICE,
})
type Settings = z.infer<typeof UsageOnInactiveSettings>
type Ctx = DetectorContext<Settings>

/** Only meters without a contract that count have a row. */
interface Row {
  firstNo: number
  lastNo: number
  /** Days with use, and their sum. */
  days: number
  sum: number
  quiet: number
  seenNo: number
  outageNo: number
  onsetMs: number
  saidDays: number
}

interface State {
  rows: Map<string, Row>
}

export const usageOnInactive: Detector<State, Settings> = {
  name: 'usage-on-inactive',
  zoneKinds: ['dma', 'feeder', 'network'],
  kinds: ['abnormal_usage'],
  settings: UsageOnInactiveSettings,
  create: () => ({ rows: new Map() }),
  onZone(s, ctx) {
    const customers = customersOf(ctx.zone)
    for (const [id, r] of s.rows) {
      const i = customers.index.get(id)
      const c = i === undefined ? undefined : (customers.list[i] as Customer)
      if (c !== undefined && inactive(c, customers, ctx.settings)) continue
      if (c !== undefined && r.onsetMs > 0) say(c, r, { clearedAtMs: ctx.nowMs, reason: 'contract-begun' }, ctx)
      s.rows.delete(id)
    }
  },
  onInterval(s, interval, _info, ctx) {
    if (interval.reasons.length === 0 || s.rows.size === 0) return
    const r = s.rows.get(interval.meter)
    if (r !== undefined) r.outageNo = markedDay(interval, 'outage', ctx.zone.def.timezone) ?? r.outageNo
  },
  onDay(s, day, _info, ctx) {
    const customers = customersOf(ctx.zone)
    const i = customers.index.get(day.meter)
    if (i === undefined) return
    const c = customers.list[i] as Customer
    if (inactive(c, customers, ctx.settings) && countsDay(day, c)) count(s, c, day, ctx)
  },
}

function inactive(c: Customer, all: Customers, cfg: Settings): boolean {
  return c.closed || (c.account === '' && all.accountShare >= cfg.accountShareMin)
}

function count(s: State, c: Customer, day: MeterDay, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const no = dayNo(day.date)
  const used = day.value >= Math.max(c.commodity === 'water' ? cfg.m3Min : cfg.kwhMin, cfg.stepsMin * c.step)
  let r = s.rows.get(c.id)
  if (r === undefined || (r.onsetMs === 0 && no - r.firstNo >= cfg.windowDays)) {
    if (!used) {
      s.rows.delete(c.id)
      return
    }
    r = { firstNo: no, lastNo: no, days: 0, sum: 0, quiet: 0, seenNo: no - 1, outageNo: 0, onsetMs: 0, saidDays: 0 }
    s.rows.set(c.id, r)
  }
  if (no <= r.seenNo) return
  r.seenNo = no
  if (!used) {
    // A day in an outage says nothing.
    if (r.outageNo !== no) r.quiet += 1
    if (r.onsetMs > 0 && r.quiet >= cfg.clearDays) {
      say(c, r, { clearedAtMs: dayStartMs(ctx.zone.def.timezone, r.lastNo + 1), reason: 'no-use-any-more' }, ctx)
      s.rows.delete(c.id)
    }
    return
  }
  r.quiet = 0
  r.lastNo = no
  r.days += 1
  r.sum += day.value
  if (ctx.warmingUp) return
  if (r.onsetMs === 0 && r.days >= cfg.daysMin) r.onsetMs = dayStartMs(ctx.zone.def.timezone, r.firstNo)
  // After the first word, a week's sum is news enough.
  if (r.onsetMs > 0 && (r.saidDays === 0 || r.days - r.saidDays >= 7))
    say(c, r, { clearedAtMs: null, reason: c.closed ? 'contract-ended' : 'no-contract' }, ctx)
}

function say(c: Customer, r: Row, how: { clearedAtMs: number | null; reason: string }, ctx: Ctx): void {
  r.saidDays = r.days
  const { settings: cfg } = ctx
  const perDay = r.sum / Math.max(1, r.lastNo - r.firstNo + 1)
  const sum = Math.round(r.sum * 1000) / 1000
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: 'usage_on_inactive',
    scope: { type: 'meter', id: c.id },
    onsetMs: r.onsetMs,
    clearedAtMs: how.clearedAtMs,
    severity: how.clearedAtMs === null ? 'minor' : 'warning',
    confidence: r.days >= 3 ? 0.95 : 0.85,
    affected: [c.id],
    size: c.commodity === 'water' ? waterLoss(perDay * 365, cfg) : powerLoss(perDay * 365, cfg),
    reason: how.reason,
    evidence: [
      {
        what: 'use-without-contract',
        ...(c.commodity === 'water' ? { m3: sum } : { kwh: sum }),
        days: r.days,
        since: toIso(r.onsetMs),
        until: toIso(dayStartMs(ctx.zone.def.timezone, r.lastNo) + DAY_MS),
      },
      priceEvidence(c.commodity, cfg),
    ],
  })
}

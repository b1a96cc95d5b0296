// Energy that goes into a transformer and does not come out of its meters: the balance of the totalising meter against the customers,
// after the technical loss. It says that something is taken, or measured wrongly; who, is for other detectors.
import { z } from 'zod'
import type { Evidence } from '#model/finding.ts'
import { DAY_MS, localDay, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { addInterval, type Balance, type Compared, compareDue, createBalance, isDue } from './power/balance.ts'
import { layoutOf } from './power/layout.ts'
import {
  closeCluster,
  createMisplaced,
  followLoads,
  type Misplaced,
  noteGasp,
  type Proposal,
  proposeByBalance,
  resetMisplaced,
} from './power/misplaced.ts'

export const LineLossSettings = z.object({
  /** Unexplained share of the supplied energy (technical loss is 1 to 4 % and already taken off). */
  shareMin: z.number().positive().default(0.05),
  /** ... and at least so many of its usual daily deviations. */
  sigmas: z.number().positive().default(4),
  /** ... and so much energy a day, kWh. */
  dailyKwhMin: z.number().nonnegative().default(1),
  /** For so many days in a row. */
  days: z.number().int().min(1).default(3),
  /** Ends after so many days below half of it. */
  clearDays: z.number().int().min(1).default(2),
  /** A day counts when this share of its intervals could be compared. */
  coverageMin: z.number().min(0).max(1).default(0.5),
})
type Settings = z.infer<typeof LineLossSettings>
type Ctx = DetectorContext<Settings>

/** One transformer. Times epoch ms, energies kWh. */
interface Row {
  dayStartMs: number
  dayEndMs: number
  unexplained: number
  supplied: number
  technical: number
  hours: number
  usualKwh: number
  quietDays: number
  above: number
  below: number
  firstMs: number
  onsetMs: number
  saidMs: number
  meanKwh: number
}

interface Proposed {
  onsetMs: number
  own: string
  likely: string
}

interface State {
  balance: Balance
  rows: Map<string, Row>
  misplaced: Misplaced
  /** Meter -> what was proposed for it. */
  proposed: Map<string, Proposed>
  /** When proposals were last looked for. */
  askedMs: number
}

export const lineLoss: Detector<State, Settings> = {
  name: 'line-loss',
  zoneKinds: ['feeder'],
  kinds: ['line_loss'],
  version: 2,
  settings: LineLossSettings,
  create: (zone) => ({
    balance: createBalance(zone, true),
    rows: new Map(),
    misplaced: createMisplaced(),
    proposed: new Map(),
    askedMs: 0,
  }),
  onZone(s, ctx) {
    s.balance = createBalance(ctx.zone, true, s.balance)
    resetMisplaced(s.misplaced, layoutOf(ctx.zone))
    endProposals(s, ctx)
    const now = new Set(s.balance.transformers)
    for (const id of s.rows.keys()) if (!now.has(id)) s.rows.delete(id)
  },
  onInterval: (s, interval, _info, ctx) => addInterval(s.balance, ctx.zone, interval),
  onEvent(s, event, info, ctx) {
    if (event.event !== 'power_lost') return
    const layout = layoutOf(ctx.zone)
    const i = layout.index.get(info.asset.id)
    // A gasp that came late, or from the future, dates no common fault.
    if (i !== undefined && Math.abs(event.receivedAtMs - event.tsMs) <= GASP_LAG_MS) noteGasp(s.misplaced, layout, i, event.tsMs)
  },
  onTick(s, _tick, ctx) {
    for (const p of closeCluster(s.misplaced, layoutOf(ctx.zone), ctx.nowMs)) propose(s, p, ctx)
    if (!isDue(s.balance, ctx.nowMs)) return
    const round: Compared[] = []
    compareDue(s.balance, ctx.zone, ctx.nowMs, (c) => {
      take(s, c, ctx)
      round.push(c)
    })
    const layout = layoutOf(ctx.zone)
    followLoads(s.misplaced, layout, round)
    if (ctx.nowMs - s.askedMs < DAY_MS) return
    s.askedMs = ctx.nowMs
    for (const t of layout.transformers.keys()) {
      const p = proposeByBalance(s.misplaced, layout, t)
      if (p !== undefined) propose(s, p, ctx)
    }
  },
}

/** Gasps are delivered within two minutes. */
const GASP_LAG_MS = 120_000

/** The registry has the meter at one transformer, and it behaves as if it hung at another: proposed once, by each sign. */
function propose(s: State, p: Proposal, ctx: Ctx): void {
  const layout = layoutOf(ctx.zone)
  const id = layout.ids[p.meter] as string
  const own = layout.transformers[layout.transformer[p.meter] as number]?.id ?? ''
  const likely = layout.transformers[p.transformer]?.id as string
  if (s.proposed.get(id)?.likely === likely) return
  const onsetMs = ctx.nowMs
  s.proposed.set(id, { onsetMs, own, likely })
  // Losses that it explains are said again at the end of their day.
  for (const t of [own, likely]) {
    const r = s.rows.get(t)
    if (r !== undefined) r.saidMs = 0
  }
  ctx.emit({
    kind: 'line_loss',
    subtype: 'wrong_transformer',
    scope: { type: 'meter', id },
    onsetMs,
    severity: 'warning',
    confidence: p.confidence,
    affected: [id],
    candidates: [{ id: likely, type: 'transformer', score: p.confidence }],
    reason: p.by === 'balance' ? 'load-belongs-elsewhere' : 'loses-supply-elsewhere',
    evidence: [{ what: 'registered-at', transformer: own }, p.evidence as Evidence],
  })
}

/** The registry was changed: proposals that were followed, or overtaken by another correction, are over. */
function endProposals(s: State, ctx: Ctx): void {
  const layout = layoutOf(ctx.zone)
  for (const [id, p] of s.proposed) {
    const i = layout.index.get(id)
    const now = i === undefined ? undefined : (layout.transformers[layout.transformer[i] as number]?.id ?? '')
    if (now === p.own) continue
    s.proposed.delete(id)
    ctx.emit({
      kind: 'line_loss',
      subtype: 'wrong_transformer',
      scope: { type: 'meter', id },
      onsetMs: p.onsetMs,
      clearedAtMs: ctx.nowMs,
      severity: 'warning',
      confidence: 0.5,
      affected: [id],
      reason: 'registry-changed',
      evidence: [{ what: 'registered-at', transformer: now ?? null }],
    })
  }
}

function take(s: State, c: Compared, ctx: Ctx): void {
  if (!c.learnt) return
  const id = s.balance.transformers[c.t] as string
  let r = s.rows.get(id)
  if (r === undefined) {
    r = {
      dayStartMs: 0,
      dayEndMs: 0,
      unexplained: 0,
      supplied: 0,
      technical: 0,
      hours: 0,
      usualKwh: 0,
      quietDays: 0,
      above: 0,
      below: 0,
      firstMs: 0,
      onsetMs: 0,
      saidMs: 0,
      meanKwh: 0,
    }
    s.rows.set(id, r)
  }
  // An interval that ends at midnight belongs to the day before.
  if (c.endMs > r.dayEndMs) {
    if (r.dayEndMs > 0) endOfDay(s, r, id, ctx)
    const day = localDay(ctx.zone.def.timezone, c.endMs - 1)
    r.dayStartMs = day.startMs
    r.dayEndMs = day.endMs
    r.unexplained = 0
    r.supplied = 0
    r.technical = 0
    r.hours = 0
  } else if (c.endMs <= r.dayStartMs) return
  r.unexplained += c.unexplainedKw * c.hours
  r.supplied += c.checkKw * c.hours
  r.technical += c.technicalKw * c.hours
  r.hours += c.hours
}

function endOfDay(s: State, r: Row, id: string, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const dayHours = (r.dayEndMs - r.dayStartMs) / 3_600_000
  if (r.hours < dayHours * cfg.coverageMin) return
  const scale = dayHours / r.hours
  const kwh = r.unexplained * scale
  const supplied = Math.abs(r.supplied) * scale
  const limit = Math.max(cfg.shareMin * supplied, cfg.sigmas * r.usualKwh, cfg.dailyKwhMin)
  if (Math.abs(kwh) >= limit) {
    if (r.above === 0) {
      r.firstMs = r.dayStartMs
      r.meanKwh = kwh
    } else r.meanKwh += (kwh - r.meanKwh) / (r.above + 1)
    r.above += 1
    r.below = 0
  } else {
    if (Math.abs(kwh) < limit / 2 || r.onsetMs === 0) r.below += 1
    if (r.below >= cfg.clearDays || r.onsetMs === 0) r.above = 0
    // The usual deviation is learnt from quiet days only.
    if (r.onsetMs === 0) {
      r.quietDays += 1
      r.usualKwh += (Math.abs(kwh) - r.usualKwh) / Math.min(r.quietDays, 14)
    }
  }
  if (r.onsetMs === 0 && r.above >= cfg.days) r.onsetMs = r.firstMs
  if (r.onsetMs === 0) return
  // Said when found, every week, and at the end.
  const cleared = r.below >= cfg.clearDays
  if (!cleared && r.saidMs > 0 && r.dayEndMs - r.saidMs < 7 * DAY_MS) return
  r.saidMs = r.dayEndMs
  say(s, r, id, { kwh, supplied, limit, technical: r.technical * scale, cleared }, ctx)
  if (!cleared) return
  r.onsetMs = 0
  r.saidMs = 0
  r.above = 0
  r.below = 0
}

function say(
  s: State,
  r: Row,
  id: string,
  day: { kwh: number; supplied: number; limit: number; technical: number; cleared: boolean },
  ctx: Ctx,
): void {
  const { settings: cfg } = ctx
  const { cleared } = day
  const lost = r.meanKwh > 0
  const explains = [...s.proposed].filter(([, p]) => p.own === id || p.likely === id)
  ctx.emit({
    kind: 'line_loss',
    scope: { type: 'transformer', id },
    onsetMs: r.onsetMs,
    clearedAtMs: cleared ? r.dayEndMs - cfg.clearDays * DAY_MS : null,
    severity: cleared ? 'warning' : 'minor',
    confidence: r.above >= 2 * cfg.days ? 0.9 : 0.8,
    size: {
      kwhDay: round(r.meanKwh),
      kwhYear: Math.round(r.meanKwh * 365),
      sharePct: round((100 * day.kwh) / Math.max(1e-6, day.supplied)),
    },
    reason: cleared ? 'balance-closed' : lost ? 'unexplained-loss' : 'customers-exceed-supply',
    evidence: [
      {
        what: 'balance',
        day: toIso(r.dayStartMs),
        suppliedKwh: round(day.supplied),
        technicalKwh: round(day.technical),
        unexplainedKwh: round(day.kwh),
        comparedHours: round(r.hours),
      },
      {
        what: 'limit',
        kwh: round(day.limit),
        usualDeviationKwh: round(r.usualKwh),
        days: r.above,
        meters: layoutOf(ctx.zone).transformers.find((t) => t.id === id)?.customers.length ?? 0,
      },
      ...explains.map(([meter, p]) => ({ what: 'explained-by-meter', meter, registeredAt: p.own, likelyAt: p.likely })),
    ],
  })
}

const round = (v: number) => Math.round(v * 100) / 100

// Theft, faults and waste from consumption itself: bypass, stuck register, high usage, export that nobody registered.
// Judged once a day, half a day after it ended, when late reads are in; export as it comes. Estimated intervals neither trigger nor clear.

import { z } from 'zod'
import type { AssetOf } from '#model/asset.ts'
import type { Evidence, FindingDraft } from '#model/finding.ts'
import type { Interval } from '#model/interval.ts'
import { HOUR_MS } from '#model/time.ts'
import type { Detector, DetectorContext, ZoneContext } from '../fold.ts'
import { median } from '../statistics/robust.ts'
import { type Balance, closeBalanceDay, createBalance, type DayVerdict, fade, put } from './usage/balance.ts'
import { addImport, type Calendar, closeDay, createBook, dayOf, type MeterBook, usualOf } from './usage/book.ts'
import {
  bypassByBalance,
  bypassByShape,
  type Claim,
  highUsage,
  stuckRegister,
  type UsageSettings,
  unregisteredExport,
} from './usage/rules.ts'

/** A day is judged when its slots have left the balance's ring: 12 h, and one for the reads to come in. */
const JUDGE_AFTER_MS = 13 * HOUR_MS
/** An open finding ends when this many judged days in a row no longer show it. */
const CLEAR_DAYS = 3
const EXPORT_QUIET_MS = 14 * 24 * HOUR_MS

const settings = z.object({
  baselineDaysMin: z.number().int().min(3).default(5).describe('Days of history before a meter is judged'),
  bypassDays: z.number().int().min(3).default(6).describe('Days of a lasting drop, where there is no totalising meter'),
  bypassCorrelationMin: z.number().min(0.3).max(1).default(0.7).describe('Correlation of the loss with the meter'),
  bypassRatioMax: z
    .number()
    .min(0.1)
    .max(0.9)
    .default(0.6)
    .describe('Share of the usual use below which a drop counts, without a totalising meter'),
  highDays: z.number().int().min(1).default(2),
  highFactor: z.number().min(1).default(1.6).describe('Above this multiple of what nine of ten days showed'),
  highKwhMin: z.number().min(0).default(10).describe('and by at least so many kWh a day'),
  exportKwhMin: z.number().min(0).default(0.1),
  exportIntervalsMin: z.number().int().min(1).default(3),
})

type Subtype = 'bypass' | 'stuck_register' | 'high_usage' | 'reverse_flow'

interface OpenClaim {
  draft: FindingDraft
  quietDays: number
}

export interface AbnormalUsageState {
  calendar: Calendar
  meters: Map<string, MeterBook>
  balances: Map<string, Balance>
  /** `subtype|meter` -> what is claimed. */
  open: Map<string, OpenClaim>
  /** The local day that is judged next, -1 before the first interval, and when. */
  nextDay: number
  nextAtMs: number
}

export const abnormalUsage: Detector<AbnormalUsageState, UsageSettings> = {
  name: 'abnormal-usage',
  zoneKinds: ['feeder'],
  kinds: ['abnormal_usage'],
  settings,
  create: (zone) => {
    const state: AbnormalUsageState = {
      calendar: { bounds: [] },
      meters: new Map(),
      balances: new Map(),
      open: new Map(),
      nextDay: -1,
      nextAtMs: 0,
    }
    adopt(state, zone)
    return state
  },
  onZone: (state, ctx) => adopt(state, ctx.zone),
  onInterval(state, interval, info, ctx) {
    const asset = info.asset
    if (asset.kind !== 'electric_meter' || interval.channel !== '') return
    const exported = interval.quantity === 'active_energy_export_kwh'
    if (!exported && interval.quantity !== 'active_energy_import_kwh') return
    const at = dayOf(state.calendar, ctx.zone.def.timezone, interval.startMs)
    if (state.nextDay < 0) {
      state.nextDay = at.day
      state.nextAtMs = at.endMs + JUDGE_AFTER_MS
    }
    balance(state, interval, asset, exported, ctx)
    if (!exported && asset.role === 'customer' && interval.status === 'rejected' && interval.reasons.includes('stuck_register')) {
      // Validation judged it, with the run of equal reads, the meter's own history and the transformer's balance.
      const book = bookOf(state, asset.id)
      const claim = stuckRegister(book, interval.startMs)
      // A revision of an interval that was told already says nothing new.
      if (interval.endMs > book.stuckEndMs && !state.open.has(`stuck_register|${asset.id}`))
        openClaim(state, 'stuck_register', asset.id, claim.sinceMs, claim, ctx)
      book.stuckEndMs = Math.max(book.stuckEndMs, interval.endMs)
    }
    if (asset.role !== 'customer' || interval.status !== 'actual' || interval.value === null || interval.rev > 1) return
    const book = bookOf(state, asset.id)
    if (!exported) addImport(book, interval.startMs, interval.endMs, interval.value, at)
    else if (interval.value > 0 && !(asset.registered_generation_kwp !== undefined && asset.registered_generation_kwp > 0)) {
      addExport(state, book, asset.id, interval, ctx)
    }
  },
  onEvent(state, event, info) {
    if ((event.event === 'cover_open' || event.event === 'tamper') && info.asset.kind === 'electric_meter')
      bookOf(state, event.device).tamperMs = event.tsMs
  },
  onTick(state, tick, ctx) {
    // A silent log that comes back may have several days to judge.
    for (let days = 0; state.nextDay >= 0 && tick.nowMs >= state.nextAtMs && days < 60; days++) judgeDay(state, ctx)
  },
}

function bookOf(state: AbnormalUsageState, meter: string): MeterBook {
  let book = state.meters.get(meter)
  if (book === undefined) {
    book = createBook()
    state.meters.set(meter, book)
  }
  return book
}

/** Balances follow the registry: a transformer whose meters changed starts anew. */
function adopt(state: AbnormalUsageState, zone: ZoneContext): void {
  const wanted = new Map<string, Balance>()
  for (const device of zone.devicesOf('electric_meter')) {
    const check = device.asset as AssetOf<'electric_meter'>
    if (check.role !== 'transformer' || check.transformer === undefined) continue
    const meters = zone.metersOfTransformer(check.transformer).map((d) => d.asset.id)
    const intervalMs = (check.interval_s ?? 900) * 1000
    const old = state.balances.get(check.transformer)
    const same = old !== undefined && old.intervalMs === intervalMs && old.meters.join() === meters.join()
    if (meters.length > 0) wanted.set(check.transformer, same ? old : createBalance(intervalMs, meters))
  }
  state.balances = wanted
  for (const id of state.meters.keys()) if (zone.device(id) === undefined) state.meters.delete(id)
  for (const [key, claim] of state.open) if (zone.device(claim.draft.scope.id) === undefined) state.open.delete(key)
}

function balance(
  state: AbnormalUsageState,
  i: Interval,
  asset: AssetOf<'electric_meter'>,
  exported: boolean,
  ctx: DetectorContext<UsageSettings>,
): void {
  const b = asset.transformer === undefined ? undefined : state.balances.get(asset.transformer)
  if (b === undefined || asset.role === 'feeder' || i.endMs - i.startMs !== b.intervalMs) return
  const column = asset.role === 'transformer' ? 0 : b.meters.indexOf(asset.id) + 1
  if (column === 0 && asset.role !== 'transformer') return
  const kwh = i.value === null || (i.status !== 'actual' && i.status !== 'edited') ? Number.NaN : i.value
  const { timezone } = ctx.zone.def
  put(b, Math.floor(i.startMs / b.intervalMs), column, kwh, exported, (slot) => dayOf(state.calendar, timezone, slot * b.intervalMs).day)
}

function addExport(state: AbnormalUsageState, book: MeterBook, meter: string, i: Interval, ctx: DetectorContext<UsageSettings>): void {
  if (book.exportIntervals > 0 && i.startMs - book.exportLastMs > EXPORT_QUIET_MS) {
    book.exportIntervals = 0
    book.exportKwh = 0
  }
  if (book.exportIntervals === 0) book.exportSinceMs = i.startMs
  book.exportIntervals += 1
  book.exportKwh += i.value ?? 0
  book.exportLastMs = Math.max(book.exportLastMs, i.endMs)
  const claim = unregisteredExport(book, ctx.settings)
  if (claim !== undefined && !state.open.has(`reverse_flow|${meter}`))
    openClaim(state, 'reverse_flow', meter, book.exportSinceMs, claim, ctx)
}

function judgeDay(state: AbnormalUsageState, ctx: DetectorContext<UsageSettings>): void {
  const day = state.nextDay
  const judgedEndMs = state.nextAtMs - JUDGE_AFTER_MS
  const { startMs, endMs } = dayOf(state.calendar, ctx.zone.def.timezone, judgedEndMs - 1)
  const next = dayOf(state.calendar, ctx.zone.def.timezone, judgedEndMs)
  state.nextDay = next.day
  state.nextAtMs = next.endMs + JUDGE_AFTER_MS
  for (const book of state.meters.values()) closeDay(book, day, endMs - startMs)
  const verdicts = new Map<string, DayVerdict>()
  for (const [id, b] of state.balances) verdicts.set(id, closeBalanceDay(b, day, endMs - startMs))
  const peers = peersRatio(state, ctx.settings)
  const claims = new Map<string, { subtype: Subtype; meter: string; startedAtMs: number; claim: Claim }>()
  const claimed = (subtype: Subtype, meter: string, startedAtMs: number, claim: Claim) =>
    claims.set(`${subtype}|${meter}`, { subtype, meter, startedAtMs, claim })
  for (const [transformer, b] of state.balances) {
    const found = verdicts.get(transformer)?.elevated === true ? bypassByBalance(b, (id) => bookOf(state, id), ctx.settings) : undefined
    if (found !== undefined) claimed('bypass', found.meter, startMs - (b.elevatedDays - 1) * 24 * HOUR_MS, found)
    fade(b)
  }
  for (const [id, book] of state.meters) {
    const asset = ctx.zone.device(id)?.asset as AssetOf<'electric_meter'> | undefined
    const b = asset?.transformer === undefined ? undefined : state.balances.get(asset.transformer)
    const shape = b === undefined ? bypassByShape(book, peers, ctx.settings) : undefined
    if (shape !== undefined) claimed('bypass', id, endMs - ctx.settings.bypassDays * 24 * HOUR_MS, shape)
    const high = highUsage(book, ctx.settings)
    if (high !== undefined) claimed('high_usage', id, endMs - ctx.settings.highDays * 24 * HOUR_MS, high)
  }
  for (const [key, c] of claims) if (!state.open.has(key)) openClaim(state, c.subtype, c.meter, c.startedAtMs, c.claim, ctx)
  for (const [key, open] of state.open) review(state, key, open, { claimed: claims.get(key)?.claim, verdicts, endMs }, ctx)
}

/** How all meters of the zone changed in the last days against their own history: the season. */
function peersRatio(state: AbnormalUsageState, s: UsageSettings): number {
  const ratios: number[] = []
  for (const book of state.meters.values()) {
    const usual = usualOf(book, s.bypassDays)
    const now = median(book.days.slice(-s.bypassDays))
    if (usual.n >= s.baselineDaysMin && usual.medianKwh > 0.5 && Number.isFinite(now)) ratios.push(now / usual.medianKwh)
  }
  return ratios.length < 5 ? Number.NaN : median(ratios)
}

function openClaim(
  state: AbnormalUsageState,
  subtype: Subtype,
  meter: string,
  onsetMs: number,
  claim: Claim,
  ctx: DetectorContext<UsageSettings>,
): void {
  // What began in the warm-up is the normal state: it is known from then on and not spoken of.
  const tamperMs = state.meters.get(meter)?.tamperMs ?? 0
  const tampered = subtype === 'bypass' && tamperMs > 0 && Math.abs(tamperMs - onsetMs) < 3 * 24 * HOUR_MS
  const evidence: Evidence[] = [rounded(claim.evidence), ...(tampered ? [{ what: 'cover_opened', atMs: tamperMs }] : [])]
  const draft: FindingDraft = {
    kind: 'abnormal_usage',
    subtype,
    scope: { type: 'meter', id: meter },
    onsetMs,
    severity: subtype === 'high_usage' ? 'warning' : 'minor',
    confidence: Number((tampered ? Math.min(0.99, claim.confidence + 0.1) : claim.confidence).toFixed(2)),
    reason: claim.reason,
    evidence,
    affected: [meter],
    ...(claim.lossKwhPerDay > 0 ? { size: { lossKwh: round(claim.lossKwhPerDay * 365) } } : {}),
  }
  state.open.set(`${subtype}|${meter}`, { draft, quietDays: 0 })
  ctx.emit(draft)
}

interface Judged {
  claimed: Claim | undefined
  verdicts: Map<string, DayVerdict>
  endMs: number
}

/** Ends what three judged days no longer show; a day without reads proves nothing. */
function review(state: AbnormalUsageState, key: string, open: OpenClaim, judged: Judged, ctx: DetectorContext<UsageSettings>): void {
  const meter = open.draft.scope.id
  const book = state.meters.get(meter)
  if (book === undefined || judged.claimed !== undefined) {
    open.quietDays = 0
    return
  }
  if (open.draft.subtype === 'reverse_flow') {
    if (judged.endMs - book.exportLastMs < EXPORT_QUIET_MS) return
    open.quietDays = CLEAR_DAYS
  } else if (open.draft.subtype === 'stuck_register') {
    if (judged.endMs - book.stuckEndMs < 24 * HOUR_MS) return
    open.quietDays = CLEAR_DAYS
  } else {
    const asset = ctx.zone.device(meter)?.asset as AssetOf<'electric_meter'> | undefined
    const verdict = asset?.transformer === undefined ? undefined : judged.verdicts.get(asset.transformer)
    if (open.draft.subtype === 'bypass' && verdict !== undefined && (verdict.elevated || Number.isNaN(verdict.excessKwh))) return
    if (!Number.isFinite(book.days.at(-1) ?? Number.NaN)) return
    open.quietDays += 1
  }
  if (open.quietDays < CLEAR_DAYS) return
  state.open.delete(key)
  ctx.emit({ ...open.draft, clearedAtMs: judged.endMs, reason: 'back-to-usual' })
}

function round(x: number): number {
  return Number(x.toPrecision(4))
}

function rounded(evidence: Record<string, string | number>): Evidence {
  return Object.fromEntries(Object.entries(evidence).map(([k, v]) => [k, typeof v === 'number' ? round(v) : v])) as Evidence
}

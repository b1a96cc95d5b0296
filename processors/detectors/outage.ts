// Outages told from silence: last gasps, missing reads, restorations and registers that stood still, rolled up from meter to
// transformer to feeder; and the failures of gateways and radios that look like outages and are none.
import type { ZoneDevice } from '#model/asset.ts'
import type { MeterEvent } from '#model/reading.ts'
import type { GatewayRecord, TickRecord } from '#model/telemetry.ts'
import type { Detector, DetectorContext, ValidatedRead } from '../fold.ts'
import { announce, assessGateways, assessMeter, assessZone, gatewayHeard, meterHeard, withdrawMeter, zoneHeard } from './outage/comms.ts'
import { remember } from './outage/estimate.ts'
import { gasp, isDark, type Moment, noteGap, noteRead, restored } from './outage/interruptions.ts'
import { report } from './outage/report.ts'
import { advance, advanceRegister, eventTimeMs, lastTrueMs, trueTimeMs, usualAgeMs } from './outage/rhythm.ts'
import { type OutageSettings, OutageSettings as Settings } from './outage/settings.ts'
import { assessTransformer, everyoneSilent, scan } from './outage/silence.ts'
import {
  COMMS_OPEN,
  carryInterruptions,
  createState,
  EXPORTS,
  GAP_COUNTED,
  type Interruption,
  NONE,
  type OutageState,
  OVERDUE,
  type Part,
} from './outage/state.ts'
import { ended, giveWay, siblings, strongPart, type Tally, weigh, wholeFeeder } from './outage/verdict.ts'

type Ctx = DetectorContext<OutageSettings>

/** Ticks come every ten seconds; a longer hole means that ingest itself was away. */
const TICK_HOLE_MS = 120_000
const STRAGGLER_MS = 15 * 60_000
/** Ended interruptions kept for late data; beyond it the oldest are forgotten. */
const INTERRUPTIONS_MAX = 5_000

export const outage: Detector<OutageState, OutageSettings> = {
  name: 'outage',
  zoneKinds: ['feeder', 'network'],
  kinds: ['outage', 'comms_failure'],
  version: 3,
  settings: Settings,
  create: (zone) => createState(zone),
  onZone(s, ctx) {
    const next = createState(ctx.zone, s)
    carryInterruptions(s, next)
    Object.assign(s, next)
  },
  onRead,
  onEvent,
  onGateway,
  onTick,
}

const moment = (ctx: Ctx): Moment => ({ nowMs: ctx.nowMs, cfg: ctx.settings })

function onRead(s: OutageState, read: ValidatedRead, ctx: Ctx): void {
  const i = s.index.get(read.device)
  if (i === undefined) return
  const { meters } = s
  const { settings: cfg } = ctx
  const trueMs = trueTimeMs(meters, i, read.tsMs, read.receivedAtMs, cfg)
  heard(s, read.gateway, trueMs, ctx)
  const last = meters.lastTsMs[i] as number
  const plain = read.phase === '' && read.tariff === 0
  if (read.tsMs > last && read.quality !== 'late') {
    let flags = meters.flags[i] as number
    const missed = last === 0 ? 0 : Math.round((read.tsMs - last) / (meters.stepMs[i] as number)) - 1
    if (missed > 0) {
      meters.gapFromMs[i] = lastTrueMs(meters, i, cfg)
      meters.gapToMs[i] = trueMs
      flags &= ~GAP_COUNTED
      meters.flags[i] = flags
    }
    if ((flags & COMMS_OPEN) !== 0) meterHeard(s, i, ctx)
    if ((flags & OVERDUE) !== 0) meters.flags[i] = (meters.flags[i] as number) & ~OVERDUE
    advance(meters, i, read.tsMs, read.receivedAtMs, cfg)
    if ((meters.deadlineMs[i] as number) < s.scanAtMs) s.scanAtMs = meters.deadlineMs[i] as number
    noteRead(s, i, trueTimeMs(meters, i, read.tsMs, read.receivedAtMs, cfg), missed)
    if (s.zoneSilentMs > 0) zoneHeard(s, ctx)
  } else if (read.quality === 'late') noteRead(s, i, trueMs, 0)
  if (!plain || read.quality !== 'good') return
  if (read.quantity === 'active_energy_import_kwh') register(s, i, read, ctx)
  else if (read.quantity === 'active_energy_export_kwh' && read.value > 0) meters.flags[i] = (meters.flags[i] as number) | EXPORTS
}

function register(s: OutageState, i: number, read: ValidatedRead, ctx: Ctx): void {
  const flatness = advanceRegister(s.meters, i, read.tsMs, read.value, ctx.settings)
  // Generation can stop an import register; only a counting one then says something.
  if (flatness === 'unknown' || (flatness === 'flat' && ((s.meters.flags[i] as number) & EXPORTS) !== 0)) return
  if (flatness === 'counting') s.meters.flags[i] = (s.meters.flags[i] as number) | GAP_COUNTED
  noteGap(s, i, flatness === 'flat', moment(ctx))
}

function heard(s: OutageState, id: string, takenMs: number, ctx: Ctx): void {
  const g = s.gatewayIndex.get(id)
  const gateway = g === undefined ? undefined : s.gateways[g]
  if (gateway === undefined) return
  if (gateway.silentMs === 0 || gateway.offlineMs === 0) gatewayHeard(s, gateway, takenMs, ctx)
}

function onEvent(s: OutageState, event: MeterEvent, info: ZoneDevice, ctx: Ctx): void {
  if (event.event !== 'power_lost' && event.event !== 'power_restored') return
  const i = s.index.get(info.asset.id)
  if (i === undefined) return
  const at = moment(ctx)
  const ms = eventTimeMs(s.meters, i, event.tsMs, event.receivedAtMs, at.cfg)
  heard(s, event.gateway, ms, ctx)
  if (event.event === 'power_restored') {
    restored(s, i, ms, at)
    return
  }
  const last = lastTrueMs(s.meters, i, at.cfg)
  const inGap = ms >= (s.meters.gapFromMs[i] as number) && ms <= (s.meters.gapToMs[i] as number)
  // It read on after it: a dip long past, unless it is known to have been away or its transformer was dark.
  if (last > ms + at.cfg.clockToleranceS * 1000 && !inGap && !darkThen(s, i, ms, at)) return
  gasp(s, i, ms, at)
  if (inGap) noteRead(s, i, s.meters.gapToMs[i] as number, 1)
}

function darkThen(s: OutageState, i: number, ms: number, at: Moment): boolean {
  const t = s.transformers[s.meters.transformer[i] as number]
  const part = s.interruptions.get(t?.interruption ?? 0)?.parts.get(s.meters.transformer[i] as number)
  return part !== undefined && part.verdict === 'dark' && Math.abs(part.startMs - ms) <= at.cfg.joinS * 1000
}

function onGateway(s: OutageState, status: GatewayRecord, ctx: Ctx): void {
  const g = s.gatewayIndex.get(status.gateway)
  const gateway = g === undefined ? undefined : s.gateways[g]
  if (gateway === undefined) return
  if (!status.online) {
    if (gateway.offlineMs === 0) gateway.offlineMs = Math.min(status.tsMs, ctx.nowMs)
    return
  }
  gateway.offlineMs = 0
  if (gateway.silentMs > 0) gatewayHeard(s, gateway, ctx.nowMs, ctx)
}

function onTick(s: OutageState, tick: TickRecord, ctx: Ctx): void {
  const { nowMs } = ctx
  health(s, tick)
  if (!s.announced) announce(s, ctx)
  if (nowMs >= s.scanAtMs && nowMs >= s.quietUntilMs) silenceDue(s, ctx, moment(ctx))
  else if (anyOffline(s)) assessGateways(s, false, ctx)
  if (s.interruptions.size > 0) for (const e of s.interruptions.values()) settle(s, e, nowMs, ctx)
}

/** A gateway said that it is gone, and nothing was said of it yet. */
function anyOffline(s: OutageState): boolean {
  for (const g of s.gateways) if (g.offlineMs > 0 && g.said !== 'comms') return true
  return false
}

/** Silence is no evidence while, and until an interval after, our own collection was ill. */
function health(s: OutageState, tick: TickRecord): void {
  const hole = s.tickMs > 0 && tick.nowMs - s.tickMs > TICK_HOLE_MS
  const cut = !tick.brokerConnected || (tick.gatewaysOnline === 0 && s.gatewaysSeen)
  if (tick.gatewaysOnline > 0) s.gatewaysSeen = true
  if (tick.nowMs > s.tickMs) s.tickMs = tick.nowMs
  if (!hole && !cut) return
  let age = 0
  for (const ms of s.meters.stepMs) if (ms > age) age = ms
  s.quietUntilMs = tick.nowMs + age + TICK_HOLE_MS
}

function silenceDue(s: OutageState, ctx: Ctx, at: Moment): void {
  const { overdue, long } = scan(s, at)
  for (const i of overdue) {
    const t = s.meters.transformer[i] as number
    if (t !== NONE) s.watch.add(t)
  }
  const zoneSilent = everyoneSilent(s)
  const round = { at, zoneSilent, dead: new Map<number, boolean>() }
  for (const t of s.watch) if (!assessTransformer(s, t, round)) s.watch.delete(t)
  if (s.watch.size > 0) s.scanAtMs = Math.min(s.scanAtMs, ctx.nowMs + 60_000)
  assessGateways(s, zoneSilent, ctx)
  assessZone(s, zoneSilent, ctx)
  for (const i of long) assessMeter(s, i, ctx)
}

/** Weighs an interruption with news, says what changed, and forgets it when nothing can come any more. */
function settle(s: OutageState, e: Interruption, nowMs: number, ctx: Ctx): void {
  if (!e.decided) {
    if (nowMs < e.decideAtMs) return
    e.decided = true
    e.dirty = true
  } else if (!e.dirty && nowMs < e.lookAtMs) {
    if (e.closedAtMs > 0 ? nowMs > e.closedAtMs + ctx.settings.rememberS * 1000 : waiting(e, nowMs)) close(s, e, nowMs, ctx.settings)
    return
  }
  const { settings: cfg } = ctx
  e.dirty = false
  const tallies = new Map<number, Tally>()
  const strong = strongParts(e)
  let look = siblings(s, e)
  for (const part of e.parts.values()) tallies.set(part.transformer, weigh(s, part, look.of(part), cfg))
  // A verdict can make a neighbour's weak evidence enough.
  if (strongParts(e) > strong) {
    look = siblings(s, e)
    for (const part of e.parts.values()) if (part.verdict !== 'dark') tallies.set(part.transformer, weigh(s, part, look.of(part), cfg))
  }
  alignStarts(e, cfg)
  giveWay(s, e)
  for (const part of e.parts.values()) part.dirty = false
  e.feeder = ctx.zone.def.kind === 'feeder' && wholeFeeder(s, e, look, cfg)
  report(s, e, tallies, ctx)
  withdrawComms(s, e, ctx)
  finish(s, e, ctx)
}

/** Parts known from silence alone began when the others' gasps say. */
function alignStarts(e: Interruption, cfg: OutageSettings): void {
  let exact: Part | undefined
  for (const p of e.parts.values()) if (p.verdict === 'dark' && p.exact && (exact === undefined || p.startMs < exact.startMs)) exact = p
  if (exact === undefined) return
  for (const p of e.parts.values()) {
    if (p.verdict !== 'dark' || p.exact) continue
    let silentMs = 0
    for (const m of p.members.values()) if (m.onMs === 0) silentMs = Math.max(silentMs, m.silentFromMs)
    if (silentMs <= exact.startMs + cfg.joinS * 1000) p.startMs = exact.startMs
  }
}

function strongParts(e: Interruption): number {
  let n = 0
  for (const p of e.parts.values()) if (strongPart(p)) n += 1
  return n
}

/** Premises that were silent before were reported as a dead radio. */
function withdrawComms(s: OutageState, e: Interruption, ctx: Ctx): void {
  for (const part of e.parts.values()) {
    for (const [i, m] of part.members) {
      const commsMs = s.meters.commsMs[i] as number
      if (commsMs === 0 || m.silentFromMs === 0 || m.onMs > 0 || Math.abs(commsMs - m.silentFromMs) > (s.meters.stepMs[i] as number))
        continue
      if (part.verdict === 'dark' || m.gaspMs > 0 || m.backBy === 'event') withdrawMeter(s, i, ctx)
    }
  }
}

/** Members still dark after the transformer is back: look again when their next read is overdue, then every hour. */
function lookForStragglers(s: OutageState, e: Interruption, p: Part, ctx: Ctx): void {
  for (const [i, m] of p.members) {
    if (!isDark(m) || m.backMs > 0) continue
    const due = p.endMs + (s.meters.stepMs[i] as number) + usualAgeMs(s.meters, i, ctx.settings)
    e.lookAtMs = Math.min(e.lookAtMs, Math.max(due, ctx.nowMs + STRAGGLER_MS))
  }
}

function finish(s: OutageState, e: Interruption, ctx: Ctx): void {
  const rememberMs = ctx.settings.rememberS * 1000
  const parts = [...e.parts.values()]
  const open = parts.some((p) => p.endMs === 0 && p.verdict !== 'lit')
  e.lookAtMs = Number.POSITIVE_INFINITY
  for (const p of parts) if (p.verdict === 'dark' && p.endMs > 0 && ctx.nowMs < p.endMs + rememberMs) lookForStragglers(s, e, p, ctx)
  // An estimate that was not kept is said anew.
  if (open && e.restoreMs > ctx.nowMs) e.lookAtMs = Math.min(e.lookAtMs, e.restoreMs)
  if (open || e.lookAtMs < Number.POSITIVE_INFINITY) {
    e.closedAtMs = 0
    return
  }
  if (e.closedAtMs !== 0) return
  e.closedAtMs = ctx.nowMs
  if (!ended(e) || e.counted) return
  e.counted = true
  noteDurations(s, e, ctx.settings)
}

/** A feeder's outage counts once, by its last part. */
function noteDurations(s: OutageState, e: Interruption, cfg: OutageSettings): void {
  const sustained = cfg.momentaryMaxS / 60
  let longest = 0
  for (const p of e.parts.values()) {
    const minutes = (p.endMs - p.startMs) / 60_000
    if (p.endMs === 0 || minutes <= sustained) continue
    if (p.verdict === 'dark') longest = Math.max(longest, minutes)
    if (p.verdict === 'dark' && !e.feeder) remember(s.durations, 'transformer', minutes)
    else if (p.verdict === 'premises') remember(s.durations, 'premise', minutes)
  }
  if (e.feeder && longest > 0) remember(s.durations, 'feeder', longest)
}

/** Nothing new for so long that nothing will come: silent premises of an ended outage go over to the watch on radios. */
function waiting(e: Interruption, nowMs: number): boolean {
  return nowMs > e.startMs + 30 * 86_400_000
}

function close(s: OutageState, e: Interruption, nowMs: number, cfg: OutageSettings): void {
  s.interruptions.delete(e.key)
  for (const part of e.parts.values()) {
    const t = s.transformers[part.transformer]
    if (t?.interruption === e.key) t.interruption = 0
    for (const i of part.members.keys()) if (s.meters.interruption[i] === e.key) s.meters.interruption[i] = 0
  }
  if (s.interruptions.size <= INTERRUPTIONS_MAX) return
  for (const other of s.interruptions.values()) {
    if (other.closedAtMs > 0 && nowMs > other.closedAtMs + cfg.holdS * 1000) {
      close(s, other, nowMs, cfg)
      return
    }
  }
}

// Silence that is no outage: a dead gateway, a meter whose radio died. And the silence of a whole zone, which only the second stage
// can judge, because a gateway that serves several feeders, or our own collection, can be the cause.
import type { Evidence, FindingDraft } from '#model/finding.ts'
import { toIso } from '#model/time.ts'
import type { DetectorContext } from '../../fold.ts'
import { disregardSilence, isDark, isOverdue, type Moment } from './interruptions.ts'
import { lastTrueMs, usualAgeMs } from './rhythm.ts'
import type { OutageSettings } from './settings.ts'
import { crossEvidence } from './silence.ts'
import { COMMS_OPEN, type GatewayState, type OutageState } from './state.ts'

export const COMMS_REASONS = [
  'last-will', // the broker, or the gateway itself, said that it is gone
  'neighbours-read-on', // its meters are silent, others below the same transformers are not
  'gateway-silent', // nothing is heard through it, and nothing tells why
  'meter-silent', // one meter, for many of its intervals
  'heard-again',
  'supply-was-off', // withdrawn: it was an outage
] as const

type Ctx = DetectorContext<OutageSettings>

const NAMED_MAX = 20
/** Nothing through a gateway for longer than this many intervals of its meters is a hole. */
const HOLE_SHARE = 1.5
const seconds = (ms: number) => Math.round(ms / 1000) * 1000

/** Gateways without a word: called after a scan and while one is offline. */
export function assessGateways(s: OutageState, zoneSilent: boolean, ctx: Ctx): void {
  const at = { nowMs: ctx.nowMs, cfg: ctx.settings }
  for (const [g, gateway] of s.gateways.entries()) {
    if (gateway.members.length === 0) continue
    if (gateway.silentMs > 0 && gateway.said === 'comms') continue
    const offline = gateway.offlineMs > 0 && at.nowMs >= gateway.offlineMs + at.cfg.gatewayOfflineS * 1000
    if (!offline && !allOverdue(s, gateway)) continue
    const verdict = offline ? 'last-will' : gatewayVerdict(s, g, gateway, at, zoneSilent)
    if (verdict !== undefined) sayGateway(s, g, gateway, verdict, ctx)
  }
}

function allOverdue(s: OutageState, gateway: GatewayState): boolean {
  let overdue = 0
  for (const i of gateway.members) {
    if (isOverdue(s, i)) overdue += 1
    else if ((s.meters.lastTsMs[i] as number) > 0) return false
  }
  return overdue > 0
}

/** All meters of it are silent: is it the gateway? */
function gatewayVerdict(
  s: OutageState,
  g: number,
  gateway: GatewayState,
  at: Moment,
  zoneSilent: boolean,
): 'neighbours-read-on' | 'gateway-silent' | undefined {
  // A gateway with one meter is that meter's radio.
  if (gateway.members.length < 2 && gateway.zones.length < 2) return undefined
  let last = 0
  let age = 0
  for (const i of gateway.members) {
    last = Math.max(last, lastTrueMs(s.meters, i, at.cfg))
    age = Math.max(age, usualAgeMs(s.meters, i, at.cfg))
  }
  const step = s.meters.stepMs[gateway.members[0] as number] as number
  const twice = at.nowMs >= last + age + step
  // Just heard again: its meters have an interval to follow.
  if (at.nowMs < gateway.heardMs + step) return undefined
  if (gateway.members.length < at.cfg.fewMeters && !twice) return undefined
  const lit = crossEvidence(s, g, at)
  if (lit.length >= Math.min(2, gateway.members.length)) return 'neighbours-read-on'
  if (lit.length === 1 && twice) return 'neighbours-read-on'
  // Dark transformers explain it.
  if (gateway.members.every((i) => isKnownDark(s, i, at))) return undefined
  if (!twice || zoneSilent) return undefined
  return 'gateway-silent'
}

export function isKnownDark(s: OutageState, i: number, at: Moment): boolean {
  const key = s.meters.interruption[i] as number
  if (key === 0) return false
  const t = s.meters.transformer[i] as number
  const part = s.interruptions.get(key)?.parts.get(t)
  const m = part?.members.get(i)
  if (part === undefined || m === undefined || !isDark(m)) return false
  // After the end, its first read has an interval and the usual delay to come.
  const rest = (s.meters.stepMs[i] as number) + 2 * usualAgeMs(s.meters, i, at.cfg)
  if (at.nowMs < Math.max(part.endMs, m.backMs) + rest) return true
  return part.verdict === 'dark' ? part.endMs === 0 : m.backMs === 0 && (m.gaspMs > 0 || m.flat)
}

function gatewayDraft(s: OutageState, gateway: GatewayState, reason: FindingDraft['reason'], more: Partial<FindingDraft>): FindingDraft {
  const members = [...gateway.members]
  return {
    kind: 'comms_failure',
    scope: { type: 'gateway', id: gateway.id },
    onsetMs: gateway.silentMs,
    severity: 'minor',
    confidence: 0.5,
    cause: gateway.said === 'comms' ? 'comms' : 'unknown',
    affected: members.map((i) => s.meters.ids[i] as string),
    size: { meters: members.length },
    reason,
    evidence: [],
    ...more,
  }
}

function sayGateway(
  s: OutageState,
  g: number,
  gateway: GatewayState,
  reason: 'last-will' | 'neighbours-read-on' | 'gateway-silent',
  ctx: Ctx,
): void {
  const at = { nowMs: ctx.nowMs, cfg: ctx.settings }
  const cause = reason === 'gateway-silent' ? 'unknown' : 'comms'
  if (gateway.silentMs > 0 && gateway.said === cause) return
  if (gateway.silentMs === 0) gateway.silentMs = seconds(gateway.heardMs || gateway.offlineMs || ctx.nowMs)
  gateway.said = cause
  if (cause === 'comms') disregardSilence(s, gateway.members)
  if (gateway.zones.length > 1) {
    ctx.summarise('gateway_silence', {
      gateway: gateway.id,
      zones: gateway.zones,
      silent: true,
      sinceMs: gateway.silentMs,
      cause,
      reason,
      meters: [...gateway.members].map((i) => s.meters.ids[i] as string),
    })
    return
  }
  const lit = crossEvidence(s, g, at).map((i) => s.meters.ids[i] as string)
  const evidence: Evidence[] = [{ what: 'last-heard', at: toIso(seconds(gateway.heardMs)) }]
  if (gateway.offlineMs > 0) evidence.push({ what: 'last-will', at: toIso(gateway.offlineMs) })
  if (lit.length > 0)
    evidence.push({ what: 'neighbours-read-on', count: lit.length, of: gateway.members.length, meters: lit.slice(0, NAMED_MAX) })
  ctx.emit(gatewayDraft(s, gateway, reason, { confidence: reason === 'last-will' ? 0.95 : cause === 'comms' ? 0.9 : 0.5, evidence }))
}

/** Something taken, or said, at `takenMs` (true time) came through it. */
export function gatewayHeard(s: OutageState, gateway: GatewayState, takenMs: number, ctx: Ctx): void {
  if (takenMs <= gateway.takenMs) return
  const { nowMs } = ctx
  const step = gateway.members.length === 0 ? 0 : (s.meters.stepMs[gateway.members[0] as number] as number)
  if (gateway.silentMs > 0 || nowMs - gateway.heardMs > HOLE_SHARE * step + ctx.settings.delayS * 1000) gateway.sinceMs = nowMs
  gateway.heardMs = nowMs
  gateway.takenMs = takenMs
  if (gateway.silentMs === 0) return
  if (gateway.zones.length > 1) {
    ctx.summarise('gateway_silence', { gateway: gateway.id, zones: gateway.zones, silent: false, sinceMs: gateway.silentMs })
  } else {
    const minutes = Math.round((nowMs - gateway.silentMs) / 60_000)
    ctx.emit(
      gatewayDraft(s, gateway, 'heard-again', {
        clearedAtMs: nowMs,
        confidence: 0.95,
        severity: 'warning',
        size: { meters: gateway.members.length, minutes },
        evidence: [{ what: 'heard-again', at: toIso(nowMs), minutes }],
      }),
    )
  }
  gateway.silentMs = 0
  gateway.said = ''
}

/** One meter has said nothing for many of its intervals, and neither an outage nor its gateway explains it. */
export function assessMeter(s: OutageState, i: number, ctx: Ctx): void {
  const { meters } = s
  if (((meters.flags[i] as number) & COMMS_OPEN) !== 0 || isKnownDark(s, i, { nowMs: ctx.nowMs, cfg: ctx.settings })) return
  const gateway = s.gateways[meters.gateway[i] as number]
  if (gateway !== undefined && gateway.silentMs > 0) return
  if (s.zoneSilentMs > 0) return
  meters.flags[i] = (meters.flags[i] as number) | COMMS_OPEN
  meters.commsMs[i] = meters.lastTsMs[i] as number
  ctx.emit(meterDraft(s, i, { reason: 'meter-silent', evidence: meterEvidence(s, i, ctx) }))
}

function meterEvidence(s: OutageState, i: number, ctx: Ctx): Evidence[] {
  const { meters } = s
  const last = meters.lastTsMs[i] as number
  const gateway = s.gateways[meters.gateway[i] as number]
  const out: Evidence[] = [
    { what: 'last-read', at: toIso(last), missed: Math.round((ctx.nowMs - last) / (meters.stepMs[i] as number)) - 1 },
  ]
  if (gateway !== undefined) out.push({ what: 'gateway-heard', gateway: gateway.id, at: toIso(seconds(gateway.heardMs)) })
  return out
}

function meterDraft(s: OutageState, i: number, more: Partial<FindingDraft> & { reason: string; evidence: Evidence[] }): FindingDraft {
  const { meters } = s
  const id = meters.ids[i] as string
  return {
    kind: 'comms_failure',
    scope: { type: 'meter', id },
    onsetMs: meters.commsMs[i] as number,
    severity: 'warning',
    confidence: 0.7,
    cause: 'unknown',
    affected: [id],
    size: { meters: 1 },
    ...more,
  }
}

/** The meter is heard again. What it took meanwhile may come now or never; the word is back. */
export function meterHeard(s: OutageState, i: number, ctx: Ctx): void {
  const { meters } = s
  meters.flags[i] = (meters.flags[i] as number) & ~COMMS_OPEN
  const minutes = Math.round((ctx.nowMs - (meters.commsMs[i] as number)) / 60_000)
  ctx.emit(
    meterDraft(s, i, {
      clearedAtMs: ctx.nowMs,
      cause: 'comms',
      reason: 'heard-again',
      evidence: [{ what: 'heard-again', at: toIso(ctx.nowMs), minutes }],
    }),
  )
}

/** What was taken for a dead radio was a dark premise. */
export function withdrawMeter(s: OutageState, i: number, ctx: Ctx): void {
  s.meters.flags[i] = (s.meters.flags[i] as number) & ~COMMS_OPEN
  ctx.emit(meterDraft(s, i, { reason: 'supply-was-off', evidence: [], withdrawn: true }))
  s.meters.commsMs[i] = 0
}

/** The substation that feeds the zone, '' when the registry does not say. */
export function substationOf(ctx: Ctx): string {
  const { area } = ctx.zone.def
  return area?.kind === 'feeder' ? (area.substation ?? '') : ''
}

/** Tells the second stage that the zone exists and which gateways serve it. */
export function announce(s: OutageState, ctx: Ctx): void {
  s.announced = true
  ctx.summarise('power_zone', {
    substation: substationOf(ctx),
    gateways: s.gateways.filter((g) => g.members.length > 0).map((g) => ({ id: g.id, zones: g.zones })),
  })
}

/** Tells the second stage when the whole zone falls silent without a gasp, and when it is back. */
export function assessZone(s: OutageState, zoneSilent: boolean, ctx: Ctx): void {
  if (s.zoneSilentMs > 0 || !zoneSilent) return
  let last = 0
  for (let i = 0; i < s.meters.ids.length; i++) last = Math.max(last, lastTrueMs(s.meters, i, ctx.settings))
  s.zoneSilentMs = seconds(last)
  ctx.summarise('zone_silence', {
    silent: true,
    sinceMs: s.zoneSilentMs,
    stepMs: Math.min(...s.meters.stepMs),
    meters: s.meters.ids.length,
    explained: explained(s),
    affected: s.meters.ids.filter((_, i) => s.meters.role[i] === 0),
    gateways: s.gateways.filter((g) => g.members.length > 0).map((g) => ({ id: g.id, zones: g.zones, offline: g.offlineMs > 0 })),
  })
}

/** An interruption known from gasps already covers it. */
function explained(s: OutageState): boolean {
  for (const e of s.interruptions.values()) if (e.closedAtMs === 0 && e.feeder) return true
  return false
}

export function zoneHeard(s: OutageState, ctx: Ctx): void {
  ctx.summarise('zone_silence', { silent: false, sinceMs: s.zoneSilentMs })
  s.zoneSilentMs = 0
}

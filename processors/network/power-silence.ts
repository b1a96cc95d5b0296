// Silence that only several feeders together explain: a gateway that serves more than one of them, a feeder that says nothing at all,
// our own collection. A zone tells when it, or its part of a shared gateway, falls silent and when it is back.
import { z } from 'zod'
import type { Evidence } from '#model/finding.ts'
import { HOUR_MS, toIso } from '#model/time.ts'
import type { NetworkContext, NetworkDetector } from '../fold.ts'

const Settings = z.object({
  /** After the second missed read and this delay a silent feeder is judged, seconds. */
  delayS: z.number().positive().default(180),
  /** When this share of the other zones is silent too, it is our own collection: nothing is said. */
  ownFailureShare: z.number().min(0).max(1).default(0.5),
  /** A zone not heard of for this long is gone, hours: its registry entry was removed. */
  forgetAfterHours: z
    .number()
    .positive()
    .default(24 * 30),
})
type Settings = z.infer<typeof Settings>
type Ctx = NetworkContext<Settings>

interface ZoneGateway {
  id: string
  zones: string[]
  offline: boolean
}

interface ZoneEntry {
  atMs: number
  silentMs: number
  stepMs: number
  explained: boolean
  affected: string[]
  gateways: ZoneGateway[]
  /** What was said of the whole zone. */
  said: '' | 'outage' | 'gateways'
}

interface SharedGateway {
  zones: string[]
  /** Zone -> its part. */
  parts: Map<string, { sinceMs: number; cause: string; reason: string; meters: string[] }>
  onsetMs: number
  zone: string
  /** Meters behind it, of all zones, when it was found to be down. */
  meters: string[]
}

interface State {
  zones: Map<string, ZoneEntry>
  gateways: Map<string, SharedGateway>
}

export const powerSilence: NetworkDetector<State, Settings> = {
  name: 'power-silence',
  kinds: ['outage', 'comms_failure'],
  version: 1,
  topics: ['power_zone', 'zone_silence', 'gateway_silence'],
  settings: Settings,
  create: () => ({ zones: new Map(), gateways: new Map() }),
  onSummary(s, summary, ctx) {
    const { zone, data, atMs } = summary
    const entry = entryOf(s, zone)
    entry.atMs = atMs
    if (summary.topic === 'power_zone') {
      entry.gateways = (data.gateways as Omit<ZoneGateway, 'offline'>[]).map((g) => ({ ...g, offline: false }))
    } else if (summary.topic === 'zone_silence') {
      if (data.silent === true) {
        entry.silentMs = data.sinceMs as number
        entry.stepMs = data.stepMs as number
        entry.explained = data.explained === true
        entry.affected = data.affected as string[]
        entry.gateways = data.gateways as ZoneGateway[]
      } else heard(s, zone, entry, ctx)
    } else gatewayPart(s, zone, data, ctx)
  },
  onTick(s, nowMs, ctx) {
    for (const [zone, entry] of s.zones) {
      if (nowMs - entry.atMs > ctx.settings.forgetAfterHours * HOUR_MS && entry.silentMs > 0) s.zones.delete(zone)
      else if (entry.silentMs > 0 && entry.said === '' && !entry.explained) judge(s, zone, entry, nowMs, ctx)
    }
  },
}

function entryOf(s: State, zone: string): ZoneEntry {
  let e = s.zones.get(zone)
  if (e === undefined) {
    e = { atMs: 0, silentMs: 0, stepMs: 0, explained: false, affected: [], gateways: [], said: '' }
    s.zones.set(zone, e)
  }
  return e
}

/** A gateway of a silent zone that another zone hears. */
function heardElsewhere(s: State, zone: string, g: ZoneGateway): boolean {
  const parts = s.gateways.get(g.id)?.parts
  return g.zones.some((other) => other !== zone && s.zones.has(other) && s.zones.get(other)?.silentMs === 0 && parts?.has(other) !== true)
}

function judge(s: State, zone: string, entry: ZoneEntry, nowMs: number, ctx: Ctx): void {
  if (nowMs < entry.silentMs + 2 * entry.stepMs + ctx.settings.delayS * 1000) return
  const others = [...s.zones].filter(([id]) => id !== zone)
  const silent = others.filter(([, e]) => e.silentMs > 0 && !e.explained).length
  if (others.length > 0 && silent >= others.length * ctx.settings.ownFailureShare) return
  const alive = entry.gateways.filter((g) => heardElsewhere(s, zone, g)).map((g) => g.id)
  const own = entry.gateways.filter((g) => !g.offline && g.zones.length < 2)
  const evidence: Evidence[] = [
    { what: 'zone-silent', since: toIso(entry.silentMs), meters: entry.affected.length },
    { what: 'other-zones', reading: others.length - silent, of: others.length },
  ]
  if (alive.length === 0 && own.length < 2) {
    entry.said = 'gateways'
    for (const g of entry.gateways) if (g.zones.length < 2 && !g.offline) sayGateway(zone, entry, g.id, null, evidence, ctx)
    return
  }
  entry.said = 'outage'
  if (alive.length > 0) evidence.push({ what: 'gateways-heard-elsewhere', gateways: alive })
  else evidence.push({ what: 'gateways-silent-together', gateways: own.map((g) => g.id) })
  ctx.emit(zone, {
    kind: 'outage',
    subtype: 'silent',
    scope: { type: 'feeder', id: zone },
    onsetMs: entry.silentMs,
    startedAtMs: entry.silentMs + entry.stepMs / 2,
    severity: 'major',
    confidence: alive.length > 0 ? 0.8 : 0.6,
    cause: 'power',
    affected: entry.affected,
    size: { meters: entry.affected.length },
    reason: alive.length > 0 ? 'gateways-heard-elsewhere' : 'gateways-silent-together',
    evidence,
  })
}

function sayGateway(zone: string, entry: ZoneEntry, id: string, clearedAtMs: number | null, evidence: Evidence[], ctx: Ctx): void {
  ctx.emit(zone, {
    kind: 'comms_failure',
    scope: { type: 'gateway', id },
    onsetMs: entry.silentMs,
    clearedAtMs,
    severity: clearedAtMs === null ? 'minor' : 'warning',
    confidence: 0.5,
    cause: 'unknown',
    affected: entry.affected,
    size: { meters: entry.affected.length },
    reason: clearedAtMs === null ? 'zone-silent' : 'heard-again',
    evidence,
  })
}

/** The zone speaks again, and for itself: registers and restorations now tell what it was. */
function heard(s: State, zone: string, entry: ZoneEntry, ctx: Ctx): void {
  const { silentMs, said } = entry
  if (said === 'outage') {
    ctx.emit(zone, {
      kind: 'outage',
      subtype: 'silent',
      scope: { type: 'feeder', id: zone },
      onsetMs: silentMs,
      severity: 'warning',
      confidence: 0,
      cause: 'unknown',
      withdrawn: true,
      reason: 'zone-heard',
      evidence: [],
    })
  } else if (said === 'gateways') {
    for (const g of entry.gateways)
      if (g.zones.length < 2 && !g.offline) sayGateway(zone, entry, g.id, ctx.nowMs, [{ what: 'heard-again', at: toIso(ctx.nowMs) }], ctx)
  }
  entry.silentMs = 0
  entry.said = ''
  for (const g of s.gateways.values()) g.parts.delete(zone)
}

/** A shared gateway is down when every zone that it serves, and that we know, says so. */
function gatewayPart(s: State, zone: string, data: Record<string, unknown>, ctx: Ctx): void {
  const id = data.gateway as string
  let g = s.gateways.get(id)
  if (g === undefined) {
    g = { zones: data.zones as string[], parts: new Map(), onsetMs: 0, zone: '', meters: [] }
    s.gateways.set(id, g)
  }
  g.zones = data.zones as string[]
  if (data.silent === true) {
    g.parts.set(zone, {
      sinceMs: data.sinceMs as number,
      cause: data.cause as string,
      reason: data.reason as string,
      meters: data.meters as string[],
    })
    const down = g.zones.every((other) => g.parts.has(other) || !s.zones.has(other) || (s.zones.get(other) as ZoneEntry).silentMs > 0)
    if (down) saySharedGateway(id, g, null, ctx)
    return
  }
  g.parts.delete(zone)
  if (g.onsetMs > 0) saySharedGateway(id, g, ctx.nowMs, ctx)
  if (g.parts.size === 0) s.gateways.delete(id)
}

function saySharedGateway(id: string, g: SharedGateway, clearedAtMs: number | null, ctx: Ctx): void {
  const parts = [...g.parts].sort(([a], [b]) => (a < b ? -1 : 1))
  if (g.onsetMs === 0) {
    g.onsetMs = Math.min(...parts.map(([, p]) => p.sinceMs))
    g.zone = parts[0]?.[0] ?? g.zones[0] ?? ''
  }
  const certain = parts.some(([, p]) => p.cause === 'comms')
  if (clearedAtMs === null) g.meters = parts.flatMap(([, p]) => p.meters)
  const { meters } = g
  ctx.emit(g.zone, {
    kind: 'comms_failure',
    scope: { type: 'gateway', id },
    onsetMs: g.onsetMs,
    clearedAtMs,
    severity: clearedAtMs === null ? 'minor' : 'warning',
    confidence: certain ? 0.95 : 0.6,
    cause: certain || clearedAtMs !== null ? 'comms' : 'unknown',
    affected: meters,
    size: { meters: meters.length },
    reason: clearedAtMs !== null ? 'heard-again' : (parts[0]?.[1].reason ?? 'gateway-silent'),
    evidence:
      clearedAtMs !== null
        ? [{ what: 'heard-again', at: toIso(clearedAtMs) }]
        : [{ what: 'silent-in-zones', zones: parts.map(([zone]) => zone) }],
  })
  if (clearedAtMs !== null) g.onsetMs = 0
}

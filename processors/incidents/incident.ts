// What the incident fold remembers: findings at their newest revision, and the incidents they form.
// Plain data, so that a runner may store it; every time in it is the log's.
import type { Finding, FindingKind, Scope, Severity } from '#model/finding.ts'
import type { IntentWhy, TicketIntent } from '#model/ticket.ts'
import { DAY_MS, MINUTE_MS, parseIso } from '#model/time.ts'

/** Kinds of findings that may be one event of the world: a burst and a leak in a district, the two ways a meter falls silent. */
export const FAMILIES = ['outage', 'leak', 'customer_leak', 'usage', 'comms', 'pressure', 'sensor', 'clock', 'load', 'loss'] as const
export type Family = (typeof FAMILIES)[number]

const FAMILY_OF: Record<FindingKind, Family> = {
  outage: 'outage',
  burst: 'leak',
  leak: 'leak',
  customer_leak: 'customer_leak',
  abnormal_usage: 'usage',
  comms_failure: 'comms',
  low_pressure: 'pressure',
  sensor_fault: 'sensor',
  clock_fault: 'clock',
  overload: 'load',
  line_loss: 'loss',
}

export function familyOf(kind: FindingKind): Family {
  return FAMILY_OF[kind]
}

/** A finding at its newest revision, without its evidence. */
export interface Member {
  id: string
  /** Key of its incident. */
  incident: string
  rev: number
  kind: FindingKind
  subtype: string
  scope: Scope
  detector: string
  parent: string
  severity: Severity
  cause: string
  momentary: boolean
  withdrawn: boolean
  /** An operation known to the control room explains it. */
  planned: boolean
  startedMs: number
  detectedMs: number
  /** Log time of the newest revision. */
  updatedMs: number
  clearedMs: number | null
  affected: string[]
  /** Sizes that a title may name. */
  size: Record<string, number>
  candidates: string[]
  /** Feeders that are out with it, where it is wider than a feeder. */
  areas: string[]
}

export interface Incident {
  /** Id of its first finding. */
  key: string
  family: Family
  zone: string
  /** Ids of its findings, in order of arrival. */
  members: string[]
  /** Last intent sent, or null while there was no reason for a ticket. */
  intent: TicketIntent | null
  /** Key of the incident that mutes it at present, '' when none does. */
  inhibitedBy: string
  /** Why it stands as it does: a reason of each stage. */
  why: IntentWhy
  /** Log time at which it is to be looked at again though nothing was said of it; 0 when never. */
  dueMs: number
}

export interface IncidentState {
  /** Newest log time seen; never goes back. */
  nowMs: number
  findings: Map<string, Member>
  incidents: Map<string, Incident>
  /** Incidents that mute many others: what they list is brought up to date with the next tick. */
  deferred: Set<string>
  /** Findings ignored because they were older than what the fold remembers. */
  ignored: number
}

export function createIncidentState(): IncidentState {
  return { nowMs: 0, findings: new Map(), incidents: new Map(), deferred: new Set(), ignored: 0 }
}

/** A state saved by zones, as it was before places were looked up across zones, becomes one of today's. */
export function upgrade(state: IncidentState): void {
  const old = state as { zones?: Map<string, Pick<IncidentState, 'nowMs' | 'findings' | 'incidents'>> }
  if (old.zones === undefined) return
  Object.assign(state, { ...createIncidentState(), ignored: state.ignored })
  for (const zone of old.zones.values()) {
    state.nowMs = Math.max(state.nowMs, zone.nowMs)
    for (const [id, m] of zone.findings) state.findings.set(id, { ...m, areas: [] })
    for (const [key, i] of zone.incidents) {
      const why = { group: 'new_incident', inhibit: 'none', silence: 'none', decide: 'unchanged' }
      // Looked at with the first tick, which gives it its due time.
      state.incidents.set(key, { ...i, why, dueMs: 1 })
    }
  }
  delete old.zones
}

/**
 * How long a finding is remembered after its end. A repeat of an older one is ignored, so this bounds how late a repeat may come;
 * Kafka repeats only what lies behind the last checkpoint, seconds to minutes.
 */
export const REMEMBER_MS = 7 * DAY_MS

/** Restoration, or the end of a burst, is seen by different devices at different times; two reporting intervals of 5 minutes apart at most. */
export const SETTLE_MS = 10 * MINUTE_MS

export function aMember(f: Finding): Member {
  return {
    id: f.id,
    incident: '',
    rev: f.rev,
    kind: f.kind,
    subtype: f.subtype ?? '',
    scope: { type: f.scope.type, id: f.scope.id },
    detector: f.detector,
    parent: f.parent ?? '',
    severity: f.severity,
    cause: f.cause ?? '',
    momentary: f.momentary === true,
    withdrawn: f.withdrawn === true,
    planned: f.evidence.some((e) => e.what === PLANNED_EVIDENCE) || f.subtype === 'planned',
    startedMs: parseIso(f.startedAt),
    detectedMs: parseIso(f.detectedAt),
    updatedMs: parseIso(f.updatedAt),
    clearedMs: f.clearedAt === null ? null : parseIso(f.clearedAt),
    affected: f.affected ?? [],
    size: f.size ?? {},
    candidates: (f.candidates ?? []).slice(0, 5).map((c) => c.id),
    areas: f.evidence.flatMap((e) => (Array.isArray(e[FEEDERS]) ? (e[FEEDERS] as unknown[]).filter((x) => typeof x === 'string') : [])),
  }
}

/** Evidence with this attribute names the feeders that a substation's outage takes with it. */
const FEEDERS = 'feeders'

/** Evidence with this name says that an operation known beforehand explains the finding; detectors add it. */
export const PLANNED_EVIDENCE = 'planned-operation'

/** Findings of an incident that were not withdrawn, in order of arrival. */
export function membersOf(state: IncidentState, incident: Incident): Member[] {
  const out: Member[] = []
  for (const id of incident.members) {
    const m = state.findings.get(id)
    if (m !== undefined && !m.withdrawn) out.push(m)
  }
  return out
}

/** The facts about an incident that all stages ask for, from its findings as they are now. */
export interface Facts {
  incident: Incident
  /** Not withdrawn. */
  members: Member[]
  active: Member[]
  /** The one that names the incident: active before ended, wide before narrow, severe before mild, then the first. */
  lead: Member | undefined
  startedMs: number
  detectedMs: number
  /** Newest revision of any finding, withdrawn ones included. */
  updatedMs: number
  /** When the last finding ended; null while one is active or when all were withdrawn. */
  clearedMs: number | null
  severity: Severity
  affected: string[]
}

const SCOPE_RANK: Record<string, number> = {
  sensor: 0,
  meter: 0,
  premise: 0,
  gateway: 1,
  transformer: 1,
  feeder: 2,
  dma: 2,
  substation: 3,
  network: 4,
}
const SEVERITY_RANK: Record<Severity, number> = { warning: 0, minor: 1, major: 2, critical: 3 }

export function scopeRank(scope: Scope): number {
  return SCOPE_RANK[scope.type] ?? 0
}

export function severityRank(s: Severity): number {
  return SEVERITY_RANK[s]
}

export function factsOf(state: IncidentState, incident: Incident): Facts {
  const members = membersOf(state, incident)
  const active = members.filter((m) => m.clearedMs === null)
  const speakers = active.length > 0 ? active : members
  let lead = speakers[0]
  for (const m of speakers) if (lead !== undefined && leads(m, lead)) lead = m
  let startedMs = Number.POSITIVE_INFINITY
  let detectedMs = Number.POSITIVE_INFINITY
  let clearedMs: number | null = active.length > 0 ? null : Number.NEGATIVE_INFINITY
  for (const m of members) {
    startedMs = Math.min(startedMs, m.startedMs)
    detectedMs = Math.min(detectedMs, m.detectedMs)
    if (clearedMs !== null && m.clearedMs !== null) clearedMs = Math.max(clearedMs, m.clearedMs)
  }
  let updatedMs = 0
  for (const id of incident.members) updatedMs = Math.max(updatedMs, state.findings.get(id)?.updatedMs ?? 0)
  const affected = new Set<string>()
  for (const m of speakers) for (const id of m.affected) affected.add(id)
  return {
    incident,
    members,
    active,
    lead,
    startedMs,
    detectedMs,
    updatedMs,
    clearedMs: clearedMs === Number.NEGATIVE_INFINITY ? null : clearedMs,
    severity: lead?.severity ?? 'warning',
    affected: [...affected].sort(),
  }
}

function leads(a: Member, b: Member): boolean {
  const wide = scopeRank(a.scope) - scopeRank(b.scope)
  if (wide !== 0) return wide > 0
  return severityRank(a.severity) > severityRank(b.severity)
}

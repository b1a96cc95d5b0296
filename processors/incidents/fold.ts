// Findings to ticket intents, as Alertmanager turns alerts into notifications: group, inhibit, silence, decide. Pure: the same
// findings in the same order give the same intents, and a finding that comes again (same id, same or lower rev) gives none.
import type { Finding } from '#model/finding.ts'
import type { TicketIntent } from '#model/ticket.ts'
import { decide } from './decide.ts'
import { group } from './group.ts'
import { aMember, createIncidentState, type Facts, factsOf, type IncidentState, REMEMBER_MS, type ZoneIncidents } from './incident.ts'
import { type Inhibition, inhibit, sourcesOf } from './inhibit.ts'
import { silence } from './silence.ts'

export { createIncidentState, type IncidentState } from './incident.ts'

export interface IncidentFold {
  create(): IncidentState
  /** One finding, any revision, in the order of the `findings` topic. Changes `state` in place. */
  apply(state: IncidentState, finding: Finding): TicketIntent[]
  /**
   * Log time went on (the lowest watermark of all partitions): opens what has lasted long enough, or is no longer muted.
   * Without it these open with the next finding of their zone.
   */
  tick(state: IncidentState, nowMs: number): TicketIntent[]
}

export function createIncidentFold(): IncidentFold {
  return { create: createIncidentState, apply, tick }
}

function apply(state: IncidentState, finding: Finding): TicketIntent[] {
  let zone = state.zones.get(finding.zone)
  if (zone === undefined) {
    zone = { nowMs: 0, findings: new Map(), incidents: new Map() }
    state.zones.set(finding.zone, zone)
  }
  const known = zone.findings.get(finding.id)
  if (known !== undefined && finding.rev <= known.rev) return []
  const member = aMember(finding)
  if (known === undefined && member.updatedMs < zone.nowMs - REMEMBER_MS) {
    state.ignored += 1
    return []
  }
  const grouping = group(zone, member)
  member.incident = grouping.key === '' ? member.id : grouping.key
  zone.findings.set(member.id, member)
  const incident = zone.incidents.get(member.incident)
  if (incident === undefined) {
    const { id } = member
    zone.incidents.set(id, { key: id, family: grouping.family, zone: finding.zone, members: [id], intent: null, inhibitedBy: '' })
  } else if (grouping.reason !== 'same_finding') incident.members.push(member.id)
  zone.nowMs = Math.max(zone.nowMs, member.updatedMs)
  return evaluate(zone, zone.nowMs)
}

function tick(state: IncidentState, nowMs: number): TicketIntent[] {
  const out: TicketIntent[] = []
  for (const [id, zone] of state.zones) {
    if (nowMs <= zone.nowMs) continue
    zone.nowMs = nowMs
    out.push(...evaluate(zone, nowMs))
    if (zone.incidents.size === 0) state.zones.delete(id)
  }
  return out
}

/** Re-decides every incident of a zone: one finding may mute or free others. Zones have few incidents at a time. */
function evaluate(zone: ZoneIncidents, nowMs: number): TicketIntent[] {
  forget(zone, nowMs)
  const all = new Map<string, Facts>()
  for (const incident of zone.incidents.values()) all.set(incident.key, factsOf(zone, incident))
  const inhibitions = new Map<string, Inhibition>()
  const sources = sourcesOf(all.values())
  for (const [key, f] of all) inhibitions.set(key, inhibit(f, sources, nowMs))
  const absorbed = new Map<string, string[]>()
  for (const [key, { by }] of inhibitions) {
    const f = all.get(key) as Facts
    f.incident.inhibitedBy = by
    if (by !== '') absorbed.set(by, [...(absorbed.get(by) ?? []), ...f.members.map((m) => m.id)].sort())
  }
  const out: TicketIntent[] = []
  for (const [key, f] of all) {
    const { intent } = decide(f, {
      absorbed: absorbed.get(key) ?? [],
      inhibition: inhibitions.get(key) as Inhibition,
      silence: silence(f, nowMs),
      nowMs,
    })
    if (intent === null) continue
    f.incident.intent = intent
    out.push(intent)
  }
  return out
}

function forget(zone: ZoneIncidents, nowMs: number): void {
  for (const [key, incident] of zone.incidents) {
    let newest = 0
    let ended = true
    for (const id of incident.members) {
      const m = zone.findings.get(id)
      if (m === undefined) continue
      newest = Math.max(newest, m.updatedMs, m.clearedMs ?? 0)
      if (m.clearedMs === null && !m.withdrawn) ended = false
    }
    if (!ended || newest >= nowMs - REMEMBER_MS) continue
    for (const id of incident.members) zone.findings.delete(id)
    zone.incidents.delete(key)
  }
}

// Findings to ticket intents, as Alertmanager turns alerts into notifications: group, inhibit, silence, decide. Pure: the same
// findings in the same order give the same intents, and a finding that comes again (same id, same or lower rev) gives none.
// A finding re-decides its own incident and those that it can mute or free, found by place; nothing else, so that a storm over a whole
// town costs what its findings cost, and not what is open.
import type { Finding } from '#model/finding.ts'
import type { IncidentDecision, TicketIntent } from '#model/ticket.ts'
import { toIso } from '#model/time.ts'
import { decide } from './decide.ts'
import { popDue, pushDue } from './due.ts'
import { group } from './group.ts'
import { aMember, createIncidentState, type Facts, type Incident, type IncidentState, REMEMBER_MS, upgrade } from './incident.ts'
import { type Inhibition, inhibit } from './inhibit.ts'
import { add, at, enter, leave, metersOf, type Places, placesOf, remove, sourcesFor, targetsOf } from './places.ts'
import { type Silence, silence } from './silence.ts'

export { createIncidentState, type IncidentState } from './incident.ts'

export interface IncidentFold {
  create(): IncidentState
  /** One finding, any revision, in the order of the `findings` topic. Changes `state` in place. `onDecision` hears of what has no ticket. */
  apply(state: IncidentState, finding: Finding, onDecision?: OnDecision): TicketIntent[]
  /**
   * Log time went on (the lowest watermark of all partitions): opens what has lasted long enough, or is no longer muted.
   * Without it these open with the next finding of any zone.
   */
  tick(state: IncidentState, nowMs: number, onDecision?: OnDecision): TicketIntent[]
}

export type OnDecision = (decision: IncidentDecision) => void

export function createIncidentFold(): IncidentFold {
  return { create: createIncidentState, apply, tick }
}

/**
 * An incident that mutes fewer than this many others lists each at once; beyond, what it lists is brought up to date with the next
 * tick: a feeder with a thousand premises would otherwise be sent a thousand times with a list that grows.
 */
const LISTED_AT_ONCE = 20

function apply(state: IncidentState, finding: Finding, onDecision?: OnDecision): TicketIntent[] {
  upgrade(state)
  const known = state.findings.get(finding.id)
  if (known !== undefined && finding.rev <= known.rev) return []
  const member = aMember(finding)
  if (known === undefined && member.updatedMs < state.nowMs - REMEMBER_MS) {
    state.ignored += 1
    return []
  }
  const places = placesOf(state)
  const grouping = group(state, places, member)
  member.incident = grouping.key === '' ? member.id : grouping.key
  state.findings.set(member.id, member)
  let incident = state.incidents.get(member.incident)
  if (incident === undefined) {
    const why = { group: grouping.reason, inhibit: 'none', silence: 'none', decide: 'unchanged' }
    incident = {
      key: member.id,
      family: grouping.family,
      zone: finding.zone,
      members: [member.id],
      intent: null,
      inhibitedBy: '',
      why,
      dueMs: 0,
    }
    state.incidents.set(member.id, incident)
  } else if (grouping.reason !== 'same_finding') {
    incident.members.push(member.id)
    incident.why.group = grouping.reason
  }
  state.nowMs = Math.max(state.nowMs, member.updatedMs)
  const touched = dueNow(state, places)
  touched.add(incident.key)
  const { before, now } = enter(places, state, incident)
  if (before === undefined || matters(before, now)) for (const key of reach(places, before, now)) touched.add(key)
  return evaluate(state, places, touched, onDecision)
}

function tick(state: IncidentState, nowMs: number, onDecision?: OnDecision): TicketIntent[] {
  upgrade(state)
  if (nowMs <= state.nowMs) return []
  state.nowMs = nowMs
  const places = placesOf(state)
  const touched = dueNow(state, places)
  for (const key of state.deferred) touched.add(key)
  state.deferred.clear()
  return touched.size === 0 ? [] : evaluate(state, places, touched, onDecision)
}

/** Whether others may be muted or freed by what changed of an incident. */
function matters(a: Facts, b: Facts): boolean {
  return (
    a.startedMs !== b.startedMs ||
    a.clearedMs !== b.clearedMs ||
    a.severity !== b.severity ||
    a.lead?.scope.type !== b.lead?.scope.type ||
    a.lead?.subtype !== b.lead?.subtype ||
    a.members.length !== b.members.length ||
    (b.clearedMs !== null && a.updatedMs !== b.updatedMs) ||
    a.affected.length !== b.affected.length ||
    a.affected.some((m, i) => m !== b.affected[i])
  )
}

/** Incidents that may be muted or freed. When only the list of meters changed, those of the meters that came or went. */
function reach(places: Places, before: Facts | undefined, now: Facts): Set<string> {
  const meters = metersOf(now)
  if (before === undefined) return targetsOf(places, now, meters)
  const listOnly = !matters({ ...before, affected: now.affected }, now)
  if (!listOnly) {
    const out = targetsOf(places, now, [...new Set([...meters, ...metersOf(before)])])
    for (const key of at(places.muted, now.incident.key)) out.add(key)
    return out
  }
  const old = new Set(metersOf(before))
  const changed = meters.filter((m) => !old.delete(m))
  return targetsOf(places, now, [...changed, ...old])
}

/** Takes what is due out of the heap, and what ended long ago out of the state. */
function dueNow(state: IncidentState, places: Places): Set<string> {
  const out = new Set<string>()
  for (let due = popDue(places.due, state.nowMs); due !== undefined; due = popDue(places.due, state.nowMs)) {
    const incident = state.incidents.get(due.key)
    // An entry whose incident has another time by now is passed over.
    if (incident?.dueMs !== due.atMs) continue
    incident.dueMs = 0
    if (forgettableAt(places.facts.get(due.key) as Facts, state) <= state.nowMs) forget(state, places, incident, out)
    else out.add(due.key)
  }
  return out
}

/** When an incident may be forgotten; never while one of its findings goes on. */
function forgettableAt(f: Facts, state: IncidentState): number {
  if (f.active.length > 0) return Number.POSITIVE_INFINITY
  let newest = f.updatedMs
  for (const id of f.incident.members) newest = Math.max(newest, state.findings.get(id)?.clearedMs ?? 0)
  return newest + REMEMBER_MS + 1
}

/** With an incident goes what it mutes and has ended: on its own it would look like news. What goes on stands for itself from now on. */
function forget(state: IncidentState, places: Places, incident: Incident, touched: Set<string>): void {
  const muted = [...at(places.muted, incident.key)].sort()
  leave(places, state, incident)
  for (const id of incident.members) state.findings.delete(id)
  state.incidents.delete(incident.key)
  state.deferred.delete(incident.key)
  touched.delete(incident.key)
  for (const key of muted) {
    const other = state.incidents.get(key)
    if (other === undefined) continue
    if ((places.facts.get(key) as Facts).active.length === 0) forget(state, places, other, touched)
    else touched.add(key)
  }
}

/** Re-decides the incidents named, and those whose list of muted ones changes with them. In order of keys, so that a fold loaded from its state says the same. */
function evaluate(state: IncidentState, places: Places, touched: Set<string>, onDecision?: OnDecision): TicketIntent[] {
  const inhibitions = new Map<string, Inhibition>()
  const decided = new Set<string>()
  for (const key of [...touched].sort()) {
    const f = places.facts.get(key)
    if (f === undefined) continue
    inhibitions.set(key, inhibitNow(state, places, f, decided))
    decided.add(key)
  }
  const out: TicketIntent[] = []
  for (const key of [...decided].sort()) {
    const f = places.facts.get(key)
    if (f === undefined) continue
    const inhibition = inhibitions.get(key) ?? inhibit(f, sourcesFor(places, state, f), state.nowMs)
    const said = silence(f, state.nowMs)
    const { absorbed, muted } = mutedBy(places, f)
    const { intent, reason } = decide(f, { absorbed, inhibition, silence: said, nowMs: state.nowMs })
    const why = { group: f.incident.why.group, inhibit: inhibition.reason, silence: said.reason, decide: reason }
    const news = f.incident.why.decide !== reason || f.incident.why.silence !== said.reason
    f.incident.why = why
    if (f.incident.intent === null && intent === null && news) onDecision?.(decisionOf(f, state.nowMs))
    schedule(state, places, f, inhibition, said)
    if (intent === null) continue
    f.incident.intent = { ...intent, why: { ...f.incident.why, ...(absorbed.length === 0 ? {} : { muted }) } }
    out.push(f.incident.intent)
  }
  return out
}

function decisionOf(f: Facts, nowMs: number): IncidentDecision {
  const { incident, lead } = f
  return {
    type: 'decision',
    key: incident.key,
    zone: incident.zone,
    scope: lead === undefined ? { type: '', id: '' } : { ...lead.scope },
    findings: [...incident.members],
    why: { ...incident.why },
    mutedBy: incident.inhibitedBy,
    at: toIso(nowMs),
  }
}

/** What mutes an incident now; those that mute it no longer, or from now on, are to be decided too. */
function inhibitNow(state: IncidentState, places: Places, f: Facts, decided: Set<string>): Inhibition {
  const inhibition = inhibit(f, sourcesFor(places, state, f), state.nowMs)
  const { incident } = f
  incident.why.inhibit = inhibition.reason
  const old = incident.inhibitedBy
  if (inhibition.by === old) {
    // Its own findings may have become more or fewer.
    if (old !== '') lists(state, places, old, decided)
    return inhibition
  }
  incident.inhibitedBy = inhibition.by
  if (old !== '') {
    remove(places.muted, old, incident.key)
    decided.add(old)
  }
  if (inhibition.by !== '') {
    add(places.muted, inhibition.by, incident.key)
    lists(state, places, inhibition.by, decided)
  }
  return inhibition
}

function lists(state: IncidentState, places: Places, key: string, decided: Set<string>): void {
  if (at(places.muted, key).size < LISTED_AT_ONCE) decided.add(key)
  else state.deferred.add(key)
}

function mutedBy(places: Places, f: Facts): { absorbed: string[]; muted: Record<string, number> } {
  const absorbed: string[] = []
  const muted: Record<string, number> = {}
  for (const key of [...at(places.muted, f.incident.key)].sort()) {
    const other = places.facts.get(key)
    if (other === undefined) continue
    for (const m of other.members) absorbed.push(m.id)
    const { inhibit: reason } = other.incident.why
    muted[reason] = (muted[reason] ?? 0) + 1
  }
  return { absorbed: absorbed.sort(), muted }
}

function schedule(state: IncidentState, places: Places, f: Facts, inhibition: Inhibition, said: Silence): void {
  let dueMs = forgettableAt(f, state)
  for (const ms of [inhibition.againMs, said.untilMs]) if (ms > state.nowMs && ms < dueMs) dueMs = ms
  const next = Number.isFinite(dueMs) ? Math.max(dueMs, state.nowMs + 1) : 0
  if (next === f.incident.dueMs) return
  f.incident.dueMs = next
  if (next > 0) pushDue(places.due, { atMs: next, key: f.incident.key })
}

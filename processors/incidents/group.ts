// First stage: which incident a finding belongs to. An incident is one event of the world at one place; another place is another
// incident, which the second stage may mute.
import { DAY_MS } from '#model/time.ts'
import { type Facts, type Family, familyOf, type IncidentState, type Member, SETTLE_MS } from './incident.ts'
import { at, type Places, placeKey } from './places.ts'

export const GROUP_REASONS = [
  'same_finding', // a later revision
  'repeat_of_parent', // its detector says so
  'same_event', // the same place at the same time, seen in another way
  'returned', // the same place again, right after it had ended
  'new_incident',
] as const
export type GroupReason = (typeof GROUP_REASONS)[number]

export interface Grouping {
  /** Key of the incident it joins; '' for a new one. */
  key: string
  family: Family
  reason: GroupReason
}

/**
 * Two detectors that see one leak date its onset within a day of each other: night-flow methods have a resolution of one night.
 * One detector never reports one event under two ids, so its second finding is a second leak.
 */
const LEAK_ONSET_MS = DAY_MS

export function group(state: IncidentState, places: Places, m: Member): Grouping {
  const family = familyOf(m.kind)
  const known = state.findings.get(m.id)
  if (known !== undefined) return { key: known.incident, family, reason: 'same_finding' }
  const parent = state.findings.get(m.parent)
  if (parent !== undefined && familyOf(parent.kind) === family && samePlace(parent, m)) {
    return { key: parent.incident, family, reason: 'repeat_of_parent' }
  }
  for (const key of [...at(places.place, placeKey(family, m.scope.type, m.scope.id))].sort()) {
    const facts = places.facts.get(key)
    const reason = facts === undefined ? undefined : joins(facts, m)
    if (reason !== undefined) return { key, family, reason }
  }
  return { key: '', family, reason: 'new_incident' }
}

function joins(f: Facts, m: Member): GroupReason | undefined {
  const { members, startedMs, clearedMs } = f
  if (members.length === 0 || !members.every((o) => samePlace(o, m))) return undefined
  if (f.incident.family === 'leak') {
    const other = members.every((o) => o.detector !== m.detector && Math.abs(o.startedMs - m.startedMs) <= LEAK_ONSET_MS)
    return other ? 'same_event' : undefined
  }
  if (clearedMs === null) return m.clearedMs === null || m.clearedMs >= startedMs ? 'same_event' : undefined
  return m.startedMs <= clearedMs + SETTLE_MS && m.startedMs >= startedMs - SETTLE_MS ? 'returned' : undefined
}

/** The subtype belongs to the place where it says what is wrong with a device. */
function samePlace(a: Member, b: Member): boolean {
  return a.scope.type === b.scope.type && a.scope.id === b.scope.id && (a.kind === 'outage' || a.subtype === b.subtype)
}

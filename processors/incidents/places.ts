// Where to look for the incidents that one incident touches: by place, by zone, by meter, by parent. Derived from the state, never
// stored: a fold of tens of thousands of findings asks only those that a finding can concern.
import { type Due, pushDue } from './due.ts'
import { type Facts, type Family, factsOf, familyOf, type Incident, type IncidentState, type Member } from './incident.ts'

type Keys = Map<string, Set<string>>

export interface Places {
  /** Incident -> what is known of it now. */
  facts: Map<string, Facts>
  /** Family and scope -> incidents there. */
  place: Keys
  /** Family and zone -> incidents in it. */
  zone: Keys
  /** Meter -> incidents that list it as affected, or are about it. */
  meter: Keys
  /** Finding -> incidents with a finding that names it as its parent. */
  child: Keys
  /** Incident -> incidents that it mutes. */
  muted: Keys
  due: Due[]
}

const KNOWN = new WeakMap<IncidentState, Places>()

/** The places of a state: kept beside it, made anew for a state that was loaded. */
export function placesOf(state: IncidentState): Places {
  let p = KNOWN.get(state)
  if (p === undefined) {
    p = { facts: new Map(), place: new Map(), zone: new Map(), meter: new Map(), child: new Map(), muted: new Map(), due: [] }
    for (const incident of state.incidents.values()) {
      enter(p, state, incident)
      if (incident.inhibitedBy !== '') add(p.muted, incident.inhibitedBy, incident.key)
      if (incident.dueMs > 0) pushDue(p.due, { atMs: incident.dueMs, key: incident.key })
    }
    KNOWN.set(state, p)
  }
  return p
}

const NONE: ReadonlySet<string> = new Set()
export const placeKey = (family: Family, type: string, id: string) => `${family} ${type} ${id}`
export const zoneKey = (family: Family, zone: string) => `${family} ${zone}`

export function at(keys: Keys, key: string): ReadonlySet<string> {
  return keys.get(key) ?? NONE
}

export function add(keys: Keys, key: string, value: string): void {
  const set = keys.get(key)
  if (set === undefined) keys.set(key, new Set([value]))
  else set.add(value)
}

export function remove(keys: Keys, key: string, value: string): void {
  const set = keys.get(key)
  if (set?.delete(value) === true && set.size === 0) keys.delete(key)
}

/** Meters an incident is about: those affected, else the one it names. */
export function metersOf(f: Facts): readonly string[] {
  if (f.affected.length > 0) return f.affected
  const type = f.lead?.scope.type
  return f.lead !== undefined && (type === 'meter' || type === 'premise') ? [f.lead.scope.id] : []
}

/** Takes an incident in, or what changed of it. Returns the facts as they were before, undefined for a new one, and as they are. */
export function enter(p: Places, state: IncidentState, incident: Incident): { before: Facts | undefined; now: Facts } {
  const before = p.facts.get(incident.key)
  const now = factsOf(state, incident)
  p.facts.set(incident.key, now)
  if (before === undefined) {
    const first = state.findings.get(incident.members[0] as string) as Member
    add(p.place, placeKey(incident.family, first.scope.type, first.scope.id), incident.key)
    add(p.zone, zoneKey(incident.family, incident.zone), incident.key)
    if (isWide(first)) add(p.zone, WIDE, incident.key)
  }
  const old = before === undefined ? [] : metersOf(before)
  const fresh = metersOf(now)
  if (old.length !== fresh.length || old.some((m, i) => m !== fresh[i])) {
    for (const m of old) remove(p.meter, m, incident.key)
    for (const m of fresh) add(p.meter, m, incident.key)
  }
  for (const m of now.members) if (m.parent !== '') add(p.child, m.parent, incident.key)
  return { before, now }
}

export function leave(p: Places, state: IncidentState, incident: Incident): void {
  const first = state.findings.get(incident.members[0] as string) as Member
  remove(p.place, placeKey(familyOf(first.kind), first.scope.type, first.scope.id), incident.key)
  remove(p.zone, zoneKey(incident.family, incident.zone), incident.key)
  if (isWide(first)) remove(p.zone, WIDE, incident.key)
  const f = p.facts.get(incident.key)
  if (f !== undefined) for (const m of metersOf(f)) remove(p.meter, m, incident.key)
  for (const id of incident.members) {
    const parent = state.findings.get(id)?.parent ?? ''
    if (parent !== '') remove(p.child, parent, incident.key)
  }
  if (incident.inhibitedBy !== '') remove(p.muted, incident.inhibitedBy, incident.key)
  p.muted.delete(incident.key)
  p.facts.delete(incident.key)
}

/** Incidents that can mute this one. */
export function sourcesFor(p: Places, state: IncidentState, f: Facts): Facts[] {
  const keys = new Set<string>()
  const take = (from: ReadonlySet<string>) => {
    for (const k of from) keys.add(k)
  }
  const id = f.lead?.scope.id ?? ''
  switch (f.incident.family) {
    case 'outage':
      take(at(p.place, placeKey('outage', 'feeder', f.incident.zone)))
      for (const m of metersOf(f)) take(at(p.meter, m))
      for (const m of f.members) {
        const parent = state.findings.get(m.parent)
        if (parent !== undefined) keys.add(parent.incident)
      }
      // Above the feeders there are few.
      take(at(p.zone, WIDE))
      break
    case 'pressure':
      take(at(p.zone, zoneKey('leak', f.incident.zone)))
      take(at(p.place, placeKey('sensor', 'sensor', id)))
      break
    case 'usage':
    case 'comms':
      take(at(p.meter, id))
  }
  keys.delete(f.incident.key)
  return [...keys].sort().flatMap((k) => p.facts.get(k) ?? [])
}

/** Incidents that this one can mute: those whose answer may change when it does. `meters` are those whose standing changed. */
export function targetsOf(p: Places, f: Facts, meters: readonly string[]): Set<string> {
  const keys = new Set<string>()
  const take = (from: ReadonlySet<string>) => {
    for (const k of from) keys.add(k)
  }
  switch (f.incident.family) {
    case 'outage':
      for (const m of meters) take(at(p.meter, m))
      for (const id of f.incident.members) take(at(p.child, id))
      for (const zone of areasOf(f)) take(at(p.zone, zoneKey('outage', zone)))
      break
    case 'leak':
      take(at(p.zone, zoneKey('pressure', f.incident.zone)))
      break
    case 'sensor':
      take(at(p.place, placeKey('pressure', 'sensor', f.lead?.scope.id ?? '')))
      break
    case 'usage':
    case 'comms':
      for (const m of meters) take(at(p.meter, m))
  }
  keys.delete(f.incident.key)
  return keys
}

/** Feeders that are out as a whole: the one it names, those of its substation. */
export function areasOf(f: Facts): readonly string[] {
  if (f.lead === undefined) return []
  return f.lead.scope.type === 'feeder' ? [f.lead.scope.id] : f.lead.areas
}

/** Under this zone the incidents above feeders are found, wherever they are. */
export const WIDE = 'outage above feeders'

function isWide(m: Member): boolean {
  return m.kind === 'outage' && (m.scope.type === 'substation' || m.scope.type === 'network')
}

// Suppress by design: which alarms another fact explains, so that the shift sees the cause and not its hundred consequences. Pure.
import type { AlarmView, SuppressionRule } from '#model/alarm.ts'
import type { Operation } from '#model/asset.ts'
import type { FindingKind } from '#model/finding.ts'
import type { Alarm } from './state.ts'

/** What the registry says of an alarm's place. */
export interface Place {
  gateway?: string | undefined
  transformer?: string | undefined
  feeder?: string | undefined
  substation?: string | undefined
  dma?: string | undefined
}

export interface Surroundings {
  /** Active alarms by `kind:scope type:scope id`; suppressed ones too, so that a chain holds to its root. */
  active: ReadonlyMap<string, Alarm>
  /** Ids of findings of active alarms -> key of the alarm. */
  byFinding: ReadonlyMap<string, string>
  /** Parent of a finding, by its id. */
  parents: ReadonlyMap<string, string>
  /** Planned work that goes on now and is known. */
  operations: readonly Operation[]
  /** By id of the scope. */
  places: ReadonlyMap<string, Place>
}

/** What each kind of planned work explains. */
const EXPLAINS: Record<Operation['kind'], readonly FindingKind[]> = {
  hydrant: ['burst', 'leak', 'low_pressure'],
  valve: ['burst', 'leak', 'low_pressure'],
  pump: ['low_pressure', 'burst'],
  prv: ['low_pressure', 'burst'],
  planned_outage: ['outage', 'comms_failure'],
  meter_exchange: ['comms_failure', 'abnormal_usage', 'outage', 'clock_fault'],
  holiday: [],
}

type Suppression = NonNullable<AlarmView['suppressed']>

/** Why an alarm should be quiet now; null when nothing explains it. The first rule that holds counts. */
export function suppressionOf(a: Alarm, s: Surroundings): Suppression | null {
  return plannedWork(a, s) ?? widerOutage(a, s) ?? parentAlarm(a, s) ?? gatewaySilent(a, s)
}

const because = (rule: SuppressionRule, by: string): Suppression => ({ rule, by })

function plannedWork(a: Alarm, s: Surroundings): Suppression | null {
  const place = s.places.get(a.scope.id)
  const here = new Set([a.scope.id, a.zone, ...Object.values(place ?? {})].filter((x) => x !== undefined && x !== ''))
  const work = s.operations.find((o) => EXPLAINS[o.kind].includes(a.kind) && (o.scopeType === 'network' || here.has(o.scope)))
  return work === undefined ? null : because('planned_work', `${work.kind} ${work.scope}`)
}

function widerOutage(a: Alarm, s: Surroundings): Suppression | null {
  if (a.kind !== 'outage' && a.kind !== 'comms_failure') return null
  const place = s.places.get(a.scope.id) ?? {}
  const wider: [string, string | undefined][] = [
    ['substation', a.scope.type === 'substation' ? undefined : place.substation],
    ['feeder', ['substation', 'feeder'].includes(a.scope.type) ? undefined : (place.feeder ?? a.zone)],
    ['transformer', ['premise', 'meter'].includes(a.scope.type) ? place.transformer : undefined],
  ]
  for (const [type, id] of wider) {
    const key = `outage:${type}:${id}`
    if (id !== undefined && key !== a.key && s.active.has(key)) return because('wider_outage', key)
  }
  return null
}

/** The detector itself named what this is a child of. */
function parentAlarm(a: Alarm, s: Surroundings): Suppression | null {
  const parent = s.parents.get(a.finding)
  const key = parent === undefined ? undefined : s.byFinding.get(parent)
  return key === undefined || key === a.key ? null : because('parent_alarm', key)
}

/** What a device does not say cannot be judged while its gateway is silent. */
function gatewaySilent(a: Alarm, s: Surroundings): Suppression | null {
  if (a.kind !== 'comms_failure' && a.kind !== 'sensor_fault') return null
  if (a.scope.type === 'gateway') return null
  const gateway = s.places.get(a.scope.id)?.gateway
  const key = `comms_failure:gateway:${gateway}`
  return gateway !== undefined && s.active.has(key) ? because('gateway_silent', key) : null
}

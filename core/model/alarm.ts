// Alarms as a shift sees them, after ISA-18.2 (IEC 62682): one alarm per condition and place, however often a finding comes and goes.
import type { Finding, FindingKind, Scope, Severity } from './finding.ts'

/**
 * States of IEC 62682, figure 6. `pending`: the condition holds, its delay has not passed. `returned`: over, nobody has acknowledged it.
 * `latched`: over, and stays until a person resets it. `alert`: not the shift's to answer, the desk has it.
 */
export const ALARM_STATES = [
  'normal',
  'pending',
  'unacknowledged',
  'acknowledged',
  'returned',
  'latched_unacknowledged',
  'latched',
  'shelved',
  'suppressed',
  'out_of_service',
  'alert',
] as const
export type AlarmState = (typeof ALARM_STATES)[number]

/** What a person may do to an alarm. */
export const ALARM_ACTIONS = ['acknowledge', 'reset', 'shelve', 'unshelve', 'out_of_service', 'return_to_service', 'note'] as const
export type AlarmAction = (typeof ALARM_ACTIONS)[number]

/** What happens to an alarm without a person. */
export const ALARM_EVENTS = [
  'activate',
  'annunciate',
  'escalate',
  'fleeting',
  'over_before_known',
  'return',
  'shelf_expired',
  'suppress',
  'unsuppress',
  'lapse',
] as const
export type AlarmEvent = (typeof ALARM_EVENTS)[number]

/** Why an alarm is suppressed by design. */
export const SUPPRESSION_RULES = ['planned_work', 'wider_outage', 'parent_alarm', 'gateway_silent'] as const
export type SuppressionRule = (typeof SUPPRESSION_RULES)[number]

/**
 * 1 urgent: act within 5 minutes; 2 high: within 15; 3 low: within the hour; 4 alert: no answer of the shift, no sound, not counted in
 * its rates (ISA-18.2: what needs no timely action of an operator is no alarm).
 */
export type AlarmPriority = 1 | 2 | 3 | 4
export const RESPOND_MINUTES: Record<1 | 2 | 3, number> = { 1: 5, 2: 15, 3: 60 }

export interface AlarmView {
  /** Condition and place: `outage:feeder:F-3`, `abnormal_usage.bypass:meter:E-7`. */
  key: string
  kind: FindingKind
  subtype: string
  scope: Scope
  zone: string
  /** The finding it is about now, or was about last. */
  finding: string
  severity: Severity
  priority: AlarmPriority
  state: AlarmState
  /** The condition holds. */
  active: boolean
  /** Epoch ms of the log clock, 0 when never. */
  activeSinceMs: number
  annunciatedMs: number
  clearedMs: number
  acknowledged: { by: string; atMs: number } | null
  shelved: { untilMs: number; by: string; reason: string } | null
  outOfService: { by: string; atMs: number; reason: string } | null
  suppressed: { rule: SuppressionRule; by: string } | null
  /** How often it was annunciated in the last 24 hours of log time. */
  annunciations24h: number
  chattering: boolean
  version: number
  /** What a person may do now, in the order to offer it. */
  actions: AlarmAction[]
}

export interface AlarmChange {
  version: number
  atMs: number
  who: string
  action: AlarmAction | AlarmEvent
  from: AlarmState
  to: AlarmState
  priority: AlarmPriority
  finding: string
  reason: string
}

/** The load on the shift, by the log clock. */
export interface AlarmLoad {
  /** Annunciations of the last ten minutes and of the last hour. */
  last10Min: number
  lastHour: number
  /** A flood has lasted since then; null when there is none. */
  floodSinceMs: number | null
  standing: number
  unacknowledged: number
  shelved: number
  suppressed: number
  outOfService: number
  /** Standing for more than 24 hours. */
  stale: number
  chattering: number
}

/** A flood begins at ten annunciations in ten minutes and ends below five (ISA-18.2, EEMUA 191). */
export const FLOOD = { windowMs: 600_000, begin: 10, end: 5 } as const
export const STALE_MS = 86_400_000
/** Chattering: at least so often within the window. Meters report every few minutes, so the minute of ISA-18.2 would never see it. */
export const CHATTER = { windowMs: 3_600_000, times: 3 } as const

/** Condition and place of a finding: what repeats under another finding's id is the same alarm. */
export function alarmKey(f: Pick<Finding, 'kind' | 'subtype' | 'scope'>): string {
  return `${f.kind}${f.subtype === undefined ? '' : `.${f.subtype}`}:${f.scope.type}:${f.scope.id}`
}

export interface Flood {
  fromMs: number
  /** Null while it lasts. */
  toMs: number | null
  alarms: number
  /** Most annunciations in any ten minutes of it. */
  peak: number
}

/** Floods in annunciation times (ascending), as seen at `nowMs`. */
export function floodsOf(times: readonly number[], nowMs: number): Flood[] {
  const out: Flood[] = []
  let current: Flood | undefined
  let first = 0
  const endBefore = (limitMs: number, next: number) => {
    // Between two annunciations the count only falls: it falls below `end` when the one `end` places back leaves the window.
    if (current === undefined) return
    const leaves = times[next - FLOOD.end]
    const atMs = leaves === undefined ? (times[next - 1] ?? 0) : leaves + FLOOD.windowMs
    if (atMs > limitMs) return
    current.toMs = atMs
    current = undefined
  }
  for (let i = 0; i < times.length; i++) {
    const t = times[i] as number
    endBefore(t, i)
    while ((times[first] as number) <= t - FLOOD.windowMs) first++
    const n = i - first + 1
    if (current === undefined && n >= FLOOD.begin) {
      current = { fromMs: times[first] as number, toMs: null, alarms: n, peak: n }
      out.push(current)
    } else if (current !== undefined) {
      current.alarms += 1
      current.peak = Math.max(current.peak, n)
    }
  }
  endBefore(nowMs, times.length)
  return out
}

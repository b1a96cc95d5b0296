// The rationalisation of alarms: what each condition is worth, how long it must hold, whether it stays. The defaults are ours; a utility
// replaces them, and every version says who changed it and why.
import { z } from 'zod'
import type { AlarmPriority } from '#model/alarm.ts'
import { FINDING_KINDS, type Finding, SCOPE_TYPES } from '#model/finding.ts'
import { DAY_MS, HOUR_MS, SECOND_MS } from '#model/time.ts'

export const Rule = z.object({
  kind: z.enum(FINDING_KINDS),
  /** Left out: any. */
  scope: z.enum(SCOPE_TYPES).optional(),
  priority: z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4)]),
  /** The condition must hold for so long before it calls. */
  delayOnS: z.number().min(0).max(86_400),
  /** It must be gone for so long before it counts as over: what comes back meanwhile is the same alarm. */
  delayOffS: z.number().min(0).max(86_400),
  /** Stays after its end until a person resets it. */
  latching: z.boolean(),
})
export type Rule = z.infer<typeof Rule>

export const Policy = z.object({
  /** First match counts. */
  rules: z.array(Rule).min(1).max(200),
  /** Longest time an alarm may be shelved, hours. */
  shelveHoursMax: z.number().positive().max(720),
  /** An alarm that is over and that nobody acknowledged lapses after so many hours; 0: never. */
  lapseHours: z.number().min(0).max(720),
  /** People who share the alarms of this control room. */
  operators: z.number().int().min(1).max(50),
})
export type Policy = z.infer<typeof Policy>

const rule = (kind: Rule['kind'], scope: Rule['scope'], priority: AlarmPriority, more: Partial<Rule> = {}): Rule => ({
  kind,
  ...(scope === undefined ? {} : { scope }),
  priority,
  delayOnS: 0,
  delayOffS: 0,
  latching: false,
  ...more,
})

/**
 * Priority follows consequence and time to respond. Delays are multiples of the shortest reporting interval in use (15 minutes for
 * power, 5 for pressure): the detectors have their own deadband in value, this one is in time.
 */
export const DEFAULT_POLICY: Policy = {
  rules: [
    rule('outage', 'substation', 1, { delayOffS: 300 }),
    rule('outage', 'feeder', 1, { delayOffS: 300 }),
    rule('outage', 'transformer', 2, { delayOffS: 300 }),
    rule('outage', undefined, 3, { delayOffS: 300 }),
    rule('burst', undefined, 1, { delayOffS: 900, latching: true }),
    rule('low_pressure', undefined, 2, { delayOnS: 60, delayOffS: 900 }),
    rule('overload', 'feeder', 2, { delayOffS: 1800 }),
    rule('overload', undefined, 3, { delayOffS: 1800 }),
    rule('leak', undefined, 3, { delayOffS: 3600 }),
    rule('comms_failure', 'gateway', 3, { delayOnS: 300, delayOffS: 600 }),
    rule('sensor_fault', undefined, 3, { delayOffS: 3600 }),
    // Work of a day or a week, not of a shift's minute: the desk has the ticket.
    rule('comms_failure', undefined, 4),
    rule('customer_leak', undefined, 4),
    rule('abnormal_usage', undefined, 4),
    rule('line_loss', undefined, 4),
    rule('clock_fault', undefined, 4),
  ],
  shelveHoursMax: 24,
  lapseHours: 24,
  operators: 1,
}

/** What a kind of finding without a rule is worth: low, so that nothing new is ever silent. */
const OTHER = rule('sensor_fault', undefined, 3)

export function ruleFor(policy: Policy, f: Pick<Finding, 'kind' | 'scope'>): Rule {
  return policy.rules.find((r) => r.kind === f.kind && (r.scope === undefined || r.scope === f.scope.type)) ?? OTHER
}

/** A rule's priority, one higher for a critical finding; an alert stays one. */
export function priorityOf(rule: Rule, severity: Finding['severity']): AlarmPriority {
  return rule.priority > 1 && rule.priority < 4 && severity === 'critical' ? ((rule.priority - 1) as AlarmPriority) : rule.priority
}

export const delayOnMs = (r: Rule): number => r.delayOnS * SECOND_MS
export const delayOffMs = (r: Rule): number => r.delayOffS * SECOND_MS
export const lapseMs = (p: Policy): number => (p.lapseHours === 0 ? Number.POSITIVE_INFINITY : p.lapseHours * HOUR_MS)
export const shelveMsMax = (p: Policy): number => p.shelveHoursMax * HOUR_MS
/** The journal is kept for so long. */
export const JOURNAL_MS = 400 * DAY_MS

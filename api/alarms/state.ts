// The life of one alarm: a pure fold of findings, of the log's clock and of what people do. Every step says why and is journalled.
import {
  type AlarmAction,
  type AlarmChange,
  type AlarmEvent,
  type AlarmPriority,
  type AlarmState,
  type AlarmView,
  alarmKey,
  CHATTER,
  type SuppressionRule,
} from '#model/alarm.ts'
import type { Finding, FindingKind, Scope, Severity } from '#model/finding.ts'
import { DAY_MS, toIso } from '#model/time.ts'
import { delayOffMs, delayOnMs, lapseMs, type Policy, priorityOf, ruleFor, shelveMsMax } from './policy.ts'

export interface Alarm {
  key: string
  kind: FindingKind
  subtype: string
  scope: Scope
  zone: string
  finding: string
  severity: Severity
  priority: AlarmPriority
  /** Newest revision of the findings seen last, so that a repeat changes nothing; at most SEEN_MAX. */
  seen: Record<string, number>
  /** Findings of this alarm that are open. */
  open: string[]
  /** The condition holds, or ended less than its off-delay ago. */
  active: boolean
  activeSinceMs: number
  /** It has called for attention in this activation. */
  annunciated: boolean
  annunciatedMs: number
  clearedMs: number
  /** When the on-delay or off-delay has passed; 0 when none runs. */
  dueMs: number
  acknowledged: { by: string; atMs: number } | null
  /** Over, but stays until it is reset. */
  latched: boolean
  /** Over and not acknowledged. */
  returned: boolean
  shelved: AlarmView['shelved']
  outOfService: AlarmView['outOfService']
  suppressed: AlarmView['suppressed']
  /** Times of the last annunciations, ascending; at most CALLS_MAX. */
  calls: number[]
  version: number
  updatedMs: number
}

export interface Step {
  alarm: Alarm
  changes: AlarmChange[]
}

const SEEN_MAX = 20
const CALLS_MAX = 50
export const SYSTEM = 'telemetry'

/** The state that a person sees. What keeps an alarm quiet goes before what it would say (IEC 62682, 5.7). */
export function stateOf(a: Alarm): AlarmState {
  if (a.outOfService !== null) return 'out_of_service'
  if (a.shelved !== null) return 'shelved'
  if (a.suppressed !== null && a.active) return 'suppressed'
  if (a.active) {
    if (a.priority === 4) return 'alert'
    if (!a.annunciated) return 'pending'
    return a.acknowledged === null ? 'unacknowledged' : 'acknowledged'
  }
  if (a.latched) return a.acknowledged === null ? 'latched_unacknowledged' : 'latched'
  return a.returned ? 'returned' : 'normal'
}

/** True when it may call: nothing keeps it quiet. */
const audible = (a: Alarm): boolean => a.outOfService === null && a.shelved === null && a.suppressed === null && a.priority < 4

export function newAlarm(f: Finding): Alarm {
  return {
    key: alarmKey(f),
    kind: f.kind,
    subtype: f.subtype ?? '',
    scope: f.scope,
    zone: f.zone,
    finding: f.id,
    severity: f.severity,
    priority: 4,
    seen: {},
    open: [],
    active: false,
    activeSinceMs: 0,
    annunciated: false,
    annunciatedMs: 0,
    clearedMs: 0,
    dueMs: 0,
    acknowledged: null,
    latched: false,
    returned: false,
    shelved: null,
    outOfService: null,
    suppressed: null,
    calls: [],
    version: 0,
    updatedMs: 0,
  }
}

/** Changes a copy of an alarm and writes down each step. */
class Draft {
  readonly alarm: Alarm
  readonly changes: AlarmChange[] = []
  readonly #atMs: number
  constructor(from: Alarm, atMs: number) {
    this.alarm = structuredClone(from)
    // Time never turns back within an alarm, whatever order news arrives in.
    this.#atMs = Math.max(atMs, from.updatedMs)
  }
  get atMs() {
    return this.#atMs
  }
  step(action: AlarmAction | AlarmEvent, who: string, reason: string, change: (a: Alarm) => void): void {
    const from = stateOf(this.alarm)
    change(this.alarm)
    this.alarm.version += 1
    this.alarm.updatedMs = this.#atMs
    const { version, priority, finding } = this.alarm
    this.changes.push({ version, atMs: this.#atMs, who, action, from, to: stateOf(this.alarm), priority, finding, reason })
  }
  annunciate(reason: string): void {
    if (!audible(this.alarm)) return
    this.step('annunciate', SYSTEM, reason, (a) => {
      a.annunciated = true
      a.annunciatedMs = this.#atMs
      a.acknowledged = null
      a.calls = [...a.calls, this.#atMs].slice(-CALLS_MAX)
    })
  }
  done(): Step {
    return { alarm: this.alarm, changes: this.changes }
  }
}

const isOpen = (f: Finding): boolean => f.clearedAt === null && f.withdrawn !== true

/**
 * A finding at a revision. Undefined when it says nothing new. What begins is due at once or after its delay, and calls with the next
 * `tick`: between the two the caller looks whether something explains it.
 */
export function applyFinding(old: Alarm | null, f: Finding, policy: Policy): Step | undefined {
  if ((old?.seen[f.id] ?? 0) >= f.rev) return undefined
  const known = old?.seen[f.id] !== undefined
  const atMs = Date.parse(f.updatedAt)
  // What was due before this news came first.
  const due = old !== null && old.dueMs !== 0 && old.dueMs < atMs ? tick(old, old.dueMs, policy) : undefined
  const d = new Draft(due?.alarm ?? old ?? newAlarm(f), atMs)
  d.changes.push(...(due?.changes ?? []))
  const { alarm } = d
  alarm.seen = Object.fromEntries([...Object.entries(alarm.seen).filter(([id]) => id !== f.id), [f.id, f.rev]].slice(-SEEN_MAX))
  alarm.updatedMs = d.atMs
  if (isOpen(f)) begin(d, f, policy)
  else if (alarm.open.includes(f.id)) end(d, f, policy)
  else if (!known) d.step('over_before_known', SYSTEM, f.reason, () => undefined)
  return d.done()
}

function begin(d: Draft, f: Finding, policy: Policy): void {
  const { alarm } = d
  const rule = ruleFor(policy, f)
  const priority = priorityOf(rule, f.severity)
  const worse = alarm.active && priority < alarm.priority
  if (!alarm.open.includes(f.id)) alarm.open.push(f.id)
  alarm.finding = f.id
  alarm.severity = f.severity
  alarm.zone = f.zone
  alarm.priority = priority
  if (alarm.active) {
    // It came back within its off-delay: the same alarm goes on.
    if (alarm.annunciated) alarm.dueMs = 0
    if (worse) d.step('escalate', SYSTEM, f.reason, () => undefined)
    if (worse && alarm.annunciated) d.annunciate('more_urgent')
    return
  }
  d.step('activate', SYSTEM, f.reason, (a) => {
    a.active = true
    a.activeSinceMs = d.atMs
    a.annunciated = false
    a.acknowledged = null
    a.latched = false
    a.returned = false
    a.clearedMs = 0
    a.dueMs = d.atMs + delayOnMs(rule)
  })
}

function end(d: Draft, f: Finding, policy: Policy): void {
  const { alarm } = d
  alarm.open = alarm.open.filter((id) => id !== f.id)
  if (alarm.open.length > 0 || !alarm.active) return
  const rule = ruleFor(policy, f)
  if (alarm.annunciated && delayOffMs(rule) > 0 && f.withdrawn !== true) {
    alarm.clearedMs = d.atMs
    alarm.dueMs = d.atMs + delayOffMs(rule)
  } else over(d, rule.latching, f.withdrawn === true ? 'withdrawn' : f.reason)
}

/** The condition is gone for good. */
function over(d: Draft, latching: boolean, reason: string): void {
  const fleeting = !d.alarm.annunciated && d.alarm.dueMs > 0
  d.step(fleeting ? 'fleeting' : 'return', SYSTEM, reason, (a) => {
    a.active = false
    a.dueMs = 0
    a.suppressed = null
    if (a.clearedMs === 0) a.clearedMs = d.atMs
    a.latched = a.annunciated && latching && reason !== 'withdrawn'
    a.returned = a.annunciated && !a.latched && a.acknowledged === null
  })
}

/** What the clock alone does. Undefined when nothing is due. */
export function tick(old: Alarm, nowMs: number, policy: Policy): Step | undefined {
  const d = new Draft(old, nowMs)
  const { alarm } = d
  const rule = ruleFor(policy, alarm)
  if (alarm.shelved !== null && alarm.shelved.untilMs <= nowMs) {
    d.step('shelf_expired', SYSTEM, 'time_is_over', (a) => {
      a.shelved = null
    })
    callAgain(d)
  }
  if (alarm.dueMs !== 0 && alarm.dueMs <= nowMs) {
    if (alarm.open.length > 0) {
      alarm.dueMs = 0
      if (!alarm.annunciated) d.annunciate('condition_holds')
    } else if (alarm.active) over(d, rule.latching, 'gone_for_its_delay')
  }
  if (alarm.returned && nowMs - alarm.clearedMs >= lapseMs(policy)) {
    d.step('lapse', SYSTEM, 'over_and_unattended', (a) => {
      a.returned = false
    })
  }
  return d.changes.length === 0 && alarm.dueMs === old.dueMs ? undefined : d.done()
}

/** When the clock next has something to do for it; undefined when never. */
export function nextDueMs(a: Alarm, policy: Policy): number | undefined {
  const times = [
    a.dueMs === 0 ? Number.POSITIVE_INFINITY : a.dueMs,
    a.shelved?.untilMs ?? Number.POSITIVE_INFINITY,
    a.returned ? a.clearedMs + lapseMs(policy) : Number.POSITIVE_INFINITY,
  ]
  const least = Math.min(...times)
  return Number.isFinite(least) ? least : undefined
}

/** What kept it quiet is gone: a condition that still holds calls now. */
function callAgain(d: Draft): void {
  const { alarm } = d
  if (alarm.active && alarm.dueMs === 0 && alarm.acknowledged === null) d.annunciate('no_longer_quiet')
}

/** Suppress by design, or no longer. Undefined when it is so already. */
export function suppress(old: Alarm, by: { rule: SuppressionRule; by: string } | null, nowMs: number): Step | undefined {
  if (old.suppressed?.rule === by?.rule && old.suppressed?.by === by?.by) return undefined
  if (!old.active && by !== null) return undefined
  const d = new Draft(old, nowMs)
  d.step(by === null ? 'unsuppress' : 'suppress', SYSTEM, by === null ? (old.suppressed?.rule ?? '') : `${by.rule}: ${by.by}`, (a) => {
    a.suppressed = by
  })
  if (by === null) callAgain(d)
  return d.done()
}

export interface AlarmCommand {
  action: AlarmAction
  who: string
  atMs: number
  reason: string
  /** For `shelve`. */
  untilMs?: number
}

export type CommandOutcome =
  | { ok: true; step: Step }
  | { ok: false; code: 'not_possible' | 'reason_required' | 'bad_time'; message: string }

/** What a person may do now, in the order to offer it. */
export function actionsFor(a: Alarm): AlarmAction[] {
  const out: AlarmAction[] = []
  const state = stateOf(a)
  if (['unacknowledged', 'returned', 'latched_unacknowledged'].includes(state)) out.push('acknowledge')
  if (state === 'latched') out.push('reset')
  if (a.outOfService !== null) out.push('return_to_service')
  else {
    out.push(a.shelved === null ? 'shelve' : 'unshelve')
    out.push('out_of_service')
  }
  out.push('note')
  return out
}

const NEEDS_REASON: readonly AlarmAction[] = ['shelve', 'out_of_service', 'note']

/** What a person does. Never throws: a refusal says what is possible. */
export function applyCommand(old: Alarm, c: AlarmCommand, policy: Policy): CommandOutcome {
  const possible = actionsFor(old)
  if (!possible.includes(c.action)) {
    const message = `${c.action} is not possible while the alarm is ${stateOf(old)}; possible: ${possible.join(', ')}`
    return { ok: false, code: 'not_possible', message }
  }
  if (NEEDS_REASON.includes(c.action) && c.reason.trim() === '')
    return { ok: false, code: 'reason_required', message: `${c.action} needs a reason` }
  const d = new Draft(old, c.atMs)
  if (c.action === 'shelve') {
    const mostMs = c.atMs + shelveMsMax(policy)
    if (c.untilMs === undefined || !(c.untilMs > c.atMs) || c.untilMs > mostMs)
      return { ok: false, code: 'bad_time', message: `until: must be after ${toIso(c.atMs)} and not after ${toIso(mostMs)}` }
  }
  d.step(c.action, c.who, c.reason, (a) => perform(a, c, d.atMs))
  if (c.action === 'unshelve' || c.action === 'return_to_service') callAgain(d)
  return { ok: true, step: d.done() }
}

function perform(a: Alarm, c: AlarmCommand, atMs: number): void {
  const by = { by: c.who, atMs }
  switch (c.action) {
    case 'acknowledge':
      a.acknowledged = by
      a.returned = false
      return
    case 'reset':
      a.latched = false
      return
    case 'shelve':
      a.shelved = { untilMs: c.untilMs ?? atMs, by: c.who, reason: c.reason }
      return
    case 'unshelve':
      a.shelved = null
      return
    case 'out_of_service':
      a.outOfService = { ...by, reason: c.reason }
      a.shelved = null
      return
    case 'return_to_service':
      a.outOfService = null
      return
    case 'note':
      return
  }
}

/** At least three calls within an hour, and the last of them within an hour of now. */
export function isChattering(calls: readonly number[], nowMs: number): boolean {
  return calls.filter((t) => t > nowMs - CHATTER.windowMs).length >= CHATTER.times
}

export function viewOf(a: Alarm, nowMs: number): AlarmView {
  const { key, kind, subtype, scope, zone, finding, severity, priority, active } = a
  const { activeSinceMs, annunciatedMs, clearedMs, acknowledged, shelved, outOfService, suppressed, version } = a
  return {
    ...{ key, kind, subtype, scope, zone, finding, severity, priority, active },
    ...{ activeSinceMs, annunciatedMs, clearedMs, acknowledged, shelved, outOfService, suppressed, version },
    state: stateOf(a),
    annunciations24h: a.calls.filter((t) => t > nowMs - DAY_MS).length,
    chattering: isChattering(a.calls, nowMs),
    actions: actionsFor(a),
  }
}

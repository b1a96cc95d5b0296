// A ticket as the desk stores it, and the two things that change it: an incident's intent and a person's command. Pure.
import {
  isOpen,
  type SlaDue,
  type TicketAction,
  type TicketChange,
  type TicketImpact,
  type TicketState,
  type TicketView,
} from '#model/desk.ts'
import type { Severity } from '#model/finding.ts'
import type { TicketClass, TicketIntent } from '#model/ticket.ts'
import { parseIso, toIso } from '#model/time.ts'
import { NOBODY, urgencyOf } from './priority.ts'
import { currentPace, currentRules } from './rules.ts'
import { clocksOf, countedMs, doneMs, type Limits, limitsFor, type Pace, type Rules, slaDue } from './sla.ts'
import { actionsFor, afterTelemetryEnd, afterTelemetryReturn, transition } from './states.ts'

export interface Ticket {
  /** 0 until stored. */
  no: number
  key: string
  class: TicketClass
  origin: 'telemetry' | 'report'
  state: TicketState
  priority: 1 | 2 | 3 | 4
  severity: Severity
  title: string
  description: string
  zone: string
  scope: { type: string; id: string }
  at: [number, number] | null
  findings: string[]
  affected: string[]
  intentRev: number
  reason: string
  assignee: string
  mergedInto: string
  openedMs: number
  updatedMs: number
  telemetryClosedMs: number | null
  closedMs: number | null
  sla: SlaDue
  limits: Limits
  /** The clocks run from here: when it was opened, or opened again. */
  clockFromMs: number
  respondedMs: number | null
  dispatchedMs: number | null
  resolvedMs: number | null
  repliedMs: number | null
  /** Onset of what it is about; when it was opened for what a person reports. */
  startedMs: number
  subtype: string
  /** Customer it is about, '' for none in particular. */
  account: string
  impact: TicketImpact
  /** Priority that the incident or the person gave; what is in force may be more urgent. */
  base: 1 | 2 | 3 | 4
  priorityReasons: string[]
  why: Record<string, unknown>
  etrMs: number | null
  etrBy: 'person' | 'telemetry' | ''
  heldSinceMs: number | null
  /** Counted time for which the clocks stood still. */
  heldMs: number
  escalation: string[]
  reopened: number
  reports: number
  version: number
  external: Record<string, unknown>
}

export type Change = Omit<TicketChange, 'at'> & { atMs: number }

/** Reasons of an intent that are no end seen by telemetry: the incident goes on under another name, or needs nobody. */
const ENDS_AT_ONCE = new Set(['absorbed', 'planned_work', 'momentary', 'not_a_power_failure'])

/** What an intent meets at the desk. */
export interface DeskContext {
  rules: Rules
  /** Whom its meters serve; left out when that has not changed. */
  impact?: TicketImpact
  account?: string
}

/**
 * Applies an intent. Undefined when it is not newer than what was applied: a repeat, or one overtaken.
 * `ticket` is null for a key seen for the first time.
 */
export function applyIntent(ticket: Ticket | null, intent: TicketIntent, ctx: DeskContext): { ticket: Ticket; change: Change } | undefined {
  if (ticket !== null && intent.rev <= ticket.intentRev) return undefined
  const atMs = parseIso(intent.updatedAt)
  const closedMs = intent.closedAt === null ? null : parseIso(intent.closedAt)
  let next = withIntent(ticket, intent, { atMs, ctx })
  const from = ticket?.state ?? null
  const { state, action } = afterIntent(from, next, intent)
  next.state = state
  next.telemetryClosedMs = closedMs
  next.closedMs = isOpen(state) ? null : (ticket?.closedMs ?? closedMs ?? atMs)
  if (closedMs !== null && (state === 'closed' || state === 'resolved')) next.resolvedMs ??= closedMs
  if (action === 'telemetry_return')
    next = { ...next, resolvedMs: null, repliedMs: null, reopened: next.reopened + 1, clockFromMs: atMs, heldMs: 0, escalation: [] }
  if (next.heldSinceMs !== null && !isOpen(state)) next = resumed(next, ctx.rules, atMs)
  next = timed(prioritised(next, ctx.rules, atMs), ctx.rules)
  return {
    ticket: next,
    change: { version: next.version, atMs, who: 'telemetry', action, from, to: state, reason: intent.reason, note: '' },
  }
}

/** With its priority as of now. */
export function prioritised(t: Ticket, rules: Rules, nowMs: number): Ticket {
  const { priority, reasons } = urgencyOf(
    { class: t.class, severity: t.severity, base: t.base, impact: t.impact, openMs: (t.resolvedMs ?? t.closedMs ?? nowMs) - t.startedMs },
    rules.settings.priority,
  )
  return { ...t, priority: isOpen(t.state) ? priority : t.priority, priorityReasons: reasons }
}

/** With the limits and due times of its class, priority and segment. */
export function timed(t: Ticket, rules: Rules): Ticket {
  const limits = limitsFor(rules, { class: t.class, priority: t.priority, segment: t.impact.segment })
  return { ...t, limits, sla: slaDue(rules, limits, t.clockFromMs, t.heldMs) }
}

function resumed(t: Ticket, rules: Rules, atMs: number): Ticket {
  if (t.heldSinceMs === null) return t
  const heldMs = t.heldMs + countedMs(rules, t.limits.clock, t.heldSinceMs, atMs)
  return { ...t, heldSinceMs: null, heldMs, sla: slaDue(rules, t.limits, t.clockFromMs, heldMs) }
}

function afterIntent(from: TicketState | null, t: Ticket, intent: TicketIntent): { state: TicketState; action: Change['action'] } {
  const state = from ?? 'received'
  if (intent.withdrawn === true) return { state: isOpen(state) ? 'cancelled' : state, action: 'withdrawn' }
  if (intent.closedAt === null) {
    const back = afterTelemetryReturn(state)
    return { state: back, action: from === null ? 'open' : back === state ? 'telemetry_update' : 'telemetry_return' }
  }
  if (ENDS_AT_ONCE.has(intent.reason)) return { state: isOpen(state) ? 'closed' : state, action: 'telemetry_end' }
  return { state: afterTelemetryEnd(state, t.class), action: from === null ? 'open' : 'telemetry_end' }
}

const NO_LIMITS: Limits = { clock: 'always', respondMs: 0, dispatchMs: 0, resolveMs: 0, replyMs: 0 }
const NO_DUE: SlaDue = { respondMs: 0, dispatchMs: 0, resolveMs: 0, replyMs: 0 }

/** A ticket before anything happened to it. */
export function blankTicket(key: string, openedMs: number): Ticket {
  return {
    no: 0,
    key,
    class: 'enquiry',
    origin: 'report',
    state: 'received',
    priority: 4,
    severity: 'minor',
    title: '',
    description: '',
    zone: '',
    scope: { type: '', id: '' },
    at: null,
    findings: [],
    affected: [],
    intentRev: 0,
    reason: '',
    assignee: '',
    mergedInto: '',
    openedMs,
    updatedMs: openedMs,
    telemetryClosedMs: null,
    closedMs: null,
    sla: NO_DUE,
    limits: NO_LIMITS,
    clockFromMs: openedMs,
    respondedMs: null,
    dispatchedMs: null,
    resolvedMs: null,
    repliedMs: null,
    startedMs: openedMs,
    subtype: '',
    account: '',
    impact: NOBODY,
    base: 4,
    priorityReasons: [],
    why: {},
    etrMs: null,
    etrBy: '',
    heldSinceMs: null,
    heldMs: 0,
    escalation: [],
    reopened: 0,
    reports: 0,
    version: 0,
    external: {},
  }
}

function withIntent(old: Ticket | null, i: TicketIntent, { atMs, ctx }: { atMs: number; ctx: DeskContext }): Ticket {
  const t = old ?? blankTicket(i.key, parseIso(i.openedAt))
  const lossM3h = i.size?.flowM3h ?? t.impact.lossM3h
  // A person's word on when supply is back stands until that person takes it back.
  const etr = t.etrBy === 'person' || i.size?.etrMs === undefined ? {} : { etrMs: i.size.etrMs, etrBy: 'telemetry' as const }
  return {
    ...t,
    ...etr,
    origin: 'telemetry',
    class: i.class,
    base: i.priority,
    severity: i.severity,
    title: i.title,
    description: i.description,
    zone: i.zone,
    scope: i.scope,
    at: old !== null && old.scope.type === i.scope.type && old.scope.id === i.scope.id ? old.at : null,
    findings: i.findings,
    affected: i.affected,
    intentRev: i.rev,
    reason: i.reason,
    mergedInto: i.mergedInto ?? '',
    startedMs: i.startedAt === undefined ? t.startedMs : parseIso(i.startedAt),
    impact: { ...(ctx.impact ?? t.impact), lossM3h },
    account: ctx.account ?? t.account,
    why: i.why === undefined ? t.why : { ...i.why },
    updatedMs: Math.max(t.updatedMs, atMs),
    telemetryClosedMs: null,
    closedMs: null,
    version: t.version + 1,
  }
}

export interface Command {
  action: TicketAction
  who: string
  /** Log time of the command. */
  atMs: number
  note: string
  /** With `dispatch`: the crew. */
  assignee?: string
  /** With `etr`: the estimate, null takes it back. */
  etrMs?: number | null
}

export type Refused = { ok: false; code: 'illegal_transition' | 'note_required' | 'reply_required' | 'etr_required'; message: string }

export function applyCommand(ticket: Ticket, c: Command, rules: Rules): { ok: true; ticket: Ticket; change: Change } | Refused {
  const t = transition(
    {
      state: ticket.state,
      class: ticket.class,
      origin: ticket.origin,
      ended: ticket.telemetryClosedMs !== null,
      held: ticket.heldSinceMs !== null,
      replied: ticket.repliedMs !== null,
      note: c.note,
    },
    c.action,
  )
  if (!t.ok) return t
  // The log's clock may stand still or be behind an intent that another partition brought: a ticket's own time never goes back.
  const atMs = Math.max(ticket.updatedMs, c.atMs)
  if (c.action === 'etr' && (c.etrMs === undefined || (c.etrMs !== null && c.etrMs < atMs))) {
    return {
      ok: false,
      code: 'etr_required',
      message: 'say when supply is expected back: an ISO time in the future as `etr`, or null to take it back',
    }
  }
  let next: Ticket = { ...ticket, state: t.to, reason: t.reason, updatedMs: atMs, version: ticket.version + 1 }
  if (!['note', 'cancel', 'hold', 'resume', 'etr'].includes(c.action)) next.respondedMs ??= atMs
  if (c.action === 'dispatch') {
    next.assignee = c.assignee ?? ticket.assignee
    next.dispatchedMs ??= atMs
  }
  if (c.action === 'start') next.dispatchedMs ??= atMs
  if (c.action === 'done' && ticket.state !== 'received' && ticket.state !== 'reviewed') next.dispatchedMs ??= atMs
  if (t.to === 'resolved' || t.to === 'confirmed') next.resolvedMs ??= atMs
  if (c.action === 'reply') next.repliedMs ??= atMs
  if (c.action === 'etr') next = { ...next, etrMs: c.etrMs ?? null, etrBy: c.etrMs == null ? '' : 'person' }
  if (c.action === 'hold') next.heldSinceMs = atMs
  if (c.action === 'reopen') {
    const again = { resolvedMs: null, repliedMs: null, reopened: ticket.reopened + 1, clockFromMs: atMs, heldMs: 0, escalation: [] }
    next = timed({ ...next, ...again }, rules)
  }
  // Work that goes on, or ends, needs no clock that stands still.
  if (next.heldSinceMs !== null && ['resume', 'start', 'done', 'cancel'].includes(c.action)) next = resumed(next, rules, atMs)
  next.closedMs = isOpen(t.to) ? null : (ticket.closedMs ?? atMs)
  return {
    ok: true,
    ticket: next,
    change: { version: next.version, atMs, who: c.who, action: c.action, from: ticket.state, to: t.to, reason: t.reason, note: noteOf(c) },
  }
}

/** What the history keeps: the words, and whom or when they were about. */
function noteOf(c: Command): string {
  if (c.action === 'etr') return [c.etrMs == null ? 'none' : toIso(c.etrMs), c.note].filter((p) => p !== '').join(': ')
  return c.action === 'dispatch' && c.assignee !== undefined ? [`to ${c.assignee}`, c.note].filter((p) => p !== '').join(': ') : c.note
}

/** Steps whose limit passed before they were done, as of `nowMs`. What needs nobody (cancelled) breaches nothing. */
export function breachesOf(t: Ticket, nowMs: number): TicketView['breached'] {
  if (t.state === 'cancelled') return []
  return (['respond', 'dispatch', 'resolve', 'reply'] as const).filter((step) => {
    // A ticket that ended by itself owes nobody a word that its notices have not said.
    if (step === 'reply' && t.origin === 'telemetry' && t.closedMs !== null) return false
    return (doneMs(t, step) ?? t.heldSinceMs ?? nowMs) > t.sla[`${step}Ms`]
  })
}

/** Ended with the first contact: nobody was sent, it was not opened again, nobody called twice. Null while it is open. */
export function firstContactOf(t: Ticket): boolean | null {
  if (t.resolvedMs === null) return null
  return t.origin === 'report' && t.dispatchedMs === null && t.reopened === 0 && t.reports <= 1
}

const AFFECTED_SHOWN = 200

export function viewOf(t: Ticket, nowMs: number, rules: Rules = currentRules(), pace: Pace = currentPace(t)): TicketView {
  return {
    id: ticketId(t.no),
    key: t.key,
    class: t.class,
    origin: t.origin,
    state: t.state,
    priority: t.priority,
    severity: t.severity,
    title: t.title,
    description: t.description,
    zone: t.zone,
    scope: t.scope,
    at: t.at,
    findings: t.findings,
    affectedCount: t.affected.length,
    affected: t.affected.slice(0, AFFECTED_SHOWN),
    reason: t.reason,
    assignee: t.assignee,
    openedAt: toIso(t.openedMs),
    updatedAt: toIso(t.updatedMs),
    telemetryClosedAt: t.telemetryClosedMs === null ? null : toIso(t.telemetryClosedMs),
    closedAt: t.closedMs === null ? null : toIso(t.closedMs),
    sla: t.sla,
    breached: breachesOf(t, nowMs),
    version: t.version,
    actions: actionsFor({ state: t.state, class: t.class, held: t.heldSinceMs !== null }),
    subtype: t.subtype,
    impact: t.impact,
    priorityReasons: t.priorityReasons,
    etrAt: t.etrMs === null ? null : toIso(t.etrMs),
    etrBy: t.etrBy,
    heldSince: t.heldSinceMs === null ? null : toIso(t.heldSinceMs),
    clocks: clocksOf(t, rules, nowMs, pace),
    escalation: t.escalation,
    mergedInto: t.mergedInto,
    reports: t.reports,
    firstContact: firstContactOf(t),
    why: t.why,
  }
}

export function ticketId(no: number): string {
  return `T-${no}`
}

/** The number in `T-1042`; undefined for anything else. */
export function ticketNo(id: string): number | undefined {
  const m = /^T-([1-9]\d{0,14})$/.exec(id)
  return m === null ? undefined : Number(m[1])
}

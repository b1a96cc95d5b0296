// A ticket as the desk stores it, and the two things that change it: an incident's intent and a person's command. Pure.
import { isOpen, type SlaDue, type TicketAction, type TicketChange, type TicketState, type TicketView } from '#model/desk.ts'
import type { Severity } from '#model/finding.ts'
import type { TicketClass, TicketIntent } from '#model/ticket.ts'
import { parseIso, toIso } from '#model/time.ts'
import { slaDue } from './sla.ts'
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
  respondedMs: number | null
  dispatchedMs: number | null
  resolvedMs: number | null
  version: number
  external: Record<string, unknown>
}

export type Change = Omit<TicketChange, 'at'> & { atMs: number }

/** Reasons of an intent that are no end seen by telemetry: the incident goes on under another name, or needs nobody. */
const ENDS_AT_ONCE = new Set(['absorbed', 'planned_work', 'momentary', 'not_a_power_failure'])

/**
 * Applies an intent. Undefined when it is not newer than what was applied: a repeat, or one overtaken.
 * `ticket` is null for a key seen for the first time.
 */
export function applyIntent(ticket: Ticket | null, intent: TicketIntent): { ticket: Ticket; change: Change } | undefined {
  if (ticket !== null && intent.rev <= ticket.intentRev) return undefined
  const atMs = parseIso(intent.updatedAt)
  const closedMs = intent.closedAt === null ? null : parseIso(intent.closedAt)
  const next = withIntent(ticket, intent, atMs)
  const from = ticket?.state ?? null
  const { state, action } = afterIntent(from, next, intent)
  next.state = state
  next.telemetryClosedMs = closedMs
  next.closedMs = isOpen(state) ? null : (ticket?.closedMs ?? closedMs ?? atMs)
  if (closedMs !== null && (state === 'closed' || state === 'resolved')) next.resolvedMs ??= closedMs
  if (action === 'telemetry_return') next.resolvedMs = null
  return {
    ticket: next,
    change: { version: next.version, atMs, who: 'telemetry', action, from, to: state, reason: intent.reason, note: '' },
  }
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

function withIntent(old: Ticket | null, i: TicketIntent, atMs: number): Ticket {
  const openedMs = old?.openedMs ?? parseIso(i.openedAt)
  const sla = old !== null && old.priority === i.priority && old.class === i.class ? old.sla : slaDue(i.class, i.priority, openedMs)
  return {
    no: old?.no ?? 0,
    key: i.key,
    class: i.class,
    origin: old?.origin ?? 'telemetry',
    state: old?.state ?? 'received',
    priority: i.priority,
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
    assignee: old?.assignee ?? '',
    mergedInto: i.mergedInto ?? '',
    openedMs,
    updatedMs: Math.max(old?.updatedMs ?? 0, atMs),
    telemetryClosedMs: null,
    closedMs: null,
    sla,
    respondedMs: old?.respondedMs ?? null,
    dispatchedMs: old?.dispatchedMs ?? null,
    resolvedMs: old?.resolvedMs ?? null,
    version: (old?.version ?? 0) + 1,
    external: old?.external ?? {},
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
}

export type Refused = { ok: false; code: 'illegal_transition' | 'note_required'; message: string }

export function applyCommand(ticket: Ticket, c: Command): { ok: true; ticket: Ticket; change: Change } | Refused {
  const t = transition(
    { state: ticket.state, class: ticket.class, origin: ticket.origin, ended: ticket.telemetryClosedMs !== null, note: c.note },
    c.action,
  )
  if (!t.ok) return t
  // The log's clock may stand still or be behind an intent that another partition brought: a ticket's own time never goes back.
  const atMs = Math.max(ticket.updatedMs, c.atMs)
  const next: Ticket = { ...ticket, state: t.to, reason: t.reason, updatedMs: atMs, version: ticket.version + 1 }
  if (c.action !== 'note' && c.action !== 'cancel') next.respondedMs ??= atMs
  if (c.action === 'dispatch') {
    next.assignee = c.assignee ?? ticket.assignee
    next.dispatchedMs ??= atMs
  }
  if (c.action === 'start' || c.action === 'done') next.dispatchedMs ??= atMs
  if (t.to === 'resolved' || t.to === 'confirmed') next.resolvedMs ??= atMs
  if (c.action === 'reopen') next.resolvedMs = null
  next.closedMs = isOpen(t.to) ? null : (ticket.closedMs ?? atMs)
  return {
    ok: true,
    ticket: next,
    change: { version: next.version, atMs, who: c.who, action: c.action, from: ticket.state, to: t.to, reason: t.reason, note: c.note },
  }
}

/** Steps whose limit passed before they were done, as of `nowMs`. What needs nobody (cancelled) breaches nothing. */
export function breachesOf(t: Ticket, nowMs: number): TicketView['breached'] {
  if (t.state === 'cancelled') return []
  const end = t.closedMs ?? nowMs
  const out: TicketView['breached'] = []
  if ((t.respondedMs ?? Math.min(end, t.resolvedMs ?? end)) > t.sla.respondMs) out.push('respond')
  if ((t.dispatchedMs ?? Math.min(end, t.resolvedMs ?? end)) > t.sla.dispatchMs) out.push('dispatch')
  if ((t.resolvedMs ?? end) > t.sla.resolveMs) out.push('resolve')
  return out
}

const AFFECTED_SHOWN = 200

export function viewOf(t: Ticket, nowMs: number): TicketView {
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
    actions: actionsFor(t.state),
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

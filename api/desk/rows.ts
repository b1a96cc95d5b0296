// Tickets and their changes as rows of PostgreSQL. Many at once in one statement: a storm is a few round trips, not thousands.
import type { TicketState } from '#model/desk.ts'
import type { TicketClass } from '#model/ticket.ts'
import type { Queryable } from '#runtime/postgres.ts'
import type { Change, Ticket } from './ticket.ts'

/** Channel of NOTIFY; payloads are `t:<number of a ticket>` and `f:<id of a finding>`. */
export const DESK_CHANNEL = 'desk_changed'

export interface TicketRow {
  no: number
  key: string
  class: TicketClass
  origin: 'telemetry' | 'report'
  state: TicketState
  priority: 1 | 2 | 3 | 4
  severity: Ticket['severity']
  title: string
  description: string
  zone: string
  scope_type: string
  scope_id: string
  lon: number | null
  lat: number | null
  findings: string[]
  affected: string[]
  intent_rev: number
  reason: string
  assignee: string
  merged_into: string
  opened_ms: number
  updated_ms: number
  telemetry_closed_ms: number | null
  closed_ms: number | null
  respond_due_ms: number
  dispatch_due_ms: number
  resolve_due_ms: number
  responded_ms: number | null
  dispatched_ms: number | null
  resolved_ms: number | null
  reply_due_ms: number
  replied_ms: number | null
  limits: Ticket['limits']
  clock_from_ms: number
  started_ms: number
  subtype: string
  account: string
  impact: Ticket['impact']
  base: 1 | 2 | 3 | 4
  priority_reasons: string[]
  why: Record<string, unknown>
  etr_ms: number | null
  etr_by: Ticket['etrBy']
  held_since_ms: number | null
  held_ms: number
  escalation: string[]
  reopened: number
  reports: number
  version: number
  external: Record<string, unknown>
}

export function fromRow(r: TicketRow): Ticket {
  return {
    no: r.no,
    key: r.key,
    class: r.class,
    origin: r.origin,
    state: r.state,
    priority: r.priority,
    severity: r.severity,
    title: r.title,
    description: r.description,
    zone: r.zone,
    scope: { type: r.scope_type, id: r.scope_id },
    at: r.lon === null || r.lat === null ? null : [r.lon, r.lat],
    findings: r.findings,
    affected: r.affected,
    intentRev: r.intent_rev,
    reason: r.reason,
    assignee: r.assignee,
    mergedInto: r.merged_into,
    openedMs: r.opened_ms,
    updatedMs: r.updated_ms,
    telemetryClosedMs: r.telemetry_closed_ms,
    closedMs: r.closed_ms,
    sla: { respondMs: r.respond_due_ms, dispatchMs: r.dispatch_due_ms, resolveMs: r.resolve_due_ms, replyMs: r.reply_due_ms },
    repliedMs: r.replied_ms,
    limits: r.limits,
    clockFromMs: r.clock_from_ms,
    startedMs: r.started_ms,
    subtype: r.subtype,
    account: r.account,
    impact: r.impact,
    base: r.base,
    priorityReasons: r.priority_reasons,
    why: r.why,
    etrMs: r.etr_ms,
    etrBy: r.etr_by,
    heldSinceMs: r.held_since_ms,
    heldMs: r.held_ms,
    escalation: r.escalation,
    reopened: r.reopened,
    reports: r.reports,
    respondedMs: r.responded_ms,
    dispatchedMs: r.dispatched_ms,
    resolvedMs: r.resolved_ms,
    version: r.version,
    external: r.external,
  }
}

const COLUMNS = [
  'key',
  'class',
  'origin',
  'state',
  'priority',
  'severity',
  'title',
  'description',
  'zone',
  'scope_type',
  'scope_id',
  'lon',
  'lat',
  'findings',
  'affected',
  'intent_rev',
  'reason',
  'assignee',
  'merged_into',
  'opened_ms',
  'updated_ms',
  'telemetry_closed_ms',
  'closed_ms',
  'respond_due_ms',
  'dispatch_due_ms',
  'resolve_due_ms',
  'responded_ms',
  'dispatched_ms',
  'resolved_ms',
  'reply_due_ms',
  'replied_ms',
  'limits',
  'clock_from_ms',
  'started_ms',
  'subtype',
  'account',
  'impact',
  'base',
  'priority_reasons',
  'why',
  'etr_ms',
  'etr_by',
  'held_since_ms',
  'held_ms',
  'escalation',
  'reopened',
  'reports',
  'version',
  'external',
] as const

function toRow(t: Ticket): Omit<TicketRow, 'no'> & { no: number | null } {
  return {
    no: t.no === 0 ? null : t.no,
    key: t.key,
    class: t.class,
    origin: t.origin,
    state: t.state,
    priority: t.priority,
    severity: t.severity,
    title: t.title,
    description: t.description,
    zone: t.zone,
    scope_type: t.scope.type,
    scope_id: t.scope.id,
    lon: t.at?.[0] ?? null,
    lat: t.at?.[1] ?? null,
    findings: t.findings,
    affected: t.affected,
    intent_rev: t.intentRev,
    reason: t.reason,
    assignee: t.assignee,
    merged_into: t.mergedInto,
    opened_ms: t.openedMs,
    updated_ms: t.updatedMs,
    telemetry_closed_ms: t.telemetryClosedMs,
    closed_ms: t.closedMs,
    respond_due_ms: t.sla.respondMs,
    dispatch_due_ms: t.sla.dispatchMs,
    resolve_due_ms: t.sla.resolveMs,
    responded_ms: t.respondedMs,
    dispatched_ms: t.dispatchedMs,
    resolved_ms: t.resolvedMs,
    reply_due_ms: t.sla.replyMs,
    replied_ms: t.repliedMs,
    limits: t.limits,
    clock_from_ms: t.clockFromMs,
    started_ms: t.startedMs,
    subtype: t.subtype,
    account: t.account,
    impact: t.impact,
    base: t.base,
    priority_reasons: t.priorityReasons,
    why: t.why,
    etr_ms: t.etrMs,
    etr_by: t.etrBy,
    held_since_ms: t.heldSinceMs,
    held_ms: t.heldMs,
    escalation: t.escalation,
    reopened: t.reopened,
    reports: t.reports,
    version: t.version,
    external: t.external,
  }
}

const LIST = COLUMNS.join(', ')
export const SELECT = `SELECT no, ${LIST} FROM tickets`
const ROWS = 'jsonb_populate_recordset(NULL::tickets, $1::jsonb) n'
const INSERT = `INSERT INTO tickets (${LIST}) SELECT ${LIST} FROM ${ROWS} ORDER BY key ON CONFLICT (key) DO NOTHING RETURNING key, no`
const UPDATE = `UPDATE tickets t SET (${LIST}) = (${COLUMNS.map((c) => `n.${c}`).join(', ')}) FROM ${ROWS} WHERE t.no = n.no`

/** Stores tickets that are new; those whose key is taken by now are not in the answer. One statement, however many. */
export async function insertTickets(db: Queryable, tickets: readonly Ticket[]): Promise<Map<string, number>> {
  if (tickets.length === 0) return new Map()
  const { rows } = await db.query<{ key: string; no: number }>(INSERT, [JSON.stringify(tickets.map(toRow))])
  return new Map(rows.map((r) => [r.key, r.no]))
}

export async function updateTickets(db: Queryable, tickets: readonly Ticket[]): Promise<void> {
  if (tickets.length > 0) await db.query(UPDATE, [JSON.stringify(tickets.map(toRow))])
}

interface ChangeToSave {
  no: number
  change: Change
  command: string | null
}

export async function saveChanges(db: Queryable, changes: readonly ChangeToSave[]): Promise<void> {
  if (changes.length === 0) return
  const rows = changes.map(({ no, change: c, command }) => ({
    ticket_no: no,
    version: c.version,
    at_ms: c.atMs,
    who: c.who,
    action: c.action,
    from_state: c.from,
    to_state: c.to,
    reason: c.reason,
    note: c.note,
    command,
  }))
  await db.query(
    `INSERT INTO ticket_changes (ticket_no, version, at_ms, who, action, from_state, to_state, reason, note, command)
     SELECT ticket_no, version, at_ms, who, action, from_state, to_state, reason, note, command FROM jsonb_populate_recordset(NULL::ticket_changes, $1::jsonb)`,
    [JSON.stringify(rows)],
  )
  await db.query(
    `INSERT INTO desk_events (ticket_no, version, action, at_ms)
     SELECT ticket_no, version, action, at_ms FROM jsonb_populate_recordset(NULL::ticket_changes, $1::jsonb)`,
    [JSON.stringify(rows)],
  )
  await notify(db, [...new Set(changes.map((c) => `t:${c.no}`))])
}

export async function notify(db: Queryable, payloads: readonly string[]): Promise<void> {
  if (payloads.length > 0) await db.query('SELECT pg_notify($1, p) FROM unnest($2::text[]) p', [DESK_CHANNEL, payloads])
}

// Findings and tickets in PostgreSQL. Everything here may be repeated: a revision that is not newer changes nothing, a command
// with a known key finds what it did. Every change wakes listeners of the channel `desk_changed` when it is committed.
import { randomUUID } from 'node:crypto'
import { type TicketState, type TicketAction } from '#model/desk.ts'
import type { Finding } from '#model/finding.ts'
import type { TicketClass, TicketIntent } from '#model/ticket.ts'
import { type Pool, type PoolClient, type Queryable, tx } from '#runtime/postgres.ts'
import { placesOf } from './places.ts'
import { slaDue } from './sla.ts'
import { applyCommand, applyIntent, type Change, type Ticket } from './ticket.ts'

/** Channel of NOTIFY; payloads are `t:<number of a ticket>` and `f:<id of a finding>`. */
export const DESK_CHANNEL = 'desk_changed'
/** Rows of one transaction: short enough that a command never waits long for a row lock. */
const BATCH = 200

interface TicketRow {
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
  version: number
  external: Record<string, unknown>
}

function fromRow(r: TicketRow): Ticket {
  return {
    no: r.no, key: r.key, class: r.class, origin: r.origin, state: r.state, priority: r.priority, severity: r.severity, title: r.title,
    description: r.description, zone: r.zone, scope: { type: r.scope_type, id: r.scope_id }, at: r.lon === null || r.lat === null ? null : [r.lon, r.lat],
    findings: r.findings, affected: r.affected, intentRev: r.intent_rev, reason: r.reason, assignee: r.assignee, mergedInto: r.merged_into,
    openedMs: r.opened_ms, updatedMs: r.updated_ms, telemetryClosedMs: r.telemetry_closed_ms, closedMs: r.closed_ms,
    sla: { respondMs: r.respond_due_ms, dispatchMs: r.dispatch_due_ms, resolveMs: r.resolve_due_ms }, respondedMs: r.responded_ms,
    dispatchedMs: r.dispatched_ms, resolvedMs: r.resolved_ms, version: r.version, external: r.external,
  }
}

const COLUMNS = [
  'key', 'class', 'origin', 'state', 'priority', 'severity', 'title', 'description', 'zone', 'scope_type', 'scope_id', 'lon', 'lat', 'findings',
  'affected', 'intent_rev', 'reason', 'assignee', 'merged_into', 'opened_ms', 'updated_ms', 'telemetry_closed_ms', 'closed_ms', 'respond_due_ms',
  'dispatch_due_ms', 'resolve_due_ms', 'responded_ms', 'dispatched_ms', 'resolved_ms', 'version', 'external',
] as const

function toRow(t: Ticket): unknown[] {
  return [
    t.key, t.class, t.origin, t.state, t.priority, t.severity, t.title, t.description, t.zone, t.scope.type, t.scope.id, t.at?.[0] ?? null,
    t.at?.[1] ?? null, t.findings, t.affected, t.intentRev, t.reason, t.assignee, t.mergedInto, t.openedMs, t.updatedMs, t.telemetryClosedMs,
    t.closedMs, t.sla.respondMs, t.sla.dispatchMs, t.sla.resolveMs, t.respondedMs, t.dispatchedMs, t.resolvedMs, t.version, JSON.stringify(t.external),
  ]
}

const INSERT = `INSERT INTO tickets (${COLUMNS.join(', ')}) VALUES (${COLUMNS.map((_, i) => `$${i + 1}`).join(', ')}) ON CONFLICT (key) DO NOTHING RETURNING no`
const UPDATE = `UPDATE tickets SET ${COLUMNS.map((c, i) => `${c} = $${i + 1}`).join(', ')} WHERE no = $${COLUMNS.length + 1}`
const SELECT = `SELECT no, ${COLUMNS.join(', ')} FROM tickets`

async function saveChange(db: Queryable, no: number, c: Change, command: string | null): Promise<void> {
  await db.query(
    `INSERT INTO ticket_changes (ticket_no, version, at_ms, who, action, from_state, to_state, reason, note, command)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [no, c.version, c.atMs, c.who, c.action, c.from, c.to, c.reason, c.note, command],
  )
  await db.query('SELECT pg_notify($1, $2)', [DESK_CHANNEL, `t:${no}`])
}

/** Applies intents in order. Returns how many changed something; the rest were repeats. */
export async function applyIntents(pool: Pool, intents: readonly TicketIntent[]): Promise<number> {
  let changed = 0
  for (let i = 0; i < intents.length; i += BATCH) {
    const part = intents.slice(i, i + BATCH)
    changed += await tx(pool, (client) => applyPart(client, part))
  }
  return changed
}

async function applyPart(client: PoolClient, intents: readonly TicketIntent[]): Promise<number> {
  const keys = [...new Set(intents.map((i) => i.key))].sort()
  // In order of the keys, so that two consumers never wait for each other crosswise.
  const { rows } = await client.query<TicketRow>(`${SELECT} WHERE key = ANY($1) ORDER BY key FOR UPDATE`, [keys])
  const byKey = new Map(rows.map((r) => [r.key, fromRow(r)]))
  const places = await placesOf(client, intents.map((i) => i.scope))
  let changed = 0
  for (const intent of intents) {
    const applied = applyIntent(byKey.get(intent.key) ?? null, intent)
    if (applied === undefined) continue
    const ticket = { ...applied.ticket, at: places.get(`${intent.scope.type} ${intent.scope.id}`) ?? applied.ticket.at }
    const stored = ticket.no === 0 ? await insertOrYield(client, ticket, intent) : await update(client, ticket, applied.change)
    byKey.set(intent.key, stored)
    changed += 1
  }
  return changed
}

async function update(client: PoolClient, ticket: Ticket, change: Change, command: string | null = null): Promise<Ticket> {
  await client.query(UPDATE, [...toRow(ticket), ticket.no])
  await saveChange(client, ticket.no, change, command)
  return ticket
}

/** Another consumer may have inserted the key since it was looked for: then its row is taken, and the intent applied to that. */
async function insertOrYield(client: PoolClient, ticket: Ticket, intent: TicketIntent): Promise<Ticket> {
  const { rows } = await client.query<{ no: number }>(INSERT, toRow(ticket))
  const no = rows[0]?.no
  if (no !== undefined) {
    const applied = applyIntent(null, intent) as { change: Change }
    await saveChange(client, no, applied.change, null)
    return { ...ticket, no }
  }
  const theirs = await client.query<TicketRow>(`${SELECT} WHERE key = $1 FOR UPDATE`, [ticket.key])
  const row = theirs.rows[0]
  if (row === undefined) throw new Error(`ticket ${ticket.key} vanished`)
  const applied = applyIntent(fromRow(row), intent)
  return applied === undefined ? fromRow(row) : update(client, applied.ticket, applied.change)
}

/** Stores findings: the newest revision of each, and every revision in the history. Returns how many ids have a newer revision now. */
export async function applyFindings(pool: Pool, findings: readonly Finding[]): Promise<number> {
  let changed = 0
  for (let i = 0; i < findings.length; i += BATCH) {
    const part = findings.slice(i, i + BATCH)
    changed += await tx(pool, (client) => storeFindings(client, part))
  }
  return changed
}

async function storeFindings(client: PoolClient, findings: readonly Finding[]): Promise<number> {
  const bodies = JSON.stringify(findings)
  await client.query(
    `INSERT INTO finding_history (id, rev, updated_at, body)
     SELECT f->>'id', (f->>'rev')::int, (f->>'updatedAt')::timestamptz, f FROM jsonb_array_elements($1::jsonb) f ON CONFLICT DO NOTHING`,
    [bodies],
  )
  // One row an id, the newest, in order of ids: an upsert cannot touch a row twice, and two consumers must not wait crosswise.
  const { rows } = await client.query<{ id: string }>(
    `INSERT INTO findings AS old (id, rev, kind, subtype, scope_type, scope_id, zone, severity, started_at, detected_at, updated_at, cleared_at, withdrawn, body)
     SELECT DISTINCT ON (f->>'id') f->>'id', (f->>'rev')::int, f->>'kind', coalesce(f->>'subtype', ''), f->'scope'->>'type', f->'scope'->>'id',
       f->>'zone', f->>'severity', (f->>'startedAt')::timestamptz, (f->>'detectedAt')::timestamptz, (f->>'updatedAt')::timestamptz,
       (f->>'clearedAt')::timestamptz, coalesce((f->>'withdrawn')::boolean, false), f
     FROM jsonb_array_elements($1::jsonb) f ORDER BY f->>'id', (f->>'rev')::int DESC
     ON CONFLICT (id) DO UPDATE SET (rev, subtype, severity, started_at, detected_at, updated_at, cleared_at, withdrawn, body) =
       (excluded.rev, excluded.subtype, excluded.severity, excluded.started_at, excluded.detected_at, excluded.updated_at, excluded.cleared_at,
        excluded.withdrawn, excluded.body)
     WHERE old.rev < excluded.rev RETURNING id`,
    [bodies],
  )
  for (const { id } of rows) await client.query('SELECT pg_notify($1, $2)', [DESK_CHANNEL, `f:${id}`])
  return rows.length
}

export interface TicketCommand {
  action: TicketAction
  who: string
  note: string
  assignee?: string
  /** Idempotency key; the same key on the same ticket is done once. */
  key?: string
  /** Refused when the ticket has another version by now. */
  version?: number
  atMs: number
}

export type CommandResult =
  | { ok: true; ticket: Ticket; repeated: boolean }
  | { ok: false; code: 'not_found' | 'illegal_transition' | 'note_required' | 'version_conflict'; message: string }

/** A person's step. `external` merges TMF621 fields at the same time. */
export async function command(pool: Pool, no: number, c: TicketCommand, external: Record<string, unknown> = {}): Promise<CommandResult> {
  return tx(pool, async (client) => {
    const { rows } = await client.query<TicketRow>(`${SELECT} WHERE no = $1 FOR UPDATE`, [no])
    const row = rows[0]
    if (row === undefined) return { ok: false, code: 'not_found', message: `there is no ticket T-${no}` }
    const ticket = fromRow(row)
    if (c.key !== undefined) {
      const done = await client.query('SELECT 1 FROM ticket_changes WHERE ticket_no = $1 AND command = $2', [no, c.key])
      if (done.rowCount !== 0) return { ok: true, ticket, repeated: true }
    }
    if (c.version !== undefined && c.version !== ticket.version) {
      return { ok: false, code: 'version_conflict', message: `the ticket has version ${ticket.version} by now, not ${c.version}; look again` }
    }
    const applied = applyCommand(ticket, c)
    if (!applied.ok) return applied
    const next = { ...applied.ticket, external: { ...applied.ticket.external, ...external } }
    await update(client, next, applied.change, c.key ?? null)
    return { ok: true, ticket: next, repeated: false }
  })
}

export interface Report {
  class: TicketClass
  priority: 1 | 2 | 3 | 4
  severity: Ticket['severity']
  title: string
  description: string
  zone: string
  scope: { type: string; id: string }
  external: Record<string, unknown>
  who: string
  atMs: number
  /** Idempotency key: the same report again finds its ticket. */
  key?: string
}

/** Opens a ticket for what a person or another system reports. */
export async function report(pool: Pool, r: Report): Promise<{ ticket: Ticket; repeated: boolean }> {
  return tx(pool, async (client) => {
    if (r.key !== undefined) {
      // Two requests with one key at the same moment: the second waits here and then finds the first's ticket.
      await client.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [r.key])
      const known = await client.query<TicketRow>(`${SELECT} WHERE no = (SELECT ticket_no FROM ticket_reports WHERE command = $1)`, [r.key])
      if (known.rows[0] !== undefined) return { ticket: fromRow(known.rows[0]), repeated: true }
    }
    const places = await placesOf(client, [r.scope])
    const ticket: Ticket = {
      no: 0, key: `report:${randomUUID()}`, class: r.class, origin: 'report', state: 'received', priority: r.priority, severity: r.severity,
      title: r.title, description: r.description, zone: r.zone, scope: r.scope, at: places.get(`${r.scope.type} ${r.scope.id}`) ?? null,
      findings: [], affected: [], intentRev: 0, reason: 'reported', assignee: '', mergedInto: '', openedMs: r.atMs, updatedMs: r.atMs,
      telemetryClosedMs: null, closedMs: null, sla: slaDue(r.class, r.priority, r.atMs), respondedMs: null, dispatchedMs: null, resolvedMs: null,
      version: 1, external: r.external,
    }
    const { rows } = await client.query<{ no: number }>(INSERT, toRow(ticket))
    const no = rows[0]?.no as number
    await saveChange(client, no, { version: 1, atMs: r.atMs, who: r.who, action: 'open', from: null, to: 'received', reason: 'reported', note: '' }, r.key ?? null)
    if (r.key !== undefined) await client.query('INSERT INTO ticket_reports (command, ticket_no) VALUES ($1, $2)', [r.key, no])
    return { ticket: { ...ticket, no }, repeated: false }
  })
}

export async function ticketsByNo(db: Queryable, nos: readonly number[]): Promise<Ticket[]> {
  const { rows } = await db.query<TicketRow>(`${SELECT} WHERE no = ANY($1)`, [nos])
  return rows.map(fromRow)
}

/** Columns that a list may be narrowed by, by equality. */
export const TICKET_FILTERS = { state: 'state', class: 'class', priority: 'priority', severity: 'severity', zone: 'zone', scope: 'scope_id', assignee: 'assignee', key: 'key', no: 'no' } as const
export type TicketFilter = { [K in keyof typeof TICKET_FILTERS]?: readonly (string | number)[] }

export interface TicketQuery {
  filter: TicketFilter
  /** Only those that are not closed. */
  open?: boolean
  /** `queue`: most urgent first; `newest`, `oldest`: by number. */
  order: keyof typeof ORDERS
  offset: number
  limit: number
}

const ORDERS = { queue: 'priority, resolve_due_ms, no', newest: 'no DESC', oldest: 'no' } as const

const OPEN = "state IN ('received', 'reviewed', 'dispatched', 'in_progress', 'verify', 'resolved', 'confirmed')"

export async function listTickets(db: Queryable, q: TicketQuery): Promise<{ tickets: Ticket[]; total: number }> {
  const where: string[] = q.open === true ? [OPEN] : []
  const values: unknown[] = []
  for (const name of Object.keys(TICKET_FILTERS) as (keyof typeof TICKET_FILTERS)[]) {
    const wanted = q.filter[name]
    if (wanted === undefined) continue
    values.push(wanted)
    where.push(`${TICKET_FILTERS[name]} = ANY($${values.length})`)
  }
  const clause = where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`
  const count = await db.query<{ n: number }>(`SELECT count(*) AS n FROM tickets${clause}`, values)
  const { rows } = await db.query<TicketRow>(
    `${SELECT}${clause} ORDER BY ${ORDERS[q.order]} OFFSET $${values.length + 1} LIMIT $${values.length + 2}`,
    [...values, q.offset, q.limit],
  )
  return { tickets: rows.map(fromRow), total: count.rows[0]?.n ?? 0 }
}

/** Open tickets, and those that ended after `sinceMs`; last changed first. */
export async function recentTickets(db: Queryable, sinceMs: number, limit: number): Promise<Ticket[]> {
  const { rows } = await db.query<TicketRow>(
    `(${SELECT} WHERE ${OPEN} ORDER BY priority, resolve_due_ms, no LIMIT $2) UNION ALL
     (${SELECT} WHERE NOT (${OPEN}) AND updated_ms >= $1 ORDER BY updated_ms DESC LIMIT $2)`,
    [sinceMs, limit],
  )
  return rows.map(fromRow)
}

export async function changesOf(db: Queryable, no: number): Promise<Change[]> {
  return (await changesOfMany(db, [no])).get(no) ?? []
}

/** Changes by number of the ticket, oldest first. */
export async function changesOfMany(db: Queryable, nos: readonly number[]): Promise<Map<number, Change[]>> {
  const { rows } = await db.query<{ ticket_no: number; version: number; at_ms: number; who: string; action: Change['action']; from_state: TicketState | null; to_state: TicketState; reason: string; note: string }>(
    'SELECT ticket_no, version, at_ms, who, action, from_state, to_state, reason, note FROM ticket_changes WHERE ticket_no = ANY($1) ORDER BY ticket_no, version',
    [nos],
  )
  const out = new Map<number, Change[]>()
  for (const r of rows) {
    const change: Change = { version: r.version, atMs: r.at_ms, who: r.who, action: r.action, from: r.from_state, to: r.to_state, reason: r.reason, note: r.note }
    const list = out.get(r.ticket_no)
    if (list === undefined) out.set(r.ticket_no, [change])
    else list.push(change)
  }
  return out
}

// Looking tickets up: one, the queue, what changed lately, their histories.
import type { TicketState } from '#model/desk.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { fromRow, SELECT, type TicketRow } from './rows.ts'
import type { Change, Ticket } from './ticket.ts'

export async function ticketsByNo(db: Queryable, nos: readonly number[]): Promise<Ticket[]> {
  const { rows } = await db.query<TicketRow>(`${SELECT} WHERE no = ANY($1)`, [nos])
  return rows.map(fromRow)
}

/** Columns that a list may be narrowed by, by equality. */
export const TICKET_FILTERS = {
  state: 'state',
  class: 'class',
  priority: 'priority',
  severity: 'severity',
  zone: 'zone',
  scope: 'scope_id',
  assignee: 'assignee',
  key: 'key',
  no: 'no',
} as const
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
  const { rows } = await db.query<{
    ticket_no: number
    version: number
    at_ms: number
    who: string
    action: Change['action']
    from_state: TicketState | null
    to_state: TicketState
    reason: string
    note: string
  }>(
    'SELECT ticket_no, version, at_ms, who, action, from_state, to_state, reason, note FROM ticket_changes WHERE ticket_no = ANY($1) ORDER BY ticket_no, version',
    [nos],
  )
  const out = new Map<number, Change[]>()
  for (const r of rows) {
    const change: Change = {
      version: r.version,
      atMs: r.at_ms,
      who: r.who,
      action: r.action,
      from: r.from_state,
      to: r.to_state,
      reason: r.reason,
      note: r.note,
    }
    const list = out.get(r.ticket_no)
    if (list === undefined) out.set(r.ticket_no, [change])
    else list.push(change)
  }
  return out
}

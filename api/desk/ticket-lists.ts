// Looking tickets up: one, the queue, what changed lately, their histories.
import type { TicketState } from '#model/desk.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { fromRow, SELECT, type TicketRow } from './rows.ts'
import { type Change, type Ticket, ticketNo } from './ticket.ts'
import type { Sql } from './tmf-filter.ts'

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
  account: 'account',
  key: 'key',
  no: 'no',
} as const
export type TicketFilter = { [K in keyof typeof TICKET_FILTERS]?: readonly (string | number)[] }

export interface TicketQuery {
  filter: TicketFilter
  /** Only those that are not closed. */
  open?: boolean
  /** Words that title, place, account or number hold. */
  words?: string
  /** Only those with a step late, or with 80 % of its limit used, at this time. */
  riskAtMs?: number
  /** `queue`: most urgent first; `newest`, `oldest`: by number. */
  order: keyof typeof ORDERS
  /** ORDER BY of an own kind instead. */
  orderSql?: string
  /** One more condition, with its values; its placeholders count from the number given. */
  also?: (from: number) => Sql
  offset: number
  limit: number
}

const ORDERS = { queue: 'priority, resolve_due_ms, no', newest: 'no DESC', oldest: 'no' } as const

/** As in the partial indexes of tickets. */
export const OPEN = "state IN ('received', 'reviewed', 'dispatched', 'in_progress', 'verify', 'resolved', 'confirmed')"

export async function listTickets(db: Queryable, q: TicketQuery): Promise<{ tickets: Ticket[]; total: number }> {
  const where: string[] = q.open === true ? [OPEN] : []
  const values: unknown[] = []
  for (const name of Object.keys(TICKET_FILTERS) as (keyof typeof TICKET_FILTERS)[]) {
    const wanted = q.filter[name]
    if (wanted === undefined) continue
    values.push(wanted)
    where.push(`${TICKET_FILTERS[name]} = ANY($${values.length})`)
  }
  if (q.words !== undefined) {
    values.push(`%${q.words.replace(/[\\%_]/g, '\\$&')}%`, ticketNo(q.words.toUpperCase()) ?? null)
    const [text, no] = [`$${values.length - 1}`, `$${values.length}`]
    where.push(`(title ILIKE ${text} OR scope_id ILIKE ${text} OR account ILIKE ${text} OR no = ${no}::bigint)`)
  }
  if (q.riskAtMs !== undefined) {
    values.push(q.riskAtMs)
    const now = `$${values.length}::bigint`
    const late = (step: string, done: string) =>
      `(${done} AND (${step}_due_ms - ${now})::float8 <= 0.2 * greatest(1, ${step}_due_ms - clock_from_ms))`
    where.push(`${OPEN} AND held_since_ms IS NULL AND (${late('respond', 'responded_ms IS NULL AND dispatched_ms IS NULL AND resolved_ms IS NULL')}
      OR ${late('dispatch', 'dispatched_ms IS NULL AND resolved_ms IS NULL')} OR ${late('resolve', 'resolved_ms IS NULL')} OR ${late('reply', 'replied_ms IS NULL')})`)
  }
  if (q.also !== undefined) {
    const more = q.also(values.length + 1)
    where.push(more.clause)
    values.push(...more.values)
  }
  const clause = where.length === 0 ? '' : ` WHERE ${where.join(' AND ')}`
  const count = await db.query<{ n: number }>(`SELECT count(*) AS n FROM tickets${clause}`, values)
  const order = q.orderSql ?? ORDERS[q.order]
  // Numbers first: a page far back sorts thousands of numbers, not thousands of whole tickets.
  const page = `SELECT no FROM tickets${clause} ORDER BY ${order} OFFSET $${values.length + 1} LIMIT $${values.length + 2}`
  const { rows } = await db.query<TicketRow>(`${SELECT} WHERE no IN (${page}) ORDER BY ${order}`, [...values, q.offset, q.limit])
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

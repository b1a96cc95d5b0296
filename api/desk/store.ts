// What changes tickets in PostgreSQL: intents, steps of people, reports. Everything may be repeated: a revision that is not newer
// changes nothing, a command with a known key finds what it did. Listeners of the channel `desk_changed` wake at every commit.
import { randomUUID } from 'node:crypto'
import type { TicketAction } from '#model/desk.ts'
import type { TicketClass, TicketIntent } from '#model/ticket.ts'
import { type Pool, type PoolClient, tx } from '#runtime/postgres.ts'
import { concernedBy, metersOfIntent } from './impact.ts'
import { placesOf } from './places.ts'
import { fromRow, insertTickets, SELECT, saveChanges, type TicketRow, updateTickets } from './rows.ts'
import { loadRules } from './rules.ts'
import { applyCommand, applyIntent, blankTicket, type Change, prioritised, type Refused, type Ticket, timed } from './ticket.ts'

/** Rows of one transaction: short enough that a command never waits long for a row lock. */
const BATCH = 200

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
  const tickets = new Map(rows.map((r) => [r.key, fromRow(r)]))
  const places = await placesOf(
    client,
    intents.map((i) => i.scope),
  )
  const changes = new Map<string, Change[]>()
  const rules = await loadRules(client)
  // Only where the list of meters is another: counting whom ten thousand meters serve is the dear part.
  const asked = new Map<string, { key: string; meters: readonly string[] }>()
  const lists = new Map([...tickets.values()].map((t) => [t.key, metersOfIntent(t)]))
  for (const i of intents) {
    const meters = metersOfIntent(i)
    if (i.rev <= (tickets.get(i.key)?.intentRev ?? 0) || sameList(lists.get(i.key) ?? [], meters)) continue
    lists.set(i.key, meters)
    asked.set(`${i.key} ${i.rev}`, { key: `${i.key} ${i.rev}`, meters })
  }
  const concerned = await concernedBy(client, [...asked.values()])
  for (const intent of intents) {
    const whom = concerned.get(`${intent.key} ${intent.rev}`)
    const applied = applyIntent(tickets.get(intent.key) ?? null, intent, { rules, ...(whom ?? {}) })
    if (applied === undefined) continue
    tickets.set(intent.key, { ...applied.ticket, at: places.get(`${intent.scope.type} ${intent.scope.id}`) ?? applied.ticket.at })
    changes.set(intent.key, [...(changes.get(intent.key) ?? []), applied.change])
  }
  const changed = [...changes.keys()].map((key) => tickets.get(key) as Ticket)
  const numbers = await insertTickets(
    client,
    changed.filter((t) => t.no === 0),
  )
  await updateTickets(
    client,
    changed.filter((t) => t.no !== 0),
  )
  for (const t of changed) if (t.no !== 0) numbers.set(t.key, t.no)
  const saved = [...numbers].flatMap(([key, no]) => (changes.get(key) ?? []).map((change) => ({ no, change, command: null })))
  await saveChanges(client, saved)
  // Another consumer inserted these keys since they were looked for: now its rows are there to be looked at.
  const again = intents.filter((i) => changes.has(i.key) && !numbers.has(i.key))
  return saved.length + (again.length === 0 ? 0 : await applyPart(client, again))
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i])
}

export interface TicketCommand {
  action: TicketAction
  who: string
  note: string
  assignee?: string
  etrMs?: number | null
  /** Idempotency key; the same key on the same ticket is done once. */
  key?: string
  /** Refused when the ticket has another version by now. */
  version?: number
  atMs: number
}

export type CommandResult =
  | { ok: true; ticket: Ticket; repeated: boolean }
  | Refused
  | { ok: false; code: 'not_found' | 'version_conflict'; message: string }

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
    } else if (await isDoubleClick(client, ticket, c)) return { ok: true, ticket, repeated: true }
    if (c.version !== undefined && c.version !== ticket.version) {
      return {
        ok: false,
        code: 'version_conflict',
        message: `the ticket has version ${ticket.version} by now, not ${c.version}; look again`,
      }
    }
    const applied = applyCommand(ticket, c, await loadRules(client))
    if (!applied.ok) return applied
    // JSON merge patch: null takes an attribute away.
    const merged = Object.entries({ ...applied.ticket.external, ...external }).filter(([, v]) => v !== null)
    const next = { ...applied.ticket, external: Object.fromEntries(merged) }
    await updateTickets(client, [next])
    await saveChanges(client, [{ no, change: applied.change, command: c.key ?? null }])
    return { ok: true, ticket: next, repeated: false }
  })
}

/** The last thing that happened to the ticket is this very step, by the same person with the same words: a double click, or a request sent again. */
async function isDoubleClick(client: PoolClient, ticket: Ticket, c: TicketCommand): Promise<boolean> {
  const { rows } = await client.query<{ who: string; action: string; note: string }>(
    'SELECT who, action, note FROM ticket_changes WHERE ticket_no = $1 AND version = $2',
    [ticket.no, ticket.version],
  )
  const last = rows[0]
  if (last === undefined || last.who !== c.who || last.action !== c.action || !last.note.endsWith(c.note)) return false
  if (c.action === 'dispatch') return c.assignee === undefined || c.assignee === ticket.assignee
  if (c.action === 'etr') return (c.etrMs ?? null) === ticket.etrMs
  return true
}

export interface Report {
  class: TicketClass
  subtype?: string
  priority: 1 | 2 | 3 | 4
  severity: Ticket['severity']
  title: string
  description: string
  zone: string
  scope: { type: string; id: string }
  /** Where it is, when the registry does not say. */
  at?: [number, number] | null
  account?: string
  /** Meters it is about, for whom it concerns. */
  meters?: readonly string[]
  /** Named reason; `reported` when left out. */
  reason?: string
  external: Record<string, unknown>
  who: string
  atMs: number
  /** Since when, as they say; now when left out. */
  startedMs?: number
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
    const ticket = await openReported(client, r)
    if (r.key !== undefined) await client.query('INSERT INTO ticket_reports (command, ticket_no) VALUES ($1, $2)', [r.key, ticket.no])
    return { ticket, repeated: false }
  })
}

/** Stores a reported ticket within a transaction. */
export async function openReported(client: PoolClient, r: Report): Promise<Ticket> {
  const rules = await loadRules(client)
  const places = await placesOf(client, [r.scope])
  const key = `report:${randomUUID()}`
  const meters = r.meters ?? (['meter', 'premise', 'water_meter', 'electric_meter'].includes(r.scope.type) ? [r.scope.id] : [])
  const whom = meters.length === 0 ? undefined : (await concernedBy(client, [{ key, meters }])).get(key)
  const blank: Ticket = {
    ...blankTicket(key, r.atMs),
    class: r.class,
    subtype: r.subtype ?? '',
    base: r.priority,
    severity: r.severity,
    title: r.title,
    description: r.description,
    zone: r.zone,
    scope: r.scope,
    at: places.get(`${r.scope.type} ${r.scope.id}`) ?? r.at ?? null,
    affected: [...meters],
    reason: r.reason ?? 'reported',
    startedMs: r.startedMs ?? r.atMs,
    account: r.account ?? whom?.account ?? '',
    impact: whom?.impact ?? blankTicket(key, 0).impact,
    version: 1,
    external: r.external,
  }
  const ticket = timed(prioritised(blank, rules, r.atMs), rules)
  const no = (await insertTickets(client, [ticket])).get(key) as number
  const change: Change = {
    version: 1,
    atMs: r.atMs,
    who: r.who,
    action: 'open',
    from: null,
    to: 'received',
    reason: ticket.reason,
    note: '',
  }
  await saveChanges(client, [{ no, change, command: r.key ?? null }])
  return { ...ticket, no }
}

/** Changes a ticket in a transaction of the caller: `change` of the locked row, or undefined to leave it. */
export async function alter(
  client: PoolClient,
  no: number,
  make: (t: Ticket) => { ticket: Ticket; change: Omit<Change, 'version' | 'from' | 'to'> } | undefined,
): Promise<Ticket | undefined> {
  const row = (await client.query<TicketRow>(`${SELECT} WHERE no = $1 FOR UPDATE`, [no])).rows[0]
  if (row === undefined) return undefined
  const old = fromRow(row)
  const made = make(old)
  if (made === undefined) return old
  const atMs = Math.max(old.updatedMs, made.change.atMs)
  const ticket = { ...made.ticket, version: old.version + 1, updatedMs: atMs }
  await updateTickets(client, [ticket])
  const change: Change = { ...made.change, atMs, version: ticket.version, from: old.state, to: ticket.state }
  await saveChanges(client, [{ no, change, command: null }])
  return ticket
}

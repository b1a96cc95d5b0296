// The desk's own face of tickets, for the page: richer than TMF621 and with one step a request.
import { z } from 'zod'
import { COMPLAINT_TYPES, TICKET_ACTIONS, TICKET_STATES } from '#model/desk.ts'
import { SEVERITIES } from '#model/finding.ts'
import { TICKET_CLASSES } from '#model/ticket.ts'
import { parseIso, toIso } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'
import type { ApiDeps, App } from '../app.ts'
import { type CommandResult, command, report } from '../desk/store.ts'
import { type Change, type Ticket, ticketId, ticketNo, viewOf } from '../desk/ticket.ts'
import { changesOf, listTickets, ticketsByNo } from '../desk/ticket-lists.ts'
import { Problem } from '../problem.ts'
import { findingsById } from '../queries/findings.ts'
import { Flag, Id, List, limit, Offset } from '../queries/params.ts'
import { ChangeOut, FindingOut, PROBLEMS, PriorityOut, TicketOut } from './schemas.ts'

export const IdempotencyKey = z.string().min(8).max(200).optional().describe('The same key again does nothing new')
const Text = z.string().max(4000)

/** @throws Problem 404 for what is no ticket number. */
export function numberOf(id: string): number {
  const no = ticketNo(id)
  if (no === undefined) throw new Problem(404, 'no_such_ticket', 'there is no ticket with this id')
  return no
}

/** @throws Problem that says why a step was not taken. */
export function taken(r: CommandResult): { ticket: Ticket; repeated: boolean } {
  if (r.ok) return r
  const status = {
    not_found: 404,
    illegal_transition: 409,
    note_required: 422,
    reply_required: 409,
    etr_required: 422,
    version_conflict: 412,
  }[r.code]
  throw new Problem(status, r.code === 'not_found' ? 'no_such_ticket' : r.code, r.message)
}

export function changeView({ atMs, ...c }: Change) {
  return { ...c, at: toIso(atMs) }
}

async function isAccount(db: Queryable, account: string): Promise<boolean> {
  return (await db.query('SELECT 1 FROM accounts WHERE account = $1', [account])).rowCount === 1
}

export function ticketsRoutes(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/tickets',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Tickets: the queue (most urgent first) or the newest first',
        querystring: z.object({
          open: Flag.optional(),
          order: z.enum(['queue', 'newest']).default('queue'),
          state: List(z.enum(TICKET_STATES)).optional(),
          class: List(z.enum(TICKET_CLASSES)).optional(),
          priority: List(z.enum(['1', '2', '3', '4'])).optional(),
          zone: List(Id).optional(),
          scope: List(Id).optional(),
          assignee: List(Id).optional(),
          account: List(Id).optional(),
          risk: Flag.optional().describe('true: only those with a step that is late, or will be at the usual pace'),
          q: z.string().min(2).max(100).optional().describe('Words of title, place, account, or a ticket number'),
          offset: Offset,
          limit: limit(1000, 100),
        }),
        response: { 200: z.object({ tickets: z.array(TicketOut), total: z.int() }), ...PROBLEMS },
      },
    },
    async ({ query: { open, order, offset, limit: most, priority, risk, q, ...filter } }) => {
      const wanted = { ...filter, ...(priority === undefined ? {} : { priority: priority.map(Number) }) }
      const present = Object.fromEntries(Object.entries(wanted).filter(([, v]) => v !== undefined))
      const { tickets, total } = await listTickets(pool, {
        filter: present,
        ...(open === undefined ? {} : { open }),
        ...(q === undefined ? {} : { words: q }),
        ...(risk === true ? { riskAtMs: nowMs() } : {}),
        order,
        offset,
        limit: most,
      })
      return { tickets: tickets.map((t) => viewOf(t, nowMs())), total }
    },
  )

  app.get(
    '/v1/tickets/:id',
    {
      schema: {
        tags: ['tickets'],
        summary: 'One ticket with its history and the findings it is about',
        params: z.object({ id: Id }),
        response: { 200: z.object({ ticket: TicketOut, changes: z.array(ChangeOut), findings: z.array(FindingOut) }), ...PROBLEMS },
      },
    },
    async ({ params }) => {
      const no = numberOf(params.id)
      const ticket = (await ticketsByNo(pool, [no]))[0]
      if (ticket === undefined) throw new Problem(404, 'no_such_ticket', 'there is no ticket with this id')
      const [changes, findings] = await Promise.all([changesOf(pool, no), findingsById(pool, ticket.findings)])
      return { ticket: viewOf(ticket, nowMs()), changes: changes.map(changeView), findings: findings as z.output<typeof FindingOut>[] }
    },
  )

  app.post(
    '/v1/tickets',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Opens a ticket for what a person reports',
        headers: z.looseObject({ 'idempotency-key': IdempotencyKey }),
        body: z.object({
          class: z.enum(TICKET_CLASSES),
          subtype: z.enum(COMPLAINT_TYPES).optional().describe('Of a complaint; other when left out'),
          account: z.string().max(200).optional(),
          title: z.string().min(1).max(200),
          description: Text.default(''),
          priority: PriorityOut.default(3),
          severity: z.enum(SEVERITIES).default('minor'),
          scope: z.object({ type: z.string().min(1).max(40), id: Id }),
          zone: z.string().max(200).default(''),
        }),
        response: { 200: TicketOut, 201: TicketOut, ...PROBLEMS },
      },
    },
    async ({ body, headers, who }, reply) => {
      const key = headers['idempotency-key']
      const { account, subtype, ...given } = body
      if (subtype !== undefined && body.class !== 'complaint') throw new Problem(400, 'not_valid', 'body.subtype: only a complaint has one')
      if (account !== undefined && !(await isAccount(pool, account)))
        throw new Problem(422, 'no_such_account', `body.account: there is no account ${account}`)
      const { ticket, repeated } = await report(pool, {
        ...given,
        subtype: body.class === 'complaint' ? (subtype ?? 'other') : '',
        ...(account === undefined ? {} : { account }),
        external: {},
        who,
        atMs: nowMs(),
        ...(key === undefined ? {} : { key }),
      })
      return reply
        .code(repeated ? 200 : 201)
        .header('location', `/v1/tickets/${ticketId(ticket.no)}`)
        .send(viewOf(ticket, nowMs()))
    },
  )

  app.post(
    '/v1/tickets/:id/:action',
    {
      schema: {
        tags: ['tickets'],
        summary: 'One step: review, dispatch, start, done, reply, confirm, close, archive, reopen, cancel, hold, resume, etr, note',
        description:
          'Only what `actions` of the ticket offers; anything else is answered 409. `done` leads to `verify` while telemetry still sees the incident. cancel, reopen, reply, hold, and confirm against the telemetry need a note. `etr` needs a time in the future, or null. The very step that was just taken, by the same person, is answered with `repeated`. With `version`, refused (412) when the ticket has changed since.',
        params: z.object({ id: Id, action: z.enum(TICKET_ACTIONS) }),
        headers: z.looseObject({ 'idempotency-key': IdempotencyKey }),
        body: z
          .object({
            note: Text.default(''),
            assignee: z.string().max(200).optional(),
            version: z.int().optional(),
            etr: z.iso.datetime({ offset: true }).nullable().optional(),
          })
          .nullish(),
        response: { 200: z.object({ ticket: TicketOut, repeated: z.boolean() }), ...PROBLEMS },
      },
    },
    async ({ params, body, headers, who }) => {
      const key = headers['idempotency-key']
      const { ticket, repeated } = taken(
        await command(pool, numberOf(params.id), {
          action: params.action,
          who,
          note: body?.note ?? '',
          atMs: nowMs(),
          ...(body?.assignee === undefined ? {} : { assignee: body.assignee }),
          ...(body?.etr === undefined ? {} : { etrMs: body.etr === null ? null : parseIso(body.etr) }),
          ...(body?.version === undefined ? {} : { version: body.version }),
          ...(key === undefined ? {} : { key }),
        }),
      )
      return { ticket: viewOf(ticket, nowMs()), repeated }
    },
  )
}

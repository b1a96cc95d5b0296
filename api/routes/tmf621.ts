// TM Forum TMF621 v5: list, create, retrieve, patch; /hub is in tmf621-hub.ts. What is not offered is answered 501 or 400, never ignored.
import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { type Filter, parseFilter } from '../desk/jsonpath.ts'
import { command, report } from '../desk/store.ts'
import { ticketNo } from '../desk/ticket.ts'
import { changesOfMany, listTickets, type TicketFilter, ticketsByNo } from '../desk/ticket-lists.ts'
import { filterSql, sortSql } from '../desk/tmf-filter.ts'
import {
  actionFor,
  classOf,
  EXTERNAL,
  PRIORITY_OF_SEVERITY,
  pick,
  priorityOf,
  severityOf,
  statesOf,
  TMF_PATH,
  TMF_STATUSES,
  type TmfStatus,
  toTmf,
} from '../desk/tmf621.ts'
import { Problem } from '../problem.ts'
import { Id, limit, Offset } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'
import { IdempotencyKey, numberOf, taken } from './tickets.ts'

const Fields = z
  .string()
  .max(1000)
  .transform((s) => s.split(',').map((f) => f.trim()))
  .optional()
  .describe('Attributes to return, separated by commas; id, href and @type always come')
const Ticket = z.looseObject({ '@type': z.string(), id: z.string(), href: z.string() }).describe('TMF621 TroubleTicket')
const objects = z.array(z.looseObject({ '@type': z.string() })).max(100)

/** What create and patch share. Attributes that the desk sets itself are refused, so that nobody believes they were taken. */
const Given = {
  '@type': z.string().optional(),
  '@baseType': z.string().optional(),
  '@schemaLocation': z.string().optional(),
  attachment: objects.optional(),
  channel: z.looseObject({ '@type': z.string() }).optional(),
  externalIdentifier: objects.optional(),
  relatedParty: objects.optional(),
  requestedResolutionDate: z.iso.datetime({ offset: true }).optional(),
  troubleTicketRelationship: objects.optional(),
  troubleTicketSpecification: z.looseObject({ '@type': z.string() }).optional(),
}
const Note = z.looseObject({ '@type': z.string().optional(), text: z.string().min(1).max(4000) })
const RelatedEntity = z.looseObject({
  role: z.string().optional(),
  entity: z.looseObject({ id: Id, '@referredType': z.string().max(40).optional() }),
})

const Create = z.strictObject({
  ...Given,
  name: z.string().min(1).max(200).optional(),
  description: z.string().min(1).max(4000),
  severity: z.string().max(40),
  priority: z.string().max(40).optional(),
  ticketType: z.string().max(100).optional(),
  note: z.array(Note).max(20).optional(),
  relatedEntity: z.array(RelatedEntity).max(20).optional(),
})
const nullable = Object.fromEntries(Object.entries(Given).map(([k, v]) => [k, v.nullish()])) as {
  [K in keyof typeof Given]: z.ZodOptional<z.ZodNullable<(typeof Given)[K]>>
}
const Patch = z.strictObject({
  ...nullable,
  status: z.enum(TMF_STATUSES).optional(),
  statusChangeReason: z.string().max(4000).optional(),
  note: z.array(Note).max(20).optional(),
})

const List = z.looseObject({
  fields: Fields,
  offset: Offset,
  limit: limit(1000, 100),
  sort: z
    .string()
    .max(200)
    .default('-creationDate')
    .describe('creationDate, lastUpdate, priority, expectedResolutionDate, id; - before it descends'),
  filter: z.string().max(4000).optional().describe("JSONPath, such as $[?(@.status=='closed' && @.priority=='High')]"),
  id: z.string().max(2000).optional(),
  status: z.string().max(500).optional(),
  severity: z.string().max(200).optional(),
  priority: z.string().max(200).optional(),
  ticketType: z.string().max(500).optional(),
})
const LIST_NAMES = new Set(['fields', 'offset', 'limit', 'sort', 'filter', 'id', 'status', 'severity', 'priority', 'ticketType'])

export function tmf621Routes(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    TMF_PATH,
    {
      schema: {
        tags: ['tmf621'],
        summary: 'Lists trouble tickets',
        description:
          'Filters by equality, several values separated by commas: id, status, severity, priority, ticketType; by time: creationDate.gte and the like (gt, gte, lt, lte of creationDate, lastUpdate, resolutionDate); by JSONPath: filter. 206 when there are more, with X-Total-Count and X-Result-Count.',
        querystring: List,
        response: { 200: z.array(Ticket), 206: z.array(Ticket), ...PROBLEMS },
      },
    },
    async ({ query }, reply) => {
      refuseUnknown(query)
      const also = understood('filter', () => conditionOf(query))
      if (also !== undefined) understood('filter', () => filterSql(also, 1))
      const { tickets, total } = await listTickets(pool, {
        filter: filterOf(query),
        ...(also === undefined ? {} : { also: (from: number) => filterSql(also, from) }),
        order: 'newest',
        orderSql: understood('sort', () => sortSql(query.sort)),
        offset: query.offset,
        limit: query.limit,
      })
      const changes = await changesOfMany(
        pool,
        tickets.map((t) => t.no),
      )
      const list = tickets.map((t) => pick(toTmf(t, changes.get(t.no) ?? []), query.fields) as z.output<typeof Ticket>)
      reply.header('x-total-count', total).header('x-result-count', list.length)
      return reply.code(list.length < total ? 206 : 200).send(list)
    },
  )

  app.get(
    `${TMF_PATH}/:id`,
    {
      schema: {
        tags: ['tmf621'],
        summary: 'Retrieves a trouble ticket',
        params: z.object({ id: Id }),
        querystring: z.object({ fields: Fields }),
        response: { 200: Ticket, ...PROBLEMS },
      },
    },
    async ({ params, query }) => pick(await oneTicket(numberOf(params.id)), query.fields) as z.output<typeof Ticket>,
  )

  app.post(
    TMF_PATH,
    {
      schema: {
        tags: ['tmf621'],
        summary: 'Creates a trouble ticket',
        headers: z.looseObject({ 'idempotency-key': IdempotencyKey }),
        querystring: z.object({ fields: Fields }),
        description:
          'The first relatedEntity with a known id says what it is about. severity: Critical, Major, Minor, Warning; priority: Critical, High, Medium, Low or 1 to 4, by severity when left out; ticketType: one of our classes or a word like them.',
        body: Create,
        response: { 200: Ticket, 201: Ticket, ...PROBLEMS },
      },
    },
    async ({ body, headers, query, who }, reply) => {
      const severity = severityOf(body.severity)
      const priority = body.priority === undefined ? undefined : priorityOf(body.priority)
      const errors = [
        ...(severity === undefined ? [{ field: 'body.severity', message: 'must be Critical, Major, Minor or Warning' }] : []),
        ...(body.priority !== undefined && priority === undefined
          ? [{ field: 'body.priority', message: 'must be Critical, High, Medium, Low or 1 to 4' }]
          : []),
      ]
      if (severity === undefined || errors.length > 0)
        throw new Problem(400, 'not_valid', errors.map((e) => `${e.field}: ${e.message}`).join('; '), { errors })
      const about = await placeOf(body.relatedEntity ?? [])
      const key = headers['idempotency-key']
      const { ticket, repeated } = await report(pool, {
        class: classOf(body.ticketType ?? ''),
        priority: priority ?? PRIORITY_OF_SEVERITY[severity],
        severity,
        title: body.name ?? body.description.slice(0, 120),
        description: body.description,
        ...about,
        external: externalOf(body),
        who,
        atMs: nowMs(),
        ...(key === undefined ? {} : { key }),
      })
      if (!repeated) await addNotes(ticket.no, body.note ?? [], who)
      const view = pick(await oneTicket(ticket.no), query.fields) as z.output<typeof Ticket>
      return reply
        .code(repeated ? 200 : 201)
        .header('location', view.href)
        .send(view)
    },
  )

  app.patch(
    `${TMF_PATH}/:id`,
    {
      schema: {
        tags: ['tmf621'],
        summary: 'Changes a trouble ticket (JSON merge patch)',
        description:
          'status takes the step that leads there, with statusChangeReason as its note; `resolved` becomes `held` while telemetry still sees the incident. note: each is added. Attributes that the desk or the telemetry sets are refused.',
        params: z.object({ id: Id }),
        querystring: z.object({ fields: Fields }),
        headers: z.looseObject({ 'idempotency-key': IdempotencyKey }),
        body: Patch,
        response: { 200: Ticket, ...PROBLEMS },
      },
    },
    async ({ params, body, headers, query, who }) => {
      const no = numberOf(params.id)
      await patch(no, body, { who, key: headers['idempotency-key'] })
      return pick(await oneTicket(no), query.fields) as z.output<typeof Ticket>
    },
  )

  async function patch(no: number, body: z.output<typeof Patch>, by: { who: string; key: string | undefined }): Promise<void> {
    const ticket = (await ticketsByNo(pool, [no]))[0]
    if (ticket === undefined) throw new Problem(404, 'no_such_ticket', 'there is no ticket with this id')
    const external = externalOf(body)
    const names = Object.keys(external)
    const reason = body.statusChangeReason ?? ''
    const key = by.key === undefined ? {} : { key: by.key }
    if (body.status !== undefined) {
      const action = actionFor(ticket.state, body.status)
      if (action === undefined)
        throw new Problem(409, 'illegal_transition', `a ticket that is ${ticket.state} cannot become ${body.status}`)
      // The version was read just now: if somebody was quicker, the step may mean something else by now.
      if (action !== '')
        taken(await command(pool, no, { action, who: by.who, note: reason, atMs: nowMs(), version: ticket.version, ...key }, external))
      else if (names.length > 0) await changeAttributes(no, external, by)
    } else if (names.length > 0) await changeAttributes(no, external, by)
    await addNotes(no, body.note ?? [], by.who, by.key)
  }

  async function changeAttributes(
    no: number,
    external: Record<string, unknown>,
    by: { who: string; key: string | undefined },
  ): Promise<void> {
    const note = `changed: ${Object.keys(external).join(', ')}`
    taken(
      await command(
        pool,
        no,
        { action: 'note', who: by.who, note, atMs: nowMs(), ...(by.key === undefined ? {} : { key: by.key }) },
        external,
      ),
    )
  }

  async function addNotes(no: number, notes: readonly { text: string }[], who: string, key?: string): Promise<void> {
    for (const [i, n] of notes.entries()) {
      taken(
        await command(pool, no, {
          action: 'note',
          who,
          note: n.text,
          atMs: nowMs(),
          ...(key === undefined ? {} : { key: `${key}/note/${i}` }),
        }),
      )
    }
  }

  async function oneTicket(no: number): Promise<Record<string, unknown>> {
    const [tickets, changes] = await Promise.all([ticketsByNo(pool, [no]), changesOfMany(pool, [no])])
    const ticket = tickets[0]
    if (ticket === undefined) throw new Problem(404, 'no_such_ticket', 'there is no ticket with this id')
    return toTmf(ticket, changes.get(no) ?? [])
  }

  /** What a report is about: the first entity that the registry knows, else the first named, else nothing in particular. */
  async function placeOf(
    entities: readonly z.output<typeof RelatedEntity>[],
  ): Promise<{ scope: { type: string; id: string }; zone: string }> {
    const ids = entities.map((e) => e.entity.id)
    const { rows } = await pool.query<{ id: string; kind: string; zone: string | null }>(
      "SELECT id, kind, coalesce(properties->>'dma', properties->>'feeder') AS zone FROM assets WHERE id = ANY($1)",
      [ids],
    )
    const known = ids.map((id) => rows.find((r) => r.id === id)).find((r) => r !== undefined)
    if (known !== undefined)
      return { scope: { type: known.kind, id: known.id }, zone: known.zone ?? (['dma', 'feeder'].includes(known.kind) ? known.id : '') }
    const named = entities[0]?.entity
    return { scope: { type: named?.['@referredType'] ?? 'unknown', id: named?.id ?? '' }, zone: '' }
  }
}

function externalOf(body: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(EXTERNAL.filter((name) => body[name] !== undefined).map((name) => [name, body[name]]))
}

/** @throws Problem 400 with the words of what could not be read. */
function understood<T>(name: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    throw new Problem(400, 'not_valid', `${name}: ${(error as Error).message}`)
  }
}

const TIMED = /^(creationDate|lastUpdate|resolutionDate)\.(gt|gte|lt|lte)$/
const OPS = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

/** The JSONPath and the times of a query as one condition. */
function conditionOf(query: Record<string, unknown>): Filter | undefined {
  const parts: Filter[] = []
  if (typeof query.filter === 'string') parts.push(parseFilter(query.filter))
  for (const [key, value] of Object.entries(query)) {
    const m = TIMED.exec(key)
    if (m !== null) parts.push({ is: 'compare', name: m[1] as string, op: OPS[m[2] as keyof typeof OPS], value: String(value) })
  }
  return parts.length === 0 ? undefined : { is: 'and', of: parts }
}

function refuseUnknown(query: Record<string, unknown>): void {
  for (const name of ['before', 'after']) {
    if (query[name] !== undefined) throw new Problem(501, 'not_offered', `${name} is not offered; page by offset and limit`)
  }
  const unknown = Object.keys(query).filter((k) => !LIST_NAMES.has(k) && !TIMED.test(k))
  if (unknown.length > 0) throw new Problem(400, 'not_valid', `tickets cannot be filtered by ${unknown.join(', ')}`)
}

function filterOf(q: z.output<typeof List>): TicketFilter & { no?: number[] } {
  const words = (text: string) => text.split(',').map((w) => w.trim())
  const all = <T>(text: string, name: string, of: (word: string) => T | undefined): T[] =>
    words(text).map((word) => {
      const value = of(word)
      if (value === undefined) throw new Problem(400, 'not_valid', `${name}: ${word.slice(0, 50)} is none of its values`)
      return value
    })
  const status = (w: string) => ((TMF_STATUSES as readonly string[]).includes(w) ? (w as TmfStatus) : undefined)
  return {
    ...(q.id === undefined ? {} : { no: words(q.id).map((w) => ticketNo(w) ?? 0) }),
    ...(q.status === undefined ? {} : { state: all(q.status, 'status', status).flatMap(statesOf) }),
    ...(q.severity === undefined ? {} : { severity: all(q.severity, 'severity', severityOf) }),
    ...(q.priority === undefined ? {} : { priority: all(q.priority, 'priority', priorityOf) }),
    ...(q.ticketType === undefined ? {} : { class: words(q.ticketType) }),
  }
}

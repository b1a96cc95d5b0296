// What the utility decides about its desk, and the call-back queue.
import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { listCallbacks, recordCallback } from '../desk/callbacks.ts'
import { listDecisions } from '../desk/decision-store.ts'
import { readSettings, writeSettings } from '../desk/rules.ts'
import { DeskSettings } from '../desk/settings.ts'
import { ticketId } from '../desk/ticket.ts'
import { Problem } from '../problem.ts'
import { Id, limit } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'
import { numberOf } from './tickets.ts'

const Settings = z.object({ settings: z.looseObject({}), version: z.int(), by: z.string(), at: z.string().nullable() })
const Callback = z.object({
  ticket: z.string(),
  day: z.string(),
  state: z.enum(['queued', 'reached', 'not_reached']),
  tries: z.int(),
  score: z.int().nullable(),
  expected: z.int().nullable(),
  note: z.string(),
  who: z.string(),
  title: z.string(),
  class: z.string(),
  account: z.string(),
})

const Decision = z.object({
  key: z.string().describe('The incident'),
  zone: z.string(),
  scope: z.object({ type: z.string(), id: z.string() }),
  findings: z.array(z.string()),
  why: z.record(z.string(), z.string()).describe('Named reason of each stage: group, inhibit, silence, decide'),
  mutedBy: z.string().describe('Incident that explains it; empty when none does'),
  at: z.string(),
})

export function deskRoutes(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/decisions',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Incidents without a ticket of their own, and why: muted, planned, momentary, not lasting yet; newest first',
        querystring: z.object({ finding: Id.optional(), reason: z.string().max(60).optional(), limit: limit(1000, 100) }),
        response: { 200: z.object({ decisions: z.array(Decision) }), ...PROBLEMS },
      },
    },
    async ({ query: { finding, reason, limit: most } }) => ({
      decisions: await listDecisions(pool, {
        ...(finding === undefined ? {} : { finding }),
        ...(reason === undefined ? {} : { reason }),
        limit: most,
      }),
    }),
  )

  app.get(
    '/v1/desk/settings',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Working hours, limits, escalation, priorities, notices, crews, reports, call-backs, costs, as they hold',
        response: { 200: Settings, ...PROBLEMS },
      },
    },
    async () => readSettings(pool),
  )

  app.put(
    '/v1/desk/settings',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Replaces the settings as a whole; what is left out has its default',
        description:
          'Refused as a whole when anything in it is wrong, each problem with its field. Old ones are kept. Open tickets follow with their next change.',
        body: z.looseObject({}),
        response: { 200: Settings, ...PROBLEMS },
      },
    },
    async ({ body, who }) => {
      const parsed = DeskSettings.safeParse(body)
      if (!parsed.success) {
        const errors = parsed.error.issues.map((i) => ({ field: ['body', ...i.path].join('.'), message: i.message }))
        throw new Problem(
          400,
          'not_valid',
          errors
            .map((e) => `${e.field}: ${e.message}`)
            .join('; ')
            .slice(0, 2000),
          { errors },
        )
      }
      await writeSettings(pool, parsed.data, who)
      return readSettings(pool)
    },
  )

  app.get(
    '/v1/callbacks',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Closed tickets whose customers are to be called back, oldest first, and what they said',
        querystring: z.object({ state: z.enum(['queued', 'reached', 'not_reached']).optional(), limit: limit(1000, 100) }),
        response: { 200: z.object({ callbacks: z.array(Callback) }), ...PROBLEMS },
      },
    },
    async ({ query: { state, limit: most } }) => {
      const rows = await listCallbacks(pool, { ...(state === undefined ? {} : { state }), limit: most })
      return { callbacks: rows.map(({ ticket_no, at_ms: _, ...r }) => ({ ticket: ticketId(ticket_no), ...r })) }
    },
  )

  app.post(
    '/v1/callbacks/:ticket',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Records a call-back: reached with a score of 1 (bad) to 5, or not; after three tries it leaves the queue',
        params: z.object({ ticket: Id }),
        body: z.strictObject({
          reached: z.boolean(),
          score: z.int().min(1).max(5).optional(),
          expected: z.int().min(1).max(5).optional().describe('What the customer had expected'),
          note: z.string().max(4000).default(''),
        }),
        response: { 204: z.null(), ...PROBLEMS },
      },
    },
    async ({ params: { ticket }, body, who }, reply) => {
      if (body.reached && body.score === undefined)
        throw new Problem(400, 'not_valid', 'body.score: a customer who was reached gives a score')
      const { score, expected, ...rest } = body
      const done = await recordCallback(pool, numberOf(ticket), {
        ...rest,
        ...(score === undefined ? {} : { score }),
        ...(expected === undefined ? {} : { expected }),
        who,
        atMs: nowMs(),
      })
      if (!done) throw new Problem(409, 'not_queued', `${ticket} is not in the call-back queue`)
      return reply.code(204).send(null)
    },
  )
}

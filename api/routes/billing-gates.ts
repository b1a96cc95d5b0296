// Quality gates of the billing feed: their settings by tariff class, what they hold, and a person's word that lets a day pass.
import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { deleteGate, listGates, putGate } from '../billing/gate-store.ts'
import { releaseByHand, reviewHeld } from '../billing/publisher.ts'
import { Problem } from '../problem.ts'
import { heldAfter } from '../queries/consumption.ts'
import { readCursor, writeCursor } from '../queries/cursor.ts'
import { Id, limit } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'

const Held = z.object({
  meter: z.string(),
  quantity: z.string(),
  channel: z.string(),
  date: z.string(),
  rev: z.int(),
  class: z.string(),
  reason: z.string(),
  estimatedPct: z.number(),
  limitPct: z.number(),
  decidedAt: z.string(),
  heldAt: z.string(),
})
const GateOut = z.object({
  class: z.string(),
  maxEstimatedPct: z.number(),
  holdDays: z.int().nullable(),
  rev: z.int(),
  updatedBy: z.string(),
  updatedAt: z.string(),
  held: z.int().describe('Meter-days that it holds now'),
})
const GateIn = z.strictObject({
  maxEstimatedPct: z.number().min(0).max(100).describe('Highest share of a day without actual reads, in percent of its intervals'),
  holdDays: z.int().min(0).max(400).nullable().default(null).describe('Days after which a held day is released as it is; null: never'),
})
const ClassParam = z.object({ class: Id })
export const LocalDate = z
  .string()
  .regex(/^2[01]\d{2}-\d{2}-\d{2}$/, 'must be a date from 2000 on such as 2026-03-01')
  .refine((d) => !Number.isNaN(Date.parse(`${d}T00:00:00Z`)) && new Date(`${d}T00:00:00Z`).toISOString().startsWith(d), 'no such date')

export function billingGatesRoutes(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/billing/held',
    {
      schema: {
        tags: ['billing'],
        summary: 'Meter-days that a quality gate holds back, with the reason',
        querystring: z.object({
          meter: Id.optional(),
          class: Id.optional(),
          cursor: z.string().max(200).optional(),
          limit: limit(5_000, 500),
        }),
        response: { 200: z.object({ items: z.array(Held), next: z.string().nullable() }), ...PROBLEMS },
      },
    },
    async ({ query }) => {
      const after = query.cursor === undefined ? 0 : readCursor('held', query.cursor)[0]
      if (typeof after !== 'number') throw new Problem(400, 'not_valid', 'cursor: not one that this list has given out')
      const rows = await heldAfter(pool, { ...query, after })
      const shown = rows.slice(0, query.limit)
      const last = shown.at(-1)
      return {
        items: shown.map(({ daySeq: _, ...h }) => h),
        next: rows.length > query.limit && last !== undefined ? writeCursor('held', last.daySeq) : null,
      }
    },
  )

  app.post(
    '/v1/billing/held/release',
    {
      schema: {
        tags: ['billing'],
        summary: 'Lets a held meter-day into the feed as it is: needs a note, which is kept with who gave it',
        body: z.strictObject({
          meter: Id,
          quantity: Id,
          channel: z.string().max(100).default(''),
          date: LocalDate,
          note: z.string().trim().min(3).max(1000),
        }),
        response: { 200: z.object({ seqs: z.array(z.int()) }), ...PROBLEMS },
      },
    },
    async ({ body, who }) => {
      const seqs = await releaseByHand(pool, body, { who, note: body.note })
      if (seqs.length === 0) throw new Problem(404, 'not_found', `nothing is held of ${body.meter} ${body.quantity} on ${body.date}`)
      return { seqs }
    },
  )

  app.get(
    '/v1/billing/gates',
    {
      schema: {
        tags: ['billing'],
        summary: 'Quality gates by tariff class',
        response: { 200: z.object({ gates: z.array(GateOut) }), ...PROBLEMS },
      },
    },
    async () => ({ gates: await listGates(pool) }),
  )

  app.put(
    '/v1/billing/gates/:class',
    {
      schema: {
        tags: ['billing'],
        summary: "Sets the gate of a tariff class; '*' is for all classes without one of their own",
        description: 'Held days that pass the new gate are released at once. What is in the feed already stays there.',
        params: ClassParam,
        body: GateIn,
        response: { 200: GateOut, ...PROBLEMS },
      },
    },
    async ({ params, body, who }) => {
      const gate = await putGate(pool, { class: params.class, ...body, who })
      await reviewHeld(pool, nowMs())
      return gate
    },
  )

  app.delete(
    '/v1/billing/gates/:class',
    {
      schema: { tags: ['billing'], summary: 'Takes a gate away', params: ClassParam, response: { 204: z.null(), ...PROBLEMS } },
    },
    async ({ params }, reply) => {
      if (!(await deleteGate(pool, params.class))) throw new Problem(404, 'not_found', `class ${params.class} has no gate of its own`)
      await reviewHeld(pool, nowMs())
      return reply.code(204).send(null)
    },
  )
}

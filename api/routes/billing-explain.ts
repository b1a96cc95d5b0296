// Why a figure is what it is: of a day, of a period; and why a billing ticket is open.
import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { listCauses } from '../billing/cause-store.ts'
import { CAUSE_KINDS } from '../billing/causes.ts'
import { billedDaysOf, periodByNo } from '../billing/period-store.ts'
import { Problem } from '../problem.ts'
import { registryMeta } from '../queries/assets.ts'
import { explainDay } from '../queries/explain.ts'
import { Flag, Id, limit } from '../queries/params.ts'
import { LocalDate } from './billing-gates.ts'
import { PROBLEMS } from './schemas.ts'

const Explanation = z
  .looseObject({ meter: z.string(), date: z.string(), timezone: z.string(), start: z.string(), end: z.string(), cut: z.boolean() })
  .describe(
    'revisions, billed, intervals, reads (each with its message), events, refused, operations, rules: docs/billing.md names every field',
  )
const Day = z.object({
  meter: z.string(),
  quantity: z.string(),
  channel: z.string(),
  date: z.string(),
  rev: z.int(),
  value: z.number(),
  mix: z.record(z.string(), z.number()).describe('Intervals by status, as they were when it was billed'),
  explain: z.string().describe('Where the day is explained'),
})
const Cause = z.object({
  key: z.string(),
  kind: z.enum(CAUSE_KINDS),
  account: z.string(),
  meter: z.string(),
  evidence: z.record(z.string(), z.unknown()),
  findings: z.array(z.string()).describe('Open findings at the meter'),
  openedAt: z.string(),
  updatedAt: z.string(),
  closedAt: z.string().nullable(),
  ticket: z.string().nullable(),
})

export function billingExplainRoutes(app: App, deps: ApiDeps): void {
  const { pool } = deps
  app.get(
    '/v1/billing/consumption/:meter/:date/explain',
    {
      schema: {
        tags: ['billing'],
        summary: 'From a billed day back to its intervals, the raw reads with gateway, time and message, and the rules that fired',
        params: z.object({ meter: Id, date: LocalDate }),
        response: { 200: Explanation, ...PROBLEMS },
      },
    },
    async ({ params }, reply) => {
      const { timezone } = await registryMeta(pool)
      const found = await explainDay(pool, deps, { ...params, timezone: timezone || 'UTC' })
      if (found === undefined) throw new Problem(404, 'not_found', `nothing is known of ${params.meter} on ${params.date}`)
      // Thousands of reads and intervals, made of columns with their types.
      reply.serializer((body) => JSON.stringify(body))
      return { ...found }
    },
  )

  app.get(
    '/v1/billing/periods/:no/explain',
    {
      schema: {
        tags: ['billing'],
        summary: 'The days that a closed document was made of, corrections of earlier periods included, each with where it is explained',
        params: z.object({ no: z.coerce.number().int().positive() }),
        response: {
          200: z.object({
            no: z.int(),
            period: z.string(),
            account: z.string(),
            sha256: z.string(),
            days: z.array(Day),
            corrections: z.array(Day),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ params }) => {
      const stored = await periodByNo(pool, params.no)
      if (stored === undefined) throw new Problem(404, 'not_found', `there is no closed document ${params.no}`)
      const days = (await billedDaysOf(pool, stored.facts)).map(({ intervals, ...d }) => {
        const mix: Record<string, number> = {}
        for (const i of intervals) mix[i.status] = (mix[i.status] ?? 0) + 1
        const { meter, quantity, channel, date, rev, value } = d
        return {
          meter,
          quantity,
          channel,
          date,
          rev,
          value,
          mix,
          explain: `/v1/billing/consumption/${encodeURIComponent(meter)}/${date}/explain`,
        }
      })
      return {
        no: stored.no,
        period: stored.period,
        account: stored.account,
        sha256: stored.sha256,
        days: days.filter((d) => d.date >= stored.facts.period.from),
        corrections: days.filter((d) => d.date < stored.facts.period.from),
      }
    },
  )

  app.get(
    '/v1/billing/causes',
    {
      schema: {
        tags: ['billing'],
        summary: 'Why billing tickets are open, with the numbers',
        querystring: z.object({
          kind: z.enum(CAUSE_KINDS).optional(),
          meter: Id.optional(),
          account: Id.optional(),
          open: Flag.optional(),
          limit: limit(1_000, 200),
        }),
        response: { 200: z.object({ causes: z.array(Cause) }), ...PROBLEMS },
      },
    },
    async ({ query }) => {
      const iso = (ms: number) => new Date(ms).toISOString()
      const causes = (await listCauses(pool, query)).map(({ zone: _, rev: __, openedMs, updatedMs, closedMs, ticketNo, ...c }) => ({
        ...c,
        openedAt: iso(openedMs),
        updatedAt: iso(updatedMs),
        closedAt: closedMs === null ? null : iso(closedMs),
        ticket: ticketNo === null ? null : `T-${ticketNo}`,
      }))
      return { causes }
    },
  )
}

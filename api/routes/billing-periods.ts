// Closed periods: their documents as they were written, the check that they still follow from what was kept, the calendar.
import { Readable } from 'node:stream'
import { z } from 'zod'
import { DAY_MS } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { listRuns, putCalendar, readCalendar } from '../billing/calendar-store.ts'
import { sha256 } from '../billing/closer.ts'
import { documentText, periodDocument } from '../billing/determinants.ts'
import { greenButtonOf } from '../billing/green-button-source.ts'
import { listPeriods, loadInput, periodByNo, type StoredPeriod } from '../billing/period-store.ts'
import { Problem } from '../problem.ts'
import { readCursor, writeCursor } from '../queries/cursor.ts'
import { Id, limit, rangeOf, Time } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'

export const PeriodId = z.string().regex(/^2[01]\d{2}-(0[1-9]|1[0-2])$/, 'must be a year and month such as 2026-03')
const Document = z
  .looseObject({ period: z.string(), from: z.string(), to: z.string(), commodity: z.string() })
  .describe('The document as it was written when the period was closed; docs/billing.md names every field')
const PeriodOut = z.object({ no: z.int(), sha256: z.string(), document: Document })
const Calendar = z.strictObject({
  startDay: z.int().min(1).max(28).describe('Day of the month on which a period begins'),
  closeAfterDays: z.int().min(0).max(60).describe('Local days after the end of a period when it is closed'),
  closeTime: z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'must be a time such as 02:00'),
})

export function billingPeriodsRoutes(app: App, deps: ApiDeps): void {
  const { pool } = deps
  greenButtonRoute(app, deps)
  app.get(
    '/v1/billing/periods',
    {
      schema: {
        tags: ['billing'],
        summary: 'Billing determinants of closed periods: registers, tiers, time of use, quality mix, charges, adjustments',
        description:
          'One document an account and commodity (or a meter without an account), unchangeable. `sha256` is that of the text of `document`, byte for byte as it is in this answer.',
        querystring: z.object({
          account: Id.optional(),
          meter: Id.optional(),
          period: PeriodId.optional(),
          cursor: z.string().max(200).optional(),
          limit: limit(500, 100),
        }),
        response: { 200: z.object({ items: z.array(PeriodOut), next: z.string().nullable() }), ...PROBLEMS },
      },
    },
    async ({ query }, reply) => {
      const after = query.cursor === undefined ? 0 : readCursor('periods', query.cursor)[0]
      if (typeof after !== 'number') throw new Problem(400, 'not_valid', 'cursor: not one that this list has given out')
      const rows = await listPeriods(pool, { ...query, after })
      const shown = rows.slice(0, query.limit)
      const last = shown.at(-1)
      const next = rows.length > query.limit && last !== undefined ? writeCursor('periods', last.no) : null
      // The documents' own bytes: parsed and written anew they might not be those that were hashed.
      reply.serializer((text: string) => text)
      return sent(`{"items":[${shown.map(itemText).join(',')}],"next":${JSON.stringify(next)}}`)
    },
  )

  app.get(
    '/v1/billing/periods/:no',
    {
      schema: {
        tags: ['billing'],
        summary: 'One closed document',
        params: z.object({ no: z.coerce.number().int().positive() }),
        response: { 200: PeriodOut, ...PROBLEMS },
      },
    },
    async ({ params }, reply) => {
      const stored = await periodByNo(pool, params.no)
      if (stored === undefined) throw new Problem(404, 'not_found', `there is no closed document ${params.no}`)
      reply.serializer((text: string) => text)
      return sent(itemText(stored))
    },
  )

  app.get(
    '/v1/billing/periods/:no/verify',
    {
      schema: {
        tags: ['billing'],
        summary: 'Computes a closed document again from what was kept and compares the bytes',
        params: z.object({ no: z.coerce.number().int().positive() }),
        response: { 200: z.object({ no: z.int(), same: z.boolean(), sha256: z.string(), computed: z.string() }), ...PROBLEMS },
      },
    },
    async ({ params }) => {
      const stored = await periodByNo(pool, params.no)
      if (stored === undefined) throw new Problem(404, 'not_found', `there is no closed document ${params.no}`)
      const computed = sha256(documentText(periodDocument(await loadInput(pool, stored.facts))))
      return { no: stored.no, same: computed === stored.sha256 && sha256(stored.body) === stored.sha256, sha256: stored.sha256, computed }
    },
  )

  app.get(
    '/v1/billing/calendar',
    {
      schema: {
        tags: ['billing'],
        summary: 'When periods begin and are closed, and how far closing is',
        response: {
          200: z.object({
            calendar: Calendar,
            runs: z.array(
              z.object({ period: z.string(), from: z.string(), to: z.string(), dueAt: z.string(), phase: z.string(), closed: z.int() }),
            ),
          }),
          ...PROBLEMS,
        },
      },
    },
    async () => ({ calendar: await readCalendar(pool), runs: await listRuns(pool, 24) }),
  )

  app.put(
    '/v1/billing/calendar',
    { schema: { tags: ['billing'], summary: 'Sets the billing calendar', body: Calendar, response: { 200: Calendar, ...PROBLEMS } } },
    async ({ body, who }) => {
      if (await putCalendar(pool, body, who)) return body
      throw new Problem(
        409,
        'period_closed',
        'startDay: periods that begin on another day are closed already; the next one would overlap or leave a gap',
      )
    },
  )
}

const GREEN_BUTTON_MS_MAX = 400 * DAY_MS

function greenButtonRoute(app: App, deps: ApiDeps): void {
  app.get(
    '/v1/billing/accounts/:account/green-button',
    {
      schema: {
        tags: ['billing'],
        summary: "An account's intervals and closed bills as Green Button (NAESB ESPI 4.0) XML",
        description: 'from (included) to (not included), the last 31 days of log time when left out, at most 400 days.',
        params: z.object({ account: Id }),
        querystring: z.object({ from: Time.optional(), to: Time.optional() }),
        response: { 200: z.any(), ...PROBLEMS },
      },
    },
    async ({ params, query }, reply) => {
      const range = rangeOf(query, { nowMs: deps.nowMs(), usualMs: 31 * DAY_MS, mostMs: GREEN_BUTTON_MS_MAX })
      const parts = await greenButtonOf(deps, { account: params.account, ...range })
      if (parts === undefined) throw new Problem(404, 'not_found', `there is no account ${params.account}`)
      if (parts === 'too_many')
        throw new Problem(400, 'range_too_long', 'from and to: more intervals than one download may have; ask for less at a time')
      reply.type('application/atom+xml; charset=utf-8').header('content-disposition', 'attachment; filename="green-button.xml"')
      return Readable.from(parts)
    },
  )
}

function itemText(p: StoredPeriod): string {
  return `{"no":${p.no},"sha256":"${p.sha256}","document":${p.body}}`
}

/** A text that is the answer already; its type is that of what it says. */
function sent<T>(text: string): T {
  return text as T
}

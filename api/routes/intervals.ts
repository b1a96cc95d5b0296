import { z } from 'zod'
import { INTERVAL_STATUSES } from '#model/interval.ts'
import { QUANTITIES } from '#model/quantity.ts'
import { DAY_MS, parseIso, toIso } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { Id, limit, rangeOf, Time } from '../queries/params.ts'
import { intervals, newestOnly, page } from '../queries/series.ts'
import { PROBLEMS } from './schemas.ts'

const Interval = z.object({
  start: z.string(),
  end: z.string(),
  quantity: z.string(),
  channel: z.string(),
  value: z.number().nullable(),
  status: z.enum(INTERVAL_STATUSES),
  reasons: z.array(z.string()),
  rev: z.int(),
  zone: z.string(),
  was: z
    .object({ value: z.number().nullable(), status: z.enum(INTERVAL_STATUSES), why: z.string() })
    .nullable()
    .describe('What a later revision replaces, and why'),
})
const RANGE_MS_MAX = 400 * DAY_MS

export function intervalsRoutes(app: App, deps: ApiDeps): void {
  app.get(
    '/v1/intervals',
    {
      schema: {
        tags: ['data'],
        summary: 'Validated consumption of one meter, with status, reasons and revision',
        description:
          'from (included) to (not included), the last 24 hours of log time when left out, at most 400 days. revisions=all shows every revision. When `next` is not null, ask again with from=next.',
        querystring: z.object({
          meter: Id,
          quantity: z.enum(QUANTITIES).optional(),
          channel: z.string().max(100).optional(),
          from: Time.optional(),
          to: Time.optional(),
          revisions: z.enum(['newest', 'all']).default('newest'),
          limit: limit(20_000, 5_000),
        }),
        response: {
          200: z.object({ meter: z.string(), from: z.string(), to: z.string(), intervals: z.array(Interval), next: z.string().nullable() }),
          ...PROBLEMS,
        },
      },
    },
    async (request) => {
      const q = request.query
      const range = rangeOf(q, { nowMs: deps.nowMs(), usualMs: DAY_MS, mostMs: RANGE_MS_MAX })
      const rows = await intervals(deps, { ...q, range })
      const { rows: shown, next } = page(rows, q.limit, (r) => r.start)
      if (rows.length > q.limit && next === null)
        throw new Problem(400, 'limit_too_small', 'more intervals at one instant than the limit; name a quantity or raise the limit')
      return {
        meter: q.meter,
        from: toIso(range.fromMs),
        to: toIso(range.toMs),
        intervals: q.revisions === 'all' ? [...shown] : newestOnly(shown),
        next: next === null ? null : toIso(parseIso(next)),
      }
    },
  )
}

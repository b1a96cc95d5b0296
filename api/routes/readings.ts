import { z } from 'zod'
import { QUANTITIES } from '#model/quantity.ts'
import { DAY_MS, parseIso, toIso } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { Id, limit, rangeOf, Time } from '../queries/params.ts'
import { page, readings } from '../queries/series.ts'
import { PROBLEMS } from './schemas.ts'

const Reading = z.object({
  ts: z.string(),
  quantity: z.string(),
  channel: z.string(),
  value: z.number(),
  receivedAt: z.string(),
  gateway: z.string().nullable(),
  zone: z.string(),
  quality: z.string().describe('good, late, suspect; computed for values that no device measured'),
  rules: z.array(z.string()),
  seq: z.number().nullable(),
})
const RANGE_MS_MAX = 400 * DAY_MS

export function readingsRoutes(app: App, deps: ApiDeps): void {
  app.get(
    '/v1/readings',
    {
      schema: {
        tags: ['data'],
        summary: 'Readings of one device as received, with quality',
        description:
          'from (included) to (not included), the last 24 hours of log time when left out, at most 400 days. When `next` is not null, ask again with from=next.',
        querystring: z.object({
          device: Id,
          quantity: z.enum(QUANTITIES).optional(),
          channel: z.string().max(100).optional(),
          from: Time.optional(),
          to: Time.optional(),
          limit: limit(20_000, 5_000),
        }),
        response: {
          200: z.object({ device: z.string(), from: z.string(), to: z.string(), readings: z.array(Reading), next: z.string().nullable() }),
          ...PROBLEMS,
        },
      },
    },
    async (request) => {
      const q = request.query
      const range = rangeOf(q, { nowMs: deps.nowMs(), usualMs: DAY_MS, mostMs: RANGE_MS_MAX })
      const rows = await readings(deps, { ...q, range })
      const { rows: shown, next } = page(rows, q.limit, (r) => r.ts)
      if (rows.length > q.limit && next === null)
        throw new Problem(400, 'limit_too_small', 'more readings at one instant than the limit; name a quantity or raise the limit')
      return {
        device: q.device,
        from: toIso(range.fromMs),
        to: toIso(range.toMs),
        readings: [...shown],
        next: next === null ? null : toIso(parseIso(next)),
      }
    },
  )
}

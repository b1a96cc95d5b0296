import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { consumptionAfter } from '../queries/billing.ts'
import { readCursor, writeCursor } from '../queries/cursor.ts'
import { limit } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'

const Item = z.object({
  seq: z.int(),
  meter: z.string(),
  quantity: z.string(),
  channel: z.string(),
  date: z.string(),
  value: z.number(),
  actual: z.int(),
  estimated: z.int(),
  missing: z.int(),
  rev: z.int(),
  decidedAt: z.string(),
})

export function billingRoutes(app: App, { pool }: ApiDeps): void {
  app.get(
    '/v1/billing/consumption',
    {
      schema: {
        tags: ['billing'],
        summary: 'Every meter-day, every revision, each once, in a stable order',
        description:
          'Begin without a cursor; keep `next` with what you have stored and hand it back. An empty page means that all is read for now: ask again later with the same `next`. A later revision of a day replaces the earlier (same meter, quantity, channel, date; higher rev). `date` is the local day of the utility.',
        querystring: z.object({ cursor: z.string().max(200).optional(), limit: limit(10_000, 1_000) }),
        response: { 200: z.object({ items: z.array(Item), next: z.string(), more: z.boolean() }), ...PROBLEMS },
      },
    },
    async ({ query }) => {
      const after = query.cursor === undefined ? 0 : readCursor('consumption', query.cursor)[0]
      if (typeof after !== 'number') throw new Problem(400, 'not_valid', 'cursor: not one that this feed has given out')
      const items = await consumptionAfter(pool, after, query.limit + 1)
      const shown = items.slice(0, query.limit)
      return { items: shown, next: writeCursor('consumption', shown.at(-1)?.seq ?? after), more: items.length > query.limit }
    },
  )
}

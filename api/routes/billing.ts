// The billing feed: pages of JSON, and the same entries as lines of JSON, CSV and Parquet.
import { Readable } from 'node:stream'
import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { csv, ndjson, parquet } from '../billing/feed-formats.ts'
import { GATE_OUTCOMES } from '../billing/gate.ts'
import { publishPending } from '../billing/publisher.ts'
import { Problem } from '../problem.ts'
import { type FeedItem, type FeedRange, feedPage, nextRange } from '../queries/consumption.ts'
import { readCursor, writeCursor } from '../queries/cursor.ts'
import { limit } from '../queries/params.ts'
import { billingExplainRoutes } from './billing-explain.ts'
import { billingGatesRoutes } from './billing-gates.ts'
import { billingPeriodsRoutes } from './billing-periods.ts'
import { PROBLEMS } from './schemas.ts'

const Item = z.object({
  seq: z.int().describe('Position in the feed; grows, holes are possible'),
  meter: z.string(),
  quantity: z.string(),
  channel: z.string(),
  date: z.string().describe('Local day of the utility'),
  value: z.number(),
  actual: z.int().describe('Intervals of the day by quality'),
  estimated: z.int(),
  missing: z.int(),
  edited: z.int(),
  estimatedValue: z.number().describe('Part of the value that comes from estimated and refused intervals'),
  tou: z.record(z.string(), z.number()).nullable().describe("Value by time-of-use band of validation's calendar"),
  rules: z.array(z.string()).describe('Rules of validation that fired on the day'),
  rev: z.int(),
  why: z.string().describe("Why a later revision was made; '' for the first"),
  decidedAt: z.string(),
  supersedes: z
    .object({ seq: z.int(), rev: z.int(), value: z.number() })
    .nullable()
    .describe('The entry of the same day that this one replaces, and what it said'),
  gate: z.enum(GATE_OUTCOMES).describe('Why it may be billed'),
})
const Cursor = z.string().max(200).optional()
/** Entries of one export: a row group of Parquet has a page of them, and a client can ask for the rest. */
const EXPORT_MAX = 1_000_000
const PAGE = 10_000

const FORMATS = {
  ndjson: { type: 'application/x-ndjson; charset=utf-8', write: ndjson, file: 'jsonl' },
  csv: { type: 'text/csv; charset=utf-8', write: csv, file: 'csv' },
  parquet: { type: 'application/vnd.apache.parquet', write: parquet, file: 'parquet' },
} as const

export function billingRoutes(app: App, deps: ApiDeps): void {
  const { pool } = deps
  billingGatesRoutes(app, deps)
  billingPeriodsRoutes(app, deps)
  billingExplainRoutes(app, deps)
  app.get(
    '/v1/billing/consumption',
    {
      schema: {
        tags: ['billing'],
        summary: 'Every meter-day, every revision, each once, in a stable order',
        description:
          'Begin without a cursor; keep `next` with what you have stored and hand it back. An empty page means that all is read for now: ask again later with the same `next`. A later revision of a day replaces the earlier one (same meter, quantity, channel, date), which it names in `supersedes`. `date` is the local day of the utility. Days that a quality gate holds are in /v1/billing/held; once released, all their revisions follow here.',
        querystring: z.object({ cursor: Cursor, limit: limit(PAGE, 1_000) }),
        response: { 200: z.object({ items: z.array(Item), next: z.string(), more: z.boolean() }), ...PROBLEMS },
      },
    },
    async ({ query }, reply) => {
      // Entries are made of columns with these types: checking each again would cost more than reading them.
      reply.serializer((body) => JSON.stringify(body))
      const after = positionOf(query.cursor)
      await publishPending(pool)
      const range = await nextRange(pool, after, query.limit)
      const items = await feedPage(pool, range, query.limit)
      return { items, next: writeCursor('consumption', range.upTo), more: range.more }
    },
  )

  app.get(
    '/v1/billing/consumption/export',
    {
      schema: {
        tags: ['billing'],
        summary: 'The same entries as lines of JSON, CSV or Parquet, streamed',
        description:
          'From the cursor on, at most `limit` entries. The header x-next-cursor says where the next export goes on, x-more whether there is more now. Once the stream has ended properly everything up to that cursor was in it.',
        querystring: z.object({
          format: z.enum(['ndjson', 'csv', 'parquet']).default('ndjson'),
          cursor: Cursor,
          limit: limit(EXPORT_MAX, 100_000),
        }),
        response: { 200: z.any(), ...PROBLEMS },
      },
    },
    async ({ query }, reply) => {
      await publishPending(pool)
      const range = await nextRange(pool, positionOf(query.cursor), query.limit)
      const format = FORMATS[query.format]
      reply
        .type(format.type)
        .header('content-disposition', `attachment; filename="consumption-${range.after}-${range.upTo}.${format.file}"`)
        .header('x-next-cursor', writeCursor('consumption', range.upTo))
        .header('x-more', String(range.more))
      return Readable.from(format.write(pagesOf(deps, range)), { objectMode: false, highWaterMark: 1 << 20 })
    },
  )
}

function positionOf(cursor: string | undefined): number {
  const after = cursor === undefined ? 0 : readCursor('consumption', cursor)[0]
  if (typeof after !== 'number') throw new Problem(400, 'not_valid', 'cursor: not one that this feed has given out')
  return after
}

/** The next page is read while the last one is written. */
async function* pagesOf({ pool }: ApiDeps, range: FeedRange): AsyncGenerator<FeedItem[]> {
  let after = range.after
  let page: Promise<FeedItem[]> = feedPage(pool, range, PAGE)
  for (;;) {
    const items = await page
    const last = items.at(-1)
    if (last === undefined) return
    after = last.seq
    page = items.length < PAGE ? Promise.resolve([]) : feedPage(pool, { after, upTo: range.upTo }, PAGE)
    // Whoever waits for it hears of its failure; until then it must not count as unhandled.
    page.catch(() => undefined)
    yield items
  }
}

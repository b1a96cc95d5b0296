// What the control room asks beside lists: curves with their usual band, what feeds what, and search.
import { z } from 'zod'
import type { AssetProperties } from '#model/asset.ts'
import { QUANTITIES } from '#model/quantity.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { literal, timeLiteral } from '#runtime/questdb.ts'
import { seesCustomers } from '../access/roles.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { registryMeta } from '../queries/assets.ts'
import { Flag, Id, rangeOf, Time } from '../queries/params.ts'
import { bandBackMs, bandOf } from '../room/band.ts'
import { buildNetwork, type Network, traceOf } from '../room/trace.ts'
import { boardsRoutes } from './boards.ts'
import { playbackRoutes } from './playback.ts'
import { PROBLEMS } from './schemas.ts'

export function roomRoutes(app: App, deps: ApiDeps): void {
  trends(app, deps)
  trace(app, deps)
  search(app, deps)
  boardsRoutes(app, deps)
  playbackRoutes(app, deps)
}

/** Widths of a point that a curve may have; the first that gives at most POINTS_MAX is taken. */
const STEPS_MS = [5 * MINUTE_MS, 15 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS, 12 * HOUR_MS] as const
const POINTS_MAX = 700
const RANGE_MS_MAX = 100 * DAY_MS
const SAMPLES: Record<number, string> = {
  [5 * MINUTE_MS]: '5m',
  [15 * MINUTE_MS]: '15m',
  [HOUR_MS]: '1h',
  [3 * HOUR_MS]: '3h',
  [12 * HOUR_MS]: '12h',
}

const msOf = (us: unknown): number => Math.floor((us as number) / 1000)

function trends(app: App, deps: ApiDeps): void {
  const { questdb, prefix, pool, nowMs } = deps
  app.get(
    '/v1/trends',
    {
      schema: {
        tags: ['data'],
        summary: 'A curve of one series, thinned to some hundred points, with its usual band',
        description:
          'Least, mean and greatest value of each step. Of registers (meters) it is the consumption of each step, from validated intervals. band: 10th, 50th and 90th percentile of the same time of day over the 28 days before each point, working days and weekends apart; left out where fewer than five days are known. At most 100 days.',
        querystring: z.object({
          asset: Id,
          quantity: z.enum(QUANTITIES),
          channel: z.string().max(100).default(''),
          from: Time.optional(),
          to: Time.optional(),
          band: Flag.default(true),
        }),
        response: {
          200: z.object({
            asset: z.string(),
            quantity: z.string(),
            from: z.string(),
            to: z.string(),
            stepMs: z.number(),
            kind: z.enum(['values', 'consumption']),
            points: z.array(z.tuple([z.number(), z.number(), z.number(), z.number()])).describe('[epoch ms, least, mean, greatest]'),
            band: z.array(z.tuple([z.number(), z.number(), z.number(), z.number()])).describe('[epoch ms, 10 %, 50 %, 90 %]'),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query: q }) => {
      const range = rangeOf(q, { nowMs: nowMs(), usualMs: DAY_MS, mostMs: RANGE_MS_MAX })
      const register = /_(m3|kwh|kvarh)$/.test(q.quantity)
      const steps = register ? STEPS_MS.filter((s) => s >= HOUR_MS) : STEPS_MS
      const stepMs = steps.find((s) => (range.toMs - range.fromMs) / s <= POINTS_MAX) ?? ((12 * HOUR_MS) as number)
      const ask = { ...q, stepMs }
      const bandStepMs = Math.min(Math.max(stepMs, 15 * MINUTE_MS), HOUR_MS)
      const sample = register ? consumption : values
      const [points, past] = await Promise.all([
        sample({ ...ask, fromMs: range.fromMs, toMs: range.toMs }),
        // A point of several hours has no usual value of its hour.
        q.band && stepMs <= HOUR_MS
          ? sample({ ...ask, stepMs: register ? HOUR_MS : bandStepMs, fromMs: range.fromMs - bandBackMs, toMs: range.toMs })
          : [],
      ])
      const { timezone } = await registryMeta(pool)
      const band = bandOf(
        past.map((p) => ({ tsMs: p[0], value: p[2] })),
        { ...range, stepMs: register ? HOUR_MS : bandStepMs, timezone: timezone === '' ? 'UTC' : timezone },
      )
      return {
        ...{ asset: q.asset, quantity: q.quantity, from: toIso(range.fromMs), to: toIso(range.toMs), stepMs, points },
        kind: register ? ('consumption' as const) : ('values' as const),
        band: band.map((b): [number, number, number, number] => [b.tsMs, b.low, b.mid, b.high]),
      }
    },
  )

  interface Ask {
    asset: string
    quantity: string
    channel: string
    fromMs: number
    toMs: number
    stepMs: number
  }
  type Point = [number, number, number, number]
  const channelIs = (channel: string) => (channel === '' ? "(channel = '' OR channel IS NULL)" : `channel = ${literal(channel)}`)

  async function values({ asset, quantity, channel, fromMs, toMs, stepMs }: Ask): Promise<Point[]> {
    const { dataset } = await questdb.exec(
      `SELECT cast(ts as long), min(value), avg(value), max(value) FROM '${prefix}readings'
       WHERE device = ${literal(asset)} AND quantity = ${literal(quantity)} AND ${channelIs(channel)} AND quality <> 'suspect'
       AND ts >= ${timeLiteral(fromMs)} AND ts < ${timeLiteral(toMs)} SAMPLE BY ${SAMPLES[stepMs]} ALIGN TO CALENDAR`,
    )
    return dataset.map(([us, least, mean, most]): Point => [msOf(us), least as number, mean as number, most as number])
  }

  /** Newest revision of each interval, added up by step. */
  async function consumption({ asset, quantity, channel, fromMs, toMs, stepMs }: Ask): Promise<Point[]> {
    const { dataset } = await questdb.exec(
      `SELECT cast(start as long), sum(value) FROM (
         SELECT start, last(value) AS value FROM (
           SELECT start, rev, value FROM '${prefix}intervals' WHERE meter = ${literal(asset)} AND quantity = ${literal(quantity)}
           AND ${channelIs(channel)} AND start >= ${timeLiteral(fromMs)} AND start < ${timeLiteral(toMs)} ORDER BY start, rev)
         GROUP BY start ORDER BY start) TIMESTAMP(start) SAMPLE BY ${SAMPLES[stepMs]} ALIGN TO CALENDAR`,
    )
    return dataset.map(([us, sum]): Point => [msOf(us), sum as number, sum as number, sum as number])
  }
}

function trace(app: App, { pool }: ApiDeps): void {
  let cached: { revision: string; network: Network } | undefined
  const network = async (): Promise<Network> => {
    const { revision } = await registryMeta(pool)
    if (cached?.revision === revision) return cached.network
    const { rows } = await pool.query<{ properties: AssetProperties }>('SELECT properties FROM assets')
    cached = { revision, network: buildNetwork(rows.map((r) => r.properties)) }
    return cached.network
  }
  app.get(
    '/v1/assets/:id/trace',
    {
      schema: {
        tags: ['registry'],
        summary: 'What feeds it, what it feeds, how many customers hang on it',
        description:
          'Water: the shortest ways from the reservoirs, valves and pumps taken as open; power: substation, feeder, transformer, meter. At most 20,000 ids downstream (`truncated`).',
        params: z.object({ id: Id }),
        response: {
          200: z.object({
            upstream: z.array(z.string()),
            downstream: z.array(z.string()),
            truncated: z.boolean(),
            meters: z.int(),
            customers: z.int(),
            neighbours: z.array(z.string()),
            source: z.string().nullable(),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ params }) => {
      const found = traceOf(await network(), params.id)
      if (found === undefined) throw new Problem(404, 'no_such_asset', 'there is no asset with this id')
      return found
    },
  )
}

const FOUND_MAX = 20

function search(app: App, { pool }: ApiDeps): void {
  app.get(
    '/v1/search',
    {
      schema: {
        tags: ['registry'],
        summary: 'Assets by id, name, street or address; by account or name of a customer for who works with customers',
        querystring: z.object({ q: z.string().trim().min(1).max(100) }),
        response: {
          200: z.object({ found: z.array(z.object({ id: z.string(), kind: z.string(), label: z.string() })) }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query, principal }) => {
      // What a person types is text, not a pattern.
      const text = query.q.replace(/[\\%_]/g, '\\$&')
      const { rows } = await pool.query<{ id: string; kind: string; label: string }>(
        `SELECT id, kind, coalesce(properties->>'name', properties->>'address', properties->>'street', '') AS label FROM assets
         WHERE id ILIKE $1 || '%' OR properties->>'name' ILIKE '%' || $1 || '%' OR properties->>'name_zh' LIKE '%' || $1 || '%'
           OR properties->>'address' ILIKE '%' || $1 || '%' OR properties->>'street' ILIKE $1 || '%' OR properties->>'street_zh' LIKE $1 || '%'
         ORDER BY lower(id) <> lower($2), length(id), id LIMIT $3`,
        [text, query.q, FOUND_MAX],
      )
      if (rows.length >= FOUND_MAX || principal === undefined || !seesCustomers(principal.roles)) return { found: rows }
      const customers = await pool.query<{ id: string; kind: string; label: string }>(
        `SELECT a.id, a.kind, c.account AS label FROM accounts c JOIN assets a ON a.properties->>'account' = c.account
         WHERE c.account ILIKE $1 || '%' ORDER BY c.account, a.id LIMIT $2`,
        [text, FOUND_MAX - rows.length],
      )
      return { found: [...rows, ...customers.rows] }
    },
  )
}

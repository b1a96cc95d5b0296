import { z } from 'zod'
import { SEGMENTS } from '#model/asset.ts'
import { DAY_MS, localDate, toIso } from '#model/time.ts'
import { analyse } from '../analytics/analyse.ts'
import type { ApiDeps, App } from '../app.ts'
import { FACTS_MAX, facts, meanPrices } from '../queries/analytics.ts'
import { registryMeta } from '../queries/assets.ts'
import { Id, limit, rangeOf, Time } from '../queries/params.ts'
import { applySegments, segments } from '../queries/segments.ts'
import { PROBLEMS } from './schemas.ts'

const Group = z.object({ key: z.string(), count: z.int(), open: z.int(), kwh: z.number(), m3: z.number(), money: z.number() })
const BUCKETS = { day: DAY_MS, week: 7 * DAY_MS, month: 30 * DAY_MS } as const

const AnalyticsOut = z.object({
  from: z.string(),
  to: z.string(),
  /** Of the money; null: each finding's own price. */
  currency: z.string().nullable(),
  prices: z.object({ kwh: z.number().nullable(), m3: z.number().nullable() }),
  complete: z.boolean(),
  total: Group,
  byCause: z.array(Group),
  byDistrict: z.array(Group),
  bySegment: z.array(Group),
  mostCommon: z.array(Group),
  growing: z.array(z.object({ kind: z.string(), subtype: z.string(), zone: z.string(), before: z.int(), now: z.int(), p: z.number() })),
  earlyWarning: z.array(Group.extend({ zone: z.string(), oldest: z.string() })),
  series: z.array(z.object({ start: z.string(), counts: z.record(z.string(), z.int()) })),
})
const SegmentOut = z.object({
  account: z.string(),
  imported: z.enum(SEGMENTS),
  segment: z.enum(SEGMENTS),
  reason: z.string(),
  kwhYear: z.number(),
  m3Year: z.number(),
})

export function analyticsRoutes(app: App, deps: ApiDeps): void {
  app.get(
    '/v1/analytics',
    {
      schema: {
        tags: ['analytics'],
        summary: 'The most common, the growing and the early-warning problems, by cause, district and segment, with what they cost',
        description:
          'from to to, the last 90 days of log time when left out, at most 800 days. Counts are of detections in that time; losses are what was lost within it. Growing: the second half against the first, p below 0.05. docs/account.md says how losses are added.',
        querystring: z.object({
          from: Time.optional(),
          to: Time.optional(),
          bucket: z.enum(['day', 'week', 'month']).default('week'),
          zone: Id.optional(),
        }),
        response: { 200: AnalyticsOut, ...PROBLEMS },
      },
    },
    async ({ query }) => {
      const nowMs = deps.nowMs()
      const range = rangeOf(query, { nowMs, usualMs: 90 * DAY_MS, mostMs: 800 * DAY_MS })
      const { timezone } = await registryMeta(deps.pool)
      const { currency, ...prices } = await meanPrices(deps.pool, localDate(timezone || 'UTC', Math.min(nowMs, range.toMs)))
      const list = await facts(deps.pool, range, query.zone)
      const a = analyse(list, { ...range, bucketMs: BUCKETS[query.bucket], prices })
      return {
        from: toIso(range.fromMs),
        to: toIso(range.toMs),
        currency,
        prices,
        complete: list.length < FACTS_MAX,
        ...a,
        earlyWarning: a.earlyWarning.map(({ oldestMs, ...g }) => ({ ...g, oldest: toIso(oldestMs) })),
        series: a.series.map((s) => ({ start: toIso(s.startMs), counts: s.counts })),
      }
    },
  )

  app.get(
    '/v1/accounts/segments',
    {
      schema: {
        tags: ['analytics'],
        summary: 'The segment of each account and why: chosen, imported, or computed from its use and what it is for',
        querystring: z.object({ after: Id.optional(), limit: limit(1_000, 200) }),
        response: { 200: z.object({ accounts: z.array(SegmentOut), next: z.string().nullable() }), ...PROBLEMS },
      },
    },
    async ({ query }) => {
      const rows = await segments(deps.pool, { after: query.after ?? '', limit: query.limit, today: await today(deps) })
      const accounts = rows.slice(0, query.limit)
      return { accounts, next: rows.length > query.limit ? (accounts.at(-1)?.account ?? null) : null }
    },
  )

  app.put(
    '/v1/accounts/segments',
    {
      schema: {
        tags: ['analytics'],
        summary: 'Puts the computed segments in force; what is imported or chosen by a person stays',
        response: { 200: z.object({ seen: z.int(), changed: z.array(z.string()) }), ...PROBLEMS },
      },
    },
    async ({ who }) => applySegments(deps.pool, { today: await today(deps), who }),
  )
}

async function today(deps: ApiDeps): Promise<string> {
  const { timezone } = await registryMeta(deps.pool)
  return localDate(timezone || 'UTC', deps.nowMs())
}

// Service figures and the scorecard.
import { z } from 'zod'
import { DAY_MS, toIso } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { GROUPS, type Kpis, kpis, measuresOf, readModel, writeModel } from '../desk/kpi-store.ts'
import { loadRules } from '../desk/rules.ts'
import { composite, gapsOf, MEASURES, ScorecardModel, weighModel } from '../desk/scorecard.ts'
import { Problem } from '../problem.ts'
import { rangeOf, Time } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'

const share = z.number().nullable()
const Kpi = z.object({
  group: z.string(),
  tickets: z.int(),
  open: z.int(),
  reported: z.int(),
  respondedInTime: share,
  resolvedInTime: share,
  repliedInTime: share,
  firstContact: share,
  reopened: share,
  escalated: share,
  complaints: z.int(),
  repeatComplaints: share,
  callbacks: z.int(),
  satisfaction: share,
  expected: share,
  estimatesKept: share,
  medianRespondMin: share,
  medianDispatchMin: share,
  medianResolveMin: share,
  p90ResolveMin: share,
  workHours: z.number(),
  customersAffected: z.number(),
  waterLostM3: z.number(),
  energyNotSuppliedKwh: z.number(),
  cost: z.number(),
})
const Weights = z.object({
  weights: z.record(z.string(), z.number()),
  lambdaMax: z.number(),
  consistencyIndex: z.number(),
  consistencyRatio: z.number(),
})
const Gap = z.object({
  gap: z.int(),
  name: z.string(),
  should: share,
  is: share,
  size: share,
  measured: z.string(),
})
const Model = z.object({
  model: z.looseObject({}),
  version: z.int(),
  by: z.string(),
  at: z.string().nullable(),
  criteria: Weights,
  measures: z.record(z.string(), Weights),
})

const USUAL_MS = 31 * DAY_MS
const MOST_MS = 400 * DAY_MS
/** Months of trend in a scorecard. */
const TREND_MS = 366 * DAY_MS

export function kpisRoutes(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/kpis',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Service figures of tickets opened in a range, of the last 31 days when left out',
        description:
          'Shares are 0 to 1, null without cases. Tickets that another took over, and cancelled ones, do not count. `by` may be all, class, segment, team, month, priority.',
        querystring: z.object({ from: Time.optional(), to: Time.optional(), by: z.enum(GROUPS).default('all') }),
        response: {
          200: z.object({ from: z.string(), to: z.string(), by: z.string(), currency: z.string(), groups: z.array(Kpi) }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query }) => {
      const { fromMs, toMs } = rangeOf(query, { nowMs: nowMs(), usualMs: USUAL_MS, mostMs: MOST_MS })
      const rules = await loadRules(pool)
      const groups = await kpis(pool, { fromMs, toMs, nowMs: nowMs(), by: query.by }, rules)
      return { from: toIso(fromMs), to: toIso(toMs), by: query.by, currency: rules.settings.costs.currency, groups }
    },
  )

  app.get(
    '/v1/scorecard',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Scores by AHP weights: of teams in the range, of teams by month for the trend, and the five gaps of service quality',
        querystring: z.object({ from: Time.optional(), to: Time.optional() }),
        response: {
          200: z.object({
            from: z.string(),
            to: z.string(),
            weights: z.record(z.string(), z.number()).describe('Measure -> its weight in the whole'),
            criteria: Weights,
            measures: z.record(z.string(), z.string()).describe('What each measure is'),
            total: z.object({ score: share, coverage: z.number(), values: z.record(z.string(), share) }),
            teams: z.array(
              z.object({ team: z.string(), tickets: z.int(), score: share, coverage: z.number(), values: z.record(z.string(), share) }),
            ),
            months: z.array(z.object({ team: z.string(), month: z.string(), tickets: z.int(), score: share, coverage: z.number() })),
            gaps: z.array(Gap),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query }) => {
      const now = nowMs()
      const { fromMs, toMs } = rangeOf(query, { nowMs: now, usualMs: USUAL_MS, mostMs: MOST_MS })
      const [rules, { model }] = await Promise.all([loadRules(pool), readModel(pool)])
      const weighed = weighModel(model)
      const [all, teams, months] = await Promise.all([
        kpis(pool, { fromMs, toMs, nowMs: now, by: 'all' }, rules),
        kpis(pool, { fromMs, toMs, nowMs: now, by: 'team' }, rules),
        kpis(pool, { fromMs: Math.min(fromMs, toMs - TREND_MS), toMs, nowMs: now, by: 'team_month' }, rules),
      ])
      const scored = (k: Kpis) => {
        const values = measuresOf(k, model)
        return { ...composite(values, weighed), values }
      }
      const whole = all[0]
      return {
        from: toIso(fromMs),
        to: toIso(toMs),
        weights: weighed.global as Record<string, number>,
        criteria: weighed.criteria,
        measures: MEASURES,
        total: whole === undefined ? { score: null, coverage: 0, values: {} } : scored(whole),
        teams: teams.map((k) => ({ team: k.group, tickets: k.tickets, ...scored(k) })),
        months: months.map((k) => {
          const { score, coverage } = scored(k)
          return { team: k.group.slice(0, -8), month: k.group.slice(-7), tickets: k.tickets, score, coverage }
        }),
        gaps: gapsOf({
          expected: whole?.expected ?? null,
          perceived: whole?.satisfaction ?? null,
          resolvedInTime: whole?.resolvedInTime ?? null,
          estimatesKept: whole?.estimatesKept ?? null,
          ratings: model.ratings,
        }),
      }
    },
  )

  const modelView = async () => {
    const { model, ...rest } = await readModel(pool)
    const { criteria, measures } = weighModel(model)
    return { model, ...rest, criteria, measures }
  }

  app.get(
    '/v1/scorecard/model',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Judgement matrices with their weights and consistency',
        response: { 200: Model, ...PROBLEMS },
      },
    },
    modelView,
  )

  app.put(
    '/v1/scorecard/model',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Replaces the judgements; refused when a matrix is not reciprocal or its consistency ratio is above 0.1',
        description:
          'Row i, column j: how many times more important i is than j, 1/9 to 9, as a number or a fraction such as "1/3". A refusal names the judgement that fits the others least.',
        body: z.looseObject({}),
        response: { 200: Model, ...PROBLEMS },
      },
    },
    async ({ body, who }) => {
      const parsed = ScorecardModel.safeParse(body)
      if (!parsed.success) {
        const errors = parsed.error.issues.map((i) => ({ field: ['body', ...i.path].join('.'), message: i.message }))
        throw new Problem(
          422,
          'not_consistent',
          errors
            .map((e) => `${e.field}: ${e.message}`)
            .join('; ')
            .slice(0, 2000),
          { errors },
        )
      }
      await writeModel(pool, parsed.data, who)
      return modelView()
    },
  )
}

// Reliability of supply (IEEE 1366) and the health of what it is told from: the registry of the power network, clocks, events.
import { z } from 'zod'
import { DAY_MS, localDate, startOfLocalDate } from '#model/time.ts'
import { interruptionsOf } from '../../core/reliability/from-findings.ts'
import { REGISTRY_PROBLEMS, registryHealth } from '../../core/reliability/registry-health.ts'
import { monthBefore, type Period, reportOf } from '../../core/reliability/report.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { Id } from '../queries/params.ts'
import { customersServed, healthFindings, outageFacts, powerAssets, timezoneOf } from '../queries/reliability.ts'
import { PROBLEMS } from './schemas.ts'

const Month = z
  .string()
  .regex(/^\d{4}-(0[1-9]|1[0-2])$/, 'must be a month such as 2026-03')
  .describe('Calendar month in the time zone of the utility')
const MONTHS_MAX = 36
/** Years of daily SAIDI that the threshold of major event days rests on (IEEE 1366, clause 5). */
const BASIS_MONTHS = 60

const Indices = z.object({
  saidiMinutes: z.number().describe('Minutes without supply of a customer served; sustained interruptions'),
  saifi: z.number().describe('Sustained interruptions of a customer served'),
  caidiMinutes: z.number().nullable().describe('Minutes of an interruption; null without one'),
  maifi: z.number().describe('Momentary interruptions of a customer served'),
  customersServed: z.int(),
  customerInterruptions: z.int(),
  customerMinutes: z.number(),
  sustained: z.int(),
  momentary: z.int(),
})
const PeriodOut = z.object({ period: z.string(), all: Indices, withoutMajorEvents: Indices })
const Place = z.object({ months: z.array(PeriodOut), rollingYears: z.array(PeriodOut) })
const time = z.string().meta({ format: 'date-time' })

const round = (v: number): number => Math.round(v * 10_000) / 10_000
const rounded = (p: Period): Period => {
  const of = (i: Period['all']): Period['all'] => ({
    ...i,
    saidiMinutes: round(i.saidiMinutes),
    saifi: round(i.saifi),
    caidiMinutes: i.caidiMinutes === null ? null : round(i.caidiMinutes),
    maifi: round(i.maifi),
    customerMinutes: round(i.customerMinutes),
  })
  return { period: p.period, all: of(p.all), withoutMajorEvents: of(p.withoutMajorEvents) }
}
const placeOut = (p: { months: Period[]; rollingYears: Period[] }) => ({
  months: p.months.map(rounded),
  rollingYears: p.rollingYears.map(rounded),
})

export function reliabilityRoutes(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/reliability',
    {
      schema: {
        tags: ['analytics'],
        summary: 'SAIDI, SAIFI, CAIDI, MAIFI per feeder and system, by month and rolling year, with and without major event days',
        description:
          'IEEE Std 1366. Counted anew at every call from the newest revision of each outage, so late data changes it. An outage belongs to the local day on which it began. Planned work is apart. Customers served are those of the registry today.',
        querystring: z.object({
          from: Month.optional().describe('First month; that of now when left out'),
          to: Month.optional().describe('Last month; that of now when left out'),
          feeder: Id.optional().describe('Only this feeder beside the system'),
        }),
        response: {
          200: z.object({
            generatedTime: time,
            timezone: z.string(),
            majorEvents: z.object({
              thresholdMinutes: z.number().nullable(),
              alpha: z.number().nullable(),
              beta: z.number().nullable(),
              basisDays: z.int(),
              days: z.array(z.string()),
            }),
            system: Place,
            planned: z.array(PeriodOut).describe('Planned interruptions of the system, by month'),
            feeders: z.array(z.object({ feeder: z.string(), ...Place.shape })),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query }) => {
      const now = nowMs()
      const timezone = await timezoneOf(pool)
      const month = localDate(timezone, now).slice(0, 7)
      const toMonth = query.to ?? (query.from !== undefined && query.from > month ? query.from : month)
      const fromMonth = query.from ?? (toMonth < month ? toMonth : month)
      if (fromMonth > toMonth) throw new Problem(400, 'not_valid', 'from must not be after to')
      if (monthBefore(toMonth, MONTHS_MAX) >= fromMonth)
        throw new Problem(400, 'range_too_long', `from and to may be at most ${MONTHS_MAX} months apart`)
      const served = await customersServed(pool)
      if (query.feeder !== undefined && !served.has(query.feeder))
        throw new Problem(404, 'no_such_feeder', 'feeder: no feeder with customers has this id')
      const firstMs = startOfLocalDate(timezone, `${monthBefore(fromMonth, BASIS_MONTHS)}-01`)
      const lastMs = startOfLocalDate(timezone, `${monthBefore(toMonth, -1)}-01`)
      const { unplanned, planned } = interruptionsOf(await outageFacts(pool, firstMs, lastMs), { timezone, nowMs: now })
      const options = { fromMonth, toMonth, customersServed: served }
      const report = reportOf(unplanned, options)
      const feeders = [...report.feeders].filter(([feeder]) => query.feeder === undefined || feeder === query.feeder)
      return {
        generatedTime: new Date(now).toISOString(),
        timezone,
        majorEvents: report.majorEvents,
        system: placeOut(report.system),
        planned: reportOf(planned, options).system.months.map(rounded),
        feeders: feeders.map(([feeder, p]) => ({ feeder, ...placeOut(p) })),
      }
    },
  )

  app.get(
    '/v1/reliability/health',
    {
      schema: {
        tags: ['analytics'],
        summary: 'What is wrong with the data that outages are told from: registry, clocks, meters at another transformer',
        response: {
          200: z.object({
            generatedTime: time,
            registry: z.array(z.object({ problem: z.enum(REGISTRY_PROBLEMS), asset: z.string(), detail: z.string() })),
            meters: z
              .array(z.object({ finding: z.string(), meter: z.string(), reason: z.string(), since: time, proposed: z.string().nullable() }))
              .describe('Open findings about clocks, events from the future, and meters that behave as if they hung elsewhere'),
          }),
          ...PROBLEMS,
        },
      },
    },
    async () => {
      const now = nowMs()
      const [assets, meters] = await Promise.all([powerAssets(pool), healthFindings(pool, now - 30 * DAY_MS)])
      return { generatedTime: new Date(now).toISOString(), registry: registryHealth(assets), meters }
    },
  )
}

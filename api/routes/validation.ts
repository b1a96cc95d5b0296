// The rules of validation: what they are, and how often each has fired.
import { z } from 'zod'
import { DAY_MS, toIso } from '#model/time.ts'
import { METER_CLASSES, RULE_NAMES, VALIDATION_RULES } from '#model/validation-rules.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { ruleCounts } from '../queries/edits.ts'
import { Id } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'

const DAYS_MAX = 92
const date = z.iso.date()

export function validationRoutes(app: App, { pool, nowMs }: ApiDeps): void {
  app.get(
    '/v1/validation/rules',
    {
      schema: {
        tags: ['data'],
        summary: 'Rules and methods of validation, and how often each fired, by day and class of meters',
        description:
          'Dates are local days of the utility (log time), both included; the last seven when left out, at most 92. Settings, by class of meters, are the section `validation` of the detector settings; docs/validation.md lists them.',
        querystring: z.object({ from: date.optional(), to: date.optional(), zone: Id.optional() }),
        response: {
          200: z.object({
            from: z.string(),
            to: z.string(),
            classes: z.array(z.string()),
            rules: z.array(
              z.object({
                name: z.string(),
                level: z.string(),
                en: z.string(),
                zh: z.string(),
                fired: z.int(),
                byClass: z.record(z.string(), z.int()),
                byDate: z.record(z.string(), z.int()),
              }),
            ),
          }),
          ...PROBLEMS,
        },
      },
    },
    async ({ query }) => {
      const to = query.to ?? toIso(nowMs() + DAY_MS).slice(0, 10)
      const from = query.from ?? toIso(Date.parse(`${to}T00:00:00Z`) - 7 * DAY_MS).slice(0, 10)
      if (from > to) throw new Problem(400, 'not_valid', 'from must not be after to')
      if (Date.parse(to) - Date.parse(from) > DAYS_MAX * DAY_MS) throw new Problem(400, 'range_too_long', `at most ${DAYS_MAX} days`)
      const rows = await ruleCounts(pool, { from, to, zone: query.zone })
      const rules = RULE_NAMES.map((name) => {
        const { level, en, zh } = VALIDATION_RULES[name]
        const rule = { name, level, en, zh, fired: 0, byClass: {} as Record<string, number>, byDate: {} as Record<string, number> }
        for (const r of rows) {
          if (r.rule !== name) continue
          rule.fired += r.fired
          rule.byClass[r.class] = (rule.byClass[r.class] ?? 0) + r.fired
          rule.byDate[r.date] = (rule.byDate[r.date] ?? 0) + r.fired
        }
        return rule
      })
      return { from, to, classes: [...METER_CLASSES], rules }
    },
  )
}

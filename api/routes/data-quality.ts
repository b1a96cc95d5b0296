import { z } from 'zod'
import { localDate } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { registryMeta } from '../queries/assets.ts'
import { CHECKS, dataQuality } from '../queries/data-quality.ts'
import { List } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'

const Item = z.object({
  check: z.enum(CHECKS),
  severity: z.enum(['error', 'warning']),
  subject: z.string(),
  field: z.string(),
  message: z.string(),
})

export function dataQualityRoutes(app: App, deps: ApiDeps): void {
  app.get(
    '/v1/data-quality',
    {
      schema: {
        tags: ['analytics'],
        summary: 'What does not fit together: accounts, meters, tariffs, consumption',
        description:
          'check takes several names, separated by commas; all when left out. Every check is counted, at most 200 of each are listed.',
        querystring: z.object({ check: List(z.enum(CHECKS)).optional() }),
        response: { 200: z.object({ asOf: z.string(), counts: z.record(z.string(), z.int()), items: z.array(Item) }), ...PROBLEMS },
      },
    },
    async ({ query }) => {
      const nowMs = deps.nowMs()
      const { timezone } = await registryMeta(deps.pool)
      const list = await dataQuality(deps.pool, deps, { today: localDate(timezone || 'UTC', nowMs), nowMs, checks: query.check ?? CHECKS })
      return { asOf: new Date(nowMs).toISOString(), ...list }
    },
  )
}

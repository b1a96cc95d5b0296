import { z } from 'zod'
import { FINDING_KINDS, SEVERITIES } from '#model/finding.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { findingHistory, listFindings } from '../queries/findings.ts'
import { Id, List, limit, Time } from '../queries/params.ts'
import { FindingOut, PROBLEMS } from './schemas.ts'

export function findingsRoutes(app: App, { pool }: ApiDeps): void {
  app.get(
    '/v1/findings',
    {
      schema: {
        tags: ['findings'],
        summary: 'Findings with their evidence, newest detection first',
        description:
          'kind and severity take several values, separated by commas; from and to concern the time of detection. When `next` is not null, ask again with cursor=next.',
        querystring: z.object({
          kind: List(z.enum(FINDING_KINDS)).optional(),
          state: z.enum(['open', 'cleared', 'withdrawn']).optional(),
          severity: List(z.enum(SEVERITIES)).optional(),
          scope: Id.optional(),
          zone: Id.optional(),
          from: Time.optional(),
          to: Time.optional(),
          cursor: z.string().max(1000).optional(),
          limit: limit(1000, 200),
        }),
        response: { 200: z.object({ findings: z.array(FindingOut), next: z.string().nullable() }), ...PROBLEMS },
      },
    },
    async ({ query: { from, to, ...q } }) => {
      const { findings, next } = await listFindings(pool, { ...q, fromMs: from, toMs: to })
      return { findings: findings.map((f) => f as z.output<typeof FindingOut>), next }
    },
  )

  app.get(
    '/v1/findings/:id',
    {
      schema: {
        tags: ['findings'],
        summary: 'One finding and every revision of it, oldest first',
        params: z.object({ id: Id }),
        response: { 200: z.object({ finding: FindingOut, revisions: z.array(FindingOut) }), ...PROBLEMS },
      },
    },
    async ({ params }) => {
      const revisions = (await findingHistory(pool, params.id)) as z.output<typeof FindingOut>[]
      const finding = revisions.at(-1)
      if (finding === undefined) throw new Problem(404, 'no_such_finding', 'there is no finding with this id')
      return { finding, revisions }
    },
  )
}

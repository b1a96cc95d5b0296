import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { PROBLEMS } from './schemas.ts'

const Crew = z.object({
  crew: z.string(),
  skills: z.array(z.enum(['water', 'power'])),
  lon: z.number(),
  lat: z.number(),
  tsMs: z.number(),
  accuracyM: z.number().nullable(),
  speedKmh: z.number().nullable(),
  batteryPct: z.number().nullable(),
  stale: z.boolean(),
})

export function crewsRoutes(app: App, { live }: ApiDeps): void {
  app.get(
    '/v1/crews',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Where the crews are; a position older than ten minutes is stale',
        response: { 200: z.object({ crews: z.array(Crew) }), ...PROBLEMS },
      },
    },
    async () => ({ crews: live.crews() }),
  )
}

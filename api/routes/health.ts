import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import type { HealthChecks } from '../health.ts'

const Part = z.object({ part: z.string(), state: z.enum(['up', 'degraded', 'down', 'unknown']), detail: z.string() })
const Health = z.object({ ok: z.boolean(), parts: z.array(Part).optional() })

export function healthRoutes(app: App, deps: ApiDeps, health: Pick<HealthChecks, 'ready'>): void {
  app.get(
    '/health/live',
    { config: { public: true }, schema: { tags: ['system'], security: [], summary: 'The process is alive', response: { 200: Health } } },
    async (_request, reply) => reply.header('cache-control', 'no-store').send({ ok: true }),
  )

  app.get(
    '/health/ready',
    {
      config: { public: true },
      schema: {
        tags: ['system'],
        security: [],
        summary: 'It does its work: stores answer, changes of the desk arrive',
        response: { 200: Health, 503: Health },
      },
    },
    async (_request, reply) => {
      const { ok, parts } = health.ready()
      return reply
        .code(ok ? 200 : 503)
        .header('cache-control', 'no-store')
        .send({ ok, parts })
    },
  )

  app.get('/metrics', { config: { public: true }, schema: { hide: true } }, async (_request, reply) =>
    reply
      .type(deps.registry.contentType)
      .serializer((text: unknown) => text as string)
      .send(await deps.registry.metrics()),
  )
}

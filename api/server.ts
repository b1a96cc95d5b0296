// Builds the api: routes, tokens, limits, problems, documentation. Never listens and never connects: main.ts and tests do.
import fastifySwagger from '@fastify/swagger'
import fastifySwaggerUi from '@fastify/swagger-ui'
import fastify, { type FastifyRequest, LogController } from 'fastify'
import { createJsonSchemaTransform, serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod'
import { gauge, histogram } from '#runtime/metrics.ts'
import { Directory } from './access/directory.ts'
import { installTrail } from './access/trail.ts'
import { type ApiDeps, type App, LIMITS, TAGS } from './app.ts'
import { installAuth } from './auth.ts'
import type { HealthChecks } from './health.ts'
import { installProblems, Problem } from './problem.ts'
import { createBucket } from './rate-limit.ts'
import { accessRoutes } from './routes/access.ts'
import { accountRoutes } from './routes/account.ts'
import { alarmsRoutes } from './routes/alarms.ts'
import { analyticsRoutes } from './routes/analytics.ts'
import { assetsRoutes } from './routes/assets.ts'
import { billingRoutes } from './routes/billing.ts'
import { crewsRoutes } from './routes/crews.ts'
import { dataQualityRoutes } from './routes/data-quality.ts'
import { deskRoutes } from './routes/desk.ts'
import { devicesRoutes } from './routes/devices.ts'
import { findingsRoutes } from './routes/findings.ts'
import { healthRoutes } from './routes/health.ts'
import { intervalEditsRoutes } from './routes/interval-edits.ts'
import { intervalsRoutes } from './routes/intervals.ts'
import { kpisRoutes } from './routes/kpis.ts'
import { ledgerRoutes } from './routes/ledger.ts'
import { liveRoutes } from './routes/live.ts'
import { noticesRoutes } from './routes/notices.ts'
import { outagesRoutes } from './routes/outages.ts'
import { personalRoutes } from './routes/personal.ts'
import { quarantineRoutes } from './routes/quarantine.ts'
import { readingsRoutes } from './routes/readings.ts'
import { reliabilityRoutes } from './routes/reliability.ts'
import { reportsRoutes } from './routes/reports.ts'
import { roomRoutes } from './routes/room.ts'
import { sessionRoutes } from './routes/session.ts'
import { tariffsRoutes } from './routes/tariffs.ts'
import { ticketDeskRoutes } from './routes/ticket-desk.ts'
import { ticketsRoutes } from './routes/tickets.ts'
import { tmf621Routes } from './routes/tmf621.ts'
import { tmf621HubRoutes } from './routes/tmf621-hub.ts'
import { validationRoutes } from './routes/validation.ts'
import { webRoutes } from './routes/web.ts'

export async function buildServer(deps: ApiDeps, health: Pick<HealthChecks, 'ready'>): Promise<App> {
  const limits = { ...LIMITS, ...deps.limits }
  const app = fastify({
    loggerInstance: deps.log,
    // One line a request tells an operator nothing; the histogram does. Failures are logged by the error handler.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: limits.bodyBytes,
    requestTimeout: 60_000,
    // Ids may be long and hold encoded characters.
    routerOptions: { maxParamLength: 1300 },
  }).withTypeProvider<ZodTypeProvider>() as unknown as App
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  installProblems(app as never)
  installLimits(app, limits)
  installMetrics(app, deps)
  const failures = createBucket(1 / 30, limits.failuresBurst)
  const refuse = (address: string) => {
    const waitS = failures.take(address, Date.now())
    if (waitS > 0)
      throw new Problem(429, 'too_many_failures', 'too many wrong tokens from this address', { headers: { 'retry-after': String(waitS) } })
  }
  const directory = new Directory(deps.pool)
  const doors = { auth: deps.auth, directory, refuse: (request: FastifyRequest) => refuse(request.ip) }
  installAuth(app as never, doors)
  installTrail(app as never, deps)
  acceptMergePatch(app)
  await documentation(app)
  healthRoutes(app, deps, health)
  sessionRoutes(app, doors)
  accessRoutes(app, deps, directory)
  liveRoutes(app, deps)
  assetsRoutes(app, deps)
  readingsRoutes(app, deps)
  intervalsRoutes(app, deps)
  intervalEditsRoutes(app, deps)
  validationRoutes(app, deps)
  findingsRoutes(app, deps)
  alarmsRoutes(app, deps)
  roomRoutes(app, deps)
  ticketsRoutes(app, deps)
  tmf621Routes(app, deps)
  tmf621HubRoutes(app, deps)
  ticketDeskRoutes(app, deps)
  reportsRoutes(app, deps)
  reliabilityRoutes(app, deps)
  noticesRoutes(app, deps)
  outagesRoutes(app, deps)
  deskRoutes(app, deps)
  kpisRoutes(app, deps)
  crewsRoutes(app, deps)
  billingRoutes(app, deps)
  ledgerRoutes(app, deps)
  quarantineRoutes(app, deps)
  devicesRoutes(app, deps)
  tariffsRoutes(app, deps)
  personalRoutes(app, deps)
  accountRoutes(app, deps, refuse)
  analyticsRoutes(app, deps)
  dataQualityRoutes(app, deps)
  webRoutes(app, deps)
  return app
}

function installLimits(app: App, limits: { requestsPerSecond: number; requestsBurst: number }): void {
  const bucket = createBucket(limits.requestsPerSecond, limits.requestsBurst)
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer').header('x-frame-options', 'DENY')
    // Whoever watches our health must see it also when we are busy.
    if (/^\/(health|metrics)/.test(request.url)) return
    const waitS = bucket.take(request.ip, Date.now())
    if (waitS > 0)
      throw new Problem(429, 'too_many_requests', `more than ${limits.requestsPerSecond} requests a second`, {
        headers: { 'retry-after': String(waitS) },
      })
  })
}

function installMetrics(app: App, { registry, live }: ApiDeps): void {
  gauge(registry, 'meterstream_tickets_open', 'Open tickets by class', ['class'], function () {
    this.reset()
    for (const [name, n] of live.open().tickets) this.set({ class: name }, n)
  })
  gauge(registry, 'meterstream_findings_open', 'Open findings by kind', ['kind'], function () {
    this.reset()
    for (const [name, n] of live.open().findings) this.set({ kind: name }, n)
  })
  gauge(registry, 'meterstream_live_clients', 'Open live streams', [], function () {
    this.set(live.clients())
  })
  const seconds = histogram(registry, 'meterstream_http_request_seconds', 'Duration of requests by route', ['method', 'route', 'status'])
  app.addHook('onResponse', async (request: FastifyRequest, reply) => {
    // The pattern, never the path: ids would make a series each.
    const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none')
    seconds.observe({ method: request.method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000)
  })
}

function acceptMergePatch(app: App): void {
  app.addContentTypeParser('application/merge-patch+json', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'))
}

async function documentation(app: App): Promise<void> {
  const transform = createJsonSchemaTransform({ skipList: ['/docs', '/docs/', '/docs/*', '/docs/json', '/docs/yaml', '/docs/static/*'] })
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Meterstream',
        version: '1',
        description: "Times are ISO 8601 in UTC; times in a simulation are the log's. Errors are RFC 9457 problem details.",
      },
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer' },
          session: { type: 'apiKey', in: 'cookie', name: 'meterstream_session' },
        },
      },
      security: [{ bearer: [] }, { session: [] }],
    },
    transform,
  })
  await app.register(fastifySwaggerUi, { routePrefix: '/docs', staticCSP: true, uiConfig: { docExpansion: 'none' } })
}

// The small HTTP face of ingest and processors: liveness, readiness with reasons, metrics. The api has its own, larger one.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'

/** Not ok, or not yet: `details` says why, one short value a part (`kafka: connecting`). */
export interface Health {
  ok: boolean
  details?: Record<string, string | number | boolean>
}

export interface HealthServerOptions {
  host: string
  /** 0 takes a free port. */
  port: number
  registry: Registry
  /** False only when a restart would help: a stalled loop, not a server that is away. */
  live(): Health | boolean
  /** True when the process does its work now: connected, caught up, not shutting down. */
  ready(): Health | boolean
}

export interface HealthServer {
  url: string
  close(): Promise<void>
}

/** Serves GET /health/live, /health/ready (200 or 503, JSON) and /metrics (Prometheus text). @throws Error when the port is taken. */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const { host, port, registry, live, ready } = options
  const server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0]
    const json = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
      response.end(`${JSON.stringify(body)}\n`)
    }
    const health = (h: Health | boolean) => {
      const value = typeof h === 'boolean' ? { ok: h } : h
      json(value.ok ? 200 : 503, value)
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return json(405, { title: 'only GET' })
    if (path === '/health/live') return health(live())
    if (path === '/health/ready') return health(ready())
    if (path !== '/metrics') return json(404, { title: 'not found' })
    registry.metrics().then(
      (text) => {
        response.writeHead(200, { 'content-type': registry.contentType })
        response.end(text)
      },
      (error: unknown) => json(500, { title: 'metrics failed', detail: String(error) }),
    )
  })
  server.requestTimeout = 10_000
  server.headersTimeout = 10_000
  await listen(server, host, port)
  const address = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    close: () =>
      new Promise<void>((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)))
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.removeListener('error', reject)
      resolve()
    })
  })
}

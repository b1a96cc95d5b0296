// Writes the audit trail from the requests: one place, so that no route can be forgotten.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Log } from '#runtime/log.ts'
import { counter, type Registry } from '#runtime/metrics.ts'
import type { Pool } from '#runtime/postgres.ts'
import { appendAudit } from './audit.ts'

const TARGET_MAX = 500

/** Changes, whatever came of them, and refusals to who is signed in. Reading is not a change. */
function isWorthAnEntry(request: FastifyRequest, status: number): boolean {
  if (!['GET', 'HEAD', 'OPTIONS'].includes(request.method)) return !request.is404
  return status === 403
}

/** Before the answer leaves, so that who is told that it is done can rely on the entry. */
export function installTrail(app: FastifyInstance, { pool, log, registry }: { pool: Pool; log: Log; registry: Registry }): void {
  const failed = counter(registry, 'meterstream_audit_failed_total', 'Changes that could not be written to the audit trail', [])
  app.addHook('onSend', async (request, reply, payload) => {
    if (!isWorthAnEntry(request, reply.statusCode)) return payload
    const entry = {
      atMs: Date.now(),
      who: request.who,
      action: `${request.method} ${request.routeOptions.url ?? ''}`,
      target: (request.url.split('?')[0] ?? '').slice(0, TARGET_MAX),
      outcome: reply.statusCode,
      detail: { address: request.ip, request: request.id },
    }
    try {
      await appendAudit(pool, entry)
    } catch (error) {
      failed.inc()
      log.error({ err: error, audit: entry }, 'an entry of the audit trail was not written')
    }
    return payload
  })
}

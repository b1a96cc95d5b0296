import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { cookieOf, SESSION_COOKIE } from '../auth.ts'
import type { LiveClient } from '../live/live.ts'
import { Problem } from '../problem.ts'
import { PROBLEMS } from './schemas.ts'

export function liveRoutes(app: App, { live, auth }: ApiDeps): void {
  app.get(
    '/v1/live',
    {
      config: { tokenInQuery: true },
      schema: {
        tags: ['live'],
        summary: 'Server-sent events: snapshot, values, finding, ticket, crew, status, clock, bye',
        description:
          "Types of the events: core/model/live-events.ts. Every event has an id; with Last-Event-ID (or lastEventId) the stream goes on after it while the server still has what was missed, else it begins with a new snapshot. `clock` comes every two seconds with the log's clock. Clients without cookies or headers may give the token as access_token, here only.",
        querystring: z.object({ access_token: z.string().max(1000).optional(), lastEventId: z.string().max(100).optional() }),
        produces: ['text/event-stream'],
        response: { 200: z.string().describe('text/event-stream'), ...PROBLEMS },
      },
    },
    (request, reply) => {
      const header = request.headers['last-event-id']
      const { raw } = reply
      const client: LiveClient = { pending: () => raw.writableLength, write: (text) => void raw.write(text), end: () => void raw.end() }
      if (live.clients() >= live.clientsMax)
        throw new Problem(503, 'too_many_listeners', 'too many live streams are open', { headers: { 'retry-after': '10' } })
      reply.hijack()
      raw.on('error', () => raw.destroy())
      request.raw.socket.setNoDelay(true)
      for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value)
      raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
      const leave = live.connect(client, (typeof header === 'string' ? header : undefined) ?? request.query.lastEventId)
      const timer = endWithSession()
      raw.on('close', () => {
        clearTimeout(timer)
        leave()
      })

      /** A stream must not outlive the session it was opened with. */
      function endWithSession(): NodeJS.Timeout | undefined {
        const session =
          request.headers.authorization === undefined ? auth.checkSession(cookieOf(request, SESSION_COOKIE) ?? '', Date.now()) : undefined
        if (session === undefined) return undefined
        return setTimeout(() => live.dismiss(client, 'token_expired'), session.untilMs - Date.now())
      }
    },
  )

  app.get(
    '/v1/status',
    {
      schema: {
        tags: ['live'],
        summary: "The log's clock, readings per second, lag, what is open, how the parts are",
        response: {
          200: z.object({
            nowMs: z.number(),
            speed: z.number(),
            readingsPerSecond: z.number(),
            lagRecords: z.number().nullable(),
            openFindings: z.int(),
            openTickets: z.int(),
            parts: z.array(z.object({ part: z.string(), state: z.string(), detail: z.string() })),
          }),
          ...PROBLEMS,
        },
      },
    },
    async () => live.status(),
  )
}

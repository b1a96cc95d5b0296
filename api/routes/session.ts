import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { cookieOf, SESSION_COOKIE } from '../auth.ts'
import { Problem } from '../problem.ts'
import { PROBLEMS } from './schemas.ts'

/** `refuse` counts a wrong token against the address that sent it. */
export function sessionRoutes(app: App, { auth }: ApiDeps, refuse: (address: string) => void): void {
  const cookie = (value: string, seconds: number, secure: boolean) =>
    `${SESSION_COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure ? '; Secure' : ''}`

  app.post(
    '/v1/session',
    {
      config: { public: true },
      schema: {
        tags: ['system'],
        security: [],
        summary: 'Exchanges a token for a session cookie, for the page: an event stream of a browser cannot send headers',
        body: z.object({ token: z.string().min(1).max(1000) }),
        response: { 200: z.object({ until: z.string() }), ...PROBLEMS },
      },
    },
    async (request, reply) => {
      if (auth.check(request.body.token) === undefined) {
        refuse(request.ip)
        throw new Problem(401, 'not_signed_in', 'this token is not known')
      }
      const nowMs = Date.now()
      const { cookie: value, untilMs } = auth.openSession(nowMs)
      reply
        .header('set-cookie', cookie(value, Math.floor((untilMs - nowMs) / 1000), request.protocol === 'https'))
        .header('cache-control', 'no-store')
      return { until: new Date(untilMs).toISOString() }
    },
  )

  app.get(
    '/v1/session',
    {
      schema: {
        tags: ['system'],
        summary: 'Who I am and until when',
        response: { 200: z.object({ who: z.string(), until: z.string().nullable() }), ...PROBLEMS },
      },
    },
    async (request) => {
      const session = auth.checkSession(cookieOf(request, SESSION_COOKIE) ?? '', Date.now())
      return { who: request.who, until: session === undefined ? null : new Date(session.untilMs).toISOString() }
    },
  )

  app.delete(
    '/v1/session',
    {
      config: { public: true },
      schema: { tags: ['system'], security: [], summary: 'Forgets the session cookie', response: { 204: z.null(), ...PROBLEMS } },
    },
    async (request, reply) =>
      reply
        .code(204)
        .header('set-cookie', cookie('', 0, request.protocol === 'https'))
        .send(null),
  )
}

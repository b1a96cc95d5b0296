import { z } from 'zod'
import { ROLES } from '../access/roles.ts'
import type { App } from '../app.ts'
import { cookieOf, type Doors, ownerOf, SESSION_COOKIE } from '../auth.ts'
import { Problem } from '../problem.ts'
import { PROBLEMS } from './schemas.ts'

const ByToken = z.object({ token: z.string().min(1).max(1000) })
const ByPassword = z.object({ user: z.string().min(1).max(64), password: z.string().min(1).max(1000) })

const tooMany = (waitS: number, kind: string, detail: string) =>
  new Problem(429, kind, detail, { headers: { 'retry-after': String(waitS) } })

export function sessionRoutes(app: App, doors: Doors): void {
  const { auth, directory } = doors
  const cookie = (value: string, seconds: number, secure: boolean) =>
    `${SESSION_COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure ? '; Secure' : ''}`

  app.post(
    '/v1/session',
    {
      config: { public: true },
      schema: {
        tags: ['system'],
        security: [],
        summary: "Exchanges a user's password or the administrator's token for a session cookie",
        description:
          'The page works with the cookie: an event stream of a browser cannot send headers. After five wrong passwords in a row a user has to wait, twice as long each time. API keys open no session.',
        body: z.union([ByPassword, ByToken]),
        response: { 200: z.object({ until: z.string() }), ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { body } = request
      let user = ''
      if ('user' in body) {
        const result = await directory.signIn(body.user, body.password)
        if ('refused' in result) {
          doors.refuse(request)
          const waitS = result.waitS ?? 1
          if (result.refused === 'locked') throw tooMany(waitS, 'locked', `too many wrong passwords; again in ${waitS} s`)
          if (result.refused === 'busy') throw tooMany(waitS, 'busy', 'many people are signing in; again in a second')
          throw new Problem(401, 'not_signed_in', 'this user or password is not known')
        }
        user = body.user
      } else if (auth.check(body.token) === undefined) {
        doors.refuse(request)
        const key = await ownerOf(body.token, doors)
        throw new Problem(
          401,
          'not_signed_in',
          key === undefined ? 'this token is not known' : 'an API key opens no session: send it as a bearer token',
        )
      }
      request.who = user === '' ? 'administrator' : user
      const nowMs = Date.now()
      const { cookie: value, untilMs } = auth.openSession(nowMs, user)
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
        summary: 'Who I am, what I may, and until when',
        response: { 200: z.object({ who: z.string(), roles: z.array(z.enum(ROLES)), until: z.string().nullable() }), ...PROBLEMS },
      },
    },
    async (request) => {
      const session = auth.checkSession(cookieOf(request, SESSION_COOKIE) ?? '', Date.now())
      const until = session === undefined ? null : new Date(session.untilMs).toISOString()
      return { who: request.who, roles: [...(request.principal?.roles ?? [])], until }
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

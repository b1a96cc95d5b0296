// Who asks. A bearer token in the header; for the page, which cannot set headers on an event stream, a session cookie signed with
// that token; and on the event stream alone the token as a query parameter, for clients without cookies.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Problem } from './problem.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Anybody may ask. */
    public?: boolean
    /** The token is also taken from the query parameter `access_token`. */
    tokenInQuery?: boolean
  }
  interface FastifyRequest {
    /** Name of who asks, for the history of tickets; '' on public routes. */
    who: string
  }
}

export const SESSION_COOKIE = 'meterstream_session'
const SESSION_MS = 12 * 3_600_000

export interface Auth {
  /** Name of the token's owner, undefined when no one has it. */
  check(token: string): string | undefined
  /** Value of a session cookie, and until when it holds. */
  openSession(nowMs: number): { cookie: string; untilMs: number }
  checkSession(cookie: string, nowMs: number): { untilMs: number } | undefined
}

const digest = (text: string) => createHash('sha256').update(text).digest()

/** @throws Error when the token is shorter than 16 characters: it could be guessed. */
export function createAuth(token: string): Auth {
  if (token.length < 16) throw new Error('API_TOKEN: must have at least 16 characters')
  const expected = digest(token)
  const key = createHmac('sha256', token).update('session').digest()
  const sign = (untilMs: number) => createHmac('sha256', key).update(`v1.${untilMs}`).digest('base64url')
  return {
    check: (given) => (timingSafeEqual(digest(given), expected) ? 'administrator' : undefined),
    openSession(nowMs) {
      const untilMs = nowMs + SESSION_MS
      return { cookie: `v1.${untilMs}.${sign(untilMs)}`, untilMs }
    },
    checkSession(cookie, nowMs) {
      const m = /^v1\.(\d{13})\.([\w-]{43})$/.exec(cookie)
      if (m === null) return undefined
      const untilMs = Number(m[1])
      const good = timingSafeEqual(digest(m[2] as string), digest(sign(untilMs)))
      return good && untilMs > nowMs ? { untilMs } : undefined
    },
  }
}

export function cookieOf(request: FastifyRequest, name: string): string | undefined {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const at = part.indexOf('=')
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim()
  }
  return undefined
}

export function bearerOf(request: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
}

/** A browser sends its cookie along whoever wrote the page: writing needs a page of our own. */
function sameOrigin(request: FastifyRequest): boolean {
  const origin = request.headers.origin
  if (origin === undefined) return request.headers['sec-fetch-site'] === undefined || request.headers['sec-fetch-site'] === 'same-origin'
  return URL.canParse(origin) && new URL(origin).host === request.headers.host
}

export function installAuth(app: FastifyInstance, auth: Auth, onFailure: (request: FastifyRequest) => void): void {
  app.decorateRequest('who', '')
  app.addHook('onRequest', async (request) => {
    const { config } = request.routeOptions
    if (config.public === true || (request.is404 && !/^\/(v1|tmf-api|docs)(\/|$|\?)/.test(request.url))) return
    const query = config.tokenInQuery === true ? (request.query as { access_token?: unknown }).access_token : undefined
    const token = bearerOf(request) ?? (typeof query === 'string' ? query : undefined)
    const who = token === undefined ? undefined : auth.check(token)
    if (who !== undefined) {
      request.who = who
      return
    }
    const cookie = token === undefined ? cookieOf(request, SESSION_COOKIE) : undefined
    if (cookie !== undefined && auth.checkSession(cookie, Date.now()) !== undefined) {
      if (!['GET', 'HEAD'].includes(request.method) && !sameOrigin(request)) {
        throw new Problem(403, 'other_origin', 'a session may only be used by the page of this system')
      }
      request.who = 'control room'
      return
    }
    if (token !== undefined || cookie !== undefined) onFailure(request)
    const detail =
      token === undefined && cookie === undefined ? 'send the header "Authorization: Bearer <token>"' : 'this token or session is not known'
    throw new Problem(401, 'not_signed_in', detail, { headers: { 'www-authenticate': 'Bearer' } })
  })
}

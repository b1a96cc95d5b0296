// Who asks, and whether they may. A bearer token in the header: the first administrator's, or an API key; for people a session cookie,
// which the page needs anyway since it cannot set headers on an event stream; and on the event stream alone the token as a query
// parameter, for clients without cookies.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Directory } from './access/directory.ts'
import { mayUse, type Principal } from './access/roles.ts'
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
    /** Undefined on public routes. */
    principal: Principal | undefined
  }
}

export const SESSION_COOKIE = 'meterstream_session'
const SESSION_MS = 12 * 3_600_000

export interface Session {
  /** User, '' for a session opened with the administrator's token. */
  user: string
  openedMs: number
  untilMs: number
}

export interface Auth {
  /** The owner of the administrator's token, undefined for any other. */
  check(token: string): Principal | undefined
  /** Value of a session cookie, and until when it holds. */
  openSession(nowMs: number, user?: string): { cookie: string; untilMs: number }
  checkSession(cookie: string, nowMs: number): Session | undefined
}

const digest = (text: string) => createHash('sha256').update(text).digest()

/** @throws Error when the token is shorter than 16 characters: it could be guessed. */
export function createAuth(token: string): Auth {
  if (token.length < 16) throw new Error('API_TOKEN: must have at least 16 characters')
  const expected = digest(token)
  const key = createHmac('sha256', token).update('session').digest()
  const sign = (body: string) => createHmac('sha256', key).update(body).digest('base64url')
  return {
    check: (given) => (timingSafeEqual(digest(given), expected) ? { name: 'administrator', roles: ['admin'] } : undefined),
    openSession(nowMs, user = '') {
      const untilMs = nowMs + SESSION_MS
      const body = `v2.${nowMs}.${untilMs}.${Buffer.from(user).toString('base64url')}`
      return { cookie: `${body}.${sign(body)}`, untilMs }
    },
    checkSession(cookie, nowMs) {
      const m = /^(v2\.(\d{13})\.(\d{13})\.([\w-]{0,120}))\.([\w-]{43})$/.exec(cookie)
      if (m === null) return undefined
      const good = timingSafeEqual(digest(m[5] as string), digest(sign(m[1] as string)))
      const untilMs = Number(m[3])
      if (!good || untilMs <= nowMs) return undefined
      return { user: Buffer.from(m[4] as string, 'base64url').toString(), openedMs: Number(m[2]), untilMs }
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

/** The owner of a token: the administrator's, or an API key's. */
export async function ownerOf(token: string, { auth, directory }: { auth: Auth; directory: Directory }): Promise<Principal | undefined> {
  return auth.check(token) ?? (await directory.byKey(token))
}

async function sessionOwner(cookie: string, { auth, directory }: Doors): Promise<Principal | undefined> {
  const session = auth.checkSession(cookie, Date.now())
  if (session === undefined) return undefined
  return session.user === '' ? { name: 'control room', roles: ['admin'] } : directory.bySession(session.user, session.openedMs)
}

export interface Doors {
  auth: Auth
  directory: Directory
  /** Counts a wrong token against the address that sent it. @throws Problem when it has sent too many */
  refuse(request: FastifyRequest): void
}

export function installAuth(app: FastifyInstance, doors: Doors): void {
  app.decorateRequest('who', '')
  app.decorateRequest('principal', undefined)
  app.addHook('onRequest', async (request) => {
    const { config } = request.routeOptions
    if (config.public === true || (request.is404 && !/^\/(v1|tmf-api|docs)(\/|$|\?)/.test(request.url))) return
    const principal = await principalOf(request, doors)
    request.who = principal.name
    request.principal = principal
    const pattern = request.routeOptions.url
    if (pattern !== undefined && !mayUse(principal.roles, request.method, pattern)) {
      const roles = principal.roles.length === 0 ? 'no role' : `the role ${principal.roles.join(', ')}`
      throw new Problem(403, 'not_allowed', `${request.method} ${pattern} is not open to ${roles}`)
    }
  })
}

async function principalOf(request: FastifyRequest, doors: Doors): Promise<Principal> {
  const query = request.routeOptions.config.tokenInQuery === true ? (request.query as { access_token?: unknown }).access_token : undefined
  const token = bearerOf(request) ?? (typeof query === 'string' ? query : undefined)
  const owner = token === undefined ? undefined : await ownerOf(token, doors)
  if (owner !== undefined) return owner
  const cookie = token === undefined ? cookieOf(request, SESSION_COOKIE) : undefined
  const user = cookie === undefined ? undefined : await sessionOwner(cookie, doors)
  if (user !== undefined) {
    if (!['GET', 'HEAD'].includes(request.method) && !sameOrigin(request)) {
      throw new Problem(403, 'other_origin', 'a session may only be used by the page of this system')
    }
    return user
  }
  const nothing = token === undefined && cookie === undefined
  if (!nothing) doors.refuse(request)
  const detail = nothing ? 'send the header "Authorization: Bearer <token>"' : 'this token or session is not known'
  throw new Problem(401, 'not_signed_in', detail, { headers: { 'www-authenticate': 'Bearer' } })
}

// Every route for every role; users, keys, lock-out; the audit trail.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { appendAudit, verifyAudit } from './access/audit.ts'
import { hasRule, mayUse, ROLES, type Role } from './access/roles.ts'
import { routesOf, startTestApi, type TestApi } from './api.fixture.ts'

let space: Isolated
let api: TestApi

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  api = await startTestApi({ config: space.config })
})
afterAll(async () => {
  await api?.stop()
  await space?.drop()
})

const keyOf = async (roles: readonly Role[]) => {
  const r = await api.send('POST', '/v1/access/keys', { name: `test ${roles.join()}`, roles })
  expect(r.status).toBe(201)
  return (await r.json()) as { id: string; token: string }
}
const signIn = (user: string, password: string) => api.send('POST', '/v1/session', { user, password }, { authorization: '' })

describe('roles', () => {
  it('have a rule for every route, but for those that are the administrator alone', () => {
    const routes = [...routesOf(api.app.printRoutes({ commonPrefix: false }))].map((r) => r.split(' ') as [string, string])
    const open = /^\/(health|metrics)|^\/$|^\/v1\/my-account|^\/v1\/access\//
    const without = routes.filter(([pattern, method]) => method !== 'OPTIONS' && !open.test(pattern) && !hasRule(method, pattern))
    expect(without.filter(([pattern, method]) => pattern !== '/v1/session' || method === 'GET')).toEqual([])
  })

  it('opens to each role what its rules say, of every route, and nothing else', async () => {
    const routes = [...routesOf(api.app.printRoutes({ commonPrefix: false }))].map((r) => r.split(' ') as [string, string])
    for (const role of ROLES) {
      if (role === 'admin') continue
      const { token } = await keyOf([role])
      const wrong: string[] = []
      for (const [pattern, method] of routes) {
        if (['HEAD', 'OPTIONS'].includes(method) || /^\/(health|metrics)|^\/$|^\/v1\/my-account|^\/v1\/live$/.test(pattern)) continue
        // Files of the documentation: what is not there has no route.
        if (pattern === '/docs/*' || pattern === '/docs/static/*') continue
        if (pattern === '/v1/session' && method !== 'GET') continue
        const path = pattern.replace('*', 'x').replace(/:\w+/g, 'x')
        const r = await fetch(api.url + path, { method, headers: { authorization: `Bearer ${token}` } })
        await r.body?.cancel()
        if ((r.status !== 403) !== mayUse([role], method, pattern)) wrong.push(`${method} ${pattern}: ${r.status}`)
      }
      expect([role, wrong]).toEqual([role, []])
    }
  })
})

describe('keys', () => {
  it('work until they are rotated, revoked or over', async () => {
    const { id, token } = await keyOf(['auditor'])
    const ask = async (t: string) => (await fetch(`${api.url}/v1/session`, { headers: { authorization: `Bearer ${t}` } })).status
    expect(await ask(token)).toBe(200)
    expect(await ask(`${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`)).toBe(401)
    const rotated = (await (await api.send('POST', `/v1/access/keys/${id}/rotate`)).json()) as { token: string }
    expect([await ask(token), await ask(rotated.token)]).toEqual([401, 200])
    expect((await api.send('DELETE', `/v1/access/keys/${id}`)).status).toBe(204)
    expect(await ask(rotated.token)).toBe(401)
    expect((await api.send('POST', `/v1/access/keys/${id}/rotate`)).status).toBe(404)
    const { rows } = await api.pool.query("SELECT * FROM api_keys WHERE encode(secret, 'escape') LIKE '%' || $1 || '%'", [token.slice(17)])
    expect(rows).toEqual([])
  })
})

describe('users', () => {
  it('sign in, act under their name, and are out when changed', async () => {
    expect((await api.send('PUT', '/v1/access/users/mia', { roles: ['agent'] })).status).toBe(404)
    expect((await api.send('PUT', '/v1/access/users/mia', { password: 'short', roles: ['agent'] })).status).toBe(400)
    expect((await api.send('PUT', '/v1/access/users/mia', { password: 'a long password', roles: ['agent'] })).status).toBe(204)
    const opened = await signIn('mia', 'a long password')
    expect(opened.status).toBe(200)
    const cookie = (opened.headers.get('set-cookie') as string).split(';')[0] as string
    const who = async () => fetch(`${api.url}/v1/session`, { headers: { cookie } })
    expect(await (await who()).json()).toMatchObject({ who: 'mia', roles: ['agent'] })
    await new Promise((r) => setTimeout(r, 5))
    expect((await api.send('PUT', '/v1/access/users/mia', { disabled: true })).status).toBe(204)
    expect((await who()).status).toBe(401)
    expect((await signIn('mia', 'a long password')).status).toBe(401)
  })

  it('wait after five wrong passwords in a row, also with the right one', async () => {
    await api.send('PUT', '/v1/access/users/tom', { password: 'a long password', roles: ['agent'] })
    for (let i = 0; i < 5; i++) expect((await signIn('tom', 'wrong')).status).toBe(401)
    const locked = await signIn('tom', 'a long password')
    expect([locked.status, Number(locked.headers.get('retry-after')) > 20]).toEqual([429, true])
    expect((await signIn('nobody', 'wrong')).status).toBe(401)
  })
})

describe('audit', () => {
  it('holds every change and every refusal, chained, and cannot be changed', async () => {
    const { token } = await keyOf(['agent'])
    await fetch(`${api.url}/v1/audit`, { headers: { authorization: `Bearer ${token}` } })
    const { entries } = (await (await api.get('/v1/audit?limit=2')).json()) as { entries: Record<string, unknown>[] }
    expect(entries).toMatchObject([
      { who: 'key:test agent', action: 'GET /v1/audit', outcome: 403 },
      { who: 'administrator', action: 'POST /v1/access/keys', outcome: 201 },
    ])
    await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        appendAudit(api.pool, { atMs: i, who: 'x', action: 'y', target: 'z', outcome: 200, detail: { b: 1, a: { d: 1, c: 2 } } }),
      ),
    )
    const good = await verifyAudit(api.pool)
    expect(good.broken).toBeUndefined()
    await expect(api.pool.query('UPDATE audit SET who = $1', ['somebody else'])).rejects.toThrow('append-only')
    await expect(api.pool.query('DELETE FROM audit')).rejects.toThrow('append-only')
    // Whoever owns the database can switch the trigger off, but not make the chain fit.
    await api.pool.query('ALTER TABLE audit DISABLE TRIGGER audit_append_only')
    await api.pool.query('UPDATE audit SET who = $1 WHERE seq = 3', ['somebody else'])
    expect((await verifyAudit(api.pool)).broken).toEqual({ seq: 3, reason: 'was changed' })
    await api.pool.query('DELETE FROM audit WHERE seq = 3')
    expect((await verifyAudit(api.pool)).broken).toEqual({ seq: 4, reason: 'entry 3 is missing' })
  })
})

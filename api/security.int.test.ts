// Who may ask, what is answered to what is wrong, and that no parameter reaches a statement as anything but a value.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toIso } from '#model/time.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { routesOf, seedStores, startTestApi, T0, type TestApi, TOKEN } from './api.fixture.ts'

let space: Isolated
let api: TestApi

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  api = await startTestApi({ config: space.config })
  await seedStores(api, space.prefix)
})
afterAll(async () => {
  await api?.stop()
  await space?.drop()
})

// biome-ignore lint/suspicious/noExplicitAny: the shapes are what is tested
const json = async (r: Response) => (await r.json()) as Record<string, any>
describe('who may ask', () => {
  const open = new Set(['/health/live', '/health/ready', '/metrics', '/', '/v1/session POST', '/v1/session DELETE'])

  it('refuses every route without a token, with a wrong one, and with a wrong session', async () => {
    const routes = routesOf(api.app.printRoutes({ commonPrefix: false }))
    expect(routes.size).toBeGreaterThan(25)
    for (const route of routes) {
      const [path, method] = route.split(' ') as [string, string]
      // A signed link is the key to one account's page: tested there.
      if (path.startsWith('/v1/my-account/')) continue
      if (method === 'HEAD' || method === 'OPTIONS' || open.has(path) || open.has(route)) continue
      const url = api.url + path.replace('*', 'x').replace(/:\w+/g, 'x')
      for (const headers of [
        {},
        { authorization: 'Bearer wrong' },
        { authorization: `Basic ${TOKEN}` },
        { cookie: `meterstream_session=v1.9999999999999.${'A'.repeat(43)}` },
      ] as Record<string, string>[]) {
        const r = await fetch(`${url}?access_token=${path === '/v1/live' ? 'wrong' : TOKEN}`, { method, headers })
        expect([route, r.status, r.headers.get('content-type')?.split(';')[0]]).toEqual([route, 401, 'application/problem+json'])
        await r.body?.cancel()
      }
    }
  })

  it('opens a session, uses it for reading and for writing from its own page only, and ends it', async () => {
    const post = (token: string) =>
      fetch(`${api.url}/v1/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }) })
    expect((await post('wrong')).status).toBe(401)
    const cookie = (await post(TOKEN)).headers.get('set-cookie') as string
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict/)
    const headers = { cookie: cookie.split(';')[0] as string }
    expect(await json(await fetch(`${api.url}/v1/session`, { headers }))).toMatchObject({ who: 'control room' })
    const write = (origin: string) =>
      fetch(`${api.url}/v1/tickets/T-1001/note`, {
        method: 'POST',
        headers: { ...headers, origin, 'content-type': 'application/json' },
        body: '{"note":"x"}',
      })
    expect((await write('http://evil.example')).status).toBe(403)
    expect((await write(api.url)).status).toBe(200)
  })
})

describe('problems', () => {
  it.each([
    ['/v1/nothing', 404],
    ['/v1/readings', 400],
    ['/v1/readings?device=', 400],
    ['/v1/readings?device=x&from=yesterday', 400],
    ['/v1/readings?device=x&from=2026-01-01T00:00:00', 400],
    ['/v1/readings?device=x&from=2000-01-01T00:00:00Z', 400],
    [`/v1/readings?device=x&from=${toIso(T0)}&to=${toIso(T0 - 1000)}`, 400],
    ['/v1/readings?device=x&limit=0', 400],
    ['/v1/readings?device=x&limit=1e9', 400],
    ['/v1/readings?device=x%00', 400],
    ['/v1/intervals?meter=x&quantity=blood', 400],
    ['/v1/findings?kind=fire', 400],
    ['/v1/findings?cursor=zzz', 400],
    ['/v1/billing/consumption?cursor=Wzld', 400],
    ['/v1/quarantine?reason=because', 400],
    ['/v1/tickets/T-999999', 404],
    ['/v1/tickets/x', 404],
    ['/v1/ledger?from=2020-01-01T00:00:00Z', 400],
    ['/v1/assets?bbox=1,2,3', 400],
  ])('answers %s with %i and says why', async (path, status) => {
    const r = await api.get(path)
    const body = await json(r)
    expect([r.status, r.headers.get('content-type')]).toEqual([status, 'application/problem+json'])
    expect(body).toMatchObject({
      status,
      title: expect.any(String),
      type: expect.stringMatching(/^urn:meterstream:problem:/),
      detail: expect.any(String),
    })
    expect(JSON.stringify(body)).not.toMatch(/ at .*\.ts|node_modules|SELECT/)
  })

  it('refuses what is too large, not JSON, or of another type', async () => {
    const post = (body: string, type = 'application/json') =>
      fetch(`${api.url}/v1/tickets`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}`, 'content-type': type }, body })
    expect([
      (await post('{')).status,
      (await post('x'.repeat(1_100_000))).status,
      (await post('a=b', 'application/x-www-form-urlencoded')).status,
    ]).toEqual([400, 413, 415])
  })

  it('says nothing of its inside when a store fails', async () => {
    await api.pool.query('ALTER TABLE quarantine RENAME TO hidden')
    const r = await api.get('/v1/quarantine')
    await api.pool.query('ALTER TABLE hidden RENAME TO quarantine')
    expect(await json(r)).toEqual({
      type: 'urn:meterstream:problem:internal',
      title: 'Internal error',
      status: 500,
      detail: expect.not.stringContaining('quarantine'),
      instance: '/v1/quarantine',
    })
  })
})

describe('statements smuggled in', () => {
  const EVIL = [
    "'",
    "''",
    "';DROP TABLE assets;--",
    "' OR '1'='1",
    '" OR 1=1 --',
    '\\',
    "\\'; SELECT 1; --",
    '%27',
    '$(1)',
    '$1',
    "x') OR 1=1 --",
    'T-1001; DELETE FROM tickets',
    '\u2019 OR 1=1',
  ]
  const PLACES = [
    '/v1/readings?device=@',
    '/v1/readings?device=x&channel=@',
    '/v1/readings?device=x&quantity=@',
    '/v1/readings?device=x&from=@',
    '/v1/readings?device=x&limit=@',
    '/v1/intervals?meter=@',
    '/v1/intervals?meter=x&channel=@',
    '/v1/intervals?meter=x&revisions=@',
    '/v1/findings?scope=@',
    '/v1/findings?zone=@',
    '/v1/findings?kind=@',
    '/v1/findings?cursor=@',
    '/v1/findings/@',
    '/v1/assets?id=@',
    '/v1/assets?kind=@',
    '/v1/assets?dma=@',
    '/v1/assets?gateway=@',
    '/v1/assets?bbox=@',
    '/v1/assets?cursor=@',
    '/v1/tickets?zone=@',
    '/v1/tickets?scope=@',
    '/v1/tickets?assignee=@',
    '/v1/tickets?state=@',
    '/v1/tickets?offset=@',
    '/v1/tickets/@',
    '/v1/quarantine?gateway=@',
    '/v1/quarantine?device=@',
    '/v1/quarantine?cursor=@',
    '/v1/ledger?gateway=@',
    '/v1/billing/consumption?cursor=@',
    '/tmf-api/troubleTicket/v5/troubleTicket?id=@',
    '/tmf-api/troubleTicket/v5/troubleTicket?ticketType=@',
    '/tmf-api/troubleTicket/v5/troubleTicket?sort=@',
    '/tmf-api/troubleTicket/v5/troubleTicket?fields=@',
    '/tmf-api/troubleTicket/v5/troubleTicket/@',
  ]

  it('are values and nothing else, in every parameter', async () => {
    const count = async () =>
      (
        await api.pool.query(
          'SELECT (SELECT count(*) FROM assets) AS a, (SELECT count(*) FROM tickets) AS t, (SELECT count(*) FROM findings) AS f',
        )
      ).rows[0]
    const before = await count()
    for (const place of PLACES) {
      for (const evil of EVIL) {
        const r = await api.get(place.replace('@', encodeURIComponent(evil)))
        expect([place, evil, r.status < 500]).toEqual([place, evil, true])
        const body = (await r.json()) as Record<string, unknown>
        if (r.status !== 200 || place.includes('fields')) continue
        // An id that nobody has finds nothing.
        const lists = Object.values(body).filter(Array.isArray)
        expect([place, evil, lists.every((l) => l.length === 0)]).toEqual([place, evil, true])
      }
    }
    expect(await count()).toEqual(before)
    expect((await api.questdb.exec(`SELECT count() FROM '${space.prefix}readings'`)).dataset[0]?.[0]).toBe(10)
  })
})

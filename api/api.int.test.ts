import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toIso } from '#model/time.ts'
import { IlpRows, doubleColumn, longColumn, rowPrefix, timeColumn } from '#runtime/ilp.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { ensureQuestDbTables } from '../processors/sinks/questdb.ts'
import { aFinding, anIntent, startTestApi, T0, type TestApi, TOKEN, until } from './api.fixture.ts'
import { applyFindings, applyIntents } from './desk/store.ts'

let space: Isolated
let api: TestApi
const WEIRD = "P'1\"; DROP TABLE readings; --"

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  api = await startTestApi({ config: space.config })
  await ensureQuestDbTables(api.questdb, space.prefix)
  await seed()
})
afterAll(async () => {
  await api?.stop()
  await space?.drop()
})

async function seed() {
  for (const [id, kind, properties, at] of [
    ['A', 'dma', {}, null], ['G1', 'gateway', {}, [8, 47]], ["T'1", 'transformer', { feeder: 'F1' }, [8.5, 47.4]], ['F1', 'feeder', {}, null],
    [WEIRD, 'pressure_sensor', { gateway: 'G1', dma: 'A' }, [8.1, 47.1]], ['W1', 'water_meter', { gateway: 'G1', dma: 'A', account: 'C-1' }, [8.2, 47.2]],
  ] as const) {
    await api.pool.query('INSERT INTO assets (id, kind, geometry, properties) VALUES ($1, $2, $3, $4)', [
      id, kind, at === null ? null : JSON.stringify({ type: 'Point', coordinates: at }), JSON.stringify({ id, kind, ...properties }),
    ])
  }
  const rows = new IlpRows()
  const value = doubleColumn('value')
  const received = timeColumn('received_at')
  for (let i = 0; i < 10; i++) {
    rows.begin(rowPrefix(`${space.prefix}readings`, { device: WEIRD, quantity: 'pressure_bar', gateway: 'G1', zone: 'A', quality: 'good' }))
    rows.double(value, 3 + i / 10)
    rows.time(received, T0 + i * 300_000 + 1000)
    rows.end(T0 + i * 300_000)
  }
  const iv = new IlpRows()
  for (const rev of [1, 2]) {
    iv.begin(rowPrefix(`${space.prefix}intervals`, { meter: 'W1', quantity: 'water_volume_m3', status: rev === 1 ? 'estimated' : 'actual', zone: 'A' }))
    iv.time(timeColumn('end'), T0 + 3_600_000)
    iv.double(value, rev / 2)
    iv.long(longColumn('rev'), rev)
    iv.end(T0)
  }
  await api.questdb.write([rows, iv])
  await until('rows in QuestDB', async () => ((await api.questdb.exec(`SELECT count() FROM '${space.prefix}readings'`)).dataset[0]?.[0] === 10
    && (await api.questdb.exec(`SELECT count() FROM '${space.prefix}intervals'`)).dataset[0]?.[0] === 2) || undefined)
  await api.pool.query(
    `INSERT INTO ledger (zone, gateway, hour, received, accepted, duplicate, redelivered, quarantined) VALUES ('A', 'G1', to_timestamp($1), 13, 10, 2, 0, '{"impossible_time": 1}')`,
    [T0 / 1000],
  )
  for (const id of ['fold-1', "in'1"]) {
    await api.pool.query(
      `INSERT INTO quarantine (id, reason, field, message, gateway, device, topic, format, received_at, entries, payload, encoding, truncated, redelivered)
       VALUES ($1, 'impossible_time', 'ts', 'too old', 'G1', 'W1', 't', 'native', to_timestamp($2), 1, '{}', 'utf8', false, false)`,
      [id, T0 / 1000 + 5],
    )
  }
  for (let day = 1; day <= 5; day++) {
    await api.pool.query(
      `INSERT INTO meter_days (meter, quantity, channel, date, rev, value, actual, estimated, missing, zone, decided_at) VALUES ('W1', 'water_volume_m3', '', $1, 1, $2, 24, 0, 0, 'A', now())`,
      [`2026-02-0${day}`, day],
    )
  }
  await applyFindings(api.pool, [aFinding('outage', { type: 'transformer', id: "T'1" }), aFinding('low_pressure', { type: 'sensor', id: WEIRD }, { zone: 'A', clearedAt: toIso(T0) })])
  await applyIntents(api.pool, [anIntent('k-1')])
}

// biome-ignore lint/suspicious/noExplicitAny: the shapes are what is tested
const json = async (r: Response) => (await r.json()) as Record<string, any>
const HOUR = `from=${toIso(T0)}&to=${toIso(T0 + 3_600_000)}`

describe('data', () => {
  it('returns readings of a device whose id holds quotes', async () => {
    const body = await json(await api.get(`/v1/readings?device=${encodeURIComponent(WEIRD)}&quantity=pressure_bar&${HOUR}`))
    expect(body.readings).toHaveLength(10)
    expect(body.readings[0]).toMatchObject({ ts: toIso(T0), value: 3, receivedAt: toIso(T0 + 1000), gateway: 'G1', quality: 'good', channel: '', rules: [], seq: null })
    expect(body.next).toBeNull()
  })

  it('pages through readings without losing or repeating one', async () => {
    const seen: string[] = []
    let from = toIso(T0)
    for (let i = 0; i < 10; i++) {
      const body = await json(await api.get(`/v1/readings?device=${encodeURIComponent(WEIRD)}&limit=3&from=${from}&to=${toIso(T0 + 3_600_000)}`))
      seen.push(...(body.readings as { ts: string }[]).map((r) => r.ts))
      if (body.next === null) break
      from = body.next
    }
    expect(seen).toHaveLength(10)
    expect(new Set(seen).size).toBe(10)
  })

  it('shows the newest revision of an interval, or all', async () => {
    const of = async (more: string) => (await json(await api.get(`/v1/intervals?meter=W1&${HOUR}${more}`))).intervals as { rev: number; status: string; value: number }[]
    expect(await of('')).toMatchObject([{ rev: 2, status: 'actual', value: 1, end: toIso(T0 + 3_600_000) }])
    expect((await of('&revisions=all')).map((i) => i.rev)).toEqual([1, 2])
  })

  it('adds the ledger up', async () => {
    const body = await json(await api.get(`/v1/ledger?${HOUR}`))
    expect(body.entries).toMatchObject([
      { gateway: 'G1', hour: toIso(T0), received: 14, accepted: 10, duplicate: 2, quarantined: 2, stored: 10, unaccounted: 0, unstored: 0, difference: 0 },
    ])
    expect(body.total).toMatchObject({ received: 14, difference: 0, reasons: { impossible_time: 2 } })
  })

  it('hands out every meter-day once, in pages of any size', async () => {
    for (const limit of [1, 2, 3, 100]) {
      const seen: number[] = []
      let cursor = ''
      for (;;) {
        const body = await json(await api.get(`/v1/billing/consumption?limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`))
        seen.push(...(body.items as { value: number }[]).map((i) => i.value))
        cursor = body.next
        if (!body.more) break
      }
      expect(seen).toEqual([1, 2, 3, 4, 5])
    }
  })

  it('filters findings and shows their history', async () => {
    const open = await json(await api.get('/v1/findings?state=open&kind=outage,burst'))
    expect(open.findings).toMatchObject([{ kind: 'outage', scope: { id: "T'1" }, evidence: [{ what: 'last-gasps', count: 3 }] }])
    const id = (open.findings as { id: string }[])[0]?.id as string
    expect((await json(await api.get(`/v1/findings/${encodeURIComponent(id)}`))).revisions).toHaveLength(1)
    expect((await json(await api.get(`/v1/findings?scope=${encodeURIComponent(WEIRD)}`))).findings).toMatchObject([{ kind: 'low_pressure' }])
    const first = await json(await api.get('/v1/findings?limit=1'))
    const second = await json(await api.get(`/v1/findings?limit=1&cursor=${first.next}`))
    expect([first.findings, second.findings, second.next]).toMatchObject([[{}], [{}], null])
  })

  it('lists quarantine and releases an entry once, saying that nothing was sent', async () => {
    expect((await json(await api.get('/v1/quarantine?gateway=G1'))).entries).toHaveLength(2)
    const path = `/v1/quarantine/${encodeURIComponent("in'1")}/release`
    expect(await json(await api.send('POST', path))).toMatchObject({ republished: false, repeated: false, entry: { state: 'released', closedBy: 'administrator' } })
    expect(await json(await api.send('POST', path))).toMatchObject({ repeated: true })
    expect((await api.send('POST', path.replace('release', 'discard'))).status).toBe(409)
    expect((await json(await api.get('/v1/quarantine?state=open'))).entries).toHaveLength(1)
  })
})

describe('registry', () => {
  it('serves GeoJSON with filters, without accounts, with an ETag', async () => {
    const all = await api.get('/v1/assets')
    const body = await json(all)
    expect(body).toMatchObject({ type: 'FeatureCollection', timezone: expect.any(String), next: null })
    expect(body.features).toHaveLength(6)
    expect(JSON.stringify(body)).not.toContain('C-1')
    expect((await api.get('/v1/assets', { 'if-none-match': all.headers.get('etag') as string })).status).toBe(304)
    expect((await json(await api.get('/v1/assets?kind=feeder,dma'))).features).toHaveLength(2)
    expect((await json(await api.get('/v1/assets?bbox=8.15,47.15,8.3,47.3'))).features).toMatchObject([{ properties: { id: 'W1' } }])
    expect((await json(await api.get(`/v1/assets?id=${encodeURIComponent(WEIRD)}`))).features).toHaveLength(1)
  })

  it('creates, keeps and refuses assets', async () => {
    const body = (id: string, more: object = {}) => ({ type: 'Feature', geometry: { type: 'Point', coordinates: [8, 47] }, properties: { id, kind: 'pressure_sensor', gateway: 'G1', dma: 'A', ...more } })
    const put = (id: string, b: unknown) => api.send('PUT', `/v1/assets/${encodeURIComponent(id)}`, b)
    expect([(await put('P/2', body('P/2'))).status, await json(await put('P/2', body('P/2'))), await json(await put('P/2', body('P/2', { interval_s: 60 })))]).toMatchObject([
      201, { result: 'same' }, { result: 'changed' },
    ])
    expect(await json(await put('P3', body('P2')))).toMatchObject({ status: 422, type: '/docs/problems#other_id' })
    expect(await json(await put('P3', body('P3', { gateway: 'G9', dma: 'F1' })))).toMatchObject({
      status: 422, errors: [{ field: 'properties.gateway', message: 'there is no asset G9' }, { field: 'properties.dma', message: 'F1 is a feeder, not a dma' }],
    })
    expect(await json(await put('P3', { type: 'Feature', geometry: null, properties: { id: 'P3', kind: 'water_meter' } }))).toMatchObject({ status: 400, type: '/docs/problems#not_valid' })
    await api.pool.query("DELETE FROM assets WHERE id = 'P/2'")
  })
})

describe('tickets', () => {
  it('goes through its life, each step once however often it is asked', async () => {
    await applyIntents(api.pool, [anIntent('k-life')])
    const { tickets } = await json(await api.get('/v1/tickets?open=true&order=newest&limit=1'))
    const { id } = tickets[0] as { id: string }
    const step = async (action: string, body?: object, headers?: Record<string, string>) => json(await api.send('POST', `/v1/tickets/${id}/${action}`, body, headers))
    expect(await step('review')).toMatchObject({ ticket: { state: 'reviewed' }, repeated: false })
    expect(await step('review')).toMatchObject({ status: 409, type: '/docs/problems#illegal_transition' })
    const key = { 'idempotency-key': 'dispatch-1' }
    expect(await step('dispatch', { assignee: 'crew-1' }, key)).toMatchObject({ ticket: { state: 'dispatched', assignee: 'crew-1' }, repeated: false })
    expect(await step('dispatch', { assignee: 'crew-1' }, key)).toMatchObject({ repeated: true, ticket: { version: 3 } })
    expect(await step('start', { version: 2 })).toMatchObject({ status: 412 })
    await step('start')
    expect(await step('done')).toMatchObject({ ticket: { state: 'verify' } })
    expect(await step('confirm')).toMatchObject({ status: 422, type: '/docs/problems#note_required' })
    await applyIntents(api.pool, [anIntent('k-life', { rev: 2, closedAt: toIso(T0 + 9e5), updatedAt: toIso(T0 + 9e5), reason: 'all_clear' })])
    expect(await step('confirm')).toMatchObject({ ticket: { state: 'confirmed' } })
    const whole = await json(await api.get(`/v1/tickets/${id}`))
    expect((whole.changes as { action: string }[]).map((c) => c.action)).toEqual(['open', 'review', 'dispatch', 'start', 'done', 'telemetry_end', 'confirm'])
    expect(whole.ticket).toMatchObject({ at: [8.5, 47.4], telemetryClosedAt: toIso(T0 + 9e5) })
  })

  it('opens one ticket for a report sent twice at once', async () => {
    const body = { class: 'complaint', title: 'Brown water', scope: { type: 'meter', id: 'W1' } }
    const answers = await Promise.all([1, 2, 3].map(() => api.send('POST', '/v1/tickets', body, { 'idempotency-key': 'report-0001' })))
    expect(answers.map((a) => a.status).sort()).toEqual([200, 200, 201])
    expect(new Set(await Promise.all(answers.map(async (a) => (await json(a)).id))).size).toBe(1)
  })

  it('opens one ticket for an intent applied by several at once', async () => {
    const intents = [anIntent('k-race'), anIntent('k-race-2'), anIntent('k-race', { rev: 2, priority: 1 })]
    await Promise.all(Array.from({ length: 8 }, () => applyIntents(api.pool, intents)))
    const { rows } = await api.pool.query("SELECT key, version, priority FROM tickets WHERE key LIKE 'k-race%' ORDER BY key")
    expect(rows).toEqual([{ key: 'k-race', version: 2, priority: 1 }, { key: 'k-race-2', version: 1, priority: 2 }])
  })
})

/** `path METHOD` from the tree that the application prints of itself, so that a route added later is asked too. */
function routesOf(tree: string): Set<string> {
  const routes = new Set<string>()
  const above: string[] = []
  for (const line of tree.split('\n')) {
    const m = /^([│ ]*)[├└]── (\S*)(?: \(([A-Z, ]+)\))?/.exec(line)
    if (m === null) continue
    const depth = (m[1] as string).length / 4
    const path = (above[depth - 1] ?? '') + m[2]
    above.length = depth
    above.push(path)
    for (const method of m[3]?.split(', ') ?? []) routes.add(`${path} ${method}`)
  }
  return routes
}

describe('who may ask', () => {
  const open = new Set(['/health/live', '/health/ready', '/metrics', '/', '/v1/session POST', '/v1/session DELETE'])

  it('refuses every route without a token, with a wrong one, and with a wrong session', async () => {
    const routes = routesOf(api.app.printRoutes({ commonPrefix: false }))
    expect(routes.size).toBeGreaterThan(25)
    for (const route of routes) {
      const [path, method] = route.split(' ') as [string, string]
      if (method === 'HEAD' || method === 'OPTIONS' || open.has(path) || open.has(route)) continue
      const url = api.url + path.replace('*', 'x').replace(/:\w+/g, 'x')
      for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: `Basic ${TOKEN}` }, { cookie: 'meterstream_session=v1.9999999999999.' + 'A'.repeat(43) }] as Record<string, string>[]) {
        const r = await fetch(`${url}?access_token=${path === '/v1/live' ? 'wrong' : TOKEN}`, { method, headers })
        expect([route, r.status, r.headers.get('content-type')?.split(';')[0]]).toEqual([route, 401, 'application/problem+json'])
        await r.body?.cancel()
      }
    }
  })

  it('opens a session, uses it for reading and for writing from its own page only, and ends it', async () => {
    const post = (token: string) => fetch(`${api.url}/v1/session`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token }) })
    expect((await post('wrong')).status).toBe(401)
    const cookie = ((await post(TOKEN)).headers.get('set-cookie') as string)
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict/)
    const headers = { cookie: cookie.split(';')[0] as string }
    expect(await json(await fetch(`${api.url}/v1/session`, { headers }))).toMatchObject({ who: 'control room' })
    const write = (origin: string) => fetch(`${api.url}/v1/tickets/T-1001/note`, { method: 'POST', headers: { ...headers, origin, 'content-type': 'application/json' }, body: '{"note":"x"}' })
    expect((await write('http://evil.example')).status).toBe(403)
    expect((await write(api.url)).status).toBe(200)
  })
})

describe('problems', () => {
  it.each([
    ['/v1/nothing', 404], ['/v1/readings', 400], ['/v1/readings?device=', 400], ['/v1/readings?device=x&from=yesterday', 400], ['/v1/readings?device=x&from=2026-01-01T00:00:00', 400],
    ['/v1/readings?device=x&from=2000-01-01T00:00:00Z', 400], [`/v1/readings?device=x&from=${toIso(T0)}&to=${toIso(T0 - 1000)}`, 400], ['/v1/readings?device=x&limit=0', 400],
    ['/v1/readings?device=x&limit=1e9', 400], ['/v1/readings?device=x%00', 400], ['/v1/intervals?meter=x&quantity=blood', 400], ['/v1/findings?kind=fire', 400], ['/v1/findings?cursor=zzz', 400],
    ['/v1/billing/consumption?cursor=Wzld', 400], ['/v1/quarantine?reason=because', 400], ['/v1/tickets/T-999999', 404], ['/v1/tickets/x', 404], ['/v1/ledger?from=2020-01-01T00:00:00Z', 400],
    ['/v1/assets?bbox=1,2,3', 400],
  ])('answers %s with %i and says why', async (path, status) => {
    const r = await api.get(path)
    const body = await json(r)
    expect([r.status, r.headers.get('content-type')]).toEqual([status, 'application/problem+json'])
    expect(body).toMatchObject({ status, title: expect.any(String), type: expect.stringMatching(/^\/docs\/problems#/), detail: expect.any(String) })
    expect(JSON.stringify(body)).not.toMatch(/ at .*\.ts|node_modules|SELECT/)
  })

  it('refuses what is too large, not JSON, or of another type', async () => {
    const post = (body: string, type = 'application/json') => fetch(`${api.url}/v1/tickets`, { method: 'POST', headers: { authorization: `Bearer ${TOKEN}`, 'content-type': type }, body })
    expect([(await post('{')).status, (await post('x'.repeat(1_100_000))).status, (await post('a=b', 'application/x-www-form-urlencoded')).status]).toEqual([400, 413, 415])
  })

  it('says nothing of its inside when a store fails', async () => {
    await api.pool.query('ALTER TABLE quarantine RENAME TO hidden')
    const r = await api.get('/v1/quarantine')
    await api.pool.query('ALTER TABLE hidden RENAME TO quarantine')
    expect(await json(r)).toEqual({ type: '/docs/problems#internal', title: 'Internal error', status: 500, detail: expect.not.stringContaining('quarantine'), instance: '/v1/quarantine' })
  })
})

describe('statements smuggled in', () => {
  const EVIL = ["'", "''", "';DROP TABLE assets;--", "' OR '1'='1", '" OR 1=1 --', '\\', "\\'; SELECT 1; --", '%27', '${1}', '$1', "x') OR 1=1 --", 'T-1001; DELETE FROM tickets', '\u2019 OR 1=1']
  const PLACES = [
    '/v1/readings?device=@', '/v1/readings?device=x&channel=@', '/v1/readings?device=x&quantity=@', '/v1/readings?device=x&from=@', '/v1/readings?device=x&limit=@',
    '/v1/intervals?meter=@', '/v1/intervals?meter=x&channel=@', '/v1/intervals?meter=x&revisions=@', '/v1/findings?scope=@', '/v1/findings?zone=@', '/v1/findings?kind=@', '/v1/findings?cursor=@',
    '/v1/findings/@', '/v1/assets?id=@', '/v1/assets?kind=@', '/v1/assets?dma=@', '/v1/assets?gateway=@', '/v1/assets?bbox=@', '/v1/assets?cursor=@', '/v1/tickets?zone=@', '/v1/tickets?scope=@',
    '/v1/tickets?assignee=@', '/v1/tickets?state=@', '/v1/tickets?offset=@', '/v1/tickets/@', '/v1/quarantine?gateway=@', '/v1/quarantine?device=@', '/v1/quarantine?cursor=@', '/v1/ledger?gateway=@',
    '/v1/billing/consumption?cursor=@', '/tmf-api/troubleTicket/v5/troubleTicket?id=@', '/tmf-api/troubleTicket/v5/troubleTicket?ticketType=@', '/tmf-api/troubleTicket/v5/troubleTicket?sort=@',
    '/tmf-api/troubleTicket/v5/troubleTicket?fields=@', '/tmf-api/troubleTicket/v5/troubleTicket/@',
  ]

  it('are values and nothing else, in every parameter', async () => {
    const count = async () => (await api.pool.query('SELECT (SELECT count(*) FROM assets) AS a, (SELECT count(*) FROM tickets) AS t, (SELECT count(*) FROM findings) AS f')).rows[0]
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

describe('the rest', () => {
  it('documents every route', async () => {
    const doc = (await (await api.get('/docs/json')).json()) as { paths: Record<string, object> }
    for (const path of ['/v1/assets/{id}', '/v1/readings', '/v1/live', '/tmf-api/troubleTicket/v5/troubleTicket/{id}', '/v1/billing/consumption']) expect(doc.paths[path]).toBeDefined()
    expect((await api.get('/docs')).status).toBe(200)
  })

  it('reports health and metrics to anybody', async () => {
    expect((await fetch(`${api.url}/health/live`)).status).toBe(200)
    expect((await fetch(`${api.url}/health/ready`)).status).toBe(200)
    const text = await (await fetch(`${api.url}/metrics`)).text()
    expect(text).toMatch(/meterstream_http_request_seconds_count\{.*route="\/v1\/readings"/)
    expect(text).not.toContain('DROP TABLE')
  })

  it('limits requests, and wrong tokens sooner', async () => {
    const small = await startTestApi({ config: space.config, limits: { requestsPerSecond: 1, requestsBurst: 5, failuresBurst: 2 } })
    try {
      const wrong = await Promise.all([1, 2, 3].map(() => fetch(`${small.url}/v1/status`, { headers: { authorization: 'Bearer wrong' } })))
      expect(wrong.map((r) => r.status).sort()).toEqual([401, 401, 429])
      const right = await Promise.all([1, 2, 3, 4].map(() => small.get('/v1/status')))
      expect(right.map((r) => r.status).sort()).toEqual([200, 200, 429, 429])
      expect(right.find((r) => r.status === 429)?.headers.get('retry-after')).toBe('1')
      expect((await fetch(`${small.url}/health/live`)).status).toBe(200)
    } finally {
      await small.stop()
    }
  })
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toIso } from '#model/time.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { anIntent, seedStores, startTestApi, T0, type TestApi, WEIRD } from './api.fixture.ts'
import { applyIntents } from './desk/store.ts'

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
const HOUR = `from=${toIso(T0)}&to=${toIso(T0 + 3_600_000)}`

describe('data', () => {
  it('returns readings of a device whose id holds quotes', async () => {
    const body = await json(await api.get(`/v1/readings?device=${encodeURIComponent(WEIRD)}&quantity=pressure_bar&${HOUR}`))
    expect(body.readings).toHaveLength(10)
    expect(body.readings[0]).toMatchObject({
      ts: toIso(T0),
      value: 3,
      receivedAt: toIso(T0 + 1000),
      gateway: 'G1',
      quality: 'good',
      channel: '',
      rules: [],
      seq: null,
    })
    expect(body.next).toBeNull()
  })

  it('pages through readings without losing or repeating one', async () => {
    const seen: string[] = []
    let from = toIso(T0)
    for (let i = 0; i < 10; i++) {
      const body = await json(
        await api.get(`/v1/readings?device=${encodeURIComponent(WEIRD)}&limit=3&from=${from}&to=${toIso(T0 + 3_600_000)}`),
      )
      seen.push(...(body.readings as { ts: string }[]).map((r) => r.ts))
      if (body.next === null) break
      from = body.next
    }
    expect(seen).toHaveLength(10)
    expect(new Set(seen).size).toBe(10)
  })

  it('shows the newest revision of an interval, or all', async () => {
    const of = async (more: string) =>
      (await json(await api.get(`/v1/intervals?meter=W1&${HOUR}${more}`))).intervals as { rev: number; status: string; value: number }[]
    expect(await of('')).toMatchObject([{ rev: 2, status: 'actual', value: 1, end: toIso(T0 + 3_600_000) }])
    expect((await of('&revisions=all')).map((i) => i.rev)).toEqual([1, 2])
  })

  it('adds the ledger up', async () => {
    const body = await json(await api.get(`/v1/ledger?${HOUR}`))
    expect(body.entries).toMatchObject([
      {
        gateway: 'G1',
        hour: toIso(T0),
        received: 14,
        accepted: 10,
        duplicate: 2,
        quarantined: 2,
        stored: 10,
        unaccounted: 0,
        unstored: 0,
        difference: 0,
      },
    ])
    expect(body.total).toMatchObject({ received: 14, difference: 0, reasons: { impossible_time: 2 } })
  })

  it('tells a loss from what is on its way: a difference counts when its hour is settled', async () => {
    const line = async () => {
      const body = await json(await api.get(`/v1/ledger?${HOUR}`))
      expect(body.storage).toEqual({ state: 'current', detail: '' })
      return (body.entries as { difference: number; settled: boolean }[])[0]
    }
    const clock = (ms: number) =>
      api.pool.query(
        `INSERT INTO checkpoints (stage, partition, epoch, owner, state, clock) VALUES ('zones', 0, 1, 'test', '', to_timestamp($1::float8 / 1000))
         ON CONFLICT (stage, partition) DO UPDATE SET clock = excluded.clock`,
        [ms],
      )
    await clock(T0 + 3_599_000)
    expect(await line()).toMatchObject({ difference: 0, settled: false })
    await clock(T0 + 3_600_000)
    expect(await line()).toMatchObject({ difference: 0, settled: true })
    // One more was accepted than is stored: a loss.
    await api.pool.query(`UPDATE ledger SET received = received + 1, accepted = accepted + 1`)
    expect(await line()).toMatchObject({ difference: 1, settled: true })
    await api.pool.query(`UPDATE ledger SET received = received - 1, accepted = accepted - 1`)
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
    expect((await json(await api.get(`/v1/findings?scope=${encodeURIComponent(WEIRD)}`))).findings).toMatchObject([
      { kind: 'low_pressure' },
    ])
    const first = await json(await api.get('/v1/findings?limit=1'))
    const second = await json(await api.get(`/v1/findings?limit=1&cursor=${first.next}`))
    expect([first.findings, second.findings, second.next]).toMatchObject([[{}], [{}], null])
  })

  it('lists quarantine and asks for a release once; without ingest it waits', async () => {
    expect((await json(await api.get('/v1/quarantine?gateway=G1'))).entries).toHaveLength(2)
    const path = `/v1/quarantine/${encodeURIComponent("in'1")}/release`
    expect(await json(await api.send('POST', path))).toMatchObject({
      republished: false,
      repeated: false,
      entry: { state: 'open', releaseRequested: true },
    })
    expect(await json(await api.send('POST', path))).toMatchObject({ repeated: true })
    expect((await api.send('POST', path.replace('release', 'discard'))).status).toBe(409)
    expect((await json(await api.get('/v1/quarantine?state=open'))).entries).toHaveLength(2)
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
    const body = (id: string, more: object = {}) => ({
      type: 'Feature',
      geometry: { type: 'Point', coordinates: [8, 47] },
      properties: { id, kind: 'pressure_sensor', gateway: 'G1', dma: 'A', ...more },
    })
    const put = (id: string, b: unknown) => api.send('PUT', `/v1/assets/${encodeURIComponent(id)}`, b)
    expect([
      (await put('P/2', body('P/2'))).status,
      await json(await put('P/2', body('P/2'))),
      await json(await put('P/2', body('P/2', { interval_s: 60 }))),
    ]).toMatchObject([201, { result: 'same' }, { result: 'changed' }])
    expect(await json(await put('P3', body('P2')))).toMatchObject({ status: 422, type: 'urn:meterstream:problem:other_id' })
    expect(await json(await put('P3', body('P3', { gateway: 'G9', dma: 'F1' })))).toMatchObject({
      status: 422,
      errors: [
        { field: 'properties.gateway', message: 'there is no asset G9' },
        { field: 'properties.dma', message: 'F1 is a feeder, not a dma' },
      ],
    })
    expect(await json(await put('P3', { type: 'Feature', geometry: null, properties: { id: 'P3', kind: 'water_meter' } }))).toMatchObject({
      status: 400,
      type: 'urn:meterstream:problem:not_valid',
    })
    await api.pool.query("DELETE FROM assets WHERE id = 'P/2'")
  })
})

describe('tickets', () => {
  it('goes through its life, each step once however often it is asked', async () => {
    await applyIntents(api.pool, [anIntent('k-life')])
    const { tickets } = await json(await api.get('/v1/tickets?open=true&order=newest&limit=1'))
    const { id } = tickets[0] as { id: string }
    const step = async (action: string, body?: object, headers?: Record<string, string>) =>
      json(await api.send('POST', `/v1/tickets/${id}/${action}`, body, headers))
    expect(await step('review')).toMatchObject({ ticket: { state: 'reviewed' }, repeated: false })
    expect(await step('review')).toMatchObject({ ticket: { state: 'reviewed' }, repeated: true })
    expect(await step('archive')).toMatchObject({ status: 409, type: 'urn:meterstream:problem:illegal_transition' })
    const key = { 'idempotency-key': 'dispatch-1' }
    expect(await step('dispatch', { assignee: 'crew-1' }, key)).toMatchObject({
      ticket: { state: 'dispatched', assignee: 'crew-1' },
      repeated: false,
    })
    expect(await step('dispatch', { assignee: 'crew-1' }, key)).toMatchObject({ repeated: true, ticket: { version: 3 } })
    expect(await step('start', { version: 2 })).toMatchObject({ status: 412 })
    await step('start')
    expect(await step('done')).toMatchObject({ ticket: { state: 'verify' } })
    expect(await step('confirm')).toMatchObject({ status: 422, type: 'urn:meterstream:problem:note_required' })
    await applyIntents(api.pool, [
      anIntent('k-life', { rev: 2, closedAt: toIso(T0 + 9e5), updatedAt: toIso(T0 + 9e5), reason: 'all_clear' }),
    ])
    expect(await step('confirm')).toMatchObject({ ticket: { state: 'confirmed' } })
    const whole = await json(await api.get(`/v1/tickets/${id}`))
    expect((whole.changes as { action: string }[]).map((c) => c.action)).toEqual([
      'open',
      'review',
      'dispatch',
      'start',
      'done',
      'telemetry_end',
      'confirm',
    ])
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
    expect(rows).toEqual([
      { key: 'k-race', version: 2, priority: 1 },
      { key: 'k-race-2', version: 1, priority: 2 },
    ])
  })
})

describe('the rest', () => {
  it('documents every route', async () => {
    const doc = (await (await api.get('/docs/json')).json()) as { paths: Record<string, object> }
    for (const path of [
      '/v1/assets/{id}',
      '/v1/readings',
      '/v1/live',
      '/tmf-api/troubleTicket/v5/troubleTicket/{id}',
      '/v1/billing/consumption',
    ])
      expect(doc.paths[path]).toBeDefined()
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

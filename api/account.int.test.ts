import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HOUR_MS, toIso } from '#model/time.ts'
import { doubleColumn, IlpRows, longColumn, rowPrefix, timeColumn } from '#runtime/ilp.ts'
import { BEIJING_WATER } from '#tariff/published/beijing-water.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { ensureQuestDbTables } from '../processors/sinks/questdb.ts'
import { aFinding, startTestApi, T0, type TestApi, until } from './api.fixture.ts'
import { applyFindings } from './desk/finding-store.ts'

let space: Isolated
let api: TestApi
// The log's clock is 11:00 UTC on 1 March: 01:00 on 2 March there.
const ZONE = 'Pacific/Kiritimati'
const TODAY_MS = Date.parse('2026-03-01T10:00:00Z')

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  api = await startTestApi({ config: space.config })
  await ensureQuestDbTables(api.questdb, space.prefix)
  const { pool } = api
  await pool.query(
    "INSERT INTO registry_meta (key, value) VALUES ('timezone', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    [ZONE],
  )
  for (let k = 0; k < 8; k++) {
    await pool.query(
      "INSERT INTO accounts (account, name, language, tariff_water) VALUES ($1, 'Somebody', 'zh', 'beijing-water-residential')",
      [`C-${k}`],
    )
    await pool.query("INSERT INTO assets (id, kind, properties) VALUES ($1, 'water_meter', $2)", [
      `W-${k}`,
      JSON.stringify({ id: `W-${k}`, kind: 'water_meter', dma: 'A', gateway: 'G', account: `C-${k}` }),
    ])
    await pool.query(
      `INSERT INTO meter_days (meter, quantity, date, rev, value, actual, estimated, missing, zone, decided_at)
       SELECT $1, 'water_volume_m3', d, 1, $2, 24, 0, 0, 'A', now() FROM generate_series('2026-01-01'::date, '2026-03-01'::date, '1 day') d`,
      [`W-${k}`, 1 + k],
    )
  }
  const rows = new IlpRows()
  rows.begin(rowPrefix(`${space.prefix}intervals`, { meter: 'W-0', quantity: 'water_volume_m3', status: 'actual', zone: 'A' }))
  rows.time(timeColumn('end'), TODAY_MS + HOUR_MS)
  rows.double(doubleColumn('value'), 0.25)
  rows.long(longColumn('rev'), 1)
  rows.end(TODAY_MS)
  await api.questdb.write([rows])
  await until('an interval', async () => (await api.questdb.exec(`SELECT count() FROM '${space.prefix}intervals'`)).dataset[0]?.[0] === 1)
  await applyFindings(pool, [
    aFinding('customer_leak', { type: 'meter', id: 'W-0' }, { size: { flowM3h: 0.03 } }),
    aFinding('abnormal_usage', { type: 'meter', id: 'W-0' }, { subtype: 'bypass' }),
  ])
})
afterAll(async () => {
  await api?.stop()
  await space?.drop()
})

// biome-ignore lint/suspicious/noExplicitAny: the shapes are what is tested
const json = async (r: Response) => (await r.json()) as Record<string, any>

describe('tariffs', () => {
  it('stores one, and refuses a wrong one by field', async () => {
    const put = (body: object) => api.send('PUT', '/v1/tariffs/beijing-water-residential', body)
    expect((await put(BEIJING_WATER)).status).toBe(200)
    const wrong = await put({
      ...BEIJING_WATER,
      versions: [...BEIJING_WATER.versions, { ...BEIJING_WATER.versions[0], validFrom: '2020-01-01' }],
    })
    expect(wrong.status).toBe(422)
    expect((await json(wrong)).errors).toEqual([
      { field: 'versions.0.validUntil', message: 'overlaps the next version: this one has no end, the next begins 2020-01-01' },
    ])
    expect((await json(await put({ ...BEIJING_WATER, currency: 'EUR' }))).code).toBe('beijing-water-residential')
  })

  it('lets a version in force be ended, not changed', async () => {
    const version = BEIJING_WATER.versions[0]
    const put = (versions: unknown[], more = '') =>
      api.send('PUT', `/v1/tariffs/beijing-water-residential${more}`, { ...BEIJING_WATER, versions })
    const dearer = { ...version, charges: [{ id: 'water', type: 'energy', label: { en: 'Water' }, rate: '9' }] }
    const refused = await put([dearer])
    expect([refused.status, (await json(refused)).detail]).toEqual([409, expect.stringContaining('versions.0: in force since 2014-05-01')])
    expect(
      (
        await put([
          { ...version, validUntil: '2026-07-01' },
          { ...dearer, validFrom: '2026-07-01' },
        ])
      ).status,
    ).toBe(200)
    expect((await put([version], '?correct=true')).status).toBe(200)
  })

  it('prices given use', async () => {
    const body = {
      code: 'beijing-water-residential',
      from: '2025-01-01',
      to: '2026-01-01',
      usage: [{ start: '2025-03-01T00:00:00Z', end: '2025-03-02T00:00:00Z', value: 300 }],
    }
    expect((await json(await api.send('POST', '/v1/tariffs/price', body))).totalMinor).toBe(182_000)
    expect((await api.send('POST', '/v1/tariffs/price', { ...body, code: 'none' })).status).toBe(404)
  })
})

describe('the account page', () => {
  it('says use, neighbours, cost, tier and the leak, never the suspicion', async () => {
    const view = await json(await api.get('/v1/accounts/C-0/view'))
    const [water] = view.commodities
    expect(water.usage.today).toMatchObject({ value: 0.25 })
    expect(water.usage.month).toMatchObject({ from: '2026-03-01', value: 1.25, lastMonthSameDays: 1, lastMonth: 28, changePct: 0 })
    expect(water.neighbours).toEqual({ count: 7, median: 5, moreThanYou: 1 })
    expect(water.cost.soFar.totalMinor).toBe(625)
    expect(water.cost.soFar.tiers[0]).toMatchObject({ tier: 1, used: 60.25, upTo: 180 })
    expect(water.cost.forecastMinor).toBeGreaterThan(15_000)
    expect(view.notices.map((n: { kind: string }) => n.kind)).toEqual(['leak'])
    expect(JSON.stringify(view)).not.toMatch(/Somebody|bypass/)
    expect((await api.get('/v1/accounts/none/view')).status).toBe(404)
  })

  it('opens by a signed link: its own account, until it is renewed', async () => {
    const { token, path } = await json(await api.send('POST', '/v1/accounts/C-0/link', {}))
    expect(path).toBe(`/account#${token}`)
    const ask = (route: string, t: string) => fetch(`${api.url}${route}`, { headers: { authorization: `Bearer ${t}` } })
    expect((await json(await ask('/v1/my-account/view', token))).account).toBe('C-0')
    const curve = await json(await ask('/v1/my-account/curve?meter=W-0&date=2026-03-02', token))
    expect(curve.intervals).toEqual([{ start: toIso(TODAY_MS), end: toIso(TODAY_MS + HOUR_MS), value: 0.25, status: 'actual' }])
    expect((await ask('/v1/my-account/curve?meter=W-1&date=2026-03-02', token)).status).toBe(404)
    const file = await ask('/v1/my-account/green-button', token)
    expect([file.status, file.headers.get('content-type')]).toEqual([200, 'application/atom+xml; charset=utf-8'])
    expect(await file.text()).toContain('<feed')
    expect((await ask('/v1/accounts/C-0/view', token)).status).toBe(401)
    await api.send('POST', '/v1/accounts/C-0/link', { renew: true })
    expect((await ask('/v1/my-account/view', token)).status).toBe(401)
    expect((await fetch(`${api.url}/v1/my-account/view`)).status).toBe(401)
  })

  it('keeps persons and segment that a person has set', async () => {
    const set = await json(
      await api.send('PUT', '/v1/accounts/C-1/profile', { persons: 6, segment: 'vulnerable', reason: 'dialysis at home' }),
    )
    expect(set).toEqual({ account: 'C-1', persons: 6, segment: 'vulnerable' })
    const view = await json(await api.get('/v1/accounts/C-1/view'))
    expect(view.segment).toBe('vulnerable')
    expect(view.commodities[0].cost.soFar.tiers[0].upTo).toBe(210)
    expect(view.commodities[0].neighbours).toBeNull()
  })

  it('prices a day at each tariff', async () => {
    const advice = await json(await api.get('/v1/accounts/C-0/advice?commodity=water&date=2026-03-02'))
    expect(advice.tariffs).toMatchObject([{ code: 'beijing-water-residential', current: true, totalMinor: 125 }])
    expect(T0).toBe(TODAY_MS)
  })
})

describe('for those who decide', () => {
  it('adds up what goes wrong, with its worth by the tariffs', async () => {
    const a = await json(await api.get('/v1/analytics?from=2026-02-01T00:00:00Z&to=2026-03-01T11:00:00Z'))
    expect(a).toMatchObject({ currency: 'CNY', prices: { m3: 5, kwh: null }, complete: true })
    expect(a.byCause.map((g: { key: string; count: number }) => [g.key, g.count])).toEqual(
      expect.arrayContaining([
        ['customer_leak', 1],
        ['abnormal_usage.bypass', 1],
      ]),
    )
    expect(a.bySegment).toMatchObject([{ key: 'general', count: 2 }])
    expect(a.series.at(-1).counts).toEqual({ customer_leak: 1, 'abnormal_usage.bypass': 1 })
    expect((await api.get('/v1/analytics?from=2020-01-01T00:00:00Z')).status).toBe(400)
  })

  it('names what does not fit together', async () => {
    const { pool } = api
    await pool.query("INSERT INTO accounts (account, tariff_power) VALUES ('LONELY', 'no-such-tariff')")
    await pool.query("INSERT INTO assets (id, kind, properties) VALUES ('W-X', 'water_meter', $1)", [
      JSON.stringify({ id: 'W-X', kind: 'water_meter', dma: 'A', gateway: 'G' }),
    ])
    await pool.query("INSERT INTO tariffs (code, commodity, body, valid, updated_by) VALUES ('twice', 'water', $1, false, 'import')", [
      JSON.stringify({
        ...BEIJING_WATER,
        code: 'twice',
        versions: [BEIJING_WATER.versions[0], { ...BEIJING_WATER.versions[0], validFrom: '2020-01-01' }],
      }),
    ])
    await pool.query(
      "INSERT INTO meter_days (meter, quantity, date, rev, value, actual, estimated, missing, zone, decided_at) VALUES ('W-1', 'water_volume_m3', '2031-01-01', 1, 1, 24, 0, 0, 'A', now())",
    )
    const list = await json(await api.get('/v1/data-quality'))
    const lines = list.items.map((i: Record<string, string>) => `${i.check} ${i.subject} ${i.field}: ${i.message}`)
    for (const line of [
      'account_without_meter LONELY account: no meter names this account: nothing can be billed to it',
      'account_tariff_unknown LONELY tariff_water, tariff_power: its tariff no-such-tariff is not defined',
      'meter_without_account W-X account: a customer meter without an account: its use cannot be billed to anybody',
      'tariff_not_valid twice versions.0.validUntil: overlaps the next version: this one has no end, the next begins 2020-01-01',
      'consumption_in_future W-1 date: has consumption of 2031-01-01, a day that has not come yet: its clock, or that of the log, was wrong',
      'meter_without_data W-X date: has never had a day of consumption',
    ])
      expect(lines).toContain(line)
    expect(list.counts).toMatchObject({ account_without_meter: 1, meter_without_account: 1, tariff_not_valid: 1, meter_gateway_unknown: 9 })
    const one = await json(await api.get('/v1/data-quality?check=tariff_not_valid'))
    expect(one.items).toHaveLength(1)
  })

  it('finds the large users, and leaves what a person has chosen', async () => {
    await api.pool.query("UPDATE meter_days SET value = 20 WHERE meter IN ('W-1', 'W-2') AND date < '2030-01-01'")
    const put = await json(await api.send('PUT', '/v1/accounts/segments'))
    expect(put).toEqual({ seen: 9, changed: ['C-2'] })
    const { accounts } = await json(await api.get('/v1/accounts/segments'))
    expect(accounts.slice(1, 3)).toEqual([
      { account: 'C-1', imported: 'general', segment: 'vulnerable', reason: 'chosen', kwhYear: 0, m3Year: 7300 },
      { account: 'C-2', imported: 'general', segment: 'large', reason: 'large_water', kwhYear: 0, m3Year: 7300 },
    ])
    expect((await json(await api.send('PUT', '/v1/accounts/segments'))).changed).toEqual([])
  })
})

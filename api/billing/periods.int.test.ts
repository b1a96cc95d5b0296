// Closing against PostgreSQL and QuestDB: what is in a document, that it never changes, what becomes of corrections.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { HOUR_MS, startOfLocalDate } from '#model/time.ts'
import { doubleColumn, IlpRows, longColumn, rowPrefix, timeColumn } from '#runtime/ilp.ts'
import { addDays } from '#tariff/calendar.ts'
import { type Isolated, startTestServers } from '../../deploy/local/test-servers.ts'
import { ensureQuestDbTables } from '../../processors/sinks/questdb.ts'
import { startTestApi, type TestApi, until } from '../api.fixture.ts'
import { closeDue } from './closer.ts'
import type { PeriodDocument } from './period-model.ts'

const ZONE = 'Europe/Zurich'
let space: Isolated
let api: TestApi
const deps = () => ({ pool: api.pool, questdb: api.questdb, prefix: space.config.METERSTREAM_PREFIX, timezone: async () => ZONE })

beforeAll(async () => {
  const servers = await startTestServers()
  space = await servers.isolate()
  api = await startTestApi({ config: space.config })
  await ensureQuestDbTables(api.questdb, space.config.METERSTREAM_PREFIX)
})
afterAll(async () => {
  await api?.stop()
  await space?.drop()
})
beforeEach(async () => {
  await api.pool.query(
    `TRUNCATE meter_days, billing_feed, billing_pending, billing_held, billing_gates, billing_calendar, billing_runs, billing_periods,
     billing_billed_days, billing_tariffs, tariffs, assets, accounts RESTART IDENTITY CASCADE`,
  )
  for (const table of ['intervals', 'readings']) await api.questdb.exec(`TRUNCATE TABLE '${space.config.METERSTREAM_PREFIX}${table}'`)
})

const json = async <T>(response: Response) => {
  expect(response.status).toBe(200)
  return (await response.json()) as T
}
const POWER = 'active_energy_import_kwh'

/** Hourly intervals of a day and its row in meter_days; value per hour by local hour. */
async function aDay(
  meter: string,
  date: string,
  hourly: number,
  given: { rev?: number; estimated?: number; quantity?: string } = {},
): Promise<void> {
  const { rev = 1, estimated = 0, quantity = POWER } = given
  const startMs = startOfLocalDate(ZONE, date)
  const endMs = startOfLocalDate(ZONE, addDays(date, 1))
  const hours = (endMs - startMs) / HOUR_MS
  const rows = new IlpRows()
  for (let i = 0; i < hours; i++) {
    const status = i < estimated ? 'estimated' : 'actual'
    rows.begin(rowPrefix(`${space.config.METERSTREAM_PREFIX}intervals`, { meter, quantity, status, zone: 'F1' }))
    rows.time(timeColumn('end'), startMs + (i + 1) * HOUR_MS)
    rows.double(doubleColumn('value'), hourly)
    rows.long(longColumn('rev'), rev)
    rows.end(startMs + i * HOUR_MS)
  }
  await api.questdb.write([rows])
  await api.pool.query(
    `INSERT INTO meter_days (meter, quantity, channel, date, rev, value, actual, estimated, missing, zone, decided_at)
     VALUES ($1, $2, '', $3, $4, $5, $6, $7, 0, 'F1', now())`,
    [meter, quantity, date, rev, hourly * hours, hours - estimated, estimated],
  )
  intervals += hours
}
let intervals = 0

async function aRead(device: string, tsMs: number, value: number): Promise<void> {
  const rows = new IlpRows()
  rows.begin(
    rowPrefix(`${space.config.METERSTREAM_PREFIX}readings`, { device, quantity: POWER, gateway: 'G1', zone: 'F1', quality: 'good' }),
  )
  rows.double(doubleColumn('value'), value)
  rows.time(timeColumn('received_at'), tsMs + 1000)
  rows.end(tsMs)
  await api.questdb.write([rows])
}

async function aMonth(meter: string, month: string, hourly = 1): Promise<void> {
  const next = month === '03' ? '2026-04-01' : '2026-05-01'
  for (let d = `2026-${month}-01`; d < next; d = addDays(d, 1)) await aDay(meter, d, hourly)
}
/** QuestDB shows rows a moment after they were written. */
async function shown(): Promise<void> {
  const table = `${space.config.METERSTREAM_PREFIX}intervals`
  await until('intervals', async () => (await api.questdb.exec(`SELECT count() FROM '${table}'`)).dataset[0]?.[0] === intervals)
}

async function customer(account: string, meter: string, tariff = 'P1'): Promise<void> {
  await api.pool.query('INSERT INTO accounts (account, tariff_power) VALUES ($1, $2)', [account, tariff])
  await api.pool.query("INSERT INTO assets (id, kind, properties) VALUES ($1, 'electric_meter', $2)", [
    meter,
    JSON.stringify({ id: meter, kind: 'electric_meter', role: 'customer', account, gateway: 'G1' }),
  ])
}

/** 0.30 by day (07:00 to 21:00), 0.10 at night; 5.00 a month; 8.1 % tax. */
async function tariff(code = 'P1', given: object = {}): Promise<void> {
  const label = { en: code }
  const body = {
    ...{ code, commodity: 'power', label, currency: 'CHF' },
    versions: [
      {
        validFrom: '2025-01-01',
        periods: [
          { id: 'day', label, spans: [{ from: '07:00', to: '21:00' }] },
          { id: 'night', label, rest: true },
        ],
        charges: [
          { id: 'd', type: 'energy', label, periods: ['day'], rate: '0.30' },
          { id: 'n', type: 'energy', label, periods: ['night'], rate: '0.10' },
          { id: 's', type: 'standing', label, perMonth: '5.00' },
        ],
        taxes: [{ id: 'vat', label, percent: '8.1' }],
        ...given,
      },
    ],
  }
  await api.pool.query("INSERT INTO tariffs (code, commodity, body, valid, updated_by) VALUES ($1, 'power', $2, true, 'test')", [
    code,
    JSON.stringify(body),
  ])
}

const APRIL_CLOSED = Date.parse('2026-04-04T00:00:00Z')
const MAY_CLOSED = Date.parse('2026-05-04T00:00:00Z')
interface Item {
  no: number
  sha256: string
  document: PeriodDocument
}
const documents = async (query = '') => (await json<{ items: Item[] }>(await api.get(`/v1/billing/periods${query}`))).items

describe('closing', () => {
  beforeEach(() => {
    intervals = 0
  })

  it('writes registers, time of use, charges and the quality mix of a month with a day of 23 hours', async () => {
    await customer('C1', 'E1')
    await tariff()
    await aMonth('E1', '03')
    await aRead('E1', startOfLocalDate(ZONE, '2026-03-01'), 1000)
    await aRead('E1', startOfLocalDate(ZONE, '2026-04-01'), 1743)
    await shown()
    expect(await closeDue(deps(), APRIL_CLOSED - 3 * HOUR_MS)).toMatchObject({ closed: 0 })
    expect(await closeDue(deps(), APRIL_CLOSED)).toMatchObject({ closed: 1, done: ['2026-03'], more: false })
    const [item] = await documents('?account=C1&period=2026-03')
    const d = item?.document as PeriodDocument
    expect(d).toMatchObject({
      from: '2026-03-01',
      to: '2026-04-01',
      closedAt: '2026-04-04T00:00:00.000Z',
      // 31 days of 24 hours but one of 23.
      consumption: { import: 743, export: 0 },
      registers: [{ meter: 'E1', billed: true, consumption: 743, difference: 743, days: 31, quality: { intervals: { actual: 743 } } }],
      timeOfUse: [
        { period: 'day', value: 434 },
        { period: 'night', value: 309 },
      ],
      problems: [],
      adjustments: [],
    })
    // 434 x 0.30 + 309 x 0.10 + 5.00 = 166.10; 8.1 % of it 13.45
    expect(d.charges).toMatchObject({ netMinor: 16610, taxMinor: 1345, totalMinor: 17955 })
    expect(d.totalMinor).toBe(17955)
    expect(d.registers[0]?.start).toMatchObject({ value: 1000, gateway: 'G1' })
    const button = await api.get('/v1/billing/accounts/C1/green-button?from=2026-02-28T23:00:00Z&to=2026-03-31T22:00:00Z')
    expect(button.headers.get('content-type')).toContain('application/atom+xml')
    const feed = await button.text()
    expect(feed.match(/<IntervalReading>/g)).toHaveLength(743)
    expect(feed).toContain('<billLastPeriod>17955000</billLastPeriod>')
    expect((await api.get('/v1/billing/accounts/nobody/green-button')).status).toBe(404)
  })

  it('closed documents never change; computed again they are the same bytes', async () => {
    await customer('C1', 'E1')
    await tariff()
    await aMonth('E1', '03')
    await shown()
    await closeDue(deps(), APRIL_CLOSED)
    const [first] = await documents()
    const raw = await (await api.get('/v1/billing/periods')).text()
    // Everything it came from changes afterwards.
    await aDay('E1', '2026-03-10', 2, { rev: 2 })
    await api.pool.query("UPDATE tariffs SET revision = 2, body = jsonb_set(body, '{versions,0,charges,0,rate}', '\"0.99\"')")
    await api.pool.query("UPDATE accounts SET segment = 'large', tariff_power = ''")
    await shown()
    expect(await closeDue(deps(), APRIL_CLOSED)).toMatchObject({ closed: 0, done: [] })
    expect(await (await api.get('/v1/billing/periods')).text()).toBe(raw)
    expect(await json(await api.get(`/v1/billing/periods/${first?.no}/verify`))).toMatchObject({ same: true, computed: first?.sha256 })
    await expect(api.pool.query("UPDATE billing_periods SET body = '{}'")).rejects.toThrow('unchangeable')
    await expect(api.pool.query('DELETE FROM billing_billed_days')).rejects.toThrow('unchangeable')
    expect((await api.get('/v1/billing/periods/99/verify')).status).toBe(404)
  })

  it('a correction becomes an adjustment of the next period, linked and priced by the tariff of its own', async () => {
    await customer('C1', 'E1')
    await tariff()
    await aMonth('E1', '03')
    await shown()
    await closeDue(deps(), APRIL_CLOSED)
    const march = (await documents())[0] as Item
    // One hour more each hour of one day: 14 day hours, 10 night hours.
    await aDay('E1', '2026-03-10', 2, { rev: 2 })
    await aMonth('E1', '04')
    await api.pool.query("UPDATE tariffs SET revision = 2, body = jsonb_set(body, '{versions,0,charges,0,rate}', '\"0.99\"')")
    await shown()
    await closeDue(deps(), MAY_CLOSED)
    const april = (await documents('?period=2026-04'))[0]?.document as PeriodDocument
    expect(april.consumption.import).toBe(720)
    // 14 x 0.30 + 10 x 0.10 = 5.20, tax 13.88 - 13.45; the new price is not used for March.
    expect(april.adjustments).toEqual([
      {
        period: '2026-03',
        sha256: march.sha256,
        days: [{ meter: 'E1', quantity: POWER, channel: '', date: '2026-03-10', fromRev: 1, toRev: 2, before: 24, after: 48, delta: 24 }],
        timeOfUse: [
          { register: 'import', season: '', period: 'day', value: 14 },
          { register: 'import', season: '', period: 'night', value: 10 },
        ],
        netMinor: 520,
        taxMinor: 43,
        totalMinor: 563,
      },
    ])
    expect(april.totalMinor).toBe((april.charges?.totalMinor ?? 0) + 563)
    for (const item of await documents())
      expect(await json(await api.get(`/v1/billing/periods/${item.no}/verify`))).toMatchObject({ same: true })
  })

  it('a day that its gate holds is named, left out, and billed as an adjustment once released', async () => {
    await customer('C1', 'E1')
    await tariff()
    await json(await api.send('PUT', '/v1/billing/gates/P1', { maxEstimatedPct: 10 }))
    for (let d = '2026-03-01'; d < '2026-04-01'; d = addDays(d, 1)) {
      if (d === '2026-03-20') continue
      await aDay('E1', d, 1, d === '2026-03-15' ? { estimated: 12 } : {})
    }
    await shown()
    const result = await closeDue(deps(), APRIL_CLOSED)
    expect(result.problems).toMatchObject([{ facts: { account: 'C1' } }])
    const march = (await documents())[0]?.document as PeriodDocument
    expect(march.consumption.import).toBe(743 - 48)
    expect(march.problems).toEqual([
      {
        kind: 'held',
        meter: 'E1',
        quantity: POWER,
        date: '2026-03-15',
        detail: 'estimated_above_limit: 50 % of the intervals, the gate allows 10 %',
      },
      { kind: 'not_known', meter: 'E1', quantity: POWER, date: '2026-03-20', detail: 'no figure of this day yet' },
    ])
    await json(
      await api.send('POST', '/v1/billing/held/release', { meter: 'E1', quantity: POWER, date: '2026-03-15', note: 'customer agrees' }),
    )
    await aDay('E1', '2026-03-20', 1)
    await aMonth('E1', '04')
    await shown()
    await closeDue(deps(), MAY_CLOSED)
    const april = (await documents('?period=2026-04'))[0]?.document as PeriodDocument
    expect(april.adjustments[0]?.days).toMatchObject([
      { date: '2026-03-15', fromRev: null, toRev: 1, before: 0, after: 24 },
      { date: '2026-03-20', fromRev: null, toRev: 1, before: 0, after: 24 },
    ])
    // Every day of both months was billed once: standing charges are not doubled by adjustments.
    expect(april.adjustments[0]?.netMinor).toBe(2 * (14 * 30 + 10 * 10))
  })

  it('several closers at once, stopped in the middle, close every account once; meters without an account too', async () => {
    const names = Array.from({ length: 50 }, (_, i) => `E${String(i).padStart(2, '0')}`)
    await tariff()
    for (const meter of names) {
      if (meter !== 'E07') await customer(`C-${meter}`, meter)
      await aDay(meter, '2026-03-05', 1)
    }
    await shown()
    // One batch, then "a crash": the run stands in the middle.
    expect(await closeDue(deps(), APRIL_CLOSED, 1)).toMatchObject({ closed: 20, more: true })
    const results = await Promise.all([closeDue(deps(), APRIL_CLOSED), closeDue(deps(), APRIL_CLOSED), closeDue(deps(), APRIL_CLOSED)])
    expect(results.reduce((n, r) => n + r.closed, 0)).toBe(30)
    const items = await documents('?limit=500')
    expect(items.map((i) => i.document.account ?? i.document.meter).sort()).toEqual(names.map((m) => (m === 'E07' ? m : `C-${m}`)).sort())
    const page = await json<{ items: Item[]; next: string }>(await api.get('/v1/billing/periods?limit=30'))
    const rest = await json<{ items: Item[]; next: null }>(await api.get(`/v1/billing/periods?limit=30&cursor=${page.next}`))
    expect([page.items.length, rest.items.length, rest.next]).toEqual([30, 20, null])
  })

  it.each([
    ['no_tariff', ''],
    ['tariff_unknown', 'P9'],
    ['tariff_not_valid', 'BAD'],
    ['tariff_gap', 'LATE'],
  ])('%s: determinants without charges, and the problem named', async (kind, code) => {
    await customer('C1', 'E1', code)
    await tariff('LATE', { validFrom: '2026-03-10' })
    await tariff('BAD', { charges: [] })
    await aDay('E1', '2026-03-05', 1)
    await shown()
    await closeDue(deps(), APRIL_CLOSED)
    const d = (await documents())[0]?.document as PeriodDocument
    expect(d).toMatchObject({ consumption: { import: 24 }, charges: null, totalMinor: null })
    expect(d.problems.map((p) => p.kind)).toContain(kind)
  })

  it('the calendar can move its closing day, not the beginning of periods once some are closed', async () => {
    const calendar = { startDay: 15, closeAfterDays: 1, closeTime: '03:30' }
    expect(await json(await api.send('PUT', '/v1/billing/calendar', calendar))).toEqual(calendar)
    await customer('C1', 'E1')
    await aDay('E1', '2026-03-05', 1)
    await shown()
    await closeDue(deps(), Date.parse('2026-03-16T02:30:00Z'))
    expect(await json(await api.get('/v1/billing/calendar'))).toMatchObject({
      calendar,
      runs: [{ period: '2026-02', from: '2026-02-15', to: '2026-03-15', dueAt: '2026-03-16T02:30:00.000Z', phase: 'done', closed: 1 }],
    })
    expect((await api.send('PUT', '/v1/billing/calendar', { ...calendar, startDay: 1 })).status).toBe(409)
    expect((await api.send('PUT', '/v1/billing/calendar', { ...calendar, closeAfterDays: 5 })).status).toBe(200)
    expect((await api.send('PUT', '/v1/billing/calendar', { ...calendar, startDay: 31 })).status).toBe(400)
  })
})

// Billing by itself against the real stores: tickets with their evidence, exactly one a cause; and the way back from a figure.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { HOUR_MS } from '#model/time.ts'
import { doubleColumn, IlpRows, longColumn, rowPrefix, textColumn, timeColumn } from '#runtime/ilp.ts'
import { silentLog } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import { addDays } from '#tariff/calendar.ts'
import { type Isolated, startTestServers } from '../../deploy/local/test-servers.ts'
import { ensureQuestDbTables } from '../../processors/sinks/questdb.ts'
import { startTestApi, type TestApi, until } from '../api.fixture.ts'
import { type BillingWorker, startBillingWorker } from './worker.ts'

const WATER = 'water_volume_m3'
let space: Isolated
let api: TestApi
let workers: BillingWorker[]
let nowMs = 0

beforeAll(async () => {
  const servers = await startTestServers()
  space = await servers.isolate()
  api = await startTestApi({ config: space.config })
  await ensureQuestDbTables(api.questdb, space.config.METERSTREAM_PREFIX)
  const options = { pool: api.pool, questdb: api.questdb, prefix: space.config.METERSTREAM_PREFIX, nowMs: () => nowMs, log: silentLog }
  // Two processes; the pattern is a night that is far away.
  workers = [0, 1].map(() => startBillingWorker({ ...options, registry: createRegistry('api'), pattern: '0 0 0 1 1 *' }))
})
afterAll(async () => {
  for (const w of workers ?? []) await w.stop()
  await api?.stop()
  await space?.drop()
})
beforeEach(async () => {
  await api.pool.query(
    `TRUNCATE meter_days, billing_feed, billing_pending, billing_held, billing_gates, billing_calendar, billing_runs, billing_periods,
     billing_billed_days, billing_causes, billing_cause_days, rule_counts, tickets, ticket_changes, assets, accounts RESTART IDENTITY CASCADE`,
  )
  await api.pool.query("INSERT INTO accounts (account) VALUES ('C1')")
  await api.pool.query("INSERT INTO assets (id, kind, properties) VALUES ('W1', 'water_meter', $1)", [
    JSON.stringify({ id: 'W1', kind: 'water_meter', gateway: 'G1', account: 'C1', dma: 'A' }),
  ])
})

const json = async <T>(response: Response) => {
  expect(response.status).toBe(200)
  return (await response.json()) as T
}
/** All that is due at a log time, by two processes at once. */
async function at(iso: string): Promise<void> {
  nowMs = Date.parse(iso)
  await Promise.all(workers.map((w) => w.once()))
}
async function days(from: string, to: string, given: { value?: number; estimated?: number; rev?: number } = {}): Promise<void> {
  const { value = 1, estimated = 0, rev = 1 } = given
  for (let d = from; d < to; d = addDays(d, 1)) {
    await api.pool.query(
      `INSERT INTO meter_days (meter, quantity, channel, date, rev, value, actual, estimated, missing, estimated_value, zone, decided_at)
       VALUES ('W1', $1, '', $2, $3, $4, $5, $6, 0, $7, 'A', now())`,
      [WATER, d, rev, value, 24 - estimated, estimated, (value * estimated) / 24],
    )
  }
}
interface Ticket {
  key: string
  over: boolean
  title: string
  description: string
  findings: string[]
}
const tickets = async () =>
  (
    await api.pool.query<Ticket>(
      "SELECT key, telemetry_closed_ms IS NOT NULL AS over, title, description, findings FROM tickets WHERE class = 'billing' ORDER BY key",
    )
  ).rows
const causes = async () =>
  (
    await json<{ causes: { kind: string; evidence: object; ticket: string; closedAt: string | null }[] }>(
      await api.get('/v1/billing/causes'),
    )
  ).causes

describe('tickets', () => {
  it('estimated too long: one ticket however often it is looked for, ended by reads, back under the same key', async () => {
    await days('2026-03-01', '2026-03-15', { estimated: 20 })
    await at('2026-03-14T12:00:00Z')
    expect(await tickets()).toEqual([])
    await at('2026-03-15T12:00:00Z')
    await at('2026-03-15T18:00:00Z')
    expect(await tickets()).toMatchObject([{ key: `billing:estimated_too_long:W1:${WATER}:`, title: 'Estimated too long: W1' }])
    expect((await tickets())[0]?.description).toContain('14 days in a row are mostly estimated, since 2026-03-01: 11.67 m3 so far')
    expect(await causes()).toMatchObject([
      { kind: 'estimated_too_long', evidence: { days: 14, until: '2026-03-14' }, ticket: expect.stringMatching(/^T-/) },
    ])
    await days('2026-03-15', '2026-03-16')
    await at('2026-03-16T12:00:00Z')
    expect(await tickets()).toHaveLength(1)
    expect((await tickets())[0]?.over).toBe(true)
    expect((await causes())[0]?.closedAt).not.toBeNull()
    await days('2026-03-16', '2026-03-31', { estimated: 24 })
    await at('2026-03-31T12:00:00Z')
    expect(await tickets()).toHaveLength(1)
    expect((await causes())[0]?.closedAt).toBeNull()
  })

  it('gate not met at closing: names the days, ends when they are released', async () => {
    await json(await api.send('PUT', '/v1/billing/gates/*', { maxEstimatedPct: 10 }))
    await days('2026-03-01', '2026-04-01')
    await days('2026-03-10', '2026-03-11', { rev: 2 })
    for (const n of [2, 3]) {
      await api.pool.query('INSERT INTO accounts (account, tariff_water) VALUES ($1, $2)', [`C${n}`, 'T9'])
      const meter = { id: `W${n}`, account: `C${n}` }
      await api.pool.query("INSERT INTO assets (id, kind, properties) VALUES ($1, 'water_meter', $2)", [meter.id, JSON.stringify(meter)])
      await api.pool.query(
        `INSERT INTO meter_days (meter, quantity, channel, date, rev, value, actual, estimated, missing, zone, decided_at)
         VALUES ($1, $2, '', '2026-03-31', 1, 1, 24, 0, 0, 'A', now())`,
        [meter.id, WATER],
      )
    }
    await api.pool.query("DELETE FROM meter_days WHERE date = '2026-03-20'")
    await days('2026-03-20', '2026-03-21', { estimated: 12 })
    await at('2026-04-03T01:00:00Z')
    expect(await tickets()).toEqual([])
    await at('2026-04-04T02:00:00Z')
    const key = 'billing:gate_not_met:2026-03:C1:water'
    // An account without a tariff is priced elsewhere; a tariff that cannot be used is one cause, however many bills wait for it.
    expect((await tickets()).map((t) => t.key)).toEqual([key, 'billing:tariff_problem:water:tariff_unknown tariff T9'])
    expect((await tickets())[1]?.description).toBe('2 bills of period 2026-03 without charges: tariff_unknown tariff T9. Accounts: C2, C3.')
    expect((await tickets())[0]?.description).toContain('closed without 1 days: 1 held by the quality gate')
    await json(
      await api.send('POST', '/v1/billing/held/release', { meter: 'W1', quantity: WATER, date: '2026-03-20', note: 'read by hand' }),
    )
    await at('2026-04-04T03:00:00Z')
    expect((await tickets()).find((t) => t.key === key)?.over).toBe(true)
  })

  it('high bill ahead: with the forecast and what is usual, open findings attached', async () => {
    await days('2026-03-01', '2026-04-01', { value: 0.4 })
    await at('2026-04-04T02:00:00Z')
    await days('2026-04-01', '2026-04-07', { value: 1.2 })
    await at('2026-04-07T12:00:00Z')
    expect((await causes()).map((c) => c.kind)).not.toContain('high_bill_ahead')
    await days('2026-04-07', '2026-04-08', { value: 1.2 })
    await api.pool.query(
      `INSERT INTO findings (id, rev, kind, scope_type, scope_id, zone, severity, started_at, detected_at, updated_at, body)
       VALUES ('customer_leak:meter:W1:x', 1, 'customer_leak', 'meter', 'W1', 'A', 'minor', now(), now(), now(), '{}')`,
    )
    await at('2026-04-08T12:00:00Z')
    const ticket = (await tickets()).find((t) => t.key.startsWith('billing:high_bill_ahead'))
    expect(ticket).toMatchObject({ title: 'High bill ahead: W1', findings: ['customer_leak:meter:W1:x'] })
    expect((await causes()).find((c) => c.kind === 'high_bill_ahead')?.evidence).toMatchObject({
      used: 8.4,
      days: 7,
      forecast: 36,
      usual: 12,
      ratio: 3,
    })
  })

  it('exchange unrecorded: open until the interval is said again without the reason', async () => {
    const startMs = Date.parse('2026-03-05T10:00:00Z')
    const say = async (rev: number, reasons: string) => {
      const rows = new IlpRows()
      rows.begin(rowPrefix(`${space.config.METERSTREAM_PREFIX}intervals`, { meter: 'W1', quantity: WATER, status: 'estimated', zone: 'A' }))
      rows.time(timeColumn('end'), startMs + HOUR_MS)
      rows.double(doubleColumn('value'), 0.05)
      rows.text(textColumn('reasons'), reasons)
      rows.long(longColumn('rev'), rev)
      rows.end(startMs)
      await api.questdb.write([rows])
      await until(
        'interval',
        async () =>
          (await api.questdb.exec(`SELECT count() FROM '${space.config.METERSTREAM_PREFIX}intervals' WHERE rev = ${rev}`))
            .dataset[0]?.[0] === 1,
      )
    }
    await say(1, 'silent_exchange,linear')
    await api.pool.query(
      "INSERT INTO rule_counts (zone, date, rule, class, fired) VALUES ('A', '2026-03-05', 'silent_exchange', 'water_household', 1)",
    )
    await at('2026-03-06T12:00:00Z')
    expect(await tickets()).toMatchObject([{ title: 'Meter exchange not recorded: W1' }])
    await say(2, 'meter_exchange')
    await at('2026-03-07T12:00:00Z')
    expect((await tickets())[0]?.over).toBe(true)
  })
})

describe('explain', () => {
  it('a day: revisions, intervals with the reads they stand on, messages, rules with their meaning, refusals', async () => {
    await api.pool.query(
      "INSERT INTO registry_meta (key, value) VALUES ('timezone', 'Europe/Zurich') ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    const prefix = space.config.METERSTREAM_PREFIX
    const t0 = Date.parse('2026-05-01T22:00:00Z')
    const reads = new IlpRows()
    const said = new IlpRows()
    const readAt = (tsMs: number, value: number, quality: string, rules: string) => {
      reads.begin(rowPrefix(`${prefix}readings`, { device: 'W1', quantity: WATER, gateway: 'G1', zone: 'A', quality }))
      reads.double(doubleColumn('value'), value)
      reads.time(timeColumn('received_at'), tsMs + 5000)
      reads.text(textColumn('rules'), rules)
      reads.long(longColumn('seq'), 4711)
      reads.end(tsMs)
    }
    readAt(t0 - HOUR_MS, 99, 'good', '')
    for (let h = 0; h <= 26; h++)
      if (h !== 3) readAt(t0 + h * HOUR_MS, h === 5 ? 0 : 100 + h, h === 5 ? 'suspect' : 'good', h === 5 ? 'negative' : '')
    for (let h = 0; h < 24; h++) {
      said.begin(
        rowPrefix(`${prefix}intervals`, {
          meter: 'W1',
          quantity: WATER,
          status: h === 2 || h === 3 ? 'estimated' : h === 4 ? 'rejected' : 'actual',
          zone: 'A',
        }),
      )
      said.time(timeColumn('end'), t0 + (h + 1) * HOUR_MS)
      said.double(doubleColumn('value'), 1)
      said.text(textColumn('reasons'), h === 2 || h === 3 ? 'gap,linear' : '')
      said.long(longColumn('rev'), 1)
      said.end(t0 + h * HOUR_MS)
    }
    await api.questdb.write([reads, said])
    const count = async (table: string, column: string) =>
      (await api.questdb.exec(`SELECT count() FROM '${prefix}${table}' WHERE ${column} >= '2026-05-01T21:00:00Z'`)).dataset[0]?.[0]
    await until('rows', async () => (await count('intervals', 'start')) === 24 && (await count('readings', 'ts')) === 27)
    await days('2026-05-02', '2026-05-03', { value: 24, estimated: 3 })
    await api.pool.query(
      `INSERT INTO quarantine (id, reason, field, message, gateway, device, topic, format, received_at, entries, payload, encoding, truncated, redelivered)
       VALUES ('q1', 'conflicting_value', 'value', 'another value', 'G1', 'W1', 'telemetry/v1/G1/readings', 'native', '2026-05-02T12:00:00Z', 1, '{}', 'utf8', false, false)
       ON CONFLICT DO NOTHING`,
    )
    await json(await api.get('/v1/billing/consumption'))
    const e = await json<Record<string, unknown>>(await api.get('/v1/billing/consumption/W1/2026-05-02/explain'))
    expect(e).toMatchObject({
      start: '2026-05-01T22:00:00Z',
      end: '2026-05-02T22:00:00Z',
      cut: false,
      revisions: [{ rev: 1, value: 24, seq: 1, gate: 'no_gate', held: null }],
    })
    const intervals = e.intervals as { start: string; status: string; fromRead: string; toRead: string; newest: boolean }[]
    expect(intervals).toHaveLength(24)
    // The gap stands on the reads around it; the refused read is no end of an interval.
    expect(intervals[2]).toMatchObject({ fromRead: '2026-05-02T00:00:00Z', toRead: '2026-05-02T02:00:00Z' })
    expect(intervals[4]).toMatchObject({ status: 'rejected', fromRead: '2026-05-02T02:00:00Z', toRead: '2026-05-02T04:00:00Z' })
    const list = e.reads as { ts: string; quality: string; message: object }[]
    // 24 of the day's 25 borders (one read never came) and the next one after it.
    expect(list).toHaveLength(25)
    expect(list[0]).toMatchObject({ ts: '2026-05-01T22:00:00Z', message: { gateway: 'G1', receivedAt: '2026-05-01T22:00:05Z', seq: 4711 } })
    expect(e.rules).toMatchObject([
      { name: 'gap' },
      { name: 'linear', count: 2, level: 'method' },
      { name: 'negative', en: expect.stringContaining('lower than before') },
    ])
    expect(e.refused).toMatchObject([{ id: 'q1', reason: 'conflicting_value' }])
    expect((await api.get('/v1/billing/consumption/W1/2026-05-20/explain')).status).toBe(404)
    for (const date of ['2026-02-30', '0000-01-01', '9999-12-31', 'x']) {
      expect((await api.get(`/v1/billing/consumption/W1/${date}/explain`)).status).toBe(400)
    }
    expect((await api.get('/v1/billing/consumption/W1/2199-12-31/explain')).status).toBe(404)
    expect((await api.get('/v1/billing/periods/9007199254740991')).status).toBe(404)
    expect((await api.get('/v1/billing/periods/1e99/verify')).status).toBe(400)
  })

  it('a period: its days and corrections, each with where it is explained', async () => {
    await days('2026-03-01', '2026-04-01')
    await at('2026-04-04T02:00:00Z')
    await days('2026-03-10', '2026-03-11', { value: 3, rev: 2 })
    await days('2026-04-01', '2026-05-01')
    await at('2026-05-04T02:00:00Z')
    const { items } = await json<{ items: { no: number; document: { period: string } }[] }>(
      await api.get('/v1/billing/periods?account=C1&period=2026-04'),
    )
    const e = await json<{ days: object[]; corrections: object[] }>(await api.get(`/v1/billing/periods/${items[0]?.no}/explain`))
    expect(e.days).toHaveLength(30)
    expect(e.corrections).toEqual([
      {
        meter: 'W1',
        quantity: WATER,
        channel: '',
        date: '2026-03-10',
        rev: 2,
        value: 3,
        mix: {},
        explain: '/v1/billing/consumption/W1/2026-03-10/explain',
      },
    ])
  })
})

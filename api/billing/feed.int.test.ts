// The billing feed against PostgreSQL: nothing skipped, nothing repeated, whatever writers, publishers, readers and crashes do.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { silentLog } from '#runtime/log.ts'
import { createPool, tx } from '#runtime/postgres.ts'
import { type Isolated, startTestServers } from '../../deploy/local/test-servers.ts'
import { startTestApi, type TestApi } from '../api.fixture.ts'
import type { FeedItem } from '../queries/consumption.ts'
import { publishPending, reviewHeld } from './publisher.ts'

let space: Isolated
let api: TestApi

beforeAll(async () => {
  const servers = await startTestServers()
  space = await servers.isolate()
  api = await startTestApi({ config: space.config })
})
afterAll(async () => {
  await api?.stop()
  await space?.drop()
})
beforeEach(async () => {
  await api.pool.query(
    'TRUNCATE meter_days, billing_feed, billing_pending, billing_held, billing_gates, assets, accounts RESTART IDENTITY CASCADE',
  )
})

interface Day {
  meter: string
  date: string
  rev: number
  value?: number
  actual?: number
  estimated?: number
}

const insert = `INSERT INTO meter_days (meter, quantity, channel, date, rev, value, actual, estimated, missing, zone, decided_at)
  SELECT meter, 'water_volume_m3', '', date, rev, value, actual, estimated, 0, 'A', now()
  FROM unnest($1::text[], $2::date[], $3::int[], $4::float8[], $5::int[], $6::int[]) n(meter, date, rev, value, actual, estimated)
  ON CONFLICT (meter, quantity, channel, date, rev) DO NOTHING`
const store = (db: { query(sql: string, values: unknown[]): Promise<unknown> }, days: Day[]) =>
  db.query(insert, [
    days.map((d) => d.meter),
    days.map((d) => d.date),
    days.map((d) => d.rev),
    days.map((d) => d.value ?? d.rev),
    days.map((d) => d.actual ?? 24),
    days.map((d) => d.estimated ?? 0),
  ])

const json = async (response: Response) => {
  expect(response.status).toBe(200)
  return (await response.json()) as never
}
const page = async (cursor: string, limit: number) =>
  json(await api.get(`/v1/billing/consumption?limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`)) as Promise<{
    items: FeedItem[]
    next: string
    more: boolean
  }>
async function readAll(limit = 10_000): Promise<FeedItem[]> {
  const out: FeedItem[] = []
  for (let cursor = ''; ; ) {
    const p = await page(cursor, limit)
    out.push(...p.items)
    cursor = p.next
    if (!p.more && p.items.length === 0) return out
  }
}
const meters = (name: string, n: number) => Array.from({ length: n }, (_, i) => `${name}${i}`)
async function registerClass(tariff: string, ids: string[]): Promise<void> {
  for (const id of ids) {
    await api.pool.query("INSERT INTO accounts (account, tariff_water) VALUES ('C-' || $1::text, $2)", [id, tariff])
    await api.pool.query(
      "INSERT INTO assets (id, kind, properties) VALUES ($1, 'water_meter', jsonb_build_object('id', $1::text, 'account', 'C-' || $1::text))",
      [id],
    )
  }
}

describe('order', () => {
  it('every reader sees every revision once and in one order, under concurrent writers, resends, crashes and a gate', async () => {
    const ids = meters('M', 40)
    await registerClass('R1', ids.slice(0, 20))
    await json(await api.send('PUT', '/v1/billing/gates/R1', { maxEstimatedPct: 20 }))
    const days = ids.flatMap((meter) =>
      [1, 2, 3, 4, 5].flatMap((n) =>
        // Every third day of a meter is estimated at first and measured later.
        [1, 2, 3].map((rev) => ({ meter, date: `2026-03-0${n}`, rev, ...(rev < 3 && n % 3 === 0 ? { actual: 0, estimated: 24 } : {}) })),
      ),
    )
    let writing = 4
    const write = async (k: number) => {
      const mine = days.filter((_, i) => Math.floor(i / 3) % 4 === k)
      for (let i = 0; i < mine.length; i += 7) {
        await tx(api.pool, async (client) => {
          // A resend of what came before is in every second batch; transactions of writers overlap.
          await store(client, mine.slice(i % 2 === 0 ? i : Math.max(0, i - 7), i + 7))
          await client.query('SELECT pg_sleep(0.003)')
        })
      }
      writing--
    }
    // Publishers of other processes, one of which dies again and again in the middle.
    const publish = async () => {
      while (writing > 0) await publishPending(api.pool, { batch: 13 })
    }
    const dying = async () => {
      while (writing > 0) {
        const pool = createPool({ url: space.postgresUrl, log: silentLog, max: 1 })
        const { rows } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
        const work = publishPending(pool, { batch: 50 }).catch(() => undefined)
        await api.pool.query('SELECT pg_sleep(0.002)')
        await api.pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
        await work
        await pool.end()
      }
    }
    const read = async (limit: number) => {
      const seen: FeedItem[] = []
      for (let cursor = ''; ; ) {
        const done = writing === 0
        const p = await page(cursor, limit)
        seen.push(...p.items)
        // Every page is asked for twice: a client whose answer was lost asks again and gets the same.
        const again = await page(cursor, limit)
        expect(again.items.slice(0, p.items.length)).toEqual(p.items)
        cursor = p.next
        if (done && p.items.length === 0) return seen
      }
    }
    const [, , , , , , ...seen] = await Promise.all([
      write(0),
      write(1),
      write(2),
      write(3),
      publish(),
      dying(),
      read(3),
      read(50),
      read(1000),
    ])
    const all = await readAll()
    expect(new Set(all.map((i) => `${i.meter} ${i.date} ${i.rev}`)).size).toBe(days.length)
    expect(all).toHaveLength(days.length)
    // Readers that stopped while days were pending saw a beginning of the one order.
    for (const list of seen) expect(list).toEqual(all.slice(0, (list as FeedItem[]).length))
    for (const list of seen) expect((list as FeedItem[]).length).toBeGreaterThan(0)
    const of = new Map(all.map((i) => [i.seq, i]))
    for (const i of all) {
      if (i.rev === 1) expect(i.supersedes).toBeNull()
      else expect(of.get(i.supersedes?.seq as number)).toMatchObject({ meter: i.meter, date: i.date, rev: i.rev - 1 })
    }
    const gated = all.filter((i) => ids.indexOf(i.meter) < 20 && i.date === '2026-03-03')
    expect(gated.map((i) => i.gate).filter((g) => g === 'released_better_data')).toHaveLength(40)
    expect((await api.pool.query('SELECT count(*) AS n FROM billing_held')).rows[0].n).toBe(0)
  })

  it('exports hold the same entries in the same order, from any cursor on', async () => {
    await store(
      api.pool,
      meters('X', 25).flatMap((meter) => [1, 2].map((rev) => ({ meter, date: '2026-03-01', rev }))),
    )
    const all = await readAll(7)
    const first = await api.get('/v1/billing/consumption/export?format=ndjson&limit=20')
    expect(first.headers.get('x-more')).toBe('true')
    const rest = await api.get(`/v1/billing/consumption/export?format=ndjson&cursor=${first.headers.get('x-next-cursor')}`)
    expect(rest.headers.get('x-more')).toBe('false')
    const lines = `${await first.text()}${await rest.text()}`.split('\n').filter((l) => l !== '')
    expect(lines.map((l) => JSON.parse(l))).toEqual(all)
    const csv = await api.get('/v1/billing/consumption/export?format=csv')
    expect(csv.headers.get('content-type')).toContain('text/csv')
    expect((await csv.text()).split('\r\n')).toHaveLength(52)
    const parquet = await api.get('/v1/billing/consumption/export?format=parquet')
    expect(
      Buffer.from(await parquet.arrayBuffer())
        .subarray(0, 4)
        .toString(),
    ).toBe('PAR1')
    expect((await api.get('/v1/billing/consumption/export?format=xml')).status).toBe(400)
  })
})

describe('gate', () => {
  const held = async () => ((await json(await api.get('/v1/billing/held'))) as { items: { meter: string; reason: string }[] }).items
  const bad = (meter: string, rev = 1) => ({ meter, date: '2026-03-01', rev, actual: 6, estimated: 18 })

  beforeEach(async () => {
    await registerClass('R1', ['W1', 'W2'])
    await json(await api.send('PUT', '/v1/billing/gates/R1', { maxEstimatedPct: 50 }))
  })

  it('shows what is held and why, and only under its class', async () => {
    await store(api.pool, [bad('W1'), bad('W9')])
    expect((await readAll()).map((i) => [i.meter, i.gate])).toEqual([['W9', 'no_gate']])
    expect(await held()).toMatchObject([
      { meter: 'W1', date: '2026-03-01', rev: 1, class: 'R1', reason: 'estimated_above_limit', estimatedPct: 75, limitPct: 50 },
    ])
    expect(await json(await api.get('/v1/billing/gates'))).toMatchObject({ gates: [{ class: 'R1', maxEstimatedPct: 50, held: 1 }] })
  })

  it('a person releases with a note; a day that is not held is not found', async () => {
    await store(api.pool, [bad('W1'), bad('W1', 2)])
    await readAll()
    const body = { meter: 'W1', quantity: 'water_volume_m3', date: '2026-03-01' }
    expect((await api.send('POST', '/v1/billing/held/release', body)).status).toBe(400)
    expect(await json(await api.send('POST', '/v1/billing/held/release', { ...body, note: 'read by hand' }))).toEqual({ seqs: [1, 2] })
    expect((await readAll()).map((i) => [i.rev, i.gate, i.supersedes?.seq ?? null])).toEqual([
      [1, 'released_by_hand', null],
      [2, 'released_by_hand', 1],
    ])
    expect((await api.send('POST', '/v1/billing/held/release', { ...body, note: 'again' })).status).toBe(404)
    expect((await api.pool.query('SELECT DISTINCT released_by, note FROM billing_feed')).rows).toEqual([
      { released_by: 'administrator', note: 'read by hand' },
    ])
  })

  it('a gate set wider, or taken away, or its deadline, releases; one set narrower takes nothing back', async () => {
    await store(api.pool, [bad('W1')])
    await readAll()
    await json(await api.send('PUT', '/v1/billing/gates/R1', { maxEstimatedPct: 60 }))
    expect(await held()).toHaveLength(1)
    await json(await api.send('PUT', '/v1/billing/gates/R1', { maxEstimatedPct: 80 }))
    expect((await readAll()).map((i) => i.gate)).toEqual(['released_gate_changed'])
    await json(await api.send('PUT', '/v1/billing/gates/R1', { maxEstimatedPct: 5, holdDays: 3 }))
    await store(api.pool, [bad('W2')])
    expect(await readAll()).toHaveLength(1)
    await reviewHeld(api.pool, Date.parse('2026-03-03T12:00:00Z'))
    expect(await held()).toHaveLength(1)
    await reviewHeld(api.pool, Date.parse('2026-03-05T00:00:00Z'))
    expect((await readAll()).map((i) => i.gate)).toEqual(['released_gate_changed', 'released_deadline'])
    await store(api.pool, [{ ...bad('W2'), date: '2026-03-02' }])
    await readAll()
    expect(await held()).toHaveLength(1)
    expect((await api.send('DELETE', '/v1/billing/gates/R1')).status).toBe(204)
    expect(await held()).toHaveLength(0)
    expect((await api.send('DELETE', '/v1/billing/gates/R1')).status).toBe(404)
  })

  it("an account that moves to another class takes its held days along; '*' is for the rest", async () => {
    await json(await api.send('PUT', '/v1/billing/gates/*', { maxEstimatedPct: 0 }))
    await store(api.pool, [bad('W1'), bad('W9')])
    expect(await readAll()).toEqual([])
    expect(await held()).toMatchObject([{ meter: 'W1' }, { meter: 'W9', class: '' }])
    await api.pool.query("UPDATE accounts SET tariff_water = 'R9' WHERE account = 'C-W1'")
    await json(await api.send('PUT', '/v1/billing/gates/R9', { maxEstimatedPct: 100 }))
    expect((await readAll()).map((i) => i.meter)).toEqual(['W1'])
  })

  it('refuses what is no gate', async () => {
    for (const body of [
      {},
      { maxEstimatedPct: 101 },
      { maxEstimatedPct: -1 },
      { maxEstimatedPct: 5, holdDays: 1.5 },
      { maxEstimatedPct: 5, x: 1 },
    ]) {
      expect((await api.send('PUT', '/v1/billing/gates/R1', body)).status).toBe(400)
    }
    expect((await api.get('/v1/billing/consumption?cursor=abc')).status).toBe(400)
  })
})

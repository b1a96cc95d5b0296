// From the log to the page: findings and tickets through Kafka and PostgreSQL, values from `live`, with several api processes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TicketView } from '#model/desk.ts'
import type { Finding } from '#model/finding.ts'
import type { LiveSnapshot, LiveStatus, LiveValues } from '#model/live-events.ts'
import { MINUTE_MS, toIso } from '#model/time.ts'
import { TOPICS } from '#model/topics.ts'
import { silentLog } from '#runtime/log.ts'
import { createRegistry } from '#runtime/metrics.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { aFinding, anIntent, listen, publisher, startTestApi, T0, type TestApi, until } from './api.fixture.ts'
import { startDeskConsumer } from './desk/consumer.ts'

let space: Isolated
let one: TestApi
let two: TestApi
let out: Awaited<ReturnType<typeof publisher>>

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  one = await startTestApi({ config: space.config, consumers: true })
  two = await startTestApi({ config: space.config, consumers: true })
  out = await publisher(one.kafka, space.config)
  await one.pool.query(
    `INSERT INTO assets (id, kind, properties) VALUES ('crew-1', 'crew', '{"id":"crew-1","kind":"crew","skills":["power"]}')`,
  )
  await until('both listen', async () => (await one.get('/health/ready')).status === 200 && (await two.get('/health/ready')).status === 200)
})
afterAll(async () => {
  await out?.close()
  await one?.stop()
  await two?.stop()
  await space?.drop()
})

const live = (nowMs: number, values: unknown[]) => ({
  key: 'A',
  value: { type: 'live', zone: 'A', partition: 0, nowMs, readings: values.length, values, lagRecords: 3 },
})

describe('the live stream', () => {
  it('carries values, findings, tickets and crews of the log to the clients of every process', async () => {
    const clients = [await listen(`${one.url}/v1/live`), await listen(`${two.url}/v1/live`)]
    for (const c of clients) expect((await c.next('snapshot')).data).toMatchObject({ values: [], status: { parts: expect.any(Array) } })
    const finding = aFinding('outage', { type: 'transformer', id: 'T1' })
    await out.put(TOPICS.live, [live(T0, [['P1', 'pressure_bar', '', T0 - 1000, 3.2, 'good']])])
    await out.put(TOPICS.crews, [
      {
        key: 'crew-1',
        value: { crew: 'crew-1', tsMs: T0, lon: 8, lat: 47, accuracyM: 5, batteryPct: 80, speedKmh: null, receivedAtMs: T0 },
      },
    ])
    await out.put(TOPICS.findings, [{ key: finding.id, value: finding }])
    await out.put(TOPICS.tickets, [{ key: finding.id, value: anIntent(finding.id) }])
    for (const c of clients) {
      expect(((await c.next('values')).data as LiveValues).values).toEqual([['P1', 'pressure_bar', '', T0 - 1000, 3.2, 'good']])
      expect((await c.next('finding')).data as Finding).toEqual(finding)
      expect((await c.next('ticket')).data as TicketView).toMatchObject({ key: finding.id, state: 'received', class: 'outage' })
      expect((await c.next('crew')).data).toMatchObject({ crew: 'crew-1', stale: false })
      expect(
        (await c.next('status', (e) => (e.data as LiveStatus).lagRecords === 3 && (e.data as LiveStatus).openTickets === 1)).data,
      ).toMatchObject({ nowMs: T0, openFindings: 1, openTickets: 1 })
      await c.next('clock', (e) => (e.data as { nowMs: number }).nowMs === T0)
      await c.close()
    }
    expect(await (await one.get('/v1/crews')).json()).toMatchObject({ crews: [{ crew: 'crew-1' }] })
    expect(await (await fetch(`${two.url}/metrics`)).text()).toMatch(/meterstream_tickets_open\{class="outage",service="api"\} 1/)
  })

  it('goes on after Last-Event-ID without a hole, and begins anew elsewhere', async () => {
    const first = await listen(`${one.url}/v1/live`)
    await first.next('snapshot')
    await out.put(TOPICS.live, [live(T0 + 1000, [['P1', 'pressure_bar', '', T0, 1, 'good']])])
    const seen = await first.next('values')
    await first.close()
    for (let i = 2; i < 5; i++) await out.put(TOPICS.live, [live(T0 + i * 1000, [['P1', 'pressure_bar', '', T0 + i, i, 'good']])])
    await until('the log goes on', async () => ((await (await one.get('/v1/status')).json()) as LiveStatus).nowMs === T0 + 4000)
    const second = await listen(`${one.url}/v1/live`, { 'last-event-id': seen.id })
    await second.next('values', (e) => (e.data as LiveValues).values.some((v) => v[4] === 4))
    expect(second.events.map((e) => e.event)).not.toContain('snapshot')
    const numbers = [...new Set(second.events.map((e) => Number(e.id.split('-')[2])))]
    expect(numbers[0]).toBe(Number(seen.id.split('-')[2]) + 1)
    expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] as number) + i))
    await second.close()
    const elsewhere = await listen(`${two.url}/v1/live`, { 'last-event-id': seen.id })
    expect(((await elsewhere.next('snapshot')).data as LiveSnapshot).values).toEqual([['P1', 'pressure_bar', '', T0 + 4, 4, 'good']])
    await elsewhere.close()
  })

  it('takes the token of a session and, here only, of the address', async () => {
    const { TOKEN } = await import('./api.fixture.ts')
    const asked = await fetch(`${one.url}/v1/live?access_token=${TOKEN}`)
    expect([asked.status, asked.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
    await asked.body?.cancel()
    expect((await fetch(`${one.url}/v1/status?access_token=${TOKEN}`)).status).toBe(401)
  })

  it('shows a step of a person to the clients of the other process', async () => {
    const client = await listen(`${two.url}/v1/live`)
    const { tickets } = (await (await one.get('/v1/tickets?open=true')).json()) as { tickets: TicketView[] }
    await one.send('POST', `/v1/tickets/${tickets[0]?.id}/review`)
    expect((await client.next('ticket')).data).toMatchObject({ id: tickets[0]?.id, state: 'reviewed' })
    await client.close()
  })
})

describe('the desk', () => {
  it('has one ticket a key when two groups and many repeats bring the same intents', async () => {
    // A second desk with a group of its own reads everything that the first reads.
    const rival = await startDeskConsumer({
      kafka: one.kafka,
      config: space.config,
      pool: two.pool,
      log: silentLog,
      registry: createRegistry('rival'),
      group: `${space.prefix}rival`,
    })
    const keys = Array.from({ length: 50 }, (_, i) => `k-${i}`)
    const of = (rev: number, more = {}) =>
      keys.map((key) => ({ key, value: anIntent(key, { rev, updatedAt: toIso(T0 + rev * MINUTE_MS), ...more }) }))
    const closed = { closedAt: toIso(T0 + 9 * MINUTE_MS), reason: 'all_clear' }
    for (const batch of [of(1), of(1), of(2), of(1), of(3, closed), of(2), of(3, closed)]) await out.put(TOPICS.tickets, batch)
    await out.put(TOPICS.tickets, [{ key: 'end', value: anIntent('end') }])
    await out.put(TOPICS.findings, [{ key: 'x', value: { nonsense: true } }])
    await until('all closed', async () => {
      const { rows } = await one.pool.query("SELECT count(*)::int AS n FROM tickets WHERE key LIKE 'k-%' AND state = 'closed'")
      return rows[0].n === 50 && (await one.pool.query("SELECT 1 FROM tickets WHERE key = 'end'")).rowCount === 1
    })
    const { rows } = await one.pool.query(
      "SELECT count(*)::int AS tickets, count(DISTINCT key)::int AS keys, max(version) AS version FROM tickets WHERE key LIKE 'k-%'",
    )
    expect(rows).toEqual([{ tickets: 50, keys: 50, version: 3 }])
    const changes = await one.pool.query(
      "SELECT count(*)::int AS n FROM ticket_changes c JOIN tickets t ON t.no = c.ticket_no WHERE t.key LIKE 'k-%'",
    )
    expect(changes.rows).toEqual([{ n: 150 }])
    await rival.stop()
  })

  it('opens the tickets of a storm within seconds', async () => {
    const keys = Array.from({ length: 2000 }, (_, i) => `storm-${i}`)
    const begun = Date.now()
    await out.put(
      TOPICS.findings,
      keys.map((k) => ({ key: k, value: aFinding('outage', { type: 'premise', id: k }) })),
    )
    await out.put(
      TOPICS.tickets,
      keys.map((k) => ({ key: k, value: anIntent(k) })),
    )
    await until('all open', async () => (await one.pool.query("SELECT 1 FROM tickets WHERE key LIKE 'storm-%'")).rowCount === 2000)
    const took = Date.now() - begun
    console.info(`2,000 findings and tickets stored in ${took} ms`)
    expect(took).toBeLessThan(20_000)
    await until('the page knows', async () => ((await (await two.get('/v1/status')).json()) as LiveStatus).openTickets >= 2000)
  })
})

// Alarms against the real servers: findings through Kafka, steps by HTTP, the live stream, two writers.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AlarmView } from '#model/alarm.ts'
import type { LiveSnapshot } from '#model/live-events.ts'
import { HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { takeFindings } from './alarms/store.ts'
import { aFinding, listen, publisher, startTestApi, T0, type TestApi, until } from './api.fixture.ts'

let api: TestApi
let put: Awaited<ReturnType<typeof publisher>>
let space: Isolated

const alarmsOf = async (query = '') => ((await (await api.get(`/v1/alarms${query}`)).json()) as { alarms: AlarmView[] }).alarms
const alarm = async (key: string) => (await alarmsOf('?recent=true')).find((a) => a.key === key)
const step = (key: string, action: string, body: object = {}, headers: Record<string, string> = {}) =>
  api.send('POST', `/v1/alarms/${encodeURIComponent(key)}/${action}`, body, headers)
const findings = (...list: ReturnType<typeof aFinding>[]) =>
  put.put(
    'findings',
    list.map((f) => ({ key: f.id, value: f })),
  )

/** The log's clock goes on. */
const clock = async (nowMs: number) => {
  await put.put('live', [{ key: 'F1', value: { type: 'live', zone: '', partition: 0, nowMs, readings: 0, values: [] } }])
  await until('clock', () => api.live.nowMs() >= nowMs)
}

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  api = await startTestApi({ config: space.config, consumers: true })
  put = await publisher(api.kafka, space.config)
  await clock(T0 + 2 * MINUTE_MS)
})
afterAll(async () => {
  await put?.close()
  await api?.stop()
  await space?.drop()
})

describe('alarms', () => {
  const feeder = aFinding('outage', { type: 'feeder', id: 'F1' })
  const key = 'outage:feeder:F1'

  it('a finding calls, on the list and on the stream', async () => {
    const client = await listen(`${api.url}/v1/live`)
    await client.next('snapshot')
    await findings(feeder)
    const event = await client.next('alarm', (e) => (e.data as AlarmView).key === key)
    expect(event.data).toMatchObject({ state: 'unacknowledged', priority: 1, zone: 'F1' })
    expect(await alarm(key)).toMatchObject({ state: 'unacknowledged', annunciations24h: 1 })
    await client.close()
  })

  it('is acknowledged once, by whom and when, and the same key again does nothing', async () => {
    const headers = { 'idempotency-key': 'ack-0001' }
    expect((await step(key, 'acknowledge', {}, headers)).status).toBe(200)
    expect((await step(key, 'acknowledge', {}, headers)).status).toBe(200)
    const refused = await step(key, 'acknowledge')
    expect([refused.status, ((await refused.json()) as { detail: string }).detail]).toEqual([
      409,
      expect.stringContaining('possible: shelve'),
    ])
    const { entries } = (await (await api.get(`/v1/alarms/${encodeURIComponent(key)}`)).json()) as {
      entries: { action: string; who: string }[]
    }
    expect(entries.filter((e) => e.action === 'acknowledge')).toMatchObject([{ who: 'administrator' }])
  })

  it('is shelved with a reason and an end, both checked', async () => {
    const until = toIso(T0 + 2 * HOUR_MS)
    expect((await step(key, 'shelve', { until })).status).toBe(422)
    expect((await step(key, 'shelve', { reason: 'x', until: toIso(T0 - HOUR_MS) })).status).toBe(422)
    expect((await step(key, 'shelve', { reason: 'crew tests the relay', until })).status).toBe(200)
    expect(await alarmsOf('?list=shelved')).toMatchObject([{ key, shelved: { by: 'administrator', reason: 'crew tests the relay' } }])
    expect((await step(key, 'unshelve')).status).toBe(200)
    expect((await step('no:such:alarm', 'acknowledge')).status).toBe(404)
  })

  it('quiets what a wider outage explains, and lets it speak when that is over', async () => {
    const transformer = aFinding('outage', { type: 'transformer', id: 'T1' })
    await findings(transformer)
    await until('suppressed', async () => (await alarm('outage:transformer:T1'))?.suppressed?.rule === 'wider_outage')
    const at = toIso(T0 + 10 * MINUTE_MS)
    await findings({ ...feeder, rev: 2, clearedAt: at, updatedAt: at })
    // The off-delay passes with the log's clock.
    await clock(T0 + 20 * MINUTE_MS)
    await until('heard again', async () => (await alarm('outage:transformer:T1'))?.state === 'unacknowledged')
    expect(await alarm(key)).toMatchObject({ state: 'normal', clearedMs: T0 + 10 * MINUTE_MS })
  })

  it('says the same to a client that comes later, with the load on the shift', async () => {
    await until('load', () => api.live.status().alarms?.unacknowledged === 1)
    await until('the stream has it', async () => {
      const client = await listen(`${api.url}/v1/live`)
      const snapshot = (await client.next('snapshot')).data as LiveSnapshot
      await client.close()
      return snapshot.alarms.some((a) => a.key === 'outage:transformer:T1' && a.state === 'unacknowledged')
    })
  })

  it('takes a storm of 2,000 twice by two writers without doubling a call', async () => {
    const storm = Array.from({ length: 2000 }, (_, i) => aFinding('outage', { type: 'transformer', id: `S${i}` }, { zone: 'Z' }))
    const started = Date.now()
    await Promise.all([takeFindings(api.pool, storm), takeFindings(api.pool, [...storm].reverse())])
    console.info(`storm of 2,000 by two writers: ${Date.now() - started} ms`)
    const { rows } = await api.pool.query<{ n: number; most: number }>(
      "SELECT count(*) AS n, max(c) AS most FROM (SELECT count(*) AS c FROM alarm_journal WHERE action = 'annunciate' AND key LIKE 'outage:transformer:S%' GROUP BY key) x",
    )
    expect(rows).toEqual([{ n: 2000, most: 1 }])
    const report = (await (await api.get(`/v1/alarms/report?from=${toIso(T0)}&to=${toIso(T0 + HOUR_MS)}`)).json()) as Record<
      string,
      unknown
    >
    expect(report).toMatchObject({ floods: [{ alarms: 2001 }], answers: [{ who: 'administrator', count: 1 }] })
  })

  it('keeps versions of the rationalisation and refuses one that is not the newest', async () => {
    const { defaults } = (await (await api.get('/v1/alarms/policy')).json()) as { defaults: object }
    const save = (after: number, policy: object = defaults) =>
      api.send('PUT', '/v1/alarms/policy', { after, reason: 'fewer operators', policy })
    expect((await save(0, { ...defaults, operators: 2 })).status).toBe(200)
    expect((await save(0)).status).toBe(412)
    expect((await save(1, { ...defaults, operators: 0 })).status).toBe(400)
    expect(await (await api.get('/v1/alarms/policy')).json()).toMatchObject({
      current: { version: 1, who: 'administrator', policy: { operators: 2 } },
    })
  })
})

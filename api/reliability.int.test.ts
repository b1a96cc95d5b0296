import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toIso } from '#model/time.ts'
import { type Isolated, startTestServers } from '../deploy/local/test-servers.ts'
import { aFinding, startTestApi, T0, type TestApi } from './api.fixture.ts'
import { applyFindings } from './desk/finding-store.ts'

let space: Isolated
let api: TestApi

const HOUR_MS = 3_600_000

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  api = await startTestApi({ config: space.config })
  const put = (p: Record<string, unknown>) =>
    api.pool.query('INSERT INTO assets (id, kind, properties) VALUES ($1, $2, $3)', [p.id, p.kind, JSON.stringify(p)])
  await put({ id: 'F1', kind: 'feeder', substation: 'S1' })
  await put({ id: 'S1', kind: 'substation', parent: 'F1' })
  for (let k = 0; k < 10; k++)
    await put({ id: `E${k}`, kind: 'electric_meter', role: 'customer', feeder: 'F1', transformer: k === 9 ? null : 'T1', gateway: 'G1' })
  await put({ id: 'T1', kind: 'transformer', feeder: 'F1' })
  await put({ id: 'G1', kind: 'gateway' })
})
afterAll(async () => {
  await api?.stop()
  await space?.drop()
})

// biome-ignore lint/suspicious/noExplicitAny: the shapes are what is tested
const report = async (more = ''): Promise<any> => (await api.get(`/v1/reliability?from=2026-03&to=2026-03${more}`)).json()
const outage = (given: Record<string, unknown>) =>
  aFinding(
    'outage',
    { type: 'transformer', id: 'T1' },
    { zone: 'F1', startedAt: toIso(T0), clearedAt: toIso(T0 + HOUR_MS), affected: ['E0', 'E1'], ...given },
  )

describe('GET /v1/reliability', () => {
  it('counts outages by customer, and anew when one is revised', async () => {
    await applyFindings(api.pool, [outage({ size: { customers: 2, customerMinutes: 120 } })])
    const first = await report()
    expect(first.system.months).toHaveLength(1)
    expect(first.system.months[0].all).toMatchObject({ saidiMinutes: 12, saifi: 0.2, caidiMinutes: 60, customersServed: 10 })
    expect(first.feeders[0]).toMatchObject({ feeder: 'F1', rollingYears: [{ period: '2025-04/2026-03', all: { saidiMinutes: 12 } }] })
    await applyFindings(api.pool, [outage({ rev: 2, size: { customers: 3, customerMinutes: 240 } })])
    expect((await report()).system.months[0].all).toMatchObject({ saidiMinutes: 24, saifi: 0.3 })
    await applyFindings(api.pool, [outage({ rev: 3, withdrawn: true })])
    expect((await report()).system.months[0].all).toMatchObject({ saidiMinutes: 0, caidiMinutes: null })
  })

  it('says what is wrong with a question', async () => {
    const detail = async (q: string) => ((await (await api.get(`/v1/reliability?${q}`)).json()) as { detail: string }).detail
    expect(await detail('from=2026-13')).toContain('must be a month')
    expect(await detail('from=2026-05&to=2026-03')).toContain('from must not be after to')
    expect(await detail('from=2020-01&to=2026-03')).toContain('at most 36 months')
    expect(await detail('feeder=F9')).toContain('no feeder with customers')
  })
})

describe('GET /v1/reliability/health', () => {
  it('names meters without transformer, loops, and clocks', async () => {
    await applyFindings(api.pool, [
      aFinding('clock_fault', { type: 'meter', id: 'E3' }, { zone: 'F1', reason: 'clock-slow', clearedAt: null }),
    ])
    const body = (await (await api.get('/v1/reliability/health')).json()) as { registry: unknown[]; meters: unknown[] }
    expect(body.registry).toEqual([
      { problem: 'meter-without-transformer', asset: 'E9', detail: 'F1' },
      { problem: 'loop', asset: 'F1', detail: 'F1 > S1 > F1' },
    ])
    expect(body.meters).toMatchObject([{ meter: 'E3', reason: 'clock-slow', proposed: null }])
  })
})

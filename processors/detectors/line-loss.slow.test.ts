import { expect, test } from 'vitest'
import { lineLoss } from './line-loss.ts'
import { aTown, household, logOf, type Run, runZone, T0, type TownOptions, type Use, useOf } from './power.fixture.ts'

const DAY = 86_400_000
const START = T0 + 10 * DAY

function live(use: Partial<Use>, o: TownOptions = {}): Run {
  const r = runZone(useOf(aTown({ transformers: 2, ...o }), { days: 18, kw: household, ...use }), [lineLoss])
  expect(r.faults).toEqual([])
  return r
}

test('energy taken before all meters is told after three days, with the transformer and the amount', () => {
  const r = live({ takenKw: (t, ms) => (t === 'T2' && ms >= START ? 0.8 : 0) })
  expect(r.final.map((f) => [f.scope.type, f.scope.id, f.reason])).toEqual([['transformer', 'T2', 'unexplained-loss']])
  const [f] = r.final
  expect(Date.parse(f?.detectedAt ?? '') - START).toBeLessThan(3.5 * DAY)
  expect(Date.parse(f?.startedAt ?? '')).toBe(START)
  expect(f?.size?.kwhDay).toBeGreaterThan(17)
  expect(f?.size?.kwhDay).toBeLessThan(21)
})

test('iron and copper are technical: a lossy but honest transformer is none, in cold and mild weeks', () => {
  const r = live({ lossShare: 0.04, ironKw: 0.25, kw: (id, ms) => household(id, ms) * (ms >= START ? 2 : 1) })
  expect(r.final).toEqual([])
})

test('customers that show more than went in are told too: a wrong multiplier, or a meter of another transformer', () => {
  const r = live({ takenKw: (t, ms) => (t === 'T1' && ms >= START ? -1 : 0) })
  expect(r.final.map((f) => [f.scope.id, f.reason])).toEqual([['T1', 'customers-exceed-supply']])
})

test('it ends when the balance closes', () => {
  const r = live({ takenKw: (t, ms) => (t === 'T2' && ms >= START && ms < START + 4 * DAY ? 0.8 : 0) })
  expect(r.final.map((f) => [f.scope.id, f.reason])).toEqual([['T2', 'balance-closed']])
  expect(Date.parse(r.final[0]?.clearedAt ?? '')).toBe(START + 4 * DAY)
})

test('without totalising meters, or with meters read at different intervals, there is no balance and nothing is said', () => {
  expect(live({ takenKw: () => 5 }, { checkMeters: false }).final).toEqual([])
})

// E2 is registered at T1 and hangs at T3, always or from one day on: its load is missing there and too much here.
const moved = (fromMs: number) => ({
  takenKw: (t: string, ms: number) => (ms < fromMs ? 0 : t === 'T1' ? -household('E2', ms) : t === 'T3' ? household('E2', ms) : 0),
})

test.each([0, START])('a meter registered at the wrong transformer is named, with the likely right one (since %i)', (fromMs) => {
  const r = live(moved(fromMs), { transformers: 4 })
  const proposals = r.final.filter((x) => x.subtype === 'wrong_transformer')
  expect(proposals).toHaveLength(1)
  expect(proposals[0]).toMatchObject({ scope: { type: 'meter', id: 'E2' }, reason: 'load-belongs-elsewhere', candidates: [{ id: 'T3' }] })
  expect(proposals[0]?.evidence[0]).toEqual({ what: 'registered-at', transformer: 'T1' })
  // What it explains says so; a loss that was always there is part of what the transformer is known for.
  const losses = r.final.filter((x) => x.scope.type === 'transformer')
  const explained = losses.filter((x) => x.evidence.some((e) => e.what === 'explained-by-meter' && e.meter === 'E2'))
  expect(explained.map((x) => x.scope.id).sort()).toEqual(fromMs === 0 ? [] : ['T1', 'T3'])
})

test('an honest theft at one transformer and a wrong multiplier at another are no moved meter', () => {
  const r = live({ takenKw: (t) => (t === 'T3' ? 0.8 : t === 'T1' ? -0.8 : 0) }, { transformers: 4 })
  expect(r.final.filter((x) => x.subtype === 'wrong_transformer')).toEqual([])
})

test('a meter that loses supply twice with another transformer, and never with its own, is proposed for it', () => {
  const town = aTown({ transformers: 6, metersEach: 8 })
  const hour = 3_600_000
  const other = ['E9', 'E10', 'E11', 'E12', 'E13', 'E14', 'E15', 'E16']
  const fault = (day: number, meters: string[]) => ({
    meters,
    fromMs: T0 + day * 24 * hour,
    toMs: T0 + day * 24 * hour + hour,
    gaspRate: 0.9,
  })
  const of = (meters: string[]) => runZone(logOf(town, { toMs: T0 + 3 * 24 * hour, off: [fault(1, meters), fault(2, meters)] }), [lineLoss])
  const [f] = of([...other, 'E2']).final
  expect(f).toMatchObject({
    subtype: 'wrong_transformer',
    scope: { id: 'E2' },
    reason: 'loses-supply-elsewhere',
    candidates: [{ id: 'T2' }],
  })
  expect(of(other).final).toEqual([])
})

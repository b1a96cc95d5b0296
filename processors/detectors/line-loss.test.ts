import { expect, test } from 'vitest'
import { lineLoss } from './line-loss.ts'
import { aTown, household, type Run, runZone, T0, type TownOptions, type Use, useOf } from './power.fixture.ts'

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

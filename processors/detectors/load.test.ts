import { expect, test } from 'vitest'
import { load } from './load.ts'
import { aTown, household, type Run, runZone, T0, type TownOptions, type Use, useOf } from './power.fixture.ts'

const HOUR = 3_600_000

function live(use: Partial<Use>, o: TownOptions = {}): Run {
  const r = runZone(useOf(aTown({ transformers: 2, ...o }), { days: 1, kw: household, ...use }), [load])
  expect(r.faults).toEqual([])
  return r
}

test('the load of each transformer and of the feeder is computed once an interval, from the totalising meters', () => {
  const r = live({ kw: () => 1, lossShare: 0, ironKw: 0.4 })
  const at = T0 + 6 * HOUR
  expect(r.computed.filter(([, ms]) => ms === at)).toEqual([
    ['T1', at, 6.4],
    ['T2', at, 6.4],
    ['F1', at, 12.8],
  ])
})

test('without a totalising meter it is the sum of the customers, a missing one counted as their mean', () => {
  const r = live({ kw: () => 1, missing: (id, ms) => id === 'E2' && ms > T0 + 2 * HOUR }, { checkMeters: false })
  const at = T0 + 6 * HOUR
  expect(r.computed.find(([asset, ms]) => asset === 'T1' && ms === at)?.[2]).toBe(6)
})

test('with too few of its meters heard, nothing is computed', () => {
  const r = live({ missing: (id, ms) => ['E1', 'E2', 'E3'].includes(id) && ms > T0 + 2 * HOUR }, { checkMeters: false })
  expect(r.computed.some(([asset, ms]) => asset === 'T1' && ms > T0 + 3 * HOUR)).toBe(false)
})

test('above the rating for two hours is an overload; its end and its peak are told', () => {
  // 100 kVA at a power factor of 0.95 is 95 kW: 6 customers with 17 kW are 102 kW.
  const r = live({ kw: (_id, ms) => (ms >= T0 + 8 * HOUR && ms < T0 + 13 * HOUR ? 17 : 1) })
  expect(r.final.map((f) => [f.scope.id, f.reason, f.size?.peakPct])).toEqual([
    ['T1', 'below-rating', 110],
    ['T2', 'below-rating', 110],
  ])
  expect(r.final[0]?.startedAt).toBe('2026-03-02T08:00:00Z')
  expect(r.final[0]?.clearedAt).toBe('2026-03-02T13:00:00Z')
  expect(Date.parse(r.final[0]?.detectedAt ?? '') - (T0 + 8 * HOUR)).toBeLessThan(2.2 * HOUR)
})

test('an hour above the rating is a peak, no overload; far above it is told at once', () => {
  expect(live({ kw: (_id, ms) => (ms >= T0 + 8 * HOUR && ms < T0 + 9 * HOUR ? 17 : 1) }).final).toEqual([])
  const r = live({ kw: (_id, ms) => (ms >= T0 + 8 * HOUR && ms < T0 + 9 * HOUR ? 25 : 1) })
  expect(r.final.map((f) => f.severity)).toEqual(['warning', 'warning'])
  expect(r.findings[0]).toMatchObject({ severity: 'major', clearedAt: null })
  expect(Date.parse(r.findings[0]?.detectedAt ?? '') - (T0 + 8 * HOUR)).toBeLessThan(0.5 * HOUR)
})

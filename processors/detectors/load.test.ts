import { expect, test } from 'vitest'
import type { ZoneDef } from '#model/asset.ts'
import { toIso } from '#model/time.ts'
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

test('a feeder has its own limit, and says so as one place', () => {
  const town = aTown({ transformers: 2 })
  const area = { ...town.def.area, rating_kva: 20 } as ZoneDef['area']
  const hot = { kw: (_id: string, ms: number) => (ms >= T0 + 8 * HOUR && ms < T0 + 13 * HOUR ? 2 : 0.5) }
  const r = runZone(useOf({ ...town, def: { ...town.def, area } }, { days: 1, ...hot }), [load])
  expect(r.final.map((f) => [f.scope.type, f.scope.id, f.reason])).toEqual([['feeder', 'F1', 'below-rating']])
  expect(r.final[0]?.size?.hours).toBe(5)
})

test('power that flows back for an hour is told once, also over several sunny days', () => {
  const sun = (_id: string, ms: number): number => (ms % (24 * HOUR) >= 10 * HOUR && ms % (24 * HOUR) < 14 * HOUR ? -3 : 0.5)
  const r = live({ days: 5, kw: sun, seenKw: sun })
  expect(r.final.map((f) => [f.scope.id, f.subtype, f.reason, f.clearedAt])).toEqual([
    ['T1', 'reverse_power', 'reverse-power', null],
    ['T2', 'reverse_power', 'reverse-power', null],
  ])
  expect(r.findings).toHaveLength(2)
})

test('a peak above the rating is foretold in the morning of a day that begins like the others, only higher', () => {
  // Peaks at 19 h: 80 % of the rating on the first days, and 1.5 times as much from the fifth day on.
  const day5 = T0 + 4 * 24 * HOUR
  const kw = (_id: string, ms: number) => (ms >= day5 ? 1.5 : 1) * (ms % (24 * HOUR) >= 19 * HOUR && ms % (24 * HOUR) < 20 * HOUR ? 12 : 4)
  const r = live({ days: 5, kw })
  const [f] = r.findings.filter((x) => x.subtype === 'forecast')
  expect(f).toMatchObject({ reason: 'peak-expected', clearedAt: null, startedAt: toIso(day5 + 19 * HOUR) })
  expect(Date.parse(f?.detectedAt ?? '')).toBeLessThan(day5 + 5 * HOUR)
  expect(r.findings.filter((x) => x.subtype === 'forecast' && Date.parse(x.detectedAt) < day5)).toEqual([])
})

test('phases: uneven for two hours under load is told, and when they are even again', () => {
  const town = aTown({ transformers: 1 })
  const log = [...useOf(town, { days: 1, kw: () => 8 })]
  const three = (ms: number): readonly number[] => (ms >= T0 + 8 * HOUR && ms < T0 + 12 * HOUR ? [90, 60, 60] : [70, 70, 70])
  for (const r of log) {
    if (r.kind !== 'data') continue
    const c = r.readings.find((x) => x.device === 'C1')
    if (c === undefined) continue
    const of = (phase: 'L1' | 'L2' | 'L3', k: number) => ({
      ...c,
      quantity: 'current_a' as const,
      phase,
      value: three(c.tsMs)[k] as number,
    })
    r.readings.push(of('L1', 0), of('L2', 1), of('L3', 2))
  }
  const said = runZone(log, [load]).findings.filter((f) => f.subtype === 'unbalance')
  expect(said.map((f) => [f.scope.id, f.reason, f.size?.unbalancePct])).toEqual([
    ['T1', 'phases-uneven', 33],
    ['T1', 'phases-even', 33],
  ])
  expect(said[0]?.startedAt).toBe(toIso(T0 + 8 * HOUR))
})

import { expect, test } from 'vitest'
import { highUsage } from './high-usage.ts'
import { aTown, household, type Run, runZone, T0, type TownOptions, type Use, useOf } from './power.fixture.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = T0 + 15 * DAY + 11 * HOUR

function live(use: Partial<Use>, o: TownOptions = {}): Run {
  const r = runZone(useOf(aTown({ transformers: 1, metersEach: 10, checkMeters: false, ...o }), { days: 24, kw: household, ...use }), [
    highUsage,
  ])
  expect(r.faults).toEqual([])
  return r
}

const more =
  (kw: number, to = Number.POSITIVE_INFINITY) =>
  (id: string, ms: number) =>
    household(id, ms) + (id === 'E3' && ms >= START && ms < to ? kw : 0)

test.each([900, 1800, 3600])('a load that never switches off is told after a day, at intervals of %i s', (stepS) => {
  const r = live({ kw: more(3) }, { stepS })
  expect(r.final.map((f) => [f.subtype, f.scope.id, f.reason])).toEqual([['high_usage', 'E3', 'continuous-load']])
  expect(Date.parse(r.final[0]?.detectedAt ?? '') - START).toBeLessThan(34 * HOUR)
})

test('it ends when the use is back to usual, with the energy it stood for', () => {
  const end = START + 5 * DAY
  const r = live({ kw: more(3, end) })
  expect(r.final).toHaveLength(1)
  expect(Math.abs(Date.parse(r.final[0]?.clearedAt ?? '') - end)).toBeLessThan(DAY)
  expect(r.final[0]?.size?.excessKwhDay).toBeGreaterThan(60)
  expect(r.final[0]?.size?.excessKwhDay).toBeLessThan(80)
})

test('a load that comes and goes is told after three days far above usual', () => {
  const r = live({ kw: (id, ms) => household(id, ms) * (id === 'E3' && ms >= START ? 5 : 1) })
  expect(r.final.map((f) => f.scope.id)).toEqual(['E3'])
})

test.each<[string, (id: string, ms: number) => number]>([
  ['a cold spell that all share', (id, ms) => household(id, ms) * (ms >= START ? 2.4 : 1)],
  [
    'a heat pump that runs by the hour',
    (id, ms) => household(id, ms) + (id === 'E3' && ms >= START && Math.floor(ms / HOUR) % 3 === 0 ? 1.2 : 0),
  ],
  ['a party', (id, ms) => household(id, ms) + (id === 'E3' && ms >= START && ms < START + 9 * HOUR ? 5 : 0)],
  [
    'the return from twelve days of absence',
    (id, ms) => (id === 'E3' && ms >= T0 + 8 * DAY && ms < T0 + 20 * DAY ? 0.05 : household(id, ms)),
  ],
  ['a home that is a third larger from now on', (id, ms) => household(id, ms) * (id === 'E3' && ms >= START ? 1.33 : 1)],
])('%s is none', (_name, kw) => {
  expect(live({ kw }).final).toEqual([])
})

test('estimates and days with holes neither trigger nor clear', () => {
  expect(live({ kw: more(3), missing: (id, ms) => id === 'E3' && ms >= START && Math.floor(ms / HOUR) % 2 === 0 }).final).toEqual([])
})

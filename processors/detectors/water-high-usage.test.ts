import { expect, test } from 'vitest'
import { DAY_MS } from '#model/time.ts'
import { chance, drive, FIRST, zoneOf } from './usage.fixture.ts'
import { waterHighUsage } from './water-high-usage.ts'

const IDS = Array.from({ length: 8 }, (_, k) => `W${k + 1}`)

/** Weeks of habit, then what `factor` makes of it. */
function live(days: number, factor: (id: string, day: number) => number) {
  const r = drive(waterHighUsage, zoneOf(IDS.map((id) => ({ id, kind: 'water_meter' as const }))))
  const random = chance(5)
  for (let d = 0; d < days; d++) {
    const weekend = (d + 1) % 7 >= 6 ? 1.6 : 1
    for (const id of IDS) r.day(id, d, 0.4 * weekend * (0.8 + 0.4 * random()) * factor(id, d))
  }
  return r
}

test('four days far above the usual are told, with the excess and its worth', () => {
  const r = live(42, (id, d) => (id === 'W3' && d >= 35 ? 4 : 1))
  expect(r.said).toHaveLength(1)
  expect(r.said[0]).toMatchObject({ subtype: 'high_usage', scope: { id: 'W3' }, onsetMs: FIRST + 35 * DAY_MS, reason: 'days-above-usual' })
  expect(r.said[0]?.size?.timesUsual).toBeGreaterThan(3)
  expect(r.said[0]?.size?.m3Year).toBeGreaterThan(300)
})

test('it ends after two usual days', () => {
  const r = live(50, (id, d) => (id === 'W3' && d >= 35 && d < 42 ? 4 : 1))
  expect(r.said.at(-1)).toMatchObject({ reason: 'back-to-usual', clearedAtMs: FIRST + 42 * DAY_MS })
})

test.each<[string, (id: string, d: number) => number]>([
  ['habits with their weekends', () => 1],
  ['a dry week in which all gardens drink', (_id, d) => (d >= 35 ? 4 : 1)],
  ['a pool filled in three days', (id, d) => (id === 'W3' && d >= 35 && d < 38 ? 8 : 1)],
  ['a fortnight away, and back', (id, d) => (id === 'W3' && d >= 20 && d < 34 ? 0.05 : 1)],
])('not: %s', (_name, factor) => {
  expect(live(44, factor).said).toEqual([])
})

import { expect, test } from 'vitest'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import { tamper } from './tamper.ts'
import { chance, drive, FIRST, zoneOf } from './usage.fixture.ts'

const IDS = ['E1', 'E2', 'E3', 'E4', 'E5', 'E6', 'E7', 'X']
const EVENT = FIRST + 15 * DAY_MS + 9 * HOUR_MS

/** Three weeks; X is tampered with on day 15 and uses `share` of its usual from then on. */
function live(share: (day: number) => number, o: { all?: number; event?: boolean; until?: number } = {}) {
  const r = drive(tamper, zoneOf(IDS.map((id) => ({ id }))))
  const random = chance(7)
  for (let d = 0; d < (o.until ?? 22); d++) {
    if (d === 15 && o.event !== false) r.event('X', 'cover_open', EVENT)
    for (const id of IDS) {
      const usual = 10 * (0.8 + 0.4 * random()) * (d > 15 ? (o.all ?? 1) : 1)
      r.day(id, d, id === 'X' && d > 15 ? usual * share(d) : usual)
    }
  }
  return r
}

test('a cover opened and half the use since: told after two days, with what is missing', () => {
  const r = live(() => 0.45)
  expect(r.said).toHaveLength(1)
  expect(r.said[0]).toMatchObject({
    subtype: 'tamper',
    scope: { id: 'X' },
    onsetMs: EVENT,
    reason: 'drop-after-tampering',
    severity: 'major',
  })
  expect(r.said[0]?.size?.kwhYear).toBeGreaterThan(1200)
  expect(r.said[0]?.evidence[1]).toMatchObject({ what: 'drop', days: 2 })
})

test('it ends when the use is back', () => {
  const r = live((d) => (d < 20 ? 0.4 : 1), { until: 24 })
  expect(r.said.at(-1)).toMatchObject({ reason: 'use-is-back', clearedAtMs: FIRST + 20 * DAY_MS })
})

test.each([
  ['a cover opened for a new battery', () => live(() => 1)],
  ['a drop without any event', () => live(() => 0.4, { event: false })],
  ['a drop that all have: mild weather', () => live(() => 1, { all: 0.5 })],
  ['a drop that begins two weeks later', () => live((d) => (d > 29 ? 0.4 : 1), { until: 40 })],
  ['one low day', () => live((d) => (d === 17 ? 0.3 : 1))],
])('not: %s', (_name, run) => {
  expect(run().said).toEqual([])
})

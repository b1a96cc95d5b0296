import { expect, test } from 'vitest'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import { risingBase } from './rising-base.ts'
import { chance, drive, FIRST, zoneOf } from './usage.fixture.ts'

const IDS = Array.from({ length: 8 }, (_, k) => `E${k + 1}`)

/** Nights of `nights` days; `floor` gives the lowest power of a meter in a night. */
function live(nights: number, floor: (id: string, night: number, random: () => number) => number) {
  const r = drive(risingBase, zoneOf(IDS.map((id) => ({ id }))))
  const random = chance(3)
  r.tick(FIRST)
  for (let n = 0; n < nights; n++) {
    for (const id of IDS) {
      const kw = floor(id, n, random)
      for (let q = 0; q < 16; q++) r.interval(id, FIRST + n * DAY_MS + HOUR_MS + (q * HOUR_MS) / 4, ((q % 4 === 0 ? 1 : 3) * kw) / 4)
    }
    r.tick(FIRST + n * DAY_MS + 8 * HOUR_MS)
  }
  return r
}
const usual = (random: () => number) => 0.1 + 0.02 * random()

test('a load that runs on every night is told after five of them', () => {
  const r = live(30, (id, n, random) => usual(random) + (id === 'E3' && n >= 20 ? 0.2 : 0))
  expect(r.said).toHaveLength(1)
  expect(r.said[0]).toMatchObject({
    subtype: 'rising_base',
    scope: { id: 'E3' },
    onsetMs: FIRST + 20 * DAY_MS + HOUR_MS,
    reason: 'base-load-rose',
  })
  expect(r.said[0]?.size?.kwhYear).toBeGreaterThan(1600)
  expect(r.said[0]?.evidence[0]).toMatchObject({ what: 'night-floor', nights: 5, neighboursRisenPct: 13 })
})

test('it ends after three nights at the former level', () => {
  const r = live(34, (id, n, random) => usual(random) + (id === 'E3' && n >= 20 && n < 28 ? 0.2 : 0))
  expect(r.said.at(-1)).toMatchObject({ reason: 'back-to-usual', clearedAtMs: FIRST + 28 * DAY_MS + HOUR_MS })
})

test.each<[string, (id: string, n: number, random: () => number) => number]>([
  ['habits', (_id, _n, random) => usual(random)],
  ['heating that follows the weather', (id, n, random) => usual(random) + (id === 'E3' && n >= 20 ? 0.1 + 0.5 * random() : 0)],
  ['a cold spell that all have', (_id, n, random) => usual(random) + (n >= 20 ? 0.3 : 0)],
  ['four nights of a guest', (id, n, random) => usual(random) + (id === 'E3' && n >= 20 && n < 24 ? 0.3 : 0)],
])('not: %s', (_name, floor) => {
  expect(live(30, floor).said).toEqual([])
})

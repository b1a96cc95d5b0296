import { expect, test } from 'vitest'
import { clockFault } from './clock-fault.ts'
import { aTown, type Life, logOf, runZone, T0 } from './power.fixture.ts'

const HOUR = 3_600_000

function live(life: Omit<Life, 'toMs'>) {
  const r = runZone(logOf(aTown(), { toMs: T0 + 24 * HOUR, ...life }), [clockFault])
  expect(r.faults).toEqual([])
  return r.final
}

test.each([
  ['slow', -10 * 60_000],
  ['fast', 10 * 60_000],
  ['slow', -HOUR],
])('a clock that is %s by %i ms is told after twelve reads', (word, clock) => {
  const [f, ...others] = live({ clockMs: { E4: clock } })
  expect(others).toEqual([])
  expect(f).toMatchObject({ scope: { id: 'E4' }, reason: `clock-${word}` })
  expect(Math.abs((f?.size?.offsetS ?? 0) - clock / 1000)).toBeLessThan(100)
})

test('within the tolerance, and with late reads, it is none', () => {
  expect(live({ clockMs: { E4: -60_000, E5: 60_000 }, lateRate: 0.02 })).toEqual([])
})

test('a gateway that sends what it kept is none', () => {
  expect(live({ failures: [{ gateway: 'G1', fromMs: T0 + 4 * HOUR, toMs: T0 + 12 * HOUR, backfill: true }] })).toEqual([])
})

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

test('a gasp from the future is told, though the reads are right, and forgotten after a fortnight without another', () => {
  const town = aTown()
  const log = logOf(town, { toMs: T0 + 15 * 24 * HOUR })
  const at = T0 + 5 * HOUR + 1
  const event = { device: 'E4', event: 'power_lost', tsMs: at + 30 * HOUR, detail: undefined, gateway: 'G1', receivedAtMs: at } as const
  const k = log.findIndex((r) => r.kind === 'tick' && r.nowMs > at)
  log.splice(k, 0, { kind: 'data', zone: 'F1', readings: [], events: [event] })
  const r = runZone(log, [clockFault])
  const said = r.findings.filter((f) => f.subtype === 'future_events')
  expect(said.map((f) => [f.scope.id, f.reason])).toEqual([
    ['E4', 'events-from-the-future'],
    ['E4', 'no-more-of-them'],
  ])
  expect(said[0]?.size).toEqual({ aheadS: 30 * 3600, events: 1 })
})

import { expect, test } from 'vitest'
import { HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { phaseVoltage } from './phase-voltage.ts'
import { drive, FIRST, zoneOf } from './usage.fixture.ts'

const PHASES = ['L1', 'L2', 'L3'] as const

/** Quarter hours of three phases. */
function live(
  hours: number,
  volts: (phase: string, hour: number) => number,
  phases: readonly ('L1' | 'L2' | 'L3' | '')[] = PHASES,
  more = {},
) {
  const r = drive(phaseVoltage, zoneOf([{ id: 'E1', more }]))
  r.read('E1', FIRST - 1, 230, { phase: phases[0] as 'L1' })
  r.day('E1', -1, 20)
  for (let q = 0; q < hours * 4; q++) for (const phase of phases) r.read('E1', FIRST + q * 15 * MINUTE_MS, volts(phase, q / 4), { phase })
  return r
}

test('a phase without voltage beside two with it: a third is not counted', () => {
  const r = live(12, (p, h) => (p === 'L2' && h >= 3 && h < 6 ? 2 : 231))
  expect(r.said.map((d) => [d.subtype, d.onsetMs - FIRST, d.clearedAtMs === null])).toEqual([
    ['phase_loss', 3 * HOUR_MS, true],
    ['phase_loss', 3 * HOUR_MS, false],
  ])
  expect(r.said[0]?.size).toMatchObject({ kwhYear: 3650, moneyYear: 1059 })
  expect(r.said[0]?.evidence[0]).toMatchObject({ phase: 'L2', L1V: 231, L2V: 2, nominalV: 230 })
})

test('a voltage outside ten percent for two hours, and its end', () => {
  const r = live(12, (_p, h) => (h >= 2 && h < 6 ? 258 : 240), [''])
  expect(r.said.map((d) => [d.subtype, d.reason])).toEqual([
    ['voltage', 'voltage-high'],
    ['voltage', 'voltage-is-back'],
  ])
  expect(r.said[0]?.size?.worstV).toBe(258)
})

test.each([
  ['an outage: no phase has voltage', () => live(12, (_p, h) => (h >= 3 && h < 6 ? 0 : 231))],
  ['a meter that measures one phase only', () => live(12, (p) => (p === 'L1' ? 231 : 0), ['L1'])],
  ['a dip of a quarter hour', () => live(12, (p, h) => (p === 'L2' && h === 4 ? 90 : 231))],
  ['an hour of high voltage at noon', () => live(24, (_p, h) => (h >= 12 && h < 13 ? 256 : 236))],
  ['a network of 120 V', () => live(6, () => 121, [''], { nominal_v: 120 })],
])('not: %s', (_name, run) => {
  expect(run().said).toEqual([])
})

import { describe, expect, test } from 'vitest'
import type { Finding } from '#model/finding.ts'
import { bypass } from './bypass.ts'
import { aTown, household, type Run, runZone, T0, type TownOptions, type Use, useOf } from './power.fixture.ts'

const DAY = 86_400_000
const START = T0 + 12 * DAY + 5 * 3_600_000

function live(use: Partial<Use>, o: TownOptions = {}): Run {
  const r = runZone(useOf(aTown({ transformers: 2, ...o }), { days: 20, kw: household, ...use }), [bypass])
  expect(r.faults).toEqual([])
  return r
}

const past =
  (share: number, meter = 'E3', fromMs = START) =>
  (id: string, ms: number, kw: number) =>
    id === meter && ms >= fromMs ? kw * (1 - share) : kw
const delayHours = (f: Finding | undefined) => (Date.parse(f?.detectedAt ?? '') - START) / 3_600_000

describe('below a totalising meter', () => {
  test.each([
    [0.3, 900],
    [0.6, 900],
    [0.6, 1800],
  ])('a share of %f led past a meter is found within two days at intervals of %i s', (share, stepS) => {
    const r = live({ seenKw: past(share) }, { stepS })
    expect(r.final.map((f) => [f.subtype, f.scope.id, f.clearedAt])).toEqual([['bypass', 'E3', null]])
    const [f] = r.final
    expect(delayHours(f)).toBeLessThan(56)
    expect(Math.abs(Date.parse(f?.startedAt ?? '') - START)).toBeLessThan(6 * 3_600_000)
    const followed = f?.evidence.find((e) => e.what === 'follows-meter')
    expect(Number(followed?.pastMeterPct)).toBeGreaterThan(share * 100 - 6)
    expect(Number(followed?.pastMeterPct)).toBeLessThan(share * 100 + 6)
  })

  test('the loss it stands for is what is missing, in kWh a year', () => {
    const r = live({ seenKw: past(0.6) })
    let lost = 0
    for (let ms = START; ms < T0 + 20 * DAY; ms += 900_000) lost += household('E3', ms) * 0.6 * 0.25
    const year = (lost * 365) / ((T0 + 20 * DAY - START) / DAY)
    expect(r.final[0]?.size?.kwhYear).toBeGreaterThan(year * 0.7)
    expect(r.final[0]?.size?.kwhYear).toBeLessThan(year * 1.3)
  })

  test('a second one below the same transformer is found beside the first', () => {
    const first = past(0.6)
    const second = past(0.5, 'E5', START + 2 * DAY)
    const r = live({ seenKw: (id, ms, kw) => second(id, ms, first(id, ms, kw)) })
    expect(r.final.map((f) => f.scope.id).sort()).toEqual(['E3', 'E5'])
  })

  test('nearly all led past: the few steps that the register still makes follow nothing, but the drop equals what is missing', () => {
    const r = live({ days: 24, seenKw: past(0.97) })
    expect(r.final.map((f) => f.scope.id)).toEqual(['E3'])
  })

  test('one circuit led past, which follows nothing, is found by a drop that equals what is missing', () => {
    // A constant pump of 0.5 kW that used to be metered.
    const kw = (id: string, ms: number) => household(id, ms) + (id === 'E3' ? 0.5 : 0)
    const r = live({ days: 24, kw, seenKw: (id, ms, all) => (id === 'E3' && ms >= START ? all - 0.5 : all) })
    expect(r.final.map((f) => [f.scope.id, f.reason])).toEqual([['E3', 'drop-equals-missing-energy']])
  })

  test('it ends when the balance closes', () => {
    const end = START + 6 * DAY
    const r = live({ days: 24, seenKw: (id, ms, kw) => (ms < end ? past(0.6)(id, ms, kw) : kw) })
    expect(r.final).toHaveLength(1)
    expect(Math.abs(Date.parse(r.final[0]?.clearedAt ?? '') - end)).toBeLessThan(2 * DAY)
  })

  test.each([
    ['an empty home', (id: string, ms: number) => (id === 'E3' && ms >= START ? 0.05 : household(id, ms))],
    ['a new tenant who uses half', (id: string, ms: number) => household(id, ms) * (id === 'E3' && ms >= START ? 0.45 : 1)],
    ['a cold spell for all', (id: string, ms: number) => household(id, ms) * (ms >= START ? 1.6 : 1)],
    ['a heat pump that starts', (id: string, ms: number) => household(id, ms) + (id === 'E3' && ms >= START ? 1.5 : 0)],
  ])('%s is none: the balance stays closed', (_name, kw) => {
    expect(live({ kw }).final).toEqual([])
  })

  test('a theft before any meter is missing energy that follows nobody', () => {
    const r = live({ takenKw: (t, ms) => (t === 'T1' && ms >= START ? 1.2 : 0) })
    expect(r.final).toEqual([])
  })

  test('estimates neither trigger nor clear: while reads are missing, nothing is compared', () => {
    const r = live({ seenKw: past(0.6), missing: (id, ms) => id === 'E4' && ms >= START })
    expect(r.final).toEqual([])
  })
})

describe('without a totalising meter', () => {
  const o = { checkMeters: false, metersEach: 8 }

  test('a lasting drop with its shape kept is suspicion within a week', () => {
    const r = live({ days: 30, seenKw: past(0.6, 'E3', T0 + 20 * DAY) }, o)
    expect(r.final.map((f) => [f.scope.id, f.reason, f.confidence])).toEqual([['E3', 'lasting-drop', 0.5]])
    expect(Date.parse(r.final[0]?.detectedAt ?? '') - (T0 + 20 * DAY)).toBeLessThan(8 * DAY)
  })

  test('an empty home loses its shape and is none', () => {
    expect(live({ days: 30, kw: (id, ms) => (id === 'E3' && ms >= T0 + 20 * DAY ? 0.12 : household(id, ms)) }, o).final).toEqual([])
  })

  test('a mild spell for all is none', () => {
    expect(live({ days: 30, kw: (id, ms) => household(id, ms) * (ms >= T0 + 20 * DAY ? 0.5 : 1) }, o).final).toEqual([])
  })
})

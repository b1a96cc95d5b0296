import { expect, test } from 'vitest'
import { aTown, household, type Run, runZone, T0, type TownOptions, type Use, useOf } from './power.fixture.ts'
import { stuckRegister } from './stuck-register.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = T0 + 9 * DAY + 5 * HOUR

function live(use: Partial<Use>, o: TownOptions = {}): Run {
  const r = runZone(useOf(aTown({ transformers: 2, ...o }), { days: 13, kw: household, ...use }), [stuckRegister])
  expect(r.faults).toEqual([])
  return r
}

const still = (id: string, ms: number) => id === 'E3' && ms > START && ms <= START + 2 * DAY

test('a register that stands still while the balance lacks its load is told within hours, and ends when it moves', () => {
  const r = live({ stuck: still })
  expect(r.final.map((f) => [f.subtype, f.scope.id, f.reason])).toEqual([['stuck_register', 'E3', 'moves-again']])
  const [f] = r.final
  expect(Date.parse(f?.detectedAt ?? '') - START).toBeLessThan(12 * HOUR)
  expect(Math.abs(Date.parse(f?.startedAt ?? '') - START)).toBeLessThanOrEqual(900_000)
  expect(Math.abs(Date.parse(f?.clearedAt ?? '') - START - 2 * DAY)).toBeLessThanOrEqual(900_000)
})

test('an empty home with everything switched off is none: its balance stays closed', () => {
  expect(live({ kw: (id, ms) => (still(id, ms) ? 0 : household(id, ms)) }).final).toEqual([])
})

test('without a totalising meter it takes a day, and a register that was never still before', () => {
  const r = live({ stuck: still }, { checkMeters: false })
  expect(r.final.map((f) => [f.scope.id, f.confidence])).toEqual([['E3', 0.9]])
  expect(r.findings[0]).toMatchObject({ reason: 'never-still-before', confidence: 0.6 })
  expect(Date.parse(r.findings[0]?.detectedAt ?? '') - START).toBeLessThan(26 * HOUR)
})

test('a coarse register of a small user often stands still and is none', () => {
  // 40 W: one step of 0.01 kWh every quarter of an hour, with pauses of hours.
  const kw = (id: string, ms: number) => (id === 'E3' ? (Math.floor(ms / (5 * HOUR)) % 2 === 0 ? 0.04 : 0) : household(id, ms))
  expect(live({ kw }).final).toEqual([])
})

test('a premise that exports at noon imports nothing then, and is none', () => {
  const seenKw = (id: string, ms: number, kw: number) => (id === 'E3' && (ms / HOUR) % 24 > 8 && (ms / HOUR) % 24 < 18 ? -2 : kw)
  expect(live({ seenKw }).final).toEqual([])
})

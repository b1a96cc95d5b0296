import { expect, test } from 'vitest'
import { aTown, household, type Run, runZone, T0, type Use, useOf } from './power.fixture.ts'
import { reverseFlow } from './reverse-flow.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = T0 + 3 * DAY

function live(use: Partial<Use>, registeredKwp = 0): Run {
  const town = aTown({ transformers: 1, checkMeters: false })
  if (registeredKwp > 0) {
    town.def.devices = town.def.devices.map((d) =>
      d.asset.id === 'E3' ? { ...d, asset: { ...d.asset, registered_generation_kwp: registeredKwp } as typeof d.asset } : d,
    )
  }
  const r = runZone(useOf(town, { days: 8, kw: household, ...use }), [reverseFlow])
  expect(r.faults).toEqual([])
  return r
}

const sun = (kwp: number) => (id: string, ms: number, kw: number) => {
  const hour = (ms / HOUR) % 24
  return id === 'E3' && ms >= START && hour > 9 && hour < 15 ? kw - kwp * Math.sin(((hour - 9) / 6) * Math.PI) : kw
}

test('export of a premise without registered generation is told the same day', () => {
  const r = live({ seenKw: sun(5) })
  expect(r.final.map((f) => [f.subtype, f.scope.id, f.reason])).toEqual([['reverse_flow', 'E3', 'no-registered-generation']])
  expect(Date.parse(r.final[0]?.detectedAt ?? '') - START).toBeLessThan(14 * HOUR)
  expect(r.final[0]?.evidence[0]).toMatchObject({ what: 'export', registeredKwp: 0 })
})

test('export of a registered plant is normal, up to its power', () => {
  expect(live({ seenKw: sun(5) }, 5).final).toEqual([])
  expect(live({ seenKw: sun(12) }, 5).final.map((f) => f.reason)).toEqual(['more-than-registered'])
})

test('one pulse is no plant', () => {
  const r = live({ seenKw: (id, ms, kw) => (id === 'E3' && ms === START ? -0.1 : kw) })
  expect(r.final).toEqual([])
})

test('it ends three weeks after the last export', () => {
  const r = live({ days: 32, seenKw: (id, ms, kw) => (ms < START + 4 * DAY ? sun(5)(id, ms, kw) : kw) })
  expect(r.final).toHaveLength(1)
  expect(r.final[0]?.reason).toBe('export-ended')
})

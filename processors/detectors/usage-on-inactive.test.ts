import { expect, test } from 'vitest'
import { DAY_MS } from '#model/time.ts'
import { drive, FIRST, zoneOf } from './usage.fixture.ts'
import { usageOnInactive } from './usage-on-inactive.ts'

const zone = (account?: string) => zoneOf([{ id: 'E1' }, { id: 'E2' }, { id: 'W1', kind: 'water_meter' }, { id: 'X', account }])

test('use without a contract on two days is told, with its worth', () => {
  const r = drive(usageOnInactive, zone())
  r.day('E1', 0, 9)
  r.day('X', 0, 4)
  expect(r.said).toEqual([])
  r.day('X', 1, 6)
  expect(r.open()).toMatchObject([
    {
      scope: { id: 'X' },
      subtype: 'usage_on_inactive',
      onsetMs: FIRST,
      reason: 'no-contract',
      size: { kwhYear: 1825, moneyYear: 529 },
      evidence: [{ kwh: 10, days: 2 }, { perKwh: 0.29 }],
    },
  ])
  for (let d = 2; d < 9; d++) r.day('X', d, 0.05)
  expect(r.said.at(-1)).toMatchObject({ clearedAtMs: FIRST + 2 * DAY_MS, reason: 'no-use-any-more' })
})

test('it ends when the contract begins', () => {
  const r = drive(usageOnInactive, zone())
  r.day('X', 0, 4)
  r.day('X', 1, 6)
  r.zone(zone('A-9'))
  expect(r.said.at(-1)).toMatchObject({ reason: 'contract-begun' })
  r.day('X', 2, 6)
  expect(r.open()).toEqual([])
})

test('a meter that the registry calls inactive', () => {
  const r = drive(usageOnInactive, zoneOf([{ id: 'W', kind: 'water_meter', more: { status: 'disconnected' } }]))
  r.day('W', 0, 0.1)
  r.day('W', 1, 0.1)
  expect(r.open()).toMatchObject([{ reason: 'contract-ended', size: { m3Year: 37 } }])
})

test.each<[string, (r: ReturnType<typeof drive>) => void]>([
  ['a test of the installation', (r) => r.day('X', 0, 4)],
  ['two days a week apart', (r) => [r.day('X', 0, 4), ...[1, 2, 3, 4, 5, 6].map((d) => r.day('X', d, 0)), r.day('X', 7, 4)]],
  ['a few watts of the meter itself', (r) => [0, 1, 2, 3].map((d) => r.day('X', d, 0.2))],
  ['estimated days', (r) => [0, 1, 2, 3].map((d) => r.day('X', d, 4, { actual: 0, estimated: 96 }))],
  ['a customer', (r) => [0, 1, 2, 3].map((d) => r.day('E1', d, 40))],
])('not: %s', (_name, live) => {
  const r = drive(usageOnInactive, zone())
  live(r as never)
  expect(r.said).toEqual([])
})

test('not where the registry holds no accounts', () => {
  const r = drive(usageOnInactive, zoneOf([{ id: 'E1', account: undefined }, { id: 'E2', account: undefined }, { id: 'E3' }]))
  for (let d = 0; d < 5; d++) r.day('E1', d, 10)
  expect(r.said).toEqual([])
})

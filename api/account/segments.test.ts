import { expect, test } from 'vitest'
import { segmentOf } from './segments.ts'

const base = { imported: 'general' as const, chosen: undefined, kwhYear: 4_000, m3Year: 120, customerTypes: [] }

test.each([
  ['a home', {}, 'general', 'general'],
  ['a factory by its energy', { kwhYear: 250_000 }, 'large', 'large_power'],
  ['a laundry by its water', { m3Year: 9_000 }, 'large', 'large_water'],
  ['a hospital, whatever it uses', { customerTypes: ['hospital'], kwhYear: 900_000 }, 'special', 'customer_type'],
  ['one imported as vulnerable', { imported: 'vulnerable' as const, kwhYear: 900_000 }, 'vulnerable', 'imported'],
  ['what a person has said', { chosen: 'general' as const, kwhYear: 900_000 }, 'general', 'chosen'],
])('%s', (_name, more, segment, reason) => {
  expect(segmentOf({ ...base, ...more })).toEqual({ segment, reason })
})

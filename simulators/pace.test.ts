import { expect, test } from 'vitest'
import { livePace } from './pace.ts'

test('simulated time passes at the factor', () => {
  let real = 1_000
  const pace = livePace(0, 60, () => real)
  expect(pace.waitFor(60_000)).toBe(1_000)
  real += 400
  expect(pace.waitFor(60_000)).toBe(600)
  expect(pace.now()).toBe(24_000)
})

test('after a standstill it goes on from where it was, and catches nothing up', () => {
  let real = 0
  const pace = livePace(0, 60, () => real)
  real = 3_600_000
  expect(pace.waitFor(60_000)).toBe(0)
  expect(pace.waitFor(120_000)).toBe(1_000)
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ticksBetween } from '#model/clock.ts'
import { advance, type LogClock } from './clock.ts'

const T = Date.UTC(2026, 2, 1, 10, 0, 0)

test('a time from before does not move the clock', () => {
  const clock: LogClock = { nowMs: T }
  expect(advance(clock, T - 60_000)).toEqual([])
  expect(clock.nowMs).toBe(T)
})

test('every ten seconds passed give a tick', () => {
  const clock: LogClock = { nowMs: T }
  expect(advance(clock, T + 25_000)).toEqual([T + 10_000, T + 20_000])
})

test('ticks are the same however the way there is cut into messages', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 600_000 }), { maxLength: 20 }), (steps) => {
      const clock: LogClock = { nowMs: T }
      const ticks = steps.flatMap((s) => [...advance(clock, T + s)])
      expect(ticks).toEqual(ticksBetween(T, T + Math.max(0, ...steps)))
    }),
  )
})

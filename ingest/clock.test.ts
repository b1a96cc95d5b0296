import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ticksBetween } from '#model/clock.ts'
import { advance, type LogClock, stepByMessage } from './clock.ts'

const T = Date.UTC(2026, 2, 1, 10, 0, 0)

test('a message without a receipt time takes the time of the log', () => {
  const clock: LogClock = { nowMs: T }
  expect(stepByMessage(clock, undefined, T + 99_000)).toEqual({ receivedAtMs: T, ticks: [] })
})

test('the first message of a log without a receipt time takes the newest time it knows', () => {
  const clock: LogClock = { nowMs: undefined }
  expect(stepByMessage(clock, undefined, T + 3).receivedAtMs).toBe(T + 3)
  expect(clock.nowMs).toBe(T + 3)
})

test('a message from before keeps its receipt time and does not move the clock', () => {
  const clock: LogClock = { nowMs: T }
  expect(stepByMessage(clock, T - 60_000, 0)).toEqual({ receivedAtMs: T - 60_000, ticks: [] })
  expect(clock.nowMs).toBe(T)
})

test('every ten seconds passed give a tick before the message', () => {
  const clock: LogClock = { nowMs: T }
  expect(stepByMessage(clock, T + 25_000, 0)).toEqual({ receivedAtMs: T + 25_000, ticks: [T + 10_000, T + 20_000] })
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

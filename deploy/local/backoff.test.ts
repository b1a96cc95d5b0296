import { expect, test } from 'vitest'
import { nextDelayMs } from './backoff.ts'

test('waits grow from half a second to half a minute, then the part is given up', () => {
  const backoff = { ends: 0 }
  const delays = Array.from({ length: 21 }, () => nextDelayMs(backoff, 100))
  expect(delays.slice(0, 8)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  expect(delays[19]).toBe(30_000)
  expect(delays[20]).toBeUndefined()
})

test('a minute of running forgets earlier ends', () => {
  const backoff = { ends: 19 }
  expect(nextDelayMs(backoff, 60_000)).toBe(500)
})

import { expect, test } from 'vitest'
import { Outcome } from './decoding.ts'
import { hasBits, hexOrNumber, isDamagedIdm, neptuneAlarms, raise, scmAlarms } from './ert.ts'

test('an alarm that stays raised is an event once an hour, a flag always', () => {
  const state = new Map<string, unknown>()
  const events = (alarms: string[], nowMs: number) => {
    const out = new Outcome()
    raise(out, alarms, { device: 'm', tsMs: undefined, nowMs, state })
    expect(out.decoded.flags).toEqual(alarms)
    return out.decoded.events.map((e) => e.event)
  }
  expect(events(['leak'], 0)).toEqual(['leak_alarm'])
  expect(events(['leak'], 30_000)).toEqual([])
  expect(events(['leak', 'tamper'], 60_000)).toEqual(['tamper'])
  expect(events(['leak', 'tamper'], 3_600_000)).toEqual(['leak_alarm'])
  expect(events([], 3_700_000)).toEqual([])
  expect(events(['leak'], 3_710_000)).toEqual(['leak_alarm'])
})

test('fields of packets', () => {
  expect(isDamagedIdm(28, 92)).toBe(false)
  expect(isDamagedIdm('0x1C', 92)).toBe(false)
  expect(isDamagedIdm(52, 92)).toBe(true)
  expect(isDamagedIdm(undefined, undefined)).toBe(false)
  expect(hexOrNumber('0x4900')).toBe(18_688)
  expect(hasBits('AAAAAAAA')).toBe(false)
  expect(hasBits('AiEAgDAA')).toBe(true)
  expect(hasBits(7)).toBe(false)
  expect(neptuneAlarms(2, 0, 0)).toEqual(['leak_history'])
  expect(neptuneAlarms(0, 2, 1)).toEqual(['leak', 'backflow'])
  expect(scmAlarms(0, 0)).toEqual([])
  expect(scmAlarms(1, 0)).toEqual(['tamper'])
})

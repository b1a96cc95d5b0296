import { expect, test } from 'vitest'
import { DAY_MS } from '#model/time.ts'
import { drive, FIRST, zoneOf } from './usage.fixture.ts'
import { zeroUsage } from './zero-usage.ts'

const water = (segment: 'general' | 'large' | 'vulnerable') => zoneOf([{ id: 'W', kind: 'water_meter', segment }])
type Run = ReturnType<typeof drive<never, never>>
const days = (r: Pick<Run, 'day'>, from: number, to: number, value: number, more = {}) => {
  for (let d = from; d < to; d++) r.day('W', d, value, more)
}

test.each([
  ['a home after three weeks', 'general' as const, 21],
  ['a business after four days', 'large' as const, 4],
  ['where somebody vulnerable lives after three days', 'vulnerable' as const, 3],
])('no use: %s', (_name, segment, after) => {
  const r = drive(zeroUsage, water(segment))
  days(r, 0, 20, 0.3)
  days(r, 20, 20 + after - 1, 0)
  expect(r.said).toEqual([])
  days(r, 20 + after - 1, 20 + after, 0)
  expect(r.open()).toMatchObject([
    {
      subtype: 'zero_usage',
      onsetMs: FIRST + 20 * DAY_MS,
      size: { m3Year: 110, moneyYear: 438 },
      evidence: [{ days: after }, { m3Day: 0.3 }, { perM3: 4 }],
    },
  ])
  days(r, 60, 61, 0.2)
  expect(r.said.at(-1)).toMatchObject({ clearedAtMs: FIRST + 60 * DAY_MS, reason: 'used-again' })
})

test('one who is often away is left alone for longer', () => {
  const r = drive(zeroUsage, water('large'))
  for (let week = 0; week < 6; week++) {
    days(r, week * 7, week * 7 + 5, 2)
    days(r, week * 7 + 5, week * 7 + 7, 0)
  }
  // With the weekend before, six days without use are three times the longest so far.
  days(r, 42, 45, 0)
  expect(r.said).toEqual([])
  days(r, 45, 46, 0)
  expect(r.open()).toHaveLength(1)
})

test('estimated days, outages and holidays neither count nor clear', () => {
  const holiday = {
    knownAtMs: 0,
    kind: 'holiday' as const,
    scopeType: 'network' as const,
    scope: '',
    startMs: FIRST + 20 * DAY_MS,
    endMs: FIRST + 22 * DAY_MS,
    note: '',
  }
  const r = drive(zeroUsage, water('large'), [holiday])
  days(r, 0, 20, 2)
  days(r, 20, 24, 0)
  days(r, 24, 30, 0, { actual: 50, estimated: 46 })
  r.interval('W', FIRST + 30 * DAY_MS, 0, { reasons: ['outage'] })
  days(r, 30, 31, 0)
  expect(r.said).toEqual([])
  days(r, 31, 33, 0)
  expect(r.open()).toHaveLength(1)
  days(r, 33, 34, 2, { actual: 50, estimated: 46 })
  expect(r.open()).toHaveLength(1)
})

test('power without a totalising meter is left to the stuck register', () => {
  for (const totalised of [false, true]) {
    const r = drive(zeroUsage, zoneOf([{ id: 'W', segment: 'large' }], { totalised }))
    days(r, 0, 20, 50)
    days(r, 20, 30, 0)
    expect(r.open()).toHaveLength(totalised ? 1 : 0)
  }
})

test('a new premise that has not used anything yet', () => {
  const r = drive(zeroUsage, water('vulnerable'))
  days(r, 0, 60, 0)
  expect(r.said).toEqual([])
})

test('a register that validation holds for stuck stands still all the same', () => {
  const r = drive(zeroUsage, zoneOf([{ id: 'W', segment: 'large' }], { totalised: true }))
  days(r, 0, 20, 50)
  for (let d = 20; d < 24; d++) {
    r.interval('W', FIRST + d * DAY_MS, 12, { status: 'rejected', reasons: ['stuck_register', 'like_day'] })
    r.day('W', d, 50, { actual: 0, estimated: 96 })
  }
  expect(r.open()).toMatchObject([{ onsetMs: FIRST + 20 * DAY_MS, evidence: [{ days: 4 }, {}, {}] }])
})

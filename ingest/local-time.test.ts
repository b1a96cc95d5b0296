import { describe, expect, test } from 'vitest'
import { envelopeTime, readTime } from './local-time.ts'

const iso = (t: number | 'local' | undefined) => (typeof t === 'number' ? new Date(t).toISOString() : t)

describe('readTime', () => {
  test.each([
    ['ISO with zone', '2026-03-01T10:15:00+01:00', undefined, '2026-03-01T09:15:00.000Z'],
    ['nanoseconds', '2026-03-01T10:15:00.123456789Z', undefined, '2026-03-01T10:15:00.123Z'],
    ['seconds', 1772360130, undefined, '2026-03-01T10:15:30.000Z'],
    ['milliseconds as text', '1772360130000', undefined, '2026-03-01T10:15:30.000Z'],
    ['a small count', 1200, undefined, undefined],
    ['local, zone unknown', '2026-03-01 10:15:00', undefined, 'local'],
    ['local, zone known', '2026-07-01 10:15', 'Europe/Berlin', '2026-07-01T08:15:00.000Z'],
    ['the first of an hour that comes twice', '2026-10-25 02:30:00', 'Europe/Berlin', '2026-10-25T00:30:00.000Z'],
    ['30 February', '2026-02-30T10:15:00Z', undefined, undefined],
    ['a sentinel date', '2127-15-31', undefined, undefined],
    ['null', null, undefined, undefined],
  ])('%s', (_, value, zone, expected) => expect(iso(readTime(value, zone))).toBe(expected))
})

test('an envelope of a gateway without clock has no time, garbage is no time', () => {
  expect(envelopeTime('0001-01-01T00:00:00Z')).toBeUndefined()
  expect(envelopeTime(null)).toBeUndefined()
  expect(envelopeTime('yesterday')).toBeNull()
  expect(envelopeTime('2026-03-01T10:15:00')).toBeNull()
})

import { describe, expect, it } from 'vitest'
import { HOUR_MS } from '#model/time.ts'
import { dayByNo, dayOf, expectedIntervals } from './days.ts'
import { aMeter, Bench, QUARTER } from './validation.fixture.ts'

const ZURICH = 'Europe/Zurich'

describe('local days', () => {
  it.each([
    ['an ordinary day', Date.UTC(2025, 9, 25, 12), '2025-10-25', 96],
    ['the day with 25 hours', Date.UTC(2025, 9, 26, 12), '2025-10-26', 100],
    ['the day with 23 hours', Date.UTC(2025, 2, 30, 12), '2025-03-30', 92],
  ])('%s has its own number of intervals', (_name, ms, date, n) => {
    const day = dayOf(ZURICH, ms)
    expect(day.date).toBe(date)
    expect(expectedIntervals(day, QUARTER, 0)).toBe(n)
    expect(dayByNo(ZURICH, day.no)).toEqual(day)
  })

  it.each(['Pacific/Kiritimati', 'Pacific/Pago_Pago', 'Asia/Kolkata', 'America/St_Johns', 'UTC'])('are found by number in %s', (zone) => {
    for (let k = 0; k < 40; k++) {
      const day = dayOf(zone, Date.UTC(2026, 0, 1) + k * 13 * HOUR_MS)
      expect(dayByNo(zone, day.no).date).toBe(day.date)
    }
  })

  it('are published when their last interval comes, 25 hours long if need be', () => {
    const start = Date.UTC(2025, 9, 25, 22) // midnight in Zurich
    const b = new Bench([aMeter()], { timezone: ZURICH }).run(
      start,
      Array.from({ length: 101 }, (_, i) => Math.round(i * 25) / 100),
    )
    expect(b.days).toHaveLength(1)
    expect(b.days[0]).toMatchObject({ date: '2025-10-26', value: 25, actual: 100, estimated: 0, missing: 0, rev: 1 })
  })

  it('wait for late reads when some intervals are estimated, and come again when one arrives after that', () => {
    const start = Date.UTC(2025, 10, 2, 23)
    const values = Array.from({ length: 97 }, (_, i) => Math.round(i * 25) / 100)
    const b = new Bench([aMeter()], { timezone: ZURICH, settings: { briefKeepMs: 48 * HOUR_MS } })
    b.run(
      start,
      values.map((v, i) => (i >= 40 && i < 60 ? Number.NaN : v)),
    )
    expect(b.days).toHaveLength(0)
    b.wait(start + 31 * HOUR_MS)
    expect(b.days).toHaveLength(1)
    expect(b.days[0]).toMatchObject({ date: '2025-11-03', value: 24, actual: 75, estimated: 21, rev: 1 })
    b.read({ ts: start + 40 * QUARTER, value: values[40] as number, at: b.nowMs + 1000 }).wait(b.nowMs + HOUR_MS)
    expect(b.days.slice(1)).toEqual([expect.objectContaining({ date: '2025-11-03', value: 24, actual: 76, estimated: 20, rev: 2 })])
  })

  it('count what stays away as missing after the wait, and not before the first read', () => {
    const start = Date.UTC(2025, 10, 3, 11)
    const b = new Bench([aMeter()], { timezone: 'UTC' }).run(start, [10, 10.5, 11])
    b.wait(start + 72 * HOUR_MS)
    expect(b.lastDays()[0]).toMatchObject({ date: '2025-11-03', value: 1, actual: 2, estimated: 0, missing: 50, rev: 1 })
    expect(b.lastDays()[1]).toMatchObject({ date: '2025-11-04', value: 0, actual: 0, missing: 96 })
    b.read({ ts: start + 72 * HOUR_MS, value: 371 }).wait(b.nowMs + HOUR_MS)
    expect(b.last().reduce((s, i) => s + (i.value ?? 0), 0)).toBeCloseTo(361, 6)
    expect(b.lastDays()[1]).toMatchObject({ date: '2025-11-04', estimated: 96, missing: 0, rev: 2 })
  })
})

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

  it('are published at once when their value is firm; late reads then change the quality, once, after the hold', () => {
    const start = Date.UTC(2025, 10, 2, 23)
    const values = Array.from({ length: 97 }, (_, i) => Math.round(i * 25) / 100)
    const b = new Bench([aMeter()], { timezone: ZURICH, settings: { briefKeepMs: 48 * HOUR_MS } })
    b.run(
      start,
      values.map((v, i) => (i >= 40 && i < 60 ? Number.NaN : v)),
    )
    expect(b.days).toEqual([
      expect.objectContaining({ date: '2025-11-03', value: 24, actual: 75, estimated: 21, estimatedValue: 5.25, rev: 1, was: undefined }),
    ])
    for (const i of [40, 41, 45]) b.read({ ts: start + i * QUARTER, value: values[i] as number, at: b.nowMs + HOUR_MS / 2 })
    expect(b.days).toHaveLength(1)
    b.wait(start + 31 * HOUR_MS)
    expect(b.days.slice(1)).toEqual([
      expect.objectContaining({ value: 24, actual: 77, estimated: 19, rev: 2, was: { value: 24, why: 'late_read' } }),
    ])
  })

  it('wait for late reads when those may still change the value', () => {
    const start = Date.UTC(2025, 10, 2, 23)
    const values = Array.from({ length: 140 }, (_, i) => Math.round(i * 25) / 100)
    const b = new Bench([aMeter()], { timezone: ZURICH })
    b.run(start, values.map((v, i) => (i >= 90 && i < 100 ? Number.NaN : v)).slice(0, 104))
    expect(b.days).toHaveLength(0)
    b.wait(start + 30.5 * HOUR_MS)
    expect(b.days).toEqual([expect.objectContaining({ date: '2025-11-03', actual: 89, estimated: 7, rev: 1 })])
  })

  it('with their last read late are published when it comes', () => {
    const start = Date.UTC(2025, 10, 2, 23)
    const values = Array.from({ length: 97 }, (_, i) => Math.round(i * 25) / 100)
    const b = new Bench([aMeter()], { timezone: ZURICH })
    b.run(
      start,
      values.map((v, i) => (i === 89 ? Number.NaN : v)),
    )
    b.read({ ts: start + 89 * QUARTER, value: values[89] as number, at: start + 96 * QUARTER + 45 * 60_000 })
    expect(b.lastDays()).toEqual([expect.objectContaining({ date: '2025-11-03', value: 24, actual: 96, estimated: 0 })])
  })

  it.each([
    ['an ordinary day', Date.UTC(2025, 10, 2, 23), 24, { valley: 10, peak: 14 }],
    ['25 hours: one more by night', Date.UTC(2025, 9, 25, 22), 25, { valley: 11, peak: 14 }],
    ['23 hours: one less', Date.UTC(2025, 2, 29, 23), 23, { valley: 9, peak: 14 }],
  ])('are split by time of use by the clock on the wall: %s', (_name, start, hours, tou) => {
    const b = new Bench([aMeter()], { timezone: ZURICH })
    b.run(
      start,
      Array.from({ length: hours * 4 + 1 }, (_, i) => 100 + i * 0.25),
    )
    expect(b.days).toEqual([expect.objectContaining({ value: hours, actual: hours * 4, tou })])
  })

  it('follow a calendar of the utility: weekdays, seasons, a band over midnight, the last rule counts', () => {
    const tou = {
      bands: ['flat', 'peak', 'night', 'summer'],
      rules: [
        { band: 'peak', from: '17:00', to: '21:00', days: 'weekdays' },
        { band: 'night', from: '22:00', to: '06:00' },
        { band: 'summer', from: '00:00', to: '24:00', months: [7, 8] },
      ],
      quantities: ['active_energy_import_kwh'],
    }
    const b = new Bench([aMeter()], { settings: { tou } })
    b.run(
      Date.UTC(2025, 10, 7),
      Array.from({ length: 193 }, (_, i) => 100 + i * 0.25),
    )
    expect(b.days.map((d) => d.tou)).toEqual([
      { flat: 12, peak: 4, night: 8, summer: 0 },
      { flat: 16, peak: 0, night: 8, summer: 0 },
    ])
  })

  it('of a register that stood still for a week before it was found out are all corrected', () => {
    const b = new Bench([aMeter()], { settings: { stuckAfterMs: 7 * 24 * HOUR_MS, stuckFactor: 1 } })
    const start = Date.UTC(2025, 10, 3)
    for (let i = 0; i <= 96 * 22; i++) b.read({ ts: start + i * QUARTER, value: 100 + Math.min(i, 96 * 12 + 30) * 0.25 })
    b.wait(b.nowMs + 8 * HOUR_MS)
    const days = b.lastDays()
    expect(days).toHaveLength(22)
    for (const d of days) expect(d.actual + d.estimated + d.missing).toBe(96)
    for (const d of days.slice(13)) expect(d).toMatchObject({ actual: 0, estimated: 96 })
    for (const d of days.slice(13)) expect(d.value).toBeCloseTo(24, 0)
    const seen = new Map<string, number>()
    for (const d of b.days) {
      expect(d.rev).toBe((seen.get(d.date) ?? 0) + 1)
      seen.set(d.date, d.rev)
    }
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

// What arrives in the field and should not: each has one outcome, and it is the one that docs/validation.md names.
import { describe, expect, it } from 'vitest'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { aMeter, Bench, MIDNIGHT, QUARTER } from './validation.fixture.ts'

const round = (v: number) => Math.round(v * 100) / 100
const DAY = Array.from({ length: 97 }, (_, i) => round(100 + i * 0.25))
const lived = () => new Bench([aMeter({ account: 'A' })]).run(MIDNIGHT, DAY)

describe('bad input', () => {
  it('a file twice: duplicates, nothing is said twice', () => {
    const b = lived()
    const before = { intervals: b.intervals.length, days: b.days.length }
    b.nowMs += HOUR_MS
    for (const [i, value] of DAY.entries()) b.read({ ts: MIDNIGHT + i * QUARTER, value, at: b.nowMs })
    b.wait(b.nowMs + DAY_MS / 4)
    expect([b.duplicates.length, b.refused.length, b.accepted.length]).toEqual([97, 0, 97])
    expect({ intervals: b.intervals.length, days: b.days.length }).toEqual(before)
  })

  it('a whole day twice with other values: the second is refused, reading by reading, and the first stands', () => {
    const b = lived()
    const before = b.last()
    for (const [i, value] of DAY.entries()) b.read({ ts: MIDNIGHT + i * QUARTER, value: round(value + 7), at: b.nowMs + 1000 })
    b.wait(b.nowMs + DAY_MS / 4)
    // One in 256 other values looks like the first and counts as its repeat; none is stored.
    expect(b.refused.filter((r) => r.reason === 'conflicting_value').length).toBeGreaterThanOrEqual(94)
    expect(b.refused.length + b.duplicates.length).toBe(97)
    expect(b.last()).toEqual(before)
    expect(b.days).toHaveLength(1)
  })

  it('a day sent newest first: the same intervals and one published day', () => {
    const b = new Bench([aMeter({ account: 'A' })])
    b.read({ ts: MIDNIGHT, value: 100 })
    const at = MIDNIGHT + DAY_MS + HOUR_MS
    for (let i = 96; i > 0; i--) b.read({ ts: MIDNIGHT + i * QUARTER, value: DAY[i] as number, at })
    b.wait(at + HOUR_MS)
    expect(b.last().map((i) => [i.value, i.status])).toEqual(
      lived()
        .last()
        .map((i) => [i.value, i.status]),
    )
    expect(b.lastDays()).toEqual([expect.objectContaining({ value: 24, actual: 96, estimated: 0, rules: [] })])
  })

  it('a register that goes backwards and stays: an exchange that nobody announced, no negative and no lifetime', () => {
    const b = lived()
    for (let i = 1; i <= 96; i++) b.read({ ts: MIDNIGHT + (96 + i) * QUARTER, value: round(3 + i * 0.25) })
    b.wait(b.nowMs + 8 * HOUR_MS)
    for (const i of b.intervals) expect(i.value ?? 0).toBeGreaterThanOrEqual(0)
    for (const i of b.intervals) expect(i.value ?? 0).toBeLessThan(1)
    expect(b.fired('silent_exchange')).toBe(1)
    expect(b.lastDays().map((d) => d.value)).toEqual([24, expect.closeTo(24, 0)])
  })

  it('a register that goes backwards for one read: a false value', () => {
    const b = lived()
    b.run(MIDNIGHT + 97 * QUARTER, [124.25, 12, 124.75, 125]).wait(b.nowMs + HOUR_MS)
    expect(
      b
        .last()
        .slice(-4)
        .map((i) => [i.value, i.status]),
    ).toEqual([
      [0.25, 'actual'],
      [0.25, 'rejected'],
      [0.25, 'estimated'],
      [0.25, 'actual'],
    ])
  })

  it('a meter in two places: equal reads are repeats, others are refused; intervals are those of the first', () => {
    const b = new Bench([aMeter({ account: 'A' })])
    for (const [i, value] of DAY.slice(0, 20).entries()) {
      b.read({ ts: MIDNIGHT + i * QUARTER, value })
      b.read({ ts: MIDNIGHT + i * QUARTER, value: i % 2 === 0 ? value : 5000, at: MIDNIGHT + i * QUARTER + MINUTE_MS })
    }
    expect([b.accepted.length, b.duplicates.length, b.refused.length]).toEqual([20, 10, 10])
    expect(b.last().every((i) => i.value === 0.25 && i.status === 'actual')).toBe(true)
  })

  it('half of an area silent: missing is declared after the storm limit, and reads that return before it make estimates', () => {
    const meters = Array.from({ length: 12 }, (_, k) => aMeter({ id: `M-${k}`, account: 'A', interval_s: 3600 }))
    const b = new Bench(meters)
    for (let h = 0; h < 30; h++)
      for (const [k, m] of meters.entries()) if (h < 10 || k < 4) b.read({ device: m.id, ts: MIDNIGHT + h * HOUR_MS, value: 100 + h })
    for (let h = 30; h <= 60; h++) for (let k = 0; k < 4; k++) b.read({ device: `M-${k}`, ts: MIDNIGHT + h * HOUR_MS, value: 100 + h })
    expect(b.intervals.some((i) => i.status === 'missing')).toBe(false)
    for (let k = 4; k < 8; k++) b.read({ device: `M-${k}`, ts: MIDNIGHT + 61 * HOUR_MS, value: 161 })
    b.wait(MIDNIGHT + 90 * HOUR_MS)
    const of = (id: string) =>
      new Set(
        b
          .last(id)
          .slice(10)
          .map((i) => i.status),
      )
    expect(of('M-5')).toContain('estimated')
    expect(of('M-9')).toContain('missing')
  })

  it('a negative or endless number: refused, named, nothing changes', () => {
    const b = lived()
    for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY]) b.read({ ts: b.nowMs, value })
    expect(b.refused.map((r) => r.reason)).toEqual(['impossible_value', 'impossible_value', 'impossible_value'])
    expect(b.intervals).toHaveLength(96)
  })
})

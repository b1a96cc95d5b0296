import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ACTUAL, ESTIMATED, type Knowledge, LIKE_DAY, LINEAR, MISSING, OUTAGE, type Stretch, shape } from './estimate.ts'

const QUARTER = 900_000
const HOUR = 3_600_000
const plain: Knowledge = {
  linearUpToMs: 2 * HOUR,
  wholeMs: 1.5 * QUARTER,
  rate: () => Number.NaN,
  powered: () => 1,
  before: Number.NaN,
  after: Number.NaN,
}

const gap = (n: number, d: number): Stretch => ({
  firstEndMs: QUARTER,
  n,
  intervalMs: QUARTER,
  t: [0, n * QUARTER],
  d: [d],
  carryIn: 0,
  carryOut: 0,
})

describe('the shape of a gap', () => {
  it('is a straight line when short, and adds up', () => {
    const s = shape(gap(4, 2), plain)
    expect([...s.values]).toEqual([0.5, 0.5, 0.5, 0.5])
    expect([...s.kinds]).toEqual(Array(4).fill(ESTIMATED | LINEAR))
  })

  it('follows the like day when long, scaled to the register', () => {
    const s = shape(gap(16, 10), { ...plain, rate: (ms) => (ms < 2 * HOUR ? 1 : 3) })
    expect(s.values[0]).toBeCloseTo(10 / 32, 9)
    expect(s.values[15]).toBeCloseTo(30 / 32, 9)
    expect(s.kinds[0]).toBe(ESTIMATED | LIKE_DAY)
  })

  it('is even when the like day knows nothing or expects nothing', () => {
    expect(shape(gap(16, 8), plain).values[3]).toBeCloseTo(0.5, 9)
    expect(shape(gap(16, 8), { ...plain, rate: () => 0 }).values[3]).toBeCloseTo(0.5, 9)
  })

  it('is zero and known where there was no supply', () => {
    const dark = (a: number, b: number) => (a >= QUARTER && b <= 3 * QUARTER ? 0 : 1)
    const s = shape(gap(4, 2), { ...plain, powered: dark })
    expect([...s.values]).toEqual([1, 0, 0, 1])
    expect([...s.kinds].map((k) => k & 3)).toEqual([ESTIMATED, OUTAGE, OUTAGE, ESTIMATED])
  })

  it('does not believe an outage in which the register moved', () => {
    const s = shape(gap(4, 2), { ...plain, powered: () => 0 })
    expect([...s.values]).toEqual([0.5, 0.5, 0.5, 0.5])
    expect([...s.kinds].map((k) => k & 3)).toEqual(Array(4).fill(ESTIMATED))
  })

  it('is the expected energy itself when the register cannot tell', () => {
    const s = shape({ ...gap(16, 0), d: [Number.NaN] }, { ...plain, rate: () => 2 })
    expect(s.values[5]).toBeCloseTo(0.5, 9)
  })

  it('joins the rates on both sides of a short break', () => {
    const s = shape({ ...gap(2, 0), d: [Number.NaN] }, { ...plain, before: 1, after: 3 })
    expect(s.values[0]).toBeCloseTo(0.375, 9)
    expect(s.values[1]).toBeCloseTo(0.625, 9)
  })

  it('is missing where no read bounds it', () => {
    const s = shape({ ...gap(3, 0), t: [0], d: [] }, plain)
    expect([...s.kinds]).toEqual([MISSING, MISSING, MISSING])
    expect([...s.values]).toEqual([Number.NaN, Number.NaN, Number.NaN])
  })

  it('is actual between neighbouring reads inside it', () => {
    const s = shape({ ...gap(4, 0), t: [0, QUARTER, 4 * QUARTER], d: [0.4, 0.6] }, plain)
    expect(s.kinds[0]).toBe(ACTUAL)
    expect(s.values[0]).toBeCloseTo(0.4, 9)
    expect(s.values[1]).toBeCloseTo(0.2, 9)
  })

  it('adds up to the registers for any reads, on the grid or off it', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 60_000, max: 5 * HOUR }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: QUARTER - 1 }),
        fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 8, maxLength: 8 }),
        fc.double({ min: 0, max: 3, noNaN: true }),
        (lengths, begin, energies, hump) => {
          const t = [begin]
          for (const l of lengths) t.push((t[t.length - 1] as number) + l)
          const d = energies.slice(0, lengths.length)
          const end = t[t.length - 1] as number
          const lastEnd = Math.floor(end / QUARTER) * QUARTER
          const n = (lastEnd - QUARTER) / QUARTER + 1
          if (n < 1) return
          const last = d[d.length - 1] as number
          const carryOut = (last * (end - Math.max(lastEnd, t[t.length - 2] as number))) / (end - (t[t.length - 2] as number))
          // What lies after the last boundary, in this or earlier segments, is not part of the intervals.
          if ((t[t.length - 2] as number) > lastEnd) return
          const s = shape(
            { firstEndMs: QUARTER, n, intervalMs: QUARTER, t, d, carryIn: 0.25, carryOut },
            { ...plain, rate: (ms) => 1 + hump * Math.sin(ms / HOUR) ** 2 },
          )
          const sum = [...s.values].reduce((x, y) => x + y, 0)
          expect(sum).toBeCloseTo(0.25 + d.reduce((x, y) => x + y, 0) - carryOut, 6)
          for (const v of s.values) expect(v).toBeGreaterThanOrEqual(0)
        },
      ),
    )
  })
})

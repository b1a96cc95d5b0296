import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { exchangeDelta, isOk, possibleDelta, type RegisterLimits, rolloverModulus, step, tidy } from './register.ts'

const HOUR = 3_600_000
const QUARTER = 900_000
const house: RegisterLimits = { modulus: 100_000, maxPerHour: 44, slackMs: QUARTER, resolution: 0.01 }
const water: RegisterLimits = { modulus: 0, maxPerHour: 5, slackMs: HOUR, resolution: 0.001 }

const limits = fc.record({
  modulus: fc.constantFrom(0, 10_000, 100_000, 1_000_000),
  maxPerHour: fc.double({ min: 0.1, max: 500, noNaN: true }),
  slackMs: fc.constantFrom(QUARTER, HOUR),
  resolution: fc.constantFrom(0, 0.001, 0.01, 1),
})

describe('a step of a register', () => {
  it.each([
    ['goes on', 100, 100.4, QUARTER, house, 'forward', 0.4],
    ['stands still', 100, 100, QUARTER, house, 'forward', 0],
    ['rolls over', 99_999.88, 0.1, QUARTER, house, 'rollover', 0.22],
    ['rolls over after a long gap', 99_900, 50, 10 * HOUR, house, 'rollover', 150],
    ['begins again near zero far from its end', 40_121.76, 16.63, QUARTER, house, 'backward', 0],
    ['shows a transient zero', 992.6, 0, QUARTER, house, 'backward', 0],
    ['jumps beyond the connection', 17_744.29, 20_799.74, QUARTER, house, 'impossible', 0],
    ['rises far over a long gap', 17_744.29, 18_744.29, 24 * HOUR, house, 'forward', 1000],
    ['of unknown width rolls over when nearly full', 9999.998, 0.01, HOUR, water, 'rollover', 0.012],
    ['of unknown width restarts after an exchange', 1044.667, 0.002, HOUR, water, 'backward', 0],
    ['falls by one count', 100.01, 100, QUARTER, house, 'backward', 0],
  ] as const)('%s', (_name, from, to, dt, l, kind, delta) => {
    const s = step(from, to, dt, l)
    expect(s.kind).toBe(kind)
    expect(s.delta).toBeCloseTo(delta, 6)
  })

  it('never gives a negative or impossible delta', () => {
    fc.assert(
      fc.property(
        limits,
        fc.double({ min: 0, max: 2e6, noNaN: true }),
        fc.double({ min: 0, max: 2e6, noNaN: true }),
        fc.integer({ min: 0, max: 1e9 }),
        (l, a, b, dt) => {
          const s = step(a, b, dt, l)
          expect(s.delta).toBeGreaterThanOrEqual(0)
          expect(s.delta).toBeLessThanOrEqual(possibleDelta(dt, l) + 1e-9)
          if (!isOk(s)) expect(s.delta).toBe(0)
        },
      ),
    )
  })

  it('gives back any possible consumption, across any number of digits', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(10_000, 100_000, 1_000_000),
        fc.integer({ min: 0, max: 99_999_999 }),
        fc.integer({ min: 0, max: 1100 }),
        (modulus, startCents, usedCents) => {
          const from = (startCents % (modulus * 100)) / 100
          const to = ((startCents + usedCents) % (modulus * 100)) / 100
          const s = step(from, to, QUARTER, { ...house, modulus })
          expect(isOk(s)).toBe(true)
          expect(tidy(s.delta, 100)).toBeCloseTo(usedCents / 100, 6)
        },
      ),
    )
  })

  it('adds up: two possible steps are one possible step of their sum', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 9_999_999 }),
        fc.integer({ min: 0, max: 1000 }),
        fc.integer({ min: 0, max: 1000 }),
        (start, first, second) => {
          const face = (cents: number) => (cents % 10_000_000) / 100
          const a = step(face(start), face(start + first), QUARTER, house)
          const b = step(face(start + first), face(start + first + second), QUARTER, house)
          const both = step(face(start), face(start + first + second), 2 * QUARTER, house)
          expect(both.delta).toBeCloseTo(a.delta + b.delta, 6)
        },
      ),
    )
  })
})

describe('an exchange with known indices', () => {
  it('adds the old register to its end and the new one from its beginning', () => {
    const d = exchangeDelta({ value: 27_758.46, tsMs: 0 }, 27_758.49, 11.76, { value: 11.8, tsMs: QUARTER }, house)
    expect(d).toBeCloseTo(0.07, 6)
  })

  it('allows the old register to roll over before it went', () => {
    expect(exchangeDelta({ value: 99_999.9, tsMs: 0 }, 0.1, 5, { value: 5.2, tsMs: QUARTER }, house)).toBeCloseTo(0.4, 6)
  })

  it.each([
    ['the final index is below the last read', 27_700, 11.76],
    ['the final index is beyond reach', 28_758.49, 11.76],
    ['the initial index is above the first read', 27_758.49, 12.76],
  ])('is not believed when %s', (_name, oldFinal, newInitial) => {
    expect(exchangeDelta({ value: 27_758.46, tsMs: 0 }, oldFinal, newInitial, { value: 11.8, tsMs: QUARTER }, house)).toBeNaN()
  })
})

describe('the modulus of a rollover', () => {
  it.each([
    ['is the known one', 5, 100_000, 100_000],
    ['is refused when the register already shows more digits', 123_456, 100_000, 0],
    ['is guessed only when nearly full', 99_500, 0, 100_000],
    ['is not guessed half way', 50_000, 0, 0],
    ['is not guessed for three digits', 999.9, 0, 0],
  ])('%s', (_name, value, known, expected) => {
    expect(rolloverModulus(value, known)).toBe(expected)
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashNormal, hashUniform, inverseNormal, makeRandom, poisson } from './random.ts'

test('the same keys give the same number, in the open interval', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer(), fc.integer(), (a, b, c) => {
      const u = hashUniform(a, b, c)
      expect(u).toBe(hashUniform(a, b, c))
      expect(u).toBeGreaterThan(0)
      expect(u).toBeLessThan(1)
    }),
  )
})

test('means and variances are as named', () => {
  const n = 50_000
  const list = (f: (i: number) => number) => {
    let sum = 0
    let squares = 0
    for (let i = 0; i < n; i++) {
      const v = f(i)
      sum += v
      squares += v * v
    }
    return { mean: sum / n, variance: squares / n - (sum / n) ** 2 }
  }
  expect(list((i) => hashUniform(1, 2, i)).mean).toBeCloseTo(0.5, 1)
  const normal = list((i) => hashNormal(1, 2, i))
  expect(normal.mean).toBeCloseTo(0, 1)
  expect(normal.variance).toBeCloseTo(1, 1)
  for (const mean of [0.2, 3, 80]) {
    const p = list((i) => poisson(mean, hashUniform(4, 7, i)))
    expect(p.mean / mean).toBeCloseTo(1, 1)
    expect(p.variance / mean).toBeCloseTo(1, 0)
  }
  const r = makeRandom(9)
  expect(list(() => r.next()).mean).toBeCloseTo(0.5, 1)
})

test('quantiles of the normal', () => {
  expect(inverseNormal(0.5)).toBeCloseTo(0, 3)
  expect(inverseNormal(0.975)).toBeCloseTo(1.96, 2)
  expect(inverseNormal(0.001)).toBeCloseTo(-3.09, 2)
})

import { describe, expect, test } from 'vitest'
import { type PulseDemand, pulseCdf, setPulseDemand } from './pulse-demand.ts'

describe('water of Poisson draws', () => {
  test.each([
    [2, 20],
    [30, 20],
    [200, 20],
  ])('mean %d litres in draws of %d: rest, mean and order', (mean, draw) => {
    const d: PulseDemand = { offset: 0, perLitre: 1 }
    setPulseDemand(d, mean, draw)
    expect(Math.log(pulseCdf(d, 0)) / (-mean / draw)).toBeCloseTo(1, 0)
    let sum = 0
    for (let x = 0; x < 3000; x += 0.5) {
      expect(pulseCdf(d, x + 0.5)).toBeGreaterThanOrEqual(pulseCdf(d, x) - 1e-6)
      sum += 0.5 * (1 - pulseCdf(d, x + 0.25))
    }
    expect(sum / mean).toBeCloseTo(1, 1)
    expect(pulseCdf(d, -1)).toBe(0)
  })
})

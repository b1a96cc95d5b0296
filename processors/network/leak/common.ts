// What all districts do at once is no leak: a holiday, heat, a match on television. The common relative deviation is estimated for each
// district from the others, and believed as far as it exceeds what chance would give (James and Stein's shrinkage).
import { median } from '../../statistics/robust.ts'
import { dayClass } from './baseline.ts'
import { BINS_PER_DAY, type District, localBin, MASK, maskAt, netAt } from './district.ts'

/** Mean over this many bins up to now: less noise, and weather takes its time. */
const WINDOW = 4

export interface Expected {
  /** m3/h. */
  flow: number
  /** Days behind the profile of this kind of day. */
  days: number
}

export function expectedAt(d: District, bin: number, special: ReadonlyMap<number, number>): Expected {
  const { day, slot, weekday } = localBin(d.timezone, bin)
  const cls = dayClass(day, weekday, special)
  return { flow: d.profile[cls * BINS_PER_DAY + slot] as number, days: d.days[cls] as number }
}

/** Size of the leaks known in a district at a bin, m3/h. */
export type KnownAt = (d: District, bin: number) => number

/** Relative deviation of a district around a bin, and its variance if nothing but its own wander were in it. */
function deviation(d: District, bin: number, special: ReadonlyMap<number, number>, known: KnownAt): { value: number; variance: number } | undefined {
  let above = 0
  let below = 0
  let n = 0
  for (let b = bin - WINDOW + 1; b <= bin; b++) {
    const net = netAt(d, b)
    if (!Number.isFinite(net) || (maskAt(d, b) & (MASK.operation | MASK.draw)) !== 0) continue
    const { flow } = expectedAt(d, b, special)
    above += net - known(d, b) - flow
    below += flow
    n += 1
  }
  if (n === 0 || below <= 0) return undefined
  const scale = below / n / d.typical
  const { white, hourSd, daySd } = d.noise
  return { value: above / below, variance: hourSd ** 2 + daySd ** 2 + white / (n * Math.max(scale, 0.05)) }
}

export interface Common {
  value: number
  variance: number
}

/** A district's own deviation counts in the mean of the others only up to this many standard deviations from their median. */
const OUTLIER_SD = 2

/** Common deviation as the others see it, for each district; `undefined` entries have no baseline yet. */
export function commonFactors(districts: readonly District[], bin: number, special: ReadonlyMap<number, number>, known: KnownAt): Common[] {
  const list = districts.map((d) => (d.typical > 0 ? deviation(d, bin, special, known) : undefined))
  return list.map((_, i) => {
    const others = list.filter((x, j) => j !== i && x !== undefined) as { value: number; variance: number }[]
    if (others.length < 2) return { value: 0, variance: 0 }
    const middle = median(others.map((o) => o.value))
    let sum = 0
    let weight = 0
    for (const o of others) {
      const sd = Math.sqrt(o.variance)
      const v = Math.max(middle - OUTLIER_SD * sd, Math.min(middle + OUTLIER_SD * sd, o.value))
      sum += v / o.variance
      weight += 1 / o.variance
    }
    const mean = sum / weight
    const chance = 1 / weight
    // Positive-part shrinkage: nothing common is believed below what chance gives, nearly all of it far above.
    const share = Math.max(0, 1 - (2 * chance) / Math.max(mean * mean, 1e-12))
    return { value: share * mean, variance: share * chance }
  })
}

// What all districts do at once is no leak: a holiday, heat, a match on television. The common relative deviation is estimated for each
// district from the others, and believed as far as it exceeds what chance would give (James and Stein's shrinkage).
import { median } from '../../statistics/robust.ts'
import { type Calendar, dayClass } from './baseline.ts'
import { BINS_PER_DAY, type District, localBin, MASK, maskAt, netAt } from './district.ts'

/** Mean over this many bins up to now: less noise, and still quick enough for a steep morning. */
const WINDOW = 2

export interface Expected {
  /** m3/h. */
  flow: number
  /** Days behind the profile of this kind of day. */
  days: number
  /** Not the kind of day that the calendar has. */
  holiday: boolean
}

export function expectedAt(d: District, bin: number, calendar: Calendar): Expected {
  const { day, slot, weekday } = localBin(d.timezone, bin)
  const cls = dayClass(day, weekday, calendar.special)
  const usual = cls === 0 ? (calendar.weekdays[weekday * BINS_PER_DAY + slot] as number) : 1
  return { flow: (d.profile[cls * BINS_PER_DAY + slot] as number) * usual, days: d.days[cls] as number, holiday: calendar.special.has(day) }
}

/** Size of the leaks known in a district at a bin, m3/h. */
export type KnownAt = (d: District, bin: number) => number

interface Deviation {
  value: number
  variance: number
}

/** Relative deviation of a district around a bin, and its variance if nothing but its own wander were in it. */
function deviation(d: District, bin: number, calendar: Calendar, known: KnownAt): { value: number; variance: number } | undefined {
  let above = 0
  let below = 0
  let n = 0
  for (let b = bin - WINDOW + 1; b <= bin; b++) {
    const net = netAt(d, b)
    if (!Number.isFinite(net) || (maskAt(d, b) & (MASK.operation | MASK.draw)) !== 0) continue
    const { flow } = expectedAt(d, b, calendar)
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
  /** Relative deviation that districts have in common. */
  value: number
  /** What the estimate adds to a district's own moods, as a share of their variance. */
  added: number
}

/** A district's own deviation counts in the mean of the others only up to this many standard deviations from their median. */
const OUTLIER_SD = 2
/** Weather and calendar move a town's demand by about this much. */
const COMMON_SD = 0.05

/** So far back the last common deviation still counts when the other districts are silent. */
const MEMORY_BINS = 96

/** Common deviation as the others see it, for each district: in a town of one or two districts nothing is known of it. */
export function commonFactors(districts: readonly District[], bin: number, calendar: Calendar, known: KnownAt): Common[] {
  const list = districts.map((d) => (d.typical > 0 ? deviation(d, bin, calendar, known) : undefined))
  const spoke = list.filter((x) => x !== undefined).length
  const ready = districts.filter((d) => d.typical > 0).length
  if (ready < 3) return list.map(() => ({ value: 0, added: 0 }))
  // A gateway that serves most of the town is down: what was common last, with twice the doubt.
  if (spoke < 3) {
    for (let b = bin - 4; b > bin - MEMORY_BINS; b -= 4) {
      const before = districts.map((d) => (d.typical > 0 ? deviation(d, b, calendar, known) : undefined))
      if (before.filter((x) => x !== undefined).length >= 3) return before.map((_, i) => ({ ...fromOthers(before, i), added: 1 }))
    }
    return list.map(() => ({ value: 0, added: 1 }))
  }
  return list.map((_, i) => fromOthers(list, i))
}

function fromOthers(list: readonly (Deviation | undefined)[], i: number): Common {
  const others = list.filter((x, j) => j !== i && x !== undefined) as Deviation[]
  const middle = median(others.map((o) => o.value))
  let sum = 0
  let weight = 0
  for (const o of others) {
    const sd = Math.sqrt(o.variance)
    const v = Math.max(middle - OUTLIER_SD * sd, Math.min(middle + OUTLIER_SD * sd, o.value))
    sum += v / o.variance
    weight += 1 / o.variance
  }
  const share = COMMON_SD ** 2 / (COMMON_SD ** 2 + 1 / weight)
  return { value: (share * sum) / weight, added: (share * share) / others.length }
}

// One district, one bin: feed the tests, look for a step, and ask whether something other than a leak explains it better.
import { normalQuantile } from '../../statistics/robust.ts'
import {
  advance,
  createStepFilter,
  dropOnsets,
  explain,
  followKnown,
  forgetKnown,
  type Observation,
  type StepFilter,
  type StepFound,
  strongestFall,
  strongestStep,
  type WanderModel,
} from '../../statistics/step-filter.ts'
import type { Calendar } from './baseline.ts'
import { type Common, expectedAt } from './common.ts'
import { BINS_PER_DAY, BINS_PER_HOUR, balanceModel, type District, hourOf, lossAt, maskAt, netAt, wanderOf } from './district.ts'

/** How far back an onset may lie. */
export const LOOKBACK_DAYS = 10
const LEVEL_SD = 0.02

/**
 * Threshold of z by the age of the onset. Page and Lorden: about month / age independent tests of that age are made in a month; the
 * allowed false alarms are spread evenly over ages that double. `share` are the false alarms allowed per test and month.
 */
export function thresholdOf(falsePerMonth: number, stepH: number): (ageBins: number) => number {
  const OCTAVES = 9
  const cache = new Map<number, number>()
  return (ageBins) => {
    const octave = Math.max(0, Math.round(2 * Math.log2(Math.max(1, ageBins))))
    let z = cache.get(octave)
    if (z === undefined) {
      const ageH = 2 ** (octave / 2) * stepH
      const tests = (3 * 720) / ageH
      z = normalQuantile(Math.min(0.01, falsePerMonth / OCTAVES / tests))
      cache.set(octave, z)
    }
    return z
  }
}

export function inflowModel(d: District): WanderModel {
  return wanderOf(d.noise, 1 / BINS_PER_HOUR, LEVEL_SD, d.leaks)
}

export function observe(d: District, bin: number, calendar: Calendar, common: Common): Observation {
  const { flow, days } = expectedAt(d, bin, calendar)
  const scale = flow / d.typical
  const masked = maskAt(d, bin) !== 0
  const net = masked ? Number.NaN : netAt(d, bin)
  return {
    bin,
    residual: (net - flow * (1 + common.value)) / d.typical,
    scale,
    variance: d.noise.white * Math.max(scale, 0.05),
    unsure: Math.sqrt(1 + 1 / Math.max(1, days) + common.added),
    shared: Math.sqrt(1 + common.added),
  }
}

export function observeBalance(d: District, hour: number): Observation {
  const loss = lossAt(d, hour)
  return { bin: hour, residual: (loss - d.balanceBase) / d.typical, scale: 1, variance: d.balanceNoise.white, unsure: 1, shared: 1 }
}

/** Onsets thin out with age: half-hours for a day, hours for four, three hours beyond. */
export function thin(f: StepFilter, bin: number, perHour: number): void {
  dropOnsets(f, (onset) => {
    const age = (bin - onset) / perHour
    if (age <= 4) return true
    if (age <= 24) return perHour === 1 || onset % (perHour / 2) === 0
    if (age <= 96) return onset % perHour === 0
    return age <= LOOKBACK_DAYS * 24 && onset % (3 * perHour) === 0
  })
}

/** Feeds one observation; a known leak's beginning opens the state that follows it. */
export function feed(f: StepFilter, m: WanderModel, o: Observation, opens: boolean, test: boolean): void {
  if (opens) followKnown(f, f.x[3] as number, Math.sqrt((f.p[15] as number) + 0.3 ** 2))
  advance(f, m, o, test)
}

export type { StepFound }
export { balanceModel, createStepFilter, explain, forgetKnown, strongestFall, strongestStep }

export interface Rivals {
  leak: { z: number; size: number; sd: number }
  /** Slow growth since long before the onset. */
  ramp: { z: number; size: number }
  /** The strongest of: extra use in the same hours of every night; demand grown in proportion; a draw that has ended. */
  nightShift: Rival
  growth: Rival
  draw: Rival
}

/** `beside`: z of the leak when the rival is allowed as well. */
export interface Rival {
  z: number
  beside: number
}

/** Local hours at which a night shift or night irrigation may begin and end. */
const SHIFT_START = [20, 21, 22, 23]
const SHIFT_END = [4, 5, 6, 7]

/**
 * The best rival explanation of the last days' residuals. Shapes: extra use in the same night hours, since some night; demand grown in
 * proportion.
 */
export function rivals(
  start: StepFilter,
  m: WanderModel,
  observations: readonly Observation[],
  step: StepFound,
  by: { timezone: string; perHour: number; nights: boolean },
): Rivals {
  const { perHour } = by
  const scaleOf = new Map(observations.map((o) => [o.bin, o.scale]))
  const last = observations.at(-1)?.bin ?? step.onset
  const hours = new Map<number, number>()
  const localHourOf = (bin: number) => {
    let h = hours.get(bin)
    if (h === undefined) {
      h = hourOf(by.timezone, (bin * BINS_PER_HOUR) / perHour)
      hours.set(bin, h)
    }
    return h
  }
  const shapes: ((bin: number) => number)[] = [(b) => (b >= step.onset ? 1 : 0), (b) => (b >= step.onset ? (scaleOf.get(b) ?? 1) : 0)]
  const age = last - step.onset + 1
  for (const share of [0.5, 1, 2]) {
    const from = step.onset - age * share
    shapes.push((b) => (b > from ? ((b - from) / (last - from)) ** 1.5 : 0))
  }
  const ramps = shapes.length
  for (const gone of [1, 2, 3, 4, 6, 8, 12, 16, 24]) {
    const end = last - gone
    if (end >= step.onset) shapes.push((b) => (b >= step.onset && b <= end ? 1 : 0))
  }
  const draws = shapes.length
  if (by.nights) {
    // This night alone, which is all that is known of a first one: since each half hour of the evening.
    for (let half = 0; half < 8; half++) {
      let from = last
      while (from > last - 14 * perHour && localHourOf(from) !== 20 + Math.floor(half / 2)) from -= 1
      while (localHourOf(from - 1) === localHourOf(from)) from -= 1
      if (localHourOf(from) !== 20 + Math.floor(half / 2)) continue
      if (half % 2 === 1) from += Math.floor(perHour / 2)
      const start = from
      shapes.push((b) => (b >= start && (localHourOf(b) >= 19 || localHourOf(b) < 7) ? 1 : 0))
    }
    const night = (n: number) => step.onset - n * 24 * perHour - 6 * perHour
    for (const n of [0, 1, 2, 4]) {
      const from = night(n)
      for (const s of SHIFT_START)
        for (const e of SHIFT_END) shapes.push((b) => (b >= from && (localHourOf(b) >= s || localHourOf(b) < e) ? 1 : 0))
    }
  }
  const found = explain(start, m, observations, shapes)
  const none: Rival = { z: 0, beside: (found[0] as Rival).z }
  const top = (from: number, to: number) => found.slice(from, to).reduce<Rival>((a, x) => (x.z > a.z ? x : a), none)
  return {
    leak: found[0] as { z: number; size: number; sd: number },
    ramp: found.slice(2, ramps).reduce((a, b) => (b.z > a.z ? b : a)),
    nightShift: top(draws, found.length),
    growth: found[1] as Rival,
    draw: top(ramps, draws),
  }
}

export function binsBack(d: District, bin: number): number {
  return Math.max(d.firstBin, bin - LOOKBACK_DAYS * BINS_PER_DAY)
}

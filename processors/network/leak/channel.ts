// The two ways in which a district's leak shows: net inflow against its baseline (every quarter hour), and where registers cover the
// district, inflow that no customer took (every hour). Both are tested by the same filter.

import { normalQuantile } from '../../statistics/robust.ts'
import {
  advance,
  createStepFilter,
  dropOnsets,
  followKnown,
  type Observation,
  type StepFilter,
  type WanderModel,
} from '../../statistics/step-filter.ts'
import { expectedAt } from './common.ts'
import { BIN_MS, BINS_PER_DAY, BINS_PER_HOUR, type District, lossAt, MASK, MOOD_TAU_H, maskAt, netAt, type OpenLeak } from './district.ts'
import { commonOf, type View } from './town.ts'

/** How far back an onset may lie. */
export const LOOKBACK_DAYS = 10

export interface Channel {
  name: 'inflow' | 'balance'
  /** Bins of a step: 1, or the four of an hour. */
  bins: number
  perHour: number
  filter(d: District): StepFilter
  setFilter(d: District, f: StepFilter): void
  model(d: District): WanderModel
  observe(v: View, d: District, step: number): Observation
  next(d: District): number
}

/** A burst keeps its size but for pressure; a leak may grow to full size in days. Shares of typical demand over one day. */
function knownDrift(leaks: readonly OpenLeak[]): number {
  return leaks.some((l) => l.kind === 'leak') ? 0.012 : 0.004
}

export const inflow: Channel = {
  name: 'inflow',
  bins: 1,
  perHour: BINS_PER_HOUR,
  filter: (d) => d.filter,
  setFilter: (d, f) => {
    d.filter = f
  },
  model: (d) => ({
    stepH: 1 / BINS_PER_HOUR,
    levelSd: 0.02,
    levelDriftSdPerDay: 0.004,
    daySd: d.noise.daySd,
    dayTauH: 24,
    hourSd: d.noise.hourSd,
    hourTauH: MOOD_TAU_H,
    knownDriftSdPerDay: knownDrift(d.leaks),
  }),
  observe(v, d, bin) {
    const common = commonOf(v, d, bin)
    return observeInflow(v, d, bin, common)
  },
  next: (d) => d.nextBin,
}

/** Districts answer heat and holidays alike only in the mean: spread of the answer as a share of it, and on a holiday at least. */
const RESPONSE_SPREAD = 0.3
const HOLIDAY_SD = 0.03

/** With the common deviation at hand. */
export function observeInflow(v: View, d: District, bin: number, common: { value: number; added: number }): Observation {
  const { flow, days, holiday } = expectedAt(d, bin, v.town.calendar)
  const scale = flow / d.typical
  const net = maskAt(d, bin) === 0 ? netAt(d, bin) : Number.NaN
  const own = (RESPONSE_SPREAD * common.value) ** 2 + (holiday ? HOLIDAY_SD ** 2 : 0)
  return {
    bin,
    residual: (net - flow * (1 + common.value)) / d.typical,
    scale,
    variance: d.noise.white * Math.max(scale, 0.05),
    unsure: Math.sqrt(1 + 1 / Math.max(1, days) + common.added + own / d.noise.hourSd ** 2),
    shared: Math.sqrt(1 + common.added + own / d.noise.daySd ** 2),
  }
}

export const balance: Channel = {
  name: 'balance',
  bins: BINS_PER_HOUR,
  perHour: 1,
  filter: (d) => d.balance,
  setFilter: (d, f) => {
    d.balance = f
  },
  model: (d) => ({
    stepH: 1,
    levelSd: 0.02,
    levelDriftSdPerDay: 0.001,
    daySd: d.balanceNoise.daySd,
    dayTauH: 24,
    hourSd: d.balanceNoise.hourSd,
    hourTauH: 3,
    knownDriftSdPerDay: knownDrift(d.leaks),
  }),
  observe(v, d, hour) {
    const masked = (maskAt(d, hour * BINS_PER_HOUR) & MASK.leak) !== 0
    return {
      bin: hour,
      residual: masked ? Number.NaN : (lossAt(d, hour) - d.balanceBase) / d.typical,
      // A meter that reads wrong is wrong in proportion to its flow; a leak is not.
      scale: expectedAt(d, hour * BINS_PER_HOUR + 2, v.town.calendar).flow / d.typical,
      variance: d.balanceNoise.white,
      unsure: 1,
      shared: 1,
    }
  },
  next: (d) => d.nextHour,
}

/** True where registers cover the district and a balance was learnt: it then decides, because what customers took is no leak. */
export function balanced(d: District): boolean {
  return d.fullyMetered && d.nextHour >= 0 && Number.isFinite(d.balanceBase)
}

/** The channel that follows a district's open leaks. */
export function leading(d: District): Channel {
  return balanced(d) ? balance : inflow
}

/** Onsets thin out with age: half-hours for a day, hours for four, three hours beyond. */
export function thin(f: StepFilter, step: number, perHour: number): void {
  dropOnsets(f, (onset) => {
    const age = (step - onset) / perHour
    if (age <= 4) return true
    if (age <= 24) return perHour === 1 || onset % (perHour / 2) === 0
    if (age <= 96) return onset % perHour === 0
    return age <= LOOKBACK_DAYS * 24 && onset % (3 * perHour) === 0
  })
}

/** First step of a look back from `to`. */
export function lookback(ch: Channel, d: District, to: number): number {
  return Math.max(Math.ceil(d.firstBin / ch.bins), to - LOOKBACK_DAYS * 24 * ch.perHour)
}

/** Runs a district's test anew over the last days: late data, a new baseline, a leak found or ended. */
export function rerun(v: View, ch: Channel, d: District): void {
  const to = ch.next(d)
  const m = ch.model(d)
  const f = createStepFilter(m)
  ch.setFilter(d, f)
  const from = lookback(ch, d, to)
  const warm = Math.ceil(d.warmupUntilMs / (BIN_MS * ch.bins)) - (BINS_PER_DAY / BINS_PER_HOUR) * ch.perHour
  const testFrom = Math.max(warm, Math.ceil(d.testFrom / ch.bins), ...d.leaks.map((l) => Math.ceil(l.detectedBin / ch.bins) + 1))
  for (let step = from; step < to; step++) {
    // May the size of what is known jump here?
    if (d.jumps.some((j) => Math.floor(j / ch.bins) === step || (step === from && j < from * ch.bins))) {
      followKnown(f, f.x[3] as number, Math.sqrt((f.p[15] as number) + JUMP_SD ** 2))
    }
    advance(f, m, ch.observe(v, d, step), step >= testFrom)
    if (step % ch.perHour === 0) thin(f, step, ch.perHour)
  }
}

/** Size of a leak before anything is known of it, as a share of typical demand. */
const JUMP_SD = 0.3

export function rerunAll(v: View, d: District): void {
  d.stale = false
  d.staleBalance = false
  rerun(v, inflow, d)
  if (balanced(d)) rerun(v, balance, d)
}

const OCTAVES = 9
const thresholds = new Map<string, number>()

/**
 * Threshold of z by the age of the onset. About (a month / age) independent tests of an age are made in a month; the allowed false alarms
 * are spread evenly over ages that double (a Bonferroni bound over octaves).
 */
export function thresholdOf(falsePerMonth: number, ageH: number): number {
  const octave = Math.round(2 * Math.log2(Math.max(0.25, ageH)))
  const key = `${falsePerMonth}|${octave}`
  let z = thresholds.get(key)
  if (z === undefined) {
    const tests = (3 * 720) / 2 ** (octave / 2)
    z = normalQuantile(Math.min(0.01, falsePerMonth / OCTAVES / tests))
    if (thresholds.size > 1000) thresholds.clear()
    thresholds.set(key, z)
  }
  return z
}

/**
 * What the normal law with known parameters leaves out: the baseline was learnt from few days (a test over k days against n days has
 * variance 1/k + 1/n, of which the level's half is modelled), single bins have a heavier upper tail, and the model may fit badly.
 */
export function inflation(d: District, ch: Channel, ageSteps: number): number {
  if (ch.name === 'balance') return Math.max(1, Math.sqrt(d.balance.misfit))
  const days = Math.max(3, d.days[0] as number)
  const baseline = Math.sqrt(1 + ageSteps / BINS_PER_DAY / (2 * days))
  const tail = 1 + (d.noise.tail - 1) / Math.sqrt(ageSteps)
  return Math.max(0.85, Math.sqrt(d.filter.misfit)) * baseline * tail
}

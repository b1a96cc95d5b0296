// What the second stage keeps of a district: four weeks of net inflow, its baseline, the state of its tests, its open leaks.
import type { Candidate } from '#model/finding.ts'
import { DAY_MS, HOUR_MS, localHour, MINUTE_MS, offsetMs } from '#model/time.ts'
import { createStepFilter, type StepFilter } from '../../statistics/step-filter.ts'
import type { Pressure } from './pressure-evidence.ts'

export const BIN_MS = 15 * MINUTE_MS
export const BINS_PER_HOUR = HOUR_MS / BIN_MS
export const BINS_PER_DAY = DAY_MS / BIN_MS
export const RING_DAYS = 28
export const RING = RING_DAYS * BINS_PER_DAY
export const RING_HOURS = RING_DAYS * 24

/** Why a bin is not judged or not learnt from. */
export const MASK = { operation: 1, draw: 2, leak: 4 } as const

/** Weekday, Saturday, Sunday or holiday. */
export const DAY_CLASSES = 3

export interface OpenLeak {
  onsetMs: number
  onsetBin: number
  detectedBin: number
  kind: 'burst' | 'leak'
  via: 'inflow' | 'balance'
  /** Pressure took part in the decision. */
  joint: boolean
  /** Shares of the typical demand. */
  size: number
  peak: number
  z: number
  lowHours: number
  candidates: Candidate[]
  parent: string | undefined
  said: number
}

export interface Noise {
  /** Variance of one bin's own noise, in squared shares of typical demand at typical demand. */
  white: number
  hourSd: number
  daySd: number
  /** How much heavier than normal the upper tail of single bins is; 1 or more. */
  tail: number
}

export interface District {
  zone: string
  meters: string[]
  signs: number[]
  fullyMetered: boolean
  warmupUntilMs: number
  timezone: string
  /** Index bin % RING. */
  net: Float32Array
  mask: Uint8Array
  /** Index hour % RING_HOURS. */
  metered: Float32Array
  excess: Float32Array
  firstBin: number
  newestBin: number
  newestHour: number
  /** Next bin and hour to be judged; -1 before the first baseline. */
  nextBin: number
  nextHour: number
  /** Typical demand, m3/h; 0 before the first baseline. */
  typical: number
  /** Class * BINS_PER_DAY + bin of the local day, m3/h. */
  profile: Float32Array
  /** Days behind each class. */
  days: number[]
  noise: Noise
  filter: StepFilter
  /** Water balance: loss not explained by registers. */
  balanceBase: number
  balanceNoise: Noise
  balance: StepFilter
  pressure: Pressure | undefined
  stale: boolean
  staleBalance: boolean
  leaks: OpenLeak[]
  /** Bins at which the size of the known leaks may have jumped: their onsets, and falls. */
  jumps: number[]
  /** No onset before this bin is tested any more: what came before was found and is over. */
  testFrom: number
  /** Findings ended lately, for links: id and end. */
  ended: { id: string; endMs: number }[]
  /** Why the strongest step now in view is not said. */
  hold: string
  /** Whole explanations are weighed again from this step on, by channel. */
  weighAgain: { inflow: number; balance: number }
}

export const DEFAULT_NOISE: Noise = { white: 0.02 ** 2, hourSd: 0.03, daySd: 0.025, tail: 1 }

/** How long an hour's mood lasts: correlation falls to 1/e. */
export const MOOD_TAU_H = 1.2

/** Before anything is known. */
const START_MODEL = {
  stepH: 0.25,
  levelSd: 0.02,
  levelDriftSdPerDay: 0.004,
  daySd: DEFAULT_NOISE.daySd,
  dayTauH: 24,
  hourSd: DEFAULT_NOISE.hourSd,
  hourTauH: MOOD_TAU_H,
  knownDriftSdPerDay: 0.01,
}

export function createDistrict(zone: string): District {
  return {
    zone,
    meters: [],
    signs: [],
    fullyMetered: false,
    warmupUntilMs: 0,
    timezone: 'UTC',
    net: new Float32Array(RING).fill(Number.NaN),
    mask: new Uint8Array(RING),
    metered: new Float32Array(RING_HOURS).fill(Number.NaN),
    excess: new Float32Array(RING_HOURS),
    firstBin: -1,
    newestBin: -1,
    newestHour: -1,
    nextBin: -1,
    nextHour: -1,
    typical: 0,
    profile: new Float32Array(DAY_CLASSES * BINS_PER_DAY),
    days: [0, 0, 0],
    noise: { ...DEFAULT_NOISE },
    filter: createStepFilter(START_MODEL),
    balanceBase: 0,
    balanceNoise: { ...DEFAULT_NOISE },
    balance: createStepFilter(START_MODEL),
    pressure: undefined,
    stale: false,
    staleBalance: false,
    leaks: [],
    jumps: [],
    testFrom: 0,
    ended: [],
    hold: '',
    weighAgain: { inflow: 0, balance: 0 },
  }
}

/** A late correction below this share of the typical inflow is not worth testing anew. */
const LATE_SHARE = 0.01

/** Takes in the net inflow of a bin. Bins older than the ring are dropped. */
export function putNet(d: District, bin: number, net: number): void {
  if (d.firstBin < 0) {
    d.firstBin = bin
    d.newestBin = bin - 1
  }
  if (bin <= d.newestBin - RING) return
  if (bin > d.newestBin) {
    const from = Math.max(d.newestBin + 1, bin - RING + 1)
    for (let b = from; b <= bin; b++) {
      d.net[b % RING] = Number.NaN
      d.mask[b % RING] = 0
    }
    d.newestBin = bin
  }
  const before = d.net[bin % RING] as number
  d.net[bin % RING] = net
  if (d.nextBin >= 0 && bin < d.nextBin && !(Math.abs(net - before) < LATE_SHARE * d.typical)) d.stale = true
}

export function putHour(d: District, hour: number, metered: number, excess: number): void {
  if (hour <= d.newestHour - RING_HOURS) return
  if (hour > d.newestHour) {
    const from = d.newestHour < 0 ? hour : Math.max(d.newestHour + 1, hour - RING_HOURS + 1)
    for (let h = from; h <= hour; h++) {
      d.metered[h % RING_HOURS] = Number.NaN
      d.excess[h % RING_HOURS] = 0
    }
    d.newestHour = hour
  }
  const c = hour % RING_HOURS
  if (Math.abs((d.excess[c] as number) - excess) > 0.01 * d.typical && d.nextBin > hour * BINS_PER_HOUR) d.stale = true
  d.metered[c] = metered
  d.excess[c] = excess
  if (d.nextHour >= 0 && hour < d.nextHour && !Number.isNaN(metered)) d.staleBalance = true
}

/** Net inflow without metered draws far above habit; NaN when unknown or out of the ring. */
export function netAt(d: District, bin: number): number {
  if (bin > d.newestBin || bin <= d.newestBin - RING || bin < d.firstBin) return Number.NaN
  const v = d.net[bin % RING] as number
  const hour = Math.floor(bin / BINS_PER_HOUR)
  const drawn = hour <= d.newestHour && hour > d.newestHour - RING_HOURS ? (d.excess[hour % RING_HOURS] as number) : 0
  return v - drawn
}

export function maskAt(d: District, bin: number): number {
  return bin > d.newestBin || bin <= d.newestBin - RING ? 0 : (d.mask[bin % RING] as number)
}

export function maskBins(d: District, from: number, to: number, mask: number): void {
  for (let b = Math.max(from, d.newestBin - RING + 1); b <= Math.min(to, d.newestBin); b++)
    d.mask[b % RING] = (d.mask[b % RING] as number) | mask
}

/** Loss of an hour: inflow minus what registers took, m3/h; NaN when unknown. */
export function lossAt(d: District, hour: number): number {
  if (hour > d.newestHour || hour <= d.newestHour - RING_HOURS) return Number.NaN
  let sum = 0
  let n = 0
  for (let b = hour * BINS_PER_HOUR; b < (hour + 1) * BINS_PER_HOUR; b++) {
    if (b > d.newestBin || b <= d.newestBin - RING || b < d.firstBin || (maskAt(d, b) & (MASK.operation | MASK.draw)) !== 0) continue
    const v = d.net[b % RING] as number
    if (Number.isNaN(v)) continue
    sum += v
    n += 1
  }
  return n < BINS_PER_HOUR - 1 ? Number.NaN : sum / n - (d.metered[hour % RING_HOURS] as number)
}

/** Local day number (days since 1970 of the local calendar) and bin within it. */
export function localBin(timezone: string, bin: number): { day: number; slot: number; weekday: number } {
  const local = bin * BIN_MS + offsetMs(timezone, bin * BIN_MS)
  const day = Math.floor(local / DAY_MS)
  return { day, slot: Math.floor((local - day * DAY_MS) / BIN_MS), weekday: (((day + 4) % 7) + 7) % 7 }
}

export function hourOf(timezone: string, bin: number): number {
  return localHour(timezone, bin * BIN_MS).hour
}

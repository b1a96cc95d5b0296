// A step stands out: is it said? Each reason to hold it back has a name; a step held back is asked again with every new bin.
import { type Explanation, type StepFound, strongestStep } from '../../statistics/step-filter.ts'
import { mayBeHoliday } from './calendar.ts'
import { type Channel, inflation, inflow, thresholdOf } from './channel.ts'
import { type District, localBin } from './district.ts'
import { type Draw, drawSeen, recentRise } from './draws.ts'
import { jointStep } from './pressure-evidence.ts'
import { type Rivals, weigh } from './rivals.ts'
import type { View } from './town.ts'

export type Hold =
  | 'too-small'
  | 'draw-ended'
  | 'may-be-a-hydrant'
  | 'flow-back'
  | 'meter-may-read-wrong'
  | 'shared-by-districts'
  | 'may-be-a-holiday'
  | 'not-confirmed'
  | 'may-be-use-at-night'
  | 'demand-has-grown'

export interface Said {
  kind: 'burst' | 'leak'
  z: number
  /** Share of typical demand. */
  size: number
  /** Pressure took part. */
  joint: boolean
  /** The growth of a leak that is already open, not a second one. */
  growth: boolean
}

export type Verdict = { hold: Hold; draw?: Draw; meter?: string; weighed?: boolean } | { said: Said }

/**
 * Log-likelihood by which use at night must explain more than a leak. In its first night it need not: a shift and a leak look alike until
 * the morning. Later a leak is the likelier story, and the best of many night hours has had many tries.
 */
const FIRST_NIGHT_H = 14
const FIRST_NIGHT_LLR = -2
const NIGHT_LLR = 1
/** Below this nothing tells the leak from the use. */
const ALIKE_Z = 0.5
/** A step is larger than a shift when it is so by this many standard deviations. */
const SIZE_SD = 1.5
/** ... and it must leave less than this of the leak when both are allowed. */
const BESIDE_Z = 2
/** Log-likelihood by which a draw that has ended must explain more than a leak that goes on. */
const ENDED_LLR = 2
/** Weighed with all that is known now, the step must still stand out by this much. */
const CONFIRM_Z = 3
/** Flow must show this much by itself before pressure is asked. */
const FLOW_MIN_Z = 2
/** ... and in the first hour more: a pump or a tank moves pressure as far as a burst. */
const FLOW_YOUNG_Z = 3.5
const JOINT_AGE_MIN = 4
/** Pressure speaks of the last hours: twelve of them. */
const JOINT_BINS = 48
/** Log-likelihood by which a step must beat growth to be a burst once it is no longer fresh. */
const SUDDEN_LLR = 2
const FRESH_H = 12

/** Looked at from the whole look-back, the last day and the last hours: an old rise must not hide a new one. */
const WINDOWS_H = [Number.POSITIVE_INFINITY, 24, 6]

/** The steps of a channel that stand out, strongest first by window; of flow and pressure together when flow alone shows none. */
export function findSteps(v: View, ch: Channel, d: District, step: number): StepFound[] {
  const allowed = v.settings.falseAlarmsPerDistrictMonth
  const out: StepFound[] = []
  for (const h of WINDOWS_H) {
    const z = (age: number) => thresholdOf(allowed, age / ch.perHour) * inflation(d, ch, age)
    const found = strongestStep(ch.filter(d), step, z, h * ch.perHour)
    if (found !== undefined && out.every((s) => s.onset !== found.onset)) out.push(found)
  }
  if (out.length > 0 || ch.name !== 'inflow') return out
  const joint = withPressure(v, d, step)
  return joint === undefined ? [] : [joint]
}

function withPressure(v: View, d: District, bin: number): StepFound | undefined {
  const p = d.pressure
  if (p === undefined || p.covariance.length === 0) return undefined
  // Many places are tried, but no more directions than sensors.
  const allowed = v.settings.falseAlarmsPerDistrictMonth / (1 + p.used.length / 2)
  const best = new Map<number, { onset: number; num: number; den: number; z: number }>()
  const { filter } = d
  for (let c = 0; c < filter.count; c++) {
    const onset = filter.onset[c] as number
    const age = bin - onset + 1
    const den = filter.den[c] as number
    if (age < 2 || age > JOINT_BINS || den <= 0) continue
    const z = (filter.num[c] as number) / Math.sqrt(den)
    const octave = Math.floor(Math.log2(age))
    if (z >= (age < JOINT_AGE_MIN ? FLOW_YOUNG_Z : FLOW_MIN_Z) && z > (best.get(octave)?.z ?? 0))
      best.set(octave, { onset, num: filter.num[c] as number, den, z })
  }
  let found: StepFound | undefined
  let over = 0
  for (const { onset, num, den } of best.values()) {
    const age = bin - onset + 1
    const j = jointStep(p, onset, bin, { num: num / d.typical, den: den / d.typical ** 2 })
    if (j === undefined) continue
    const excess = j.z - thresholdOf(allowed, age / inflow.perHour) * inflation(d, inflow, age)
    if (excess <= over) continue
    over = excess
    found = { onset, z: j.z, size: j.sizeM3h / d.typical, sd: j.sdM3h / d.typical, joint: true }
  }
  return found
}

/** Share of the other districts that rise at the same time. */
function sharedRise(v: View, d: District, step: StepFound): number {
  let others = 0
  let rising = 0
  for (const n of v.all) {
    if (n === d || n.typical <= 0) continue
    others += 1
    if (zNear(n, step.onset, 4, 1) > 2.5) rising += 1
  }
  return others < 2 ? 0 : rising / others
}

/** Largest z of a step in direction `sign` near an onset. */
function zNear(d: District, onset: number, within: number, sign: 1 | -1): number {
  let z = 0
  for (let c = 0; c < d.filter.count; c++) {
    const den = d.filter.den[c] as number
    if (Math.abs((d.filter.onset[c] as number) - onset) <= within && den > 0)
      z = Math.max(z, (sign * (d.filter.num[c] as number)) / Math.sqrt(den))
  }
  return z
}

/** A meter that reads wrong moves both of its districts by the same amount, one up and one down. */
function wrongMeter(v: View, d: District, step: StepFound): string | undefined {
  const own = step.size * d.typical
  for (const n of v.all) {
    if (n === d || n.typical <= 0) continue
    const shared = d.meters.find((m, i) => {
      const j = n.meters.indexOf(m)
      return j >= 0 && (d.signs[i] as number) * (n.signs[j] as number) < 0
    })
    if (shared === undefined) continue
    for (let c = 0; c < n.filter.count; c++) {
      const den = n.filter.den[c] as number
      if (Math.abs((n.filter.onset[c] as number) - step.onset) > 6 || den <= 0) continue
      const z = (n.filter.num[c] as number) / Math.sqrt(den)
      const size = ((n.filter.num[c] as number) / den) * n.typical
      if (z < -3 && size < -0.7 * own && size > -1.4 * own) return shared
    }
  }
  return undefined
}

/** Cheap questions first, the weighing of whole explanations last. */
export function judge(v: View, ch: Channel, d: District, step: StepFound, at: number): Verdict {
  const { leakMinM3h, leakMinShare } = v.settings
  const m3h = step.size * d.typical
  if (m3h < leakMinM3h || step.size < leakMinShare) return { hold: 'too-small' }
  const ageH = (at - step.onset + 1) / ch.perHour
  const newest = (at + 1) * ch.bins - 1
  // A hose may have been opened; it is waited for as long as one runs.
  const { hydrantMinM3h, hydrantMinutes } = v.settings
  if (ageH * 60 < hydrantMinutes + 15 && Math.max(m3h, recentRise(v, d, newest, 2)) >= hydrantMinM3h) return { hold: 'may-be-a-hydrant' }
  const draw = drawSeen(v, d, newest)
  if (draw !== undefined) return { hold: draw.over ? 'draw-ended' : 'may-be-a-hydrant', draw }
  if (ch.name === 'inflow') {
    if (ageH < 6 && recentRise(v, d, newest, 2) < 0.4 * m3h) return { hold: 'flow-back' }
    const meter = wrongMeter(v, d, step)
    if (meter !== undefined) return { hold: 'meter-may-read-wrong', meter }
    if (sharedRise(v, d, step) > 0.6) return { hold: 'shared-by-districts' }
    if (mayBeHoliday(v, d, step.onset, at)) return { hold: 'may-be-a-holiday' }
  }
  // How a holiday moves one district's demand is known in the mean only.
  const special = v.town.calendar.special.has(localBin(d.timezone, newest).day)
  const verdict = against(v, d, step, ageH, special, weigh(v, ch, d, step, at))
  return 'hold' in verdict ? { ...verdict, weighed: true } : verdict
}

/** A leak worth saying is left when the rival is allowed beside it. */
function remains(v: View, d: District, size: number, rival: Explanation): boolean {
  const { leakMinM3h, leakMinShare } = v.settings
  return rival.beside >= BESIDE_Z && rival.besideSize >= Math.max(leakMinShare, leakMinM3h / d.typical, 0.5 * size)
}

function against(v: View, d: District, step: StepFound, ageH: number, special: boolean, r: Rivals): Verdict {
  const { nightShiftMaxShare, leakMinShare } = v.settings
  const joint = step.joint === true
  if (!(r.leak.z > (joint ? FLOW_MIN_Z - 0.5 : CONFIRM_Z))) return { hold: 'not-confirmed' }
  const size = joint ? step.size : r.leak.size
  // As long as nothing but nights was seen since, the two look alike.
  const alike = ageH < FIRST_NIGHT_H || Math.abs(r.nightUse.beside) < ALIKE_Z
  const night = r.nightUse.z ** 2 - r.leak.z ** 2 > 2 * (alike ? FIRST_NIGHT_LLR : NIGHT_LLR)
  const least = size - SIZE_SD * (joint ? step.sd : r.leak.sd)
  if (least < nightShiftMaxShare && night && !remains(v, d, size, r.nightUse)) return { hold: 'may-be-use-at-night' }
  if ((ageH >= 12 || special) && r.growth.z > r.leak.z && !remains(v, d, size, r.growth)) return { hold: 'demand-has-grown' }
  if (ageH <= 48 && r.draw.z ** 2 > r.leak.z ** 2 + 2 * ENDED_LLR) return { hold: 'flow-back' }
  const sudden = ageH <= FRESH_H || r.leak.z ** 2 > r.ramp.z ** 2 + 2 * SUDDEN_LLR
  const growth = d.leaks.some((l) => l.kind === 'leak') && r.ramp.z ** 2 > r.leak.z ** 2
  return { said: { kind: sudden ? 'burst' : 'leak', z: Math.max(r.leak.z, step.z), size: Math.max(size, leakMinShare), joint, growth } }
}

// What else could it be? Each explanation is a time course of unknown size, weighed by the same filter: a leak since its onset; extra use
// in the same hours of every night; demand that grew in proportion; a draw that has ended; slow growth since long before.
import { createStepFilter, type Explanation, explain, type StepFound } from '../../statistics/step-filter.ts'
import { type Channel, lookback } from './channel.ts'
import { BINS_PER_HOUR, type District, hourOf } from './district.ts'
import type { View } from './town.ts'

export interface Rivals {
  leak: Explanation
  ramp: Explanation
  nightUse: Explanation
  growth: Explanation
  draw: Explanation
}

/** Local hours at which a night shift or night irrigation may begin and end. */
const SHIFT_START = [20, 21, 22, 23]
const SHIFT_END = [4, 5, 6, 7]
/** Use at night may have begun so many hours before the onset; or after it, because a step that looks for its onset finds one in the day before. */
const BEGUN_BEFORE_H = [-10, 6, 30, 54, 102]
/** A draw may have ended this many steps ago. */
const GONE = [1, 2, 3, 4, 6, 8, 12, 16, 24]
/** Growth may have begun this many times the step's age before the onset; the exponent is that of a crack that opens. */
const RAMPS = [0.5, 1, 2]
const RAMP_POWER = 1.5
/** Explanations this close in log-likelihood cannot be told apart. */
const AS_LIKELY_LLR = 1

type Shape = (step: number) => number

function nightShapes(onset: number, last: number, perHour: number, hour: (step: number) => number): Shape[] {
  const shapes: Shape[] = []
  // This night alone, which is all that is known of a first one: since each half hour of the evening.
  for (let half = 0; half < 2 * SHIFT_START.length; half++) {
    const start = (SHIFT_START[0] as number) + Math.floor(half / 2)
    let from = last
    while (from > last - 14 * perHour && hour(from) !== start) from -= 1
    if (hour(from) !== start) continue
    while (hour(from - 1) === start) from -= 1
    const since = half % 2 === 1 ? from + Math.floor(perHour / 2) : from
    shapes.push((b) => (b >= since && (hour(b) >= 19 || hour(b) < 7) ? 1 : 0))
  }
  for (const h of BEGUN_BEFORE_H) {
    const from = onset - h * perHour
    if (from > last) continue
    for (const s of SHIFT_START) for (const e of SHIFT_END) shapes.push((b) => (b >= from && (hour(b) >= s || hour(b) < e) ? 1 : 0))
  }
  return shapes
}

/** Weighs a step at `last` and its rivals over the look-back. */
export function weigh(v: View, ch: Channel, d: District, step: StepFound, last: number): Rivals {
  const from = lookback(ch, d, last)
  const observations = []
  for (let b = from; b <= last; b++) {
    const o = ch.observe(v, d, b)
    // Leaks already known are not weighed again: at the size they had before this step.
    for (const l of d.leaks) if (b * ch.bins >= l.onsetBin) o.residual -= l.size
    observations.push(o)
  }
  const { perHour } = ch
  const scale = new Map(observations.map((o) => [o.bin, o.scale]))
  const hours = new Map<number, number>()
  const hour = (b: number) => {
    let h = hours.get(b)
    if (h === undefined) {
      h = hourOf(d.timezone, (b * BINS_PER_HOUR) / perHour)
      hours.set(b, h)
    }
    return h
  }
  const { onset } = step
  const age = last - onset + 1
  const groups: Record<keyof Rivals, Shape[]> = {
    leak: [(b) => (b >= onset ? 1 : 0)],
    growth: [(b) => (b >= onset ? (scale.get(b) ?? 1) : 0)],
    ramp: RAMPS.map((r) => {
      const begin = onset - age * r
      return (b: number) => (b > begin ? ((b - begin) / (last - begin)) ** RAMP_POWER : 0)
    }),
    draw: GONE.filter((g) => last - g >= onset).map((g) => (b: number) => (b >= onset && b <= last - g ? 1 : 0)),
    nightUse: nightShapes(onset, last, perHour, hour),
  }
  const names = Object.keys(groups) as (keyof Rivals)[]
  const found = explain(
    createStepFilter(ch.model(d)),
    ch.model(d),
    observations,
    names.flatMap((n) => groups[n]),
  )
  const leak = found[0] as Explanation
  const none: Explanation = { z: 0, size: 0, sd: Number.POSITIVE_INFINITY, beside: leak.z, besideSize: leak.size }
  let at = 0
  const out = {} as Rivals
  for (const n of names) {
    const part = found.slice(at, at + groups[n].length)
    out[n] = n === 'nightUse' ? plausible(part, none) : part.reduce((a, x) => (x.z > a.z ? x : a), none)
    at += groups[n].length
  }
  out.leak = leak
  return out
}

/** Of the explanations about as likely as the best one, that which leaves least of the leak. */
function plausible(list: readonly Explanation[], none: Explanation): Explanation {
  const best = list.reduce((z, x) => Math.max(z, x.z), 0)
  const least = best * best - 2 * AS_LIKELY_LLR
  return list.reduce((a, x) => (x.z > 0 && x.z * x.z >= least && (a === none || x.beside < a.beside) ? x : a), none)
}

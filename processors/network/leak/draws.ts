// Fire hoses, flushing and tank filling: large, and over within an hour or so. A burst of that size is waited for as long.
import { expectedAt } from './common.ts'
import { BIN_MS, BINS_PER_HOUR, type District, MASK, maskBins, netAt } from './district.ts'
import { known, type View } from './town.ts'

export interface Draw {
  from: number
  to: number
  /** It has ended; else it is too young to be told from a burst. */
  over: boolean
}

/** Search for draws back to this many bins: six hours. */
const DRAW_BINS = 6 * BINS_PER_HOUR
const BIN_MINUTES = BIN_MS / 60_000

/** Inflow above the baseline and the known leaks, m3/h; NaN when unknown. */
export function riseAt(v: View, d: District, bin: number): number {
  return netAt(d, bin) - expectedAt(d, bin, v.town.calendar).flow - known(d, bin)
}

/** Mean rise of the newest `n` bins. */
export function recentRise(v: View, d: District, bin: number, n: number): number {
  let sum = 0
  let k = 0
  for (let b = bin; b > bin - n; b--) {
    const r = riseAt(v, d, b)
    if (!Number.isFinite(r)) continue
    sum += r
    k += 1
  }
  return k === 0 ? Number.NaN : sum / k
}

/** A draw as large as a hydrant's in the last hours that is over, or that may yet end as one. */
export function drawSeen(v: View, d: District, newest: number): Draw | undefined {
  const { hydrantMinM3h, hydrantMinutes } = v.settings
  const first = newest - DRAW_BINS + 1
  const rise = Array.from({ length: DRAW_BINS }, (_, i) => riseAt(v, d, first + i))
  const scale = expectedAt(d, newest, v.town.calendar).flow / d.typical
  const sd = d.typical * Math.sqrt(d.noise.white * scale + (d.noise.hourSd * scale) ** 2)
  const top = Math.max(0, ...rise.filter(Number.isFinite))
  // In a large district a hose does not stand out; then it is no alarm either.
  if (top < hydrantMinM3h || top < 4 * sd) return undefined
  const begin = rise.findIndex((x) => x >= 0.5 * top)
  const end = rise.findLastIndex((x) => x >= 0.5 * top)
  const draw = { from: first + begin - 1, to: first + end + 1 }
  const minutes = (end - begin + 1) * BIN_MINUTES
  const over = end < DRAW_BINS - 1 && !Number.isNaN(rise.at(-1))
  if (over) return minutes <= hydrantMinutes + 2 * BIN_MINUTES ? { ...draw, over: true } : undefined
  return minutes < hydrantMinutes + BIN_MINUTES ? { ...draw, over: false } : undefined
}

/** What is announced is not judged: from its time, once it is known. */
export function maskAnnounced(v: View, d: District, bin: number): void {
  for (const o of v.town.announced) {
    if (o.zone !== d.zone || !(o.kind === 'hydrant' || o.kind === 'valve' || o.kind === 'pump')) continue
    if (bin >= Math.floor(o.startMs / BIN_MS) - 1 && bin <= Math.ceil(o.endMs / BIN_MS) + 1) maskBins(d, bin, bin, MASK.operation)
  }
}

// Follows the energy missing at each transformer from the moment it begins to be missing, and how closely it moves with each meter.
import { HOUR_MS } from '#model/time.ts'
import type { Compared } from './balance.ts'
import { carryColumn, type PowerLayout } from './layout.ts'

/** Memory of the mean that says when it begins, and of the sums, hours. */
const FAST_H = 3
const SUMS_H = 96
/** Below half of the limit for this long, hours, and it has ended. */
const QUIET_H = 24

/** Columns by transformer, and three sums by meter. Plain data. */
export interface Missing {
  transformers: string[]
  meters: string[]
  fastKw: Float64Array
  /** When it began to be missing; 0 when it is not. */
  riseMs: Float64Array
  quietH: Float32Array
  /** Sums over compared intervals since then: hours, missing, missing². */
  sums: Float64Array
  /** By meter: power, power², power × missing. */
  own: Float64Array
  /** By meter: kW missing for each kW that a meter known as led past still shows; 0 for the others. Taken off before others are asked. */
  led: Float32Array
  /** Mean of the last day: what is missing in all, and what the meters known as led past explain of it, kW. */
  rawKw: Float64Array
  explainedKw: Float64Array
}

const T = 3
const M = 3
const DAY_H = 24

export function createMissing(layout: PowerLayout, old?: Missing): Missing {
  const nt = layout.transformers.length
  const m: Missing = {
    transformers: layout.transformers.map((t) => t.id),
    meters: layout.ids,
    fastKw: new Float64Array(nt),
    riseMs: new Float64Array(nt),
    quietH: new Float32Array(nt),
    sums: new Float64Array(nt * T),
    own: new Float64Array(layout.ids.length * M),
    led: new Float32Array(layout.ids.length),
    rawKw: new Float64Array(nt),
    explainedKw: new Float64Array(nt),
  }
  if (old !== undefined) {
    // The sums begin anew: with other meters below, they would compare unlike things.
    for (const c of ['fastKw', 'rawKw', 'explainedKw'] as const) carryColumn(old.transformers, old[c], m.transformers, m[c])
    carryColumn(old.meters, old.led, m.meters, m.led)
  }
  return m
}

/** Takes one complete interval in. `limitKw`: what counts as missing. */
export function follow(s: Missing, layout: PowerLayout, c: Compared, limitKw: number): void {
  const { t } = c
  const customers = layout.transformers[t]?.customers ?? []
  let explained = 0
  for (const i of customers) {
    const led = s.led[i] as number
    if (led > 0) explained += (led * c.valueKwh(i)) / c.hours
  }
  const daily = Math.min(1, c.hours / DAY_H)
  s.rawKw[t] = (s.rawKw[t] as number) + (c.unexplainedKw - (s.rawKw[t] as number)) * daily
  s.explainedKw[t] = (s.explainedKw[t] as number) + (explained - (s.explainedKw[t] as number)) * daily
  const e = c.unexplainedKw - explained
  const fast = (s.fastKw[t] as number) + (e - (s.fastKw[t] as number)) * Math.min(1, c.hours / FAST_H)
  s.fastKw[t] = fast
  if (s.riseMs[t] === 0) {
    if (fast <= limitKw) return
    s.riseMs[t] = c.endMs - FAST_H * HOUR_MS * 0.5
    forget(s, t, customers)
  } else if (fast < limitKw / 2) {
    s.quietH[t] = (s.quietH[t] as number) + c.hours
    if ((s.quietH[t] as number) >= QUIET_H) {
      s.riseMs[t] = 0
      return
    }
  } else s.quietH[t] = 0
  const keep = 1 - c.hours / SUMS_H
  const terms = [c.hours, c.hours * e, c.hours * e * e]
  for (let k = 0; k < T; k++) s.sums[t * T + k] = (s.sums[t * T + k] as number) * keep + (terms[k] as number)
  for (const i of customers) {
    const kw = c.valueKwh(i) / c.hours
    const at = i * M
    s.own[at] = (s.own[at] as number) * keep + c.hours * kw
    s.own[at + 1] = (s.own[at + 1] as number) * keep + c.hours * kw * kw
    s.own[at + 2] = (s.own[at + 2] as number) * keep + c.hours * kw * e
  }
}

function forget(s: Missing, t: number, customers: readonly number[]): void {
  s.quietH[t] = 0
  s.sums.fill(0, t * T, (t + 1) * T)
  for (const i of customers) s.own.fill(0, i * M, (i + 1) * M)
}

/** Meter `i` is known: what it leads past is taken off from now on, and another one can be found. */
export function settle(s: Missing, layout: PowerLayout, t: number, i: number, share: number): void {
  s.led[i] = share / (1 - share)
  s.riseMs[t] = 0
  s.fastKw[t] = 0
  s.explainedKw[t] = s.rawKw[t] as number
  forget(s, t, layout.transformers[t]?.customers ?? [])
}

/** What the meters known as led past explain is missing no more: less than half of it, over the last day. */
export function closed(s: Missing, t: number): boolean {
  return (s.rawKw[t] as number) < 0.5 * (s.explainedKw[t] as number)
}

export interface Suspect {
  i: number
  correlation: number
  /** Share of the meter's load that the missing energy would be. */
  share: number
  missingKw: number
  hours: number
}

/** Meters of a transformer by how closely the missing energy follows them; empty when nothing is missing, or not for long enough. */
export function suspects(s: Missing, layout: PowerLayout, t: number, hoursMin: number): Suspect[] {
  const w = s.sums[t * T] as number
  if (s.riseMs[t] === 0 || w < hoursMin) return []
  const mean = (s.sums[t * T + 1] as number) / w
  const variance = (s.sums[t * T + 2] as number) / w - mean * mean
  if (mean <= 0 || variance <= 1e-9) return []
  const out: Suspect[] = []
  for (const i of layout.transformers[t]?.customers ?? []) {
    const own = (s.own[i * M] as number) / w
    const ownVariance = (s.own[i * M + 1] as number) / w - own * own
    if (ownVariance <= 1e-9) continue
    const covariance = (s.own[i * M + 2] as number) / w - own * mean
    const slope = covariance / ownVariance
    out.push({
      i,
      correlation: covariance / Math.sqrt(ownVariance * variance),
      share: slope > 0 ? slope / (1 + slope) : 0,
      missingKw: mean,
      hours: w,
    })
  }
  return out.sort((a, b) => b.correlation - a.correlation || a.i - b.i)
}

/** Mean missing power of the last days, when something is missing. */
export function unexplained(s: Missing, t: number): { kw: number } | undefined {
  const w = s.sums[t * T] as number
  if (s.riseMs[t] === 0 || w <= 0) return undefined
  const kw = (s.sums[t * T + 1] as number) / w
  return kw > 0 ? { kw } : undefined
}

// When supply will be back: told by the past of outages of the same scope here, and by a prior while there is little of it.
import { MINUTE_MS } from '#model/time.ts'
import type { DetectorContext } from '../../fold.ts'
import type { OutageSettings } from './settings.ts'

/** Minutes that lasted sustained outages, newest last, by scope. */
export type Durations = Record<'feeder' | 'transformer' | 'premise', number[]>

/** Remembered by scope: about two years of a busy feeder. */
const DURATIONS_MAX = 32
/** Weight of the prior, in outages. */
const PRIOR_OUTAGES = 4

export interface Estimate {
  minutes: number
  atMs: number
  /** `history`, `prior`, or `planned-operation`. */
  rests: string
  /** Outages of this scope that it rests on. */
  outages: number
}

export function noDurations(): Durations {
  return { feeder: [], transformer: [], premise: [] }
}

export function remember(d: Durations, scope: keyof Durations, minutes: number): void {
  d[scope].push(Math.max(1, Math.round(minutes)))
  if (d[scope].length > DURATIONS_MAX) d[scope].shift()
}

/**
 * Median of past durations, on a log scale drawn to the prior by its weight of four outages (durations are near log-normal, so few
 * of them say little). One that has already lasted longer than the estimate is expected to last half as long again as it has: the
 * conditional median of a long-tailed duration grows with its age. Rounded up to five minutes, so that it does not move with every word.
 */
export function estimateFor(
  d: Durations,
  scope: string,
  plannedEndMs: number | undefined,
  startMs: number,
  ctx: DetectorContext<OutageSettings>,
): Estimate {
  const { settings: cfg, nowMs } = ctx
  const past = scope === 'feeder' || scope === 'transformer' || scope === 'premise' ? d[scope] : []
  const prior = scope === 'feeder' ? cfg.priorFeederMin : scope === 'transformer' ? cfg.priorTransformerMin : cfg.priorPremiseMin
  if (plannedEndMs !== undefined && plannedEndMs > nowMs) {
    return { minutes: Math.round((plannedEndMs - startMs) / MINUTE_MS), atMs: plannedEndMs, rests: 'planned-operation', outages: 0 }
  }
  const sorted = [...past].sort((a, b) => a - b)
  const n = sorted.length
  const median = n === 0 ? prior : Math.sqrt((sorted[(n - 1) >> 1] as number) * (sorted[n >> 1] as number))
  const minutes = Math.exp((n * Math.log(median) + PRIOR_OUTAGES * Math.log(prior)) / (n + PRIOR_OUTAGES))
  const age = (nowMs - startMs) / MINUTE_MS
  const total = age < minutes ? minutes : age * 1.5
  const step = 5 * MINUTE_MS
  const atMs = Math.ceil((startMs + total * MINUTE_MS) / step) * step
  return { minutes: Math.round(total), atMs, rests: n === 0 ? 'prior' : 'history', outages: n }
}

// Each meter's own rhythm: how old its newest read usually is when the next one arrives, how far its clock is off, how little it uses.
import type { OutageSettings } from './settings.ts'
import { AGES, LAGS, type Meters } from './state.ts'

/** Share of readings below the tracked base load, and the step of the tracker. */
const BASE_QUANTILE = 0.1
const BASE_STEP = 0.05
/** A younger arrival belongs to the same batch: it says nothing about how often batches come. */
const BATCH_SHARE = 0.5

/** Notes a new newest read (`tsMs` by the meter's clock) and sets the next deadline. */
export function advance(m: Meters, i: number, tsMs: number, arrivalMs: number, cfg: OutageSettings): void {
  const last = m.lastTsMs[i] as number
  const turn = m.turn[i] as number
  let ageTurn = turn & 15
  let lagTurn = turn >> 4
  if (last > 0 && arrivalMs - (m.lastArrivalMs[i] as number) >= (m.stepMs[i] as number) * BATCH_SHARE) {
    m.ages[i * AGES + ageTurn] = Math.max(1, (arrivalMs - last) / 1000)
    ageTurn = (ageTurn + 1) % AGES
  }
  m.lags[i * LAGS + lagTurn] = (arrivalMs - tsMs) / 1000
  lagTurn = (lagTurn + 1) % LAGS
  m.turn[i] = (lagTurn << 4) | ageTurn
  m.lastTsMs[i] = tsMs
  m.lastArrivalMs[i] = arrivalMs
  m.deadlineMs[i] = tsMs + usualAgeMs(m, i, cfg) + graceMs(m, i, cfg)
}

function graceMs(m: Meters, i: number, cfg: OutageSettings): number {
  return Math.max(cfg.graceMinS * 1000, cfg.graceShare * (m.stepMs[i] as number))
}

/**
 * How old the newest read usually gets before the next one arrives, ms: the second largest of the last eight, so that one gap or one
 * late read changes nothing; an interval and the usual delay until there are four.
 */
export function usualAgeMs(m: Meters, i: number, cfg: OutageSettings): number {
  let first = 0
  let second = 0
  let n = 0
  for (let k = i * AGES; k < (i + 1) * AGES; k++) {
    const age = m.ages[k] as number
    if (age <= 0) continue
    n += 1
    if (age > first) {
      second = first
      first = age
    } else if (age > second) second = age
  }
  const fresh = (m.stepMs[i] as number) + cfg.delayS * 1000
  return n < AGES / 2 ? fresh : Math.max(second * 1000, m.stepMs[i] as number)
}

/** How late the meter's clock is, ms: the smallest lag of its newest reads, when it is too large for a delay and too small for a slow collection. */
export function clockOffsetMs(m: Meters, i: number, cfg: OutageSettings): number {
  let least = Number.POSITIVE_INFINITY
  for (let k = i * LAGS; k < (i + 1) * LAGS; k++) {
    const lag = m.lags[k] as number
    if (lag < least) least = lag
  }
  if (least === Number.POSITIVE_INFINITY) return 0
  const size = Math.abs(least)
  return (least < -1 || size > cfg.clockToleranceS) && size <= cfg.clockOffsetMaxS ? least * 1000 : 0
}

/** True time of something that a meter dated `tsMs`; never after its arrival. */
export function trueTimeMs(m: Meters, i: number, tsMs: number, arrivalMs: number, cfg: OutageSettings): number {
  return Math.min(tsMs + clockOffsetMs(m, i, cfg), arrivalMs)
}

/**
 * True time of an event, ms. Events are sent at once, so a date shortly before the arrival is believed; else the meter's known clock
 * error is taken off; a date in the future is the arrival; what is left is a message that was kept somewhere and came late.
 */
export function eventTimeMs(m: Meters, i: number, tsMs: number, arrivalMs: number, cfg: OutageSettings): number {
  const tolerance = cfg.clockToleranceS * 1000
  const lag = arrivalMs - tsMs
  if (lag >= 0 && lag <= tolerance) return tsMs
  const offset = clockOffsetMs(m, i, cfg)
  const corrected = tsMs + offset
  if (offset !== 0 && Math.abs(arrivalMs - corrected) <= tolerance) return Math.min(corrected, arrivalMs)
  return lag < 0 ? arrivalMs : tsMs
}

/** True time of the newest read. */
export function lastTrueMs(m: Meters, i: number, cfg: OutageSettings): number {
  const last = m.lastTsMs[i] as number
  return last === 0 ? 0 : last + clockOffsetMs(m, i, cfg)
}

/** What the register did over a gap. */
export type Flatness = 'flat' | 'counting' | 'unknown'

/** Notes an import register, kWh after the multiplier, and says what it did since the last one. */
export function advanceRegister(m: Meters, i: number, tsMs: number, value: number, cfg: OutageSettings): Flatness {
  const from = m.valueTsMs[i] as number
  const kwh = (value - (m.value[i] as number)) * (m.multiplier[i] as number)
  m.value[i] = value
  m.valueTsMs[i] = tsMs
  if (from === 0 || tsMs <= from || kwh < 0) return 'unknown'
  const hours = (tsMs - from) / 3_600_000
  const missed = Math.round((tsMs - from) / (m.stepMs[i] as number)) - 1
  const base = m.baseKw[i] as number
  if (missed < 1) {
    const kw = kwh / hours
    // Stochastic quantile: the step shrinks with the level, so that it settles.
    const scale = BASE_STEP * Math.max(base, (m.resolutionKwh[i] as number) / hours)
    m.baseKw[i] = base === 0 ? kw / 2 : Math.max(0, base + scale * (kw < base ? BASE_QUANTILE - 1 : BASE_QUANTILE))
    return 'unknown'
  }
  const expected = base * hours
  if (missed < cfg.flatReadsMin || expected < cfg.flatStepsMin * (m.resolutionKwh[i] as number)) return 'unknown'
  if (kwh < expected * cfg.flatShareMax) return 'flat'
  return kwh >= expected ? 'counting' : 'unknown'
}

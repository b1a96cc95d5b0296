// One instantaneous value: in range, in line with its neighbours, alive? What is not becomes `suspect`: stored and shown, never lost.
import { QUANTITIES } from '#model/quantity.ts'
import { NEW } from './dedupe.ts'
import type { Judged } from './registers.ts'
import type { Work } from './state.ts'

/** States and percentages that rest and leap by nature. */
const DISCRETE = new Set<string>(['pump_running', 'valve_open_pct', 'battery_pct', 'battery_v', 'rssi_dbm'])
/** Values before the rules of stand-still and leaps may speak. */
const HISTORY_MIN = 96
/** The usual step is a mean over about this many. */
const STEP_MEMORY = 64
/** Two values agree within this many usual steps. */
const AGREE_STEPS = 5
/** A dead or overloaded sensor's number needs this many usual steps to be a leap. */
const SENTINEL_STEPS = 10
const STUCK_FACTOR = 4

const GOOD: Judged = { quality: 'good', rules: [] }
const LATE: Judged = { quality: 'late', rules: ['late'] }
const RANGE: Judged = { quality: 'suspect', rules: ['range'] }
const SPIKE: Judged = { quality: 'suspect', rules: ['spike'] }
const STUCK: Judged = { quality: 'suspect', rules: ['stuck'] }

/** Exactly zero, or nothing but nines: what instruments send when they have nothing to say. */
export function isSentinel(value: number): boolean {
  return value === 0 || /^9+(\.9+)?$/.test(String(Math.abs(value)))
}

/** Judges an admitted value and learns from it. */
export function judgeValue(w: Work, verdict: number, value: number): Judged {
  const { t, row, c } = w
  if (value < c.rangeFrom || value > c.rangeTo) return RANGE
  if (verdict !== NEW) return LATE
  if (DISCRETE.has(QUANTITIES[t.code[row] as number] as string)) return GOOD
  const good = t.good[row] as number
  if (Number.isNaN(good)) {
    t.good[row] = value
    return GOOD
  }
  const usual = t.stepMean[row] as number
  const known = (t.learnt[row] as number) >= HISTORY_MIN
  const leap = Math.abs(value - good)
  const held = t.held[row] as number
  if (known && isLeap(w, good, value, leap) && !(Math.abs(value - held) <= Math.max(AGREE_STEPS * usual, Math.abs(held) * 0.05))) {
    t.held[row] = value
    return SPIKE
  }
  t.held[row] = Number.NaN
  t.good[row] = value
  const n = (t.learnt[row] as number) + 1
  t.learnt[row] = n
  t.stepMean[row] = usual + (Math.min(leap, known ? SENTINEL_STEPS * usual + 1e-9 : leap) - usual) / Math.min(n, STEP_MEMORY)
  return still(w, leap, known) ? STUCK : GOOD
}

function isLeap(w: Work, good: number, value: number, leap: number): boolean {
  const usual = w.t.stepMean[w.row] as number
  if (isSentinel(value) && leap > SENTINEL_STEPS * usual) return true
  return leap > Math.max(w.s.jumpFactor * usual, w.s.jumpShare * Math.abs(good))
}

/** Counts equal values in a row; true when the run is far longer than any before. */
function still(w: Work, leap: number, known: boolean): boolean {
  const { t, row } = w
  if (leap !== 0) {
    const run = t.run[row] as number
    const wasStuck = known && run >= Math.max(w.s.stuckReadings, STUCK_FACTOR * (t.runMax[row] as number))
    if (!wasStuck && run > (t.runMax[row] as number)) t.runMax[row] = run
    t.run[row] = 0
    return false
  }
  t.run[row] = (t.run[row] as number) + 1
  return known && (t.run[row] as number) >= Math.max(w.s.stuckReadings, STUCK_FACTOR * (t.runMax[row] as number))
}

// One instantaneous value: in range, in line with its neighbours, alive? What is not becomes `suspect`: stored and shown, never lost.
import { QUANTITIES } from '#model/quantity.ts'
import type { Judged } from './accept.ts'
import { NEW } from './dedupe.ts'
import { DAYS } from './series.ts'
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
/** A leap that was confirmed this often is how the thing works: a pump that starts and stops. */
const HABIT_MIN = 5
/** Leaps up to this multiple of the usual confirmed one belong to the habit. */
const HABIT_SIZE = 1.5

const GOOD: Judged = { quality: 'good', rules: [] }
const LATE: Judged = { quality: 'late', rules: ['late'] }
const LATE_SPIKE: Judged = { quality: 'suspect', rules: ['late', 'spike'] }
const RANGE: Judged = { quality: 'suspect', rules: ['range'] }
const SPIKE: Judged = { quality: 'suspect', rules: ['spike'] }
const STUCK: Judged = { quality: 'suspect', rules: ['stuck'] }

/** Exactly zero, or nothing but nines: what instruments send when they have nothing to say. */
export function isSentinel(value: number): boolean {
  return value === 0 || /^9+(\.9+)?$/.test(String(Math.abs(value)))
}

// Values have no table of their own: they use columns that only registers fill. `dayEdge`: the last good value and one that waits for the next;
// `useMean`: the usual step; `levelSeen` and `levelExpected`: equal values in a row now and at most; `flatMaxMs`: mean size of confirmed
// leaps, counted in `maxRev`.
const GOOD_AT = 0
const HELD_AT = 1

/** Judges an admitted value and learns from it. */
export function judgeValue(w: Work, verdict: number, value: number): Judged {
  const { t, row, c } = w
  if (value < c.rangeFrom || value > c.rangeTo) return RANGE
  if (DISCRETE.has(QUANTITIES[t.code[row] as number] as string)) return verdict === NEW ? GOOD : LATE
  if (verdict !== NEW) return isLateSentinel(w, value) ? LATE_SPIKE : LATE
  const good = t.dayEdge[row * DAYS + GOOD_AT] as number
  if (Number.isNaN(good)) {
    t.dayEdge[row * DAYS + GOOD_AT] = value
    return GOOD
  }
  const usual = t.useMean[row] as number
  const known = (t.learnt[row] as number) >= HISTORY_MIN
  const leap = Math.abs(value - good)
  const held = t.dayEdge[row * DAYS + HELD_AT] as number
  if (known && isLeap(w, good, value, leap) && !(Math.abs(value - held) <= Math.max(AGREE_STEPS * usual, Math.abs(held) * 0.05))) {
    t.dayEdge[row * DAYS + HELD_AT] = value
    return SPIKE
  }
  if (!Number.isNaN(held) && leap > 0) confirmLeap(w, leap)
  t.dayEdge[row * DAYS + HELD_AT] = Number.NaN
  t.dayEdge[row * DAYS + GOOD_AT] = value
  const n = (t.learnt[row] as number) + 1
  t.learnt[row] = n
  t.useMean[row] = usual + (Math.min(leap, known ? SENTINEL_STEPS * usual + 1e-9 : leap) - usual) / Math.min(n, STEP_MEMORY)
  return still(w, leap, known) && value !== 0 ? STUCK : GOOD
}

/** Judged against now: among late ones only an instrument's empty number is plain enough. */
function isLateSentinel(w: Work, value: number): boolean {
  const { t, row } = w
  if ((t.learnt[row] as number) < HISTORY_MIN || !isSentinel(value)) return false
  const leap = Math.abs(value - (t.dayEdge[row * DAYS + GOOD_AT] as number))
  return leap > SENTINEL_STEPS * (t.useMean[row] as number) && !isHabit(w, leap)
}

function confirmLeap(w: Work, leap: number): void {
  const { t, row } = w
  if (!isLeap(w, t.dayEdge[row * DAYS + GOOD_AT] as number, (t.dayEdge[row * DAYS + GOOD_AT] as number) + leap, leap)) return
  const n = Math.min(STEP_MEMORY, t.maxRev[row] as number)
  t.flatMaxMs[row] = (t.flatMaxMs[row] as number) + (leap - (t.flatMaxMs[row] as number)) / n
  t.maxRev[row] = n + 1
}

function isHabit(w: Work, leap: number): boolean {
  return (w.t.maxRev[w.row] as number) > HABIT_MIN && leap <= HABIT_SIZE * (w.t.flatMaxMs[w.row] as number)
}

function isLeap(w: Work, good: number, value: number, leap: number): boolean {
  const usual = w.t.useMean[w.row] as number
  if (isHabit(w, leap)) return false
  if (isSentinel(value) && leap > SENTINEL_STEPS * usual) return true
  return leap > Math.max(w.s.jumpFactor * usual, w.s.jumpShare * Math.abs(good))
}

/** Counts equal values in a row; true when the run is far longer than any before. */
function still(w: Work, leap: number, known: boolean): boolean {
  const { t, row } = w
  if (leap !== 0) {
    const run = t.levelSeen[row] as number
    const wasStuck = known && run >= Math.max(w.s.stuckReadings, STUCK_FACTOR * (t.levelExpected[row] as number))
    if (!wasStuck && run > (t.levelExpected[row] as number)) t.levelExpected[row] = run
    t.levelSeen[row] = 0
    return false
  }
  t.levelSeen[row] = (t.levelSeen[row] as number) + 1
  return known && (t.levelSeen[row] as number) >= Math.max(w.s.stuckReadings, STUCK_FACTOR * (t.levelExpected[row] as number))
}

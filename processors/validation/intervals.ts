// From believed steps of a register to intervals. Two neighbouring reads give actual intervals at once; everything else is covered by a
// gap, which speaks a few minutes later.

import { QUANTITIES, type Quantity } from '#model/quantity.ts'
import { tally } from './balance.ts'
import { cover } from './cover.ts'
import { addActual, dayOf, publishDays } from './days.ts'
import { ringPos } from './dedupe.ts'
import type { GapCause } from './gap.ts'
import { learn } from './profile.ts'
import { outlet } from './publish.ts'
import { remember } from './recent.ts'
import { tidy } from './register.ts'
import { isSpike, peakAfter } from './rules/spike.ts'
import { DAYS, OPEN, STUCK, USED } from './series.ts'
import { fired, isHoliday, isLearnt, snap, units, type Work, wake, wholeMs } from './state.ts'
import { bandOf } from './tou.ts'

/** One believed step of a register. */
export interface Advance {
  fromMs: number
  fromValue: number
  toMs: number
  toValue: number
  /** Register units; NaN when the register cannot tell. */
  delta: number
  cause: GapCause | 'rollover'
  /** Intervals said before that the step takes back: those remembered, or those of a stand-still. */
  takeBack: 'nothing' | 'recent' | 'still'
  /** With takeBack `recent`: register units between the last boundary and the earlier read. */
  carryIn?: number
}

const NONE: readonly string[] = []
const OFF_GRID: readonly string[] = ['interpolated']
const SPIKE: readonly string[] = ['spike']
const ROLLOVER: readonly string[] = ['rollover']
const HOUR_MS = 3_600_000

/** Takes a believed step. Its later read is the row's last believed one already. */
export function advance(w: Work, a: Advance): void {
  const t0 = snap(w.c, a.fromMs)
  const t1 = snap(w.c, a.toMs)
  const plain = (a.cause === '' || a.cause === 'rollover') && a.takeBack === 'nothing'
  if (plain && t1 - t0 <= wholeMs(w.c) && ((w.t.flags[w.row] as number) & (STUCK | OPEN)) === 0) direct(w, { t0, t1 }, a.delta, a.cause)
  else {
    cover(w, a, t0, t1)
    if (!(a.delta === 0)) w.t.flatSinceMs[w.row] = t1
  }
}

/** Intervals between two neighbouring reads less than a gap apart. `delta` in register units. */
export function direct(w: Work, at: { t0: number; t1: number }, delta: number, cause: string): void {
  const { t, row, c } = w
  const { t0, t1 } = at
  const interval = c.intervalMs
  const first = Math.floor(t0 / interval) * interval + interval
  if (first === t1 && t0 === first - interval) {
    actual(w, t0, tidy(delta, c.scale), cause === 'rollover' ? ROLLOVER : NONE)
  } else if (t1 <= t0) {
    // Two reads at one boundary: what lies between them belongs to the interval after it.
    t.carry[row] = (t.carry[row] as number) + delta
  } else {
    let from = t0
    let carry = t.carry[row] as number
    for (let end = first; end <= t1; end += interval) {
      actual(w, end - interval, carry + (delta * (end - from)) / (t1 - t0), cause === 'rollover' ? ROLLOVER : OFF_GRID)
      carry = 0
      from = end
    }
    t.carry[row] = carry + (delta * (t1 - from)) / (t1 - t0)
  }
  if (delta === 0) return
  t.maxRev[row] = 1
  t.maxDayRev[row] = 1
  const run = t0 - (t.flatSinceMs[row] as number)
  if (run > (t.flatMaxMs[row] as number)) t.flatMaxMs[row] = run
  t.flatSinceMs[row] = t1
}

function actual(w: Work, startMs: number, register: number, reasons: readonly string[]): void {
  const { t, row, c } = w
  if (startMs < (t.firstMs[row] as number)) return
  const rate = (register * HOUR_MS) / c.intervalMs
  const peak = t.peakPerHour[row] as number
  const spike = isSpike(rate, peak, w.s.spikeFactor) && isLearnt(w)
  const value = units(w, register)
  const named = spike ? [...reasons, ...SPIKE] : reasons
  if (named.length > 0) fired(w.state, w.ctx, c.class, named)
  const endMs = startMs + c.intervalMs
  w.ctx.interval(
    {
      meter: t.device[row] as string,
      quantity: QUANTITIES[t.code[row] as number] as Quantity,
      channel: t.channel[row] as string,
      startMs,
      endMs,
      value,
      status: 'actual',
      reasons: named as string[],
      rev: 1,
    },
    w.info,
  )
  if ((t.balance[row] as number) >= 0) tally(w.state.balances, t.balance[row] as number, startMs, value, 1)
  const { timezone } = w.ctx.zone.def
  const day = dayOf(timezone, startMs)
  const holiday = isHoliday(w.state, day.no)
  addActual(t, row, day.no, value, c.tou ? bandOf(w.s.tou, timezone, day, startMs, holiday) : 0)
  if (startMs === day.startMs) noteEdge(w, startMs, day.no)
  if (endMs >= day.endMs) wake(w, publishDays(t, row, outlet(w, 'late_read')))
  remember(t, row, endMs / c.intervalMs, value, 1)
  // A stand-still longer than any before may be a fault: nothing is learnt from it.
  if (register === 0 && c.neverStill && endMs - (t.flatSinceMs[row] as number) > (t.flatMaxMs[row] as number) && isLearnt(w)) return
  t.learnt[row] = (t.learnt[row] as number) + 1
  t.peakPerHour[row] = peakAfter(rate, peak, c.intervalMs)
  learn(t, row, day, holiday, startMs, rate, c.intervalMs)
}

/** Remembers what the register showed at the midnight that begins a day, when a read lies there. */
function noteEdge(w: Work, startMs: number, no: number): void {
  const { t, row, c } = w
  for (let i = (t.ringCount[row] as number) - 1; i >= 0; i--) {
    const p = ringPos(t, row, i)
    if (t.ringMark[p] !== USED || snap(c, t.ringTs[p] as number) !== startMs) continue
    t.dayEdge[row * DAYS + (no & (DAYS - 1))] = t.ringValue[p] as number
    return
  }
}

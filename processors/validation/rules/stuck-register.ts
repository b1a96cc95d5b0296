// Stuck register: it reads on but no longer counts. Zero is a true value for a meter that rests now and then; for one that never did it is a
// fault: its intervals are taken back and estimated from like days until it moves again.
import { cover, touch } from '../cover.ts'
import { lastUsed, ringPos } from '../dedupe.ts'
import { gapsOf } from '../flush.ts'
import { type Gap, gapEndMs, intervalsOf, stretch } from '../gap.ts'
import type { Advance } from '../intervals.ts'
import { expectedRate } from '../profile.ts'
import { codeOf, findRow, STUCK } from '../series.ts'
import { dayAt, isHoliday, isLearnt, snap, type Work, wake } from '../state.ts'

const HOUR_MS = 3_600_000
/** While it stands still its intervals are said in portions: neighbours have been measured by then. */
const SAY_EVERY_MS = 2 * HOUR_MS
/** Expected energy below this many steps of the register says nothing about a stand-still. */
const COUNTS_MIN = 10
/** A register that, on moving, makes up this share of what was expected has caught up: its difference is true. */
const CAUGHT_UP_SHARE = 0.5

/** Energy that like days would have used, register units; NaN when no shape is known. */
export function expectedEnergy(w: Work, fromMs: number, toMs: number): number {
  let sum = 0
  for (let a = fromMs; a < toMs; a += HOUR_MS) {
    const b = Math.min(toMs, a + HOUR_MS)
    const mid = (a + b) / 2
    const day = dayAt(w, mid)
    sum += (expectedRate(w.t, w.row, day, { holiday: isHoliday(w.state, day.no), ms: mid }) * (b - a)) / HOUR_MS
  }
  return sum
}

/** A meter that feeds in does not need to draw: its import may stand still for as long as the sun shines. */
function exportMoved(w: Work, sinceMs: number): boolean {
  const row = findRow(w.t, w.info.asset.id, codeOf('active_energy_export_kwh'), w.t.channel[w.row] as string)
  return row >= 0 && (w.t.ringCount[row] as number) > 0 && (w.t.flatSinceMs[row] as number) > sinceMs
}

/** Looks at a register that has not moved for long. To be asked only after stuckAfterMs without movement. */
export function checkStuck(w: Work): void {
  const { t, row } = w
  const sinceMs = t.flatSinceMs[row] as number
  const l = ringPos(t, row, lastUsed(t, row))
  const nowMs = snap(w.c, t.ringTs[l] as number)
  const run = nowMs - sinceMs
  if (!w.c.neverStill || !isLearnt(w) || run < w.s.stuckAfterMs || run < w.s.stuckFactor * (t.flatMaxMs[row] as number)) return
  if (exportMoved(w, sinceMs)) return
  const expected = expectedEnergy(w, sinceMs, nowMs)
  if (!(expected > COUNTS_MIN * Math.max(w.c.resolution, 1e-3))) return
  t.flags[row] = (t.flags[row] as number) | STUCK
  const value = t.ringValue[l] as number
  cover(
    w,
    { fromMs: sinceMs, fromValue: value, toMs: nowMs, toValue: value, delta: Number.NaN, cause: 'stuck_register', takeBack: 'still' },
    sinceMs,
    nowMs,
  )
}

/** A believed step of a register known to be stuck: it stands still further, or it moves and the trouble is over. */
export function advanceStuck(w: Work, a: Advance, proceed: (a: Advance) => void): void {
  const { t, row } = w
  const list = gapsOf(w)
  const g = list[list.length - 1]
  if (g === undefined || g.cause !== 'stuck_register') {
    t.flags[row] = (t.flags[row] as number) & ~STUCK
    proceed(a)
    return
  }
  const t1 = snap(w.c, a.toMs)
  if (a.delta === 0) {
    extend(w, g, t1, a.toValue)
    return
  }
  t.flags[row] = (t.flags[row] as number) & ~STUCK
  const fromMs = g.t[0] as number
  const expected = expectedEnergy(w, fromMs, snap(w.c, a.fromMs))
  if (!Number.isNaN(a.delta) && a.delta >= CAUGHT_UP_SHARE * expected) {
    // It counted inside and shows it now: the register is known at both ends.
    extend(w, g, t1, a.toValue)
    const last = g.t.length - 1
    g.t = [fromMs, g.t[last] as number]
    g.v = [g.v[0] as number, a.toValue]
    g.d = [a.delta]
    g.cause = ''
    t.flatSinceMs[row] = t1
    touch(w, g, 'stuck_register')
    return
  }
  touch(w, g)
  proceed(a)
}

function extend(w: Work, g: Gap, t1: number, value: number): void {
  const n = Math.floor((t1 - g.firstEndMs) / w.c.intervalMs) + 1
  if (n > intervalsOf(g)) stretch(g, n)
  g.t[g.t.length - 1] = Math.max(t1, gapEndMs(g, w.c.intervalMs))
  g.v[g.v.length - 1] = value
  if (g.dueMs === Number.POSITIVE_INFINITY) {
    g.touchedMs = w.ctx.nowMs
    g.dueMs = w.ctx.nowMs + SAY_EVERY_MS
    wake(w, g.dueMs)
  }
}

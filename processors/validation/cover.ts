// Covers a stretch of a register's intervals with a gap: reads are absent, were refused, or the register cannot tell across it. Takes over
// what was said of those intervals before, by open or older gaps or as actual intervals now taken back.
import type { RevisionReason } from '#model/interval.ts'
import { addAll, addTo, type Count } from './days.ts'
import { COUNT_OF, flush, gapsOf, keep } from './flush.ts'
import { type Gap, gapEndMs, intervalsOf, SAID, SAID_REV, stretch } from './gap.ts'
import type { Advance } from './intervals.ts'
import { isEditedRecently, recentRev, recentValue } from './recent.ts'
import { DAYS, OPEN } from './series.ts'
import { bandAt, dayAt, remembered, snap, type Work, wake } from './state.ts'

/** A gap speaks at the latest after this many settling times, however many late reads still come. */
const SETTLE_LIMIT = 12

/** Asks for a gap's intervals to be spoken of when its reads have settled, but not later than a dozen times that. `why` is for those said before. */
export function touch(w: Work, g: Gap, why?: RevisionReason): void {
  const now = w.ctx.nowMs
  if (why !== undefined) g.why = why
  if (g.dueMs === Number.POSITIVE_INFINITY) g.touchedMs = now
  g.dueMs = Math.min(now + w.s.settleMs, g.touchedMs + SETTLE_LIMIT * w.s.settleMs)
  wake(w, g.dueMs)
}

/** What the intervals of a gap have put into days, from what was said; exact for zero and missing ones only. */
function daysFromSaid(w: Work, g: Gap): number[] {
  const days: number[] = []
  for (let i = 0; i < intervalsOf(g); i++) {
    const meta = g.said[i * 2 + 1] as number
    if (meta < SAID_REV) continue
    const startMs = g.firstEndMs + (i - 1) * w.c.intervalMs
    const value = g.said[i * 2] as number
    const count = COUNT_OF[meta % SAID_REV] as Count
    addTo(days, dayAt(w, startMs).no, { value: Number.isNaN(value) ? 0 : value, count, band: bandAt(w, startMs), n: 1 })
  }
  return days
}

/** Leaves the part of a gap before a boundary as a gap of its own; `old` becomes the part after it, as far as what was said and the days go. */
function splitLeft(w: Work, old: Gap, firstEndMs: number): void {
  const interval = w.c.intervalMs
  const n = (firstEndMs - old.firstEndMs) / interval
  const left: Gap = { ...old, said: old.said.slice(0, n * 2), days: [] }
  left.days = daysFromSaid(w, left)
  const i = old.t.findLastIndex((ms) => ms < firstEndMs)
  if (i > 0) {
    left.t = old.t.slice(0, i + 1)
    left.v = old.v.slice(0, i + 1)
    left.d = old.d.slice(0, i)
    const last = left.t[i] as number
    const d = left.d[i - 1] as number
    left.carryOut = Number.isNaN(d) ? 0 : (d * (last - (firstEndMs - interval))) / (last - (left.t[i - 1] as number))
    keep(w, left)
  }
  old.firstEndMs = firstEndMs
  old.said = old.said.slice(n * 2)
  addAll(old.days, left.days, -1)
}

/** Takes over what older gaps said of the intervals from `g.firstEndMs` on; an open gap beyond the end stays open behind it. */
function absorb(w: Work, g: Gap, t1: number): void {
  const list = w.t.gaps.get(w.row)
  if (list === undefined) return
  const interval = w.c.intervalMs
  for (let i = list.length - 1; i >= 0; i--) {
    const old = list[i] as Gap
    if (gapEndMs(old, interval) < g.firstEndMs) break
    list.splice(i, 1)
    if (!old.open && old.firstEndMs < g.firstEndMs) splitLeft(w, old, g.firstEndMs)
    const offset = (old.firstEndMs - g.firstEndMs) / interval
    const n = intervalsOf(g)
    const beyond = old.open ? offset + intervalsOf(old) - n : 0
    for (let k = 0; k < intervalsOf(old); k++) {
      const at = offset + k
      if (at < 0 || at >= n) continue
      g.said[at * 2] = old.said[k * 2] as number
      g.said[at * 2 + 1] = old.said[k * 2 + 1] as number
    }
    if (beyond > 0) {
      const rest: Gap = {
        ...old,
        firstEndMs: g.firstEndMs + n * interval,
        t: [t1],
        v: [g.v[g.v.length - 1] as number],
        d: [],
        carryIn: g.carryOut,
        said: old.said.slice((intervalsOf(old) - beyond) * 2),
        days: [],
      }
      rest.days = daysFromSaid(w, rest)
      old.said = old.said.slice(0, (intervalsOf(old) - beyond) * 2)
      old.days = daysFromSaid(w, old)
      list.push(rest)
    } else if (old.open) w.t.flags[w.row] = (w.t.flags[w.row] as number) & ~OPEN
    addAll(g.days, old.days, 1)
  }
}

/** Notes what was said of intervals as actual, where no older gap did. */
function takeBack(w: Work, g: Gap, what: 'recent' | 'still'): void {
  const { t, row } = w
  const interval = w.c.intervalMs
  for (let i = 0; i < intervalsOf(g); i++) {
    const startMs = g.firstEndMs + (i - 1) * interval
    const slot = g.firstEndMs / interval + i
    if ((g.said[i * 2 + 1] as number) >= SAID_REV || startMs < (t.firstMs[row] as number)) continue
    const known = recentRev(t, row, slot)
    // A stand-still is longer than the memory: its intervals bear at most the highest revision said since the register moved.
    const rev = known === 0 && what === 'still' ? (t.maxRev[row] as number) : known
    if (rev === 0) continue
    const value = what === 'still' ? 0 : remembered(w, recentValue(t, row, slot))
    const code = isEditedRecently(t, row, slot) ? SAID.edited : SAID.actual
    g.said[i * 2] = value
    g.said[i * 2 + 1] = rev * SAID_REV + code
    addTo(g.days, dayAt(w, startMs).no, { value, count: COUNT_OF[code] as Count, band: bandAt(w, startMs), n: 1 })
  }
}

/** Covers the intervals between two believed reads (times on the grid where near it). */
export function cover(w: Work, a: Advance, t0: number, t1: number): void {
  const { t, row } = w
  const interval = w.c.intervalMs
  const firstEndMs = Math.floor(t0 / interval) * interval + interval
  const lastEndMs = Math.floor(t1 / interval) * interval
  const n = (lastEndMs - firstEndMs) / interval + 1
  const carryIn = a.carryIn ?? (t.carry[row] as number)
  const known = !Number.isNaN(a.delta)
  if (n <= 0) {
    if (known) t.carry[row] = carryIn + a.delta
    return
  }
  // Across an exchange nobody knows what was used when: the intervals before the read get all of it.
  const exchanged = a.cause === 'meter_exchange' || a.cause === 'register_reset'
  const carryOut = known && !exchanged ? (a.delta * (t1 - lastEndMs)) / (t1 - t0) : 0
  const g: Gap = {
    cause: a.cause === 'rollover' ? '' : a.cause,
    open: false,
    firstEndMs,
    t: [t0, t1],
    v: [a.fromValue, a.toValue],
    d: [a.delta],
    carryIn,
    carryOut,
    said: new Float32Array(n * 2),
    days: [],
    why: a.takeBack === 'recent' ? 'false_read' : a.takeBack === 'still' ? 'stuck_register' : 'read_returned',
    dueMs: Number.POSITIVE_INFINITY,
    touchedMs: 0,
  }
  if (a.takeBack !== 'nothing') for (const old of [...(t.gaps.get(row) ?? [])]) if (old.dueMs < Number.POSITIVE_INFINITY) flush(w, old)
  absorb(w, g, t1)
  if (a.takeBack !== 'nothing') takeBack(w, g, a.takeBack)
  // Across a break the difference of the faces says nothing of the day.
  if (!known || exchanged) t.dayEdge.fill(Number.NaN, row * DAYS, (row + 1) * DAYS)
  t.carry[row] = carryOut
  keep(w, g)
  touch(w, g)
}

/** Declares the intervals after the last believed read missing, up to a boundary; adds to what was declared before. */
export function declareOpen(w: Work, last: { tsMs: number; value: number }, untilMs: number): void {
  const { t, row } = w
  const interval = w.c.intervalMs
  const t0 = snap(w.c, last.tsMs)
  const list = gapsOf(w)
  let g = list[list.length - 1]
  if (g === undefined || !g.open) {
    g = {
      cause: '',
      open: true,
      firstEndMs: Math.floor(t0 / interval) * interval + interval,
      t: [t0],
      v: [last.value],
      d: [],
      carryIn: t.carry[row] as number,
      carryOut: 0,
      said: new Float32Array(0),
      days: [],
      why: 'read_returned',
      dueMs: Number.POSITIVE_INFINITY,
      touchedMs: 0,
    }
    list.push(g)
    t.flags[row] = (t.flags[row] as number) | OPEN
  }
  const n = Math.floor((untilMs - g.firstEndMs) / interval) + 1
  if (n <= intervalsOf(g)) return
  stretch(g, n)
  flush(w, g)
}

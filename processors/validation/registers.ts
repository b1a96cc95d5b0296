// One read of a register: believed at once when it follows from the last one, else by what the chain of reads decides.
import type { Reading } from '#model/reading.ts'
import { accept, type Judged } from './accept.ts'
import { resolve, stepBetween } from './chain.ts'
import { declareOpen, touch } from './cover.ts'
import { FIGURES, forgetDays, publishDays } from './days.ts'
import { lastUsed, mark, NEW, newestMs, ringPos } from './dedupe.ts'
import { flush } from './flush.ts'
import { type Gap, gapEndMs, insertRead, unfinished } from './gap.ts'
import { type Advance, advance, direct } from './intervals.ts'
import { outlet } from './publish.ts'
import { advanceStuck, checkStuck } from './rules/stuck-register.ts'
import { EXPECTED, OPEN, PENDING, STUCK, USED } from './series.ts'
import { limitsOf, maxPerHour, snap, type Work, wake, wholeMs } from './state.ts'

const HOUR_MS = 3_600_000
const NO_RULES: readonly string[] = []
const GOOD: Judged = { quality: 'good', rules: NO_RULES }

/** Takes an admitted read (`verdict` from admit): it is accepted once, before any interval is sent. */
export function onRegister(w: Work, verdict: number, read: Reading): void {
  const { t, row, c } = w
  const n = t.ringCount[row] as number
  if (verdict === NEW && (t.pending[row] as number) === 0 && (t.flags[row] as number) === 0 && n > 1) {
    // The usual case: the newest read, following from the one before.
    const from = ringPos(t, row, n - 2)
    const delta = read.value - (t.ringValue[from] as number)
    const fromMs = t.ringTs[from] as number
    if (delta >= 0 && delta <= (maxPerHour(w) * (read.tsMs - fromMs + c.intervalMs)) / HOUR_MS + c.resolution) {
      t.ringMark[ringPos(t, row, n - 1)] = USED
      accept(w, read, verdict, GOOD)
      const t0 = snap(c, fromMs)
      const t1 = snap(c, read.tsMs)
      noteSpacing(w, t1 - t0)
      if (t1 - t0 <= wholeMs(c)) direct(w, { t0, t1 }, delta, '')
      else
        advance(w, {
          fromMs,
          fromValue: t.ringValue[from] as number,
          toMs: read.tsMs,
          toValue: read.value,
          delta,
          cause: '',
          takeBack: 'nothing',
        })
      if (c.neverStill && delta === 0 && t1 - (t.flatSinceMs[row] as number) >= w.s.stuckAfterMs) checkStuck(w)
      return
    }
  }
  if (n === 1 && verdict === NEW) begin(w, read, verdict)
  else if (verdict < 0 || (verdict !== NEW && verdict < lastUsed(t, row))) onLate(w, verdict, read)
  else onUnsure(w, verdict, read)
}

/** The mean spacing of reads forgets in about this many. Longer silences are gaps, not a spacing. */
const SPACING_MEMORY = 64
const SPACING_MAX = 8

function noteSpacing(w: Work, ms: number): void {
  const n = ms / w.c.intervalMs
  const mean = w.t.spacing[w.row] as number
  if (n <= SPACING_MAX) w.t.spacing[w.row] = mean + (n - mean) / SPACING_MEMORY
}

/** The first read of a series: intervals begin at the next boundary. */
function begin(w: Work, read: Reading, verdict: number): void {
  const { t, row, c } = w
  t.ringMark[ringPos(t, row, 0)] = USED
  const at = snap(c, read.tsMs)
  t.firstMs[row] = Math.ceil(at / c.intervalMs) * c.intervalMs
  t.flatSinceMs[row] = at
  wake(w, at + w.s.missingAfterMs)
  accept(w, read, verdict, GOOD)
}

/** Older than the last believed read: fills a gap, or adds nothing. */
function onLate(w: Work, verdict: number, read: Reading): void {
  const at = snap(w.c, read.tsMs)
  let fits = true
  let whole: Gap | undefined
  for (const g of w.t.gaps.get(w.row) ?? []) {
    if (g.open || at <= (g.t[0] as number) || at >= gapEndMs(g, w.c.intervalMs)) continue
    fits = insertRead(g, at, read.value, limitsOf(w))
    if (fits && verdict >= 0) mark(w.t, ringPos(w.t, w.row, verdict), USED)
    touch(w, g, 'late_read')
    if (unfinished(g, wholeMs(w.c)).length === 0) whole = g
    break
  }
  accept(w, read, verdict, fits ? { quality: 'late', rules: LATE } : { quality: 'suspect', rules: MISFIT })
  // Nothing is left to wait for.
  if (whole !== undefined) flush(w, whole)
}
const LATE: readonly string[] = ['late']
const MISFIT: readonly string[] = ['late', 'out_of_line']

/** After the last believed read, and not simply the next: the chain decides. */
function onUnsure(w: Work, verdict: number, read: Reading): void {
  const { t, row } = w
  const n = t.ringCount[row] as number
  const l = lastBelieved(w, n)
  const i = verdict === NEW ? n - 1 : verdict
  mark(t, ringPos(t, row, i), PENDING)
  t.pending[row] = n - 1 - l
  const tsMs = t.ringTs[ringPos(t, row, i)] as number
  const value = t.ringValue[ringPos(t, row, i)] as number
  const from = ringPos(t, row, l)
  const kind = stepBetween(w, { tsMs: t.ringTs[from] as number, value: t.ringValue[from] as number }, { tsMs, value }, limitsOf(w)).kind
  const steps = resolve(w)
  const believed = t.ringMark[ringPos(t, row, i)] === USED
  accept(w, read, verdict, {
    quality: !believed ? 'suspect' : verdict === NEW ? 'good' : 'late',
    rules:
      kind === 'rollover' ? ROLLOVER : kind === 'backward' ? NEGATIVE : kind === 'impossible' ? HIGH : verdict === NEW ? NO_RULES : LATE,
  })
  for (const a of steps) take(w, a)
}
const ROLLOVER: readonly string[] = ['rollover']
const NEGATIVE: readonly string[] = ['negative']
const HIGH: readonly string[] = ['high']

/** Ring index of the newest read marked as believed. */
function lastBelieved(w: Work, n: number): number {
  for (let i = n - 1; i >= 0; i--) if (w.t.ringMark[ringPos(w.t, w.row, i)] === USED) return i
  return 0
}

function take(w: Work, a: Advance): void {
  if (((w.t.flags[w.row] as number) & STUCK) !== 0) advanceStuck(w, a, (b) => advance(w, b))
  else advance(w, a)
}

/** Something became known that may explain waiting reads. */
export function reconsider(w: Work): void {
  if ((w.t.pending[w.row] as number) > 0) for (const a of resolve(w)) take(w, a)
}

/** Announces an exchange to a register; one that was taken for a silent exchange is corrected. */
export function expectExchange(w: Work): void {
  w.t.flags[w.row] = (w.t.flags[w.row] as number) | EXPECTED
  reconsider(w)
}

/** The scan looks at a row whose time has come: gaps that have settled, intervals that stay away, days that wait. */
export function visit(w: Work): void {
  const { t, row, c, s } = w
  const now = w.ctx.nowMs
  t.dueMs[row] = Number.POSITIVE_INFINITY
  for (const g of [...(t.gaps.get(row) ?? [])]) {
    if (g.dueMs <= now) flush(w, g)
    else if (g.dueMs < Number.POSITIVE_INFINITY) wake(w, g.dueMs)
  }
  const l = lastUsed(t, row)
  if (l >= 0) {
    const p = ringPos(t, row, l)
    const waitMs = w.state.silentShare >= s.stormShare ? s.stormLimitMs : s.missingAfterMs
    const last = snap(c, t.ringTs[p] as number)
    const open = ((t.flags[row] as number) & OPEN) !== 0
    if (now - last > waitMs + c.intervalMs && now - last <= s.windowMs)
      declareOpen(w, { tsMs: last, value: t.ringValue[p] as number }, now - waitMs)
    if (now - last <= s.windowMs) wake(w, open || now - last > waitMs ? now + c.intervalMs : last + waitMs + c.intervalMs)
  }
  expire(w, now)
  wake(w, publishDays(t, row, outlet(w, 'late_read')))
}

/**
 * A gap that late reads cannot do much for: short and within one day, its register known at both ends (they would move energy between a
 * few intervals, never between days), or with a register that did not move at all.
 */
function isBrief(w: Work, g: Gap): boolean {
  if (g.open || g.dueMs < Number.POSITIVE_INFINITY || g.d.some((d) => Number.isNaN(d))) return false
  if (g.d.every((d) => d === 0)) return true
  return g.days.length <= FIGURES && gapEndMs(g, w.c.intervalMs) - (g.t[0] as number) <= w.s.linearUpToMs
}

/** Within one day, its register known at both ends: a late read moves energy inside the day and changes neither its value nor any bill by days. */
function isFirm(g: Gap): boolean {
  return !g.open && g.dueMs === Number.POSITIVE_INFINITY && g.days.length <= FIGURES && !g.d.some((d) => Number.isNaN(d))
}

function isSettled(w: Work, g: Gap, now: number): boolean {
  const age = now - gapEndMs(g, w.c.intervalMs)
  return (isBrief(w, g) && age > w.s.briefKeepMs) || (isFirm(g) && age > w.s.firmKeepMs)
}

/** Lets go of gaps and days that no reading can change any more. */
function expire(w: Work, now: number): void {
  const { t, row, s } = w
  const oldest = Math.min(now, newestMs(t, row)) - s.windowMs
  const list = t.gaps.get(row)
  if (list !== undefined) {
    const kept = list.filter((g) => !isSettled(w, g, now) && gapEndMs(g, w.c.intervalMs) >= oldest)
    if (kept.length === 0) t.gaps.delete(row)
    else if (kept.length < list.length) t.gaps.set(row, kept)
    if (kept.some((g) => isBrief(w, g) || isFirm(g))) wake(w, now + s.briefKeepMs)
  }
  if (t.oldDays.has(row)) forgetDays(t, row)
}

// Which reads of a register to believe. A read that does not follow from the last believed one waits; the reads after it decide: back in
// line, and it was a false value; agreeing with each other, and the register really moved (an exchange, a jump, or false values before).
// Nothing that was not confirmed is ever billed. Why: false values with a good checksum are common (research: rtlamr, wmbusmeters,
// zigbee2mqtt issues), and each fall is not a rollover.
import { lastUsed, mark, ringPos } from './dedupe.ts'
import { type GapCause, gapEndMs } from './gap.ts'
import type { Advance } from './intervals.ts'
import { exchangeDelta, isOk, possibleDelta, type RegisterLimits, type Step, step } from './register.ts'
import { EXPECTED, RECENT, RING, STUCK, UNUSED, USED } from './series.ts'
import { type Exchange, limitsOf, quantityOf, snap, type Work } from './state.ts'

/** With this many reads waiting the newest that agree are believed: the ring holds no more. */
const PENDING_MAX = RING - 1
/** Registers read zero for a while after some readers restart: zeros need this many times the usual confirmation. */
const ZERO_FACTOR = 2

interface At {
  tsMs: number
  value: number
}

function at(w: Work, i: number): At {
  const p = ringPos(w.t, w.row, i)
  return { tsMs: w.t.ringTs[p] as number, value: w.t.ringValue[p] as number }
}

/** The step between two reads. A register that stood still may catch up in one step what it held back. */
export function stepBetween(w: Work, a: At, b: At, limits: RegisterLimits): Step {
  const sinceMs = ((w.t.flags[w.row] as number) & STUCK) !== 0 ? Math.min(a.tsMs, w.t.flatSinceMs[w.row] as number) : a.tsMs
  return step(a.value, b.value, b.tsMs - sinceMs, limits)
}

function rate(s: Step, a: At, b: At): number {
  return s.delta / Math.max(1, b.tsMs - a.tsMs)
}

/** Decides over the waiting reads. Returns the believed steps in order; marks and the count of waiting reads are set accordingly. */
export function resolve(w: Work): Advance[] {
  const { t, row } = w
  const limits = limitsOf(w)
  const steps: Advance[] = []
  for (;;) {
    const l = lastUsed(t, row)
    const n = t.ringCount[row] as number
    const found = follow(w, l, n, limits)
    if (found === undefined) break
    believe(w, l, found.i)
    steps.push(found.step)
  }
  const m = t.pending[row] as number
  if (m > 0) steps.push(...confirm(w, m, limits))
  return steps
}

/** The first waiting read that follows from the last believed one. */
function follow(w: Work, l: number, n: number, limits: RegisterLimits): { i: number; step: Advance } | undefined {
  const from = at(w, l)
  for (let i = l + 1; i < n; i++) {
    const to = at(w, i)
    const s = stepBetween(w, from, to, limits)
    const told = exchanged(w, from, to, s, limits)
    if (told !== undefined) return { i, step: told }
    if (!isOk(s) || hasRival(w, l, i, { s, from, to, limits })) continue
    const cause = s.kind === 'rollover' ? 'rollover' : ''
    return { i, step: advanceOf(from, to, s.delta, i > l + 1 ? 'transient_spike' : cause) }
  }
  return undefined
}

/** True when an earlier waiting read leads to this one at a lower rate: then the two belong together, and the last believed one does not. */
function hasRival(w: Work, l: number, i: number, x: { s: Step; from: At; to: At; limits: RegisterLimits }): boolean {
  for (let j = l + 1; j < i; j++) {
    const mid = at(w, j)
    const r = stepBetween(w, mid, x.to, x.limits)
    if (isOk(r) && rate(r, mid, x.to) < rate(x.s, x.from, x.to)) return true
  }
  return false
}

function advanceOf(from: At, to: At, delta: number, cause: Advance['cause']): Advance {
  return { fromMs: from.tsMs, fromValue: from.value, toMs: to.tsMs, toValue: to.value, delta, cause, takeBack: 'nothing' }
}

/** Believes the read at ring index `i`: those waiting before it were false. */
function believe(w: Work, l: number, i: number): void {
  const { t, row } = w
  for (let j = l + 1; j < i; j++) mark(t, ringPos(t, row, j), UNUSED)
  mark(t, ringPos(t, row, i), USED)
  t.pending[row] = (t.ringCount[row] as number) - 1 - i
}

/** A step that an announced exchange or reset explains. With indices the energy is known, else the register cannot tell. */
function exchanged(w: Work, from: At, to: At, s: Step, limits: RegisterLimits): Advance | undefined {
  const { t, row, state } = w
  if (((t.flags[row] as number) & EXPECTED) === 0) return undefined
  const e = state.exchanges.get(w.info.asset.id)
  if (e === undefined || e.toMs < from.tsMs - w.c.intervalMs) {
    t.flags[row] = (t.flags[row] as number) & ~EXPECTED
    return undefined
  }
  if (e.fromMs > to.tsMs + w.c.intervalMs) return undefined
  const delta = told(w, e) ? exchangeDelta(from, e.oldFinal, e.newInitial, to, limits) : Number.NaN
  if (Number.isNaN(delta) && isOk(s)) return undefined
  t.flags[row] = (t.flags[row] as number) & ~EXPECTED
  return advanceOf(from, to, delta, e.cause)
}

/** Indices belong to the main register of a device. */
export function told(w: Work, e: Exchange): boolean {
  const q = quantityOf(w)
  const main =
    q === 'active_energy_import_kwh' ||
    q === 'water_volume_m3' ||
    q === 'gas_volume_m3' ||
    q === 'heat_energy_kwh' ||
    q === 'register_count'
  return main && (w.t.channel[w.row] as string) === '' && !Number.isNaN(e.oldFinal) && !Number.isNaN(e.newInitial)
}

/** Believes the newest reads when enough of them agree with each other. */
function confirm(w: Work, m: number, limits: RegisterLimits): Advance[] {
  const { t, row } = w
  const n = t.ringCount[row] as number
  let first = n - 1
  while (first > n - m && isOk(stepBetween(w, at(w, first - 1), at(w, first), limits))) first--
  const length = n - first
  const zeros = at(w, first).value === 0 && at(w, n - 1).value === 0
  const forced = m >= PENDING_MAX
  if (length < w.s.confirmReads * (zeros ? ZERO_FACTOR : 1) && !forced) return []
  const l = lastUsed(t, row)
  const start = base(w, l, first, { length, limits })
  believe(w, l, first)
  const steps = [start]
  for (let i = first + 1; i < n; i++) {
    const s = stepBetween(w, at(w, i - 1), at(w, i), limits)
    believe(w, i - 1, i)
    steps.push(advanceOf(at(w, i - 1), at(w, i), s.delta, s.kind === 'rollover' ? 'rollover' : ''))
  }
  return steps
}

/** How the confirmed reads hang on to what came before: after false reads that were believed, or with a break of the register. */
function base(w: Work, l: number, first: number, x: { length: number; limits: RegisterLimits }): Advance {
  const { t, row } = w
  const from = at(w, l)
  const to = at(w, first)
  if (to.value < from.value) {
    let next = from
    for (let b = l - 1; b >= 0; b--) {
      const p = ringPos(t, row, b)
      if (t.ringMark[p] !== USED) continue
      // Before a break of the register lies another register.
      if (!isOk(stepBetween(w, at(w, b), next, x.limits))) break
      next = at(w, b)
      const s = stepBetween(w, next, to, x.limits)
      if (s.kind !== 'forward') continue
      if (!isRemembered(w, b, l)) break
      for (let i = b + 1; i <= l; i++) mark(t, ringPos(t, row, i), UNUSED)
      return { ...advanceOf(next, to, s.delta, 'transient_spike'), takeBack: 'recent', carryIn: carryBefore(w, b) }
    }
  }
  const fell = from.value - to.value > possibleDelta(to.tsMs - from.tsMs, x.limits)
  const cause: GapCause = x.length < w.s.confirmReads ? 'erratic' : fell ? 'silent_exchange' : 'step'
  return advanceOf(from, to, Number.NaN, cause)
}

/** True when every interval between two believed reads is remembered, by a gap or among the newest: only then can it be taken back. */
function isRemembered(w: Work, b: number, l: number): boolean {
  const { t, row, c } = w
  const gaps = t.gaps.get(row) ?? []
  const head = Math.floor(at(w, l).tsMs / c.intervalMs)
  for (let slot = Math.floor(at(w, b).tsMs / c.intervalMs) + 1; slot <= head - RECENT; slot++) {
    const endMs = slot * c.intervalMs
    if (!gaps.some((g) => g.firstEndMs <= endMs && endMs <= gapEndMs(g, c.intervalMs))) return false
  }
  return true
}

/** Register units between the last boundary and a believed read, from the reads before it. */
function carryBefore(w: Work, b: number): number {
  const { t, row, c } = w
  let later = at(w, b)
  const boundary = Math.floor(snap(c, later.tsMs) / c.intervalMs) * c.intervalMs
  let carry = 0
  for (let i = b - 1; i >= 0 && snap(c, later.tsMs) > boundary; i--) {
    if (t.ringMark[ringPos(t, row, i)] !== USED) continue
    const earlier = at(w, i)
    const t0 = snap(c, earlier.tsMs)
    const t1 = snap(c, later.tsMs)
    if (t1 > t0) carry += (step(earlier.value, later.value, t1 - t0, limitsOf(w)).delta * (t1 - Math.max(t0, boundary))) / (t1 - t0)
    later = earlier
  }
  return carry
}

// A gap: a stretch of a register's intervals that cannot be had from two neighbouring believed reads. It remembers what was said about
// each interval, so that a late read revises exactly what it changes, and so that days can take back what they were given.
import type { RevisionReason } from '#model/interval.ts'
import { isOk, type RegisterLimits, rolloverModulus, step } from './register.ts'

/** Why the register cannot be believed across the gap; '' when reads are simply absent. */
export type GapCause =
  | ''
  | 'transient_spike'
  | 'step'
  | 'silent_exchange'
  | 'meter_exchange'
  | 'register_reset'
  | 'stuck_register'
  | 'erratic'

export interface Gap {
  cause: GapCause
  /** No believed read ends it yet. */
  open: boolean
  firstEndMs: number
  /** Believed reads, ascending: times on the grid where near it, register faces, differences (NaN = the register cannot tell). */
  t: number[]
  v: number[]
  d: number[]
  carryIn: number
  carryOut: number
  /** What was said, two numbers an interval: value (unit of the quantity, NaN = missing) and revision * 8 + status code. */
  said: Float32Array
  /** What its intervals have put into days: a flat list of figures (days.ts). */
  days: number[]
  /** Why it speaks again, if it does. */
  why: RevisionReason
  /** When to speak next, and since when that waits. */
  dueMs: number
  touchedMs: number
}

/** Status codes in what a gap remembers; the revision times SAID_REV is added. */
export const SAID = { missing: 0, actual: 1, estimated: 2, rejected: 3, edited: 4 } as const
export const SAID_REV = 8

/** Gaps kept a register; with more the oldest keeps its last revision for good. */
export const GAPS_MAX = 64

export function intervalsOf(g: Gap): number {
  return g.said.length / 2
}

export function gapEndMs(g: Gap, intervalMs: number): number {
  return g.open ? g.firstEndMs + (intervalsOf(g) - 1) * intervalMs : (g.t[g.t.length - 1] as number)
}

/** Makes room for intervals up to `n`, keeping what was said. */
export function stretch(g: Gap, n: number): void {
  if (n <= intervalsOf(g)) return
  const said = new Float32Array(n * 2)
  said.set(g.said)
  g.said = said
}

/**
 * Puts a late read between the believed reads of a gap. True when it fits: its register lies between its neighbours' and
 * could have got there in time. On the far side of an exchange or a jump it must fit that side.
 */
export function insertRead(g: Gap, tMs: number, value: number, limits: RegisterLimits): boolean {
  const last = g.t.length - 1
  let i = 0
  while (i < last && (g.t[i + 1] as number) <= tMs) i++
  // At the time of a believed read it adds nothing.
  if (tMs === g.t[i]) return true
  if (i >= last || tMs < (g.t[i] as number)) return false
  const d = g.d[i] as number
  const fromMs = g.t[i] as number
  const toMs = g.t[i + 1] as number
  const first = forward(g.v[i] as number, value, tMs - fromMs, limits)
  const second = forward(value, g.v[i + 1] as number, toMs - tMs, limits)
  let parts: [number, number]
  if (Number.isNaN(d)) {
    if (g.cause === 'stuck_register') return false
    if (!Number.isNaN(first)) parts = [first, Number.NaN]
    else if (!Number.isNaN(second)) parts = [Number.NaN, second]
    else return false
  } else {
    const eps = limits.resolution / 2 + 1e-9
    if (Number.isNaN(first) || first > d + eps) {
      // A read of the new register inside a gap across a known exchange.
      if (Number.isNaN(second) || second > d + eps) return false
      parts = [d - second, second]
    } else parts = [first, Math.max(0, d - first)]
  }
  g.t.splice(i + 1, 0, tMs)
  g.v.splice(i + 1, 0, value)
  g.d.splice(i, 1, parts[0], parts[1])
  return true
}

function forward(from: number, to: number, dtMs: number, limits: RegisterLimits): number {
  const s = step(from, to, dtMs, limits)
  return isOk(s) ? s.delta : Number.NaN
}

/** True for a fall that only a rollover explains; the reason is shown. */
export function isRollover(from: number, to: number, limits: RegisterLimits): boolean {
  return to < from && rolloverModulus(from, limits.modulus) > 0
}

/** Maximal runs of segments that are still gaps: [first segment, last segment] pairs. */
export function unfinished(g: Gap, wholeMs: number): [number, number][] {
  const runs: [number, number][] = []
  for (let i = 0; i < g.d.length; i++) {
    const whole = !Number.isNaN(g.d[i] as number) && (g.t[i + 1] as number) - (g.t[i] as number) <= wholeMs
    if (whole) continue
    const run = runs[runs.length - 1]
    if (run !== undefined && run[1] === i - 1) run[1] = i
    else runs.push([i, i])
  }
  return runs
}

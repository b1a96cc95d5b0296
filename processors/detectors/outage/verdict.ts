// From evidence to verdict: is a transformer dark, or only some premises, since when, until when; is it the whole feeder.
import { isDark, isFresh, isOverdue, MARGIN_MS } from './interruptions.ts'
import { lastTrueMs, usualAgeMs } from './rhythm.ts'
import type { OutageSettings } from './settings.ts'
import { CHECK, type Interruption, type MemberState, NONE, type OutageState, type Part } from './state.ts'

export interface Tally {
  /** Meters of the transformer, its check meter included. */
  total: number
  /** Evidence of darkness, now or earlier in this interruption. */
  dark: number
  gasps: number
  /** Dark ones with more than a missing word: a gasp, a restoration, a flat register. */
  proven: number
  back: number
  on: number
  /** No word yet, and none was due. */
  undecided: number
  checkOn: boolean
  checkDark: boolean
}

export function tally(s: OutageState, part: Part, cfg: OutageSettings): Tally {
  const c: Tally = {
    total: part.members.size,
    dark: 0,
    gasps: 0,
    proven: 0,
    back: 0,
    on: 0,
    undecided: 0,
    checkOn: false,
    checkDark: false,
  }
  for (const [i, m] of part.members) {
    const check = s.meters.role[i] === CHECK
    if (isDark(m)) {
      c.dark += 1
      if (m.gaspMs > 0) c.gasps += 1
      if (m.gaspMs > 0 || m.backBy === 'event' || m.flat) c.proven += 1
      if (m.backMs > 0) c.back += 1
      if (check) c.checkDark = true
    } else if (m.onMs > 0 && (part.endMs === 0 || m.onMs < part.endMs - MARGIN_MS)) {
      c.on += 1
      if (check) c.checkOn = true
    }
  }
  if (part.transformer === NONE) return c
  const { members } = s.transformers[part.transformer] as OutageState['transformers'][number]
  c.total = members.length
  for (const i of members) {
    const m = part.members.get(i)
    if (m !== undefined && (isDark(m) || m.onMs > 0)) continue
    // Silent since before: its word is not to be expected.
    if (isOverdue(s, i) && !isFresh(s, i, lastTrueMs(s.meters, i, cfg), part)) continue
    c.undecided += 1
  }
  return c
}

function median(values: number[]): number {
  values.sort((a, b) => a - b)
  return values[Math.floor((values.length - 1) / 2)] as number
}

/** Sets start and end of a part from its dark members. */
export function time(s: OutageState, part: Part, c: Tally): void {
  const gasps: number[] = []
  const events: number[] = []
  const reads: number[] = []
  let lo = 0
  let hi = Number.POSITIVE_INFINITY
  for (const [i, m] of part.members) {
    if (!isDark(m)) continue
    const step = s.meters.stepMs[i] as number
    if (m.gaspMs > 0) gasps.push(m.gaspMs)
    if (m.silentFromMs > 0) {
      lo = Math.max(lo, m.silentFromMs)
      hi = Math.min(hi, m.silentFromMs + step)
    }
    if (m.backBy === 'event') events.push(m.backMs)
    // Somewhere after the last read that it missed.
    else if (m.backBy === 'read') reads.push(m.backMs - step / 2)
  }
  part.exact = gasps.length > 0
  if (part.exact) part.startMs = median(gasps)
  else if (lo > 0) part.startMs = (lo + Math.max(lo, hi)) / 2
  const enough = c.dark > 0 && c.back * 2 >= c.dark
  part.endMs = enough ? Math.max(part.startMs, median(events.length > 0 ? events : reads)) : 0
}

function darkOn(c: Tally, siblingDark: boolean, cfg: OutageSettings): boolean {
  if (c.dark === 0 || c.checkOn) return false
  const known = c.dark + c.on
  if (c.dark < known * cfg.darkShareMin) return false
  // The only meter of its transformer is a premise.
  if (c.total === 1) return false
  const settled = c.undecided <= c.total * cfg.undecidedShareMax
  if (settled) return c.dark >= 2 || (siblingDark && c.on === 0)
  const few = c.gasps + (c.checkDark ? 1 : 0)
  // Restorations without gasps count like gasps: both come from a meter that lost its supply.
  const voices = Math.max(few, c.proven)
  if (voices >= 2 && voices >= c.total * cfg.gaspShareMin) return true
  return siblingDark && voices >= 1 && c.on === 0
}

/** Weighs a changed part anew. `siblingDark`: another transformer of the same interruption is dark on two voices or more. */
export function weigh(s: OutageState, part: Part, siblingDark: boolean, cfg: OutageSettings): Tally {
  let c = tally(s, part, cfg)
  time(s, part, c)
  c = tally(s, part, cfg)
  if (part.transformer === NONE) part.verdict = 'premises'
  else if (darkOn(c, siblingDark, cfg)) part.verdict = 'dark'
  else part.verdict = c.dark > 0 ? 'premises' : 'lit'
  if (part.verdict !== 'dark') part.endMs = openPremises(part) ? 0 : lastBack(part)
  return c
}

function openPremises(part: Part): boolean {
  for (const m of part.members.values()) if (isDark(m) && m.gaspMs > 0 && m.backMs === 0) return true
  return false
}

function lastBack(part: Part): number {
  let last = part.startMs
  for (const m of part.members.values()) if (isDark(m) && m.backMs > last) last = m.backMs
  return last
}

/**
 * The whole feeder is dark: all transformers that can be judged are, and enough of them. One from which no gasp came counts as lit
 * when so many should have come, at the rate of the dark ones, that silence is telling (fewer than one in twenty would send none).
 */
export function wholeFeeder(s: OutageState, e: Interruption, tallies: ReadonlyMap<number, Tally>, cfg: OutageSettings): boolean {
  let dark = 0
  let gasps = 0
  let meters = 0
  for (const part of e.parts.values()) {
    if (part.verdict !== 'dark') continue
    dark += 1
    const c = tallies.get(part.transformer)
    if (c === undefined || c.gasps === 0) continue
    gasps += c.gasps
    meters += c.total
  }
  const judged = s.transformers.filter((t) => t.members.length > 0)
  if (dark < 2 || dark < judged.length * cfg.feederShareMin) return false
  const rate = meters === 0 ? 0 : gasps / meters
  for (const [k, t] of s.transformers.entries()) {
    if (t.members.length === 0) continue
    const part = e.parts.get(k)
    if (part?.verdict === 'dark') continue
    if (part !== undefined && part.verdict === 'lit') return false
    // In another interruption, or reading on since.
    if (part !== undefined && [...part.members.values()].some((m) => m.onMs > 0)) return false
    let on = 0
    let silent = 0
    for (const i of t.members) {
      const last = lastTrueMs(s.meters, i, cfg)
      if (last > e.startMs + MARGIN_MS && !(e.closedAtMs > 0)) on += 1
      else if (isOverdue(s, i)) silent += 1
    }
    if (on > 0 && !ended(e)) return false
    if (silent < t.members.length && (1 - rate) ** t.members.length < 0.05) return false
  }
  return true
}

/** All dark parts have an end. */
export function ended(e: Interruption): boolean {
  for (const part of e.parts.values()) if (part.verdict === 'dark' && part.endMs === 0) return false
  return true
}

/**
 * Dark in spite of the transformer being back: its next read is overdue although its gateway, heard all the while since then, would
 * have brought it.
 */
export function leftBehind(s: OutageState, part: Part, i: number, m: MemberState, nowMs: number, cfg: OutageSettings): boolean {
  if (part.verdict !== 'dark' || part.endMs === 0 || !isDark(m) || m.backMs > 0 || s.meters.role[i] === CHECK) return false
  const g = s.gateways[s.meters.gateway[i] as number]
  if (g === undefined || g.offlineMs > 0 || g.silentMs > 0) return false
  const fromMs = Math.max(part.endMs, g.sinceMs)
  const step = s.meters.stepMs[i] as number
  return g.heardMs > fromMs + step && nowMs >= fromMs + step + usualAgeMs(s.meters, i, cfg)
}

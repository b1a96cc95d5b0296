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
  /** Those with a message of their own, whose time is exact. */
  told: number
  back: number
  on: number
  /** No word yet, and none was due. */
  undecided: number
  checkOn: boolean
  checkDark: boolean
  /** Read when a read was due, after the end: lit or back, nobody knows. */
  neutral: number
}

/** Fewer than one in twenty would be this quiet. */
const TOO_QUIET = 0.05

/** What the other transformers of an interruption say about one: those that are dark by two voices or more. */
export interface Siblings {
  dark: number
  /** All other transformers of the feeder. */
  others: number
  /** Share of their meters whose gasp was heard. */
  gaspRate: number
  /** Onset of the one that began nearest to this part, and 0 without any. */
  startMs: number
  /** Meters of this part from which a word could be expected. */
  reach: number
}

export interface Look {
  of(part: Part): Siblings
  /** Share of reachable meters of all strong parts whose gasp was heard. */
  gaspRate: number
  reachOf(transformer: number): number
}

/** A voice of two or more meters makes a part strong: it can lend weight to another. */
export function strongPart(part: Part): boolean {
  if (part.verdict === 'lit') return false
  return voicesOf(part) >= 2
}

/**
 * Gateways from which no word is to be expected: known to be away, or so many of their meters are in dark transformers that at the
 * others' rate one would have spoken.
 */
function deafGateways(s: OutageState, parts: readonly Part[], gaspRate: number): Set<number> {
  const out = new Set<number>()
  for (const [g, { offlineMs, silentMs }] of s.gateways.entries()) if (offlineMs > 0 || silentMs > 0) out.add(g)
  const silent = new Map<number, number>()
  const spoken = new Set<number>()
  for (const p of parts) {
    for (const i of s.transformers[p.transformer]?.members ?? []) {
      const g = s.meters.gateway[i] as number
      const m = p.members.get(i)
      if (m !== undefined && (m.gaspMs > 0 || m.backBy === 'event')) spoken.add(g)
      else silent.set(g, (silent.get(g) ?? 0) + 1)
    }
  }
  for (const [g, n] of silent) if (!spoken.has(g) && (1 - gaspRate) ** n < TOO_QUIET) out.add(g)
  return out
}

function gaspsOf(p: Part): number {
  let n = 0
  for (const m of p.members.values()) if (m.gaspMs > 0) n += 1
  return n
}

/** For each part of an interruption, what its strong siblings say. */
export function siblings(s: OutageState, e: Interruption): Look {
  const strong = [...e.parts.values()].filter((p) => p.transformer !== NONE && strongPart(p))
  const membersOf = (p: Part): number => s.transformers[p.transformer]?.members.length ?? 0
  const sum = (of: (p: Part) => number): number => strong.reduce((n, p) => n + of(p), 0)
  const deaf = deafGateways(s, strong, sum(gaspsOf) / Math.max(1, sum(membersOf)))
  const reachOf = (t: number): number => {
    let n = 0
    for (const i of s.transformers[t]?.members ?? []) if (!deaf.has(s.meters.gateway[i] as number)) n += 1
    return n
  }
  const reaches = new Map(strong.map((p) => [p, reachOf(p.transformer)]))
  const gasps = sum(gaspsOf)
  const reach = sum((p) => reaches.get(p) as number)
  const rate = (g: number, n: number): number => (n === 0 ? 0 : Math.min(1, g / n))
  const of = (part: Part): Siblings => {
    const mine = reaches.get(part)
    let startMs = 0
    for (const p of strong) if (p !== part && Math.abs(p.startMs - part.startMs) < Math.abs(startMs - part.startMs)) startMs = p.startMs
    return {
      dark: strong.length - (mine === undefined ? 0 : 1),
      others: s.transformers.length - 1,
      gaspRate: mine === undefined ? rate(gasps, reach) : rate(gasps - gaspsOf(part), reach - mine),
      startMs,
      reach: mine ?? reachOf(part.transformer),
    }
  }
  return { of, gaspRate: rate(gasps, reach), reachOf }
}

export function tally(s: OutageState, part: Part, cfg: OutageSettings): Tally {
  const c: Tally = {
    total: part.members.size,
    dark: 0,
    gasps: 0,
    proven: 0,
    told: 0,
    back: 0,
    on: 0,
    undecided: 0,
    checkOn: false,
    checkDark: false,
    neutral: 0,
  }
  for (const [i, m] of part.members) {
    const check = s.meters.role[i] === CHECK
    if (isDark(m)) {
      c.dark += 1
      if (m.gaspMs > 0) c.gasps += 1
      if (m.gaspMs > 0 || m.backBy === 'event') c.told += 1
      if (m.gaspMs > 0 || m.backBy === 'event' || m.flat) c.proven += 1
      if (m.backMs > 0) c.back += 1
      if (check) c.checkDark = true
    } else if (m.onMs > 0 && (part.endMs === 0 || m.onMs < part.endMs - MARGIN_MS)) {
      c.on += 1
      if (check) c.checkOn = true
    } else if (m.onMs > 0) c.neutral += 1
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

/**
 * One voice is enough beside a dark sibling when it speaks of the same instant and so few voices are no wonder at the siblings' rate;
 * else it is another thing that happened nearby.
 */
function lonelyVoice(c: Tally, part: Part, sib: Siblings, cfg: OutageSettings): boolean {
  if (sib.dark === 0 || c.on > 0 || Math.abs(sib.startMs - part.startMs) > cfg.coincideS * 1000) return false
  // Nearly the whole feeder went in that instant: a gateway that went with it is likelier than a second event.
  if (sib.dark >= sib.others * cfg.feederShareMin) return true
  const n = Math.max(1, sib.reach)
  const quiet = (1 - sib.gaspRate) ** n + n * sib.gaspRate * (1 - sib.gaspRate) ** (n - 1)
  return quiet >= TOO_QUIET
}

function darkOn(c: Tally, part: Part, sib: Siblings, cfg: OutageSettings): boolean {
  if (c.dark === 0 || c.checkOn) return false
  const known = c.dark + c.on
  if (c.dark < known * cfg.darkShareMin) return false
  // The only meter of its transformer is a premise.
  if (c.total === 1) return false
  const few = c.gasps + (c.checkDark ? 1 : 0)
  // Restorations without gasps count like gasps: both come from a meter that lost its supply.
  const voices = Math.max(few, c.told)
  const settled = c.undecided <= c.total * cfg.undecidedShareMax
  if (settled && c.dark >= 2 && c.dark >= (known + c.neutral) * cfg.darkShareMin) return true
  if (settled && voices === 0) return sib.dark > 0 && c.on === 0
  if (voices >= 2 && voices >= c.total * cfg.gaspShareMin) return true
  return voices >= 1 && lonelyVoice(c, part, sib, cfg)
}

/** Weighs a changed part anew. */
export function weigh(s: OutageState, part: Part, sib: Siblings, cfg: OutageSettings): Tally {
  let c = tally(s, part, cfg)
  time(s, part, c)
  c = tally(s, part, cfg)
  if (part.transformer === NONE) part.verdict = 'premises'
  else if (darkOn(c, part, sib, cfg)) part.verdict = 'dark'
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
 * Two interruptions of one transformer that overlap are one: late or lost words made a second of it. The one with fewer voices of its own
 * gives way, and the other takes nothing from it: what its meters say comes there too.
 */
export function giveWay(s: OutageState, e: Interruption): void {
  for (const part of e.parts.values()) {
    if (part.verdict !== 'dark' || !part.dirty) continue
    for (const other of s.interruptions.values()) {
      const rival = other === e ? undefined : other.parts.get(part.transformer)
      if (rival === undefined || rival.verdict !== 'dark' || rival.yields || !overlap(part, rival)) continue
      const weaker = voicesOf(part) - voicesOf(rival) || other.key - e.key
      if (weaker > 0) {
        rival.yields = true
        rival.dirty = true
        other.dirty = true
        continue
      }
      part.yields = true
      break
    }
  }
  for (const part of e.parts.values()) if (part.yields) part.verdict = 'lit'
}

function overlap(a: Part, b: Part): boolean {
  return (a.endMs === 0 || b.startMs < a.endMs) && (b.endMs === 0 || a.startMs < b.endMs)
}

function voicesOf(part: Part): number {
  let n = 0
  for (const m of part.members.values()) if (m.onMs === 0 && (m.gaspMs > 0 || m.backBy === 'event')) n += 1
  return n
}

/**
 * The whole feeder is dark: all transformers that can be judged are, and enough of them. One from which no gasp came counts as lit
 * when so many should have come, at the rate of the dark ones, that silence is telling (fewer than one in twenty would send none).
 */
export function wholeFeeder(s: OutageState, e: Interruption, look: Look, cfg: OutageSettings): boolean {
  let dark = 0
  for (const part of e.parts.values()) {
    if (part.verdict !== 'dark') continue
    dark += 1
  }
  const judged = s.transformers.filter((t) => t.members.length > 0)
  if (dark < 2 || dark < judged.length * cfg.feederShareMin) return false
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
    if (silent < t.members.length && (1 - look.gaspRate) ** look.reachOf(k) < TOO_QUIET) return false
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

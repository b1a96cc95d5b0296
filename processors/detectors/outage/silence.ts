// Missing reads: which meters are overdue by their own rhythm, and what a common silence means. The same silence can be a dark
// transformer or a dead gateway; what others say through the same gateway, and below the same transformer, decides.
import { isFresh, isOverdue, type Moment, placeFor, silent } from './interruptions.ts'
import { lastTrueMs, usualAgeMs } from './rhythm.ts'
import { CHECK, type GatewayState, type Interruption, type OutageState, OVERDUE } from './state.ts'

/** Not before the next tick. */
const SCAN_MIN_MS = 10_000
const COMMS_RETRY_MS = 3_600_000

/** Marks what became overdue; returns these meters, and the overdue ones whose long silence is due for a word. */
export function scan(s: OutageState, at: Moment): { overdue: number[]; long: number[] } {
  const { meters } = s
  const overdue: number[] = []
  const long: number[] = []
  let next = Number.POSITIVE_INFINITY
  for (let i = 0; i < meters.ids.length; i++) {
    const due = meters.deadlineMs[i] as number
    if (due > at.nowMs) {
      if (due < next) next = due
      continue
    }
    if (!isOverdue(s, i)) {
      meters.flags[i] = (meters.flags[i] as number) | OVERDUE
      overdue.push(i)
      const wait = Math.max(at.cfg.meterSilentIntervals * (meters.stepMs[i] as number), at.cfg.meterSilentMinS * 1000)
      meters.deadlineMs[i] = (meters.lastTsMs[i] as number) + Math.max(wait, usualAgeMs(meters, i, at.cfg) * 2)
    } else {
      long.push(i)
      meters.deadlineMs[i] = at.nowMs + COMMS_RETRY_MS
    }
    if ((meters.deadlineMs[i] as number) < next) next = meters.deadlineMs[i] as number
  }
  s.scanAtMs = Math.max(next, at.nowMs + SCAN_MIN_MS)
  return { overdue, long }
}

/** What one look at all silent transformers shares. */
export interface Round {
  at: Moment
  zoneSilent: boolean
  /** Gateway -> whether neighbours read on. */
  dead: Map<number, boolean>
}

interface Silence {
  fresh: number[]
  /** Newest last read among the silent ones: supply was on until then. */
  loMs: number
  reading: number
  undecided: number
  stale: number
}

/** What the meters of a transformer did around the read that they miss. */
function silenceOf(s: OutageState, members: Int32Array, at: Moment): Silence {
  const out: Silence = { fresh: [], loMs: 0, reading: 0, undecided: 0, stale: 0 }
  for (const i of members) if (isOverdue(s, i)) out.loMs = Math.max(out.loMs, lastTrueMs(s.meters, i, at.cfg))
  for (const i of members) {
    const last = lastTrueMs(s.meters, i, at.cfg)
    const step = s.meters.stepMs[i] as number
    if (!isOverdue(s, i)) {
      if (last === 0) out.stale += 1
      else if (last >= out.loMs + step / 2) out.reading += 1
      else out.undecided += 1
    } else if (last >= out.loMs - 0.75 * step) out.fresh.push(i)
    else out.stale += 1
  }
  return out
}

/** It brought what others took when these reads were missed, and had not been away meanwhile. */
function alive(g: GatewayState | undefined, loMs: number, hiMs: number): boolean {
  return g !== undefined && g.takenMs > (loMs + hiMs) / 2 && g.sinceMs <= hiMs && !(g.silentMs > loMs) && g.offlineMs === 0
}

/** An interruption proven by gasps that began when these meters fell silent. */
function proven(s: OutageState, lo: number, hi: number, at: Moment): Interruption | undefined {
  const join = at.cfg.joinS * 1000
  for (const e of s.interruptions.values()) {
    if (e.startMs < lo - join || e.startMs > hi + join) continue
    for (const p of e.parts.values()) if (p.verdict === 'dark' && p.exact) return e
  }
  return undefined
}

/** Weighs the silence of one transformer; makes or feeds an interruption when it is a dark one. Returns true while it must be looked at again. */
export function assessTransformer(s: OutageState, t: number, round: Round): boolean {
  const { at } = round
  const transformer = s.transformers[t]
  if (transformer === undefined) return false
  joinOpen(s, t, round)
  const q = silenceOf(s, transformer.members, at)
  const { fresh, loMs } = q
  if (q.reading > 0 || fresh.length === 0 || fresh.length <= q.stale) return false
  if (q.undecided > 0) return true
  const step = Math.min(...fresh.map((i) => s.meters.stepMs[i] as number))
  const hiMs = loMs + step
  const open = s.interruptions.get(transformer.interruption)?.parts.get(t)
  // Dark already, or dark at the very time of the read that they miss and back since.
  const joinMs = at.cfg.joinS * 1000
  if (open?.verdict === 'dark' && (open.endMs === 0 || (open.startMs >= loMs - joinMs && open.startMs <= hiMs + joinMs))) return false
  const working = fresh.filter((i) => alive(s.gateways[s.meters.gateway[i] as number], loMs, hiMs))
  const common = proven(s, loMs, hiMs, at)
  const dead = fresh.filter((i) => deadSince(s, s.meters.gateway[i] as number, loMs, round)).length
  if (common !== undefined && dead * 2 < fresh.length) return feed(s, t, fresh, [common.startMs, common.startMs], at)
  const check = working.some((i) => s.meters.role[i] === CHECK)
  if (fresh.length < 2 || !(working.length >= 2 || (check && working.length >= 1))) return !round.zoneSilent
  // Few meters can be late by chance; a second missed read cannot.
  const age = Math.max(...fresh.map((i) => usualAgeMs(s.meters, i, at.cfg)))
  if (fresh.length < at.cfg.fewMeters && at.nowMs < loMs + age + step) return true
  return feed(s, t, fresh, [loMs, hiMs], at)
}

function feed(s: OutageState, t: number, fresh: number[], window: [number, number], at: Moment): false {
  const place = placeFor(s, t, window, at)
  for (const i of fresh) silent(s, place, i, lastTrueMs(s.meters, i, at.cfg))
  // Silence has waited long enough.
  place.e.decideAtMs = Math.min(place.e.decideAtMs, at.nowMs)
  return false
}

/** Silent meters of a transformer that is in an interruption already: more evidence for it. */
function joinOpen(s: OutageState, t: number, round: Round): void {
  const { at } = round
  const transformer = s.transformers[t] as OutageState['transformers'][number]
  const e = s.interruptions.get(transformer.interruption)
  const part = e?.parts.get(t)
  if (e === undefined || part === undefined || part.endMs !== 0) return
  for (const i of transformer.members) {
    const last = lastTrueMs(s.meters, i, at.cfg)
    const fits = isOverdue(s, i) && isFresh(s, i, last, part) && last <= part.startMs + at.cfg.joinS * 1000
    // What one gateway that died meanwhile did not bring makes no dark transformer of a dark premise.
    if (fits && (part.verdict === 'dark' || !deadSince(s, s.meters.gateway[i] as number, last, round))) silent(s, { e, part }, i, last)
    // A missed read is due in any case: those without a word are weighed anew.
    else if (isOverdue(s, i)) {
      part.dirty = true
      e.dirty = true
    }
  }
}

/**
 * Gateway `g` failed at about `sinceMs`: it says so itself, or one of its silent meters shares a transformer with meters that read on
 * through other gateways.
 */
function deadSince(s: OutageState, g: number, sinceMs: number, round: Round): boolean {
  const gateway = s.gateways[g]
  if (gateway === undefined || gateway.members.length === 0) return false
  if (gateway.offlineMs > 0 || gateway.sinceMs > sinceMs) return true
  const step = s.meters.stepMs[gateway.members[0] as number] as number
  if (gateway.takenMs > sinceMs + step / 2) return false
  let dead = round.dead.get(g)
  if (dead === undefined) {
    dead = crossEvidence(s, g, round.at).length > 0
    round.dead.set(g, dead)
  }
  return dead
}

/** Silent meters of a gateway whose transformers are lit: others below read on. */
export function crossEvidence(s: OutageState, g: number, at: Moment): number[] {
  const gateway = s.gateways[g] as GatewayState
  const out: number[] = []
  for (const i of gateway.members) {
    const t = s.transformers[s.meters.transformer[i] as number]
    if (t === undefined || !isOverdue(s, i)) continue
    const missedMs = lastTrueMs(s.meters, i, at.cfg) + (s.meters.stepMs[i] as number) / 2
    if (t.members.some((k) => s.meters.gateway[k] !== g && !isOverdue(s, k) && lastTrueMs(s.meters, k, at.cfg) >= missedMs)) out.push(i)
  }
  return out
}

/** No meter of the zone has a voice any more. */
export function everyoneSilent(s: OutageState): boolean {
  const { meters } = s
  let silentOnes = 0
  for (let i = 0; i < meters.ids.length; i++) {
    if (isOverdue(s, i)) silentOnes += 1
    else if ((meters.lastTsMs[i] as number) > 0) return false
  }
  return silentOnes > 0
}

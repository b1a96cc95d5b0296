// Interruptions of supply as they form: which meters were dark, which came back, which had supply all along. Evidence only;
// what it means for a transformer is in verdict.ts.
import { lastTrueMs } from './rhythm.ts'
import type { OutageSettings } from './settings.ts'
import {
  FEEDER_METER,
  GAP_COUNTED,
  type Interruption,
  type MemberState,
  NONE,
  type OutageState,
  OVERDUE,
  type Part,
  type TransformerState,
} from './state.ts'

/** A read this close to the onset says nothing about it, ms. */
export const MARGIN_MS = 30_000

/** Older interruptions in which one meter can be dark. */
const OLDER_MAX = 3

export interface Moment {
  nowMs: number
  cfg: OutageSettings
}

/** Evidence that the meter was without supply. */
export function isDark(m: MemberState): boolean {
  return m.onMs === 0 && (m.gaspMs > 0 || m.silentFromMs > 0 || m.backMs > 0)
}

export function transformerOf(s: OutageState, t: number): TransformerState | undefined {
  return t === NONE ? undefined : s.transformers[t]
}

/**
 * The interruption that a beginning within [lo, hi] at transformer `t` belongs to: one that has the whole transformer dark then, else
 * one of the zone that began at the same time.
 */
function findFor(s: OutageState, t: number, [lo, hi]: [number, number], cfg: OutageSettings): Interruption | undefined {
  const join = cfg.joinS * 1000
  const own = s.interruptions.get(transformerOf(s, t)?.interruption ?? 0)
  const part = own?.parts.get(t)
  if (own !== undefined && part?.verdict === 'dark' && hi >= part.startMs - join && (part.endMs === 0 || lo <= part.endMs)) return own
  let best: Interruption | undefined
  for (const e of s.interruptions.values()) {
    if (e.startMs < lo - join || e.startMs > hi + join) continue
    // Not one whose part of this transformer is over: that would be a second interruption.
    const p = e.parts.get(t)
    if (p !== undefined && p.verdict !== 'lit' && p.endMs !== 0 && lo > p.endMs) continue
    if (best === undefined || Math.abs(e.startMs - hi) < Math.abs(best.startMs - hi)) best = e
  }
  return best
}

export interface Place {
  e: Interruption
  part: Part
}

/** The part of an interruption at a transformer for something that began within `window` (equal ends when the time is exact). */
export function placeFor(s: OutageState, t: number, window: [number, number], at: Moment): Place {
  const { nowMs, cfg } = at
  const middle = (window[0] + window[1]) / 2
  let e = findFor(s, t, window, cfg)
  if (e === undefined) {
    const key = s.nextKey++
    const decideAtMs = nowMs + cfg.holdS * 1000
    e = {
      key,
      startMs: middle,
      decideAtMs,
      decided: false,
      parts: new Map(),
      said: new Map(),
      feeder: false,
      closedAtMs: 0,
      counted: false,
      restoreMs: 0,
      lookAtMs: Number.POSITIVE_INFINITY,
      dirty: true,
    }
    s.interruptions.set(key, e)
  }
  let part = e.parts.get(t)
  if (part === undefined) {
    part = {
      transformer: t,
      members: new Map(),
      startMs: middle,
      exact: window[0] === window[1],
      endMs: 0,
      verdict: 'open',
      yields: false,
      dirty: true,
    }
    e.parts.set(t, part)
    const transformer = transformerOf(s, t)
    if (transformer !== undefined) {
      transformer.interruption = e.key
      lookBack(s, transformer, { e, part }, cfg)
    }
  }
  touch({ e, part })
  return { e, part }
}

function touch({ e, part }: Place): void {
  part.dirty = true
  e.dirty = true
  e.closedAtMs = 0
}

export function memberOf(part: Part, i: number): MemberState {
  let m = part.members.get(i)
  if (m === undefined) {
    m = { gaspMs: 0, silentFromMs: 0, backMs: 0, backBy: '', onMs: 0, flat: false, mute: false }
    part.members.set(i, m)
  }
  return m
}

/** The member, now one with evidence of darkness. */
function darkMember(s: OutageState, place: Place, i: number): MemberState {
  const before = s.meters.interruption[i] as number
  if (before !== 0 && before !== place.e.key) {
    const m = s.interruptions
      .get(before)
      ?.parts.get(s.meters.transformer[i] as number)
      ?.members.get(i)
    if (m !== undefined && isDark(m) && m.backMs === 0) s.older.set(i, [...(s.older.get(i) ?? []).slice(-OLDER_MAX), before])
  }
  s.meters.interruption[i] = place.e.key
  return memberOf(place.part, i)
}

/** What the other meters of a transformer had already done when its interruption became known. */
function lookBack(s: OutageState, transformer: TransformerState, place: Place, cfg: OutageSettings): void {
  const { meters } = s
  const { startMs } = place.part
  for (const i of transformer.members) {
    const from = meters.gapFromMs[i] as number
    const to = meters.gapToMs[i] as number
    const last = lastTrueMs(meters, i, cfg)
    if (isOverdue(s, i) && isFresh(s, i, last, place.part)) darkMember(s, place, i).silentFromMs = last
    else if (to > startMs && from <= startMs + MARGIN_MS && ((meters.flags[i] as number) & GAP_COUNTED) !== 0)
      memberOf(place.part, i).onMs = to
    else if (to > startMs && from <= startMs + MARGIN_MS && isFresh(s, i, from, place.part)) {
      const m = darkMember(s, place, i)
      m.silentFromMs = from
      m.backMs = to
      m.backBy = 'read'
    } else if (last > startMs + MARGIN_MS) memberOf(place.part, i).onMs = last
  }
}

export function isOverdue(s: OutageState, i: number): boolean {
  return ((s.meters.flags[i] as number) & OVERDUE) !== 0
}

/** Its last read came shortly enough before the onset of the part: the first read that it missed was due after it. */
export function isFresh(s: OutageState, i: number, lastMs: number, part: Part): boolean {
  const step = s.meters.stepMs[i] as number
  const slack = part.exact ? 2 * MARGIN_MS : 0.75 * step
  return lastMs >= part.startMs - step - slack && lastMs <= part.startMs + step
}

/** A last gasp of meter `i` at the true time `ms`. */
export function gasp(s: OutageState, i: number, ms: number, at: Moment): void {
  const place = placeFor(s, s.meters.transformer[i] as number, [ms, ms], at)
  const m = darkMember(s, place, i)
  if (m.gaspMs > 0 && Math.abs(m.gaspMs - ms) < MARGIN_MS) return
  if (m.gaspMs === 0 || ms < m.gaspMs) m.gaspMs = ms
  m.onMs = 0
  const read = firstReadAfter(s, i, ms, at.cfg)
  if (read > 0 && (m.backMs === 0 || (m.backBy === 'read' && read < m.backMs))) {
    m.backMs = read
    m.backBy = 'read'
    m.mute = mutedUntil(s, i, ms, read)
  }
  // A second gasp after it came back: dark again.
  if (m.backMs > 0 && ms > m.backMs) {
    m.backMs = 0
    m.backBy = ''
  }
  place.part.exact = true
}

/** A gasp that came late: the first read taken after it, reads being taken at every interval but in the last hole; 0 when there is none. */
function firstReadAfter(s: OutageState, i: number, ms: number, cfg: OutageSettings): number {
  const last = lastTrueMs(s.meters, i, cfg)
  if (last <= ms + MARGIN_MS) return 0
  const from = s.meters.gapFromMs[i] as number
  const to = s.meters.gapToMs[i] as number
  if (ms >= from && ms < to) return to
  const end = ms < from ? from : last
  const step = s.meters.stepMs[i] as number
  return end - Math.floor((end - ms - MARGIN_MS) / step) * step
}

/** Gateway of meter `i` is away, or came back after `sinceMs`: that nothing was heard of the meter since then says nothing. */
export function gatewayAway(s: OutageState, i: number, sinceMs: number): boolean {
  const g = s.gateways[s.meters.gateway[i] as number]
  return g !== undefined && (g.offlineMs > 0 || g.silentMs > 0 || g.sinceMs > sinceMs)
}

/** The gateway of meter `i` came back after `sinceMs` and brought its first read at once: the meter itself need not have missed any. */
function mutedUntil(s: OutageState, i: number, sinceMs: number, readMs: number): boolean {
  const g = s.gateways[s.meters.gateway[i] as number]
  if (g === undefined || !gatewayAway(s, i, sinceMs)) return false
  return g.sinceMs === 0 || readMs <= g.sinceMs + (s.meters.stepMs[i] as number)
}

/** Meter `i` fell silent after a read at `lastMs` (true time), together with the others of its transformer. */
export function silent(s: OutageState, place: Place, i: number, lastMs: number): void {
  const m = memberOf(place.part, i)
  if (m.silentFromMs > 0 || m.onMs > 0 || m.backMs > 0) return
  darkMember(s, place, i).silentFromMs = lastMs
  touch(place)
}

/** Where meter `i` is known as dark and not yet certainly back, else the newest interruption of its transformer. */
function placesOf(s: OutageState, i: number): Place[] {
  const t = s.meters.transformer[i] as number
  const own = s.meters.interruption[i] as number
  const common = transformerOf(s, t)?.interruption ?? 0
  const out: Place[] = []
  for (const key of own === common ? [own] : [own, common]) {
    const e = key === 0 ? undefined : s.interruptions.get(key)
    const part = e?.parts.get(t)
    if (e !== undefined && part !== undefined) out.push({ e, part })
  }
  return out
}

/** A restoration message of meter `i` at the true time `ms`. */
export function restored(s: OutageState, i: number, ms: number, at: Moment): void {
  for (const place of placesOf(s, i)) {
    const { part } = place
    const known = part.members.get(i)
    const fits = known !== undefined && isDark(known) ? ms >= (known.gaspMs || part.startMs) - MARGIN_MS : ms >= part.startMs - MARGIN_MS
    const late = part.endMs !== 0 && ms > part.endMs + at.cfg.joinS * 1000
    // Silent since before the others lost supply: it had none with them, and longer.
    const lastMs = lastTrueMs(s.meters, i, at.cfg)
    const since = part.verdict === 'dark' && known === undefined && lastMs > 0 && lastMs <= part.startMs && isOverdue(s, i)
    if (fits && (!late || since || (known !== undefined && isDark(known) && known.backMs === 0))) {
      if (since) darkMember(s, place, i).silentFromMs = lastMs
      back(s, place, i, ms)
      return
    }
  }
  const { meters } = s
  const step = meters.stepMs[i] as number
  const overdue = isOverdue(s, i)
  const last = lastTrueMs(meters, i, at.cfg)
  const from = overdue ? last : (meters.gapFromMs[i] as number)
  const to = overdue ? ms : (meters.gapToMs[i] as number)
  const t = meters.transformer[i] as number
  if (from > 0 && ms > from && ms <= to + step && !gatewayAway(s, i, from + step)) {
    // It was silent before: the message says that supply was off.
    const place = placeFor(s, t, [from, Math.min(from + step, ms)], at)
    const m = darkMember(s, place, i)
    if (m.silentFromMs === 0) m.silentFromMs = from
    m.onMs = 0
    back(s, place, i, ms)
    return
  }
  // No gasp, no missed read. With others of the transformer it is a short interruption whose gasps were all lost.
  const earliest = Math.max(last > 0 && last < ms ? last : 0, ms - at.cfg.momentaryMaxS * 1000)
  back(s, placeFor(s, t, [earliest, ms], at), i, ms)
}

function back(s: OutageState, place: Place, i: number, ms: number): void {
  const m = darkMember(s, place, i)
  if (m.backBy === 'event' && m.backMs <= ms) return
  m.backMs = ms
  m.backBy = 'event'
  m.onMs = 0
  touch(place)
}

/**
 * A read of meter `i` taken at `ms` (true time). `missed`: reads it had missed just before this one. Returns at once when neither
 * the meter nor its transformer was in an interruption lately.
 */
export function noteRead(s: OutageState, i: number, ms: number, missed: number): void {
  const own = s.meters.interruption[i] as number
  const common = transformerOf(s, s.meters.transformer[i] as number)?.interruption ?? 0
  if (own === 0 && common === 0) return
  for (const place of placesOf(s, i)) noteReadIn(s, place, i, ms, missed)
  const older = s.older.get(i)
  if (older === undefined) return
  // Supply is back, so it is in whatever it was dark in.
  s.older.delete(i)
  for (const key of older) {
    const e = s.interruptions.get(key)
    const part = e?.parts.get(s.meters.transformer[i] as number)
    if (e !== undefined && part !== undefined) noteReadIn(s, { e, part }, i, ms, missed)
  }
}

function noteReadIn(s: OutageState, place: Place, i: number, ms: number, missed: number): void {
  const { part } = place
  if (ms <= part.startMs + MARGIN_MS) return
  const m = part.members.get(i)
  if (m === undefined || !isDark(m)) {
    if (m !== undefined && m.onMs > 0 && m.onMs <= ms) return
    if (part.endMs > 0 && ms >= part.endMs - MARGIN_MS) return
    memberOf(part, i).onMs = ms
  } else {
    if (m.backMs > 0 && m.backMs <= ms) return
    const nextDue = m.silentFromMs + (s.meters.stepMs[i] as number) * 1.5
    // It took the very read that it was thought to have missed, or one in between: only the word was late.
    if (m.gaspMs === 0 && m.backBy !== 'event' && (missed < 1 || ms < nextDue)) wasOn(m, ms)
    else {
      if (ms <= m.gaspMs + MARGIN_MS) return
      m.backMs = ms
      m.backBy = 'read'
      m.mute = mutedUntil(s, i, m.gaspMs || m.silentFromMs, ms)
    }
  }
  touch(place)
}

function wasOn(m: MemberState, ms: number): void {
  m.onMs = ms
  m.silentFromMs = 0
  m.backMs = 0
  m.backBy = ''
}

/** Two meters said that they lost their supply: it is not one premise. */
function several(part: Part): boolean {
  let n = 0
  for (const m of part.members.values()) if (m.gaspMs > 0 || m.backBy === 'event') n += 1
  return n >= 2
}

/** Gateway `g` failed: that its meters were silent says nothing of their supply. */
export function disregardSilence(s: OutageState, members: Int32Array): void {
  for (const i of members) {
    const e = s.interruptions.get(s.meters.interruption[i] as number)
    const part = e?.parts.get(s.meters.transformer[i] as number)
    const m = part?.members.get(i)
    if (e === undefined || part === undefined || m === undefined) continue
    if (m.silentFromMs === 0 || m.gaspMs > 0 || m.backBy === 'event' || m.flat || several(part)) continue
    part.members.delete(i)
    touch({ e, part })
  }
}

/** After a gap, the register of meter `i` had stood still, or had gone on counting. */
export function noteGap(s: OutageState, i: number, flat: boolean, at: Moment): void {
  const { meters } = s
  const step = meters.stepMs[i] as number
  const from = meters.gapFromMs[i] as number
  const to = meters.gapToMs[i] as number
  for (const place of placesOf(s, i)) {
    const m = place.part.members.get(i)
    if (m === undefined || m.silentFromMs === 0 || Math.abs(m.silentFromMs - from) >= step) continue
    m.flat = flat
    // It counted on and nobody gasped: the word was missing, not the supply. Unless it was silent for much longer than the others,
    // and could have counted then.
    const longer = place.part.endMs > 0 && to > place.part.endMs + 1.5 * step
    if (!flat && !longer && m.gaspMs === 0 && m.backBy !== 'event' && !several(place.part)) wasOn(m, to)
    touch(place)
    return
  }
  if (!flat || meters.role[i] === FEEDER_METER) return
  // A known outage of its transformer within the gap explains it.
  for (const e of s.interruptions.values()) {
    const part = e.parts.get(meters.transformer[i] as number)
    if (part !== undefined && part.verdict === 'dark' && from <= part.startMs && to >= part.startMs) return
  }
  const place = placeFor(s, meters.transformer[i] as number, [from, Math.min(from + step, to)], at)
  const m = darkMember(s, place, i)
  m.silentFromMs = from
  if (m.backBy !== 'event') {
    m.backMs = to
    m.backBy = 'read'
  }
  m.flat = true
  m.onMs = 0
}

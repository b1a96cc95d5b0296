// What the publisher of the billing feed does with days that were stored: publish, or hold. Pure, so that a test can run it against any
// order of revisions, batches and restarts.
import { type Gate, type GateOutcome, type HoldReason, judge } from './gate.ts'

/** A stored revision of a meter-day that is neither in the feed nor held. */
export interface PendingDay {
  daySeq: number
  /** Identity of the meter-day: meter, quantity, channel, date. */
  key: string
  rev: number
  actual: number
  estimated: number
  missing: number
  edited: number
  gate: Gate | null
}

/** What is known already of a meter-day. */
export interface KnownDay {
  /** Highest revision in the feed and its position; null while nothing of the day is. */
  published: { pos: number; rev: number } | null
  held: { daySeq: number; rev: number }[]
}

export interface FeedEntry {
  pos: number
  daySeq: number
  supersedes: number | null
  gate: GateOutcome
}

export interface Hold {
  daySeq: number
  reason: HoldReason
  estimatedPct: number
  limitPct: number
}

export interface Publication {
  /** Last position given out. */
  head: number
  entries: FeedEntry[]
  holds: Hold[]
  /** Held before, in the feed now. */
  released: number[]
}

export function emptyPublication(head: number): Publication {
  return { head, entries: [], holds: [], released: [] }
}

/**
 * Adds the decisions about `pending`, in the given order, to `to`; `known` is brought up to date as it goes.
 * - A day that passes its gate is published; its held revisions go first, in order, so that every revision is in the feed once.
 * - A day that does not pass is held, unless something of it is in the feed already: what was billed is always corrected at once.
 */
export function planPending(to: Publication, pending: readonly PendingDay[], known: Map<string, KnownDay>): void {
  for (const day of pending) {
    const of = knownOf(known, day.key)
    const verdict = judge(day.gate, day)
    if (verdict.pass) {
      releaseHeld(to, of, 'released_better_data')
      publish(to, of, { daySeq: day.daySeq, rev: day.rev, gate: verdict.outcome })
    } else if (of.published !== null) publish(to, of, { daySeq: day.daySeq, rev: day.rev, gate: 'correction' })
    else {
      of.held.push({ daySeq: day.daySeq, rev: day.rev })
      to.holds.push({ daySeq: day.daySeq, reason: verdict.reason, estimatedPct: verdict.estimatedPct, limitPct: verdict.limitPct })
    }
  }
}

/** Publishes all that is held of a day, lowest revision first. */
export function releaseHeld(to: Publication, of: KnownDay, gate: GateOutcome): void {
  for (const held of of.held.sort((a, b) => a.rev - b.rev)) {
    publish(to, of, { ...held, gate })
    to.released.push(held.daySeq)
  }
  of.held = []
}

function publish(to: Publication, of: KnownDay, day: { daySeq: number; rev: number; gate: GateOutcome }): void {
  const last = of.published
  to.head += 1
  // A lower revision that comes after a higher one (a writer that stored them out of order) replaces nothing.
  const supersedes = last !== null && last.rev < day.rev ? last.pos : null
  to.entries.push({ pos: to.head, daySeq: day.daySeq, supersedes, gate: day.gate })
  if (last === null || last.rev < day.rev) of.published = { pos: to.head, rev: day.rev }
}

function knownOf(known: Map<string, KnownDay>, key: string): KnownDay {
  let of = known.get(key)
  if (of === undefined) {
    of = { published: null, held: [] }
    known.set(key, of)
  }
  return of
}

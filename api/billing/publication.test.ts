import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { estimatedPct, type Gate, judge } from './gate.ts'
import { emptyPublication, type FeedEntry, type KnownDay, type PendingDay, planPending, releaseHeld } from './publication.ts'

const GATE: Gate = { class: 'R1', maxEstimatedPct: 10, holdDays: null, rev: 1 }
const aDay = (given: Partial<PendingDay>): PendingDay => ({
  daySeq: 1,
  key: 'W1 2026-03-01',
  rev: 1,
  actual: 24,
  estimated: 0,
  missing: 0,
  edited: 0,
  gate: GATE,
  ...given,
})

describe('gate', () => {
  it.each([
    ['all actual', { actual: 24, estimated: 0, missing: 0, edited: 0 }, true],
    ['exactly the limit', { actual: 9, estimated: 1, missing: 0, edited: 0 }, true],
    ['above by estimates', { actual: 8, estimated: 2, missing: 0, edited: 0 }, false],
    ['above by missing intervals', { actual: 8, estimated: 0, missing: 2, edited: 0 }, false],
    ['written by a person', { actual: 0, estimated: 0, missing: 0, edited: 24 }, true],
    ['no interval at all', { actual: 0, estimated: 0, missing: 0, edited: 0 }, false],
  ] as const)('%s', (_name, day, pass) => {
    expect(judge(GATE, day).pass).toBe(pass)
    expect(judge(null, day)).toEqual({ pass: true, outcome: 'no_gate' })
  })

  it('counts missing intervals with the estimated ones', () => {
    expect(estimatedPct({ actual: 1, estimated: 1, missing: 2, edited: 0 })).toBe(75)
  })
})

describe('publication', () => {
  it('holds a day, and publishes its revisions in order when a later one passes', () => {
    const known = new Map<string, KnownDay>()
    const plan = emptyPublication(7)
    planPending(plan, [aDay({ daySeq: 1, estimated: 24, actual: 0 }), aDay({ daySeq: 2, key: 'W2' })], known)
    expect(plan.entries).toEqual([{ pos: 8, daySeq: 2, supersedes: null, gate: 'met' }])
    expect(plan.holds).toMatchObject([{ daySeq: 1, reason: 'estimated_above_limit', estimatedPct: 100, limitPct: 10 }])
    const later = emptyPublication(8)
    planPending(later, [aDay({ daySeq: 3, rev: 2 })], known)
    expect(later.entries).toEqual([
      { pos: 9, daySeq: 1, supersedes: null, gate: 'released_better_data' },
      { pos: 10, daySeq: 3, supersedes: 9, gate: 'met' },
    ])
    expect(later.released).toEqual([1])
  })

  it('never holds a correction of what was billed', () => {
    const known = new Map<string, KnownDay>()
    const plan = emptyPublication(0)
    planPending(plan, [aDay({}), aDay({ daySeq: 2, rev: 2, actual: 0, estimated: 24 })], known)
    expect(plan.entries).toMatchObject([{ gate: 'met' }, { gate: 'correction', supersedes: 1 }])
  })

  /** Any days, revisions in any order, cut into batches anywhere, with a hand that releases now and then. */
  const history = fc.record({
    days: fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), estimated: fc.constantFrom(0, 24), gated: fc.boolean() }), {
      maxLength: 30,
    }),
    shuffle: fc.array(fc.nat(29), { maxLength: 10 }),
    cuts: fc.array(fc.nat(30), { maxLength: 6 }),
    hands: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 4 }),
  })

  it('puts every revision into the feed exactly once or holds it; each replaces the highest revision before it', () => {
    fc.assert(
      fc.property(history, ({ days, shuffle, cuts, hands }) => {
        const revs = new Map<string, number>()
        const pending = days.map((d, i) => {
          const rev = (revs.get(d.key) ?? 0) + 1
          revs.set(d.key, rev)
          return aDay({ daySeq: i + 1, key: d.key, rev, estimated: d.estimated, actual: 24 - d.estimated, gate: d.gated ? GATE : null })
        })
        // A few neighbours change places: writers that committed crosswise.
        for (const i of shuffle) {
          const [x, y] = [pending[i], pending[i + 1]]
          if (x !== undefined && y !== undefined) [pending[i], pending[i + 1]] = [y, x]
        }
        const known = new Map<string, KnownDay>()
        const feed: FeedEntry[] = []
        let head = 0
        const run = (act: (plan: ReturnType<typeof emptyPublication>) => void) => {
          const plan = emptyPublication(head)
          act(plan)
          feed.push(...plan.entries)
          head = plan.head
        }
        const bounds = [0, ...cuts.filter((c) => c < pending.length).sort((a, b) => a - b), pending.length]
        for (let i = 1; i < bounds.length; i++) {
          run((plan) => planPending(plan, pending.slice(bounds[i - 1], bounds[i]), known))
          const key = hands[i]
          const of = key === undefined ? undefined : known.get(key)
          if (of !== undefined) run((plan) => releaseHeld(plan, of, 'released_by_hand'))
        }
        const held = [...known.values()].flatMap((d) => d.held.map((h) => h.daySeq))
        const all = [...feed.map((e) => e.daySeq), ...held].sort((a, b) => a - b)
        expect(all).toEqual(pending.map((p) => p.daySeq).sort((a, b) => a - b))
        expect(feed.map((e) => e.pos)).toEqual(feed.map((_, i) => i + 1))
        const dayOf = new Map(pending.map((p) => [p.daySeq, p]))
        const best = new Map<string, { pos: number; rev: number }>()
        for (const e of feed) {
          const day = dayOf.get(e.daySeq) as PendingDay
          const last = best.get(day.key)
          expect(e.supersedes).toBe(last !== undefined && last.rev < day.rev ? last.pos : null)
          if (last === undefined || last.rev < day.rev) best.set(day.key, { pos: e.pos, rev: day.rev })
        }
      }),
      { numRuns: 200 },
    )
  })
})

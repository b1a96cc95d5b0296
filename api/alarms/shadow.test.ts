import { describe, expect, it } from 'vitest'
import type { Finding } from '#model/finding.ts'
import { HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { DEFAULT_POLICY, type Policy } from './policy.ts'
import { callsUnder, compareCalls } from './shadow.ts'

const T0 = Date.parse('2026-03-01T10:00:00Z')
const low = (id: string, minute: number, clearedMinute: number | null): Finding => ({
  ...{ type: 'finding', id, rev: clearedMinute === null ? 1 : 2, kind: 'low_pressure', scope: { type: 'sensor', id: 'P1' }, zone: 'A' },
  ...{ startedAt: toIso(T0), detectedAt: toIso(T0), updatedAt: toIso(T0 + (clearedMinute ?? minute) * MINUTE_MS) },
  ...{ clearedAt: clearedMinute === null ? null : toIso(T0 + clearedMinute * MINUTE_MS), severity: 'minor', confidence: 1 },
  ...{ reason: 'x', evidence: [], detector: 'x' },
})
/** Low for half a minute, for five minutes, and for an hour. */
const revisions = [
  { ...low('a', 0, null) },
  { ...low('a', 0, 0), updatedAt: toIso(T0 + 30_000), clearedAt: toIso(T0 + 30_000) },
  low('b', 60, null),
  low('b', 60, 65),
  low('c', 120, null),
]
const withDelay = (delayOnS: number): Policy => ({
  ...DEFAULT_POLICY,
  rules: DEFAULT_POLICY.rules.map((r) => (r.kind === 'low_pressure' ? { ...r, delayOnS } : r)),
})
const minutes = (policy: Policy) => callsUnder(policy, revisions, T0 + 5 * HOUR_MS).map((c) => (c.atMs - T0) / MINUTE_MS)

describe('the shadow', () => {
  it('calls as the rules say', () => {
    expect(minutes(withDelay(0))).toEqual([0, 60, 120])
    expect(minutes(withDelay(60))).toEqual([61, 121])
    expect(minutes(withDelay(600))).toEqual([130])
  })

  it('says what would appear, vanish and move', () => {
    const calls = (s: number) => callsUnder(withDelay(s), revisions, T0 + 5 * HOUR_MS)
    expect(compareCalls(calls(60), calls(60))).toEqual({ appear: [], vanish: [], move: [], same: 2 })
    const d = compareCalls(calls(60), calls(600))
    expect([d.appear.length, d.vanish.length, d.move.length]).toEqual([0, 1, 1])
    expect(compareCalls(calls(60), calls(0)).appear).toHaveLength(1)
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CAUSE_KINDS, type Cause, causeKey, intentOf, reconcile, type StoredCause } from './causes.ts'

const aCause = (meter: string, evidence: Cause['evidence'] = {}): Cause => ({
  key: causeKey('estimated_too_long', meter, 'q', ''),
  kind: 'estimated_too_long',
  account: 'C',
  meter,
  zone: 'F1',
  evidence,
})

describe('reconcile', () => {
  it('over any history each cause opens once, comes back under the same key, and revisions only rise', () => {
    fc.assert(
      fc.property(fc.array(fc.subarray(['a', 'b', 'c']), { maxLength: 12 }), (rounds) => {
        const stored = new Map<string, StoredCause>()
        for (const meters of rounds) {
          for (const change of reconcile(
            meters.map((m) => aCause(m)),
            [...stored.values()],
          )) {
            const { cause, rev, action } = change
            const before = stored.get(cause.key)
            expect(rev).toBe((before?.rev ?? 0) + 1)
            expect(action).toBe(before === undefined ? 'open' : before.open ? 'close' : 'reopen')
            stored.set(cause.key, { key: cause.key, kind: cause.kind, rev, open: action !== 'close', evidence: cause.evidence })
          }
          expect(
            [...stored.values()]
              .filter((s) => s.open)
              .map((s) => s.key)
              .sort(),
          ).toEqual(meters.map((m) => aCause(m).key).sort())
          expect(
            reconcile(
              meters.map((m) => aCause(m)),
              [...stored.values()],
            ),
          ).toEqual([])
        }
      }),
    )
  })

  it('numbers that move every day are no news, another level is', () => {
    const stored = (evidence: Cause['evidence']): StoredCause[] => [
      { key: aCause('a').key, kind: 'estimated_too_long', rev: 3, open: true, evidence },
    ]
    expect(reconcile([aCause('a', { days: 15 })], stored({ days: 14 }))).toEqual([])
    expect(reconcile([aCause('a', { level: 2 })], stored({ level: 1 }))).toMatchObject([{ action: 'update', rev: 4 }])
    expect(reconcile([aCause('a'), aCause('a')], [])).toHaveLength(1)
  })
})

describe('ticket of a cause', () => {
  it.each(CAUSE_KINDS)('%s says its numbers in words', (kind) => {
    const evidence = {
      ...{
        days: 14,
        since: '2026-03-01',
        estimatedValue: 12.3456,
        unit: 'm3',
        period: '2026-03',
        held: 2,
        notKnown: 1,
        dates: ['2026-03-05'],
      },
      ...{
        at: '2026-03-05T00:00:00Z',
        estimated: 0.5,
        used: 30,
        forecast: 90,
        ratio: 3,
        usual: 30,
        problems: ['tariff_unknown tariff P9'],
        bills: 2,
        accounts: ['C1', 'C2'],
      },
    }
    const told = { ...aCause('W-1', evidence), kind, rev: 2, openedMs: 1.77e12, updatedMs: 1.78e12, findings: ['f'] }
    const open = intentOf({ ...told, closedMs: null })
    expect(open).toMatchObject({ class: 'billing', rev: 2, closedAt: null, reason: kind, findings: ['f'], affected: ['W-1'] })
    expect(open.title).toMatch(/: W-1$/)
    expect(open.description).not.toMatch(/undefined|null|NaN|\[object/)
    expect(intentOf({ ...told, closedMs: 1.78e12 })).toMatchObject({ reason: 'all_clear', closedAt: '2026-05-28T20:26:40Z' })
  })
})

import { describe, expect, it } from 'vitest'
import type { Finding } from '#model/finding.ts'
import { findingsAt } from './playback.ts'
import { csvText } from './trends.ts'

const at = (minute: number) => Date.parse('2026-03-01T10:00:00Z') + minute * 60_000
const rev = (minute: number, cleared: number | null) => ({
  shownMs: at(minute),
  finding: { id: 'f', clearedAt: cleared === null ? null : new Date(at(cleared)).toISOString() } as Finding,
})

describe('playback', () => {
  it('shows a finding as it was known, and as it is known now', () => {
    const known = [rev(0, null), rev(30, 20)]
    expect([10, 29, 31].map((m) => findingsAt(known, at(m), 'known').length)).toEqual([1, 1, 0])
    // Corrected: it was over at minute 20 already, which was only learnt at minute 30.
    expect([10, 19, 21].map((m) => findingsAt([rev(0, 20)], at(m), 'corrected').length)).toEqual([1, 1, 0])
  })
})

describe('CSV', () => {
  it('quotes what needs it and makes no formula of anything', () => {
    expect(csvText([['a', 1, 'x,"y"', '=HYPERLINK("evil")', '-2+3']])).toBe('a,1,"x,""y""","\'=HYPERLINK(""evil"")","\'-2+3"\r\n')
  })
})

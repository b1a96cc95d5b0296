import { expect, test } from 'vitest'
import type { Finding } from '#model/finding.ts'
import { scoreWater, type WaterLabels } from './detection-score.ts'

const labels: WaterLabels = {
  warmupUntil: '2026-03-08T00:00:00Z',
  end: '2026-04-07T00:00:00Z',
  leaks: [
    { id: 'L1', kind: 'burst', dma: 'D1', startsAt: '2026-03-10T00:00:00Z', endsAt: '2026-03-12T00:00:00Z' },
    {
      id: 'L2',
      kind: 'incipient',
      dma: 'D2',
      startsAt: '2026-03-10T00:00:00Z',
      fullyDevelopedAt: '2026-03-20T00:00:00Z',
      endsAt: null,
    },
  ],
  customerLeaks: [
    { id: 'C1', kind: 'customer_leak', dma: 'D1', meter: 'M1', startsAt: '2026-03-15T00:00:00Z', endsAt: '2026-03-16T00:00:00Z' },
  ],
  meterDma: { M1: 'D1', M2: 'D1' },
}

const finding = (kind: Finding['kind'], id: string, detectedAt: string, rev = 1) =>
  ({ kind, scope: { type: kind === 'customer_leak' ? 'meter' : 'dma', id }, detectedAt, rev }) as Finding

test('hits, repeats, late ones and false ones are told apart', () => {
  const s = scoreWater(labels, [
    finding('burst', 'D1', '2026-03-07T00:00:00Z'), // in the warm-up
    finding('burst', 'D1', '2026-03-10T03:00:00Z'), // hit
    finding('leak', 'D1', '2026-03-11T00:00:00Z'), // repeat
    finding('leak', 'D1', '2026-03-12T12:00:00Z'), // late
    finding('leak', 'D1', '2026-03-20T00:00:00Z'), // false
    finding('burst', 'D1', '2026-03-20T12:00:00Z'), // the same false one
    finding('leak', 'D2', '2026-03-11T00:00:00Z'), // premature: below a tenth of its size
    finding('leak', 'D2', '2026-03-14T00:00:00Z', 2), // a later revision
    finding('customer_leak', 'M1', '2026-03-15T20:00:00Z'), // hit
    finding('customer_leak', 'M2', '2026-03-15T20:00:00Z'), // false
  ])
  expect(s.hits.map((h) => [h.leak.id, h.delayH])).toEqual([
    ['L1', 3],
    ['C1', 20],
  ])
  expect(s.missed.map((l) => l.id)).toEqual(['L2'])
  expect([s.falseNetwork.length, s.falseCustomer.length, s.months, s.meters]).toEqual([1, 1, 1, 2])
})

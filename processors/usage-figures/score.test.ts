import { expect, test } from 'vitest'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import { addScores, score, table } from './score.ts'

const T = Date.UTC(2026, 0, 1)
const span = { meters: 100, fromMs: T, toMs: T + 30 * DAY_MS }

test('found, late, wrong, and another view of the same', () => {
  const labels = [
    { kind: 'bypass', meter: 'A', startMs: T },
    { kind: 'bypass', meter: 'B', startMs: T },
  ]
  const said = [
    { subtype: 'bypass', meter: 'A', detectedMs: T + 30 * HOUR_MS },
    { subtype: 'tamper', meter: 'A', detectedMs: T + 40 * HOUR_MS },
    { subtype: 'bypass', meter: 'C', detectedMs: T + 40 * HOUR_MS },
  ]
  const s = score(said, labels, span)
  expect(s).toEqual({ kinds: [{ kind: 'bypass', labels: 2, found: 1, wrong: 1, delaysH: [30] }], meterMonths: 100 })
  expect(table(addScores([s, s]))[2]).toBe('| `bypass` | 4 | 2 (50 %) | 2 | 50 % | 30 h | 1.00 |')
})

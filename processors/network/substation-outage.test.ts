import { describe, expect, test } from 'vitest'
import type { Finding, Summary } from '#model/finding.ts'
import { outage } from '../detectors/outage.ts'
import { aTown, type Life, logOf, runZone, T0 } from '../detectors/power.fixture.ts'
import { createNetworkFold } from '../network-fold.ts'
import { substationOutage } from './substation-outage.ts'

const HOUR = 3_600_000
const END = T0 + 32 * HOUR
const EVENT = T0 + 24 * HOUR + 7 * 60_000
const ALL = ['T1', 'T2', 'T3']

/** Three feeders of one substation; what the second stage says of them. */
function live(off: Record<string, Life['off']>, endMs = END): { said: Finding[]; final: Finding[] } {
  const summaries: Summary[] = []
  for (const zone of ['F1', 'F2', 'F3']) {
    const town = aTown({ zone, checkMeters: false, gatewayOf: (m) => `${zone}-G${(m % 2) + 1}` })
    const run = runZone(logOf(town, { toMs: endMs, off: off[zone] ?? [], seed: zone.charCodeAt(1) }), [outage])
    expect(run.faults).toEqual([])
    summaries.push(...run.summaries)
  }
  const said: Finding[] = []
  const fold = createNetworkFold({
    detectors: [substationOutage],
    partitions: 1,
    onFinding: (f) => void said.push(structuredClone(f)),
    onFault: (part, error) => {
      throw new Error(`${part}: ${String(error)}`)
    },
  })
  for (const s of summaries) fold.apply(s)
  fold.apply({ type: 'watermark', partition: 0, nowMs: endMs })
  const last = new Map(said.map((f) => [f.id, f]))
  return { said, final: [...last.values()].filter((f) => f.withdrawn !== true) }
}

const dark = (fromMs: number, toMs: number) => [{ transformers: ALL, fromMs, toMs, gaspRate: 0.8 }]

describe('a substation', () => {
  test('is dark when its feeders go dark together, and names them', () => {
    const all = dark(EVENT, EVENT + 3 * HOUR)
    const { said, final } = live({ F1: all, F2: all, F3: all })
    expect(final).toHaveLength(1)
    expect(final[0]).toMatchObject({ kind: 'outage', scope: { type: 'substation', id: 'S1' }, reason: 'restored', cause: 'power' })
    expect(final[0]?.evidence[0]).toMatchObject({ what: 'feeders-dark', feeders: ['F1', 'F2', 'F3'], of: 3 })
    expect(Math.abs(Date.parse(final[0]?.startedAt as string) - EVENT)).toBeLessThan(60_000)
    expect(Date.parse(said[0]?.detectedAt as string) - EVENT).toBeLessThan(120_000)
  })
  test('that comes back feeder by feeder stays one finding, partly restored', () => {
    const { said, final } = live({
      F1: dark(EVENT, EVENT + HOUR),
      F2: dark(EVENT, EVENT + 2 * HOUR),
      F3: dark(EVENT, EVENT + 3 * HOUR),
    })
    expect(final).toHaveLength(1)
    expect(said.map((f) => f.reason)).toContain('partly-restored')
    expect(Math.abs(Date.parse(final[0]?.clearedAt as string) - EVENT - 3 * HOUR)).toBeLessThan(120_000)
  })
  test('is not dark when one of three feeders is, nor when two are an hour apart', () => {
    expect(live({ F1: dark(EVENT, EVENT + HOUR) }).said).toEqual([])
    const apart = live({
      F1: dark(EVENT, EVENT + 3 * HOUR),
      F2: dark(EVENT + HOUR, EVENT + 3 * HOUR),
      F3: dark(EVENT + 2 * HOUR, EVENT + 3 * HOUR),
    })
    expect(apart.said).toEqual([])
  })
})

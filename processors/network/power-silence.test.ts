import { describe, expect, test } from 'vitest'
import type { Finding, Summary } from '#model/finding.ts'
import { outage } from '../detectors/outage.ts'
import { aTown, type Life, logOf, runZone, T0, type TownOptions } from '../detectors/power.fixture.ts'
import { createNetworkFold } from '../network-fold.ts'
import { powerSilence } from './power-silence.ts'

const HOUR = 3_600_000
const END = T0 + 34 * HOUR
const EVENT = T0 + 24 * HOUR + 7 * 60_000

/** Two feeders, the totalising meters of both behind the gateway GS; findings of the second stage, newest revisions. */
function live(lives: Record<'F1' | 'F2', Omit<Life, 'toMs'>>, o: TownOptions = {}) {
  const summaries: Summary[] = []
  const own: Finding[] = []
  for (const zone of ['F1', 'F2'] as const) {
    const town = aTown({ zone, ...o, gatewayOf: (m) => `${zone}-G${(m % 2) + 1}` })
    for (const g of town.def.gateways) g.zones = g.id === 'GS' ? ['F1', 'F2'] : [zone]
    const run = runZone(logOf(town, { toMs: END, ...lives[zone] }), [outage])
    expect(run.faults).toEqual([])
    summaries.push(...run.summaries)
    own.push(...run.final)
  }
  const said: Finding[] = []
  const fold = createNetworkFold({
    detectors: [powerSilence],
    partitions: 1,
    onFinding: (f) => void said.push(structuredClone(f)),
    onFault: (part, error) => {
      throw new Error(`${part}: ${String(error)}`)
    },
  })
  for (const s of summaries) fold.apply(s)
  fold.apply({ type: 'watermark', partition: 0, nowMs: END })
  const last = new Map(said.map((f) => [f.id, f]))
  return { said, final: [...last.values()].filter((f) => f.withdrawn !== true), own }
}

const failure = (gateway: string) => ({ gateway, fromMs: EVENT, toMs: EVENT + 4 * HOUR, backfill: true })
const dark = { transformers: ['T1', 'T2', 'T3'], fromMs: EVENT, toMs: EVENT + 3 * HOUR, gaspRate: 0, restoreRate: 0 }

describe('a shared gateway', () => {
  test('that fails is one failure, named once for both feeders, and no outage', () => {
    const r = live({ F1: { failures: [failure('GS')] }, F2: { failures: [failure('GS')] } })
    expect(r.own).toEqual([])
    expect(r.final.map((f) => [f.kind, f.scope.id, f.cause])).toEqual([['comms_failure', 'GS', 'comms']])
    expect(r.final[0]?.clearedAt).not.toBeNull()
    expect(r.final[0]?.affected).toEqual(['C1', 'C2', 'C3', 'C1', 'C2', 'C3'])
  })

  test('silent for one feeder only has not failed', () => {
    const r = live({ F1: { off: [{ ...dark, gaspRate: 0.6 }] }, F2: {} })
    expect(r.final).toEqual([])
    expect(r.own.map((f) => f.kind)).toEqual(['outage'])
  })
})

describe('a feeder without a word', () => {
  test('is dark when a gateway of it is heard elsewhere; it is taken back when the zone speaks for itself', () => {
    const r = live({ F1: { off: [dark] }, F2: {} })
    expect(r.said[0]).toMatchObject({
      kind: 'outage',
      subtype: 'silent',
      scope: { type: 'feeder', id: 'F1' },
      cause: 'power',
      reason: 'gateways-heard-elsewhere',
    })
    expect(Date.parse(r.said[0]?.detectedAt ?? '') - EVENT).toBeLessThan(2 * 900_000 + 5 * 60_000)
    expect(r.final).toEqual([])
    expect(r.own.map((f) => [f.kind, f.scope.type])).toEqual([['outage', 'feeder']])
  })

  test('whose only gateway fails is a gateway of unknown cause, and no outage', () => {
    const one = { checkMeters: false }
    const r = live({ F1: { failures: [failure('F1-G1'), failure('F1-G2')] }, F2: {} }, one)
    // Two gateways at once are more likely without supply than failed: said with doubt, and taken back when the registers went on.
    expect(r.said[0]).toMatchObject({ kind: 'outage', confidence: 0.6, reason: 'gateways-silent-together' })
    expect(r.final).toEqual([])
    expect(r.own.filter((f) => f.kind === 'outage')).toEqual([])
  })

  test('with all others silent as well is our own failure, and nothing is said', () => {
    const r = live({ F1: { off: [dark] }, F2: { off: [dark] } })
    expect(r.said).toEqual([])
  })
})

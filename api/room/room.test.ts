import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AssetProperties } from '#model/asset.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { bandOf, quantile } from './band.ts'
import { framesOf, type Row } from './frames.ts'
import { buildNetwork, traceOf } from './trace.ts'

const T0 = Date.parse('2026-03-02T00:00:00Z') // a Monday

describe('the expected band', () => {
  const samples = Array.from({ length: 24 * 35 }, (_, i) => {
    const tsMs = T0 + i * HOUR_MS
    const weekend = [0, 6].includes(new Date(tsMs).getUTCDay())
    return { tsMs, value: (weekend ? 100 : 0) + (i % 24) }
  })
  const ask = { stepMs: HOUR_MS, timezone: 'UTC' }

  it('knows the hour of the day, and weekends from working days', () => {
    const fromMs = T0 + 28 * DAY_MS
    const band = bandOf(samples, { ...ask, fromMs, toMs: fromMs + 7 * DAY_MS })
    expect(band).toHaveLength(7 * 24)
    expect(band.find((b) => b.tsMs === fromMs + 5 * HOUR_MS)).toEqual({ tsMs: fromMs + 5 * HOUR_MS, low: 5, mid: 5, high: 5 })
    expect(band.find((b) => b.tsMs === fromMs + 5 * DAY_MS)?.mid).toBe(100)
  })

  it('says nothing without enough of a past, and nothing from the future', () => {
    expect(bandOf(samples, { ...ask, fromMs: T0, toMs: T0 + 4 * DAY_MS })).toEqual([])
    const fault = samples.map((s) => (s.tsMs >= T0 + 28 * DAY_MS ? { ...s, value: 1e6 } : s))
    const [first] = bandOf(fault, { ...ask, fromMs: T0 + 28 * DAY_MS, toMs: T0 + 29 * DAY_MS })
    expect(first?.high).toBeLessThan(100)
  })

  it('takes quantiles as Hyndman and Fan type 7 do', () => {
    expect([quantile([1, 2, 3, 4], 0.5), quantile([1, 2, 3, 4], 0.1), quantile([7], 0.9)]).toEqual([2.5, 1.3, 7])
  })
})

describe('tracing', () => {
  const assets = [
    { id: 'R', kind: 'reservoir' },
    ...['A', 'B', 'C', 'D'].map((id) => ({ id, kind: 'junction' })),
    { id: 'p1', kind: 'pipe', from: 'R', to: 'A', length_m: 10 },
    { id: 'p2', kind: 'pipe', from: 'A', to: 'B', length_m: 10 },
    { id: 'p3', kind: 'pipe', from: 'C', to: 'B', length_m: 10 },
    { id: 'loop', kind: 'pipe', from: 'A', to: 'C', length_m: 500 },
    { id: 'p4', kind: 'pipe', from: 'A', to: 'D', length_m: 5 },
    { id: 'm1', kind: 'water_meter', node: 'C', gateway: 'G', account: 'c1' },
    { id: 'm2', kind: 'water_meter', node: 'C', gateway: 'G', account: 'c1' },
    { id: 'm3', kind: 'water_meter', node: 'D', gateway: 'G', dma: 'Z' },
    { id: 'Z', kind: 'dma' },
    { id: 's', kind: 'pressure_sensor', node: 'B', gateway: 'G' },
    { id: 'SS', kind: 'substation' },
    { id: 'F', kind: 'feeder', substation: 'SS' },
    { id: 'T', kind: 'transformer', feeder: 'F' },
    { id: 'e', kind: 'electric_meter', transformer: 'T', feeder: 'F', gateway: 'G', role: 'customer', account: 'c9' },
    { id: 'eT', kind: 'electric_meter', transformer: 'T', feeder: 'F', gateway: 'G', role: 'transformer' },
  ] as AssetProperties[]
  const n = buildNetwork(assets)

  it('goes the shortest way to the source and counts customers once', () => {
    expect(traceOf(n, 'p2')).toMatchObject({
      upstream: ['A', 'p1', 'R'],
      downstream: ['B', 'p3', 's', 'C', 'm1', 'm2'],
      meters: 2,
      customers: 1,
      source: 'R',
    })
    expect(traceOf(n, 's')).toMatchObject({ upstream: ['p2', 'A', 'p1', 'R'], customers: 1 })
    expect(traceOf(n, 'p1')).toMatchObject({ meters: 3, customers: 2 })
  })

  it('follows the hierarchy of power, totalising meters apart', () => {
    expect(traceOf(n, 'F')).toMatchObject({ upstream: ['SS'], downstream: ['T', 'e'], customers: 1 })
    expect(traceOf(n, 'Z')).toMatchObject({ downstream: ['m3'], customers: 1 })
    expect(traceOf(n, 'nobody')).toBeUndefined()
  })

  it('ends in any network, also one that is wrong', () => {
    const id = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    fc.assert(
      fc.property(fc.array(fc.record({ id, from: id, to: id }), { maxLength: 12 }), id, (links, asked) => {
        const net = buildNetwork([{ id: 'a', kind: 'reservoir' }, ...links.map((l) => ({ ...l, kind: 'pipe' }))] as AssetProperties[])
        const trace = traceOf(net, asked)
        if (trace === undefined) return
        expect(new Set(trace.downstream).size).toBe(trace.downstream.length)
      }),
    )
  })
})

describe('frames', () => {
  const row = (minute: number, value: number, lateMin = 0): Row => ({
    asset: 'P',
    quantity: 'pressure_bar',
    channel: '',
    tsMs: T0 + minute * MINUTE_MS,
    receivedMs: T0 + (minute + lateMin) * MINUTE_MS,
    value,
    quality: 'good',
  })
  const ask = { fromMs: T0 + 10 * MINUTE_MS, toMs: T0 + 30 * MINUTE_MS, stepMs: 10 * MINUTE_MS }
  const values = (mode: 'known' | 'corrected', rows: Row[]) => framesOf(rows, { ...ask, mode }).changes.map((f) => f.map((c) => c[2]))

  it('begins with everything known and goes on with what changed', () => {
    expect(values('known', [row(1, 1), row(5, 2), row(15, 3), row(25, 4)])).toEqual([[2], [3], [4]])
    expect(values('known', [row(15, 3)])).toEqual([[], [3], []])
  })

  it('shows what came late when it came, or where it belongs', () => {
    const rows = [row(5, 1), row(15, 2, 12)]
    expect(values('known', rows)).toEqual([[1], [], [2]])
    expect(values('corrected', rows)).toEqual([[1], [2], []])
    // It came after something newer: then it is only history.
    expect(values('known', [row(5, 1, 30), row(15, 2)])).toEqual([[], [2], []])
  })
})

// Four districts with daily rhythm through both stages: a burst, a fire hydrant, a hot spell of both, and quiet weeks.
import { describe, expect, test } from 'vitest'
import type { AssetProperties } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import type { Reading } from '#model/reading.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { districtFlow } from '../detectors/district-flow.ts'
import { random } from '../detectors/power.fixture.ts'
import { createNetworkFold } from '../network-fold.ts'
import { aDevice, aReading, aZone, collect, plainValidator } from '../zone-fold.fixture.ts'
import { createZoneFold } from '../zone-fold.ts'
import { districtLeak } from './district-leak.ts'

const START_MS = Date.UTC(2026, 2, 2)
const STEP_MS = 5 * MINUTE_MS
const DISTRICTS = ['D1', 'D2', 'D3', 'D4']

interface Life {
  days: number
  /** Flow that is added to a district's inflow, m3/h. */
  extra?: (district: string, ageMs: number) => number
  /** Factor on the demand of all districts. */
  factor?: (ageMs: number) => number
}

function live(life: Life): Finding[] {
  const sink = collect()
  const found: Finding[] = []
  const folds = DISTRICTS.map((d) => {
    const flow = {
      id: `F-${d}`,
      kind: 'flow_meter',
      link: `p-${d}`,
      gateway: 'G',
      interval_s: 300,
      flows: [{ dma: d, sign: 1 }],
    } as AssetProperties
    const area = { id: d, kind: 'dma' } as AssetProperties
    const def = { ...aZone(d, [aDevice(flow)]), kind: 'dma' as const, area, warmupUntilMs: START_MS + 7 * DAY_MS }
    const fold = createZoneFold({ zone: d, detectors: [districtFlow], validator: plainValidator })
    fold.apply({ kind: 'zone', zone: d, receivedAtMs: START_MS, def }, sink.out)
    return fold
  })
  const network = createNetworkFold({
    detectors: [districtLeak],
    partitions: 1,
    onFinding: (f) => void found.push(structuredClone(f)),
    onFault: (part, error) => {
      throw new Error(`${part}: ${String(error)}`)
    },
  })
  const draw = random(11)
  const noise = () => draw() + draw() + draw() - 1.5
  const mood = new Map(DISTRICTS.map((d) => [d, 0]))
  for (let t = START_MS; t < START_MS + life.days * DAY_MS; t += STEP_MS) {
    const hour = ((t - START_MS) % DAY_MS) / HOUR_MS
    for (const [i, d] of DISTRICTS.entries()) {
      const m = 0.97 * (mood.get(d) as number) + 0.01 * noise()
      mood.set(d, m)
      const shape = 0.45 + 0.9 * Math.exp(-((hour - 8) ** 2) / 8) + 0.8 * Math.exp(-((hour - 19) ** 2) / 10)
      const value = 60 * shape * (1 + m) * (life.factor?.(t - START_MS) ?? 1) + 0.3 * noise() + (life.extra?.(d, t - START_MS) ?? 0)
      const reading: Reading = {
        ...aReading({ device: `F-${d}`, quantity: 'flow_m3h', value, tsMs: t, gateway: 'G' }),
        receivedAtMs: t + 20_000,
      }
      folds[i]?.apply({ kind: 'data', zone: d, readings: [reading], events: [] }, sink.out)
    }
    for (let tick = t + 60_000; tick <= t + STEP_MS; tick += 60_000) {
      for (const fold of folds) fold.apply({ kind: 'tick', nowMs: tick, ingest: 'i', brokerConnected: true, gatewaysOnline: 1 }, sink.out)
      for (const s of sink.summaries.splice(0)) network.apply(s)
      network.apply({ type: 'watermark', partition: 0, nowMs: tick })
    }
  }
  return found
}

describe('district inflow', () => {
  test('a burst of a quarter of the inflow is found within four hours, in its district', () => {
    const found = live({ days: 14, extra: (d, age) => (d === 'D1' && age >= 11.5 * DAY_MS ? 18 : 0) })
    const first = found[0]
    expect(found.every((f) => f.scope.id === 'D1')).toBe(true)
    expect(first?.kind).toBe('burst')
    expect(Date.parse(first?.detectedAt ?? '') - (START_MS + 11.5 * DAY_MS)).toBeLessThan(4 * HOUR_MS)
    // The first figure is cautious: never more than there is.
    expect(first?.size?.flowM3h).toBeGreaterThan(2)
    expect(first?.size?.flowM3h).toBeLessThan(24)
  })

  test('after the repair it ends', () => {
    const found = live({ days: 16, extra: (d, age) => (d === 'D1' && age >= 11.5 * DAY_MS && age < 13 * DAY_MS ? 18 : 0) })
    expect(found.at(-1)?.clearedAt).not.toBeNull()
  })

  test.each<[string, Life]>([
    ['three quiet weeks', { days: 21 }],
    [
      'a fire brigade that draws for an hour',
      { days: 14, extra: (d, age) => (d === 'D1' && age >= 11 * DAY_MS && age < 11 * DAY_MS + HOUR_MS ? 25 : 0) },
    ],
    ['heat that makes both districts use more', { days: 18, factor: (age) => (age >= 11 * DAY_MS && age < 15 * DAY_MS ? 1.1 : 1) }],
  ])('%s raises nothing', (_, life) => expect(live(life).map((f) => f.id)).toEqual([]))
})

// Three pressure sensors of a district over ten days: ordinary days, and one that loses its pressure.
import { expect, test } from 'vitest'
import type { AssetProperties } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { aDevice, aReading, aZone, collect, plainValidator } from '../zone-fold.fixture.ts'
import { createZoneFold } from '../zone-fold.ts'
import { random } from './power.fixture.ts'
import { pressure } from './pressure.ts'

const START_MS = Date.UTC(2026, 2, 2)
const STEP_MS = 5 * MINUTE_MS
const SENSORS = ['P1', 'P2', 'P3']

function live(days: number, less: (sensor: string, ageMs: number) => number): Finding[] {
  const { out, findings } = collect()
  const devices = SENSORS.map((id) =>
    aDevice({ id, kind: 'pressure_sensor', node: `n-${id}`, dma: 'D1', gateway: 'G', interval_s: 300 } as AssetProperties),
  )
  const fold = createZoneFold({ zone: 'D1', detectors: [pressure], validator: plainValidator })
  const def = {
    ...aZone('D1', devices),
    kind: 'dma' as const,
    area: { id: 'D1', kind: 'dma' } as AssetProperties,
    warmupUntilMs: START_MS + 7 * DAY_MS,
  }
  fold.apply({ kind: 'zone', zone: 'D1', receivedAtMs: START_MS, def }, out)
  const draw = random(5)
  for (let t = START_MS; t < START_MS + days * DAY_MS; t += STEP_MS) {
    const demand = Math.sin(((t - START_MS) / DAY_MS) * 2 * Math.PI)
    const readings = SENSORS.map((id, i) => ({
      ...aReading({
        device: id,
        quantity: 'pressure_bar',
        tsMs: t,
        gateway: 'G',
        value: 3 + i / 2 - 0.3 * demand + 0.01 * (draw() - 0.5) - less(id, t - START_MS),
      }),
      receivedAtMs: t + 20_000,
    }))
    fold.apply({ kind: 'data', zone: 'D1', readings, events: [] }, out)
    fold.apply({ kind: 'tick', nowMs: t + STEP_MS, ingest: 'i', brokerConnected: true, gatewaysOnline: 1 }, out)
  }
  return findings
}

test('ten ordinary days raise nothing', () => {
  expect(live(10, () => 0)).toEqual([])
})

test('a sensor that falls below service pressure is named within half an hour, and the end is told', () => {
  const from = 8 * DAY_MS
  const findings = live(10, (id, age) => (id === 'P1' && age >= from && age < from + 3 * HOUR_MS ? 2.4 : 0)).filter(
    (f) => f.kind === 'low_pressure',
  )
  expect(findings[0]?.scope).toEqual({ type: 'sensor', id: 'P1' })
  expect(Date.parse(findings[0]?.detectedAt ?? '') - (START_MS + from)).toBeLessThan(30 * MINUTE_MS)
  expect(findings.at(-1)?.clearedAt).not.toBeNull()
})

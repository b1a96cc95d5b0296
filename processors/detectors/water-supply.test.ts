// A district of three pressure sensors with meters around each, for three days; then the water goes away.
import { expect, test } from 'vitest'
import type { AssetProperties } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { aDevice, aReading, aZone, collect, plainValidator } from '../zone-fold.fixture.ts'
import { createZoneFold } from '../zone-fold.ts'
import { waterSupply } from './water-supply.ts'

const START = Date.UTC(2026, 2, 2)
const GONE = START + 3 * DAY_MS + 2 * HOUR_MS
const BACK = GONE + 4 * HOUR_MS
const SENSORS = ['P1', 'P2', 'P3']
const METERS = Array.from({ length: 12 }, (_, k) => `W${k + 1}`)
/** Every third meter is near the same sensor. */
const near = (k: number): number => k % 3

function live(o: { dark: string[]; dry: (k: number, ms: number) => boolean; toMs?: number }): Finding[] {
  const { out, findings } = collect()
  const place = (asset: AssetProperties, lon: number) => ({ ...aDevice(asset as never), lon, lat: 47 })
  const devices = [
    ...SENSORS.map((id, k) => place({ id, kind: 'pressure_sensor', gateway: 'G1' } as AssetProperties, 8 + k)),
    ...METERS.map((id, k) => place({ id, kind: 'water_meter', gateway: 'G1' } as AssetProperties, 8 + near(k) + 0.1)),
  ]
  const fold = createZoneFold({ zone: 'D1', detectors: [waterSupply], validator: plainValidator })
  fold.apply({ kind: 'zone', zone: 'D1', receivedAtMs: START, def: { ...aZone('D1', devices), kind: 'dma' } }, out)
  const m3 = METERS.map(() => 0)
  for (let t = START; t <= (o.toMs ?? BACK + 2 * HOUR_MS); t += 5 * MINUTE_MS) {
    const readings = SENSORS.map((device) => {
      const value = o.dark.includes(device) && t >= GONE && t < BACK ? 0.05 : 4 + 0.2 * Math.sin(t / HOUR_MS)
      return aReading({ device, quantity: 'pressure_bar', tsMs: t, value, receivedAtMs: t + 5_000 })
    })
    if (t % HOUR_MS === 0) {
      METERS.forEach((device, k) => {
        // Used in three hours of four.
        if (!o.dry(k, t - HOUR_MS) && (t / HOUR_MS + k) % 4 !== 0) m3[k] = (m3[k] as number) + 0.05
        readings.push(aReading({ device, tsMs: t, value: m3[k] as number, receivedAtMs: t + 60_000 }))
      })
    }
    fold.apply({ kind: 'data', zone: 'D1', readings, events: [] }, out)
    fold.apply({ kind: 'tick', nowMs: t + 70_000, ingest: 'i', brokerConnected: true, gatewaysOnline: 1 }, out)
  }
  return findings
}
const without = (ms: number): boolean => ms >= GONE && ms < BACK

test('a district without pressure is an outage within a quarter of an hour, with its meters, and its end', () => {
  const said = live({ dark: SENSORS, dry: (_k, ms) => without(ms) })
  expect(said[0]).toMatchObject({
    kind: 'outage',
    subtype: 'water',
    scope: { type: 'dma', id: 'D1' },
    startedAt: toIso(GONE),
    severity: 'critical',
    reason: 'pressure-gone',
  })
  expect(said[0]?.affected).toHaveLength(12)
  expect(Date.parse(said[0]?.detectedAt ?? '') - GONE).toBeLessThan(15 * MINUTE_MS)
  expect(said.at(-1)).toMatchObject({ reason: 'restored', clearedAt: toIso(BACK), momentary: false })
  expect(new Set(said.map((f) => f.id)).size).toBe(1)
})

test('a part of it is told by one sensor when the meters around it stand still, with those meters', () => {
  const said = live({ dark: ['P2'], dry: (k, ms) => near(k) === 1 && without(ms) })
  expect(said[0]).toMatchObject({ reason: 'pressure-gone-in-part', severity: 'major' })
  expect(said[0]?.affected).toEqual(['W2', 'W5', 'W8', 'W11'])
})

test('a sensor that shows nothing while the meters around it run is broken, and no outage', () => {
  expect(live({ dark: ['P2'], dry: () => false })).toEqual([])
})

test('two such sensors are doubted as soon as the meters run on', () => {
  const said = live({ dark: ['P1', 'P2'], dry: () => false })
  expect(said.at(-1)).toMatchObject({ withdrawn: true, reason: 'meters-run-on' })
})

// Two pressure sensors and the two meters of a district over twelve days: ordinary days raise nothing, faults are named and end.
import { expect, test } from 'vitest'
import type { AssetProperties } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { aDevice, aReading, aZone, collect, plainValidator } from '../zone-fold.fixture.ts'
import { createZoneFold } from '../zone-fold.ts'
import { random } from './power.fixture.ts'
import { sensorHealth } from './sensor-health.ts'

const START_MS = Date.UTC(2026, 2, 2)
const STEP_MS = 15 * MINUTE_MS
const SENSORS = ['P1', 'P2', 'F1', 'F2']

/** `distort` changes what a sensor reads, undefined loses it. */
function live(distort: (id: string, value: number, day: number) => number | undefined = (_, v) => v, flows = true, sign = 1): Finding[] {
  const { out, findings } = collect()
  const devices = SENSORS.filter((id) => flows || id.startsWith('P')).map((id) =>
    aDevice({
      id,
      kind: id.startsWith('P') ? 'pressure_sensor' : 'flow_meter',
      gateway: id === 'P2' ? 'G2' : 'G1',
      interval_s: 900,
      ...(id === 'F1' ? { flows: [{ dma: 'D1', sign }] } : id === 'F2' ? { flows: [{ dma: 'D1', sign: -sign }] } : { node: id, dma: 'D1' }),
    } as AssetProperties),
  )
  const fold = createZoneFold({ zone: 'D1', detectors: [sensorHealth], validator: plainValidator })
  const def = { ...aZone('D1', devices), area: { id: 'D1', kind: 'dma' } as AssetProperties, warmupUntilMs: START_MS + 5 * DAY_MS }
  fold.apply({ kind: 'zone', zone: 'D1', receivedAtMs: START_MS, def }, out)
  const draw = random(7)
  for (let t = START_MS; t < START_MS + 12 * DAY_MS; t += STEP_MS) {
    const day = (t - START_MS) / DAY_MS
    const demand = 1 + 0.5 * Math.sin(day * 2 * Math.PI)
    const readings = devices.flatMap(({ asset: { id } }) => {
      const noise = 0.02 * (draw() - 0.5)
      const truth = id === 'F1' ? 30 * demand + 20 * noise : id === 'F2' ? 10 + 20 * noise : 3 - 0.1 * demand + noise
      const value = distort(id, Number(truth.toFixed(3)), day)
      if (value === undefined) return []
      const quantity = id.startsWith('P') ? ('pressure_bar' as const) : ('flow_m3h' as const)
      return [{ ...aReading({ device: id, quantity, tsMs: t, gateway: 'G1', value }), receivedAtMs: t + 20_000 }]
    })
    fold.apply({ kind: 'data', zone: 'D1', readings, events: [] }, out)
    fold.apply({ kind: 'tick', nowMs: t + STEP_MS, ingest: 'i', brokerConnected: true, gatewaysOnline: 1 }, out)
  }
  return findings
}

const faults = (list: Finding[]) => list.map((f) => `${f.subtype} ${f.scope.id}${f.clearedAt === null ? '' : ' over'}`)
const between = (day: number, from: number, to: number) => day >= from && day < to

test('ordinary days raise nothing', () => {
  expect(live()).toEqual([])
})

test('a stuck sensor is named within two hours, and moves again', () => {
  const found = live((id, v, day) => (id === 'P1' && between(day, 8, 9) ? 2.95 : v))
  expect(faults(found)).toEqual(['stuck P1', 'stuck P1 over'])
  expect(Date.parse(found[0]?.detectedAt ?? '') - (START_MS + 8 * DAY_MS)).toBeLessThan(2 * HOUR_MS)
})

test('a noisy sensor', () => {
  const draw = random(9)
  expect(faults(live((id, v, day) => (id === 'P2' && between(day, 8, 10) ? v + 0.3 * (draw() - 0.5) : v)))).toEqual([
    'noisy P2',
    'noisy P2 over',
  ])
})

test('one silent sensor is named; those of one gateway are its matter; all of a district are said once', () => {
  expect(faults(live((id, v, day) => (id === 'P1' && between(day, 8, 9) ? undefined : v)))).toEqual(['silent P1', 'silent P1 over'])
  expect(faults(live((id, v, day) => (id !== 'P2' && between(day, 8, 9) ? undefined : v)))).toEqual(['silent G1', 'silent G1 over'])
  const all = faults(live((_, v, day) => (between(day, 8, 9) ? undefined : v)))
  expect(all).toEqual(expect.arrayContaining(['all-sensors-silent D1', 'all-sensors-silent D1 over']))
})

test('wrong signs show as a district that runs backwards, with the meter that would put it right', () => {
  const found = live(undefined, true, -1)
  expect(faults(found)).toEqual(['net-inflow-backwards D1'])
  expect(found[0]?.evidence[0]?.meters).toEqual(['F1'])
})

test('a district without an inflow meter is named', () => {
  expect(faults(live(undefined, false))).toEqual(['no-inflow-meter D1'])
})

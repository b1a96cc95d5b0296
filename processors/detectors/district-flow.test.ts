// What a district tells the second stage: its net inflow by the signs of its meters, and nothing that it does not know.
import { expect, test } from 'vitest'
import type { AssetProperties } from '#model/asset.ts'
import type { Summary } from '#model/finding.ts'
import { DAY_MS, MINUTE_MS } from '#model/time.ts'
import { aDevice, aReading, aZone, collect, plainValidator } from '../zone-fold.fixture.ts'
import { createZoneFold } from '../zone-fold.ts'
import { districtFlow } from './district-flow.ts'

const START_MS = Date.UTC(2026, 2, 2)
const STEP_MS = 5 * MINUTE_MS

const meter = (id: string, flows: { dma: string; sign: 1 | -1 }[]): AssetProperties => ({
  id,
  kind: 'flow_meter',
  link: `p-${id}`,
  gateway: 'G',
  interval_s: 300,
  flows,
})

/** A day of a district with an inlet of 50 m3/h and an outlet of 20; `gives` decides which meter is heard at a step. */
function day(gives: (id: string, step: number) => boolean, together = true): Summary[] {
  const { out, summaries } = collect()
  const zone = aZone('D1', [
    aDevice(meter('IN', [{ dma: 'D1', sign: 1 }])),
    aDevice(
      meter('OUT', [
        { dma: 'D2', sign: 1 },
        { dma: 'D1', sign: -1 },
      ]),
    ),
  ])
  const fold = createZoneFold({ zone: 'D1', detectors: [districtFlow], validator: plainValidator })
  fold.apply(
    { kind: 'zone', zone: 'D1', receivedAtMs: START_MS, def: { ...zone, kind: 'dma', area: { id: 'D1', kind: 'dma' } as AssetProperties } },
    out,
  )
  for (let step = 0; step < DAY_MS / STEP_MS; step++) {
    const t = START_MS + step * STEP_MS
    const readings = [
      { ...aReading({ device: 'IN', quantity: 'flow_m3h', value: 50, tsMs: t, gateway: 'G' }), receivedAtMs: t + 20_000 },
      { ...aReading({ device: 'OUT', quantity: 'flow_m3h', value: 20, tsMs: t, gateway: 'G' }), receivedAtMs: t + 20_000 },
    ].filter((r) => gives(r.device, step))
    const records = together ? [readings] : readings.map((r) => [r])
    for (const some of records) fold.apply({ kind: 'data', zone: 'D1', readings: some, events: [] }, out)
    fold.apply({ kind: 'tick', nowMs: t + STEP_MS, ingest: 'i', brokerConnected: true, gatewaysOnline: 1 }, out)
  }
  return summaries
}

const nets = (summaries: Summary[]) =>
  summaries.filter((s) => s.topic === 'district_flow').flatMap((s) => (s.data as { netM3h: (number | null)[] }).netM3h)

test('net inflow is what comes in less what goes out', () => {
  const flows = nets(day(() => true))
  expect(flows.length).toBeGreaterThan(90)
  for (const net of flows) expect(net).toBeCloseTo(30, 5)
})

test('without one of its meters a district has no net inflow: it never takes the other one for the whole', () => {
  const flows = nets(day((id, step) => id === 'IN' || step < 100))
  const known = flows.filter((net) => typeof net === 'number' && Number.isFinite(net))
  for (const net of known) expect(net).toBeCloseTo(30, 5)
  expect(known.length).toBeLessThan(40)
  expect(known.length).toBeGreaterThan(30)
})

test('how the readings are cut into records changes nothing', () => {
  expect(nets(day(() => true, false))).toEqual(nets(day(() => true)))
})

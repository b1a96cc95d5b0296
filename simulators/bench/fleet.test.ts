import { expect, test } from 'vitest'
import { AssetProperties } from '#model/asset.ts'
import { createDecoder } from '../../ingest/decode.ts'
import { registryView } from '../../ingest/registry-view.ts'
import { route } from '../../ingest/route.ts'
import { parseSettings } from '../../ingest/settings.ts'
import { type FleetOptions, fleetFeatures, fleetMessages, type Totals } from './fleet.ts'

const START = Date.UTC(2026, 2, 1)
const options: FleetOptions = { meters: 800, zones: 8, gateways: 16, perMessage: 30, readings: 5_000, startMs: START, seed: 1 }
const none = (): Totals => ({ readings: 0, messages: 0, sumThousandths: 0 })

test('every reading is taken by ingest, once, and the totals are those of what is sent', () => {
  const features = fleetFeatures(options)
  for (const f of features) AssetProperties.parse(f.properties)
  const registry = registryView(features.map((f) => f.properties))
  const decode = createDecoder(parseSettings(''))
  const totals = none()
  const keys = new Set<string>()
  const last = new Map<string, number>()
  let sum = 0
  for (const m of fleetMessages(options, totals)) {
    const raw = { topic: m.topic, payload: m.payload, receivedAtMs: START + 86_400_000, retained: false, redelivered: false }
    const taken = route({ ...raw, ...decode(raw) }, registry, {
      reading(_zone, r) {
        keys.add(`${r.device} ${r.tsMs}`)
        expect(r.value).toBeGreaterThanOrEqual(last.get(r.device) ?? 0)
        last.set(r.device, r.value)
        sum += Math.round(r.value * 1000)
      },
      event: () => expect.unreachable(),
      gateway: () => expect.unreachable(),
      quarantine: (q) => expect.unreachable(JSON.stringify(q)),
      position: () => expect.unreachable(),
    })
    expect(taken).toBe(m.readings)
  }
  expect(keys.size).toBe(5_000)
  expect(totals).toMatchObject({ readings: 5_000, sumThousandths: sum })
})

test('the same options give the same bytes', () => {
  const bytes = () => Buffer.concat([...fleetMessages(options, none())].map((m) => m.payload))
  expect(bytes().equals(bytes())).toBe(true)
})

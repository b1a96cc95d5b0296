import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AssetProperties } from '#model/asset.ts'
import { type QuarantineEntry, REFUSALS } from '#model/outcome.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import type { GatewayRecord } from '#model/telemetry.ts'
import { createDecoder } from './decode.ts'
import { quarantineEntry } from './quarantine.ts'
import { registryView } from './registry-view.ts'
import { AGE_MS_MAX, type CrewPosition, type Inbound, type RouteSink, route } from './route.ts'
import { parseSettings } from './settings.ts'

const AT = Date.UTC(2026, 2, 1, 10, 15, 5)
const TS = '2026-03-01T10:15:00Z'

const registry = registryView([
  { id: 'W-1', kind: 'water_meter', dma: 'A', gateway: 'G-1' },
  { id: 'W-2', kind: 'water_meter', dma: 'A', gateway: 'G-2' },
  { id: 'E-1', kind: 'electric_meter', feeder: 'F', gateway: 'G-1', role: 'customer' },
  {
    id: 'Q-1',
    kind: 'flow_meter',
    gateway: 'G-1',
    flows: [
      { dma: 'B', sign: 1 },
      { dma: 'A', sign: -1 },
    ],
  },
  { id: 'T-1', kind: 'level_sensor', gateway: 'G-1' },
  { id: 'G-3', kind: 'gateway', zone: 'B' },
  { id: 'CREW-1', kind: 'crew' },
] as AssetProperties[])

interface Routed {
  readings: [zone: string, Reading][]
  events: [zone: string, MeterEvent][]
  gateways: GatewayRecord[]
  quarantine: QuarantineEntry[]
  positions: CrewPosition[]
}

function sinkOf(out: Routed): RouteSink {
  return {
    reading: (z, r) => out.readings.push([z, r]),
    event: (z, e) => out.events.push([z, e]),
    gateway: (g) => out.gateways.push(g),
    quarantine: (q) => out.quarantine.push(q),
    position: (p) => out.positions.push(p),
  }
}

const decode = createDecoder(parseSettings(''))

function routed(payload: object | string, over: Partial<Inbound> = {}): Routed {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  const raw = { topic: 'telemetry/v1/G-1/readings', payload: Buffer.from(text), receivedAtMs: AT, retained: false, ...over }
  const out: Routed = { readings: [], events: [], gateways: [], quarantine: [], positions: [] }
  route({ redelivered: false, ...raw, ...decode(raw), ...over }, registry, sinkOf(out))
  return out
}

const aReading = (over: object = {}) => ({ device: 'W-1', quantity: 'water_volume_m3', ts: TS, value: 12.5, ...over })

test('a reading goes to its zone with everything that is known of it', () => {
  const { readings, quarantine } = routed({ seq: 7, readings: [aReading()] }, { redelivered: true })
  expect(quarantine).toEqual([])
  expect(readings).toEqual([
    [
      'A',
      {
        device: 'W-1',
        quantity: 'water_volume_m3',
        phase: '',
        tariff: 0,
        channel: '',
        tsMs: AT - 5_000,
        value: 12.5,
        flags: undefined,
        gateway: 'G-1',
        receivedAtMs: AT,
        seq: 7,
        redelivered: true,
      },
    ],
  ])
})

test('a flow meter between two districts reports to both, the storing one first', () => {
  expect(routed({ readings: [aReading({ device: 'Q-1', quantity: 'flow_m3h' })] }).readings.map(([z]) => z)).toEqual(['B', 'A'])
})

test('what belongs to no district or feeder goes to the network', () => {
  expect(routed({ readings: [aReading({ device: 'T-1', quantity: 'level_m' })] }).readings[0]?.[0]).toBe('network')
})

test('a missing time is filled with the time of receipt and flagged', () => {
  const { readings } = routed({ readings: [aReading({ ts: undefined, flags: ['x'] }), aReading({ ts: undefined })] })
  expect(readings.map(([, r]) => [r.tsMs, r.flags])).toEqual([
    [AT, ['x', 'time_filled']],
    [AT, ['time_filled']],
  ])
})

test.each<[string, object, string, string]>([
  ['an unknown device', { device: 'W-9' }, 'unknown_device', 'device'],
  ['a device named like a property of objects', { device: 'constructor' }, 'unknown_device', 'device'],
  ['a device of another gateway', { device: 'W-2' }, 'wrong_gateway', 'device'],
  ['a clock at 1970', { ts: '1970-01-01T00:03:00Z' }, 'impossible_time', 'ts'],
  ['a time in 2099', { ts: '2099-01-01T00:00:00Z' }, 'impossible_time', 'ts'],
  ['25 hours ahead', { ts: '2026-03-02T11:16:00Z' }, 'impossible_time', 'ts'],
  ['401 days ago', { ts: '2025-01-24T10:15:00Z' }, 'impossible_time', 'ts'],
])('%s is refused alone, with path and reason', (_name, over, reason, field) => {
  const { readings, quarantine } = routed({ readings: [aReading(), aReading(over), aReading()] })
  expect(readings).toHaveLength(2)
  expect(quarantine).toMatchObject([{ reason, field: `readings[1].${field}`, entries: 1, gateway: 'G-1', format: 'native' }])
  expect(JSON.parse(quarantine[0]?.payload ?? '')).toEqual({ ...aReading(), ...over })
})

test.each([
  ['23 hours ahead, a time zone taken wrongly', '2026-03-02T09:00:00Z'],
  ['three weeks late', '2026-02-08T10:00:00Z'],
  ['399 days late', '2025-01-27T10:15:00Z'],
])('%s is kept: validation judges it', (_name, ts) => {
  expect(routed({ readings: [aReading({ ts })] }).readings).toHaveLength(1)
})

test('radio that any receiver hears is taken from any, and filed under a gateway that is known', () => {
  const heard = (gateway: string) =>
    routed({ readings: [aReading({ device: 'W-2' })] }, { identity: 'device', gateway }).readings.map(([, r]) => r.gateway)
  expect(heard('G-3')).toEqual(['G-3'])
  expect(heard('rtl_433/attic')).toEqual(['G-2'])
  expect(heard('')).toEqual(['G-2'])
})

describe('an unknown gateway', () => {
  const topic = 'telemetry/v1/G-9/readings'
  test('is quarantined as it came', () => {
    const { readings, quarantine } = routed({ readings: [aReading(), aReading()], events: [{ device: 'W-1', event: 'dry' }] }, { topic })
    expect(readings).toEqual([])
    expect(quarantine).toMatchObject([{ reason: 'unknown_gateway', gateway: 'G-9', entries: 3, topic, truncated: false }])
    expect(quarantine[0]?.payload).toContain('"event":"dry"')
  })
  test('with a large message is quarantined in portions that are whole', () => {
    const list = Array.from({ length: 1_000 }, (_, i) => aReading({ value: i, flags: ['x'.repeat(20)] }))
    const { quarantine } = routed({ readings: list }, { topic })
    expect(quarantine.map((q) => q.entries)).toEqual([300, 300, 300, 100])
    expect(quarantine.every((q) => !q.truncated)).toBe(true)
    expect(new Set(quarantine.map((q) => q.id)).size).toBe(4)
    expect(quarantine.flatMap((q) => (JSON.parse(q.payload) as { readings: object[] }).readings)).toEqual(list)
  })
})

test('bytes that are no text are kept as base64', () => {
  const payload = Buffer.from([0xff, 0x00, 0x7b])
  const { quarantine } = routed('', {
    payload,
    decoded: decode({ topic: 'telemetry/v1/G-1/readings', payload, receivedAtMs: AT, retained: false }).decoded,
  })
  expect(quarantine).toMatchObject([{ reason: 'malformed', encoding: 'base64', payload: payload.toString('base64') }])
})

test('a cut never halves a character', () => {
  const origin = {
    topic: 't',
    payload: Buffer.from('水'.repeat(30_000)),
    gateway: 'g',
    format: 'f',
    receivedAtMs: AT,
    seq: -1,
    redelivered: false,
  }
  const q = quarantineEntry(origin, { reason: 'malformed', field: '', message: '', device: 'a\u0000b\ud800', entries: 1, index: 0 })
  expect(q).toMatchObject({ truncated: true, encoding: 'utf8', device: 'a\ufffdb\ufffd' })
  expect(q.payload).toBe('水'.repeat(21_845))
})

test('the same entry delivered again has the same id; another message has another', () => {
  const ids = (seq: number | undefined, receivedAtMs: number) =>
    routed({ seq, readings: [aReading({ device: 'x' }), aReading({ device: 'x' })] }, { receivedAtMs }).quarantine.map((q) => q.id)
  expect(ids(7, AT)).toEqual(ids(7, AT + 60_000))
  expect(new Set([...ids(7, AT), ...ids(8, AT), ...ids(undefined, AT), ...ids(undefined, AT + 1)]).size).toBe(8)
})

test('a wrong seq is told without counting as an entry', () => {
  expect(routed({ seq: 'x', readings: [aReading()] }).quarantine).toMatchObject([{ field: 'seq', entries: 0 }])
})

test('events go to the zones of their device', () => {
  const { events, quarantine } = routed({
    events: [
      { device: 'E-1', event: 'power_lost', ts: TS, detail: { n: 1 } },
      { device: 'E-9', event: 'power_lost' },
      { device: 'W-1', event: 'dry' },
    ],
  })
  expect(events).toEqual([
    ['F', { device: 'E-1', event: 'power_lost', tsMs: AT - 5_000, detail: { n: 1 }, gateway: 'G-1', receivedAtMs: AT }],
    ['A', { device: 'W-1', event: 'dry', tsMs: AT, detail: undefined, gateway: 'G-1', receivedAtMs: AT }],
  ])
  expect(quarantine).toMatchObject([{ reason: 'unknown_device', field: 'events[1].device' }])
})

describe('a gateway that comes or goes', () => {
  const status = (payload: object, gateway = 'G-1') => routed(payload, { topic: `telemetry/v1/${gateway}/status` })
  test('is told to every zone it serves', () => {
    expect(status({ online: true, ts: TS }).gateways.map((g) => [g.zone, g.online, g.tsMs])).toEqual(
      ['A', 'B', 'F', 'network'].map((zone) => [zone, true, AT - 5_000]),
    )
  })
  test('went when its last will was received, not when that was written', () => {
    expect(status({ online: false, ts: TS }, 'G-2').gateways).toEqual([
      { kind: 'gateway', zone: 'A', receivedAtMs: AT, gateway: 'G-2', online: false, tsMs: AT },
    ])
  })
  test('must be known', () => {
    expect(status({ online: true }, 'G-9').quarantine).toMatchObject([{ reason: 'unknown_gateway' }])
  })
  test('cannot be spoken for by another', () => {
    expect(routed({ events: [{ device: 'G-2', event: 'gateway_offline' }] })).toMatchObject({
      gateways: [],
      quarantine: [{ reason: 'wrong_gateway' }],
    })
  })
})

test('a crew is shown when it is known', () => {
  const position = { crew: 'CREW-1', tsMs: AT, lon: 8.5, lat: 47.4, batteryPct: 80 }
  const decoded = { disposition: 'position' as const, reason: '', readings: [], events: [], flags: [], refusals: [], seq: -1 }
  const base = { topic: 'crews/CREW-1', gateway: '', format: 'owntracks', identity: 'device' as const }
  expect(routed('{}', { ...base, decoded: { ...decoded, position } }).positions).toEqual([
    { crew: 'CREW-1', tsMs: AT, lon: 8.5, lat: 47.4, accuracyM: null, batteryPct: 80, speedKmh: null, receivedAtMs: AT },
  ])
  expect(routed('{}', { ...base, decoded: { ...decoded, position: { ...position, crew: 'X' } } }).quarantine).toMatchObject([
    { reason: 'unknown_device', device: 'X' },
  ])
})

test('every entry of any message is routed or refused, exactly once, with a known reason', () => {
  const reading = fc.record({
    device: fc.constantFrom('W-1', 'W-2', 'E-1', 'T-1', 'nobody', '__proto__'),
    quantity: fc.constantFrom('pressure_bar', 'water_volume_m3', 'wind'),
    value: fc.oneof(fc.integer({ min: -5, max: 200 }), fc.constant('x')),
    ts: fc.constantFrom(TS, undefined, '1970-01-01T00:00:00Z', 'x', new Date(AT - AGE_MS_MAX).toISOString()),
  })
  fc.assert(
    fc.property(fc.array(reading, { maxLength: 20 }), fc.constantFrom('G-1', 'G-2', 'G-3', 'G-9'), (list, gateway) => {
      const out = routed({ readings: list }, { topic: `telemetry/v1/${gateway}/readings` })
      const refused = out.quarantine.reduce((n, q) => n + q.entries, 0)
      expect(out.readings.length + refused).toBe(list.length)
      for (const q of out.quarantine) expect(REFUSALS).toContain(q.reason)
      expect(new Set(out.quarantine.map((q) => q.id)).size).toBe(out.quarantine.length)
    }),
    { numRuns: 1_000 },
  )
})

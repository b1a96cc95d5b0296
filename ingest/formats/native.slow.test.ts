import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EVENTS, QUANTITIES } from '#model/quantity.ts'
import type { Decoded, MessageContext } from '../format.ts'
import { RANGES } from '../ranges.ts'
import { NativeEvent, NativeMessage, NativeReading, NativeStatus } from './native.schema.ts'
import { native } from './native.ts'

const AT = Date.UTC(2026, 2, 1, 10, 15, 5)

function decode(payload: string | Buffer | object, topic = 'telemetry/v1/G-1/readings', retained = false): Decoded {
  const context: MessageContext = { topic, receivedAtMs: AT, retained, settings: {}, state: new Map() }
  const bytes = Buffer.isBuffer(payload) ? payload : Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
  return native.decode(bytes, context)
}

const aReading = (over: object = {}) => ({ device: 'W-1', quantity: 'water_volume_m3', ts: '2026-03-01T10:15:00Z', value: 12.5, ...over })

test('a full message gives its readings and events', () => {
  const d = decode({
    seq: 4711,
    sentAt: '2026-03-01T10:15:03Z',
    readings: [
      aReading(),
      aReading({ device: 'E-1', quantity: 'voltage_v', phase: 'L2', value: 230.1, flags: ['derived'] }),
      aReading({ quantity: 'active_energy_import_kwh', tariff: 2, channel: 'a' }),
    ],
    events: [{ device: 'E-1', event: 'power_lost', ts: '2026-03-01T10:15:01Z', detail: { phases: 3 } }],
  })
  expect(d).toEqual({
    disposition: 'accept',
    reason: '',
    seq: 4711,
    flags: [],
    refusals: [],
    readings: [
      { device: 'W-1', quantity: 'water_volume_m3', tsMs: AT - 5_000, value: 12.5 },
      { device: 'E-1', quantity: 'voltage_v', tsMs: AT - 5_000, value: 230.1, phase: 'L2', flags: ['derived'] },
      { device: 'W-1', quantity: 'active_energy_import_kwh', tsMs: AT - 5_000, value: 12.5, tariff: 2, channel: 'a' },
    ],
    events: [{ device: 'E-1', event: 'power_lost', tsMs: AT - 4_000, detail: { phases: 3 } }],
  })
})

test.each<[string, object, string, string]>([
  ['no device', { device: undefined }, 'bad_schema', 'device'],
  ['an empty device', { device: '' }, 'bad_schema', 'device'],
  ['a device id of 201 characters', { device: 'x'.repeat(201) }, 'bad_schema', 'device'],
  ['an unknown quantity', { quantity: 'wind' }, 'unknown_quantity', 'quantity'],
  ['a quantity named like a property of objects', { quantity: 'constructor' }, 'unknown_quantity', 'quantity'],
  ['a value in text', { value: '12.5' }, 'bad_schema', 'value'],
  ['a value that is null', { value: null }, 'bad_schema', 'value'],
  ['a register below zero', { value: -0.1 }, 'impossible_value', 'value'],
  ['1e308', { value: 1e308 }, 'impossible_value', 'value'],
  ['a vacuum beyond a vacuum', { quantity: 'pressure_bar', value: -1.01 }, 'impossible_value', 'value'],
  ['a local time', { ts: '2026-03-01T10:15:00' }, 'impossible_time', 'ts'],
  ['30 February', { ts: '2026-02-30T10:15:00Z' }, 'impossible_time', 'ts'],
  ['a time as number', { ts: 1772360100 }, 'bad_schema', 'ts'],
  ['phase L4', { phase: 'L4' }, 'bad_schema', 'phase'],
  ['tariff 0', { tariff: 0 }, 'bad_schema', 'tariff'],
  ['a channel with a line break', { channel: 'a\nb' }, 'bad_schema', 'channel'],
  ['flags that are no array', { flags: 'x' }, 'bad_schema', 'flags'],
  ['a flag that would join others', { flags: ['a\u0000b'] }, 'bad_schema', 'flags'],
])('a reading with %s is refused alone, with its path', (_name, over, reason, field) => {
  const d = decode({ readings: [aReading(), aReading(over), aReading()] })
  expect(d.disposition).toBe('accept_partial')
  expect(d.readings).toHaveLength(2)
  expect(d.refusals).toMatchObject([{ reason, field: `readings[1].${field}` }])
})

test.each([
  ['9999 in a register', 'water_volume_m3', 9999],
  ['99.999 bar', 'pressure_bar', 99.999],
  ['backward flow', 'flow_m3h', -3.2],
  ['export power', 'power_kw', -4.1],
])('%s is odd, not impossible: validation judges it', (_name, quantity, value) => {
  expect(decode({ readings: [aReading({ quantity, value })] }).readings).toHaveLength(1)
})

test.each([
  ['spaces', 'W 1'],
  ['quotes and SQL', `'; DROP TABLE assets; --"`],
  ['a line break', 'W\n1'],
  ['a comma and an equals sign', 'W,1=2'],
  ['__proto__', '__proto__'],
  ['200 characters', 'x'.repeat(200)],
  ['Chinese', '水表-1'],
])('an id with %s is an id like any other here', (_name, device) => {
  expect(decode({ readings: [aReading({ device })] }).readings[0]?.device).toBe(device)
})

test.each<[string, string | Buffer, string]>([
  ['truncated JSON', '{"readings":[{"device":"W-1"', 'malformed'],
  ['NaN', '{"readings":[{"device":"W-1","quantity":"water_volume_m3","ts":"2026-03-01T10:15:00Z","value":NaN}]}', 'malformed'],
  ['nothing', '', 'malformed'],
  ['an array', '[]', 'malformed'],
  ['null', 'null', 'malformed'],
  ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'malformed'],
  ['deep nesting', `${'['.repeat(200_000)}${']'.repeat(200_000)}`, 'malformed'],
  ['readings that are an object', '{"readings":{}}', 'bad_schema'],
  ['neither readings nor events', '{"seq":1}', 'bad_schema'],
  ['more than 1 MiB', Buffer.alloc(1_048_577, 32), 'too_large'],
  ['5,001 entries', `{"readings":[${Array(5_001).fill('1').join()}]}`, 'too_large'],
])('a message of %s is refused as a whole', (_name, payload, reason) => {
  const d = decode(payload)
  expect(d).toMatchObject({ disposition: 'quarantine', reason, readings: [], refusals: [{ reason }] })
})

test('1e999 is Infinity to JSON.parse and refused', () => {
  expect(decode('{"readings":[{"device":"W-1","quantity":"flow_m3h","ts":"2026-03-01T10:15:00Z","value":1e999}]}').reason).toBe(
    'impossible_value',
  )
})

test('a prototype key changes nothing', () => {
  const d = decode(
    '{"__proto__":{"readings":[]},"constructor":1,"readings":[{"__proto__":{"value":1},"device":"W-1","quantity":"flow_m3h"}]}',
  )
  expect(d.refusals).toMatchObject([{ reason: 'bad_schema', field: 'readings[0].value' }])
  expect(({} as Record<string, unknown>).readings).toBeUndefined()
})

test('of a key given twice the last counts', () => {
  const d = decode('{"readings":[{"device":"A","device":"B","quantity":"flow_m3h","ts":"2026-03-01T10:15:00Z","value":1}]}')
  expect(d.readings).toMatchObject([{ device: 'B' }])
})

test('a refused entry nested deeply is told without exhausting the stack', () => {
  const d = decode(`{"readings":[${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}]}`)
  expect(d.refusals[0]?.payload).toContain('too deep')
})

test('an event whose detail is too deep is refused', () => {
  const deep = (n: number): object => (n === 0 ? {} : { a: deep(n - 1) })
  const event = (detail: object) => ({ events: [{ device: 'E-1', event: 'tamper', detail }] })
  expect(decode(event(deep(7))).disposition).toBe('event')
  expect(decode(event(deep(8))).refusals).toMatchObject([{ field: 'events[0].detail' }])
})

test('an unknown event is refused alone', () => {
  const d = decode({ readings: [aReading()], events: [{ device: 'E-1', event: 'exploded' }] })
  expect(d).toMatchObject({ disposition: 'accept_partial', reason: 'unknown_event' })
})

test('a wrong seq or sentAt is told and costs no reading', () => {
  const d = decode({ seq: -1, sentAt: 'yesterday', readings: [aReading()] })
  expect(d).toMatchObject({ disposition: 'accept', seq: -1 })
  expect(d.refusals.map((r) => [r.field, r.reason, r.entries])).toEqual([
    ['seq', 'bad_schema', 0],
    ['sentAt', 'impossible_time', 0],
  ])
})

test('a reading without a time comes out without one', () => {
  expect(decode({ readings: [aReading({ ts: null }), aReading({ ts: undefined })] }).readings.map((r) => r.tsMs)).toEqual([
    undefined,
    undefined,
  ])
})

test('a retained message of readings was seen before', () => {
  expect(decode({ readings: [aReading()] }, undefined, true)).toMatchObject({
    disposition: 'duplicate',
    reason: 'retained_duplicate',
    readings: [],
  })
})

test('an empty message is passed over', () => {
  expect(decode({ seq: 3, readings: [] })).toMatchObject({ disposition: 'ignore', reason: 'empty', seq: 3 })
})

test('status: online, offline, bad', () => {
  const topic = 'telemetry/v1/G-1/status'
  expect(decode({ online: true, ts: '2026-03-01T10:15:00Z' }, topic)).toMatchObject({
    disposition: 'status',
    gatewayOnline: true,
    flags: [],
    events: [{ device: 'G-1', event: 'gateway_online', tsMs: AT - 5_000 }],
  })
  expect(decode({ online: false }, topic, true)).toMatchObject({ gatewayOnline: false, flags: ['gateway_offline'] })
  expect(decode({ online: 'yes' }, topic)).toMatchObject({ disposition: 'quarantine', refusals: [{ field: 'online' }] })
})

test('a clock message carries the time of a simulation', () => {
  expect(decode({ now: '2026-03-01T10:15:05Z' }, 'telemetry/v1/sim/clock')).toMatchObject({
    disposition: 'ignore',
    reason: 'clock',
    receivedAtMs: AT,
  })
  expect(decode({ now: 5 }, 'telemetry/v1/sim/clock').disposition).toBe('quarantine')
})

test('only its own topics match', () => {
  const matches = (t: string) => native.matches(t, Buffer.alloc(0))
  expect(['telemetry/v1/G 1/readings', 'telemetry/v1/G/status', 'telemetry/v1/G/clock'].every(matches)).toBe(true)
  expect(
    ['telemetry/v1//readings', 'telemetry/v1/G/other', 'telemetry/v1/G/x/readings', 'telemetry/v2/G/readings', 'v1/G/readings'].some(
      matches,
    ),
  ).toBe(false)
  expect(native.gatewayOf('telemetry/v1/G 1/readings', Buffer.alloc(0))).toBe('G 1')
})

describe('the checks agree with the schema', () => {
  const odd = fc.oneof(
    fc.constantFrom(null, true, '', [], {}, 0, -1, 1e308, '2026-02-30T00:00:00Z', '1970-01-01T00:00:00Z', '\n', 'x'.repeat(201)),
    fc.jsonValue({ maxDepth: 2 }),
  )
  const mostly = <T>(good: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 9, arbitrary: good as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: odd as fc.Arbitrary<unknown> })
  const ts = fc.constantFrom('2026-03-01T10:15:00Z', '2026-03-01T11:15:00.123+01:00', undefined, null)
  const quantity = fc.constantFrom(...QUANTITIES)
  const reading = fc.record(
    {
      device: mostly(fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' })),
      quantity: mostly(quantity),
      ts: mostly(ts),
      value: mostly(fc.oneof(fc.double({ noNaN: true, min: -2_000, max: 2_000 }), fc.constantFrom(...Object.values(RANGES).flat()))),
      phase: mostly(fc.constantFrom('L1', 'L3', null)),
      tariff: mostly(fc.integer({ min: 0, max: 5 })),
      channel: mostly(fc.string({ maxLength: 66 })),
      flags: mostly(fc.array(fc.string({ maxLength: 66 }), { maxLength: 18 })),
      raw: fc.jsonValue(),
    },
    { requiredKeys: ['device', 'quantity', 'value'] },
  )
  const event = fc.record(
    {
      device: mostly(fc.string({ minLength: 1, maxLength: 201 })),
      event: mostly(fc.constantFrom(...EVENTS)),
      ts: mostly(ts),
      detail: mostly(fc.dictionary(fc.string(), fc.jsonValue())),
    },
    { requiredKeys: ['device', 'event'] },
  )
  const message = fc.record(
    {
      seq: mostly(fc.nat()),
      sentAt: mostly(ts),
      receivedAt: mostly(ts),
      readings: mostly(fc.array(mostly(reading), { maxLength: 5 })),
      events: mostly(fc.array(mostly(event), { maxLength: 3 })),
    },
    { requiredKeys: ['readings'] },
  )

  test('entry by entry, for readings and events', () => {
    fc.assert(
      fc.property(message, (m) => {
        // What arrives is JSON: undefined and -0 are gone then.
        const text = JSON.stringify(m)
        const arrived = JSON.parse(text) as { readings?: unknown; events?: unknown }
        const d = decode(text)
        const lists: [string, unknown, { safeParse(v: unknown): { success: boolean } }][] = [
          ['readings', arrived.readings ?? [], NativeReading],
          ['events', arrived.events ?? [], NativeEvent],
        ]
        if (!lists.every(([, v]) => Array.isArray(v))) return void expect(NativeMessage.safeParse(arrived).success).toBe(false)
        for (const [name, list, schema] of lists) {
          for (const [i, entry] of (list as unknown[]).entries()) {
            const told = d.refusals.some((r) => r.field === `${name}[${i}]` || r.field.startsWith(`${name}[${i}].`))
            expect(told, JSON.stringify(entry)).toBe(!schema.safeParse(entry).success)
          }
        }
        const nothing = (arrived.readings ?? null) === null && (arrived.events ?? null) === null
        if (!nothing) expect(d.refusals.length === 0).toBe(NativeMessage.safeParse(arrived).success)
      }),
      { numRuns: 2_000 },
    )
  })

  test('for status messages', () => {
    fc.assert(
      fc.property(fc.record({ online: mostly(fc.boolean()), ts: mostly(ts) }), (m) => {
        const text = JSON.stringify(m)
        expect(decode(text, 'telemetry/v1/G/status').disposition === 'status').toBe(NativeStatus.safeParse(JSON.parse(text)).success)
      }),
    )
  })
})

test('no bytes make it throw, and every refusal has a reason', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map((t) => Buffer.from(t)),
    fc.string({ unit: 'binary' }).map((t) => Buffer.from(t)),
  )
  fc.assert(
    fc.property(bytes, fc.constantFrom('readings', 'status', 'clock', 'x'), (b, kind) => {
      const d = decode(Buffer.from(b), `telemetry/v1/G/${kind}`)
      if (d.disposition === 'quarantine') expect(d.refusals.length).toBeGreaterThan(0)
    }),
    { numRuns: 2_000 },
  )
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EVENTS, PHASES, QUANTITIES } from './quantity.ts'
import type { MeterEvent, Reading } from './reading.ts'
import { decodeRecord, encodeControl, encodeData, RECORD_READINGS_MAX, type TickRecord } from './telemetry.ts'

const label = fc.constantFrom('', 'a', 'a|b', 'L1', '["a","b"]', '水', 'x'.repeat(200))
const id = fc.oneof(
  fc.constantFrom('W-1', 'W-2', 'W|3', '3|W-1|L1|0|', '__proto__', 'constructor'),
  fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
)
const time = fc.integer({ min: 0, max: 4e12 })
const reading: fc.Arbitrary<Reading> = fc.record({
  device: id,
  quantity: fc.constantFrom(...QUANTITIES),
  phase: fc.constantFrom(...PHASES),
  tariff: fc.integer({ min: 0, max: 4 }),
  channel: label,
  tsMs: time,
  value: fc.double({ noNaN: true }),
  flags: fc.constantFrom(undefined, ['a'], ['a', 'b'], ['["a","b"]'], ['time_filled']),
  gateway: fc.constantFrom('G', 'G|1', ''),
  receivedAtMs: fc.constantFrom(1, 1_772_360_105_000),
  seq: fc.integer({ min: -1, max: 3 }),
  redelivered: fc.boolean(),
})
const event: fc.Arbitrary<MeterEvent> = fc.record({
  device: id,
  event: fc.constantFrom(...EVENTS),
  tsMs: time,
  detail: fc.constantFrom(undefined, { volts: 2.9, text: '水"\\' }),
  gateway: id,
  receivedAtMs: time,
})

test('what is encoded comes out, in order, at any place in a buffer', () => {
  fc.assert(
    fc.property(
      fc.array(reading, { maxLength: 40 }),
      fc.array(event, { maxLength: 3 }),
      fc.integer({ min: 0, max: 9 }),
      (readings, events, offset) => {
        const bytes = encodeData(readings, events)
        const within = Buffer.alloc(bytes.length + offset)
        within.set(bytes, offset)
        expect(decodeRecord('Z', within.subarray(offset))).toEqual({ kind: 'data', zone: 'Z', readings, events })
      },
    ),
    { numRuns: 1_000 },
  )
})

test('a full record, with every series of every device', () => {
  const readings = Array.from(
    { length: RECORD_READINGS_MAX },
    (_, i): Reading => ({
      device: `D-${Math.floor(i / QUANTITIES.length)}`,
      quantity: QUANTITIES[i % QUANTITIES.length] as Reading['quantity'],
      phase: '',
      tariff: 0,
      channel: '',
      tsMs: i,
      value: i / 7,
      flags: undefined,
      gateway: 'G',
      receivedAtMs: 5,
      seq: 1,
      redelivered: false,
    }),
  )
  expect(decodeRecord('Z', encodeData(readings))).toEqual({ kind: 'data', zone: 'Z', readings, events: [] })
  expect(() => encodeData([...readings, readings[0] as Reading])).toThrow(RangeError)
})

test('control records come out as they went in', () => {
  const tick: TickRecord = { kind: 'tick', nowMs: 10_000, ingest: 'ingest', brokerConnected: true, gatewaysOnline: 3 }
  expect(decodeRecord('', encodeControl(tick))).toEqual(tick)
})

test.each([
  ['nothing', Buffer.alloc(0)],
  ['something else', Buffer.from('{"a":1}')],
  [
    'a cut record',
    encodeData([
      {
        device: 'D',
        quantity: 'flow_m3h',
        phase: '',
        tariff: 0,
        channel: '',
        tsMs: 1,
        value: 1,
        flags: undefined,
        gateway: 'G',
        receivedAtMs: 1,
        seq: 1,
        redelivered: false,
      },
    ]).subarray(0, 40),
  ],
  ['a later version', Buffer.from([0x53, 0x4d, 9, 1, 0, 0, 0, 0])],
])('%s is told, not guessed', (_name, bytes) => {
  expect(() => decodeRecord('Z', bytes)).toThrow(/telemetry record/)
})

import { expect, test } from 'vitest'
import { createDecoder, type RawMessage } from './decode.ts'
import type { Decoded, GatewayFormat } from './format.ts'
import { native } from './formats/native.ts'
import { parseSettings } from './settings.ts'

const AT = Date.UTC(2026, 2, 1, 10, 15, 5)
const message = (topic: string, payload: object | string, over: Partial<RawMessage> = {}): RawMessage => ({
  topic,
  payload: Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)),
  receivedAtMs: AT,
  retained: false,
  ...over,
})
const aReading = { device: 'W-1', quantity: 'water_volume_m3', ts: '2026-03-01T10:15:00Z', value: 12.5 }

/** A format in which every message is one reading; it counts its messages in its state. */
const counting: GatewayFormat = {
  name: 'counting',
  topics: ['count/+'],
  matches: (topic) => topic.startsWith('count/'),
  gatewayOf: (topic) => topic.slice(6),
  decode(payload, { state, settings }) {
    const n = ((state.get('n') as number | undefined) ?? 0) + 1
    state.set('n', n)
    if (payload.toString() === 'throw') throw new Error('a bug')
    const reading = { device: 'D', quantity: 'pressure_bar' as const, value: payload.toString() === 'mad' ? 1e9 : n, tsMs: undefined }
    return {
      disposition: 'accept',
      reason: '',
      readings: [reading],
      events: [],
      flags: Object.keys(settings),
      refusals: [],
      seq: n,
    } satisfies Decoded
  },
}

const decoder = (settings: object = {}) => createDecoder(parseSettings(JSON.stringify(settings)), [native, counting])

test('auto takes the format that declares the topic', () => {
  const decode = decoder({ sources: [{ topic: '#' }] })
  expect(decode(message('telemetry/v1/G-1/readings', { readings: [aReading] }))).toMatchObject({
    format: 'native',
    gateway: 'G-1',
    identity: 'gateway',
  })
  expect(decode(message('count/7', ''))).toMatchObject({ format: 'counting', gateway: '7', identity: 'device' })
})

test('what no format recognises is refused with its payload', () => {
  expect(decoder({ sources: [{ topic: '#' }] })(message('x/y', 'hello'))).toMatchObject({
    format: '',
    decoded: { disposition: 'quarantine', reason: 'unknown_format', refusals: [{ payload: 'hello' }] },
  })
})

test('a source can name the gateway and pin the format', () => {
  const decode = decoder({ sources: [{ topic: 'site/a/#', gateway: 'G-9', format: 'native', identity: 'device' }] })
  expect(decode(message('site/a/b', {}))).toMatchObject({
    format: 'native',
    gateway: 'G-9',
    identity: 'device',
    decoded: { reason: 'unknown_format' },
  })
})

test('a gateway can be told how it is identified and what its format must know', () => {
  const decode = decoder({ sources: [{ topic: '#' }], gateways: { 7: { identity: 'gateway', zoneless: true } }, multipliers: {} })
  expect(decode(message('count/7', ''))).toMatchObject({ identity: 'gateway', decoded: { flags: ['multipliers', 'identity', 'zoneless'] } })
  expect(decode(message('count/8', ''))).toMatchObject({ identity: 'device', decoded: { flags: ['multipliers'] } })
})

test('formats keep state between messages of one source', () => {
  const decode = decoder({ sources: [{ topic: 'count/1' }, { topic: '#' }] })
  expect([1, 1, 2, 1].map((g) => decode(message(`count/${g}`, '')).decoded.seq)).toEqual([1, 2, 1, 3])
})

test('a format that throws costs its own message only', () => {
  const decode = decoder({ sources: [{ topic: '#' }] })
  expect(decode(message('count/1', 'throw')).decoded).toMatchObject({ disposition: 'quarantine', reason: 'malformed' })
  expect(decode(message('count/1', '')).decoded.disposition).toBe('accept')
})

test('an impossible value of any format is refused', () => {
  expect(decoder({ sources: [{ topic: '#' }] })(message('count/1', 'mad')).decoded).toMatchObject({
    disposition: 'quarantine',
    readings: [],
    refusals: [{ reason: 'impossible_value', field: 'readings[0].value', device: 'D' }],
  })
})

test('ids in messages are translated to ids in the registry', () => {
  const decode = decoder({ devices: { 'W-1': 'METER-1' } })
  expect(decode(message('telemetry/v1/G-1/readings', { readings: [aReading] })).decoded.readings[0]?.device).toBe('METER-1')
})

test('made-up topics do not fill the memory', () => {
  const decode = decoder()
  for (let i = 0; i < 120_000; i++) decode(message(`telemetry/v1/G-${i}/readings`, '{"readings":[]}'))
  expect(decode(message('telemetry/v1/G-1/readings', { readings: [aReading] })).decoded.disposition).toBe('accept')
})

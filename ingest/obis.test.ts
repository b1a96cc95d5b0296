import { describe, expect, test } from 'vitest'
import { Outcome } from './decoding.ts'
import { deviceOfTopic, idRank, meaningOfObis, type Obis, ObisValues, parseObis } from './obis.ts'

const obis = (text: string): Obis => parseObis(text) as Obis

describe('OBIS codes', () => {
  test.each([
    ['1-0:1.8.0*255', { a: 1, b: 0, c: 1, d: 8, e: 0, f: 255 }],
    ['1.8.2', { a: undefined, b: undefined, c: 1, d: 8, e: 2, f: undefined }],
    ['1.0.16.7.0.255', { a: 1, b: 0, c: 16, d: 7, e: 0, f: 255 }],
    ['0100010800FF', { a: 1, b: 0, c: 1, d: 8, e: 0, f: 255 }],
    ['1.8.0*01', { a: undefined, b: undefined, c: 1, d: 8, e: 0, f: 1 }],
  ])('%s', (text, expected) => expect(parseObis(text)).toEqual(expected))

  test.each(['', '1.8', '300.8.0', '1-0:1.8.0*255*1', 'C.1.0', '192.168.1.1'])('%j names no six bytes or is short', (text) => {
    const o = parseObis(text)
    expect(o === undefined || text === '1.8').toBe(true)
  })

  test.each([
    ['1-0:1.8.0', { quantity: 'active_energy_import_kwh' }],
    ['1-0:2.8.3', { quantity: 'active_energy_export_kwh', tariff: 3 }],
    ['1-0:41.8.0', { quantity: 'active_energy_import_kwh', phase: 'L2' }],
    ['1-0:62.7.0', { quantity: 'power_kw', direction: 'out', phase: 'L3' }],
    ['1-0:36.7.0', { quantity: 'power_kw', direction: 'net', phase: 'L1' }],
    ['1-0:72.7.0', { quantity: 'voltage_v', phase: 'L3' }],
    ['1-0:31.7.0', { quantity: 'current_a', phase: 'L1' }],
    ['1-0:14.7.0', { quantity: 'frequency_hz' }],
    ['8-0:1.0.0', { quantity: 'water_volume_m3' }],
    ['7-0:3.1.0', { quantity: 'gas_volume_m3' }],
    ['6-0:1.0.0', { quantity: 'heat_energy_kwh' }],
    ['6.8', { quantity: 'heat_energy_kwh' }],
  ])('%s is measured', (code, meaning) => expect(meaningOfObis(obis(code))).toEqual(meaning))

  test.each(['1-0:1.8.0*01', '1-0:15.8.0', '1-0:1.4.0', '1-0:1.6.0', '1-0:96.7.21', '1-0:91.7.0', '0-0:1.0.0', '1-0:1.8.5', '1-0:81.7.1'])(
    '%s is history, demand, a sum or a counter',
    (code) => expect(meaningOfObis(obis(code))).toBeUndefined(),
  )

  test('the id of the meter stands before its type and its address', () => {
    const ranked = ['1-1:96.1.1', '0-0:42.0.0', '1-1:0.0.5', '0-0:96.1.0'].map((c) => idRank(obis(c)))
    expect(ranked).toEqual([...ranked].sort((a, b) => a - b))
    expect(idRank(obis('1-0:1.8.0'))).toBe(0)
  })
})

test('power is import minus export; a phase with 0 V beside others is not there; registers without unit are counts', () => {
  const values = new ObisValues()
  values.add(obis('1.7.0'), 250, 'W', 5)
  values.add(obis('2.7.0'), 1, 'kW', 5)
  values.add(obis('32.7.0'), 230, 'V', 5)
  values.add(obis('52.7.0'), 0, 'V', 5)
  values.add(obis('1.8.0'), 77, '', 5)
  expect(values.add(obis('16.7.0'), 77, '', 5)).toBe('no_unit')
  expect(values.add(obis('2.8.0'), 77, 'V', 5)).toBe('wrong_unit')
  const out = new Outcome()
  values.give(out, 'E-1')
  expect(out.decoded.readings).toEqual([
    { device: 'E-1', quantity: 'voltage_v', value: 230, tsMs: 5, phase: 'L1' },
    { device: 'E-1', quantity: 'power_kw', value: -0.75, tsMs: 5 },
    { device: 'E-1', quantity: 'register_count', value: 77, tsMs: 5, channel: '1.8.0' },
  ])
})

test('a meter without voltage on any phase has 0 V', () => {
  const values = new ObisValues()
  for (const c of ['32.7.0', '52.7.0', '72.7.0']) values.add(obis(c), 0, 'V', 5)
  const out = new Outcome()
  values.give(out, 'E-1')
  expect(out.decoded.readings.map((r) => r.value)).toEqual([0, 0, 0])
})

test.each([
  ['ams/gw-17/raw', 'gw-17'],
  ['smartmeter/json', 'smartmeter'],
  ['meters/em-12/obis', 'em-12'],
  ['data', 'data'],
  ['', ''],
])('who reports on %j', (topic, device) => expect(deviceOfTopic(topic)).toBe(device))

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { convert, idOf, numberOf, Outcome, parseJson, unitOf } from './decoding.ts'

describe('numberOf', () => {
  it.each([
    ['a number', 1.5, 1.5],
    ['a decimal string', '004.426', 4.426],
    ['an exponent', '0.14e1', 1.4],
    ['a signed string', '-0.5', -0.5],
    ['an empty string', '', undefined],
    ['null', null, undefined],
    ['true', true, undefined],
    ['an array of one', [7], undefined],
    ['hexadecimal', '0x10', undefined],
    ['a value with a unit', '12 m3', undefined],
    ['NaN', Number.NaN, undefined],
    ['infinity as text', 'Infinity', undefined],
    ['n/a', 'n/a', undefined],
    ['overflow', '1e999', undefined],
  ])('%s', (_, given, expected) => expect(numberOf(given)).toBe(expected))

  it('agrees with JSON for every finite number written as text', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (x) => {
        expect(numberOf(JSON.stringify(x))).toBe(JSON.parse(JSON.stringify(x)))
      }),
    )
  })
})

describe('units', () => {
  it.each([
    ['litres', 125.6, 'L', 'water_volume_m3', 0.1256],
    ['litres per second', 0.25, 'L/s', 'flow_m3h', 0.9],
    ['kilopascal', 412.5, 'kPa', 'pressure_bar', 4.125],
    ['gigajoule', 1, 'GJ', 'heat_energy_kwh', 277.777777777778],
    ['megawatt hours', 2, 'MWh', 'active_energy_import_kwh', 2000],
    ['milliwatt hours', 2, 'mWh', 'active_energy_import_kwh', 0.000002],
    ['cubic metres as m³', 3, 'm³', 'water_volume_m3', 3],
    ['psi', 14.5038, 'psi', 'pressure_bar', 1.000001808274],
  ] as const)('%s', (_, value, unit, quantity, expected) => expect(convert(value, unit, quantity)).toBeCloseTo(expected, 9))

  it('never takes one dimension for another', () => {
    expect(convert(1, 'V', 'pressure_bar')).toBeUndefined()
    expect(convert(1, 'parsec', 'level_m')).toBeUndefined()
    expect(unitOf('constructor')).toBeUndefined()
  })
})

it('ids with control characters, empty or very long ones are no ids', () => {
  expect([idOf('a b,c="d"'), idOf('x\ny'), idOf(''), idOf('x'.repeat(201)), idOf(12), idOf(2 ** 60), idOf({})]).toEqual([
    'a b,c="d"',
    undefined,
    undefined,
    undefined,
    '12',
    undefined,
    undefined,
  ])
})

it('a message with some bad entries is kept in part, one with only bad ones is not kept', () => {
  const some = new Outcome().reading('d', 'voltage_v', 230).refuse('impossible_value', 'v', 'not a number', 'd', 'x').done()
  const none = new Outcome().refuse('impossible_value', 'v', 'not a number', 'd', 'x').done()
  expect([some.disposition, none.disposition, none.reason, new Outcome().done().disposition]).toEqual([
    'accept_partial',
    'quarantine',
    'impossible_value',
    'accept_other',
  ])
})

it('JSON that is none is a sentence', () => {
  expect(parseJson(Buffer.from([0xff]))).toEqual({ problem: 'not valid UTF-8' })
  expect(parseJson(Buffer.from('{'))).toHaveProperty('problem')
})

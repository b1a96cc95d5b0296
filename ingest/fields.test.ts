import { describe, expect, test } from 'vitest'
import { normal } from './alarms.ts'
import { canonicalOf, inOurUnit, isImpossiblePressure, isRawRegister, meaningOf, unitInName } from './fields.ts'

const NOTHING = { electric: false, gas: false, heat: false }
const MAINS = { ...NOTHING, electric: true }

test('canonical names with phase and tariff', () => {
  expect(canonicalOf('voltage_v_L2')).toEqual({ quantity: 'voltage_v', phase: 'L2' })
  expect(canonicalOf('active_energy_import_kwh_t2')).toEqual({ quantity: 'active_energy_import_kwh', tariff: 2 })
  expect(canonicalOf('voltage')).toBeUndefined()
})

describe('units at the end of a name', () => {
  test.each([
    ['total_volume_m3', 'm3'],
    ['flow_m3_h', 'm3/h'],
    ['flow_l_min', 'l/min'],
    ['activeEnergyImport_kWh', 'kWh'],
    ['energyMWh', 'MWh'],
    ['pressureKPa', 'kPa'],
    ['pressure_kPa', 'kPa'],
    ['current_a', undefined],
    ['battery_mV', 'mV'],
    ['leaf_l', undefined],
  ])('%s', (name, unit) => expect(unitInName(normal(name))?.unit).toBe(unit))
})

describe('meaning of a declared unit', () => {
  test.each([
    ['currentVolume', 'L', NOTHING, 'water_volume_m3'],
    ['reverse_volume', 'm3', NOTHING, 'water_volume_reverse_m3'],
    ['volume', 'm3', { ...NOTHING, gas: true }, 'gas_volume_m3'],
    ['log_volume', 'm3', NOTHING, undefined],
    ['delta_3', 'm3', NOTHING, undefined],
    ['pressure', 'bar', NOTHING, 'pressure_bar'],
    ['pressure', 'hPa', NOTHING, undefined],
    ['atmospheric_pressure', 'kPa', NOTHING, undefined],
    ['energy', 'MWh', { ...NOTHING, heat: true }, 'heat_energy_kwh'],
    ['ActiveEnergyExportT1', 'Wh', MAINS, 'active_energy_export_kwh'],
    ['voltage', 'V', NOTHING, undefined],
    ['voltage', 'V', MAINS, 'voltage_v'],
    ['battery_voltage', 'V', MAINS, 'battery_v'],
    ['apparent_power', 'W', MAINS, undefined],
    ['max_flow', 'm3/h', NOTHING, undefined],
  ])('%s in %s', (name, unit, around, expected) => expect(meaningOf(name, unit, around)?.quantity).toBe(expected))
})

test('exported power is negative', () => {
  expect(inOurUnit({ quantity: 'power_kw', unit: 'W', negative: true }, 640)).toBe(-0.64)
})

test.each([
  ['pulse', true],
  ['totalVolume', true],
  ['counter_a', true],
  ['frame_counter', false],
  ['history_count', false],
  ['temperature', false],
])('%s is a raw register: %s', (name, expected) => expect(isRawRegister(name)).toBe(expected))

test('a pressure below a vacuum in mbar is none', () => {
  expect(isImpossiblePressure('pressure', -1192)).toBe(true)
  expect(isImpossiblePressure('pressure', -12)).toBe(false)
})

import { describe, expect, test } from 'vitest'
import { alarmOfName, alarmsInText, isRaised, normal } from './alarms.ts'

test.each([
  ['lowBattery', 'low_battery'],
  ['LOW BATTERY', 'low_battery'],
  ['activeEnergyImport_kWh', 'active_energy_import_kwh'],
  ['energyMWh', 'energy_megawh'],
  ['volume (m³)', 'volume_m3'],
])('%s is %s', (given, expected) => expect(normal(given).replace(/_+/g, '_').replace(/_$/, '')).toBe(expected))

describe('status texts', () => {
  test.each([
    ['OK', []],
    ['no_alarm', []],
    ['DRY', ['dry']],
    ['PERMANENT_ERROR SABOTAGE_ENCLOSURE', ['tamper']],
    ['LEAK LOW_BATTERY', ['leak', 'battery_low']],
    ['leakage,back_flow', ['leak', 'backflow']],
    ['POWER_LOW', ['battery_low']],
    ['no leak', []],
    ['BURST REVERSE', ['burst', 'backflow']],
  ])('%s', (text, expected) => expect(alarmsInText(text)).toEqual(expected))
})

describe('field names', () => {
  test.each([
    ['leakage', 'leak'],
    ['pipe_empty', 'dry'],
    ['caseOpen', 'cover_open'],
    ['leak_date', undefined],
    ['reverse_water_consumption', undefined],
    ['previous_alarm_leak', undefined],
    ['volume', undefined],
  ])('%s', (name, expected) => expect(alarmOfName(name)).toBe(expected))
})

test.each([
  [true, true],
  [1, true],
  [2, false],
  ['medium', true],
  ['none', false],
  ['', false],
  [null, false],
  ['no leak', false],
])('%s raised: %s', (value, expected) => expect(isRaised(value)).toBe(expected))

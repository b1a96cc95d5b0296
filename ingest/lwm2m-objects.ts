// Resources of LwM2M objects that measure or warn: OMA registry (github.com/OpenMobileAlliance/lwm2m-registry), uCIFI meters 3421 to 3424, power meters
// 10242 and 10243, IPSO sensors. Pure.
import type { Phase, Quantity } from '#model/quantity.ts'

export interface Resource {
  quantity: Quantity
  /** By the registry. Left out where the object leaves it to resource 5701 or to the record's own unit. */
  unit?: string
  phase?: Phase
  /** Taken off from the resource of this number: exported power. */
  minus?: number
  /** Not read when this resource is there too: what it tells is told better there. */
  unless?: number
}

const L: readonly Phase[] = ['L1', 'L2', 'L3']

/** Each phase of object 10242 has ten resources, from 4 on. */
const threePhase = Object.fromEntries(
  L.flatMap((phase, i): [number, Resource][] => [
    [4 + 10 * i, { quantity: 'voltage_v', unit: 'V', phase }],
    [5 + 10 * i, { quantity: 'current_a', unit: 'A', phase }],
    [6 + 10 * i, { quantity: 'power_kw', unit: 'kW', phase }],
  ]),
)

export const RESOURCES: Readonly<Record<number, Readonly<Record<number, Resource>>>> = {
  3424: { 1: { quantity: 'water_volume_m3', unit: 'm3' }, 4: { quantity: 'register_count', unless: 1 } },
  3423: { 1: { quantity: 'gas_volume_m3', unit: 'm3' }, 4: { quantity: 'register_count', unless: 1 } },
  3421: {
    1: { quantity: 'voltage_v', unit: 'V' },
    6: { quantity: 'current_a', unit: 'A' },
    11: { quantity: 'frequency_hz', unit: 'Hz' },
    16: { quantity: 'power_kw', unit: 'W', minus: 17, unless: 23 },
    23: { quantity: 'power_kw', unit: 'W' },
    25: { quantity: 'active_energy_import_kwh', unit: 'Wh' },
    26: { quantity: 'active_energy_export_kwh', unit: 'Wh' },
    29: { quantity: 'reactive_energy_import_kvarh', unit: 'varh' },
    30: { quantity: 'reactive_energy_export_kvarh', unit: 'varh' },
  },
  3422: {
    8: { quantity: 'power_kw', unit: 'W', minus: 9, unless: 15 },
    15: { quantity: 'power_kw', unit: 'W' },
    17: { quantity: 'active_energy_import_kwh', unit: 'Wh' },
    18: { quantity: 'active_energy_export_kwh', unit: 'Wh' },
    21: { quantity: 'reactive_energy_import_kvarh', unit: 'varh' },
    22: { quantity: 'reactive_energy_export_kvarh', unit: 'varh' },
  },
  10242: {
    ...threePhase,
    34: { quantity: 'power_kw', unit: 'kW' },
    // The registry writes "kW/h", meaning kWh.
    41: { quantity: 'active_energy_import_kwh', unit: 'kWh' },
    49: { quantity: 'frequency_hz', unit: 'Hz' },
  },
  10243: {
    4: { quantity: 'voltage_v', unit: 'V' },
    5: { quantity: 'current_a', unit: 'A' },
    6: { quantity: 'power_kw', unit: 'kW' },
    14: { quantity: 'active_energy_import_kwh', unit: 'kWh' },
    17: { quantity: 'frequency_hz', unit: 'Hz' },
  },
  3305: { 5800: { quantity: 'power_kw', unit: 'W' }, 5805: { quantity: 'active_energy_import_kwh', unit: 'Wh' } },
  3316: { 5700: { quantity: 'voltage_v' } },
  3317: { 5700: { quantity: 'current_a' } },
  3318: { 5700: { quantity: 'frequency_hz' } },
  3323: { 5700: { quantity: 'pressure_bar' } },
  3328: { 5700: { quantity: 'power_kw' } },
  3331: { 5700: { quantity: 'active_energy_import_kwh' } },
}

/** True raises it. 3424/12 is a blocked meter: kept as a flag. */
export const ALARM_RESOURCES: Readonly<Record<number, Readonly<Record<number, string>>>> = {
  3424: { 9: 'leak', 10: 'leak', 11: 'backflow', 12: 'blocked', 13: 'tamper' },
  3423: { 9: 'leak', 10: 'leak', 11: 'high_temperature' },
  3422: { 35: 'power_lost' },
}

// The closed list of what is measured and what is reported. The unit is part of a quantity's name.
// Codes are positions in these lists and are stored in the log: append only, never reorder.

/** Every quantity the log can carry. Registers are cumulative and may roll over; values are instantaneous. */
export const QUANTITIES = [
  'water_volume_m3',
  'water_volume_reverse_m3',
  'gas_volume_m3',
  'active_energy_import_kwh',
  'active_energy_export_kwh',
  'reactive_energy_import_kvarh',
  'reactive_energy_export_kvarh',
  'heat_energy_kwh',
  'register_count',
  'flow_m3h',
  'pressure_bar',
  'level_m',
  'temperature_c',
  'power_kw',
  'voltage_v',
  'current_a',
  'power_factor',
  'frequency_hz',
  'battery_v',
  'battery_pct',
  'rssi_dbm',
  'valve_open_pct',
  'pump_running',
] as const

export type Quantity = (typeof QUANTITIES)[number]

const REGISTER_COUNT = 9

const codes = new Map<string, number>(QUANTITIES.map((name, code) => [name, code]))

/** Position of a quantity in QUANTITIES, or undefined when the name is not one of ours. */
export function quantityCode(name: string): number | undefined {
  return codes.get(name)
}

export function isQuantity(name: string): name is Quantity {
  return codes.has(name)
}

/** True for cumulative registers, whose consumption is a difference of two reads. */
export function isRegister(quantity: Quantity): boolean {
  return (codes.get(quantity) ?? REGISTER_COUNT) < REGISTER_COUNT
}

/** Events a gateway or a meter can report. */
export const EVENTS = [
  'power_lost',
  'power_restored',
  'tamper',
  'cover_open',
  'reverse_flow',
  'leak_alarm',
  'burst_alarm',
  'dry',
  'battery_low',
  'clock_set',
  'register_reset',
  'meter_replaced',
  'gateway_online',
  'gateway_offline',
] as const

export type EventName = (typeof EVENTS)[number]

const events = new Set<string>(EVENTS)

export function isEventName(name: string): name is EventName {
  return events.has(name)
}

export const PHASES = ['', 'L1', 'L2', 'L3'] as const
export type Phase = (typeof PHASES)[number]

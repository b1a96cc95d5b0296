// The physical range of every quantity: what no device of its kind can measure. Wide on purpose: a value that is merely odd
// (9999, or 99.999 bar) is for validation to judge, which knows the device; here only what cannot be a measurement is refused.
import type { Quantity } from '#model/quantity.ts'

/**
 * Lowest and highest possible value, inclusive, in the quantity's unit.
 * Registers: at most 12 digits on a meter's face, never negative. Pressure: -1 bar gauge is a vacuum; 100 bar is beyond any
 * distribution network. Temperature: absolute zero to the hottest district heating steam with room. Frequency: 0 (dead line) to
 * 400 Hz networks with room. Power factor: 1 with room for rounding. Valves: calibration may pass the end stops by some percent.
 */
export const RANGES: Readonly<Record<Quantity, readonly [min: number, max: number]>> = {
  water_volume_m3: [0, 1e12],
  water_volume_reverse_m3: [0, 1e12],
  gas_volume_m3: [0, 1e12],
  active_energy_import_kwh: [0, 1e12],
  active_energy_export_kwh: [0, 1e12],
  reactive_energy_import_kvarh: [0, 1e12],
  reactive_energy_export_kvarh: [0, 1e12],
  heat_energy_kwh: [0, 1e12],
  register_count: [0, Number.MAX_SAFE_INTEGER],
  flow_m3h: [-1e6, 1e6],
  pressure_bar: [-1, 100],
  level_m: [-1_000, 10_000],
  temperature_c: [-273.15, 1_000],
  power_kw: [-1e7, 1e7],
  voltage_v: [0, 1e6],
  current_a: [-1e6, 1e6],
  power_factor: [-1.05, 1.05],
  frequency_hz: [0, 500],
  battery_v: [0, 100],
  battery_pct: [0, 100],
  rssi_dbm: [-250, 50],
  valve_open_pct: [-5, 105],
  pump_running: [0, 1],
}

/** False for NaN, infinities and everything outside the quantity's range. */
export function inRange(quantity: Quantity, value: number): boolean {
  const range = RANGES[quantity]
  return value >= range[0] && value <= range[1]
}

// LoRaWAN devices whose codecs give bare numbers, with the units that their makers document. Known by the name of their profile
// or model, or by fields that no other codec has. Everything else: the settings' `profiles`.
import type { Phase, Quantity } from '#model/quantity.ts'
import { phaseOf } from './fields.ts'

export interface DeviceRule {
  quantity?: Quantity
  unit?: string
  phase?: Phase
  tariff?: number
  channel?: string
  negative?: boolean
  alarm?: string
  /** The alarm's number from which on it is raised; left out, true is raised. */
  raisedFrom?: number
  ignore?: boolean
}

export interface KnownDevice {
  profile: RegExp
  /** Field names that all stand in its object. */
  shape?: readonly string[]
  field(name: string): DeviceRule | undefined
}

/** Rules by exact name. */
function table(rules: Record<string, DeviceRule>): (name: string) => DeviceRule | undefined {
  const map = new Map(Object.entries(rules))
  return (name) => map.get(name)
}

/** Watteco Triphas'O, Intens'O, Smart Plug (clusters 0x000A, 0x800A, 0x800B, 0x800D, 0x8010): W h, W, V, A. */
function watteco(name: string): DeviceRule | undefined {
  const m = /^(?:(positive|negative)_)?active_(energy|power)(?:_(a|b|c|abc))?$/.exec(name)
  const phase = m?.[3] === undefined || m[3] === 'abc' ? undefined : phaseOf(`x_${m[3]}`)
  const qualified = phase === undefined ? {} : { phase }
  if (m?.[2] === 'energy') {
    return { quantity: m[1] === 'negative' ? 'active_energy_export_kwh' : 'active_energy_import_kwh', unit: 'Wh', ...qualified }
  }
  // The negative half comes as a number of its own, which is zero unless energy flows back; the net is what is kept.
  if (m?.[2] === 'power') return m[1] === 'negative' ? { ignore: true } : { quantity: 'power_kw', unit: 'W', ...qualified }
  const r = /^(Vrms|Irms)(?:_(a|b|c))?$/.exec(name)
  if (r === null) return /reactive_(energy|power)/.test(name) ? { ignore: true } : undefined
  const of = r[2] === undefined ? undefined : phaseOf(`x_${r[2]}`)
  const rest = of === undefined ? {} : { phase: of }
  return r[1] === 'Vrms' ? { quantity: 'voltage_v', unit: 'V', ...rest } : { quantity: 'current_a', unit: 'A', ...rest }
}

/** Milesight CT303, CT305: current of each of three channels, which are clamps, not phases of one supply. */
function milesightCurrent(name: string): DeviceRule | undefined {
  const m = /^current(?:_chn([1-3]))?$/.exec(name)
  if (m === null) return /^(total_current|current_.*(max|min))/.test(name) ? { ignore: true } : undefined
  return m[1] === undefined ? { quantity: 'current_a', unit: 'A' } : { quantity: 'current_a', unit: 'A', channel: `chn${m[1]}` }
}

export const KNOWN_DEVICES: readonly KnownDevice[] = [
  {
    // Quandify CubicMeter: all-time litres; leak state 3 and more is a leak in every version of its codec, 2 only in some.
    profile: /cubic\s?meter|quandify/i,
    shape: ['totalVolume', 'leakState', 'batteryRecovered'],
    field: table({
      totalVolume: { quantity: 'water_volume_m3', unit: 'L' },
      leakState: { alarm: 'leak', raisedFrom: 3 },
      batteryRecovered: { quantity: 'battery_v', unit: 'mV' },
    }),
  },
  {
    // Milesight EM500-PP, pipe pressure (user guide: kPa), battery in per cent.
    profile: /em500-?pp/i,
    field: table({ pressure: { quantity: 'pressure_bar', unit: 'kPa' }, battery: { quantity: 'battery_pct' } }),
  },
  {
    // Milesight EM300-DI and EM500 pulse counters: a count; its weight is the meter's.
    profile: /em300-?di|uc(11|30)0/i,
    field: table({ pulse: { quantity: 'register_count' }, pulse_conv: { ignore: true }, battery: { quantity: 'battery_pct' } }),
  },
  { profile: /(^|[^a-z])ct(10[135]|30[35]|310)([^0-9]|$)/i, field: milesightCurrent },
  {
    // Milesight WS50x, WS52x (user guide): V, W, Wh, mA.
    profile: /(^|[^a-z])ws(50[1-3]|51[5-9]|52[35])([^0-9]|$)/i,
    field: table({
      voltage: { quantity: 'voltage_v', unit: 'V' },
      power: { quantity: 'power_kw', unit: 'W' },
      active_power: { quantity: 'power_kw', unit: 'W' },
      power_consumption: { quantity: 'active_energy_import_kwh', unit: 'Wh' },
      current: { quantity: 'current_a', unit: 'mA' },
    }),
  },
  {
    // Ellenex PTS2-L, PTC2-L, PTD2-L, PTE2-L, PTF2-L: the device repository's examples call the number bar.
    profile: /(^|[^a-z])pt[scdef]2(-l)?([^a-z0-9]|$)|^ellenex$/i,
    field: table({ pressure: { quantity: 'pressure_bar', unit: 'bar' }, batteryVoltage: { quantity: 'battery_v', unit: 'V' } }),
  },
  { profile: /watteco|triphas|intens'?o|smartplug/i, shape: ['positive_active_energy_abc'], field: watteco },
  { profile: /watteco|triphas/i, shape: ['Vrms_a', 'Irms_a'], field: watteco },
  { profile: /watteco|triphas/i, shape: ['active_power_abc'], field: watteco },
  { profile: /watteco|triphas/i, shape: ['active_energy_abc'], field: watteco },
  { profile: /watteco|triphas/i, shape: ['positive_active_energy_a', 'negative_active_energy_a'], field: watteco },
]

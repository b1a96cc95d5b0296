// What a named value of a device's decoded object measures. Gateways that carry free objects (LoRaWAN codecs, ThingsBoard) share
// these rules: a canonical quantity as name; a unit declared beside the value or at the end of its name; a map of the settings or
// of a known device. A unit is never guessed: a register without one is a raw count, anything else without one is left out. Pure.
import { isQuantity, type Phase, type Quantity } from '#model/quantity.ts'
import { normal, remembered } from './alarms.ts'
import { convert, type Dimension, tidy, unitOf } from './decoding.ts'

export interface Meaning {
  quantity: Quantity
  /** Unit to convert from; the quantity's own when left out. */
  unit?: string
  phase?: Phase
  tariff?: number
  channel?: string
  /** The value counts the other way round: exported power. */
  negative?: boolean
}

/** What else is known of the object a value is part of. */
export interface Surroundings {
  /** It measures electricity: a `voltage` is the mains', not a battery's. */
  electric: boolean
  gas: boolean
  heat: boolean
}

/** Names of values that are not the present reading: history, extremes, differences, limits, settings. */
const NOT_PRESENT =
  /(^|_)(deltas?|diff\w*|log(ged)?|histor\w*|prev\w*|last|old|yesterday|today|da(y|ily)|month\w*|week\w*|year\w*|annual|hour(s|ly)?|target|due|min(imum)?|max(imum)?|peak|avg|average|mean|increments?|intervals?|periods?|thresholds?|limits?|nominal|conf\w*|conv\w*|set|setpoint|offset|multiplier|resolution|factor|at|since|demand|alarms?|reset|remaining|partial|trip|cost|price|apparent|transformer\w*|calib\w*|number|nbr|billing|capacity)(_|$)/
const REVERSE = /(^|_)(revers\w*|back_?ward\w*|back_?flow|negative|return\w*|backwards)(_|$)/
const EXPORT = /(^|_)(export\w*|produc\w*|generat\w*|negative|return\w*|reverse\w*|inject\w*|feed_?in|backward\w*)(_|$)/
const BATTERY = /(^|_)(bat\w*|vbat|supply|cell|solar|input|analog|adc|vdd|vcc)(_|$)/
const NOT_PIPE = /(^|_)(atmospher\w*|barometr\w*|barometer|air|ambient|absolute|abs|differential|dp|sea)(_|$)/
const COUNT = /(^|_)(pulses?|counter|index|ticks?|impulses?|total_?pulses?)(_|$)/
const NOT_COUNT = /(^|_)(frame|fcnt|f_cnt|payload|packet|message|sample\w*|error|boot|restart|up|down|link|version|seq\w*|battery|id)(_|$)/
const VOLUME =
  /(^|_)(volume|totali[sz]er|totali[sz]ed|water_(total|meter|reading|consumption|index|usage)|meter_reading|cumulative_flow|total_(volume|water|flow|consumption))(_|$)/

/** Dimensions that say electricity when they stand in an object. */
export const ELECTRIC: ReadonlySet<Dimension> = new Set(['power', 'current', 'reactive_energy'])

/** A canonical quantity as name, alone or with phase or tariff: `voltage_v`, `voltage_v_L1`, `active_energy_import_kwh_t2`. */
export const canonicalOf = remembered((name: string): Meaning | undefined => {
  if (isQuantity(name)) return { quantity: name }
  const m = /^([a-z][a-z0-9_]*)_(?:([lL][123])|(?:[tT]|tariff_?)([1-4]))$/.exec(name)
  if (m === null || !isQuantity(m[1] as string)) return undefined
  const quantity = m[1] as Quantity
  return m[2] === undefined ? { quantity, tariff: Number(m[3]) } : { quantity, phase: m[2].toUpperCase() as Phase }
})

/** Longest first: `_m3_h` is a flow, not hours. Single letters only behind a word that they can be the unit of. */
const SUFFIXES: readonly (readonly [RegExp, string])[] = [
  [/_(?:m3_?(?:per_?)?h|m3_?(?:per_?)?hr|cbm_?h)$/, 'm3/h'],
  [/_(?:l_?(?:per_?)?h|lph|litres?_per_hour|liters?_per_hour)$/, 'l/h'],
  [/_(?:l_?(?:per_?)?min|lpm|litres?_per_min\w*|liters?_per_min\w*)$/, 'l/min'],
  [/_(?:l_?(?:per_?)?s|lps)$/, 'l/s'],
  [/_(?:m3_?(?:per_?)?s)$/, 'm3/s'],
  [/_gpm$/, 'gpm'],
  [/_(?:m3|cubic_meters?|cubic_metres?)$/, 'm3'],
  [/_(?:litres?|liters?|ltr)$/, 'l'],
  [/(?<=total|volume|consumption|water|counter|usage|index|reading)_l$/, 'l'],
  [/_(?:gal|gallons?)$/, 'gal'],
  [/_ft3$/, 'ft3'],
  [/_megawh$/, 'MWh'],
  [/_megaw$/, 'MW'],
  [/_megapa$/, 'MPa'],
  [/_kwh$/, 'kWh'],
  [/_wh$/, 'Wh'],
  [/_kvarh$/, 'kvarh'],
  [/_varh$/, 'varh'],
  [/_gj$/, 'GJ'],
  [/_(?:kw|kilowatts?)$/, 'kW'],
  [/_watts?$/, 'W'],
  [/(?<=power\w{0,20})_w$/, 'W'],
  [/_(?:volts?)$/, 'V'],
  [/(?<=volt\w{0,20}|bat\w{0,10})_v$/, 'V'],
  [/(?<=volt\w{0,20}|bat\w{0,10})_mv$/, 'mV'],
  [/_(?:amps?|amperes?)$/, 'A'],
  [/_ma$/, 'mA'],
  [/_hz$/, 'Hz'],
  [/_bar$/, 'bar'],
  [/_mbar$/, 'mbar'],
  [/_kpa$/, 'kPa'],
  [/_psi$/, 'psi'],
]

/** A unit at the end of a normalised name, and the name without it. */
export const unitInName = remembered((name: string): { stem: string; unit: string } | undefined => {
  for (const [suffix, unit] of SUFFIXES) {
    const m = suffix.exec(name)
    if (m !== null && m.index > 0) return { stem: name.slice(0, m.index), unit }
  }
  return undefined
})

const PHASE = /(?:^|_)(?:l|ph|phase_?|phase_l)([123])(?:_|$)|(?:^|_)(?:ph|phase_?)([abc])(?:_|$)|_([abc])$/
const TARIFF = /(?:^|_)(?:t|tariff_?|rate_?)([1-4])(?:_|$)/

/** L1, L2 or L3 in a normalised name: `voltage_l1`, `phase2_power`, `irms_b`. */
export function phaseOf(name: string): Phase | undefined {
  const m = PHASE.exec(name)
  if (m === null) return undefined
  if (m[1] !== undefined) return `L${m[1]}` as Phase
  return `L${'abc'.indexOf((m[2] ?? m[3]) as string) + 1}` as Phase
}

export function tariffOf(name: string): number | undefined {
  const m = TARIFF.exec(name)
  return m === null ? undefined : Number(m[1])
}

/** Meaning of a value whose unit is declared; undefined when it is none of our quantities or not the present reading. */
export function meaningOf(rawName: string, unit: string, around: Surroundings): Meaning | undefined {
  const dimension = unitOf(unit)?.dimension
  if (dimension === undefined) return undefined
  const name = normal(rawName)
  const phase = phaseOf(name)
  const tariff = tariffOf(name)
  const qualified = (quantity: Quantity, negative = false): Meaning => ({
    quantity,
    unit,
    ...(phase === undefined ? {} : { phase }),
    ...(tariff === undefined ? {} : { tariff }),
    ...(negative ? { negative } : {}),
  })
  if (dimension === 'temperature')
    return NOT_PRESENT.test(name) ? undefined : { quantity: 'temperature_c', unit, channel: rawName.slice(0, 60) }
  if (NOT_PRESENT.test(name)) return undefined
  const gas = around.gas || /(^|_)gas(_|$)/.test(name)
  const heat = around.heat || /(^|_)(heat\w*|thermal)(_|$)/.test(name)
  switch (dimension) {
    case 'volume':
      if (gas) return qualified('gas_volume_m3')
      if (heat) return { quantity: 'water_volume_m3', unit, channel: 'heat' }
      return qualified(REVERSE.test(name) ? 'water_volume_reverse_m3' : 'water_volume_m3')
    case 'flow':
      return heat || gas ? { quantity: 'flow_m3h', unit, channel: heat ? 'heat' : 'gas' } : qualified('flow_m3h')
    case 'pressure':
      return NOT_PIPE.test(name) || /^hpa$/i.test(unit.trim()) ? undefined : qualified('pressure_bar')
    case 'energy':
      if (/(^|_)(cool\w*|cold)(_|$)/.test(name) || gas || /reactive/.test(name)) return undefined
      if (heat) return qualified('heat_energy_kwh')
      return qualified(EXPORT.test(name) ? 'active_energy_export_kwh' : 'active_energy_import_kwh')
    case 'reactive_energy':
      return qualified(EXPORT.test(name) ? 'reactive_energy_export_kvarh' : 'reactive_energy_import_kvarh')
    case 'power':
      return heat || gas || /reactive/.test(name) ? undefined : qualified('power_kw', EXPORT.test(name))
    case 'voltage':
      if (BATTERY.test(name)) return /(^|_)v?bat/.test(name) ? { quantity: 'battery_v', unit } : undefined
      return around.electric || phase !== undefined ? qualified('voltage_v') : undefined
    case 'current':
      return around.electric || phase !== undefined ? qualified('current_a') : undefined
    case 'frequency':
      return around.electric ? qualified('frequency_hz') : undefined
    case 'length':
      return /(^|_)(level|fill)/.test(name) ? { quantity: 'level_m', unit } : undefined
  }
}

/** A register whose unit nobody declares: a raw count, which the registry gives its multiplier. */
export const isRawRegister = remembered((rawName: string): boolean => {
  const name = normal(rawName)
  if (NOT_PRESENT.test(name) || NOT_COUNT.test(name)) return false
  return COUNT.test(name) || VOLUME.test(name) || /^(total_|active_|cumulative_)*energy(_total|_import|_export)?$/.test(name)
})

/** The smallest gauge pressure of any unit that pipe pressure is given in: a vacuum in mbar. */
const VACUUM_MBAR = -1013.25

/** A pressure without unit that cannot be one, whatever the unit was. */
export function isImpossiblePressure(rawName: string, value: number): boolean {
  return /(^|_)pressure(_|$)/.test(normal(rawName)) && value < VACUUM_MBAR
}

/** The value in the quantity's unit; undefined when the unit does not fit. */
export function inOurUnit(meaning: Meaning, value: number): number | undefined {
  const converted = meaning.unit === undefined ? value : convert(value, meaning.unit, meaning.quantity)
  return converted === undefined ? undefined : meaning.negative === true ? -tidy(Math.abs(converted)) : converted
}

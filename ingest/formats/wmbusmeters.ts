// wmbusmeters (github.com/wmbusmeters): wireless M-Bus and M-Bus meters, one flat JSON object per telegram.
// Topic: wmbusmeters/ID (default) or wmbusmeters/NAME; alarms of the receiver itself as plain text on wmbusmeters_alarm.
// Payload: {"_":"telegram","media","meter" (driver),"name","id", fields whose unit is the end of their name, "timestamp"}. Older versions lack "_".
// Identity: `id`, 8 hex digits. `device` is the radio receiver, taken as the gateway. Broadcast radio: the meter is the identity.
// Time: `timestamp`, UTC of the receiver, whole seconds. `*_datetime` of the meter are local without zone and to the minute: not used.
// Units: m3, l, m3h, kwh, mj, gj, kw, v, a, bar, hz ... by name. The same name means heat or electricity by `media` only.
// Pitfalls: month-end and target registers, extremes and history stand beside the present value (names are matched whole); 127 C and dates in
// 2127 are sentinels of a dry meter; null = not in this telegram; identical telegrams are dropped at the source, so a quiet meter is not a dead one;
// `voltage_v` of a water meter is its battery; previous_alarms and *_date tell the past; a total of 0 from a short telegram is for validation.
import type { Phase, Quantity } from '#model/quantity.ts'
import { alarmsInText } from '../alarms.ts'
import { convert, field, idOf, isObject, type Json, numberOf, Outcome, parseJson, passed, refused, shown, tidy } from '../decoding.ts'
import type { Decoded, GatewayFormat } from '../format.ts'
import { readTime, zoneOf } from '../local-time.ts'

const TOPIC = /^wmbusmeters\/(.+)$/
const DEVICE = /"device"\s*:\s*"([^"\\]{1,100})"/

type Medium = 'water' | 'heat' | 'electricity' | 'gas' | 'pressure' | 'other'

/** Drivers of water meters whose radio module gives another medium, or none. */
const WATER_DRIVERS =
  /water|aqua|hydrus|hydrodigit|iperl|izar|multical21|flowiq|apator(08|16|17)|emerlin|evo868|q400|itron$|minomess|ultrimis|topas|supercom587|rfmtx1|dme_07|weh_07|lse_07|ev200|iwmtx5/i

export const wmbusmeters: GatewayFormat = {
  name: 'wmbusmeters',
  broadcast: true,
  topics: ['wmbusmeters/#', 'wmbusmeters_alarm'],
  matches: (topic, payload) =>
    topic.startsWith('wmbusmeters/') ||
    topic === 'wmbusmeters_alarm' ||
    payload.subarray(0, 32).toString('latin1').replaceAll(' ', '').startsWith('{"_":"telegram"'),
  gatewayOf: (_topic, payload) => DEVICE.exec(payload.subarray(0, 8_192).toString('latin1'))?.[1] ?? '',
  decode(payload, context): Decoded {
    if (context.topic === 'wmbusmeters_alarm') return passed('status', 'receiver_alarm')
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (!isObject(parsed.value)) return refused('bad_schema', 'a telegram must be an object', payload)
    const o = parsed.value
    const name = TOPIC.exec(context.topic)?.[1] ?? ''
    const id = idOf(field(o, 'id')) ?? idOf(field(o, 'name'))
    if (id === undefined) return refused('bad_schema', 'id is missing', payload, 'id')
    if (/^[0-9a-f]{8}$/i.test(name) && name.toLowerCase() !== id.toLowerCase() && name !== field(o, 'name'))
      return refused('wrong_gateway', `meter ${id} came on the topic of ${name}`, payload, 'id')
    if (context.retained) return passed('duplicate', 'retained_duplicate')
    const time = field(o, 'timestamp') ?? field(o, 'timestamp_utc') ?? field(o, 'timestamp_ut')
    const tsMs = readTime(time, zoneOf(context.settings))
    if (tsMs === undefined && time !== undefined && time !== null && time !== '')
      return refused('impossible_time', `timestamp ${shown(time, 40)} is not a time`, payload, 'timestamp')
    return telegram(o, id, tsMs === 'local' ? undefined : tsMs)
  },
}

function mediumOf(o: Json): Medium {
  const media = shown(field(o, 'media')).toLowerCase()
  if (/heat cost|room sensor|smoke|hygro|door/.test(media)) return 'other'
  if (/heat|cooling load/.test(media)) return /^cooling/.test(media) ? 'other' : 'heat'
  if (/electric/.test(media)) return 'electricity'
  if (/gas/.test(media)) return 'gas'
  if (/water/.test(media)) return 'water'
  if (/pressure/.test(media)) return 'pressure'
  return WATER_DRIVERS.test(shown(field(o, 'meter'))) ? 'water' : 'other'
}

function telegram(o: Json, id: string, tsMs: number | undefined): Decoded {
  const out = new Outcome()
  const medium = mediumOf(o)
  const seen = new Set<string>()
  for (const [key, value] of Object.entries(o)) {
    if (/^(status|current_status|current_alarms?|error_flags?|error|alarm_flags?|alarms?|tpl_status)$/.test(key)) {
      if (typeof value === 'string') for (const alarm of alarmsInText(value)) out.alarm(alarm, id, tsMs)
      continue
    }
    const meaning = meaningIn(key, medium, o)
    if (meaning === undefined || value === null || value === '') continue
    const n = numberOf(value)
    const converted = n === undefined || meaning.unit === '' ? n : convert(n, meaning.unit, meaning.quantity)
    if (converted === undefined) {
      out.refuse('bad_schema', key, `${key} is not a number`, id, shown(value, 200))
      continue
    }
    const { quantity, phase, tariff, channel } = meaning
    const series = [quantity, phase, tariff, channel].join('\n')
    if (seen.has(series)) continue
    seen.add(series)
    out.reading(id, quantity, meaning.lessOf === undefined ? converted : tidy(converted - produced(o, meaning.lessOf)), {
      tsMs,
      phase,
      tariff,
      channel,
    })
  }
  const power = producedAlone(o, medium)
  if (power !== undefined) out.reading(id, 'power_kw', power, { tsMs })
  const rssi = numberOf(field(o, 'rssi_dbm'))
  // A series for each receiver: the strongest is who hears the meter best. 0 and 999 are receivers that do not measure.
  if (rssi !== undefined && rssi < 0 && out.decoded.readings.length > 0)
    out.reading(id, 'rssi_dbm', rssi, { tsMs, channel: idOf(field(o, 'device'))?.slice(0, 60) })
  return out.done('accept_other', medium === 'other' ? 'medium_without_quantity' : 'no_core_reading')
}

interface Meaning {
  quantity: Quantity
  unit: string
  phase?: Phase
  tariff?: number
  channel?: string
  /** Name of the production that is taken off. */
  lessOf?: string
}

function produced(o: Json, name: string): number {
  const n = numberOf(field(o, name))
  return n === undefined ? 0 : Math.abs(n)
}

/** Production without consumption beside it. */
function producedAlone(o: Json, medium: Medium): number | undefined {
  if (medium !== 'electricity' || numberOf(field(o, 'current_power_consumption_kw')) !== undefined) return undefined
  if (numberOf(field(o, 'power_kw')) !== undefined) return undefined
  const n = numberOf(field(o, 'current_power_production_kw'))
  return n === undefined ? undefined : -Math.abs(n)
}

const UNIT = /^(.+?)_(m3|l|m3h|lh|kwh|wh|mwh|mj|gj|kvarh|kw|w|v|a|bar|hz|c)$/
const UNITS: Readonly<Record<string, string>> = {
  m3h: 'm3/h',
  lh: 'l/h',
  kwh: 'kWh',
  wh: 'Wh',
  mwh: 'MWh',
  mj: 'MJ',
  gj: 'GJ',
  kw: 'kW',
  w: 'W',
  v: 'V',
  a: 'A',
  hz: 'Hz',
  c: 'C',
}

/** What a field of a telegram measures. Names are matched whole, so that targets, extremes and history fall through. */
function meaningIn(key: string, medium: Medium, o: Json): Meaning | undefined {
  // A pulse counter's inputs: counts of whatever is wired to them.
  const input = /^([ab])_counter$/.exec(key)
  if (input !== null && field(o, 'meter') === 'lansenpu') return { quantity: 'register_count', unit: '', channel: input[1] as string }
  const m = UNIT.exec(key)
  if (m === null) return undefined
  const [, name = '', suffix = ''] = m
  const unit = UNITS[suffix] ?? suffix
  if (suffix === 'm3' || suffix === 'l') return volume(name, suffix, medium, o)
  if (suffix === 'm3h' || suffix === 'lh') return flow(name, unit, medium)
  if (suffix === 'bar') return name === 'pressure' || name === 'current_pressure' ? { quantity: 'pressure_bar', unit } : undefined
  if (suffix === 'c') return temperature(name, unit, o[key], medium)
  if (name === 'battery' || name === 'battery_voltage') return suffix === 'v' ? { quantity: 'battery_v', unit } : undefined
  if (medium === 'electricity') return electric(name, unit)
  if (suffix === 'v') return name === 'voltage' ? { quantity: 'battery_v', unit } : undefined
  if (medium === 'heat' && /^(kwh|wh|mwh|mj|gj)$/.test(suffix)) return heat(name, unit, o)
  return undefined
}

function volume(name: string, suffix: string, medium: Medium, o: Json): Meaning | undefined {
  // `total_l` is `total_m3` again, calculated on request.
  if (suffix === 'l' && numberOf(field(o, `${name}_m3`)) !== undefined) return undefined
  const unit = suffix
  const total = /^(total|total_volume|volume|total_water|total_water_consumption|total_consumption|total_forward(_flow|_volume)?)$/.test(
    name,
  )
  const tariff = /^total_(?:volume_)?tariff_?([1-4])$/.exec(name)
  if (medium === 'gas') return total ? { quantity: 'gas_volume_m3', unit } : undefined
  // The volume of a heat meter is its carrier's, not water supplied.
  if (medium === 'heat') return total ? { quantity: 'water_volume_m3', unit, channel: 'heat' } : undefined
  if (medium !== 'water') return undefined
  if (tariff !== null) return { quantity: 'water_volume_m3', unit, tariff: Number(tariff[1]) }
  if (/^(total_)?(back(ward)?s?(_?flow)?|reversed?|negative)(_flow)?(_volume)?$/.test(name))
    return { quantity: 'water_volume_reverse_m3', unit }
  return total && !(name.startsWith('total_forward') && numberOf(field(o, `total_${suffix}`)) !== undefined)
    ? { quantity: 'water_volume_m3', unit }
    : undefined
}

function flow(name: string, unit: string, medium: Medium): Meaning | undefined {
  if (!/^(current_)?(volume_|water_)?flow(_rate|_water)?$/.test(name) || medium === 'other' || medium === 'electricity') return undefined
  return medium === 'water' || medium === 'pressure' ? { quantity: 'flow_m3h', unit } : { quantity: 'flow_m3h', unit, channel: medium }
}

/** 127 C (0x7F) is what a meter without water gives. */
function temperature(name: string, unit: string, value: unknown, medium: Medium): Meaning | undefined {
  if (medium !== 'water' || value === 127 || !/^(flow|external|water|current)_temperature$|^temperature$/.test(name)) return undefined
  return { quantity: 'temperature_c', unit, channel: name }
}

function heat(name: string, unit: string, o: Json): Meaning | undefined {
  // `total_mj` is `total_kwh` again, calculated on request.
  if (unit !== 'kWh' && ['total_kwh', 'total_energy_consumption_kwh'].some((k) => numberOf(field(o, k)) !== undefined)) return undefined
  const t = TARIFF.exec(name)
  const total = /^(total|total_energy|total_energy_consumption|total_heat(ing)?(_energy)?(_consumption)?|heat(ing)?(_energy)?|energy)$/
  if (!total.test(name.replace(TARIFF, ''))) return undefined
  return t === null ? { quantity: 'heat_energy_kwh', unit } : { quantity: 'heat_energy_kwh', unit, tariff: Number(t[1]) }
}

const TARIFF = /_tariff_?([1-4])$/
const PHASE = /_(?:at_)?(?:phase_?|l)([123])(?:_n)?$/

function electric(fullName: string, unit: string): Meaning | undefined {
  const t = TARIFF.exec(fullName)
  const p = PHASE.exec(fullName)
  const name = fullName.replace(TARIFF, '').replace(PHASE, '')
  const of: { phase?: Phase; tariff?: number } = {}
  if (t !== null) of.tariff = Number(t[1])
  if (p !== null) of.phase = `L${p[1]}` as Phase
  if (/^(kWh|Wh|MWh)$/.test(unit)) {
    if (/^(total|total_energy|total_energy_consumption|total_active_energy_consumption|total_consumption)$/.test(name))
      return { quantity: 'active_energy_import_kwh', unit, ...of }
    return /^total_(active_)?(energy_)?(production|backward|exported?)$/.test(name)
      ? { quantity: 'active_energy_export_kwh', unit, ...of }
      : undefined
  }
  if (unit === 'kvarh') {
    if (name === 'total_reactive_energy_consumption') return { quantity: 'reactive_energy_import_kvarh', unit, ...of }
    return name === 'total_reactive_energy_production' ? { quantity: 'reactive_energy_export_kvarh', unit, ...of } : undefined
  }
  if (unit === 'kW' || unit === 'W') {
    const suffix = fullName.slice(name.length)
    if (name === 'current_power_consumption')
      return { quantity: 'power_kw', unit, ...of, lessOf: `current_power_production${suffix}_${unit.toLowerCase()}` }
    return /^(power|current_power|active_power|active_consumption)$/.test(name) ? { quantity: 'power_kw', unit, ...of } : undefined
  }
  if (unit === 'V') return name === 'voltage' ? { quantity: 'voltage_v', unit, ...of } : undefined
  if (unit === 'A') return name === 'current' || name === 'amperage' ? { quantity: 'current_a', unit, ...of } : undefined
  if (unit === 'Hz') return name === 'frequency' ? { quantity: 'frequency_hz', unit } : undefined
  return undefined
}

// zigbee2mqtt (zigbee2mqtt.io, MQTT topics and messages; exposes; device-availability).
// Topic: zigbee2mqtt/FRIENDLY_NAME (the name may hold slashes), .../availability, .../set, .../get; zigbee2mqtt/bridge/{state,devices,info,event,...}.
// Payload: flat JSON, the full state each time; with attribute output also one bare value on zigbee2mqtt/NAME/ATTRIBUTE.
// Identity: the friendly name, which can be renamed; the settings' `devices` map it to the registry. The gateway is the base topic.
// Time: `last_seen`, when configured: ISO with offset or epoch ms. Otherwise none; a retained state without it has no known age and is passed over.
// Units: not in the message. bridge/devices (retained) gives them per property (exposes) and is kept; before it has come, those of the
// documented presets hold (energy kWh, power W, voltage V, current A, frequency Hz), which no converter leaves; volumes have no preset:
// `water_consumed` is litres on one model and cubic metres on the next, and is a raw count until the unit is known.
// Pitfalls: `voltage` of a battery device is its battery in mV; _a/_b are two channels, _a/_b/_c three phases; with voltage_phase_b the bare name is
// phase A; energy_flow "producing" turns the sign of a power; `pressure` is the weather's; a wrong low value after a restart is for validation (23594).
import type { Phase, Quantity } from '#model/quantity.ts'
import { alarmOfName, alarmsInText, isRaised } from '../alarms.ts'
import {
  convert,
  field,
  gatewayStatus,
  idOf,
  isObject,
  type Json,
  numberOf,
  Outcome,
  parseJson,
  passed,
  refused,
  textOf,
  tidy,
  unitOf,
} from '../decoding.ts'
import type { Decoded, Disposition, GatewayFormat, MessageContext } from '../format.ts'
import { readTime } from '../local-time.ts'

const BASE = 'zigbee2mqtt'
/** Devices whose units are kept; a Zigbee network has a few hundred. */
const DEVICES_MAX = 2_000
const PROPERTIES_MAX = 200

const BRIDGE: Readonly<Record<string, readonly [Disposition, string]>> = {
  info: ['metadata', 'bridge_info'],
  groups: ['metadata', 'bridge_groups'],
  definitions: ['metadata', 'bridge_definitions'],
  extensions: ['metadata', 'bridge_extensions'],
  converters: ['metadata', 'bridge_converters'],
  config: ['metadata', 'bridge_config'],
  event: ['session', 'bridge_event'],
  health: ['status', 'bridge_health'],
}

/** Property -> unit, of one device. */
type Units = ReadonlyMap<string, string>

export const zigbee2mqtt: GatewayFormat = {
  name: 'zigbee2mqtt',
  topics: [`${BASE}/#`],
  matches: (topic) => topic.startsWith(`${BASE}/`),
  gatewayOf: () => BASE,
  decode(payload, context): Decoded {
    const name = context.topic.startsWith(`${BASE}/`) ? context.topic.slice(BASE.length + 1) : context.topic
    if (name.startsWith('bridge/')) return bridge(name.slice(7), payload, context)
    if (/\/(set|get)(\/.*)?$/.test(name)) return passed('ignore', 'command')
    if (name.endsWith('/availability')) return passed('status', availability(payload))
    if (payload.length === 0) return passed('ignore', 'empty')
    const parsed = parseJson(payload)
    if ('problem' in parsed) return single(name, textOf(payload), payload, context) ?? refused('malformed', parsed.problem, payload)
    if (!isObject(parsed.value)) {
      return single(name, parsed.value, payload, context) ?? refused('bad_schema', 'a state must be an object', payload)
    }
    return state(name, parsed.value, payload, context)
  },
}

function availability(payload: Buffer): string {
  return (textOf(payload) ?? '').includes('offline') ? 'device_offline' : 'device_online'
}

function bridge(kind: string, payload: Buffer, context: MessageContext): Decoded {
  if (kind === 'state') {
    const state = /"?(online|offline)"?/.exec(textOf(payload) ?? '')?.[1]
    return state === undefined
      ? refused('bad_schema', 'state must be online or offline', payload, 'state')
      : gatewayStatus(state === 'online')
  }
  if (kind === 'devices') {
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (!Array.isArray(parsed.value)) return refused('bad_schema', 'bridge/devices must be a list', payload)
    keepUnits(parsed.value, context.state)
    return { ...passed('metadata', 'bridge_devices'), learned: context.topic }
  }
  const known = Object.hasOwn(BRIDGE, kind) ? BRIDGE[kind] : undefined
  return known === undefined ? passed('ignore', 'bridge_other') : passed(...known)
}

function keepUnits(devices: readonly unknown[], state: Map<string, unknown>): void {
  state.clear()
  for (const d of devices.slice(0, DEVICES_MAX)) {
    if (!isObject(d)) continue
    const name = idOf(field(d, 'friendly_name'))
    const definition = field(d, 'definition')
    if (name === undefined || !isObject(definition)) continue
    const units = new Map<string, string>()
    collect(field(definition, 'exposes'), units, 0)
    if (units.size > 0) state.set(name, units)
  }
}

/** Numeric properties with a unit; composite exposes hold further ones in `features`. */
function collect(exposes: unknown, units: Map<string, string>, depth: number): void {
  if (!Array.isArray(exposes) || depth > 4) return
  for (const e of exposes.slice(0, PROPERTIES_MAX)) {
    if (!isObject(e)) continue
    const { property, unit } = e
    if (typeof property === 'string' && typeof unit === 'string' && units.size < PROPERTIES_MAX)
      units.set(property.slice(0, 100), unit.slice(0, 20))
    collect(field(e, 'features'), units, depth + 1)
  }
}

/** One bare value on NAME/ATTRIBUTE: read as a state of one property, when it is one that measures something. */
function single(name: string, value: unknown, payload: Buffer, context: MessageContext): Decoded | undefined {
  const at = name.lastIndexOf('/')
  const property = name.slice(at + 1)
  if (at <= 0 || isObject(value) || Array.isArray(value)) return undefined
  const known = context.state.has(name.slice(0, at))
  if (kindOf(property) === undefined && alarmOfName(property) === undefined)
    return known || /^[a-z_]+$/.test(property) ? passed('accept_other', 'no_core_reading') : undefined
  return state(name.slice(0, at), { [property]: value }, payload, context)
}

function state(name: string, o: Json, payload: Buffer, context: MessageContext): Decoded {
  const device = idOf(name)
  if (device === undefined) return refused('bad_schema', 'the topic has no usable name', payload)
  const seen = field(o, 'last_seen')
  const tsMs = readTime(seen, undefined)
  const none = seen === undefined || seen === null || seen === ''
  if (!none && tsMs === undefined) return refused('impossible_time', 'last_seen is not a time', payload, 'last_seen')
  if (context.retained && typeof tsMs !== 'number') return passed('duplicate', 'retained_duplicate')
  const units = context.state.get(name)
  const reader = new StateReader(
    o,
    device,
    typeof tsMs === 'number' ? tsMs : undefined,
    units instanceof Map ? (units as Units) : undefined,
  )
  for (const [key, value] of Object.entries(o)) reader.value(key, value)
  return reader.out.done('accept_other', reader.undeclared ? 'unit_not_declared' : 'no_core_reading')
}

type Kind =
  | 'water_reverse'
  | 'energy'
  | 'produced'
  | 'power'
  | 'voltage'
  | 'current'
  | 'frequency'
  | 'water'
  | 'gas'
  | 'flow'
  | 'water_pressure'
  | 'battery'
  | 'temperature'

const NAMES: readonly (readonly [RegExp, Kind])[] = [
  [/^(produced_energy|energy_produced|energy_export(ed)?|exported_energy|energy_returned)$/, 'produced'],
  [/^(energy|energy_consumed|energy_import(ed)?|consumed_energy|total_energy)$/, 'energy'],
  [/^(power|active_power|total_power|power_total)$/, 'power'],
  [/^(voltage|rms_voltage|mains_voltage)$/, 'voltage'],
  [/^(current|rms_current)$/, 'current'],
  [/^(ac_frequency|frequency)$/, 'frequency'],
  [
    /^(water_consumed|water_consumption|water_total|total_water|water_volume|volume|total_consumption|consumption|total_flow|water_meter|cumulative_water)$/,
    'water',
  ],
  [/^(reverse_(water_)?(consum\w*|volume|total)|water_(consumed|consumption)_reverse)$/, 'water_reverse'],
  [/^(gas_consumed|gas_consumption|gas_volume|gas_total)$/, 'gas'],
  [/^(flow|flow_rate|water_flow|instantaneous_flow(_rate)?|instant_flow|water_flow_rate)$/, 'flow'],
  [/^(water_pressure|pipe_pressure)$/, 'water_pressure'],
  [/^battery$/, 'battery'],
  [/^(water_temperature)$/, 'temperature'],
]

interface Parts {
  kind: Kind
  /** '', a letter a to c, or a number 1 to 3 as text. */
  part: string
  tariff?: number
}

const PART = /_(?:phase_|ph_?)?(?:l([1-9])|([a-d])|([1-9])|ab|abc)$/

function kindOf(key: string): Parts | undefined {
  const tariff = /_(?:t|tariff_?|tier_?)([1-4])$/.exec(key)
  const plain = tariff === null ? key : key.slice(0, tariff.index)
  const exact = NAMES.find(([n]) => n.test(plain))
  if (exact !== undefined) return tariff === null ? { kind: exact[1], part: '' } : { kind: exact[1], part: '', tariff: Number(tariff[1]) }
  const m = PART.exec(plain)
  if (m === null) return undefined
  const found = NAMES.find(([n]) => n.test(plain.slice(0, m.index)))
  if (found === undefined) return undefined
  const part = m[1] ?? m[2] ?? m[3] ?? ''
  return tariff === null ? { kind: found[1], part } : { kind: found[1], part, tariff: Number(tariff[1]) }
}

const QUANTITY: Readonly<Record<Kind, readonly [Quantity, unit: string]>> = {
  energy: ['active_energy_import_kwh', 'kWh'],
  produced: ['active_energy_export_kwh', 'kWh'],
  power: ['power_kw', 'W'],
  voltage: ['voltage_v', 'V'],
  current: ['current_a', 'A'],
  frequency: ['frequency_hz', 'Hz'],
  water: ['water_volume_m3', ''],
  water_reverse: ['water_volume_reverse_m3', ''],
  gas: ['gas_volume_m3', ''],
  flow: ['flow_m3h', ''],
  water_pressure: ['pressure_bar', ''],
  battery: ['battery_pct', ''],
  temperature: ['temperature_c', 'C'],
}

class StateReader {
  readonly out = new Outcome()
  undeclared = false
  readonly o: Json
  readonly device: string
  readonly tsMs: number | undefined
  readonly units: Units | undefined
  readonly electric: boolean
  readonly threePhase: boolean
  readonly firstIsA: boolean

  constructor(o: Json, device: string, tsMs: number | undefined, units: Units | undefined) {
    this.o = o
    this.device = device
    this.tsMs = tsMs
    this.units = units
    const keys = [...Object.keys(o), ...(units?.keys() ?? [])].slice(0, 1_000)
    const kinds = keys.map(kindOf)
    this.electric = kinds.some((k) => k !== undefined && ['power', 'energy', 'produced', 'current'].includes(k.kind))
    this.threePhase = kinds.some((k) => k !== undefined && (k.part === 'c' || k.part === '3'))
    this.firstIsA = keys.some((k) => /^(voltage|current|power)_phase_b$/.test(k))
  }

  value(key: string, value: unknown): void {
    if (value === null || value === '' || isObject(value) || Array.isArray(value)) return
    const kind = kindOf(key)
    if (kind === undefined) {
      this.alarm(key, value)
      return
    }
    const n = numberOf(value)
    if (n === undefined) {
      if (typeof value !== 'boolean') this.out.refuse('bad_schema', key, `${key} is not a number`, this.device, String(value).slice(0, 200))
      return
    }
    this.number(key, kind, n)
  }

  number(key: string, { kind, part, tariff }: Parts, n: number): void {
    const declared = this.units?.get(key)
    // Of a battery device `voltage` is the battery's, in mV.
    if (kind === 'voltage' && (!this.electric || declared === 'mV')) return
    if (kind === 'frequency' && !this.electric) return
    if (kind === 'battery') {
      this.out.reading(this.device, 'battery_pct', n, { tsMs: this.tsMs })
      return
    }
    const [preset, presetUnit] = QUANTITY[kind]
    const unit = declared ?? presetUnit
    if (unit === '') {
      this.withoutUnit(key, kind, n)
      return
    }
    // `consumption` and `volume` may be of anything: the declared unit decides.
    const quantity = kind === 'water' && unitOf(unit)?.dimension === 'energy' ? 'active_energy_import_kwh' : preset
    const converted = convert(n, unit, quantity)
    if (converted === undefined) {
      this.undeclared = true
      return
    }
    const value = kind === 'power' && this.producing(part) && converted > 0 ? -tidy(converted) : converted
    this.out.reading(this.device, quantity, value, { tsMs: this.tsMs, tariff, ...this.place(key, kind, part) })
  }

  withoutUnit(key: string, kind: Kind, n: number): void {
    if (kind === 'water' || kind === 'water_reverse' || kind === 'gas')
      this.out.reading(this.device, 'register_count', n, { tsMs: this.tsMs, channel: key.slice(0, 60) })
    else this.undeclared = true
  }

  /** Phase of three, or channel of fewer. */
  place(key: string, kind: Kind, part: string): { phase?: Phase; channel?: string } {
    if (part === '') {
      const bareIsA = this.firstIsA && ['voltage', 'current', 'power'].includes(kind)
      return bareIsA ? { phase: 'L1' } : /_(ab|abc)$/.test(key) ? { channel: 'sum' } : {}
    }
    const index = 'abc'.includes(part) ? 'abc'.indexOf(part) : Number(part) - 1
    const phased = (this.threePhase || /_(phase|ph)_/.test(key)) && index >= 0 && index < 3
    return phased ? { phase: `L${index + 1}` as Phase } : { channel: part }
  }

  producing(part: string): boolean {
    const flow = field(this.o, part === '' ? 'energy_flow' : `energy_flow_${part}`)
    return typeof flow === 'string' && /^produc/i.test(flow)
  }

  alarm(key: string, value: unknown): void {
    const name = alarmOfName(key)
    if (name !== undefined) {
      if (isRaised(value)) this.out.alarm(name, this.device, this.tsMs)
    } else if (typeof value === 'string' && /^(fault|alarm|alarms|status|warning|error_status)$/.test(key)) {
      for (const alarm of alarmsInText(value)) this.out.alarm(alarm, this.device, this.tsMs)
    }
  }
}

// Shelly energy meters and relays (shelly-api-docs.shelly.cloud: Gen1 MQTT; Gen2+ RPC notifications and components EM, EMData, EM1, PM1, Switch).
// Topic, Gen2 and later: PREFIX/events/rpc (JSON-RPC notification), PREFIX/status/COMPONENT:N (the component alone), PREFIX/online (text), answers on CLIENT/rpc.
// Gen1: shellies/ID/emeter/N/{power,voltage,current,pf,total,total_returned,energy}, relay/N/{power,energy}, info (all as JSON), online, announce.
// Identity: the topic prefix, by default the device's id with its MAC; of an answer on another's topic, `src`. The same id for all topics of a device.
// Time: `ts` of a notification, epoch s with fraction (missing or a small number until the clock is set); `unixtime` of sys and info. Others have none.
// Units, by documentation: W, V, A, Hz; energies in Wh (`by_minute` in mWh: not used), Gen1 relay `energy` in watt-minutes since boot. Converted.
// Channels: em:0 and pm1:0 have none; others their component (`em1:1`, `switch:0`). Phases a, b, c are L1 to L3; so are the three emeters of a Shelly 3EM.
// Pitfalls: null with an error list is a dead or absent phase, not 0 V; errors as out_of_range make the whole status doubtful (held, not refused);
// total_current and n_current are no phase's; voltages of lights and voltmeters may be direct current; Gen1 publishes retained without time.
import type { Phase, Quantity } from '#model/quantity.ts'
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
  shown,
  textOf,
} from '../decoding.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { readTime } from '../local-time.ts'

const GEN1 = /^shellies\/([^/]+)(?:\/(.+))?$/
const COMPONENTS =
  'em|em1|emdata|em1data|pm1|switch|cover|light|rgb|rgbw|cct|input|sys|wifi|ws|mqtt|cloud|ble|eth|ui|script|temperature|humidity|devicepower|voltmeter|smoke|flood|illuminance|bthome|bthomedevice|bthomesensor|modbus|knx|matter|presence|schedule|number|boolean|text|enum|group|button|thermostat|plugs_ui|ht_ui|cury|service'
const GEN2 = new RegExp(`^(.+)/(events/rpc|online|status/(?:${COMPONENTS})(?::\\d+)?)$`)
const ANSWER = /"src"\s*:\s*"shelly/

export const shelly: GatewayFormat = {
  name: 'shelly',
  topics: ['shellies/#', '+/events/rpc', '+/status/+', '+/online', '+/rpc'],
  matches: (topic, payload) => {
    if (GEN1.test(topic)) return true
    const m = GEN2.exec(topic)
    if (m === null) return /\/rpc$/.test(topic) && ANSWER.test(payload.subarray(0, 400).toString('latin1'))
    return m[2] !== 'online' || /^"?(true|false)"?$/.test(payload.subarray(0, 8).toString('latin1'))
  },
  gatewayOf: (topic) => GEN1.exec(topic)?.[1] ?? GEN2.exec(topic)?.[1] ?? '',
  decode(payload, context): Decoded {
    const gen1 = GEN1.exec(context.topic)
    if (gen1 !== null) return first(gen1[1] as string, gen1[2] ?? '', payload, context)
    const [, prefix, kind] = GEN2.exec(context.topic) ?? []
    if (kind === 'online') return online(payload)
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (!isObject(parsed.value)) return refused('bad_schema', 'a status must be an object', payload)
    if (kind?.startsWith('status/') === true) return status(prefix as string, kind.slice(7), parsed.value, payload, context)
    return frame(prefix, parsed.value, payload, context)
  },
}

function online(payload: Buffer): Decoded {
  const text = (textOf(payload) ?? '').trim().replaceAll('"', '')
  if (text === '') return passed('ignore', 'empty')
  return text === 'true' || text === 'false'
    ? gatewayStatus(text === 'true')
    : refused('bad_schema', 'online must be true or false', payload)
}

function status(prefix: string, component: string, o: Json, payload: Buffer, context: MessageContext): Decoded {
  const device = idOf(prefix)
  if (device === undefined) return refused('bad_schema', 'the topic has no usable id', payload)
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  const reader = new Reader(device, undefined)
  reader.component(component, o)
  return reader.done(component === 'sys' || component === 'wifi' ? 'status' : 'accept_other')
}

/** A notification of the device, or its answer to a question. */
function frame(prefix: string | undefined, o: Json, payload: Buffer, context: MessageContext): Decoded {
  const src = idOf(field(o, 'src'))
  const device = idOf(prefix) ?? src
  if (device === undefined) return refused('bad_schema', 'src is missing', payload, 'src')
  const isShelly = /^shelly[a-z0-9]*-[0-9a-f]{6,12}$/i
  if (src !== undefined && src !== device && isShelly.test(src) && isShelly.test(device))
    return refused('wrong_gateway', `${src} spoke on the topic of ${device}`, payload, 'src')
  const method = field(o, 'method')
  const body = field(o, 'params') ?? field(o, 'result')
  if (method === 'NotifyEvent') return notice(device, isObject(body) ? body : {})
  if (typeof method === 'string' && !/^Notify(Full)?Status$/.test(method)) return passed('ignore', 'command')
  if (field(o, 'error') !== undefined) return passed('ignore', 'rpc_error')
  if (!isObject(body)) return refused('bad_schema', 'params must be an object', payload, 'params')
  const sys = field(body, 'sys')
  const time = field(body, 'ts') ?? (isObject(sys) ? field(sys, 'unixtime') : undefined)
  const tsMs = timeOf(time)
  if (tsMs === null) return refused('impossible_time', `ts ${shown(time, 40)} is not a time`, payload, 'params.ts')
  if (context.retained && tsMs === undefined) return passed('duplicate', 'retained_duplicate')
  const reader = new Reader(device, tsMs)
  for (const [name, component] of Object.entries(body).slice(0, 200)) if (isObject(component)) reader.component(name, component)
  // The answer to EM.GetStatus and its kin is the component itself; its name is not in it.
  if (method === undefined && reader.out.decoded.readings.length === 0) {
    if (field(body, 'total_act_power') !== undefined) reader.component('em:0', body)
    else if (field(body, 'total_act') !== undefined) reader.component('emdata:0', body)
  }
  return reader.done('accept_other')
}

/** Epoch ms; undefined before the clock is set, null when it is no time. */
function timeOf(v: unknown): number | undefined | null {
  if (v === undefined || v === null || v === '') return undefined
  const n = numberOf(v)
  if (n === undefined || n < 0) return null
  // Seconds since boot until the network's time is known.
  if (n < 1e9) return undefined
  return (readTime(n, undefined) as number | undefined) ?? null
}

/** Buttons, scripts, energy data by the minute; a flood sensor's alarm. */
function notice(device: string, params: Json): Decoded {
  const out = new Outcome()
  const events = field(params, 'events')
  for (const e of Array.isArray(events) ? events.slice(0, 100) : []) {
    if (!isObject(e)) continue
    const component = shown(field(e, 'component'), 40)
    if (component.startsWith('flood') && field(e, 'event') === 'alarm') out.alarm('leak', device, timeOf(field(e, 'ts')) ?? undefined)
  }
  return out.done('ignore', 'device_event')
}

const PARTS: readonly (readonly [string, Phase])[] = [
  ['a_', 'L1'],
  ['b_', 'L2'],
  ['c_', 'L3'],
]
type Field = readonly [name: string, Quantity, unit: string]
const PHASE_FIELDS: readonly Field[] = [
  ['act_power', 'power_kw', 'W'],
  ['voltage', 'voltage_v', 'V'],
  ['current', 'current_a', 'A'],
  ['freq', 'frequency_hz', 'Hz'],
  ['total_act_energy', 'active_energy_import_kwh', 'Wh'],
  ['total_act_ret_energy', 'active_energy_export_kwh', 'Wh'],
]
const TOTALS: readonly Field[] = [
  ['total_act_power', 'power_kw', 'W'],
  ['total_act', 'active_energy_import_kwh', 'Wh'],
  ['total_act_ret', 'active_energy_export_kwh', 'Wh'],
]
const SINGLE: readonly Field[] = [
  ['act_power', 'power_kw', 'W'],
  ['apower', 'power_kw', 'W'],
  ['voltage', 'voltage_v', 'V'],
  ['current', 'current_a', 'A'],
  ['freq', 'frequency_hz', 'Hz'],
  ['total_act_energy', 'active_energy_import_kwh', 'Wh'],
  ['total_act_ret_energy', 'active_energy_export_kwh', 'Wh'],
]
/** Errors that make a measurement doubtful. `phase_sequence` is about the wiring's order, not about values. */
const DOUBTFUL = /^(out_of_range|power_meter_failure|ct_type_not_set|read)/

class Reader {
  readonly out = new Outcome()
  readonly device: string
  readonly tsMs: number | undefined
  doubtful = false

  constructor(device: string, tsMs: number | undefined) {
    this.device = device
    this.tsMs = tsMs
  }

  component(name: string, o: Json): void {
    const [kind = '', index = '0'] = name.split(':')
    const channel =
      (kind === 'em' || kind === 'emdata' || kind === 'pm1') && index === '0' ? undefined : `${kind.replace(/data$/, '')}:${index}`
    if (kind === 'em' || kind === 'emdata') {
      for (const [part, phase] of PARTS) this.fields(name, o, PHASE_FIELDS, part, { phase, channel })
      this.fields(name, o, TOTALS, '', { channel })
    } else if (/^(em1|em1data|pm1|switch|cover)$/.test(kind)) this.single(name, o, channel)
    else if (/^(light|rgb|rgbw|cct)$/.test(kind)) this.energies(name, o, channel)
    else if (kind === 'flood' && field(o, 'alarm') === true) this.out.alarm('leak', this.device, this.tsMs)
    else return
    this.errors(o)
  }

  single(name: string, o: Json, channel: string | undefined): void {
    this.fields(name, o, SINGLE, '', { channel })
    this.energies(name, o, channel)
  }

  energies(name: string, o: Json, channel: string | undefined): void {
    for (const [key, quantity] of [
      ['aenergy', 'active_energy_import_kwh'],
      ['ret_aenergy', 'active_energy_export_kwh'],
    ] as const) {
      const energy = field(o, key)
      if (isObject(energy)) this.number(`${name}.${key}.total`, quantity, 'Wh', field(energy, 'total'), { channel })
    }
  }

  fields(name: string, o: Json, fields: readonly Field[], part: string, series: { phase?: Phase; channel?: string | undefined }): void {
    for (const [key, quantity, unit] of fields) this.number(`${name}.${part}${key}`, quantity, unit, field(o, `${part}${key}`), series)
  }

  number(path: string, quantity: Quantity, unit: string, value: unknown, series: { phase?: Phase; channel?: string | undefined }): void {
    if (value === undefined || value === null) return
    const n = numberOf(value)
    const converted = n === undefined ? undefined : convert(n, unit, quantity)
    if (converted === undefined) this.out.refuse('bad_schema', path, `${path} is not a number`, this.device, shown(value, 200))
    else this.out.reading(this.device, quantity, converted, { tsMs: this.tsMs, ...series })
  }

  errors(o: Json): void {
    for (const key of ['errors', 'a_errors', 'b_errors', 'c_errors']) {
      const list = field(o, key)
      if (Array.isArray(list) && list.some((e) => typeof e === 'string' && DOUBTFUL.test(e))) this.doubtful = true
    }
  }

  done(nothing: 'accept_other' | 'status'): Decoded {
    const decoded = this.out.done(nothing, nothing === 'status' ? 'device_state' : 'no_core_reading')
    if (this.doubtful && decoded.disposition === 'accept') {
      decoded.disposition = 'accept_flagged'
      decoded.reason = 'meter_error'
    }
    return decoded
  }
}

const GEN1_FIELDS: Readonly<Record<string, readonly [Quantity, unit: string]>> = {
  power: ['power_kw', 'W'],
  voltage: ['voltage_v', 'V'],
  current: ['current_a', 'A'],
  total: ['active_energy_import_kwh', 'Wh'],
  total_returned: ['active_energy_export_kwh', 'Wh'],
}
const WATT_MINUTES_PER_WH = 60

/** Generation 1: one value a topic. */
function first(id: string, path: string, payload: Buffer, context: MessageContext): Decoded {
  if (id === 'announce' || id === 'command' || path === 'announce') return passed(id === 'command' ? 'ignore' : 'metadata', 'announcement')
  if (path === 'online') return online(payload)
  if (/(^|\/)(command|set)(\/|$)/.test(path)) return passed('ignore', 'command')
  const device = idOf(id)
  if (device === undefined) return refused('bad_schema', 'the topic has no usable id', payload)
  if (path === 'info' || path === 'status') return info(device, payload, context)
  const [group = '', index = '', name = ''] = path.split('/')
  if (group === 'sensor' && index === 'flood') {
    const out = new Outcome()
    if (!context.retained && textOf(payload)?.trim() === 'true') out.alarm('leak', device)
    return out.done('accept_other', 'no_core_reading')
  }
  const number = group === 'emeter' ? GEN1_FIELDS[name] : relay(group, name)
  if (number === undefined || (group === 'emeter' && !Object.hasOwn(GEN1_FIELDS, name))) return passed('accept_other', 'no_core_reading')
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  const text = textOf(payload)
  const n = numberOf(text)
  if (n === undefined) return refused('bad_schema', `${name} must be a number`, payload, name)
  const [quantity, unit] = number
  const value = convert(group !== 'emeter' && name === 'energy' ? n / WATT_MINUTES_PER_WH : n, unit, quantity)
  const out = new Outcome()
  out.reading(device, quantity, value ?? Number.NaN, placeOf(device, group, index))
  return out.done()
}

function relay(group: string, name: string): readonly [Quantity, string] | undefined {
  if (!/^(relay|roller|light|meter|color|white)$/.test(group)) return undefined
  // Since boot: a counter that falls back to zero with each restart.
  if (name === 'energy') return ['active_energy_import_kwh', 'Wh']
  return name === 'power' ? ['power_kw', 'W'] : undefined
}

/** A 3EM has one emeter a phase; those of other models are separate circuits. */
function placeOf(device: string, group: string, index: string): { phase?: Phase; channel?: string } {
  if (group === 'emeter' && /^shellyem3/i.test(device) && /^[012]$/.test(index)) return { phase: `L${Number(index) + 1}` as Phase }
  return { channel: `${group}:${index}`.slice(0, 60) }
}

/** shellies/ID/info: the whole status of a Gen1 device. */
function info(device: string, payload: Buffer, context: MessageContext): Decoded {
  const parsed = parseJson(payload)
  if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
  if (!isObject(parsed.value)) return refused('bad_schema', 'info must be an object', payload)
  const tsMs = timeOf(field(parsed.value, 'unixtime')) ?? undefined
  if (context.retained && tsMs === undefined) return passed('duplicate', 'retained_duplicate')
  const reader = new Reader(device, tsMs)
  const emeters = field(parsed.value, 'emeters')
  for (const [i, e] of (Array.isArray(emeters) ? emeters.slice(0, 8) : []).entries()) {
    if (!isObject(e) || field(e, 'is_valid') === false) continue
    for (const [name, [quantity, unit]] of Object.entries(GEN1_FIELDS))
      reader.number(`emeters[${i}].${name}`, quantity, unit, field(e, name), placeOf(device, 'emeter', String(i)))
  }
  return reader.done('status')
}

// rtl_433 (github.com/merbanan/rtl_433) with MQTT output: whatever meters are heard by a software radio. Fields after its device decoders.
// Topic: rtl_433/HOST/events (a JSON object a packet), rtl_433/HOST/devices/[TYPE/][MODEL/][SUBTYPE/][CHANNEL/][ID/]FIELD (one value as text), .../states,
// .../availability (online, offline: the last will, retained).
// Payload: {"time","model","id", fields}. Identity: `id` (ERTSerialNumber in IDM, EndpointID in old SCMplus), as text with its leading zeros. Radio: no gateway owns a meter.
// Time: `time`, by default local without zone (settings' `timezone`); ISO or epoch with -M time:utc or time:iso; "@0.03s" is an offset in a recording.
// Units: at the end of a field's name (volume_m3, volume_gal, energy_kWh, power_W), in `unit` beside `volume` (Arad: m3, l, cu ft, gal), behind the number
// (Wireless-MBus: "12.345 m3"). ERT, Neptune and Orion counts have none: register_count.
// Pitfalls: every IDM is decoded a second time as NETIDM, often with a negative count: such counts are refused, others held, in channels of their own; an encrypted
// wireless M-Bus telegram decodes to nonsense; daily_reading and storage numbers above 0 are history; pressure_* of other models is tyres or weather;
// the devices topics repeat each event value by value.
import type { Quantity } from '#model/quantity.ts'
import { alarmOfName, isRaised } from '../alarms.ts'
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
  unitOf,
} from '../decoding.ts'
import { hexOrNumber, isDamagedIdm, neptuneAlarms, raise, scmAlarms } from '../ert.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { envelopeTime, readTime, zoneOf } from '../local-time.ts'

const TOPIC = /^rtl_433\/([^/]+)\/(events|states|availability|devices\/.+)$/

export const rtl433: GatewayFormat = {
  name: 'rtl_433',
  broadcast: true,
  topics: ['rtl_433/#'],
  matches: (topic, payload) =>
    topic.startsWith('rtl_433/') ||
    /^\s*\{\s*"time"\s*:\s*"[^"]{0,40}"\s*,(\s*"protocol"\s*:\s*\d+\s*,)?\s*"model"/.test(payload.subarray(0, 200).toString('latin1')),
  gatewayOf: (topic) => TOPIC.exec(topic)?.[1] ?? '',
  decode(payload, context): Decoded {
    const [, host = '', kind = 'events'] = TOPIC.exec(context.topic) ?? []
    if (kind === 'states') return passed('status', 'receiver_state')
    if (kind === 'availability') {
      const text = (textOf(payload) ?? '').trim().toLowerCase()
      return text === 'online' || text === 'offline'
        ? gatewayStatus(text === 'online')
        : refused('bad_schema', 'availability must be online or offline', payload)
    }
    if (kind.startsWith('devices/')) return single(host, kind.slice(8), payload, context)
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (!isObject(parsed.value)) return refused('bad_schema', 'an event must be an object', payload)
    return event(host, parsed.value, payload, context)
  },
}

function event(host: string, o: Json, payload: Buffer, context: MessageContext): Decoded {
  const model = field(o, 'model')
  if (typeof model !== 'string' || model === '') return passed('ignore', 'not_a_device')
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  const tsMs = timeOf(field(o, 'time'), context)
  if (tsMs === null) return refused('impossible_time', `time ${shown(field(o, 'time'), 40)} is not a time`, payload, 'time')
  const device = idOf(field(o, 'id') ?? field(o, 'ERTSerialNumber') ?? field(o, 'EndpointID'))
  const packet = new Packet(o, model, device ?? '', tsMs)
  packet.read()
  if (packet.values.length > 0 && device === undefined) return refused('bad_schema', 'id is missing', payload, 'id')
  if (device === undefined) return passed('accept_other', 'no_core_reading')
  return packet.decoded(host, context)
}

/** Epoch ms; undefined when there is none or its zone is not known, null when it is no time. */
function timeOf(v: unknown, context: MessageContext): number | undefined | null {
  if (v === undefined || v === null || v === '' || (typeof v === 'string' && v.startsWith('@'))) return undefined
  const read = readTime(v, zoneOf(context.settings))
  if (read === 'local') return undefined
  return typeof read === 'number' ? envelopeTime(read) : null
}

interface Value {
  name: string
  quantity: Quantity
  value: number
  channel?: string | undefined
}

const GENERIC: readonly (readonly [RegExp, Quantity, unit: string])[] = [
  [/^(?:energy|total|reading|consumption|import)_kWh$/i, 'active_energy_import_kwh', 'kWh'],
  [/^(?:energy|total|reading|consumption|import)_Wh$/, 'active_energy_import_kwh', 'Wh'],
  [/^(?:volume|total|reading|consumption|water|water_volume|total_volume)_m3$/, 'water_volume_m3', 'm3'],
  [/^(?:volume|total|reading|consumption|water|water_volume|total_volume)_gal$/, 'water_volume_m3', 'gal'],
  [/^(?:volume|total|reading|consumption|water|water_volume|total_volume)_(?:l|L)$/, 'water_volume_m3', 'l'],
  [/^(?:volume|total|reading|consumption|water|water_volume|total_volume)_ft3$/, 'water_volume_m3', 'ft3'],
  [/^gas(?:_volume)?_m3$/, 'gas_volume_m3', 'm3'],
  [/^power([0-9]?)_W$/, 'power_kw', 'W'],
  [/^power([0-9]?)_kW$/, 'power_kw', 'kW'],
  [/^current([0-9]?)_A$/, 'current_a', 'A'],
  [/^(?:mains_)?voltage([0-9]?)_V$/, 'voltage_v', 'V'],
]
/** Raw counts, by model. */
const COUNTS: Readonly<Record<string, string>> = {
  'ERT-SCM': 'consumption_data',
  SCMplus: 'Consumption',
  'ERT-SCMplus': 'Consumption',
  IDM: 'LastConsumptionCount',
  'ERT-IDM': 'LastConsumptionCount',
  'Neptune-R900': 'consumption',
  'Neptune-R900BCD': 'consumption',
  'Orion-Endpoint': 'reading',
}
const NET = /^(?:ERT-)?NetIDM$/i

/** One packet: what it measures and warns of. */
class Packet {
  readonly o: Json
  readonly model: string
  readonly device: string
  readonly tsMs: number | undefined
  readonly out = new Outcome()
  readonly values: Value[] = []
  doubtful = ''
  nothing = 'no_core_reading'

  constructor(o: Json, model: string, device: string, tsMs: number | undefined) {
    this.o = o
    this.model = model
    this.device = device
    this.tsMs = tsMs
  }

  read(): void {
    const { o, model } = this
    const count = Object.hasOwn(COUNTS, model) ? COUNTS[model] : undefined
    if (count !== undefined) this.count(count)
    else if (NET.test(model)) {
      this.count('LastConsumptionCount', 'net')
      if (field(o, 'LastGenerationCount') !== undefined) this.count('LastGenerationCount', 'net_generation')
      this.doubtful = 'idm_read_as_netidm'
    } else if (model === 'Wireless-MBus') this.mbus()
    else if (model.startsWith('AradMsMeter') && field(o, 'volume') !== undefined) this.arad()
    else this.generic()
    if (/IDM$/i.test(model) && isDamagedIdm(field(o, 'PacketTypeID'), field(o, 'PacketLength'))) this.doubtful = 'damaged_packet'
  }

  count(name: string, channel?: string): void {
    const v = field(this.o, name)
    const n = numberOf(v)
    if (n === undefined) this.out.refuse('bad_schema', name, `${name} is not a number`, this.device, shown(v, 200))
    else if (n < 0) this.out.refuse('impossible_value', name, `a count cannot be ${n}`, this.device, String(n))
    else this.values.push({ name, quantity: 'register_count', value: n, channel })
  }

  arad(): void {
    const unit = field(this.o, 'unit')
    const v = field(this.o, 'volume')
    const n = numberOf(v)
    if (n === undefined) this.out.refuse('bad_schema', 'volume', 'volume is not a number', this.device, shown(v, 200))
    else if (typeof unit === 'string' && unitOf(unit)?.dimension === 'volume')
      this.values.push({ name: 'volume', quantity: 'water_volume_m3', value: convert(n, unit, 'water_volume_m3') as number })
    else this.values.push({ name: 'volume', quantity: 'register_count', value: n })
  }

  generic(): void {
    const names = Object.keys(this.o).slice(0, 200)
    // A voltage without power or current beside it is a battery's.
    const electric = names.some((n) => /^(power|current)[0-9]?_k?[WA]$|_k?Wh$/.test(n))
    for (const name of names) {
      const found = GENERIC.find(([p]) => p.test(name))
      if (found === undefined || (found[1] === 'voltage_v' && !electric)) continue
      const v = field(this.o, name)
      if (v === null || v === '') continue
      const n = numberOf(v)
      const value = n === undefined ? undefined : convert(n, found[2], found[1])
      const index = found[0].exec(name)?.[1]
      if (value === undefined) this.out.refuse('bad_schema', name, `${name} is not a number`, this.device, shown(v, 200))
      else this.values.push({ name, quantity: found[1], value, channel: index === undefined || index === '' ? undefined : index })
    }
  }

  /** Records as text with their unit; only present values (`inst`, storage 0) of the meter's own medium. */
  mbus(): void {
    if (isTrue(field(this.o, 'payload_encrypted'))) {
      this.nothing = 'encrypted'
      return
    }
    const medium = shown(field(this.o, 'type_string'), 60).toLowerCase()
    for (const [name, v] of Object.entries(this.o).slice(0, 300)) {
      const m = /^inst_(volume|energy_wh|energy_j|power_w|volume_flow_(?:h|min|s)|pressure)_0$/.exec(name)
      if (m === null) continue
      const quantity = mbusQuantity(m[1] as string, medium)
      if (quantity === undefined) continue
      const parts = /^(-?\d+(?:\.\d+)?)\s+(\S+)$/.exec(typeof v === 'string' ? v.trim() : '')
      const n = numberOf(parts?.[1])
      const value = n === undefined ? undefined : convert(n, parts?.[2] ?? '', quantity)
      if (value === undefined)
        this.out.refuse('bad_schema', name, `${name} is not a number with a unit of ${quantity}`, this.device, shown(v, 200))
      else
        this.values.push({ name, quantity, value, channel: medium.includes('heat') && quantity !== 'heat_energy_kwh' ? 'heat' : undefined })
    }
  }

  alarms(): string[] {
    const { o, model } = this
    const alarms = /^Neptune/.test(model)
      ? neptuneAlarms(field(o, 'leak'), field(o, 'leaknow'), field(o, 'backflow'))
      : model === 'ERT-SCM'
        ? scmAlarms(field(o, 'physical_tamper'), field(o, 'encoder_tamper'))
        : Object.entries(o).flatMap(([name, v]) =>
            alarmOfName(name) !== undefined && isRaised(v) && !/IDM|SCM/i.test(model) ? [alarmOfName(name) as string] : [],
          )
    if (numberOf(field(o, 'battery_ok')) === 0) alarms.push('battery_low')
    return [...new Set(alarms)]
  }

  decoded(host: string, context: MessageContext): Decoded {
    const { out, device, tsMs } = this
    for (const { quantity, value, channel } of this.values) out.reading(device, quantity, value, { tsMs, channel })
    for (const { name, value } of this.values) rememberEvent(context, `${host}\n${this.model}\n${device}\n${name}`, value)
    if (this.values.length > 0) {
      // Other packets of the same ERT carry no flags: their silence clears nothing.
      if (!/IDM$|SCMplus$/i.test(this.model)) raise(out, this.alarms(), { device, tsMs, nowMs: context.receivedAtMs, state: context.state })
      if (/SCMplus$/.test(this.model) && (hexOrNumber(field(this.o, 'Tamper')) ?? 0) > 0) out.flag('tamper')
    }
    const decoded = out.done('accept_other', this.nothing)
    if (this.doubtful !== '' && decoded.disposition === 'accept') {
      decoded.disposition = 'accept_flagged'
      decoded.reason = this.doubtful
    }
    return decoded
  }
}

function isTrue(v: unknown): boolean {
  return v === true || numberOf(v) === 1
}

function mbusQuantity(record: string, medium: string): Quantity | undefined {
  const heat = /heat/.test(medium) && !/cost/.test(medium)
  if (record === 'volume') return /water/.test(medium) || heat ? 'water_volume_m3' : /gas/.test(medium) ? 'gas_volume_m3' : undefined
  if (record.startsWith('energy')) return heat ? 'heat_energy_kwh' : /elec/.test(medium) ? 'active_energy_import_kwh' : undefined
  if (record === 'power_w') return /elec/.test(medium) ? 'power_kw' : undefined
  if (record === 'pressure') return /water|pressure/.test(medium) ? 'pressure_bar' : undefined
  return /water/.test(medium) || heat ? 'flow_m3h' : undefined
}

/** How long an event and its copies on the devices topics lie apart at most. */
const COPY_MS = 10_000
const EVENTS_MAX = 50_000

function rememberEvent({ state, receivedAtMs }: MessageContext, key: string, value: number): void {
  if (state.size >= EVENTS_MAX) state.clear()
  state.set(`event\n${key}`, [value, receivedAtMs])
}

/** devices/MODEL/ID/FIELD: one value. `unit` comes as a field of its own and is remembered for the volume. */
function single(host: string, path: string, payload: Buffer, context: MessageContext): Decoded {
  const parts = path.split('/')
  const name = parts.at(-1) as string
  const id = idOf(parts.at(-2))
  const model = parts.find((p) => Object.hasOwn(COUNTS, p) || NET.test(p) || /^(AradMsMeter|Wireless-MBus)/.test(p)) ?? (parts[0] as string)
  const text = textOf(payload)?.trim()
  if (parts.length < 3 || id === undefined || text === undefined || /^(time|id|model|mic|type|subtype|channel|protocol)$/.test(name))
    return passed('accept_other', 'no_core_reading')
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  const unitKey = `unit\n${host}\n${id}`
  if (name === 'unit') {
    if (context.state.size >= EVENTS_MAX) context.state.clear()
    const fresh = context.state.get(unitKey) !== text.slice(0, 20)
    context.state.set(unitKey, text.slice(0, 20))
    return { ...passed('metadata', 'unit'), ...(fresh ? { learned: context.topic } : {}) }
  }
  const o: Json = { [name]: text }
  const unit = context.state.get(unitKey)
  if (unit !== undefined) o.unit = unit
  // Only the fields that this model measures with; a count's name does not matter to other models.
  const counted = Object.hasOwn(COUNTS, model) ? COUNTS[model] === name : NET.test(model) ? /^Last\w+Count$/.test(name) : true
  if (!counted) return flagOnly(model, id, name, text, context)
  const packet = new Packet(o, model, id, undefined)
  if (NET.test(model)) {
    packet.count(name, name === 'LastConsumptionCount' ? 'net' : 'net_generation')
    packet.doubtful = 'idm_read_as_netidm'
  } else packet.read()
  if (packet.values.length === 0 && packet.out.decoded.refusals.length === 0) return flagOnly(model, id, name, text, context)
  const seen = context.state.get(`event\n${host}\n${model}\n${id}\n${name}`)
  if (Array.isArray(seen) && seen[0] === packet.values[0]?.value && Math.abs(context.receivedAtMs - Number(seen[1])) <= COPY_MS)
    return passed('duplicate', 'copy_of_event')
  for (const { quantity, value, channel } of packet.values) packet.out.reading(id, quantity, value, { tsMs: undefined, channel })
  const decoded = packet.out.done()
  if (packet.doubtful !== '' && decoded.disposition === 'accept') decoded.disposition = 'accept_flagged'
  return decoded
}

/** `leaking`, `backflow`, `physical_tamper` and their like as a value of their own. */
function flagOnly(model: string, id: string, name: string, text: string, context: MessageContext): Decoded {
  const packet = new Packet({ [name]: numberOf(text) ?? text }, model, id, undefined)
  const alarms = /^(AradMsMeter|Neptune|ERT-SCM$|Orion|Badger)/.test(model) ? packet.alarms() : []
  // One field of several: its quiet must not clear what others raised, so only an alarm is told.
  if (alarms.length > 0) raise(packet.out, alarms, { device: id, tsMs: undefined, nowMs: context.receivedAtMs, state: context.state })
  return packet.out.done('accept_other', 'no_core_reading')
}

// rtlamr2mqtt (github.com/allangood/rtlamr2mqtt): ERT meters for Home Assistant. After its mqtt_publisher.py, read_output.py and ha_messages.py.
// Topic: BASE/ID/state, BASE/ID/attributes, BASE/status; BASE is rtlamr by default. Discovery: homeassistant/device/ID/config.
// Payload: state {"reading": number, or a zero-padded string in the configured format, "lastseen": ISO 8601 with offset, seconds}; older versions sent the
// reading alone. attributes: the packet without id and count. status: online or offline, the last will.
// Identity: ID of the topic. The gateway is BASE.
// Units: only in the discovery message, which is sent at the start and again from time to time, not retained. Taking them from there would change a
// meter's quantity in mid-stream, so readings are counts unless the settings declare: {"units": {"33333333": "gal"}, "quantities": {"33333333": "gas_volume_m3"}}.
// Pitfalls: state and attributes tell of the same packet; the attributes' flags are raised, their counts are gone.
import { isQuantity, type Quantity } from '#model/quantity.ts'
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
import { neptuneAlarms, raise, scmAlarms } from '../ert.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { readTime } from '../local-time.ts'

const TOPIC = /^([^/]*rtlamr[^/]*)\/(?:([^/]+)\/(state|attributes)|status)$/i
const DISCOVERY = /^homeassistant\/(?:device|sensor)\/([^/]+)\/(?:.+\/)?config$/

export const rtlamr2mqtt: GatewayFormat = {
  name: 'rtlamr2mqtt',
  broadcast: true,
  topics: ['rtlamr/+/state', 'rtlamr/+/attributes', 'rtlamr/status', 'homeassistant/device/+/config'],
  matches: (topic, payload) =>
    TOPIC.test(topic) || (DISCOVERY.test(topic) && /rtlamr/i.test(payload.subarray(0, 4_096).toString('latin1'))),
  gatewayOf: (topic) => TOPIC.exec(topic)?.[1] ?? '',
  decode(payload, context): Decoded {
    if (DISCOVERY.test(context.topic)) return passed('metadata', 'discovery')
    const [, , id, kind] = TOPIC.exec(context.topic) ?? []
    if (id === undefined) return status(payload)
    const device = idOf(id)
    if (device === undefined) return refused('bad_schema', 'the topic has no usable id', payload)
    if (payload.length === 0) return passed('ignore', 'empty')
    const parsed = parseJson(payload)
    if ('problem' in parsed) {
      const bare = numberOf(textOf(payload))
      return kind === 'state' && bare !== undefined
        ? state(device, { reading: bare }, payload, context)
        : refused('malformed', parsed.problem, payload)
    }
    if (kind === 'attributes') return attributes(device, parsed.value, payload, context)
    if (numberOf(parsed.value) !== undefined) return state(device, { reading: parsed.value }, payload, context)
    return isObject(parsed.value)
      ? state(device, parsed.value, payload, context)
      : refused('bad_schema', 'a state must be an object', payload)
  },
}

function status(payload: Buffer): Decoded {
  const text = (textOf(payload) ?? '').trim().toLowerCase()
  return text === 'online' || text === 'offline'
    ? gatewayStatus(text === 'online')
    : refused('bad_schema', 'status must be online or offline', payload)
}

function state(device: string, o: Json, payload: Buffer, context: MessageContext): Decoded {
  const seen = field(o, 'lastseen')
  const tsMs = readTime(seen, undefined)
  if (tsMs === undefined && seen !== undefined && seen !== null && seen !== '')
    return refused('impossible_time', `lastseen ${shown(seen, 40)} is not a time`, payload, 'lastseen')
  if (context.retained && typeof tsMs !== 'number') return passed('duplicate', 'retained_duplicate')
  const reading = field(o, 'reading')
  const n = numberOf(reading)
  const out = new Outcome()
  if (n === undefined) out.refuse('bad_schema', 'reading', 'reading is not a number', device, shown(reading, 200))
  else if (n < 0) out.refuse('impossible_value', 'reading', `a count cannot be ${n}`, device, String(n))
  else {
    const [quantity, value] = declared(device, n, context.settings) ?? ['register_count', n]
    out.reading(device, quantity, value, { tsMs: typeof tsMs === 'number' ? tsMs : undefined })
  }
  return out.done()
}

/** Quantity and value by the settings' unit of this meter. Volumes are water unless the settings name the quantity. */
function declared(device: string, n: number, settings: Record<string, unknown>): [Quantity, number] | undefined {
  const unit = isObject(settings.units) ? field(settings.units, device) : undefined
  if (typeof unit !== 'string') return undefined
  const named = isObject(settings.quantities) ? field(settings.quantities, device) : undefined
  const usual = unitOf(unit)?.dimension === 'energy' ? 'active_energy_import_kwh' : 'water_volume_m3'
  const quantity = typeof named === 'string' && isQuantity(named) ? named : usual
  const value = convert(n, unit, quantity)
  return value === undefined ? undefined : [quantity, value]
}

function attributes(device: string, value: unknown, payload: Buffer, context: MessageContext): Decoded {
  if (!isObject(value)) return refused('bad_schema', 'attributes must be an object', payload)
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  const out = new Outcome()
  const alarms = [
    ...neptuneAlarms(field(value, 'Leak'), field(value, 'LeakNow'), field(value, 'BackFlow')),
    ...scmAlarms(field(value, 'TamperPhy'), field(value, 'TamperEnc')),
  ]
  raise(out, alarms, { device, tsMs: undefined, nowMs: context.receivedAtMs, state: context.state })
  return out.done('accept_other', 'packet_attributes')
}

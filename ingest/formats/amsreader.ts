// JSON of the AMS reader firmware for Norwegian, Swedish and other HAN ports (UtilitechAS/amsreader-firmware, wiki "MQTT payload").
// Topic: free, `amsleser` here; BASE for all, or BASE/list1..4, /system, /prices, /temperatures, /realtime; BASE/status is the will.
// Payload: {"id": MAC, "name", "up", "t", "vcc", "rssi", "temp", "data": {..}, "realtime": {..}}, or the same in one level (flat).
// Identity: data.meterId (older: data.id). List 1, every 2.5 s, has power only and no id: the meter last seen behind that MAC, else the MAC.
// Time: `t`, the time of the meter's package in epoch s (0 when it has none), else `rtc`, the meter's clock.
// Units: P, PO W; U V; I A; tPI, tPO kWh; tQI, tQO kvarh. A reading is import minus export.
// Pitfalls: realtime.* are estimates of the reader; the firmware writes 0 for what the meter does not send, so a phase with 0 V beside others that
// have voltage (IT network) is no measurement; `n/a` stands for a missing number in some versions; BASE/data are raw frames (dlms-push).
import type { Phase } from '#model/quantity.ts'
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
} from '../decoding.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { readTime } from '../local-time.ts'
import { netOf, ofSomebody, shown } from '../obis.ts'

const TOPIC = /^(amsleser|ams|amsreader|ams2mqtt)(\/|$)/
const LOOKED_AT = 1_024
const READERS_MAX = 10_000

export const amsreader: GatewayFormat = {
  name: 'amsreader',
  topics: ['amsleser', 'amsleser/#', 'amsreader/#', 'ams2mqtt/#'],
  matches(topic, payload) {
    if (TOPIC.test(topic)) return true
    const head = payload.subarray(0, LOOKED_AT).toString('latin1')
    return /^\s*\{/.test(head) && /"rssi"\s*:/.test(head) && /"up"\s*:/.test(head) && /"data"\s*:\s*\{|"tPI"\s*:|"lv"\s*:/.test(head)
  },
  gatewayOf(topic, payload) {
    const mac = /^\s*\{\s*"id"\s*:\s*"([^"]{1,40})"/.exec(payload.subarray(0, 120).toString('latin1'))?.[1]
    return mac ?? topic.replace(/\/(list[1-4]|system|prices|temperatures|realtime|status)$/, '')
  },
  decode(payload, context): Decoded {
    const text = textOf(payload)?.trim()
    if (text === undefined) return refused('malformed', 'not valid UTF-8', payload)
    if (text === 'online' || text === 'offline') return gatewayStatus(text === 'online')
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (!isObject(parsed.value)) return refused('bad_schema', 'a message must be an object', payload)
    const o = parsed.value
    const inner = field(o, 'data')
    if (inner !== undefined && !isObject(inner)) return refused('bad_schema', 'data must be an object', payload, 'data')
    const flat = ['P', 'tPI', 'U1', 'lv'].some((k) => Object.hasOwn(o, k))
    if (inner === undefined && !flat) return other(o, context.topic)
    if (context.retained) return passed('duplicate', 'retained_duplicate')
    return ofSomebody(list(o, inner ?? o, context), payload)
  },
}

function other(o: Json, topic: string): Decoded {
  if (Object.hasOwn(o, 'version') || topic.endsWith('/system')) return passed('status', 'reader_status')
  if (Object.hasOwn(o, 'prices') || topic.endsWith('/prices')) return passed('accept_other', 'prices')
  if (Object.hasOwn(o, 'temperatures')) return passed('accept_other', 'temperatures_of_reader')
  return passed('accept_other', 'no_core_reading')
}

function list(o: Json, data: Json, context: MessageContext): Decoded {
  const out = new Outcome()
  const device = deviceOf(o, data, context)
  const tsMs = timeOf(o, data)
  const number = (name: string): number | undefined => {
    const raw = field(data, name)
    if (raw === undefined || raw === null) return undefined
    const n = numberOf(raw)
    if (n === undefined) out.refuse('bad_schema', `data.${name}`, `${name} is not a number`, device, shown(raw))
    return n
  }
  const kilo = (name: string): number | undefined => {
    const n = number(name)
    return n === undefined ? undefined : convert(n, 'W', 'power_kw')
  }
  for (const phase of ['', 'L1', 'L2', 'L3'] as const) {
    const suffix = phase.slice(1)
    const into = kilo(`P${suffix}`)
    const outOf = kilo(`PO${suffix}`)
    if (into !== undefined || outOf !== undefined) out.reading(device, 'power_kw', netOf(into, outOf), { tsMs, phase })
  }
  const volts = (['L1', 'L2', 'L3'] as const).map((phase) => [phase, number(`U${phase.slice(1)}`)] as const)
  const connected = volts.some(([, v]) => v !== undefined && v > 0)
  for (const [phase, v] of volts) if (v !== undefined && (v !== 0 || !connected)) out.reading(device, 'voltage_v', v, { tsMs, phase })
  for (const phase of ['L1', 'L2', 'L3'] as Phase[]) {
    const a = number(`I${phase.slice(1)}`)
    if (a !== undefined) out.reading(device, 'current_a', a, { tsMs, phase })
  }
  for (const phase of ['', 'L1', 'L2', 'L3'] as const) {
    for (const [name, quantity] of REGISTERS) {
      const n = number(`${name}${phase.slice(1)}`)
      if (n !== undefined) out.reading(device, quantity, n, { tsMs, phase })
    }
  }
  return out.done()
}

const REGISTERS = [
  ['tPI', 'active_energy_import_kwh'],
  ['tPO', 'active_energy_export_kwh'],
  ['tQI', 'reactive_energy_import_kvarh'],
  ['tQO', 'reactive_energy_export_kvarh'],
] as const

function deviceOf(o: Json, data: Json, context: MessageContext): string {
  const reader = idOf(field(o, 'id')) ?? idOf(field(o, 'name')) ?? context.topic
  const meter = idOf(field(data, 'meterId')) ?? (data === o ? undefined : idOf(field(data, 'id')))
  if (meter !== undefined) {
    if (context.state.size >= READERS_MAX) context.state.clear()
    context.state.set(reader, meter)
    return meter
  }
  const learned = context.state.get(reader)
  return typeof learned === 'string' && !Object.hasOwn(data, 'lv') ? learned : reader
}

/** Undefined before the reader has a time: it then sends 0 or seconds since its start. */
function timeOf(o: Json, data: Json): number | undefined {
  for (const raw of [field(o, 't'), field(data, 'rtc')]) {
    const t = readTime(raw, undefined)
    if (typeof t === 'number') return t
  }
  return undefined
}

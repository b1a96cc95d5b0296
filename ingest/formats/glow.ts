// Hildebrand Glow (UK SMETS2 consumer device), local MQTT. Shape after the comment in github.com/megakid/ha_hildebrand_glow_ihd_mqtt and its issues 6, 10, 48.
// Topic: glow/MAC/SENSOR/{electricitymeter,gasmeter}, about each 10 s; glow/MAC/STATE for the device itself.
// Payload: {"electricitymeter":{"timestamp","energy":{"import":{"cumulative","units","mpan",...},"export":{...}},"power":{"value","units"}}}.
// Identity: mpan when it is a number ("not available", "read pending", "EMPTY", "---" are not), for gas mprn; else the MAC of the topic, which is also the gateway.
// Time: `timestamp`, UTC, seconds. Gas is repeated each 10 s though the meter speaks each half hour: same time, same value, dropped as duplicates later.
// Units: written beside each value, converted. Day, week and month sums are not registers.
// Pitfalls: gas `cumulative` is kWh of gas and is no electricity; only `cumulativevol` with `cumulativevolunits` m3 is a gas register, and `dayvol`
// is in kWh in spite of its name; early firmware gave gas in thousands of millions of kWh; all bits set is "no value" of the meter's Zigbee cluster.

import type { Quantity } from '#model/quantity.ts'
import { convert, field, idOf, isObject, type Json, numberOf, Outcome, parseJson, passed, refused, shown, unitOf } from '../decoding.ts'
import type { Decoded, GatewayFormat } from '../format.ts'
import { readTime } from '../local-time.ts'

const TOPIC = /^glow\/([^/]+)\/(.+)$/
/** Invalid values of the Zigbee metering cluster, in thousandths: uint48, uint32 and int32 or int24 with all bits, or the least. */
const NO_VALUE: ReadonlySet<number> = new Set([281474976710.655, 4294967.295, -2147483.648, -8388.608])

export const glow: GatewayFormat = {
  name: 'glow',
  topics: ['glow/#'],
  matches: (topic) => TOPIC.test(topic),
  gatewayOf: (topic) => TOPIC.exec(topic)?.[1] ?? '',
  decode(payload, context): Decoded {
    const [, mac = '', kind = ''] = TOPIC.exec(context.topic) ?? []
    if (!kind.startsWith('SENSOR/') && kind !== '') return passed('status', 'gateway_state')
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (!isObject(parsed.value)) return refused('bad_schema', 'a message must be an object', payload)
    if (context.retained) return passed('duplicate', 'retained_duplicate')
    const o = parsed.value
    const electricity = field(o, 'electricitymeter')
    if (isObject(electricity)) return meter(electricity, 'electricity', mac, payload)
    const gas = field(o, 'gasmeter')
    if (isObject(gas)) return meter(gas, 'gas', mac, payload)
    if (electricity !== undefined || gas !== undefined) return refused('bad_schema', 'the meter must be an object', payload)
    return passed('ignore', 'unknown_sensor')
  },
}

function meter(o: Json, kind: 'electricity' | 'gas', mac: string, payload: Buffer): Decoded {
  const time = field(o, 'timestamp')
  const tsMs = readTime(time, undefined)
  if (tsMs === 'local' || (tsMs === undefined && time !== undefined && time !== null && time !== ''))
    return refused('impossible_time', `timestamp ${shown(time, 40)} is not a UTC time`, payload, 'timestamp')
  const energy = objectOf(o.energy)
  const inward = objectOf(energy.import)
  const device = pointOf(field(inward, kind === 'gas' ? 'mprn' : 'mpan')) ?? idOf(mac)
  if (device === undefined) return refused('bad_schema', 'neither a meter point number nor a device in the topic', payload)
  const out = new Outcome()
  const add = (quantity: Quantity, path: string, value: unknown, units: unknown): void => {
    if (value === undefined || value === null) return
    const n = numberOf(value)
    const unit = typeof units === 'string' ? units : ''
    const converted = n === undefined ? undefined : convert(n, unit, quantity)
    if (n !== undefined && NO_VALUE.has(n)) out.refuse('impossible_value', path, `${n} is the meter's sign for no value`, device, String(n))
    else if (converted === undefined)
      out.refuse('bad_schema', path, `${path} is not a number with a unit of ${quantity}`, device, shown([value, units]))
    else out.reading(device, quantity, converted, { tsMs })
  }
  // Some firmware puts kWh where the volume should be: that is no volume, and no error of this message either.
  if (kind === 'gas') {
    const unit = field(inward, 'cumulativevolunits')
    if (typeof unit === 'string' && unitOf(unit)?.dimension === 'volume')
      add('gas_volume_m3', 'energy.import.cumulativevol', field(inward, 'cumulativevol'), unit)
  } else {
    const exported = objectOf(energy.export)
    const power = objectOf(o.power)
    add('active_energy_import_kwh', 'energy.import.cumulative', field(inward, 'cumulative'), field(inward, 'units'))
    add('active_energy_export_kwh', 'energy.export.cumulative', field(exported, 'cumulative'), field(exported, 'units'))
    add('power_kw', 'power.value', field(power, 'value'), field(power, 'units'))
  }
  return out.done('accept_other', kind === 'gas' ? 'energy_of_gas' : 'no_core_reading')
}

function objectOf(v: unknown): Json {
  return isObject(v) ? v : {}
}

/** A meter point number: digits only. */
function pointOf(v: unknown): string | undefined {
  const id = idOf(v)
  return id !== undefined && /^\d{6,21}$/.test(id) && !/^0+$/.test(id) ? id : undefined
}

// ThingsBoard MQTT API of gateways and devices (thingsboard.io, reference/gateway-mqtt-api and mqtt-api).
// Topic: v1/gateway/{telemetry,attributes,connect,disconnect,rpc,claim,...}; v1/devices/me/{telemetry,attributes,...}; short v2/t, v2/a.
// Payload: gateway {"DEVICE":[{"ts":ms,"values":{KEY:VALUE}}, ...], ...}, many devices and times in a message; device {KEY:VALUE}, {"ts","values"}, or
// a list of them. Values may be decimals as strings.
// Identity: the object key; `me` is the MQTT user, who is not in the message: settings may name it (`device`). The broker authenticates.
// Time: `ts`, epoch ms, optional. Without it the message has no time.
// Units: keys are free. Canonical quantity names (optionally `_L1`, `_t2`), names that end in a unit (`volume_l`, `pressure_kPa`), or the
// settings' map: {"keys": {"totalVol": {"quantity": "water_volume_m3", "unit": "L"}}}. Counters without unit are raw counts.
// Pitfalls: `__proto__` as device name; a device named `ts`; ts in seconds is 1970 and is refused as such, not mended.
import { parseIso } from '#model/time.ts'
import { field, idOf, isObject, type Json, numberOf, Outcome, parseJson, passed, refused, shown } from '../decoding.ts'
import type { Decoded, Disposition, GatewayFormat } from '../format.ts'
import { FreeValues } from '../free-values.ts'

const OTHERS: readonly (readonly [RegExp, Disposition, string])[] = [
  [/^v1\/gateway\/connect$/, 'session', 'device_connected'],
  [/^v1\/gateway\/disconnect$/, 'session', 'device_disconnected'],
  [/^(v1\/(gateway|devices\/me)\/attributes|v2\/a)(\/.*)?$/, 'metadata', 'attributes'],
  [/^(v1\/(gateway|devices\/me)\/rpc|v2\/r)(\/.*)?$/, 'ignore', 'rpc'],
  [/^(v1\/(gateway|devices\/me)\/claim|\/?provision|v2\/(fw|sw))(\/.*)?$/, 'ignore', 'provisioning'],
]
const GATEWAY_TELEMETRY = /^v1\/gateway\/telemetry$/
const DEVICE_TELEMETRY = /^(v1\/devices\/[^/]+\/telemetry|v2\/t(\/j)?)$/

export const thingsboard: GatewayFormat = {
  name: 'thingsboard',
  topics: ['v1/gateway/+', 'v1/devices/+/+', 'v2/t', 'v2/a'],
  matches: (topic) => GATEWAY_TELEMETRY.test(topic) || DEVICE_TELEMETRY.test(topic) || OTHERS.some(([t]) => t.test(topic)),
  gatewayOf: () => '',
  decode(payload, context): Decoded {
    const other = OTHERS.find(([t]) => t.test(context.topic))
    if (other !== undefined) return passed(other[1], other[2])
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (context.retained) return passed('duplicate', 'retained_duplicate')
    const out = new Outcome()
    const reader = new Reader(out, context.settings)
    const { value } = parsed
    if (GATEWAY_TELEMETRY.test(context.topic)) {
      if (!isObject(value)) return refused('bad_schema', 'telemetry of a gateway must be an object of devices', payload)
      for (const [name, entries] of Object.entries(value)) reader.device(name, entries, name)
      if (Object.keys(value).length === 0) return passed('ignore', 'empty')
    } else {
      if (!isObject(value) && !Array.isArray(value)) return refused('bad_schema', 'telemetry must be an object or a list', payload)
      reader.device(idOf(context.settings.device) ?? context.topic.split('/')[2] ?? 'me', value, '')
      if (Object.keys(value).length === 0) return passed('ignore', 'empty')
    }
    return out.done('accept_other', reader.undeclared ? 'unit_not_declared' : 'no_core_reading')
  },
}

const DEVICE_LENGTH_MAX = 200

class Reader extends FreeValues {
  device(name: string, entries: unknown, path: string): void {
    const device = idOf(name)
    if (device === undefined) {
      this.out.refuse(
        'bad_schema',
        path.slice(0, DEVICE_LENGTH_MAX),
        'a device name must have 1 to 200 characters, none of them control characters',
        '',
        shown(entries),
      )
      return
    }
    const list = Array.isArray(entries) ? entries : [entries]
    for (const [i, entry] of list.entries()) {
      const at = Array.isArray(entries) ? `${path}[${i}]` : path
      if (isObject(entry)) this.entry(device, entry, at)
      else this.out.refuse('bad_schema', at, 'an entry must be an object', device, shown(entry))
    }
  }

  /** {"ts","values"} or the values alone. */
  entry(device: string, entry: Json, path: string): void {
    const values = field(entry, 'values')
    if (!isObject(values)) {
      this.values(device, entry, undefined, path)
      return
    }
    const ts = field(entry, 'ts')
    const tsMs = timeOf(ts)
    if (tsMs === null) {
      this.out.refuse('impossible_time', `${path}.ts`, 'ts must be epoch milliseconds', device, shown(entry))
      return
    }
    this.values(device, values, tsMs, `${path}.values`)
  }
}

/** Epoch ms; undefined when absent, null when it is not a time. */
function timeOf(ts: unknown): number | undefined | null {
  if (ts === undefined || ts === null) return undefined
  const n = numberOf(ts)
  if (n !== undefined) return Number.isSafeInteger(Math.trunc(n)) && n >= 0 && n <= 8.64e15 ? Math.trunc(n) : null
  const iso = typeof ts === 'string' ? parseIso(ts) : Number.NaN
  return Number.isNaN(iso) ? null : iso
}

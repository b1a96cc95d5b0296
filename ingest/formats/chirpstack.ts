// ChirpStack v4, MQTT integration with JSON encoding (chirpstack-docs, integrations/events).
// Topic: application/APPLICATION/device/DEVEUI/event/{up,status,join,ack,txack,log,location,integration}; `command/down` is ours to them.
// Payload: the event as protobuf JSON: fields that are 0, false or empty are left out (fCnt 0 is absent), v4.6 sends null instead.
// Identity: devEui, in topic and payload; they must agree. The gateway is the application: the network server vouches for devices.
// Time: the device's own when its object has one with a known zone, else `time` of the network (nanoseconds, +00:00).
// Units: only as the codec declares them, see lorawan.ts. `object` is absent when no codec is configured: there is nothing to read.
// Pitfalls: fCnt counts per device, not per gateway, so it is no `seq`; redelivery (issue 533) repeats the same time; topics may have a prefix.
import { field, idOf, isObject, type Json, Outcome, parseJson, passed, refused } from '../decoding.ts'
import type { Decoded, Disposition, GatewayFormat } from '../format.ts'
import { envelopeTime } from '../local-time.ts'
import { readUplink } from '../lorawan.ts'

const TOPIC = /(?:^|\/)application\/([^/]+)\/device\/([^/]+)\/(event|command)\/([^/]+)$/

/** Events that carry no reading. */
const OTHERS: Readonly<Record<string, readonly [Disposition, string]>> = {
  status: ['status', 'device_status'],
  join: ['session', 'join'],
  ack: ['status', 'downlink_ack'],
  txack: ['status', 'downlink_sent'],
  log: ['status', 'network_log'],
  location: ['metadata', 'device_location'],
  integration: ['metadata', 'integration_event'],
}

export const chirpstack: GatewayFormat = {
  name: 'chirpstack',
  topics: ['application/+/device/+/event/+'],
  matches: (topic) => TOPIC.test(topic),
  gatewayOf: (topic) => TOPIC.exec(topic)?.[1] ?? '',
  decode(payload, context): Decoded {
    const [, , topicEui = '', direction = 'event', event = 'up'] = TOPIC.exec(context.topic) ?? []
    if (direction === 'command') return passed('ignore', 'downlink_command')
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', `${parsed.problem} (only JSON encoding is read)`, payload)
    if (!isObject(parsed.value)) return refused('bad_schema', 'an event must be an object', payload)
    const o = parsed.value
    const info = field(o, 'deviceInfo')
    const deviceInfo: Json = isObject(info) ? info : {}
    const device = idOf(field(deviceInfo, 'devEui')) ?? idOf(topicEui)
    if (device === undefined) return refused('bad_schema', 'deviceInfo.devEui is missing', payload, 'deviceInfo.devEui')
    if (topicEui !== '' && topicEui.toLowerCase() !== device.toLowerCase())
      return refused('wrong_gateway', `devEui ${device} came on the topic of ${topicEui}`, payload, 'deviceInfo.devEui')
    const other = Object.hasOwn(OTHERS, event) ? OTHERS[event] : undefined
    if (other !== undefined) return passed(...other)
    if (event !== 'up') return passed('ignore', 'unknown_event')
    if (context.retained) return passed('duplicate', 'retained_duplicate')
    return uplink(o, deviceInfo, device, payload, context.settings)
  },
}

function uplink(o: Json, deviceInfo: Json, device: string, payload: Buffer, settings: Record<string, unknown>): Decoded {
  const time = field(o, 'time')
  const networkMs = envelopeTime(time)
  if (networkMs === null) return refused('impossible_time', 'time must be an RFC 3339 time', payload, 'time')
  const object = field(o, 'object')
  if (object === undefined || object === null) {
    const empty = (field(o, 'data') ?? '') === ''
    return empty ? passed('ignore', 'no_payload') : passed('accept_other', 'not_decoded')
  }
  if (!isObject(object)) return refused('bad_schema', 'object must be an object', payload, 'object')
  const names = ['deviceProfileName', 'deviceProfileId', 'applicationName', 'applicationId', 'deviceName', 'devEui']
  const out = new Outcome()
  readUplink(out, {
    device,
    networkMs,
    object,
    normalized: undefined,
    profiles: names.map((n) => field(deviceInfo, n)).filter((v): v is string => typeof v === 'string'),
    settings,
  })
  return out.done()
}

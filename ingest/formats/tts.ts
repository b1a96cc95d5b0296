// The Things Stack v3, MQTT (lorawan-stack-docs, integrations/data-formats and payload-formatters).
// Topic: v3/APPLICATION[@TENANT]/devices/DEVICE/{up,join,down/...,service/data,location/solved}; the tenant is absent in the open-source edition.
// Payload: JSON, fields that are 0, false or empty are left out (f_cnt 0 is absent). `normalized_payload` is an array of measurements in the units
// of the device repository's schema (water total in litres, battery in V) and wins over `decoded_payload`, which is as the codec made it.
// Identity: dev_eui (else device_id); the topic's device_id must agree. The gateway is the application. A message of the webhook or the
// event log, with the same under `data`, is read too.
// Time: a measurement's own, the device's in decoded_payload when its zone is known, else uplink_message.received_at, else received_at.
// Pitfalls: `simulated: true` comes from the console, no meter sent it; a codec that failed leaves frm_payload only; frequency is a string.
import { alarmsInText } from '../alarms.ts'
import { field, idOf, isObject, type Json, Outcome, parseJson, passed, refused } from '../decoding.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { envelopeTime } from '../local-time.ts'
import { readUplink } from '../lorawan.ts'

const TOPIC = /(?:^|\/)v3\/([^/]+)\/devices\/([^/]+)\/(.+)$/

export const tts: GatewayFormat = {
  name: 'tts',
  topics: ['v3/+/devices/+/#'],
  matches: (topic) => TOPIC.test(topic),
  gatewayOf: (topic) => TOPIC.exec(topic)?.[1] ?? '',
  decode(payload, context): Decoded {
    const [, , topicDevice = '', kind = 'up'] = TOPIC.exec(context.topic) ?? []
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (!isObject(parsed.value)) return refused('bad_schema', 'a message must be an object', payload)
    const data = field(parsed.value, 'data')
    const o = isObject(data) && isObject(field(data, 'end_device_ids')) ? data : parsed.value
    const ids = field(o, 'end_device_ids')
    if (!isObject(ids)) return refused('bad_schema', 'end_device_ids is missing', payload, 'end_device_ids')
    const deviceId = idOf(field(ids, 'device_id'))
    if (topicDevice !== '' && deviceId !== undefined && deviceId !== topicDevice)
      return refused('wrong_gateway', `${deviceId} came on the topic of ${topicDevice}`, payload, 'end_device_ids.device_id')
    const device = idOf(field(ids, 'dev_eui')) ?? deviceId
    if (device === undefined) return refused('bad_schema', 'neither dev_eui nor device_id', payload, 'end_device_ids')
    const message = field(o, 'uplink_message') ?? field(o, 'uplink_normalized')
    if (isObject(message)) return uplink(o, message, { device, deviceId: deviceId ?? device }, payload, context)
    if (kind === 'up' && message !== undefined) return refused('bad_schema', 'uplink_message must be an object', payload, 'uplink_message')
    return others(o, kind, payload)
  },
}

function others(o: Json, kind: string, payload: Buffer): Decoded {
  if (kind === 'join' || isObject(field(o, 'join_accept'))) return passed('session', 'join')
  if (kind.startsWith('down')) return passed('status', 'downlink')
  if (kind.startsWith('location')) return passed('metadata', 'device_location')
  if (kind.startsWith('service')) return passed('metadata', 'service_data')
  if (kind === 'up') return refused('bad_schema', 'uplink_message is missing', payload, 'uplink_message')
  return passed('ignore', 'unknown_event')
}

function uplink(o: Json, message: Json, ids: { device: string; deviceId: string }, payload: Buffer, context: MessageContext): Decoded {
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  if (field(o, 'simulated') === true) return passed('ignore', 'simulated')
  const time = field(o, 'received_at') ?? field(message, 'received_at')
  const networkMs = envelopeTime(time)
  if (networkMs === null) return refused('impossible_time', 'received_at must be an RFC 3339 time', payload, 'received_at')
  const decodedPayload = field(message, 'decoded_payload')
  const normalized = field(message, 'normalized_payload')
  if (!isObject(decodedPayload) && (normalized === undefined || normalized === null)) {
    if (decodedPayload !== undefined && decodedPayload !== null)
      return refused('bad_schema', 'decoded_payload must be an object', payload, 'uplink_message.decoded_payload')
    const empty = (field(message, 'frm_payload') ?? '') === ''
    return empty ? passed('ignore', 'no_payload') : passed('accept_other', 'not_decoded')
  }
  const versions = field(message, 'version_ids')
  const names = isObject(versions) ? [field(versions, 'model_id'), field(versions, 'brand_id')] : []
  const out = new Outcome()
  readUplink(out, {
    device: ids.device,
    networkMs,
    object: isObject(decodedPayload) ? decodedPayload : {},
    normalized,
    profiles: [...names, ids.deviceId, ids.device].filter((v): v is string => typeof v === 'string'),
    settings: context.settings,
  })
  readWarnings(out, message, ids.device, networkMs)
  return out.done()
}

function readWarnings(out: Outcome, message: Json, device: string, tsMs: number | undefined): void {
  for (const key of ['decoded_payload_warnings', 'normalized_payload_warnings']) {
    const list = field(message, key)
    if (!Array.isArray(list)) continue
    for (const w of list.slice(0, 50)) if (typeof w === 'string') for (const alarm of alarmsInText(w)) out.alarm(alarm, device, tsMs)
  }
}

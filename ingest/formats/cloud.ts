// AWS IoT Core and Azure IoT Hub: the shapes of their MQTT topics and envelopes; the values within are free.
// AWS topic: $aws/things/THING/shadow[/name/SHADOW]/{update,get,delete}[/accepted,/rejected,/delta,/documents]; $aws/events/presence/{connected,disconnected}/CLIENT.
// Azure topic: devices/ID[/modules/M]/messages/events/PROPERTIES, properties URL-encoded; or an envelope on any topic: routed messages
// ({"Body","SystemProperties","EnqueuedTimeUtc"}) and Event Grid ([{"eventType","data":{"body","systemProperties"}}]). Bodies may be base64.
// Identity: thing or device of the topic, connectionDeviceId of the envelope: the cloud has authenticated those. An id in the body is not believed.
// Time: AWS: metadata.reported per key, else `timestamp` of an accepted answer, epoch s; an update has none. Azure: `timestamp` in the body with its zone, else the
// creation time, else the time of queueing. Only of an uplink: never the time of a `previous` state.
// Units: as with ThingsBoard: canonical names, unit at the end of a name, {"value","unit"}, the settings' {"keys": {...}}; nothing is guessed.
// Pitfalls: `desired` and `delta` are wishes, `previous` is history; `documents` repeats `accepted`, same times and values; # does not match topics with $.
import { field, idOf, isObject, type Json, numberOf, Outcome, parseJson, passed, refused, shown } from '../decoding.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { FreeValues } from '../free-values.ts'
import { readTime, zoneOf } from '../local-time.ts'

const SHADOW = /^\$aws\/things\/([^/]+)\/shadow(?:\/name\/[^/]+)?\/(update|get|delete)(?:\/(accepted|rejected|delta|documents))?$/
const PRESENCE = /^\$aws\/events\/(presence|subscriptions)\//
const DEVICE = /^devices\/([^/]+)(?:\/modules\/([^/]+))?\/messages\/(events|devicebound)(?:\/(.*))?$/
const ENVELOPE =
  /^\s*\[?\s*\{\s*"(EnqueuedTimeUtc|SystemProperties|Body|id"\s*:\s*"[^"]{0,80}"\s*,\s*"topic"\s*:\s*"[^"]{0,300}Microsoft\.Devices)|"systemProperties"\s*:\s*\{/i

export const cloud: GatewayFormat = {
  name: 'cloud',
  topics: ['$aws/things/+/shadow/#', '$aws/events/#', 'devices/+/messages/events/#', 'devices/+/modules/+/messages/events/#', '$iothub/#'],
  matches: (topic, payload) =>
    SHADOW.test(topic) ||
    PRESENCE.test(topic) ||
    DEVICE.test(topic) ||
    topic.startsWith('$iothub/') ||
    ENVELOPE.test(payload.subarray(0, 1_000).toString('latin1')),
  gatewayOf: (topic) => SHADOW.exec(topic)?.[1] ?? DEVICE.exec(topic)?.[1] ?? '',
  decode(payload, context): Decoded {
    const { topic } = context
    if (PRESENCE.test(topic)) return passed('session', 'presence')
    const shadow = SHADOW.exec(topic)
    if (shadow !== null) return aws(shadow[1] as string, `${shadow[2]}/${shadow[3] ?? ''}`, payload, context)
    if (topic.startsWith('$iothub/')) return passed(topic.startsWith('$iothub/twin/') ? 'metadata' : 'ignore', 'twin')
    const device = DEVICE.exec(topic)
    if (device !== null) return azure(device, payload, context)
    return envelope(payload, context)
  },
}

function parse(payload: Buffer): { value: unknown } | { refusal: Decoded } {
  const parsed = parseJson(payload)
  return 'problem' in parsed ? { refusal: refused('malformed', parsed.problem, payload) } : parsed
}

const SILENT: Readonly<Record<string, readonly ['ignore' | 'status', string]>> = {
  'get/': ['ignore', 'request'],
  'delete/': ['ignore', 'request'],
  'delete/accepted': ['ignore', 'shadow_deleted'],
  'update/delta': ['ignore', 'desired_only'],
  'update/rejected': ['status', 'rejected'],
  'get/rejected': ['status', 'rejected'],
  'delete/rejected': ['status', 'rejected'],
}

function aws(thing: string, kind: string, payload: Buffer, context: MessageContext): Decoded {
  const silent = Object.hasOwn(SILENT, kind) ? SILENT[kind] : undefined
  if (silent !== undefined) return passed(...silent)
  const device = idOf(thing)
  const parsed = parse(payload)
  if ('refusal' in parsed) return parsed.refusal
  const document = kind.endsWith('documents') && isObject(parsed.value) ? field(parsed.value, 'current') : parsed.value
  if (device === undefined || !isObject(parsed.value) || !isObject(document))
    return refused('bad_schema', 'a shadow must be an object', payload)
  const state = field(document, 'state')
  if (!isObject(state)) return refused('bad_schema', 'state must be an object', payload, 'state')
  const reported = field(state, 'reported')
  if (reported === undefined || reported === null) return passed('ignore', 'desired_only')
  if (!isObject(reported)) return refused('bad_schema', 'reported must be an object', payload, 'state.reported')
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  const metadata = field(document, 'metadata')
  const times = isObject(metadata) ? field(metadata, 'reported') : undefined
  const general = kind === 'update/' ? undefined : seconds(field(parsed.value, 'timestamp'))
  const out = new Outcome()
  const values = new FreeValues(out, context.settings)
  values.tree(device, reported, (path) => timeAt(times, path) ?? general)
  return out.done('accept_other', values.undeclared ? 'unit_not_declared' : 'no_core_reading')
}

/** metadata.reported has the shape of the state, with {"timestamp"} in place of each value. */
function timeAt(times: unknown, path: readonly string[]): number | undefined {
  let at: unknown = times
  for (const key of path) at = isObject(at) ? field(at, key) : undefined
  return isObject(at) ? seconds(field(at, 'timestamp')) : undefined
}

function seconds(v: unknown): number | undefined {
  const t = typeof v === 'number' ? readTime(v, undefined) : undefined
  return typeof t === 'number' ? t : undefined
}

function azure(m: RegExpExecArray, payload: Buffer, context: MessageContext): Decoded {
  if (m[3] === 'devicebound') return passed('ignore', 'command')
  const device = idOf(decoded(m[1] as string))
  if (device === undefined) return refused('bad_schema', 'the topic has no usable device', payload)
  const properties = propertiesOf(m[4] ?? '')
  const type = properties.get('$.ct')
  if (type !== undefined && !/json/i.test(type)) return passed('accept_other', 'content_not_json')
  const parsed = parse(payload)
  if ('refusal' in parsed) return parsed.refusal
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  const created = properties.get('iothub-creation-time-utc') ?? properties.get('$.ctime')
  return finish(context, (reader) => reader.body(device, parsed.value, zoned(created), ''), payload)
}

/** `a=1&b=2`, URL-encoded; a trailing slash belongs to the topic. */
function propertiesOf(text: string): Map<string, string> {
  const out = new Map<string, string>()
  for (const pair of text.replace(/\/$/, '').slice(0, 8_192).split('&').slice(0, 100)) {
    const at = pair.indexOf('=')
    if (at > 0) out.set(decoded(pair.slice(0, at)), decoded(pair.slice(at + 1)))
  }
  return out
}

/** URL-decoded; as it is when that fails. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function zoned(v: unknown): number | undefined {
  const t = readTime(v, undefined)
  return typeof t === 'number' ? t : undefined
}

/** Messages as routed to an endpoint, or Event Grid events; one or a list. */
function envelope(payload: Buffer, context: MessageContext): Decoded {
  const parsed = parse(payload)
  if ('refusal' in parsed) return parsed.refusal
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  const list = Array.isArray(parsed.value) ? parsed.value : [parsed.value]
  return finish(
    context,
    (reader) => {
      for (const [i, e] of list.slice(0, 1_000).entries()) reader.envelope(e, Array.isArray(parsed.value) ? `[${i}]` : '')
    },
    payload,
  )
}

function finish(context: MessageContext, read: (reader: Reader) => void, payload: Buffer): Decoded {
  const out = new Outcome()
  const reader = new Reader(out, context)
  read(reader)
  const result = out.done(
    reader.session ? 'session' : 'accept_other',
    reader.session ? 'presence' : reader.values.undeclared ? 'unit_not_declared' : 'no_core_reading',
  )
  if (result.disposition === 'quarantine' && result.readings.length === 0 && result.refusals[0]?.field === '')
    return { ...result, refusals: refused(result.refusals[0].reason, result.refusals[0].message, payload).refusals }
  return result
}

class Reader {
  readonly out: Outcome
  readonly values: FreeValues
  readonly zone: string | undefined
  session = false

  constructor(out: Outcome, context: MessageContext) {
    this.out = out
    this.values = new FreeValues(out, context.settings)
    this.zone = zoneOf(context.settings)
  }

  envelope(e: unknown, path: string): void {
    if (!isObject(e)) return void this.out.refuse('bad_schema', path, 'an envelope must be an object', '', shown(e))
    const data = field(e, 'data')
    const type = field(e, 'eventType') ?? field(e, 'type')
    if (typeof type === 'string' && /Device(Connected|Disconnected|Created|Deleted)$/.test(type)) {
      this.session = true
      return
    }
    const inner = isObject(data) ? data : e
    const system = objectOf(field(inner, 'SystemProperties') ?? field(inner, 'systemProperties'))
    const properties = objectOf(field(inner, 'Properties') ?? field(inner, 'properties'))
    const device = idOf(
      field(system, 'connectionDeviceId') ??
        field(system, 'iothub-connection-device-id') ??
        field(properties, 'iothub-connection-device-id'),
    )
    if (device === undefined) return void this.out.refuse('bad_schema', path, 'the envelope names no device', '', shown(e))
    const time = [
      field(system, 'iothub-creation-time-utc') ?? field(properties, 'iothub-creation-time-utc') ?? field(system, 'creationTimeUtc'),
      field(system, 'enqueuedTime') ?? field(system, 'iothub-enqueuedtime') ?? field(e, 'EnqueuedTimeUtc') ?? field(e, 'eventTime'),
    ].map(zoned)
    const body = field(inner, 'Body') ?? field(inner, 'body')
    this.body(device, typeof body === 'string' ? fromText(body) : body, time[0] ?? time[1], path === '' ? 'Body' : `${path}.Body`)
  }

  /** One telemetry object or a list of them, each with its own time if it has one. */
  body(device: string, body: unknown, tsMs: number | undefined, path: string): void {
    const list = Array.isArray(body) ? body.slice(0, 5_000) : [body]
    for (const [i, o] of list.entries()) {
      const at = Array.isArray(body) ? `${path}[${i}]` : path
      if (!isObject(o)) {
        this.out.refuse('bad_schema', at, 'telemetry must be an object', device, shown(o))
        continue
      }
      const own = ['timestamp', 'ts', 'time', 'Timestamp', 'timestampUtc', 'eventTime']
        .map((k) => field(o, k))
        .find((v) => v !== undefined && v !== null && v !== '')
      const t = own === undefined ? undefined : readTime(own, this.zone)
      if (own !== undefined && t === undefined && numberOf(own) === undefined) {
        this.out.refuse('impossible_time', `${at}.timestamp`, `${shown(own, 40)} is not a time`, device, shown(o))
        continue
      }
      const ms = typeof t === 'number' ? t : tsMs
      this.values.tree(device, withoutTimes(o), () => ms)
    }
  }
}

const TIMES = new Set(['timestamp', 'ts', 'time', 'Timestamp', 'timestampUtc', 'eventTime'])

function withoutTimes(o: Json): Json {
  return Object.fromEntries(Object.entries(o).filter(([k]) => !TIMES.has(k)))
}

/** A body as text: JSON, or base64 of JSON; undefined when it is neither. */
function fromText(text: string): unknown {
  for (const bytes of [Buffer.from(text), Buffer.from(text, 'base64')]) {
    const parsed = parseJson(bytes)
    if ('value' in parsed) return parsed.value
  }
  return undefined
}

function objectOf(v: unknown): Json {
  return isObject(v) ? v : {}
}

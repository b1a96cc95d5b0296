// The native format (contract, section 1): telemetry/v1/{gatewayId}/readings, /status and, in simulations, /clock.
// The hot path of ingest: JSON is parsed once and checked by hand; native.schema.ts says the same as a schema, and a test
// holds the two together. One bad entry costs only itself.
import { isAscii, isUtf8 } from 'node:buffer'
import type { Refusal } from '#model/outcome.ts'
import { isEventName, isQuantity, type Phase, type Quantity } from '#model/quantity.ts'
import { parseIso } from '#model/time.ts'
import type { Decoded, DecodedEvent, DecodedReading, DecodedRefusal, GatewayFormat, MessageContext } from '../format.ts'
import { RANGES } from '../ranges.ts'
import {
  CHANNEL_LENGTH_MAX,
  DETAIL_DEPTH_MAX,
  DETAIL_LENGTH_MAX,
  depthOf,
  ENTRIES_MAX,
  FLAG_LENGTH_MAX,
  FLAGS_MAX,
  ID_LENGTH_MAX,
  isSmallDetail,
  MESSAGE_BYTES_MAX,
} from './native.schema.ts'

const PREFIX = 'telemetry/v1/'
/** Of a refused entry, this much is kept as text. */
const PAYLOAD_KEPT = 65_536

type Json = Record<string, unknown>

export const native: GatewayFormat = {
  name: 'native',
  topics: ['telemetry/v1/+/readings', 'telemetry/v1/+/status', 'telemetry/v1/+/clock'],
  matches: (topic) => kindOf(topic) !== undefined,
  gatewayOf: (topic) => topic.slice(PREFIX.length, topic.lastIndexOf('/')),
  decode(payload, context) {
    const kind = kindOf(context.topic)
    if (kind === undefined) return refused('unknown_format', '', 'topic is not telemetry/v1/{gateway}/readings, status or clock', payload)
    if (payload.length > MESSAGE_BYTES_MAX) {
      return refused('too_large', '', `message has ${payload.length} bytes, at most ${MESSAGE_BYTES_MAX} are allowed`, payload)
    }
    const parsed = parse(payload)
    if (typeof parsed === 'string') return refused('malformed', '', parsed, payload)
    if (kind === 'status') return decodeStatus(parsed, payload, context)
    if (kind === 'clock') return decodeClock(parsed, payload)
    if (context.retained) return { ...empty('duplicate', 'retained_duplicate'), seq: seqOf(parsed.seq) ?? -1 }
    return decodeReadings(parsed, payload)
  },
}

function kindOf(topic: string): 'readings' | 'status' | 'clock' | undefined {
  if (!topic.startsWith(PREFIX)) return undefined
  const end = topic.indexOf('/', PREFIX.length)
  if (end <= PREFIX.length) return undefined
  const kind = topic.slice(end + 1)
  return kind === 'readings' || kind === 'status' || kind === 'clock' ? kind : undefined
}

/** The JSON object, or a sentence saying why there is none. */
function parse(payload: Buffer): Json | string {
  let text: string
  // Latin-1 is the cheapest decoding and right for ASCII, which nearly all messages are.
  if (isAscii(payload)) text = payload.toString('latin1')
  else if (isUtf8(payload)) text = payload.toString('utf8')
  else return 'not valid UTF-8'
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return `not valid JSON: ${(error as Error).message.slice(0, 120)}`
  }
  return isObject(value) ? value : 'not a JSON object'
}

function isObject(v: unknown): v is Json {
  return typeof v === 'object' && v !== null && !Array.isArray(v)
}

function empty(disposition: Decoded['disposition'], reason: string): Decoded {
  return { disposition, reason, readings: [], events: [], flags: [], refusals: [], seq: -1 }
}

/** The whole message is refused. */
function refused(reason: Refusal, field: string, message: string, payload: Buffer): Decoded {
  const kept = payload.length > PAYLOAD_KEPT ? payload.subarray(0, PAYLOAD_KEPT) : payload
  return { ...empty('quarantine', reason), refusals: [{ reason, field, message, device: '', payload: kept.toString('utf8') }] }
}

function seqOf(v: unknown): number | undefined {
  if (v === undefined || v === null) return -1
  return typeof v === 'number' && Number.isSafeInteger(v) && v >= 0 ? v : undefined
}

function decodeStatus(o: Json, payload: Buffer, context: MessageContext): Decoded {
  if (typeof o.online !== 'boolean') return refused('bad_schema', 'online', 'online must be true or false', payload)
  const tsMs = timeOf(o.ts)
  if (tsMs === null) return refused(badTime(o.ts), 'ts', 'ts must be an ISO 8601 time with a zone', payload)
  const event = o.online ? 'gateway_online' : 'gateway_offline'
  const decoded: Decoded = { ...empty('status', event), gatewayOnline: o.online }
  decoded.events.push({ device: native.gatewayOf(context.topic, payload), event, tsMs })
  if (!o.online) decoded.flags.push(event)
  const receivedAtMs = timeOf(o.receivedAt)
  if (typeof receivedAtMs === 'number') decoded.receivedAtMs = receivedAtMs
  return decoded
}

function decodeClock(o: Json, payload: Buffer): Decoded {
  const nowMs = timeOf(o.now)
  if (typeof nowMs !== 'number') return refused(badTime(o.now), 'now', 'now must be an ISO 8601 time with a zone', payload)
  return { ...empty('ignore', 'clock'), receivedAtMs: nowMs }
}

function decodeReadings(o: Json, payload: Buffer): Decoded {
  const readings = listOf(o.readings)
  if (readings === undefined) return refused('bad_schema', 'readings', 'readings must be an array', payload)
  const events = listOf(o.events)
  if (events === undefined) return refused('bad_schema', 'events', 'events must be an array', payload)
  const entries = readings.length + events.length
  if (entries > ENTRIES_MAX) return refused('too_large', '', `message has ${entries} entries, at most ${ENTRIES_MAX} are allowed`, payload)
  const neither = (o.readings ?? undefined) === undefined && (o.events ?? undefined) === undefined
  if (neither) return refused('bad_schema', 'readings', 'neither readings nor events', payload)

  const decoded = empty('accept', '')
  readHead(o, decoded)
  for (let i = 0; i < readings.length; i++) readReading(readings[i], i, decoded)
  for (let i = 0; i < events.length; i++) readEvent(events[i], i, decoded)
  const kept = decoded.readings.length + decoded.events.length
  if (entries === 0) {
    decoded.disposition = 'ignore'
    decoded.reason = 'empty'
  } else if (kept < entries) {
    const first = decoded.refusals.find((r) => r.entries !== 0) as DecodedRefusal
    decoded.disposition = kept === 0 ? 'quarantine' : 'accept_partial'
    decoded.reason = first.reason
  } else if (decoded.readings.length === 0) decoded.disposition = 'event'
  return decoded
}

/** seq, sentAt and receivedAt: a bad one is told, and costs none of the readings. */
function readHead(o: Json, decoded: Decoded): void {
  const seq = seqOf(o.seq)
  if (seq === undefined) decoded.refusals.push(headRefusal('bad_schema', 'seq', 'seq must be an integer from 0', o.seq))
  else decoded.seq = seq
  if (timeOf(o.sentAt) === null)
    decoded.refusals.push(headRefusal(badTime(o.sentAt), 'sentAt', 'sentAt must be an ISO 8601 time with a zone', o.sentAt))
  const receivedAtMs = timeOf(o.receivedAt)
  if (receivedAtMs === null) {
    decoded.refusals.push(headRefusal(badTime(o.receivedAt), 'receivedAt', 'receivedAt must be an ISO 8601 time with a zone', o.receivedAt))
  } else if (receivedAtMs !== undefined) decoded.receivedAtMs = receivedAtMs
}

function headRefusal(reason: Refusal, field: string, message: string, value: unknown): DecodedRefusal {
  return { reason, field, message, device: '', payload: textOf(value), entries: 0 }
}

function listOf(v: unknown): unknown[] | undefined {
  if (v === undefined || v === null) return []
  return Array.isArray(v) ? v : undefined
}

// Readings of one message mostly share a few times; comparing a string is cheaper than reading it again.
let lastText = ''
let lastMs = Number.NaN

/** Epoch ms; undefined when absent; null when it is not a strict ISO time. */
function timeOf(v: unknown): number | undefined | null {
  if (typeof v === 'string') {
    if (v !== lastText) {
      lastMs = parseIso(v)
      lastText = v
    }
    return Number.isNaN(lastMs) ? null : lastMs
  }
  return v === undefined || v === null ? undefined : null
}

function badTime(v: unknown): Refusal {
  return typeof v === 'string' ? 'impossible_time' : 'bad_schema'
}

function isId(v: unknown): v is string {
  return typeof v === 'string' && v.length > 0 && v.length <= ID_LENGTH_MAX
}

// Readings of one message mostly measure the same.
let lastQuantity = ''
let lastRange: readonly [number, number] | undefined

/** The physical range of a known quantity, or undefined. */
function rangeOf(quantity: string): readonly [min: number, max: number] | undefined {
  if (quantity !== lastQuantity) {
    lastRange = isQuantity(quantity) ? RANGES[quantity] : undefined
    lastQuantity = quantity
  }
  return lastRange
}

function readReading(entry: unknown, i: number, decoded: Decoded) {
  const bad = (reason: Refusal, field: string, message: string): void =>
    refuseEntry(decoded, entry, { reason, field: `readings[${i}]${field}`, message })
  if (!isObject(entry)) return bad('bad_schema', '', 'a reading must be an object')
  const { device, quantity, value, ts } = entry
  if (!isId(device)) return bad('bad_schema', '.device', `device must be a text of 1 to ${ID_LENGTH_MAX} characters`)
  if (typeof quantity !== 'string') return bad('bad_schema', '.quantity', 'quantity must be a text')
  const range = rangeOf(quantity)
  if (range === undefined) return bad('unknown_quantity', '.quantity', `${quantity.slice(0, 60)} is not a known quantity`)
  if (typeof value !== 'number') return bad('bad_schema', '.value', 'value must be a number')
  // Also false for what is not a number.
  const possible = value >= range[0] && value <= range[1]
  if (!possible) return bad('impossible_value', '.value', `${value} is outside ${range.join(' to ')} for ${quantity}`)
  const tsMs = timeOf(ts)
  if (tsMs === null) return bad(badTime(ts), '.ts', 'ts must be an ISO 8601 time with a zone')
  const reading: DecodedReading = { device, quantity: quantity as Quantity, value, tsMs }
  const wrong = readQualifiers(entry, reading)
  if (wrong !== undefined) return bad('bad_schema', `.${wrong[0]}`, wrong[1])
  decoded.readings.push(reading)
}

/** phase, tariff, channel, flags; returns the wrong field and why. */
function readQualifiers(entry: Json, reading: DecodedReading): [field: string, message: string] | undefined {
  const { phase, tariff, channel, flags } = entry
  if (phase !== undefined && phase !== null) {
    if (phase !== 'L1' && phase !== 'L2' && phase !== 'L3') return ['phase', 'phase must be L1, L2 or L3']
    reading.phase = phase satisfies Phase
  }
  if (tariff !== undefined && tariff !== null) {
    if (tariff !== 1 && tariff !== 2 && tariff !== 3 && tariff !== 4) return ['tariff', 'tariff must be 1 to 4']
    reading.tariff = tariff
  }
  if (channel !== undefined && channel !== null) {
    if (!isLabel(channel, CHANNEL_LENGTH_MAX))
      return ['channel', `channel must be a text of 1 to ${CHANNEL_LENGTH_MAX} characters without control characters`]
    reading.channel = channel
  }
  if (flags !== undefined && flags !== null) {
    if (!Array.isArray(flags) || flags.length > FLAGS_MAX || !flags.every((f) => isLabel(f, FLAG_LENGTH_MAX))) {
      return ['flags', `flags must be at most ${FLAGS_MAX} texts of 1 to ${FLAG_LENGTH_MAX} characters without control characters`]
    }
    if (flags.length > 0) reading.flags = flags as string[]
  }
  return undefined
}

function isLabel(v: unknown, max: number): v is string {
  if (typeof v !== 'string' || v.length === 0 || v.length > max) return false
  for (let i = 0; i < v.length; i++) {
    const c = v.charCodeAt(i)
    if (c < 32 || c === 127) return false
  }
  return true
}

function readEvent(entry: unknown, i: number, decoded: Decoded) {
  const bad = (reason: Refusal, field: string, message: string): void =>
    refuseEntry(decoded, entry, { reason, field: `events[${i}]${field}`, message })
  if (!isObject(entry)) return bad('bad_schema', '', 'an event must be an object')
  const { device, event, ts, detail } = entry
  if (!isId(device)) return bad('bad_schema', '.device', `device must be a text of 1 to ${ID_LENGTH_MAX} characters`)
  if (typeof event !== 'string') return bad('bad_schema', '.event', 'event must be a text')
  if (!isEventName(event)) return bad('unknown_event', '.event', `${event.slice(0, 60)} is not a known event`)
  const tsMs = timeOf(ts)
  if (tsMs === null) return bad(badTime(ts), '.ts', 'ts must be an ISO 8601 time with a zone')
  const e: DecodedEvent = { device, event, tsMs }
  if (detail !== undefined && detail !== null) {
    if (!isObject(detail) || !isSmallDetail(detail)) {
      return bad(
        'bad_schema',
        '.detail',
        `detail must be an object, at most ${DETAIL_DEPTH_MAX} deep and ${DETAIL_LENGTH_MAX} characters of JSON`,
      )
    }
    e.detail = detail
  }
  decoded.events.push(e)
}

function refuseEntry(decoded: Decoded, entry: unknown, why: { reason: Refusal; field: string; message: string }): void {
  const device = isObject(entry) && typeof entry.device === 'string' ? entry.device.slice(0, ID_LENGTH_MAX) : ''
  decoded.refusals.push({ ...why, device, payload: textOf(entry) })
}

/** Depth to which an entry is written out again; JSON.parse has no limit, JSON.stringify exhausts the stack. */
const TEXT_DEPTH_MAX = 64

function textOf(value: unknown): string {
  if (depthOf(value, TEXT_DEPTH_MAX) > TEXT_DEPTH_MAX) return '"nested too deep to be written out"'
  return (JSON.stringify(value) ?? '').slice(0, PAYLOAD_KEPT)
}

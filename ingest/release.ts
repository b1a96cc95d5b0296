// An entry that comes back from quarantine: read again, routed by the registry of now, with the times it had. Pure.
import type { QuarantineEntry } from '#model/outcome.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import type { Decode } from './decode.ts'
import { isObject, refused } from './decoding.ts'
import type { Decoded } from './format.ts'
import { native } from './formats/native.ts'
import type { RegistryView } from './registry-view.ts'
import { type Inbound, type RouteSink, route } from './route.ts'

/** A flag of readings that were in quarantine. */
export const RELEASED = 'released'

export interface ReleaseEntry
  extends Pick<
    QuarantineEntry,
    'id' | 'topic' | 'format' | 'gateway' | 'field' | 'receivedAtMs' | 'payload' | 'encoding' | 'truncated' | 'redelivered'
  > {
  /** A person vouches that the gateway may report for the device. */
  vouched: boolean
  /** Text to send instead of the payload, or null. */
  mended: string | null
}

/** What became of an entry: null when it is in the log, else why it was refused again. */
export type ReleaseResult = { id: string; note: string | null }

/**
 * Writes an entry to the log. Refused as a whole it stays where it is, with the reason; when a part of it is taken, the rest becomes
 * new entries of quarantine.
 */
export function releaseEntry(entry: ReleaseEntry, decode: Decode, registry: RegistryView, sink: RouteSink): ReleaseResult {
  const inbound = inboundOf(entry, decode)
  const held: Held = { readings: [], events: [], refusals: [], positions: [] }
  route(inbound, registry, {
    reading: (zone, r) => held.readings.push([zone, { ...r, flags: r.flags === undefined ? [RELEASED] : [...r.flags, RELEASED] }]),
    event: (zone, e) => held.events.push([zone, e]),
    // A status of long ago says nothing about now.
    gateway: () => undefined,
    quarantine: (q) => held.refusals.push(q),
    position: (p) => held.positions.push(p),
  })
  const taken = held.readings.length + held.events.length + held.positions.length
  if (taken === 0) {
    const why = held.refusals[0]
    return { id: entry.id, note: why === undefined ? 'there is no reading or event in it' : `${why.reason}: ${why.field} ${why.message}` }
  }
  for (const q of held.refusals) sink.quarantine(q)
  for (const [zone, r] of held.readings) sink.reading(zone, r)
  for (const [zone, e] of held.events) sink.event(zone, e)
  for (const p of held.positions) sink.position(p)
  return { id: entry.id, note: null }
}

interface Held {
  readings: [zone: string, reading: Reading][]
  events: [zone: string, event: MeterEvent][]
  refusals: QuarantineEntry[]
  positions: Parameters<RouteSink['position']>[0][]
}

function inboundOf(entry: ReleaseEntry, decode: Decode): Inbound {
  const { topic, gateway, receivedAtMs, redelivered, vouched, mended } = entry
  const payload = mended === null ? Buffer.from(entry.payload, entry.encoding) : Buffer.from(mended, 'utf8')
  const base = { topic, payload, retained: false, redelivered, receivedAtMs, place: 0 }
  const identity = vouched ? 'device' : decode.identityOf(topic, gateway, entry.format)
  if (entry.truncated && mended === null) {
    const decoded = refused('too_large', 'only its beginning was kept: it can be released with a mended payload only', payload)
    return { ...base, format: entry.format, gateway, identity, decoded }
  }
  const message = nativeMessageOf(entry, payload)
  if (message !== undefined) return { ...base, format: entry.format, gateway, identity, decoded: readNative(message, receivedAtMs) }
  const found = decode.again({ topic, payload, receivedAtMs, retained: false })
  return { ...base, ...found, gateway: found.gateway || gateway, identity: vouched ? 'device' : found.identity }
}

/** Entries of a message are kept as entries of a native message, whatever format they came in. */
function nativeMessageOf(entry: ReleaseEntry, payload: Buffer): object | undefined {
  let value: unknown
  try {
    value = JSON.parse(payload.toString('utf8'))
  } catch {
    return undefined
  }
  if (!isObject(value)) return undefined
  if (typeof value.device === 'string' && 'quantity' in value) return { readings: [value] }
  if (typeof value.device === 'string' && 'event' in value) return { events: [value] }
  // A stranger's long message is kept in portions.
  const whole = entry.format === 'native' && entry.field === ''
  return !whole && (Array.isArray(value.readings) || Array.isArray(value.events)) ? value : undefined
}

function readNative(message: object, receivedAtMs: number): Decoded {
  const context = { topic: 'telemetry/v1/released/readings', receivedAtMs, retained: false, settings: {}, state: new Map() }
  return native.decode(Buffer.from(JSON.stringify(message)), context)
}

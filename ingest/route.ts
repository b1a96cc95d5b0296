// Identity, zone and time of what was decoded: to which zones a reading goes, and what is refused with which reason. Pure.
import type { QuarantineEntry } from '#model/outcome.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import type { GatewayRecord } from '#model/telemetry.ts'
import { DAY_MS } from '#model/time.ts'
import type { DecodedMessage, RawMessage } from './decode.ts'
import type { Decoded, DecodedEvent, DecodedReading } from './format.ts'
import { eventText, type Origin, quarantineEntry, type Refused, readingText } from './quarantine.ts'
import type { DeviceRoute, RegistryView } from './registry-view.ts'

/** Nothing was measured before: clocks that lost their time begin in 1970 or 2000. */
export const OLDEST_MS = Date.UTC(2000, 0, 1)
/** A year and a month: the longest a field device keeps readings; older ones are a wrong clock. Merely late data is welcome. */
export const AGE_MS_MAX = 400 * DAY_MS
/** A clock may be a time zone off, not more. */
export const AHEAD_MS_MAX = DAY_MS

/** A flag of readings whose device gave no time. */
export const TIME_FILLED = 'time_filled'
/** A flag of readings that their format holds back until they are validated. */
export const HELD = 'held'

export interface CrewPosition {
  crew: string
  tsMs: number
  lon: number
  lat: number
  accuracyM: number | null
  batteryPct: number | null
  speedKmh: number | null
  receivedAtMs: number
}

/** Where routed entries go, in order. A reading with several zones is handed in once for each, the storing zone first. */
export interface RouteSink {
  reading(zone: string, reading: Reading): void
  event(zone: string, event: MeterEvent): void
  gateway(record: GatewayRecord): void
  quarantine(entry: QuarantineEntry): void
  position(position: CrewPosition): void
}

export interface Inbound extends RawMessage, DecodedMessage {
  redelivered: boolean
  /** Place among the messages of the same time of receipt: tells those apart that carry no number. */
  place?: number
}

/** Sends every entry of a message to its zones or to quarantine. Returns how many readings went to a zone. */
export function route(message: Inbound, registry: RegistryView, sink: RouteSink): number {
  const { decoded, gateway, identity } = message
  const refusals = refusalsOf(message, sink)
  for (const [i, r] of decoded.refusals.entries()) {
    const whole = r.field === '' ? {} : { payload: r.payload }
    refusals({ reason: r.reason, field: r.field, message: r.message, device: r.device, entries: r.entries ?? 1, index: i, ...whole })
  }
  if (decoded.position !== undefined) routePosition(decoded.position, message, registry, sink, refusals)
  const { readings, events } = decoded
  if (readings.length === 0 && events.length === 0) return 0
  if (identity === 'gateway' && !registry.gateways.has(gateway)) {
    refuseAll(message, `gateway ${gateway} is not registered`, refusals)
    return 0
  }
  const routing: Routing = {
    message,
    registry,
    sink,
    refusals,
    at: decoded.refusals.length,
    oldestMs: Math.max(OLDEST_MS, message.receivedAtMs - AGE_MS_MAX),
  }
  let taken = 0
  for (let i = 0; i < readings.length; i++) if (routeReading(readings[i] as DecodedReading, i, routing)) taken++
  for (let i = 0; i < events.length; i++) routeEvent(events[i] as DecodedEvent, i, routing)
  return taken
}

type Refuse = (refused: Refused) => void

interface Routing {
  message: Inbound
  registry: RegistryView
  sink: RouteSink
  refusals: Refuse
  /** Index of the first reading among the message's possible refusals. */
  at: number
  oldestMs: number
}

function refusalsOf(message: Inbound, sink: RouteSink): Refuse {
  const origin: Origin = {
    topic: message.topic,
    payload: message.payload,
    gateway: message.gateway,
    format: message.format,
    receivedAtMs: message.receivedAtMs,
    seq: message.decoded.seq,
    place: message.place ?? 0,
    redelivered: message.redelivered,
  }
  return (refused) => sink.quarantine(quarantineEntry(origin, refused))
}

/** Entries of a stranger's message that go into one quarantine entry: about 50 KiB of text, which is kept whole. */
const ENTRIES_TOGETHER = 300

/** The whole message as it came, if that is kept whole; else its entries in portions, so that all can be released. */
function refuseAll(message: Inbound, text: string, refuse: Refuse): void {
  const { readings, events, refusals } = message.decoded
  const why = { reason: 'unknown_gateway' as const, field: '', message: text, device: '' }
  if (message.payload.length <= 65_536) {
    refuse({ ...why, entries: readings.length + events.length, index: refusals.length })
    return
  }
  for (let i = 0; i < readings.length; i += ENTRIES_TOGETHER) {
    const part = readings.slice(i, i + ENTRIES_TOGETHER)
    refuse({ ...why, payload: `{"readings":[${part.map(readingText).join()}]}`, entries: part.length, index: refusals.length + i })
  }
  // An event's detail may have 4 KiB.
  for (let i = 0; i < events.length; i += 10) {
    const part = events.slice(i, i + 10)
    refuse({
      ...why,
      payload: `{"events":[${part.map(eventText).join()}]}`,
      entries: part.length,
      index: refusals.length + readings.length + i,
    })
  }
}

interface Wrong {
  reason: 'unknown_device' | 'wrong_gateway' | 'unknown_gateway' | 'impossible_time'
  field: 'device' | 'ts'
  message: string
}

/** Why an entry of this device and time cannot be taken from this message, or undefined. */
function wrongEntry(device: DeviceRoute | undefined, tsMs: number | undefined, routing: Routing): Wrong | undefined {
  if (device === undefined) return { reason: 'unknown_device', field: 'device', message: 'the registry has no such device' }
  const { identity, gateway } = routing.message
  if (identity === 'gateway' && device.gateway !== gateway) {
    return { reason: 'wrong_gateway', field: 'device', message: `registered under gateway ${device.gateway}, came through ${gateway}` }
  }
  const wrong = tsMs === undefined ? undefined : wrongTime(tsMs, routing.message.receivedAtMs, routing.oldestMs)
  return wrong === undefined ? undefined : { reason: 'impossible_time', field: 'ts', message: wrong }
}

/** The known gateway it came by; else the one the device is registered under. */
function gatewayOf(device: DeviceRoute, { message, registry }: Routing): string {
  return message.identity === 'gateway' || registry.gateways.has(message.gateway) ? message.gateway : device.gateway
}

/** Which bound a time breaks, or undefined. */
export function wrongTime(tsMs: number, receivedAtMs: number, oldestMs: number): string | undefined {
  if (tsMs < OLDEST_MS) return 'before the year 2000'
  if (tsMs < oldestMs) return `older than ${AGE_MS_MAX / DAY_MS} days`
  if (tsMs > receivedAtMs + AHEAD_MS_MAX) return `more than ${AHEAD_MS_MAX / 3_600_000} hours in the future`
  // Not a number compares as none of the above.
  return Number.isFinite(tsMs) ? undefined : 'not a time'
}

function routeReading(r: DecodedReading, i: number, routing: Routing): boolean {
  const { message, registry, sink } = routing
  const device = registry.devices.get(r.device)
  const wrong = wrongEntry(device, r.tsMs, routing)
  if (device === undefined || wrong !== undefined) {
    refuseReading(r, i, routing, wrong as Wrong)
    return false
  }
  let flags = r.flags
  if (r.tsMs === undefined) flags = flags === undefined ? [TIME_FILLED] : [...flags, TIME_FILLED]
  if (message.decoded.disposition === 'accept_flagged') flags = flags === undefined ? [HELD] : [...flags, HELD]
  const reading: Reading = {
    device: r.device,
    quantity: r.quantity,
    phase: r.phase ?? '',
    tariff: r.tariff ?? 0,
    channel: r.channel ?? '',
    tsMs: r.tsMs ?? message.receivedAtMs,
    value: r.value,
    flags,
    gateway: gatewayOf(device, routing),
    receivedAtMs: message.receivedAtMs,
    seq: message.decoded.seq,
    redelivered: message.redelivered,
  }
  const { zones } = device
  for (let z = 0; z < zones.length; z++) sink.reading(zones[z] as string, reading)
  return true
}

function routeEvent(e: DecodedEvent, i: number, routing: Routing): void {
  const { message, registry, sink } = routing
  if (e.event === 'gateway_online' || e.event === 'gateway_offline') {
    routeStatus(e, i, routing)
    return
  }
  const device = registry.devices.get(e.device)
  const wrong = wrongEntry(device, e.tsMs, routing)
  if (device === undefined || wrong !== undefined) {
    refuseEvent(e, i, routing, wrong as Wrong)
    return
  }
  const event: MeterEvent = {
    device: e.device,
    event: e.event,
    tsMs: e.tsMs ?? message.receivedAtMs,
    detail: e.detail,
    gateway: gatewayOf(device, routing),
    receivedAtMs: message.receivedAtMs,
  }
  for (const zone of device.zones) sink.event(zone, event)
}

/** A gateway came or went: told to every zone it serves. */
function routeStatus(e: DecodedEvent, i: number, routing: Routing): void {
  const { message, registry, sink } = routing
  const zones = registry.gateways.get(e.device)
  if (zones === undefined) {
    refuseEvent(e, i, routing, { reason: 'unknown_gateway', field: 'device', message: 'the registry has no such gateway' })
    return
  }
  if (message.identity === 'gateway' && e.device !== message.gateway) {
    const text = `the status of ${e.device} came through ${message.gateway}`
    refuseEvent(e, i, routing, { reason: 'wrong_gateway', field: 'device', message: text })
    return
  }
  const online = e.event === 'gateway_online'
  // A last will was written when the gateway connected: only its receipt says when it went, and a kept one not even that.
  const told =
    (online || message.retained) && e.tsMs !== undefined && wrongTime(e.tsMs, message.receivedAtMs, routing.oldestMs) === undefined
  const tsMs = told ? (e.tsMs as number) : message.receivedAtMs
  for (const zone of zones) {
    sink.gateway({ kind: 'gateway', zone, receivedAtMs: message.receivedAtMs, gateway: e.device, online, tsMs })
  }
}

function refuseReading(r: DecodedReading, i: number, { refusals, at }: Routing, { field, ...why }: Wrong): void {
  refusals({ ...why, field: `readings[${i}].${field}`, device: r.device, payload: readingText(r), entries: 1, index: at + i })
}

function refuseEvent(e: DecodedEvent, i: number, { refusals, at, message }: Routing, { field, ...why }: Wrong): void {
  const index = at + message.decoded.readings.length + i
  refusals({ ...why, field: `events[${i}].${field}`, device: e.device, payload: eventText(e), entries: 1, index })
}

function routePosition(
  p: NonNullable<Decoded['position']>,
  message: Inbound,
  registry: RegistryView,
  sink: RouteSink,
  refuse: Refuse,
): void {
  if (!registry.crews.has(p.crew)) {
    refuse({ reason: 'unknown_device', field: '', message: 'the registry has no such crew', device: p.crew, entries: 1, index: 0 })
    return
  }
  sink.position({
    crew: p.crew,
    tsMs: p.tsMs,
    lon: p.lon,
    lat: p.lat,
    accuracyM: p.accuracyM ?? null,
    batteryPct: p.batteryPct ?? null,
    speedKmh: p.speedKmh ?? null,
    receivedAtMs: message.receivedAtMs,
  })
}

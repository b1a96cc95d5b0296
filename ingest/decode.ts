// From a message's bytes to readings: which source it came by, which format it is in, which gateway sent it. Pure, apart from
// the state that formats keep between messages.
import type { Decoded, GatewayFormat } from './format.ts'
import { FORMATS } from './formats/index.ts'
import { isSmallDetail } from './formats/native.schema.ts'
import { Hearings } from './hearings.ts'
import { inRange, RANGES } from './ranges.ts'
import type { Identity, Settings, SourceSettings } from './settings.ts'
import { filterMatches } from './topic-filter.ts'

export interface RawMessage {
  topic: string
  payload: Buffer
  receivedAtMs: number
  retained: boolean
}

export interface DecodedMessage {
  /** Name of the format, '' when none fitted. */
  format: string
  /** '' when unknown. */
  gateway: string
  identity: Identity
  decoded: Decoded
}

export interface Decode {
  (message: RawMessage): DecodedMessage
  /** The same without any trace: the formats' state stays as it is. For messages that are older than the state. */
  again(message: RawMessage): DecodedMessage
  /** How strictly the identity of what came by this topic from this gateway in this format is taken. */
  identityOf(topic: string, gateway: string, format: string): Identity
}

/** Topics whose source is remembered; the table is emptied when full, so that made-up topics cost no memory. */
const ROUTES_MAX = 50_000
/** Gateways with settings of their own, and the state of their formats, are as many as the settings name; sources likewise. */
const ID_LENGTH_MAX = 200
const PAYLOAD_KEPT = 65_536

interface Route {
  source: SourceSettings | undefined
  state: Map<string, Map<string, unknown>>
}

/** A decoder with the settings built in; it owns the formats' state, one map for each source and format. */
export function createDecoder(settings: Settings, formats: readonly GatewayFormat[] = FORMATS): Decode {
  const byName = new Map(formats.map((f) => [f.name, f]))
  const states = new Map<SourceSettings | undefined, Map<string, Map<string, unknown>>>()
  const routes = new Map<string, Route>()
  const aliases = Object.keys(settings.devices).length > 0 ? new Map(Object.entries(settings.devices)) : undefined
  const formatSettings = settingsByFormat(settings, formats)
  const pinned = Object.keys(settings.gateways).length > 0

  const hearings = new Hearings()
  const routeOf = (topic: string): Route => {
    const known = routes.get(topic)
    if (known !== undefined) return known
    const source = settings.sources.find((s) => filterMatches(s.topic, topic))
    let state = states.get(source)
    if (state === undefined) {
      state = new Map()
      states.set(source, state)
    }
    if (routes.size >= ROUTES_MAX) routes.clear()
    const route = { source, state }
    routes.set(topic, route)
    return route
  }

  const ownOf = (gateway: string) => (pinned && Object.hasOwn(settings.gateways, gateway) ? settings.gateways[gateway] : undefined)
  // Broadcast radio and network servers speak for devices, native gateways for themselves.
  const identityOf = (source: SourceSettings | undefined, gateway: string, format: string): Identity =>
    ownOf(gateway)?.identity ?? source?.identity ?? (format === '' || format === 'native' ? 'gateway' : 'device')

  const decode = (message: RawMessage, trace: boolean): DecodedMessage => {
    const { topic, payload } = message
    const { source, state } = routeOf(topic)
    let format =
      source === undefined || source.format === 'auto' ? formats.find((f) => f.matches(topic, payload)) : byName.get(source.format)
    let gateway = source?.gateway ?? format?.gatewayOf(topic, payload) ?? ''
    const own = ownOf(gateway)
    if (own?.format !== undefined && own.format !== 'auto') format = byName.get(own.format) ?? format
    if (gateway.length > ID_LENGTH_MAX) gateway = gateway.slice(0, ID_LENGTH_MAX)
    const identity = identityOf(source, gateway, format?.name ?? '')
    if (format === undefined) return { format: '', gateway, identity, decoded: unknownFormat(message) }

    let kept = state.get(format.name)
    if (kept === undefined) {
      kept = new Map()
      state.set(format.name, kept)
    }
    const general = formatSettings.get(format.name) as Record<string, unknown>
    const decoded = safely(format, payload, {
      topic,
      receivedAtMs: message.receivedAtMs,
      retained: message.retained,
      state: trace ? kept : structuredClone(kept),
      settings: own === undefined ? general : { ...general, ...own },
    })
    if (format.name !== 'native') checkEntries(decoded)
    if (format.broadcast === true && trace) hearings.align(gateway, decoded.readings, message.receivedAtMs)
    if (aliases !== undefined) rename(decoded, aliases)
    return { format: format.name, gateway, identity, decoded }
  }
  return Object.assign((message: RawMessage) => decode(message, true), {
    again: (message: RawMessage) => decode(message, false),
    identityOf: (topic: string, gateway: string, format: string) => identityOf(routeOf(topic).source, gateway, format),
  })
}

/** What each format is told: common keys, then its own. */
function settingsByFormat(settings: Settings, formats: readonly GatewayFormat[]): Map<string, Record<string, unknown>> {
  return new Map(formats.map((f) => [f.name, { ...settings.common, ...settings.formats[f.name] }]))
}

/** A format must not throw; if one does, that is its fault and must not stop the neighbours' messages. */
function safely(format: GatewayFormat, payload: Buffer, context: Parameters<GatewayFormat['decode']>[1]): Decoded {
  try {
    return format.decode(payload, context)
  } catch (error) {
    return whole('malformed', `${format.name}: ${(error as Error).message.slice(0, 200)}`, payload)
  }
}

function unknownFormat(message: RawMessage): Decoded {
  return whole('unknown_format', 'no format recognises this topic and payload', message.payload)
}

function whole(reason: 'malformed' | 'unknown_format', message: string, payload: Buffer): Decoded {
  return {
    disposition: 'quarantine',
    reason,
    readings: [],
    events: [],
    flags: [],
    seq: -1,
    refusals: [{ reason, field: '', message, device: '', payload: payload.subarray(0, PAYLOAD_KEPT).toString('utf8') }],
  }
}

/** What holds for entries of every format: an id of sane length, a value that can be, a small detail. The native format has done it itself. */
function checkEntries(d: Decoded): void {
  for (const e of d.events) if (e.detail !== undefined && !isSmallDetail(e.detail)) e.detail = { omitted: 'too large or too deep' }
  const kept = d.readings.filter((r, i) => {
    const id = r.device.length > 0 && r.device.length <= ID_LENGTH_MAX
    if (id && inRange(r.quantity, r.value)) return true
    d.refusals.push({
      reason: id ? 'impossible_value' : 'bad_schema',
      field: `readings[${i}].${id ? 'value' : 'device'}`,
      message: id
        ? `${r.value} is outside ${RANGES[r.quantity].join(' to ')} for ${r.quantity}`
        : `a device id has 1 to ${ID_LENGTH_MAX} characters`,
      device: r.device.slice(0, ID_LENGTH_MAX),
      payload: JSON.stringify({ ...r, device: r.device.slice(0, ID_LENGTH_MAX) }),
    })
    return false
  })
  if (kept.length === d.readings.length) return
  d.readings = kept
  d.disposition = kept.length > 0 || d.events.length > 0 ? 'accept_partial' : 'quarantine'
  if (d.reason === '') d.reason = d.refusals.at(-1)?.reason ?? ''
}

function rename(d: Decoded, aliases: ReadonlyMap<string, string>): void {
  for (const list of [d.readings, d.events]) {
    for (const entry of list) {
      const name = aliases.get(entry.device)
      if (name !== undefined) entry.device = name
    }
  }
  const crew = d.position === undefined ? undefined : aliases.get(d.position.crew)
  if (d.position !== undefined && crew !== undefined) d.position.crew = crew
}

// What a gateway format is: a topic filter and a pure function from bytes to readings. One file per format in formats/.

import type { Refusal } from '#model/outcome.ts'
import type { EventName, Phase, Quantity } from '#model/quantity.ts'

/**
 * What a message turned out to be (the dispositions of the contract): kept (accept, accept_partial, accept_flagged, accept_other,
 * event, position), refused (quarantine, reject) or understood and passed over (the rest).
 */
export const DISPOSITIONS = [
  'accept',
  'accept_partial',
  'accept_flagged',
  'accept_other',
  'event',
  'position',
  'quarantine',
  'reject',
  'ignore',
  'ignore_stale',
  'duplicate',
  'status',
  'session',
  'metadata',
] as const
export type Disposition = (typeof DISPOSITIONS)[number]

export interface DecodedReading {
  device: string
  quantity: Quantity
  value: number
  /** Epoch ms; undefined when the message has no usable time: ingest then fills the time of receipt and flags it. */
  tsMs: number | undefined
  phase?: Phase
  tariff?: number
  channel?: string
  flags?: string[]
}

export interface DecodedEvent {
  device: string
  event: EventName
  tsMs: number | undefined
  detail?: Record<string, unknown>
}

/** An entry of a message that could not be used; the rest of the message is unharmed. */
export interface DecodedRefusal {
  reason: Refusal
  /** Path of the field: `readings[3].ts`. */
  field: string
  message: string
  device: string
  /** The refused entry as text. */
  payload: string
  /** How many readings or events it stands for; 1 when left out, 0 for a field beside them. */
  entries?: number
}

export interface Decoded {
  disposition: Disposition
  /** Why, as a short stable word: `malformed`, `no_core_reading`, `retained_duplicate`. Empty for a plain accept. */
  reason: string
  readings: DecodedReading[]
  events: DecodedEvent[]
  /** Alarms of the whole message that must not be lost: leak, burst, backflow, battery_low, tamper, gateway_offline ... */
  flags: string[]
  refusals: DecodedRefusal[]
  /** The gateway's message counter, -1 without one. */
  seq: number
  /** Time of receipt carried in the message; honoured only in a simulation (METERSTREAM_CLOCK=messages). */
  receivedAtMs?: number
  /** The message taught the format something that later messages need: the key under which the newest such message is kept. */
  learned?: string
  /** `status`: the gateway came or went. */
  gatewayOnline?: boolean
  /** `position`: a crew. */
  position?: { crew: string; tsMs: number; lon: number; lat: number; accuracyM?: number; batteryPct?: number; speedKmh?: number }
}

export interface MessageContext {
  topic: string
  receivedAtMs: number
  retained: boolean
  /** The integrator's settings for this format (zones, field maps, multipliers); {} when none. */
  settings: Record<string, unknown>
  /**
   * State that the format keeps between messages of one source (Sparkplug aliases, zigbee2mqtt exposes). Plain data, owned by the
   * caller, bounded by the format.
   */
  state: Map<string, unknown>
}

export interface GatewayFormat {
  /** File name, metric label, the value operators may pin. */
  readonly name: string
  /** Radio that several gateways may hear: the same telegram by several of them is one. */
  readonly broadcast?: boolean
  /** MQTT topic filter this format usually arrives on, for the default source configuration. */
  readonly topics: readonly string[]
  /** Cheap: may this message be ours? Looks at the topic and, if it must, at the first bytes. */
  matches(topic: string, payload: Buffer): boolean
  /** The gateway id, from the topic or the payload; '' when unknown. */
  gatewayOf(topic: string, payload: Buffer): string
  /** Never throws on bad data: a refusal is a value. */
  decode(payload: Buffer, context: MessageContext): Decoded
}

// Entries of the quarantine topic for what ingest refuses: the whole refused entry, so that it can be mended and released.
import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import type { QuarantineEntry, Refusal } from '#model/outcome.ts'
import { toIso } from '#model/time.ts'
import type { DecodedEvent, DecodedReading } from './format.ts'

const PAYLOAD_BYTES_MAX = 65_536
const TEXT_MAX = 500

/** Where a refused entry came from. */
export interface Origin {
  topic: string
  payload: Buffer
  gateway: string
  format: string
  receivedAtMs: number
  /** -1 when the gateway does not count. */
  seq: number
  /** Place among the messages of the same time of receipt. */
  place?: number
  redelivered: boolean
}

export interface Refused {
  reason: Refusal
  field: string
  message: string
  device: string
  /** The entry as text; left out for the whole message, whose bytes are then kept. */
  payload?: string
  entries: number
  /** Place within the message: two equal entries of one message are two. */
  index: number
}

/**
 * The id is derived: the same entry of the same message has the same id, also when the broker delivers it again. A gateway that does not
 * count its messages is told apart by the time of receipt, so a redelivery of its message is another entry, marked `redelivered`.
 */
export function quarantineEntry(origin: Origin, r: Refused): QuarantineEntry {
  const kept = keep(r.payload === undefined ? origin.payload : Buffer.from(r.payload, 'utf8'))
  const message = origin.seq >= 0 ? `s${origin.seq}` : `t${origin.receivedAtMs}.${origin.place ?? 0}`
  const id = hash('sha256', JSON.stringify([origin.gateway, origin.topic, message, r.index, r.reason, kept.payload]), 'hex').slice(0, 32)
  return {
    id,
    reason: r.reason,
    field: clean(r.field),
    message: clean(r.message),
    gateway: clean(origin.gateway),
    device: clean(r.device),
    topic: clean(origin.topic),
    format: origin.format,
    receivedAtMs: origin.receivedAtMs,
    entries: r.entries,
    ...kept,
    redelivered: origin.redelivered,
  }
}

function keep(bytes: Buffer): Pick<QuarantineEntry, 'payload' | 'encoding' | 'truncated'> {
  // A null character is valid UTF-8, but PostgreSQL stores none.
  if (isUtf8(bytes) && !bytes.includes(0)) {
    if (bytes.length <= PAYLOAD_BYTES_MAX) return { payload: bytes.toString('utf8'), encoding: 'utf8', truncated: false }
    // Cut before the first byte of a character, not inside of one.
    let end = PAYLOAD_BYTES_MAX
    while (((bytes[end] as number) & 0xc0) === 0x80) end--
    return { payload: bytes.subarray(0, end).toString('utf8'), encoding: 'utf8', truncated: true }
  }
  const cut = bytes.subarray(0, PAYLOAD_BYTES_MAX)
  return { payload: cut.toString('base64'), encoding: 'base64', truncated: cut.length < bytes.length }
}

/** Text of a stranger that goes to stores and pages: no null characters, no half characters, bounded. */
function clean(text: string): string {
  return text.slice(0, TEXT_MAX).toWellFormed().replaceAll('\u0000', '\ufffd')
}

/** A reading as an entry of a native message: mended, it can be sent again as one. */
export function readingText(r: DecodedReading): string {
  const { tsMs, device, quantity, value, ...rest } = r
  return JSON.stringify({ device, quantity, ts: isoOf(tsMs), value, ...rest })
}

export function eventText(e: DecodedEvent): string {
  const { tsMs, device, event, ...rest } = e
  return JSON.stringify({ device, event, ts: isoOf(tsMs), ...rest })
}

/** A time that no calendar has is left as its number. */
function isoOf(ms: number | undefined): string | number | null {
  if (ms === undefined) return null
  return Math.abs(ms) <= 8.64e15 ? toIso(ms) : ms
}

// What travels from the field to the utility: readings and events of a gateway, and whole messages.
import type { EventName, Quantity } from '#model/quantity.ts'
import { toIso } from '#model/time.ts'

export interface RawReading {
  device: string
  quantity: Quantity
  tsMs: number
  value: number
}

export interface RawEvent {
  device: string
  event: EventName
  tsMs: number
  detail?: Record<string, unknown>
}

/** A message as it goes out, in order of receipt. */
export type Message =
  | { kind: 'readings'; atMs: number; gateway: string; seq: number; sentAtMs: number; readings: RawReading[]; events: RawEvent[] }
  | { kind: 'status'; atMs: number; gateway: string; online: boolean }
  | { kind: 'clock'; atMs: number; gateway: string }
  | { kind: 'crew'; atMs: number; crew: string; lon: number; lat: number; speedKmh: number; batteryPct: number }

export interface Packet {
  topic: string
  payload: string
  retain: boolean
}

/** The most entries a native message may hold (contract, section 1). */
export const ENTRIES_MAX = 5_000

/** A message in the native MQTT format; `receivedAt` is honoured in a simulation only. */
export function toPacket(m: Message): Packet {
  const receivedAt = toIso(m.atMs)
  if (m.kind === 'crew') {
    const body = {
      _type: 'location',
      tid: m.crew.slice(-2),
      lat: m.lat,
      lon: m.lon,
      tst: Math.floor(m.atMs / 1000),
      acc: 8,
      vel: Math.round(m.speedKmh),
      batt: m.batteryPct,
    }
    return { topic: `crews/${m.crew}`, payload: JSON.stringify(body), retain: true }
  }
  const topic = `telemetry/v1/${m.gateway}/${m.kind}`
  if (m.kind === 'status') return { topic, payload: JSON.stringify({ online: m.online, ts: receivedAt, receivedAt }), retain: true }
  if (m.kind === 'clock') return { topic, payload: JSON.stringify({ now: receivedAt, receivedAt }), retain: false }
  const readings = m.readings.map((r) => ({ device: r.device, quantity: r.quantity, ts: toIso(r.tsMs), value: r.value }))
  const body: Record<string, unknown> = { seq: m.seq, sentAt: toIso(m.sentAtMs), receivedAt, readings }
  if (m.events.length > 0) {
    body.events = m.events.map((e) => ({
      device: e.device,
      event: e.event,
      ts: toIso(e.tsMs),
      ...(e.detail === undefined ? {} : { detail: e.detail }),
    }))
  }
  return { topic, payload: JSON.stringify(body), retain: false }
}

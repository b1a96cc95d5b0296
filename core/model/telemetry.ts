// The log's records. A data record holds a batch of readings of one zone, in columns: encoding and decoding cost
// about a tenth of JSON. Everything that a fold needs besides readings enters the log as JSON control records.
import type { Operation, ZoneDef } from './asset.ts'
import type { Edit } from './edit.ts'
import { PHASES, type Phase, QUANTITIES, type Quantity, quantityCode } from './quantity.ts'
import type { MeterEvent, Reading } from './reading.ts'

/** Ticks go to every partition: time goes on when readings stop. */
export interface TickRecord {
  kind: 'tick'
  nowMs: number
  ingest: string
  /** Health of our own collection: an unhealthy tick must never be read as silence of the meters. */
  brokerConnected: boolean
  gatewaysOnline: number
}

/** A zone as the registry knows it from here on. */
export interface ZoneRecord {
  kind: 'zone'
  zone: string
  receivedAtMs: number
  def: ZoneDef
}

/** What the control room knows, from here on. */
export interface OperationRecord {
  kind: 'operation'
  zone: string
  receivedAtMs: number
  operation: Operation
}

/** A gateway's status or last will, sent to every zone it serves. */
export interface GatewayRecord {
  kind: 'gateway'
  zone: string
  receivedAtMs: number
  gateway: string
  online: boolean
  tsMs: number
}

/** Detector settings of a zone, from here on: detector name -> settings. */
export interface SettingsRecord {
  kind: 'settings'
  zone: string
  receivedAtMs: number
  settings: Record<string, unknown>
}

/** Intervals written anew; see edit.ts. */
export interface EditRecord {
  kind: 'edit'
  zone: string
  receivedAtMs: number
  edit: Edit
}

export interface DataRecord {
  kind: 'data'
  zone: string
  readings: Reading[]
  events: MeterEvent[]
}

export type ControlRecord = TickRecord | ZoneRecord | OperationRecord | GatewayRecord | SettingsRecord | EditRecord
export type LogRecord = DataRecord | ControlRecord

const MAGIC = 0x4d53 // "MS"
const VERSION = 1
const KIND_DATA = 1
const KIND_CONTROL = 2

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** At most this many readings a record: row indices of the string tables are 16 bits. */
export const RECORD_READINGS_MAX = 5_000

/** Encodes a control record. */
export function encodeControl(record: ControlRecord): Buffer {
  const body = encoder.encode(JSON.stringify(record))
  const out = Buffer.allocUnsafe(4 + body.length)
  out.writeUInt16LE(MAGIC, 0)
  out.writeUInt8(VERSION, 2)
  out.writeUInt8(KIND_CONTROL, 3)
  out.set(body, 4)
  return out
}

/**
 * Encodes readings and events of one zone, in order. Layout, little endian, 8-byte aligned columns:
 * u16 magic, u8 version, u8 kind, u32 tables length, u32 rows n, u32 series count s, u32 sources count k, u32 reserved;
 * tables (JSON: strings, series, sources, extras, events), padding; f64 ts[n]; f64 value[n]; u16 series[n]; u16 source[n]; u16 extra[n].
 * @throws RangeError with more than RECORD_READINGS_MAX readings.
 */
export function encodeData(readings: readonly Reading[], events: readonly MeterEvent[] = []): Buffer {
  const n = readings.length
  if (n > RECORD_READINGS_MAX) throw new RangeError(`a record holds at most ${RECORD_READINGS_MAX} readings, got ${n}`)
  // Series and sources are interned by identity; in a message of one gateway there is one source and mostly one row a series.
  const series: (string | number)[] = [] // device, quantity code, phase, tariff, channel, ... flat
  // Plain series of a device hang on its first one: a look-up by the device's own text needs no key to be built for each reading.
  const firstOfDevice = new Map<string, number>()
  const codes: number[] = [] // by series; -1 when it is not plain
  const nextOfDevice: number[] = [] // by series; -1 at the end
  const qualified = new Map<string, number>()
  const sources: (string | number)[] = [] // gateway, receivedAtMs, seq, redelivered, ... flat
  const sourceIndex = new Map<string, number>()
  const extras: string[][] = [[]]
  const extraIndex = new Map<string, number>()
  const seriesCol = new Uint16Array(n)
  const sourceCol = new Uint16Array(n)
  const extraCol = new Uint16Array(n)
  let lastGateway = ''
  let lastReceived = -1
  let lastSeq = -2
  let lastRedelivered = false
  let lastSource = 0
  let lastQuantity = ''
  let lastCode = 0
  for (let i = 0; i < n; i++) {
    const r = readings[i] as Reading
    if (r.quantity !== lastQuantity) {
      lastQuantity = r.quantity
      lastCode = quantityCode(r.quantity) as number
    }
    const code = lastCode
    let s: number | undefined
    if (r.phase === '' && r.tariff === 0 && r.channel === '') {
      const first = firstOfDevice.get(r.device)
      s = first
      while (s !== undefined && codes[s] !== code) s = nextOfDevice[s] === -1 ? undefined : nextOfDevice[s]
      if (s === undefined) {
        s = codes.length
        codes.push(code)
        // The newest comes first: readings of one kind come together.
        nextOfDevice.push(first ?? -1)
        firstOfDevice.set(r.device, s)
        series.push(r.device, code)
      }
    } else {
      const key = JSON.stringify([r.device, code, r.phase, r.tariff, r.channel])
      s = qualified.get(key)
      if (s === undefined) {
        s = codes.length
        codes.push(-1)
        nextOfDevice.push(-1)
        qualified.set(key, s)
        series.push(r.device, -1 - code, r.phase, r.tariff, r.channel)
      }
    }
    seriesCol[i] = s
    if (r.gateway !== lastGateway || r.receivedAtMs !== lastReceived || r.seq !== lastSeq || r.redelivered !== lastRedelivered) {
      lastGateway = r.gateway
      lastReceived = r.receivedAtMs
      lastSeq = r.seq
      lastRedelivered = r.redelivered
      const sk = `${r.gateway}|${r.receivedAtMs}|${r.seq}|${r.redelivered ? 1 : 0}`
      let k = sourceIndex.get(sk)
      if (k === undefined) {
        k = sourceIndex.size
        sourceIndex.set(sk, k)
        sources.push(r.gateway, r.receivedAtMs, r.seq, r.redelivered ? 1 : 0)
      }
      lastSource = k
    }
    sourceCol[i] = lastSource
    if (r.flags !== undefined && r.flags.length > 0) {
      const fk = JSON.stringify(r.flags)
      let e = extraIndex.get(fk)
      if (e === undefined) {
        e = extras.length
        extras.push([...r.flags])
        extraIndex.set(fk, e)
      }
      extraCol[i] = e
    }
  }
  const tables = encoder.encode(
    JSON.stringify(
      events.length === 0 && extras.length === 1 ? { s: series, k: sources } : { s: series, k: sources, x: extras, e: events },
    ),
  )
  const head = 24
  const columnsAt = (head + tables.length + 7) & ~7
  const total = columnsAt + n * 16 + n * 6
  const buffer = new ArrayBuffer(total)
  const out = Buffer.from(buffer)
  out.writeUInt16LE(MAGIC, 0)
  out.writeUInt8(VERSION, 2)
  out.writeUInt8(KIND_DATA, 3)
  out.writeUInt32LE(tables.length, 4)
  out.writeUInt32LE(n, 8)
  out.writeUInt32LE(codes.length, 12)
  out.writeUInt32LE(sourceIndex.size, 16)
  out.writeUInt32LE(0, 20)
  out.set(tables, head)
  const ts = new Float64Array(buffer, columnsAt, n)
  const value = new Float64Array(buffer, columnsAt + n * 8, n)
  for (let i = 0; i < n; i++) {
    const r = readings[i] as Reading
    ts[i] = r.tsMs
    value[i] = r.value
  }
  new Uint16Array(buffer, columnsAt + n * 16, n).set(seriesCol)
  new Uint16Array(buffer, columnsAt + n * 18, n).set(sourceCol)
  new Uint16Array(buffer, columnsAt + n * 20, n).set(extraCol)
  return out
}

/**
 * Decodes a record's value; `zone` is the record's key.
 * @throws Error when the bytes are not a record of a known version: the caller quarantines the record and goes on.
 */
export function decodeRecord(zone: string, bytes: Buffer): LogRecord {
  if (bytes.length < 4 || bytes.readUInt16LE(0) !== MAGIC) throw new Error('not a telemetry record: wrong magic')
  if (bytes.readUInt8(2) !== VERSION) throw new Error(`telemetry record version ${bytes.readUInt8(2)} is not known`)
  const kind = bytes.readUInt8(3)
  if (kind === KIND_CONTROL) return JSON.parse(decoder.decode(bytes.subarray(4))) as ControlRecord
  if (kind !== KIND_DATA || bytes.length < 24) throw new Error(`telemetry record kind ${kind} is not known`)
  const tablesLength = bytes.readUInt32LE(4)
  const n = bytes.readUInt32LE(8)
  const columnsAt = (24 + tablesLength + 7) & ~7
  if (bytes.length !== columnsAt + n * 22) throw new Error(`telemetry record has ${bytes.length} bytes, expected ${columnsAt + n * 22}`)
  const tables = JSON.parse(decoder.decode(bytes.subarray(24, 24 + tablesLength))) as {
    s: (string | number)[]
    k: (string | number)[]
    x?: string[][]
    e?: MeterEvent[]
  }
  // Columns need an aligned buffer; a Kafka client hands out slices at any offset.
  let { buffer, byteOffset } = bytes
  if (byteOffset % 8 !== 0) {
    buffer = bytes.buffer.slice(byteOffset, byteOffset + bytes.length)
    byteOffset = 0
  }
  const at = byteOffset + columnsAt
  const ts = new Float64Array(buffer, at, n)
  const value = new Float64Array(buffer, at + n * 8, n)
  const seriesCol = new Uint16Array(buffer, at + n * 16, n)
  const sourceCol = new Uint16Array(buffer, at + n * 18, n)
  const extraCol = new Uint16Array(buffer, at + n * 20, n)
  const seriesAt: number[] = []
  for (let p = 0; p < tables.s.length; p += (tables.s[p + 1] as number) < 0 ? 5 : 2) seriesAt.push(p)
  const extras = tables.x
  const readings: Reading[] = new Array(n)
  for (let i = 0; i < n; i++) {
    const p = seriesAt[seriesCol[i] as number] as number
    const code = tables.s[p + 1] as number
    const plain = code >= 0
    const k = (sourceCol[i] as number) * 4
    const e = extraCol[i] as number
    readings[i] = {
      device: tables.s[p] as string,
      quantity: QUANTITIES[plain ? code : -1 - code] as Quantity,
      phase: plain ? PHASES[0] : (tables.s[p + 2] as Phase),
      tariff: plain ? 0 : (tables.s[p + 3] as number),
      channel: plain ? '' : (tables.s[p + 4] as string),
      tsMs: ts[i] as number,
      value: value[i] as number,
      flags: e === 0 || extras === undefined ? undefined : extras[e],
      gateway: tables.k[k] as string,
      receivedAtMs: tables.k[k + 1] as number,
      seq: tables.k[k + 2] as number,
      redelivered: tables.k[k + 3] === 1,
    }
  }
  return { kind: 'data', zone, readings, events: tables.e ?? [] }
}

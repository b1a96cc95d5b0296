// The payload of Eclipse Sparkplug B (specification 3.0, chapter 6; sparkplug_b.proto) from its bytes, without what meters do not
// send: data sets, files, extensions. Pure.
import { isUtf8 } from 'node:buffer'
import { gunzipSync, inflateSync } from 'node:zlib'
import { PAYLOAD_BYTES_MAX } from './decoding.ts'
import { readFields, WireError, type WireField } from './protobuf.ts'

export interface SparkplugMetric {
  name: string | undefined
  /** Decimal: aliases have 64 bits. */
  alias: string | undefined
  tsMs: number | undefined
  /** Index of the data types, 0 when left out as in DATA messages. */
  datatype: number
  historical: boolean
  isNull: boolean
  /** Field of the value in the protocol, and the value as it lies there; `metricValue` reads it by type. */
  raw: WireField | undefined
  properties: Map<string, string | number | boolean>
  /** Members of a template instance; undefined for other metrics and for definitions. */
  members: SparkplugMetric[] | undefined
}

export interface SparkplugPayload {
  tsMs: number | undefined
  seq: number
  metrics: SparkplugMetric[]
}

const FIELDS_MAX = 20_000
const METRICS_MAX = 5_000
const DEPTH_MAX = 4
const INFLATED_MAX = PAYLOAD_BYTES_MAX
const COMPRESSED = 'SPBV1.0_COMPRESSED'

const INT_BITS: Readonly<Record<number, number>> = { 1: 8, 2: 16, 3: 32, 4: 64 }
const BOOLEAN = 11

/**
 * @throws WireError when the bytes are no payload, too large, or inflate to too much.
 */
export function decodeSparkplug(bytes: Buffer): SparkplugPayload {
  const outer = payloadOf(bytes)
  if (outer.uuid !== COMPRESSED) return outer.payload
  const deflated = outer.payload.metrics.some((m) => m.name === 'algorithm' && textValue(m)?.toUpperCase() === 'DEFLATE')
  try {
    const limit = { maxOutputLength: INFLATED_MAX }
    return payloadOf(deflated ? inflateSync(outer.body, limit) : gunzipSync(outer.body, limit)).payload
  } catch (error) {
    throw new WireError(`compressed body: ${(error as Error).message.slice(0, 100)}`)
  }
}

function payloadOf(bytes: Buffer): { payload: SparkplugPayload; uuid: string; body: Buffer } {
  if (bytes.length > PAYLOAD_BYTES_MAX) throw new WireError(`${bytes.length} bytes, at most ${PAYLOAD_BYTES_MAX} are allowed`)
  const payload: SparkplugPayload = { tsMs: undefined, seq: -1, metrics: [] }
  let uuid = ''
  let body = Buffer.alloc(0)
  for (const f of readFields(bytes, FIELDS_MAX)) {
    if (f.field === 1) payload.tsMs = timeOf(f)
    else if (f.field === 2) {
      if (payload.metrics.length >= METRICS_MAX) throw new WireError(`more than ${METRICS_MAX} metrics`)
      payload.metrics.push(metricOf(f, 0))
    } else if (f.field === 3 && f.wire === 0) payload.seq = Number(f.varint)
    else if (f.field === 4) uuid = text(f)
    else if (f.field === 5 && f.wire === 2) body = Buffer.from(f.bytes)
  }
  return { payload, uuid, body }
}

function metricOf(field: WireField, depth: number): SparkplugMetric {
  const m: SparkplugMetric = {
    name: undefined,
    alias: undefined,
    tsMs: undefined,
    datatype: 0,
    historical: false,
    isNull: false,
    raw: undefined,
    properties: new Map(),
    members: undefined,
  }
  for (const f of readFields(message(field), FIELDS_MAX)) {
    if (f.field === 1) m.name = text(f)
    else if (f.field === 2 && f.wire === 0) m.alias = String(f.varint)
    else if (f.field === 3) m.tsMs = timeOf(f)
    else if (f.field === 4 && f.wire === 0) m.datatype = Number(f.varint)
    else if (f.field === 5) m.historical = f.varint !== 0n
    else if (f.field === 7) m.isNull = f.varint !== 0n
    else if (f.field === 9) m.properties = propertiesOf(f)
    else if (f.field === 18) m.members = templateOf(f, depth)
    else if (f.field >= 10 && f.field <= 15) m.raw = f
  }
  return m
}

/** Members of a template instance; definitions (in births) give none. */
function templateOf(field: WireField, depth: number): SparkplugMetric[] | undefined {
  if (depth >= DEPTH_MAX) throw new WireError('templates nested too deep')
  const members: SparkplugMetric[] = []
  for (const f of readFields(message(field), FIELDS_MAX)) {
    if (f.field === 5 && f.varint !== 0n) return undefined
    if (f.field === 2 && members.length < METRICS_MAX) members.push(metricOf(f, depth + 1))
  }
  return members
}

function propertiesOf(field: WireField): Map<string, string | number | boolean> {
  const keys: string[] = []
  const values: (string | number | boolean | undefined)[] = []
  for (const f of readFields(message(field), FIELDS_MAX)) {
    if (f.field === 1) keys.push(text(f))
    else if (f.field === 2) values.push(propertyOf(f))
  }
  const properties = new Map<string, string | number | boolean>()
  for (const [i, key] of keys.entries()) {
    const value = values[i]
    if (value !== undefined) properties.set(key, value)
  }
  return properties
}

function propertyOf(field: WireField): string | number | boolean | undefined {
  let datatype = 0
  let raw: WireField | undefined
  for (const f of readFields(message(field), FIELDS_MAX)) {
    if (f.field === 1 && f.wire === 0) datatype = Number(f.varint)
    // Values of properties lie seven fields earlier than those of metrics: int 3, long 4, float 5, double 6, boolean 7, string 8.
    else if (f.field >= 3 && f.field <= 8) raw = { ...f, field: f.field + 7 }
  }
  return raw === undefined ? undefined : metricValue(raw, datatype)
}

/** A metric's value by its type: that of the metric or, when it has none, that of its birth. Undefined for bytes, sets and the like. */
export function metricValue(raw: WireField, datatype: number): number | string | boolean | undefined {
  switch (raw.field) {
    case 10:
    case 11:
      if (raw.wire !== 0) return undefined
      if (datatype === BOOLEAN) return raw.varint !== 0n
      return integer(raw.varint, datatype, raw.field === 10)
    case 12:
      return raw.wire === 5 ? shortest(raw.bytes.readFloatLE()) : undefined
    case 13:
      return raw.wire === 1 ? raw.bytes.readDoubleLE() : undefined
    case 14:
      return raw.wire === 0 ? raw.varint !== 0n : undefined
    case 15:
      return raw.wire === 2 && isUtf8(raw.bytes) ? raw.bytes.toString('utf8') : undefined
    default:
      return undefined
  }
}

/** Signed types are two's complement in an unsigned field, some encoders cut them to their own width. */
function integer(value: bigint, datatype: number, short: boolean): number {
  const bits = INT_BITS[datatype]
  if (bits === undefined) return Number(value)
  const wide = short && value > 0xffffffffn ? 64 : short ? 32 : 64
  const narrow = value < 1n << BigInt(bits) ? bits : wide
  return Number(BigInt.asIntN(narrow, value))
}

/** The shortest decimal that is the same single-precision number: 3.7, not 3.700000047683716. */
function shortest(value: number): number {
  if (!Number.isFinite(value)) return value
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits))
    if (Math.fround(short) === value) return short
  }
  return value
}

function textValue(m: SparkplugMetric): string | undefined {
  const v = m.raw === undefined ? undefined : metricValue(m.raw, m.datatype)
  return typeof v === 'string' ? v : undefined
}

function message(f: WireField): Buffer {
  if (f.wire !== 2) throw new WireError('a message was expected')
  return f.bytes
}

function text(f: WireField): string {
  if (f.wire !== 2 || !isUtf8(f.bytes)) throw new WireError('a text was expected')
  return f.bytes.toString('utf8')
}

function timeOf(f: WireField): number | undefined {
  const ms = Number(f.varint)
  return f.wire === 0 && ms > 0 && ms < 8.64e15 ? ms : undefined
}

// DLMS/COSEM push messages (IEC 62056-5-3 data-notification, IEC 62056-6-2 data types) in HDLC (IEC 62056-46), wired M-Bus or no frames.
// Gives OBIS codes with values, scalers and units, whatever list structure the meter maker has chosen. Pure.
import { crcX25, sum8 } from './hex.ts'
import { type Obis, obisOfBytes } from './obis.ts'

export type DlmsValue =
  | { kind: 'null' }
  | { kind: 'number'; value: number; type: number }
  | { kind: 'bytes'; bytes: Buffer; type: number }
  | { kind: 'list'; items: DlmsValue[]; type: number }

export interface DlmsItem {
  obis: Obis
  value: DlmsValue
  /** Power of ten; undefined when the frame has none. */
  scaler: number | undefined
  /** Number of the unit in the table of physical units. */
  unit: number | undefined
}

export interface DlmsTime {
  /** The clock's digits as if they were UTC. */
  naiveMs: number
  /** Minutes to add to the digits to get UTC; undefined when the clock does not say. */
  deviationMin: number | undefined
}

export class DlmsError extends Error {
  readonly reason: 'malformed' | 'bad_checksum' | 'unknown_format'
  constructor(reason: 'malformed' | 'bad_checksum' | 'unknown_format', message: string) {
    super(message)
    this.reason = reason
  }
}

const DEPTH_MAX = 16
const VALUES_MAX = 3_000
const DATA_NOTIFICATION = 0x0f
const CIPHERED: ReadonlySet<number> = new Set([0xdb, 0xdc, 0xdd, 0xde, 0xdf])
const BLOCK_TRANSFER = 0xe0

/**
 * The notification's time and body.
 * @throws DlmsError
 */
export function decodeNotification(bytes: Buffer): { time: DlmsTime | undefined; body: DlmsValue } {
  let apdu = unframe(bytes)
  if (apdu[0] === 0xe6 && (apdu[1] === 0xe7 || apdu[1] === 0xe6)) apdu = apdu.subarray(3)
  const tag = apdu[0]
  if (tag !== undefined && CIPHERED.has(tag)) throw new DlmsError('unknown_format', 'the frame is enciphered: decipher it in the gateway')
  if (tag === BLOCK_TRANSFER) throw new DlmsError('unknown_format', 'one block of a block transfer: join the blocks in the gateway')
  if (tag !== DATA_NOTIFICATION) throw new DlmsError('malformed', `no data-notification (0F) but ${tag?.toString(16) ?? 'nothing'}`)
  let at = 5
  let time: DlmsTime | undefined
  if (apdu[at] === 0x09 && apdu[at + 1] === 0x0c) at++
  if (apdu[at] === 0x0c) {
    if (apdu.length < at + 13) throw new DlmsError('malformed', 'cut off within the time')
    time = dateTime(apdu.subarray(at + 1, at + 13))
    at += 13
  } else if (apdu[at] === 0x00) at++
  else throw new DlmsError('malformed', 'no time where one was expected')
  const reader = new Reader(apdu, at)
  return { time, body: reader.value(0) }
}

/** The APDU inside the frames; segments are joined. */
function unframe(bytes: Buffer): Buffer {
  if (bytes[0] === 0x7e) return unframeHdlc(bytes)
  if (bytes[0] === 0x68 && bytes[3] === 0x68 && bytes[1] === bytes[2]) return unframeMBus(bytes)
  return bytes
}

function unframeHdlc(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    if (bytes[at] === 0x7e) {
      at++
      continue
    }
    if (at + 2 > bytes.length || ((bytes[at] as number) & 0xf0) !== 0xa0) throw new DlmsError('malformed', 'no HDLC frame of type 3')
    const length = (((bytes[at] as number) & 0x07) << 8) | (bytes[at + 1] as number)
    const frame = bytes.subarray(at, at + length)
    if (frame.length < length || length < 9) throw new DlmsError('malformed', `the frame says ${length} bytes, there are ${frame.length}`)
    if (crcX25(frame.subarray(0, -2)) !== frame.readUInt16LE(length - 2))
      throw new DlmsError('bad_checksum', 'the frame check sequence is wrong')
    let head = 2
    for (let address = 0; address < 2; address++) {
      while (head < length && ((frame[head] as number) & 1) === 0) head++
      head++
    }
    // Control byte and header check sequence.
    parts.push(frame.subarray(head + 3, -2))
    at += length
  }
  return Buffer.concat(parts)
}

function unframeMBus(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  let at = 0
  while (at < bytes.length) {
    const length = bytes[at + 1]
    if (bytes[at] !== 0x68 || length === undefined || length !== bytes[at + 2] || bytes[at + 3] !== 0x68)
      throw new DlmsError('malformed', 'no M-Bus frame')
    const body = bytes.subarray(at + 4, at + 4 + length)
    if (body.length < length || length < 5 || bytes[at + 5 + length] !== 0x16)
      throw new DlmsError('malformed', 'the M-Bus frame is cut off')
    if (sum8(body) !== bytes[at + 4 + length]) throw new DlmsError('bad_checksum', 'the checksum of the M-Bus frame is wrong')
    // Control, address, control information, two transport addresses.
    parts.push(body.subarray(5))
    at += length + 6
  }
  return Buffer.concat(parts)
}

/** Sizes of fixed types; those of more than six bytes and all others are read by hand. */
const INTEGERS: Readonly<Record<number, [bytes: number, signed: boolean]>> = {
  3: [1, false],
  5: [4, true],
  6: [4, false],
  15: [1, true],
  16: [2, true],
  17: [1, false],
  18: [2, false],
  22: [1, false],
}
const OCTETS: Readonly<Record<number, number>> = { 13: 1, 25: 12, 26: 5, 27: 4 }

class Reader {
  readonly #bytes: Buffer
  #at: number
  #count = 0
  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  value(depth: number): DlmsValue {
    if (depth > DEPTH_MAX) throw new DlmsError('malformed', 'nested too deep')
    if (++this.#count > VALUES_MAX) throw new DlmsError('malformed', `more than ${VALUES_MAX} values`)
    const type = this.#take(1)[0] as number
    if (type === 0) return { kind: 'null' }
    if (type === 1 || type === 2) {
      const length = this.#length()
      const items: DlmsValue[] = []
      for (let i = 0; i < length; i++) items.push(this.value(depth + 1))
      return { kind: 'list', items, type }
    }
    const integer = INTEGERS[type]
    if (integer !== undefined) {
      const [size, signed] = integer
      const b = this.#take(size)
      return { kind: 'number', value: signed ? b.readIntBE(0, size) : b.readUIntBE(0, size), type }
    }
    if (type === 20) return { kind: 'number', value: Number(this.#take(8).readBigInt64BE()), type }
    if (type === 21) return { kind: 'number', value: Number(this.#take(8).readBigUInt64BE()), type }
    if (type === 23) return { kind: 'number', value: this.#take(4).readFloatBE(), type }
    if (type === 24) return { kind: 'number', value: this.#take(8).readDoubleBE(), type }
    if (type === 9 || type === 10 || type === 12) return { kind: 'bytes', bytes: this.#take(this.#length()), type }
    if (type === 4) return { kind: 'bytes', bytes: this.#take(Math.ceil(this.#length() / 8)), type }
    const octets = OCTETS[type]
    if (octets !== undefined) return { kind: 'bytes', bytes: this.#take(octets), type }
    throw new DlmsError('malformed', `data type ${type} is not known`)
  }

  #length(): number {
    const first = this.#take(1)[0] as number
    if (first < 0x80) return first
    const size = first & 0x7f
    if (size < 1 || size > 4) throw new DlmsError('malformed', 'a length of more than four bytes')
    return this.#take(size).readUIntBE(0, size)
  }

  #take(n: number): Buffer {
    if (n > this.#bytes.length - this.#at) throw new DlmsError('malformed', 'the data are cut off')
    this.#at += n
    return this.#bytes.subarray(this.#at - n, this.#at)
  }
}

/** Year, month, day, weekday, hour, minute, second, hundredths, deviation, status; undefined for a clock that is not set or invalid. */
export function dateTime(b: Buffer): DlmsTime | undefined {
  if (b.length !== 12) return undefined
  const [month, day, , hour, minute] = b.subarray(2) as unknown as [number, number, number, number, number]
  const second = b[7] === 0xff ? 0 : (b[7] as number)
  const hundredths = (b[8] as number) > 99 ? 0 : (b[8] as number)
  const year = b.readUInt16BE(0)
  const status = b[11] as number
  if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return undefined
  if (status !== 0xff && (status & 0x01) !== 0) return undefined
  const naiveMs = Date.UTC(year, month - 1, day, hour, minute, second, hundredths * 10)
  if (new Date(naiveMs).getUTCDate() !== day) return undefined
  const deviation = b.readInt16BE(9)
  return { naiveMs, deviationMin: deviation < -840 || deviation > 840 ? undefined : deviation }
}

/** Values with their codes, in whichever way the list holds them. */
export function itemsOf(body: DlmsValue): DlmsItem[] {
  if (body.kind !== 'list') return []
  const described = objectList(body.items)
  if (described !== undefined) return described
  const items: DlmsItem[] = []
  for (let i = 0; i < body.items.length; i++) {
    const here = body.items[i] as DlmsValue
    const obis = here.kind === 'bytes' && here.type === 9 && here.bytes.length === 6 ? obisOfBytes(here.bytes) : undefined
    const value = body.items[i + 1]
    if (obis === undefined || value === undefined) {
      items.push(...itemsOf(here))
      continue
    }
    i++
    const scale = scalerUnit(body.items[i + 1])
    if (scale !== undefined) i++
    items.push({ obis, value, scaler: scale?.scaler, unit: scale?.unit })
  }
  return items
}

function scalerUnit(v: DlmsValue | undefined): { scaler: number; unit: number } | undefined {
  if (v?.kind !== 'list' || v.items.length !== 2) return undefined
  const [scaler, unit] = v.items
  if (scaler?.kind !== 'number' || scaler.type !== 15 || unit?.kind !== 'number' || unit.type !== 22) return undefined
  return { scaler: scaler.value, unit: unit.value }
}

/** A list of objects {class, code, attribute, index} and, after it, their values in the same order (push setup of Landis+Gyr and others). */
function objectList(items: readonly DlmsValue[]): DlmsItem[] | undefined {
  const head = items[0]
  if (head?.kind !== 'list' || head.items.length === 0) return undefined
  const objects = head.items.map((o) => {
    if (o.kind !== 'list' || o.items.length !== 4) return undefined
    const [cls, code, attribute] = o.items
    if (cls?.kind !== 'number' || code?.kind !== 'bytes' || attribute?.kind !== 'number') return undefined
    const obis = obisOfBytes(code.bytes)
    return obis === undefined ? undefined : { obis, attribute: attribute.value }
  })
  if (objects.some((o) => o === undefined)) return undefined
  const values = items.slice(1)
  // The list may name itself first.
  const from = objects.length === values.length + 1 ? 1 : 0
  const scales = new Map<string, { scaler: number; unit: number }>()
  const found: DlmsItem[] = []
  for (const [i, o] of objects.slice(from).entries()) {
    const value = values[i]
    if (o === undefined || value === undefined) continue
    const scale = o.attribute === 3 ? scalerUnit(value) : undefined
    if (scale !== undefined) scales.set(JSON.stringify(o.obis), scale)
    else if (o.attribute === 2) found.push({ obis: o.obis, value, scaler: undefined, unit: undefined })
  }
  return found.map((item) => ({ ...item, ...scales.get(JSON.stringify(item.obis)) }))
}

/** Text of a string value; undefined when it is not printable. */
export function textOfValue(v: DlmsValue | undefined): string | undefined {
  if (v?.kind !== 'bytes') return undefined
  const text = v.bytes.toString('latin1')
  return /^[\x20-\x7e]+$/.test(text) ? text.trim() : undefined
}

/** The greatest numbers of a type, and the least of signed ones, mean that there is no value. */
export function isNoValue(v: DlmsValue): boolean {
  if (v.kind !== 'number') return false
  switch (v.type) {
    case 5:
      return v.value === -0x80000000 || v.value === 0x7fffffff
    case 6:
      return v.value === 0xffffffff
    case 16:
      return v.value === -0x8000 || v.value === 0x7fff
    case 18:
      return v.value === 0xffff
    default:
      return !Number.isFinite(v.value)
  }
}

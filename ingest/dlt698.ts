// DL/T 698.45-2017, the object model of newer Chinese electricity meters: one frame to readings. Pure.
// 68 L L C AF SA.. CA HCS HCS APDU FCS FCS 16; lengths and address least significant byte first, the APDU most significant first.
import type { Phase, Quantity } from '#model/quantity.ts'
import { type Outcome, tidy } from './decoding.ts'
import type { FrameContext, FrameResult } from './dlt645.ts'
import { crcX25 } from './hex.ts'

const DEPTH_MAX = 12
const VALUES_MAX = 3_000
const OBJECTS_MAX = 255
const LINK_REQUEST = 0x01
const GET_RESPONSE = 0x85
const REPORT = 0x88
const LINK_RESPONSE = 0x81
const CIPHERED = 0x90

type Value = number | null | Buffer | Value[]

/** The frame begins with 68, says its length, and has a check sequence behind its head. */
export function isDlt698(frame: Buffer): boolean {
  if (frame[0] !== 0x68 || frame.length < 12) return false
  const head = headLength(frame)
  return head + 2 < frame.length && crcX25(frame.subarray(1, head)) === frame.readUInt16LE(head)
}

export function dlt698Length(frame: Buffer): number {
  return frame.length < 3 ? 0 : (frame.readUInt16LE(1) & 0x3fff) + 2
}

function headLength(frame: Buffer): number {
  return 6 + ((frame[4] as number) & 0x0f) + 1
}

export function readDlt698(out: Outcome, frame: Buffer, context: FrameContext): FrameResult {
  const length = dlt698Length(frame)
  const head = headLength(frame)
  if (frame.length < length || length < head + 6) return { refused: ['malformed', 'the frame is shorter than it says'] }
  if (crcX25(frame.subarray(1, length - 3)) !== frame.readUInt16LE(length - 3))
    return { refused: ['bad_checksum', 'the frame check sequence is wrong'] }
  if (frame[length - 1] !== 0x16) return { refused: ['malformed', 'the frame does not end with 16'] }
  const control = frame[3] as number
  const device = Buffer.from(frame.subarray(5, head - 1))
    .reverse()
    .toString('hex')
    .toUpperCase()
  const apdu = frame.subarray(head + 2, length - 3)
  const tag = apdu[0]
  if (tag === LINK_REQUEST || tag === LINK_RESPONSE) return { passed: ['session', 'link'] }
  if ((control & 0x80) === 0) return { passed: ['ignore', 'request'] }
  if ((control & 0x20) !== 0) return { refused: ['unknown_format', 'a part of a longer answer: join the parts in the gateway'] }
  if (tag === CIPHERED) return { refused: ['unknown_format', 'the answer is enciphered'] }
  if (tag !== GET_RESPONSE && tag !== REPORT) return { passed: ['accept_other', 'no_readings_asked'] }
  try {
    return read(out, device, new Reader(apdu), context)
  } catch (error) {
    if (error instanceof RangeError) return { refused: ['malformed', error.message] }
    throw error
  }
}

/** Kind 1: one object; kind 2 (and 1 of a report): a list of objects. Records (3, 4) are frozen values of earlier times. */
function read(out: Outcome, device: string, r: Reader, { tsMs }: FrameContext): FrameResult {
  const tag = r.byte()
  const kind = r.byte()
  r.byte()
  const listed = tag === REPORT ? kind === 1 : kind === 2
  if (!listed && !(tag === GET_RESPONSE && kind === 1)) return { passed: ['accept_other', 'frozen_records'] }
  const count = listed ? r.byte() : 1
  if (count > OBJECTS_MAX) throw new RangeError('too many objects')
  let refusals = 0
  for (let i = 0; i < count; i++) {
    const oad = r.bytes(4)
    const choice = r.byte()
    if (choice === 0) {
      refusals++
      r.byte()
    } else if (choice === 1) add(out, device, oad, r.value(0), tsMs)
    else throw new RangeError(`result ${choice} is neither an error nor data`)
  }
  return refusals === count ? { passed: ['status', 'meter_refused_request'] } : undefined
}

interface Meaning {
  quantity: Quantity
  /** Power of ten; in the high-precision attribute of energies it is two less. */
  exponent: number
  phase?: Phase
}

const ENERGY: Readonly<Record<number, readonly [Quantity, Phase?]>> = {
  16: ['active_energy_import_kwh'],
  17: ['active_energy_import_kwh', 'L1'],
  18: ['active_energy_import_kwh', 'L2'],
  19: ['active_energy_import_kwh', 'L3'],
  32: ['active_energy_export_kwh'],
  33: ['active_energy_export_kwh', 'L1'],
  34: ['active_energy_export_kwh', 'L2'],
  35: ['active_energy_export_kwh', 'L3'],
}
/** Instantaneous values: exponent of the standard, and whether the first element is the total. */
const VARIABLES: Readonly<Record<number, readonly [Quantity, exponent: number, total: boolean]>> = {
  8192: ['voltage_v', -1, false],
  8193: ['current_a', -3, false],
  // -1 W.
  8196: ['power_kw', -4, true],
  8202: ['power_factor', -3, true],
  8207: ['frequency_hz', -2, true],
}
const PHASES: readonly Phase[] = ['L1', 'L2', 'L3']

/** OAD: object of two bytes, attribute, and element of the array (0 for all of them). */
function add(out: Outcome, device: string, oad: Buffer, value: Value, tsMs: number | undefined): void {
  const object = oad.readUInt16BE(0)
  const attribute = (oad[2] as number) & 0x1f
  const index = oad[3] as number
  const elements = Array.isArray(value) ? value : [value]
  const name = oad.toString('hex').toUpperCase()
  for (const [i, v] of elements.slice(0, 5).entries()) {
    // Elements count from 1: of energies the total, then the tariffs; of voltage and current phase A, B, C.
    const element = index === 0 ? i : index - 1
    const meaning = meaningOf(object, attribute, element)
    if (meaning === undefined || v === null) continue
    if (typeof v !== 'number' || v === 0xffffffff || v === -0x80000000 || (object === 0x2000 && v === 0xffff)) {
      out.refuse('impossible_value', name, `${name} has no value at element ${element + 1}`, device, String(v))
      continue
    }
    const tariff = meaning.phase === undefined && object < 0x0100 && element > 0 ? element : undefined
    out.reading(device, meaning.quantity, tidy(v * 10 ** meaning.exponent), { tsMs, phase: meaning.phase, tariff })
  }
}

function meaningOf(object: number, attribute: number, element: number): Meaning | undefined {
  const energy = ENERGY[object]
  if (energy !== undefined) {
    const [quantity, phase] = energy
    if ((attribute !== 2 && attribute !== 4) || element > 4 || (phase !== undefined && element > 0)) return undefined
    return { quantity, exponent: attribute === 2 ? -2 : -4, ...(phase === undefined ? {} : { phase }) }
  }
  const variable = VARIABLES[object]
  if (variable === undefined || attribute !== 2) return undefined
  const [quantity, exponent, total] = variable
  if (total && element === 0) return { quantity, exponent }
  const phase = PHASES[total ? element - 1 : element]
  return phase === undefined || object === 0x200f ? undefined : { quantity, exponent, phase }
}

/** Octets of types whose length is fixed and whose content is not read: times, identifiers. */
const FIXED: Readonly<Record<number, number>> = { 25: 10, 26: 5, 27: 3, 28: 7, 80: 2, 81: 4, 83: 4, 84: 3, 89: 2 }

class Reader {
  readonly #bytes: Buffer
  #at = 0
  #count = 0
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  byte(): number {
    return this.bytes(1)[0] as number
  }

  bytes(n: number): Buffer {
    if (n > this.#bytes.length - this.#at) throw new RangeError('the data are cut off')
    this.#at += n
    return this.#bytes.subarray(this.#at - n, this.#at)
  }

  value(depth: number): Value {
    if (depth > DEPTH_MAX) throw new RangeError('nested too deep')
    if (++this.#count > VALUES_MAX) throw new RangeError(`more than ${VALUES_MAX} values`)
    const type = this.byte()
    switch (type) {
      case 0:
        return null
      case 1:
      case 2: {
        const items: Value[] = []
        for (let n = this.#length(); n > 0; n--) items.push(this.value(depth + 1))
        return items
      }
      case 3:
      case 17:
      case 22:
        return this.byte()
      case 5:
        return this.bytes(4).readInt32BE()
      case 6:
        return this.bytes(4).readUInt32BE()
      case 15:
        return this.bytes(1).readInt8()
      case 16:
        return this.bytes(2).readInt16BE()
      case 18:
        return this.bytes(2).readUInt16BE()
      case 20:
        return Number(this.bytes(8).readBigInt64BE())
      case 21:
        return Number(this.bytes(8).readBigUInt64BE())
      case 23:
        return this.bytes(4).readFloatBE()
      case 24:
        return this.bytes(8).readDoubleBE()
      case 4:
        return this.bytes(Math.ceil(this.#length() / 8))
      case 9:
      case 10:
      case 12:
        return this.bytes(this.#length())
      default: {
        const fixed = FIXED[type]
        if (fixed === undefined) throw new RangeError(`data type ${type} is not known`)
        return this.bytes(fixed)
      }
    }
  }

  #length(): number {
    const first = this.byte()
    if (first < 0x80) return first
    const size = first & 0x7f
    if (size < 1 || size > 4) throw new RangeError('a length of more than four bytes')
    return this.bytes(size).readUIntBE(0, size)
  }
}

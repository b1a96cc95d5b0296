// Reads the wire format of Protocol Buffers, as much of it as is needed: fields of a message in order, never beyond its end. Pure.

export interface WireField {
  field: number
  /** Wire type 0: varint; 1 and 5: fixed numbers; 2: bytes. */
  wire: 0 | 1 | 2 | 5
  varint: bigint
  bytes: Buffer
}

export class WireError extends Error {}

const VARINT_BYTES_MAX = 10

/**
 * The fields of a message.
 * @throws WireError when it is cut off, has a wrong wire type, or more fields than allowed.
 */
export function readFields(message: Buffer, fieldsMax: number): WireField[] {
  const fields: WireField[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const b = message[at++]
      if (b === undefined) throw new WireError('cut off within a number')
      value |= BigInt(b & 0x7f) << BigInt(7 * i)
      if (b < 0x80) return BigInt.asUintN(64, value)
    }
    throw new WireError('a number has more than ten bytes')
  }
  const take = (n: number): Buffer => {
    if (n > message.length - at) throw new WireError('cut off within a field')
    at += n
    return message.subarray(at - n, at)
  }
  while (at < message.length) {
    if (fields.length >= fieldsMax) throw new WireError(`more than ${fieldsMax} fields`)
    const tag = varint()
    const field = Number(tag >> 3n)
    const wire = Number(tag & 7n)
    if (field === 0 || field > 536_870_911) throw new WireError('wrong field number')
    if (wire === 0) fields.push({ field, wire, varint: varint(), bytes: EMPTY })
    else if (wire === 1) fields.push({ field, wire, varint: 0n, bytes: take(8) })
    else if (wire === 5) fields.push({ field, wire, varint: 0n, bytes: take(4) })
    else if (wire === 2) {
      const length = varint()
      if (length > BigInt(message.length)) throw new WireError('cut off within a field')
      fields.push({ field, wire, varint: 0n, bytes: take(Number(length)) })
    } else throw new WireError(`wire type ${wire}`)
  }
  return fields
}

const EMPTY = Buffer.alloc(0)

// Frames written as text, and the checks that frames carry. Pure.

const HEX = /^[0-9a-fA-F]+$/
const TEXT_MAX = 200_000

/** Bytes of hexadecimal text, with or without spaces; undefined when it is none or has an odd number of digits. */
export function bytesOfHex(text: string): Buffer | undefined {
  if (text.length > TEXT_MAX) return undefined
  const digits = text.replace(/^0x/i, '').replace(/[\s:]/g, '')
  return digits.length > 0 && digits.length % 2 === 0 && HEX.test(digits) ? Buffer.from(digits, 'hex') : undefined
}

/** CRC-16/X-25, the frame check of HDLC and of DL/T 698.45: polynomial 1021 reversed, start and end FFFF. */
export function crcX25(bytes: Uint8Array): number {
  let crc = 0xffff
  for (const b of bytes) {
    crc ^= b
    for (let i = 0; i < 8; i++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x8408 : crc >>> 1
  }
  return crc ^ 0xffff
}

/** Sum of all bytes, modulo 256. */
export function sum8(bytes: Iterable<number>): number {
  let sum = 0
  for (const b of bytes) sum = (sum + b) & 0xff
  return sum
}

/** Binary coded decimal, least significant byte first; undefined when a half byte is no digit (FF: no value). */
export function bcdOf(bytes: ArrayLike<number>): number | undefined {
  let value = 0
  for (let i = bytes.length - 1; i >= 0; i--) {
    const b = bytes[i] as number
    if (b >> 4 > 9 || (b & 15) > 9) return undefined
    value = value * 100 + (b >> 4) * 10 + (b & 15)
  }
  return value
}

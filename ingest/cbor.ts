// CBOR (RFC 8949), as much of it as SenML needs: integers, floats, text, bytes, lists, maps, simple values; tags are skipped. Bounded. Pure.

const DEPTH_MAX = 8
const ITEMS_MAX = 100_000

/** A decoded value; maps become Map, since SenML's keys are numbers. */
export type Cbor = number | string | boolean | null | undefined | Buffer | Cbor[] | Map<Cbor, Cbor>

/** The one value that the bytes hold. @throws Error when they are cut short, too deep, hold more, or use what is not supported. */
export function decodeCbor(bytes: Buffer): Cbor {
  const reader = new Reader(bytes)
  const value = reader.value(0)
  if (reader.at !== bytes.length) throw new Error('bytes after the value')
  return value
}

class Reader {
  readonly bytes: Buffer
  at = 0
  items = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
  }

  value(depth: number): Cbor {
    if (depth > DEPTH_MAX) throw new Error(`nested deeper than ${DEPTH_MAX}`)
    if (++this.items > ITEMS_MAX) throw new Error(`more than ${ITEMS_MAX} items`)
    const first = this.uint(1)
    const major = first >> 5
    const info = first & 31
    if (major === 7) return this.simple(info)
    if (info === 31) return this.indefinite(major, depth)
    const n = info < 24 ? info : info <= 27 ? this.uint(2 ** (info - 24)) : Number.NaN
    if (!Number.isSafeInteger(n)) throw new Error('an integer that cannot be exact')
    switch (major) {
      case 0:
        return n
      case 1:
        return -1 - n
      case 2:
        return this.take(n)
      case 3:
        return this.take(n).toString('utf8')
      case 4:
        return this.list(n, depth)
      case 5:
        return this.map(n, depth)
      default:
        return this.value(depth + 1)
    }
  }

  list(n: number, depth: number): Cbor[] {
    const out: Cbor[] = []
    for (let i = 0; i < n; i++) out.push(this.value(depth + 1))
    return out
  }

  map(n: number, depth: number): Map<Cbor, Cbor> {
    const out = new Map<Cbor, Cbor>()
    for (let i = 0; i < n; i++) {
      const key = this.value(depth + 1)
      out.set(key, this.value(depth + 1))
    }
    return out
  }

  indefinite(major: number, depth: number): Cbor {
    if (major !== 4 && major !== 5) throw new Error('text or bytes in pieces')
    const out: Cbor[] = []
    while (this.peek() !== 0xff) out.push(this.value(depth + 1))
    this.at++
    if (major === 4) return out
    if (out.length % 2 !== 0) throw new Error('a key without value')
    const map = new Map<Cbor, Cbor>()
    for (let i = 0; i < out.length; i += 2) map.set(out[i], out[i + 1])
    return map
  }

  simple(info: number): Cbor {
    if (info === 20) return false
    if (info === 21) return true
    if (info === 22) return null
    if (info === 23) return undefined
    if (info === 25) return half(this.take(2))
    if (info === 26) return shortest(this.take(4).readFloatBE())
    if (info === 27) return this.take(8).readDoubleBE()
    throw new Error('a simple value of no use here')
  }

  peek(): number {
    const b = this.bytes[this.at]
    if (b === undefined) throw new Error('cut short')
    return b
  }

  uint(size: number): number {
    const b = this.take(size)
    return size === 8 ? Number(b.readBigUInt64BE()) : b.readUIntBE(0, size)
  }

  take(n: number): Buffer {
    if (this.at + n > this.bytes.length) throw new Error('cut short')
    this.at += n
    return this.bytes.subarray(this.at - n, this.at)
  }
}

/** IEEE 754 binary16. */
function half(b: Buffer): number {
  const h = b.readUInt16BE()
  const exponent = (h >> 10) & 31
  const fraction = h & 1023
  const size =
    exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
        ? fraction === 0
          ? Infinity
          : Number.NaN
        : (1 + fraction / 1024) * 2 ** (exponent - 15)
  return (h & 0x8000) === 0 ? size : -size
}

/** The decimal that a 32 bit float was made of: 120.1, not 120.09999847. Seven digits are what it can tell. */
function shortest(f: number): number {
  const n = Number(f.toPrecision(7))
  return Math.fround(n) === f ? n : f
}

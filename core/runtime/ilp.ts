// Rows in InfluxDB line protocol, version 2 (binary doubles), as QuestDB's HTTP endpoint takes them. The official client writes a row
// character by character with a check at each; here what repeats (table, symbols, times) is encoded once and copied.
// docs/decisions/ has the measurement. Names and symbols are escaped as the client does it.

const INITIAL_BYTES = 64 * 1024
const NAME = /^[a-z][a-z0-9_]{0,126}$/
const NEEDS_ESCAPE = /[ ,=\n\r\\]/
const NEEDS_QUOTED_ESCAPE = /["\n\r\\]/

function escaped(text: string): string {
  return NEEDS_ESCAPE.test(text) ? text.replace(/[ ,=\n\r\\]/g, '\\$&') : text
}

function checked(name: string): string {
  if (!NAME.test(name)) throw new Error(`${JSON.stringify(name)} is not a name for a table or column`)
  return name
}

/**
 * Beginning of a row: table and symbols, to be kept and used for many rows. Empty symbols are left out (null).
 * @throws Error on a name that is not lower case letters, digits and underscores.
 */
export function rowPrefix(table: string, symbols: Readonly<Record<string, string>>): Buffer {
  let text = checked(table)
  for (const [name, value] of Object.entries(symbols)) if (value !== '') text += `,${checked(name)}=${escaped(value)}`
  return Buffer.from(text)
}

/** Up to the value of the row's first symbol, the one that differs from row to row: `readings,device=`. */
export function rowHead(table: string, symbol: string): Buffer {
  return Buffer.from(`${checked(table)},${checked(symbol)}=`)
}

/** The symbols after the first one. Empty ones are left out. */
export function rowTail(symbols: Readonly<Record<string, string>>): Buffer {
  let text = ''
  for (const [name, value] of Object.entries(symbols)) if (value !== '') text += `,${checked(name)}=${escaped(value)}`
  return Buffer.from(text)
}

/** Digits written last: times and counters repeat from row to row. */
interface Kept {
  value: number
  bytes: Buffer
  length: number
}

const kept = (): Kept => ({ value: Number.NaN, bytes: Buffer.alloc(24), length: 0 })

/** A column's name with what comes before its value; `first` in the row, or not. */
export interface Column {
  first: Buffer
  next: Buffer
  kept: Kept
}

function column(name: string, before: string): Column {
  return {
    first: Buffer.from(` ${checked(name)}=${before}`, 'latin1'),
    next: Buffer.from(`,${checked(name)}=${before}`, 'latin1'),
    kept: kept(),
  }
}
/** A double travels as `=`, 0x10 and its eight bytes. */
export const doubleColumn = (name: string): Column => column(name, '=\x10')
export const longColumn = (name: string): Column => column(name, '')
export const timeColumn = (name: string): Column => column(name, '')
export const textColumn = (name: string): Column => column(name, '"')

const scratch = new Float64Array(1)
const scratchBytes = new Uint8Array(scratch.buffer)

/**
 * A growing buffer of rows: begin, one or more columns, end; the order of calls is the caller's duty. A row whose column throws is
 * taken back whole.
 */
export class IlpRows {
  #buffer = Buffer.allocUnsafe(INITIAL_BYTES)
  #at = 0
  #first = true
  #ends = new Uint32Array(1024)
  rows = 0
  readonly #end = kept()

  get bytes(): number {
    return this.#at
  }

  /** A view, valid until the next call of anything else. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }

  /** A view of rows `from` to `to` (not included). */
  slice(from: number, to: number): Buffer {
    return this.#buffer.subarray(from === 0 ? 0 : this.#ends[from - 1], to === 0 ? 0 : this.#ends[to - 1])
  }

  clear(): void {
    this.#at = 0
    this.rows = 0
    this.#first = true
  }

  #reserve(bytes: number): void {
    const wanted = this.#at + bytes
    if (wanted <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, wanted))
    larger.set(this.#buffer.subarray(0, this.#at))
    this.#buffer = larger
  }

  #copy(bytes: Uint8Array, length: number): void {
    const buffer = this.#buffer
    let at = this.#at
    if (length > 48) buffer.set(length === bytes.length ? bytes : bytes.subarray(0, length), at)
    else for (let i = 0; i < length; i++) buffer[at + i] = bytes[i] as number
    at += length
    this.#at = at
  }

  /** Takes back the row begun: what was there before stays whole. */
  #abandon(message: string): never {
    this.#at = this.rows === 0 ? 0 : (this.#ends[this.rows - 1] as number)
    throw new RangeError(message)
  }

  #column(c: Column): void {
    const bytes = this.#first ? c.first : c.next
    this.#first = false
    this.#copy(bytes, bytes.length)
  }

  begin(prefix: Buffer): void {
    this.#reserve(prefix.length + 512)
    this.#first = true
    this.#copy(prefix, prefix.length)
  }

  /** Begins a row in three parts, so that nothing needs to be kept for every value of the first symbol (which must not be empty). */
  start(head: Buffer, symbol: string, tail: Buffer): void {
    this.#reserve(head.length + symbol.length * 4 + tail.length + 512)
    this.#first = true
    this.#copy(head, head.length)
    const buffer = this.#buffer
    const from = this.#at
    let at = from
    for (let i = 0; i < symbol.length; i++) {
      const c = symbol.charCodeAt(i)
      // Letters, digits and the usual punctuation of ids stand for themselves.
      if (c < 0x2d || c > 0x7e || c === 0x3d || c === 0x5c) {
        at = from + buffer.write(escaped(symbol), from)
        break
      }
      buffer[at++] = c
    }
    this.#at = at
    this.#copy(tail, tail.length)
  }

  double(c: Column, value: number): void {
    this.#reserve(160)
    this.#column(c)
    scratch[0] = value
    const buffer = this.#buffer
    const at = this.#at
    for (let i = 0; i < 8; i++) buffer[at + i] = scratchBytes[i] as number
    this.#at = at + 8
  }

  /** @throws RangeError when the value is not a safe integer. */
  long(c: Column, value: number): void {
    if (!Number.isSafeInteger(value)) this.#abandon(`${value} is not an integer`)
    this.#reserve(160)
    this.#column(c)
    const k = c.kept
    if (value !== k.value) {
      k.length = k.bytes.write(`${value}i`, 0, 'latin1')
      k.value = value
    }
    this.#copy(k.bytes, k.length)
  }

  /** Epoch ms, stored in microseconds. */
  time(c: Column, ms: number): void {
    this.#reserve(160)
    this.#column(c)
    this.#micros(ms, c.kept)
  }

  text(c: Column, value: string): void {
    this.#reserve(160 + value.length * 4)
    this.#column(c)
    const safe = NEEDS_QUOTED_ESCAPE.test(value) ? value.replace(/["\n\r\\]/g, '\\$&') : value
    this.#reserve(safe.length * 3 + 2)
    this.#at += this.#buffer.write(safe, this.#at)
    this.#buffer[this.#at++] = 0x22
  }

  /** Ends the row with its designated timestamp, epoch ms. */
  end(tsMs: number): void {
    this.#reserve(32)
    this.#buffer[this.#at++] = 0x20
    this.#micros(tsMs, this.#end)
    this.#buffer[this.#at++] = 0x0a
    if (this.rows === this.#ends.length) {
      const larger = new Uint32Array(this.#ends.length * 2)
      larger.set(this.#ends)
      this.#ends = larger
    }
    this.#ends[this.rows++] = this.#at
  }

  #micros(ms: number, k: Kept): void {
    if (ms !== k.value) {
      if (!Number.isSafeInteger(ms)) this.#abandon(`${ms} is not a time in milliseconds`)
      // Sign and digits of microseconds: three zeros behind those of milliseconds.
      k.length = k.bytes.write(ms === 0 ? '0t' : `${ms}000t`, 0, 'latin1')
      k.value = ms
    }
    this.#copy(k.bytes, k.length)
  }
}

// A queue on disk for an edge agent: messages are numbered, appended to segment files and flushed before they count as taken; what
// the broker has acknowledged is forgotten segment by segment. A kill at any moment loses nothing that was taken: at the next start
// a torn last record is cut off, and whatever was not known as acknowledged is read again, in order, under the same numbers.
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'

export interface SpoolOptions {
  /** A new segment begins after so many bytes. */
  segmentBytes?: number
  /** Beyond it the oldest segment goes, read or not: its numbers are then missing, and counted in `dropped`. */
  maxBytes?: number
}

export interface SpoolEntry {
  number: number
  payload: Buffer
}

const SEGMENT_BYTES = 4 * 1024 * 1024
const MAX_BYTES = 1024 * 1024 * 1024
/** u32 length, u32 CRC-32 of number and payload, u48 number. */
const HEAD = 14
const RECORD_MAX = 2 * 1024 * 1024
const CURSOR = 'cursor.json'

interface Segment {
  file: string
  /** Number of its first record. */
  first: number
  bytes: number
}

interface Reader {
  segment: Segment
  fd: number
  offset: number
}

export class Spool {
  readonly #dir: string
  readonly #segmentBytes: number
  readonly #maxBytes: number
  readonly #segments: Segment[] = []
  #fd = -1
  #next = 1
  #acknowledged = 0
  #savedCursor = 0
  #reader: Reader | undefined
  /** Messages that a full disk allowance lost. */
  dropped = 0

  /** Opens or makes a spool. @throws Error when the folder cannot be used */
  constructor(dir: string, options: SpoolOptions = {}) {
    this.#dir = dir
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES
    this.#maxBytes = options.maxBytes ?? MAX_BYTES
    mkdirSync(dir, { recursive: true })
    this.#recover()
  }

  /** Number that the next message will get. */
  get next(): number {
    return this.#next
  }

  /** Messages taken and not yet acknowledged. */
  get waiting(): number {
    return this.#next - 1 - Math.max(this.#acknowledged, (this.#segments[0]?.first ?? 1) - 1)
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  #recover(): void {
    const cursor = join(this.#dir, CURSOR)
    const saved = existsSync(cursor) ? (JSON.parse(readFileSync(cursor, 'utf8')) as { acknowledged: number; dropped: number }) : undefined
    this.#acknowledged = this.#savedCursor = saved?.acknowledged ?? 0
    this.dropped = saved?.dropped ?? 0
    const names = readdirSync(this.#dir)
      .filter((n) => /^\d{15}\.log$/.test(n))
      .sort()
    names.forEach((name, i) => {
      const file = join(this.#dir, name)
      const segment: Segment = { file, first: Number(name.slice(0, 15)), bytes: 0 }
      const { bytes, records, torn } = scan(file, segment.first)
      if (torn && i < names.length - 1)
        throw new Error(`${file} is damaged in the middle of the spool, after message ${segment.first + records - 1}`)
      if (torn) truncate(file, bytes)
      segment.bytes = bytes
      this.#segments.push(segment)
      this.#next = segment.first + records
    })
    this.#next = Math.max(this.#next, this.#acknowledged + 1)
    const last = this.#segments[this.#segments.length - 1]
    // After a hole (a lost tail that had been acknowledged) numbers must not be used twice within one segment.
    if (last !== undefined && last.bytes > 0 && this.#numberAfter(last) !== this.#next) this.#begin()
    else if (last === undefined) this.#begin()
    else this.#fd = openSync(last.file, 'a')
  }

  #numberAfter(segment: Segment): number {
    return segment.first + scan(segment.file, segment.first).records
  }

  #begin(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    const file = join(this.#dir, `${String(this.#next).padStart(15, '0')}.log`)
    this.#fd = openSync(file, 'a')
    syncFolder(this.#dir)
    this.#segments.push({ file, first: this.#next, bytes: 0 })
    while (this.#segments.length > 1 && this.#segments.reduce((s, g) => s + g.bytes, 0) > this.#maxBytes) this.#dropOldest()
  }

  #dropOldest(): void {
    const oldest = this.#segments.shift() as Segment
    const after = (this.#segments[0] as Segment).first
    this.dropped += Math.max(0, after - Math.max(oldest.first, this.#acknowledged + 1))
    if (this.#reader?.segment === oldest) this.#closeReader()
    unlinkSync(oldest.file)
    this.#saveCursor()
  }

  /**
   * Takes messages: they are on disk when this returns. `payloadOf` makes each from its number.
   * @returns the number of the last one
   */
  append(payloads: readonly ((number: number) => Buffer)[]): number {
    let segment = this.#segments[this.#segments.length - 1] as Segment
    if (segment.bytes >= this.#segmentBytes) {
      this.#begin()
      segment = this.#segments[this.#segments.length - 1] as Segment
    }
    const parts = payloads.map((of, i) => record(this.#next + i, of(this.#next + i)))
    const bytes = Buffer.concat(parts)
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at)
    fdatasyncSync(this.#fd)
    segment.bytes += bytes.length
    this.#next += payloads.length
    return this.#next - 1
  }

  /** Goes back to the first message that is not acknowledged: after a new connection everything since then is sent again. */
  rewind(): void {
    this.#closeReader()
  }

  /** The next message to send, or undefined when there is none yet. */
  read(): SpoolEntry | undefined {
    this.#reader ??= this.#openReader()
    for (;;) {
      const { segment, fd, offset }: Reader = this.#reader
      const entry = readRecord(fd, offset)
      if (entry !== undefined) {
        this.#reader.offset += HEAD + entry.payload.length
        if (entry.number > this.#acknowledged) return entry
        continue
      }
      const following: Segment | undefined = this.#segments[this.#segments.indexOf(segment) + 1]
      if (following === undefined) return undefined
      closeSync(fd)
      this.#reader = { segment: following, fd: openSync(following.file, 'r'), offset: 0 }
    }
  }

  #openReader(): Reader {
    let segment = this.#segments[0] as Segment
    for (const s of this.#segments) if (s.first <= this.#acknowledged + 1) segment = s
    return { segment, fd: openSync(segment.file, 'r'), offset: 0 }
  }

  #closeReader(): void {
    if (this.#reader !== undefined) closeSync(this.#reader.fd)
    this.#reader = undefined
  }

  /** Everything up to a number is with the broker. Call `save` now and then: until it is saved, a kill makes it sent again. */
  acknowledge(number: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, number)
  }

  /** Remembers what is acknowledged and removes the segments that nobody needs. */
  save(): void {
    if (this.#savedCursor !== this.#acknowledged) this.#saveCursor()
    while (this.#segments.length > 1 && (this.#segments[1] as Segment).first <= this.#acknowledged + 1) {
      const done = this.#segments.shift() as Segment
      if (this.#reader?.segment === done) this.#closeReader()
      unlinkSync(done.file)
    }
  }

  #saveCursor(): void {
    const file = join(this.#dir, CURSOR)
    writeFileSync(`${file}.part`, JSON.stringify({ acknowledged: this.#acknowledged, dropped: this.dropped }), { flush: true })
    renameSync(`${file}.part`, file)
    syncFolder(this.#dir)
    this.#savedCursor = this.#acknowledged
  }

  close(): void {
    this.save()
    this.#closeReader()
    closeSync(this.#fd)
  }
}

function record(number: number, payload: Buffer): Buffer {
  if (payload.length > RECORD_MAX) throw new RangeError(`a message of ${payload.length} bytes, at most ${RECORD_MAX} are taken`)
  const out = Buffer.alloc(HEAD + payload.length)
  out.writeUInt32LE(payload.length, 0)
  out.writeUIntLE(number, 8, 6)
  payload.copy(out, HEAD)
  out.writeUInt32LE(crc32(out.subarray(8)), 4)
  return out
}

/** The record at an offset; undefined at the end of the file or where the bytes are no whole record. */
function readRecord(fd: number, offset: number): SpoolEntry | undefined {
  const head = Buffer.alloc(HEAD)
  if (readSync(fd, head, 0, HEAD, offset) < HEAD) return undefined
  const length = head.readUInt32LE(0)
  if (length > RECORD_MAX) return undefined
  const payload = Buffer.alloc(length)
  if (readSync(fd, payload, 0, length, offset + HEAD) < length) return undefined
  if (crc32(payload, crc32(head.subarray(8))) !== head.readUInt32LE(4)) return undefined
  return { number: head.readUIntLE(8, 6), payload }
}

/** How much of a segment is whole. */
function scan(file: string, first: number): { bytes: number; records: number; torn: boolean } {
  const fd = openSync(file, 'r')
  try {
    let bytes = 0
    let records = 0
    for (let e = readRecord(fd, 0); e !== undefined && e.number === first + records; e = readRecord(fd, bytes)) {
      bytes += HEAD + e.payload.length
      records++
    }
    return { bytes, records, torn: readSync(fd, Buffer.alloc(1), 0, 1, bytes) === 1 }
  } finally {
    closeSync(fd)
  }
}

function truncate(file: string, bytes: number): void {
  const fd = openSync(file, 'r+')
  try {
    ftruncateSync(fd, bytes)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Names in a folder are on disk only after the folder itself is. */
function syncFolder(dir: string): void {
  const fd = openSync(dir, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

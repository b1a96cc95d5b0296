// QuestDB tables of the processors and how results become their rows. A row written again is the same row: the tables deduplicate.
import type { Interval } from '#model/interval.ts'
import { type MeterEvent, qualifier } from '#model/reading.ts'
import { doubleColumn, IlpRows, longColumn, rowHead, rowTail, textColumn, timeColumn } from '#runtime/ilp.ts'
import type { QuestDb } from '#runtime/questdb.ts'
import type { ValidatedRead } from '../fold.ts'
import type { ComputedValue } from '../zone-state.ts'

/** Names that others rely on; METERSTREAM_PREFIX goes in front. */
export const QUESTDB_TABLES = { readings: 'readings', intervals: 'intervals', events: 'events' } as const

/** Symbol capacities are what a utility of 100,000 meters needs at first; QuestDB grows them. */
function definitions(prefix: string): string[] {
  const { readings, intervals, events } = QUESTDB_TABLES
  return [
    `CREATE TABLE IF NOT EXISTS '${prefix}${readings}' (
      ts TIMESTAMP, device SYMBOL CAPACITY 131072, quantity SYMBOL CAPACITY 64, channel SYMBOL CAPACITY 64, value DOUBLE, received_at TIMESTAMP,
      gateway SYMBOL CAPACITY 16384, zone SYMBOL CAPACITY 1024, quality SYMBOL CAPACITY 8, rules VARCHAR, seq LONG
    ) TIMESTAMP(ts) PARTITION BY DAY WAL DEDUP UPSERT KEYS(ts, device, quantity, channel)`,
    `CREATE TABLE IF NOT EXISTS '${prefix}${intervals}' (
      start TIMESTAMP, meter SYMBOL CAPACITY 131072, quantity SYMBOL CAPACITY 64, channel SYMBOL CAPACITY 64, "end" TIMESTAMP, value DOUBLE,
      status SYMBOL CAPACITY 8, reasons VARCHAR, rev LONG, zone SYMBOL CAPACITY 1024, before DOUBLE, before_status VARCHAR, why VARCHAR
    ) TIMESTAMP(start) PARTITION BY DAY WAL DEDUP UPSERT KEYS(start, meter, quantity, channel, rev)`,
    `CREATE TABLE IF NOT EXISTS '${prefix}${events}' (
      ts TIMESTAMP, device SYMBOL CAPACITY 131072, event SYMBOL CAPACITY 32, detail VARCHAR, received_at TIMESTAMP, gateway SYMBOL CAPACITY 16384,
      zone SYMBOL CAPACITY 1024
    ) TIMESTAMP(ts) PARTITION BY DAY WAL DEDUP UPSERT KEYS(ts, device, event)`,
  ]
}

/** Columns younger than their table. */
const ADDED: readonly (readonly [table: keyof typeof QUESTDB_TABLES, column: string])[] = [
  ['intervals', 'before DOUBLE'],
  ['intervals', 'before_status VARCHAR'],
  ['intervals', 'why VARCHAR'],
]

/** Creates what is missing. @throws Error when QuestDB is away or refuses. */
export async function ensureQuestDbTables(db: QuestDb, prefix: string): Promise<void> {
  for (const sql of definitions(prefix)) await db.exec(sql)
  for (const [table, column] of ADDED) await db.exec(`ALTER TABLE '${prefix}${QUESTDB_TABLES[table]}' ADD COLUMN IF NOT EXISTS ${column}`)
}

const VALUE = doubleColumn('value')
const RECEIVED_AT = timeColumn('received_at')
const SEQ = longColumn('seq')
const RULES = textColumn('rules')
const END = timeColumn('end')
const REV = longColumn('rev')
const REASONS = textColumn('reasons')
const DETAIL = textColumn('detail')
const BEFORE = doubleColumn('before')
const BEFORE_STATUS = textColumn('before_status')
const WHY = textColumn('why')

/** Row tails remembered; the readings of a message share few, and messages of a zone follow each other. */
const TAILS_MAX = 64

interface ReadingTail {
  zone: string
  quantity: string
  phase: string
  tariff: number
  channel: string
  gateway: string
  quality: string
  bytes: Buffer
}

interface IntervalTail {
  zone: string
  quantity: string
  channel: string
  status: string
  bytes: Buffer
}

/** Puts the one used now first; the one longest unused is forgotten. */
function toFront<T>(list: T[], i: number, tail: T): void {
  if (i === list.length && i >= TAILS_MAX) i -= 1
  for (; i > 0; i--) list[i] = list[i - 1] as T
  list[0] = tail
}

/** Table names, and the encoded symbols that rows share. One for all buffers of a process. */
export class RowPrefixes {
  readonly readingHead: Buffer
  readonly intervalHead: Buffer
  readonly eventHead: Buffer
  readonly #readings: ReadingTail[] = []
  readonly #intervals: IntervalTail[] = []

  constructor(prefix: string) {
    const { readings, intervals, events } = QUESTDB_TABLES
    this.readingHead = rowHead(prefix + readings, 'device')
    this.intervalHead = rowHead(prefix + intervals, 'meter')
    this.eventHead = rowHead(prefix + events, 'device')
  }

  reading(zone: string, r: ValidatedRead): Buffer {
    const list = this.#readings
    let i = 0
    for (; i < list.length; i++) {
      const t = list[i] as ReadingTail
      const same = t.quantity === r.quantity && t.gateway === r.gateway && t.zone === zone && t.quality === r.quality
      if (!same || t.phase !== r.phase || t.tariff !== r.tariff || t.channel !== r.channel) continue
      if (i > 0) toFront(list, i, t)
      return t.bytes
    }
    const { quantity, phase, tariff, channel, gateway, quality } = r
    const bytes = rowTail({ quantity, channel: qualifier(r), gateway, zone, quality })
    toFront(list, i, { zone, quantity, phase, tariff, channel, gateway, quality, bytes })
    return bytes
  }

  interval(zone: string, iv: Interval): Buffer {
    const list = this.#intervals
    let i = 0
    for (; i < list.length; i++) {
      const t = list[i] as IntervalTail
      if (t.quantity !== iv.quantity || t.status !== iv.status || t.channel !== iv.channel || t.zone !== zone) continue
      if (i > 0) toFront(list, i, t)
      return t.bytes
    }
    const { quantity, channel, status } = iv
    const bytes = rowTail({ quantity, channel, status, zone })
    toFront(list, i, { zone, quantity, channel, status, bytes })
    return bytes
  }
}

/** Device clocks may count fractions of a millisecond. */
const whole = (ms: number): number => Math.round(ms)

/** Rows waiting for the next flush. */
export class QuestRows {
  readonly readings = new IlpRows()
  readonly intervals = new IlpRows()
  readonly events = new IlpRows()
  readonly #prefixes: RowPrefixes

  constructor(prefixes: RowPrefixes) {
    this.#prefixes = prefixes
  }

  get rows(): number {
    return this.readings.rows + this.intervals.rows + this.events.rows
  }

  tables(): IlpRows[] {
    return [this.readings, this.intervals, this.events]
  }

  clear(): void {
    for (const t of this.tables()) t.clear()
  }

  reading(zone: string, r: ValidatedRead): void {
    const out = this.readings
    out.start(this.#prefixes.readingHead, r.device, this.#prefixes.reading(zone, r))
    out.double(VALUE, r.value)
    out.time(RECEIVED_AT, whole(r.receivedAtMs))
    if (r.rules.length > 0) out.text(RULES, r.rules.join(','))
    if (r.seq >= 0) out.long(SEQ, r.seq)
    out.end(whole(r.tsMs))
  }

  computed(zone: string, v: ComputedValue): void {
    const out = this.readings
    out.start(this.#prefixes.readingHead, v.asset, rowTail({ quantity: v.quantity, zone, quality: 'computed' }))
    out.double(VALUE, v.value)
    out.time(RECEIVED_AT, whole(v.nowMs))
    out.end(whole(v.tsMs))
  }

  interval(zone: string, iv: Interval): void {
    const out = this.intervals
    out.start(this.#prefixes.intervalHead, iv.meter, this.#prefixes.interval(zone, iv))
    out.time(END, whole(iv.endMs))
    if (iv.value !== null) out.double(VALUE, iv.value)
    if (iv.reasons.length > 0) out.text(REASONS, iv.reasons.join(','))
    out.long(REV, iv.rev)
    if (iv.was !== undefined) {
      if (iv.was.value !== null) out.double(BEFORE, iv.was.value)
      out.text(BEFORE_STATUS, iv.was.status)
      out.text(WHY, iv.was.why)
    }
    out.end(whole(iv.startMs))
  }

  event(zone: string, e: MeterEvent): void {
    const out = this.events
    out.start(this.#prefixes.eventHead, e.device, rowTail({ event: e.event, gateway: e.gateway, zone }))
    if (e.detail !== undefined) out.text(DETAIL, JSON.stringify(e.detail))
    out.time(RECEIVED_AT, whole(e.receivedAtMs))
    out.end(whole(e.tsMs))
  }
}

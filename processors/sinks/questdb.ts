// QuestDB tables of the processors and how results become their rows. A row written again is the same row: the tables deduplicate.
import type { Interval } from '#model/interval.ts'
import { type MeterEvent, qualifier } from '#model/reading.ts'
import { doubleColumn, IlpRows, longColumn, rowPrefix, textColumn, timeColumn } from '#runtime/ilp.ts'
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
      status SYMBOL CAPACITY 8, reasons VARCHAR, rev LONG, zone SYMBOL CAPACITY 1024
    ) TIMESTAMP(start) PARTITION BY DAY WAL DEDUP UPSERT KEYS(start, meter, quantity, channel, rev)`,
    `CREATE TABLE IF NOT EXISTS '${prefix}${events}' (
      ts TIMESTAMP, device SYMBOL CAPACITY 131072, event SYMBOL CAPACITY 32, detail VARCHAR, received_at TIMESTAMP, gateway SYMBOL CAPACITY 16384,
      zone SYMBOL CAPACITY 1024
    ) TIMESTAMP(ts) PARTITION BY DAY WAL DEDUP UPSERT KEYS(ts, device, event)`,
  ]
}

/** Creates what is missing. @throws Error when QuestDB is away or refuses. */
export async function ensureQuestDbTables(db: QuestDb, prefix: string): Promise<void> {
  for (const sql of definitions(prefix)) await db.exec(sql)
}

const VALUE = doubleColumn('value')
const RECEIVED_AT = timeColumn('received_at')
const SEQ = longColumn('seq')
const RULES = textColumn('rules')
const END = timeColumn('end')
const REV = longColumn('rev')
const REASONS = textColumn('reasons')
const DETAIL = textColumn('detail')

/** Prefixes kept; the cache is emptied when full. About 200 bytes each. */
const PREFIXES_MAX = 1_000_000

interface ReadingPrefix {
  quantity: string
  phase: string
  tariff: number
  channel: string
  gateway: string
  quality: string
  bytes: Buffer
}

interface IntervalPrefix {
  quantity: string
  channel: string
  status: string
  bytes: Buffer
}

/** Row beginnings by zone and device: a series' table and symbols are encoded once. Shared by all buffers of a process. */
export class RowPrefixes {
  readonly #tables: { readings: string; intervals: string; events: string }
  readonly #readings = new Map<string, Map<string, ReadingPrefix[]>>()
  readonly #intervals = new Map<string, Map<string, IntervalPrefix[]>>()
  #kept = 0

  constructor(prefix: string) {
    const { readings, intervals, events } = QUESTDB_TABLES
    this.#tables = { readings: prefix + readings, intervals: prefix + intervals, events: prefix + events }
  }

  #list<T>(of: Map<string, Map<string, T[]>>, zone: string, device: string): T[] {
    let devices = of.get(zone)
    if (devices === undefined) {
      devices = new Map()
      of.set(zone, devices)
    }
    let list = devices.get(device)
    if (list === undefined) {
      list = []
      devices.set(device, list)
    }
    return list
  }

  #keep(): void {
    this.#kept += 1
    if (this.#kept < PREFIXES_MAX) return
    this.#readings.clear()
    this.#intervals.clear()
    this.#kept = 0
  }

  reading(zone: string, r: ValidatedRead): Buffer {
    const list = this.#list(this.#readings, zone, r.info.asset.id)
    for (let i = 0; i < list.length; i++) {
      const p = list[i] as ReadingPrefix
      const same = p.quantity === r.quantity && p.gateway === r.gateway && p.quality === r.quality
      if (same && p.phase === r.phase && p.tariff === r.tariff && p.channel === r.channel) return p.bytes
    }
    const { quantity, phase, tariff, channel, gateway, quality } = r
    const symbols = { device: r.device, quantity, channel: qualifier(r), gateway, zone, quality }
    const bytes = rowPrefix(this.#tables.readings, symbols)
    list.push({ quantity, phase, tariff, channel, gateway, quality, bytes })
    this.#keep()
    return bytes
  }

  interval(zone: string, iv: Interval): Buffer {
    const list = this.#list(this.#intervals, zone, iv.meter)
    for (let i = 0; i < list.length; i++) {
      const p = list[i] as IntervalPrefix
      if (p.quantity === iv.quantity && p.status === iv.status && p.channel === iv.channel) return p.bytes
    }
    const { quantity, channel, status } = iv
    const bytes = rowPrefix(this.#tables.intervals, { meter: iv.meter, quantity, channel, status, zone })
    list.push({ quantity, channel, status, bytes })
    this.#keep()
    return bytes
  }

  computed(zone: string, v: ComputedValue): Buffer {
    return rowPrefix(this.#tables.readings, { device: v.asset, quantity: v.quantity, zone, quality: 'computed' })
  }

  event(zone: string, e: MeterEvent): Buffer {
    return rowPrefix(this.#tables.events, { device: e.device, event: e.event, gateway: e.gateway, zone })
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
    out.begin(this.#prefixes.reading(zone, r))
    out.double(VALUE, r.value)
    out.time(RECEIVED_AT, whole(r.receivedAtMs))
    if (r.rules.length > 0) out.text(RULES, r.rules.join(','))
    if (r.seq >= 0) out.long(SEQ, r.seq)
    out.end(whole(r.tsMs))
  }

  computed(zone: string, v: ComputedValue): void {
    const out = this.readings
    out.begin(this.#prefixes.computed(zone, v))
    out.double(VALUE, v.value)
    out.time(RECEIVED_AT, whole(v.nowMs))
    out.end(whole(v.tsMs))
  }

  interval(zone: string, iv: Interval): void {
    const out = this.intervals
    out.begin(this.#prefixes.interval(zone, iv))
    out.time(END, whole(iv.endMs))
    if (iv.value !== null) out.double(VALUE, iv.value)
    if (iv.reasons.length > 0) out.text(REASONS, iv.reasons.join(','))
    out.long(REV, iv.rev)
    out.end(whole(iv.startMs))
  }

  event(zone: string, e: MeterEvent): void {
    const out = this.events
    out.begin(this.#prefixes.event(zone, e))
    if (e.detail !== undefined) out.text(DETAIL, JSON.stringify(e.detail))
    out.time(RECEIVED_AT, whole(e.receivedAtMs))
    out.end(whole(e.tsMs))
  }
}

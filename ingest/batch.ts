// One micro-batch on its way to Kafka: readings and events merged into one record a zone, in order of arrival, and everything else
// that enters the log at its place between them.
import { TICK_MS } from '#model/clock.ts'
import type { QuarantineEntry } from '#model/outcome.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import {
  type ControlRecord,
  encodeControl,
  encodeData,
  type GatewayRecord,
  RECORD_READINGS_MAX,
  type TickRecord,
} from '#model/telemetry.ts'
import type { CrewPosition, RouteSink } from './route.ts'

export interface TopicNames {
  telemetry: string
  quarantine: string
  crews: string
}

export interface BatchRecord {
  topic: string
  key: string
  value: Buffer | string
  partition?: number
}

/** Events are JSON with up to 4 KiB of detail each. */
const RECORD_EVENTS_MAX = 200

interface ZoneData {
  zone: string
  readings: Reading[]
  events: MeterEvent[]
}

/** Collects what a micro-batch brings. A fresh one for each micro-batch; `finish` once. */
export class Batch implements RouteSink {
  readonly #topics: TopicNames
  readonly #partitions: number
  readonly #records: BatchRecord[] = []
  readonly #zones = new Map<string, ZoneData>()
  // A message of one gateway goes mostly to one zone.
  #last: ZoneData = { zone: '', readings: [], events: [] }
  /** Readings handed in; a reading for two zones counts once for each. */
  readings = 0
  events = 0
  quarantined: QuarantineEntry[] = []

  constructor(topics: TopicNames, partitions: number) {
    this.#topics = topics
    this.#partitions = partitions
  }

  #of(zone: string): ZoneData {
    if (this.#last.zone === zone) return this.#last
    let data = this.#zones.get(zone)
    if (data === undefined) {
      data = { zone, readings: [], events: [] }
      this.#zones.set(zone, data)
    }
    this.#last = data
    return data
  }

  reading(zone: string, reading: Reading): void {
    const data = this.#last.zone === zone ? this.#last : this.#of(zone)
    // Events of an earlier message come before this reading, whether or not both travel in one micro-batch.
    if (data.events.length > 0) this.#write(data)
    data.readings.push(reading)
    this.readings += 1
    if (data.readings.length >= RECORD_READINGS_MAX) this.#write(data)
  }

  event(zone: string, event: MeterEvent): void {
    const data = this.#of(zone)
    data.events.push(event)
    this.events += 1
    if (data.events.length >= RECORD_EVENTS_MAX) this.#write(data)
  }

  gateway(record: GatewayRecord): void {
    this.control(record)
  }

  /** A record of one zone; what the zone got before comes before it. */
  control(record: Exclude<ControlRecord, TickRecord>): void {
    const data = this.#zones.get(record.zone)
    if (data !== undefined) this.#write(data)
    this.#records.push({ topic: this.#topics.telemetry, key: record.zone, value: encodeControl(record) })
  }

  /** A tick for every partition; everything before it comes before it. */
  tick(record: TickRecord): void {
    this.#flush()
    const value = encodeControl(record)
    for (let partition = 0; partition < this.#partitions; partition++) {
      this.#records.push({ topic: this.#topics.telemetry, key: TICK_KEY, value, partition })
    }
  }

  quarantine(entry: QuarantineEntry): void {
    this.quarantined.push(entry)
    this.#records.push({ topic: this.#topics.quarantine, key: entry.gateway, value: JSON.stringify(entry) })
  }

  position(position: CrewPosition): void {
    this.#records.push({ topic: this.#topics.crews, key: position.crew, value: JSON.stringify(position) })
  }

  #write(data: ZoneData): void {
    if (data.readings.length === 0 && data.events.length === 0) return
    this.#records.push({ topic: this.#topics.telemetry, key: data.zone, value: encodeData(data.readings, data.events) })
    data.readings = []
    data.events = []
  }

  #flush(): void {
    for (const data of this.#zones.values()) this.#write(data)
  }

  /** Everything, in the order in which the log must have it. */
  finish(): BatchRecord[] {
    this.#flush()
    return this.#records
  }
}

/** Key of ticks: they belong to a partition, not to a zone. */
export const TICK_KEY = ''

/** Times of ticks are multiples of this. */
export const tickAtOrBefore = (ms: number): number => Math.floor(ms / TICK_MS) * TICK_MS

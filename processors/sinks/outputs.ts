// What a partition's zones said since the last flush, encoded for the sinks: rows for QuestDB, records for Kafka, rows for PostgreSQL.
import type { Recalculation } from '#model/edit.ts'
import type { Finding, FindingNotice, Summary, Watermark } from '#model/finding.ts'
import type { Interval, MeterDay } from '#model/interval.ts'
import type { LiveRecord } from '#model/live.ts'
import type { LiveValue } from '#model/live-events.ts'
import type { QuarantineEntry } from '#model/outcome.ts'
import { type MeterEvent, qualifier } from '#model/reading.ts'
import type { RuleCount } from '#model/validation-rules.ts'
import type { OutRecord } from '#runtime/kafka.ts'
import type { ValidatedRead } from '../fold.ts'
import type { ComputedValue, ZoneOutputs } from '../zone-state.ts'
import { QuestRows, type RowPrefixes } from './questdb.ts'

/** Full names of the topics, prefix included. */
export interface OutTopics {
  findings: string
  summaries: string
  quarantine: string
  live: string
  tickets: string
}

export interface DayRow {
  zone: string
  day: MeterDay
  nowMs: number
}

/** Shown on the map: what a sensor or a totalising meter says, not what a customer uses. */
function isShown(read: ValidatedRead): boolean {
  const { asset } = read.info
  return asset.kind !== 'water_meter' && (asset.kind !== 'electric_meter' || asset.role !== 'customer')
}

export class PartitionOutputs implements ZoneOutputs {
  readonly rows: QuestRows
  records: OutRecord[] = []
  days: DayRow[] = []
  /** Newest count by zone, day, rule and class. */
  ruleCounts = new Map<string, RuleCount>()
  recalculations: Recalculation[] = []
  faults: { zone: string; part: string; error: unknown }[] = []
  findings = 0
  stored = 0
  readonly #topics: OutTopics
  /** Zone -> series -> newest value. */
  readonly #live = new Map<string, Map<string, LiveValue>>()

  constructor(topics: OutTopics, prefixes: RowPrefixes) {
    this.#topics = topics
    this.rows = new QuestRows(prefixes)
  }

  /** Everything that waits, in rows: what the bounded memory is measured by. */
  get size(): number {
    return this.rows.rows + this.records.length + this.days.length + this.ruleCounts.size
  }

  clear(): void {
    this.rows.clear()
    this.records = []
    this.days = []
    this.ruleCounts = new Map()
    this.recalculations = []
    this.faults = []
    this.findings = 0
    this.stored = 0
    this.#live.clear()
  }

  #put(topic: string, key: string, value: object): void {
    this.records.push({ topic, key, value: JSON.stringify(value) })
  }

  #show(zone: string, value: LiveValue): void {
    let series = this.#live.get(zone)
    if (series === undefined) {
      series = new Map()
      this.#live.set(zone, series)
    }
    const key = `${value[0]}|${value[1]}|${value[2]}`
    const known = series.get(key)
    if (known === undefined || value[3] >= known[3]) series.set(key, value)
  }

  reading(zone: string, r: ValidatedRead): void {
    this.stored += 1
    this.rows.reading(zone, r)
    if (isShown(r)) this.#show(zone, [r.device, r.quantity, qualifier(r), r.tsMs, r.value, r.quality])
  }

  computed(zone: string, v: ComputedValue): void {
    this.rows.computed(zone, v)
    this.#show(zone, [v.asset, v.quantity, '', v.tsMs, v.value, 'computed'])
  }

  event(zone: string, e: MeterEvent): void {
    this.rows.event(zone, e)
  }

  interval(zone: string, interval: Interval): void {
    this.rows.interval(zone, interval)
  }

  day(zone: string, day: MeterDay, nowMs: number): void {
    this.days.push({ zone, day: { ...day }, nowMs })
  }

  recalculation(r: Recalculation): void {
    this.recalculations.push(r)
  }

  ruleCount(c: RuleCount): void {
    this.ruleCounts.set(`${c.zone}|${c.date}|${c.rule}|${c.class}`, c)
  }

  finding(finding: Finding, seq: number, nowMs: number): void {
    this.findings += 1
    this.#put(this.#topics.findings, finding.id, finding)
    const notice: FindingNotice = { type: 'notice', zone: finding.zone, seq, atMs: nowMs, finding }
    this.#put(this.#topics.summaries, finding.zone, notice)
  }

  summary(summary: Summary): void {
    this.#put(this.#topics.summaries, summary.zone, summary)
  }

  quarantine(entry: QuarantineEntry): void {
    this.#put(this.#topics.quarantine, entry.gateway, entry)
  }

  fault(zone: string, part: string, error: unknown): void {
    this.faults.push({ zone, part, error })
  }

  /** Says that the partition has spoken up to this time; after all that it said. */
  watermark(partition: number, nowMs: number): void {
    const watermark: Watermark = { type: 'watermark', partition, nowMs }
    this.#put(this.#topics.summaries, `#${partition}`, watermark)
  }

  /** Live records of the zones with news. `readings` since the last call, by zone. */
  live(partition: number, zones: Iterable<{ zone: string; nowMs: number; readings: number }>): void {
    for (const { zone, nowMs, readings } of zones) {
      const values = this.#live.get(zone)
      if (readings === 0 && values === undefined) continue
      const record: LiveRecord = {
        type: 'live',
        zone,
        partition,
        nowMs,
        readings,
        values: values === undefined ? [] : [...values.values()],
      }
      this.#put(this.#topics.live, zone, record)
    }
  }

  partitionLive(record: Omit<LiveRecord, 'type' | 'zone' | 'readings' | 'values'>): void {
    const live: LiveRecord = { type: 'live', zone: '', readings: 0, values: [], ...record }
    this.#put(this.#topics.live, '', live)
  }
}

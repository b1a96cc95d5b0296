// One partition of the log in this process: its zone folds, where it is in the log, and what waits to be sent.
import type { Recalculation } from '#model/edit.ts'
import type { LedgerEntry } from '#model/ledger.ts'
import type { QuarantineEntry } from '#model/outcome.ts'
import { decodeRecord, type LogRecord } from '#model/telemetry.ts'
import type { RuleCount } from '#model/validation-rules.ts'
import type { InRecord } from '#runtime/kafka.ts'
import { type Acquired, encodeDef, encodeState, type ZoneSnapshot } from '../sinks/checkpoints.ts'
import { type DayRow, type OutTopics, PartitionOutputs } from '../sinks/outputs.ts'
import type { RowPrefixes } from '../sinks/questdb.ts'
import type { Topology } from '../topology.ts'
import { createZoneFold, type ZoneFold } from '../zone-fold.ts'

/** State of a partition beside its zones. */
export interface PartitionState {
  /** Newest tick. */
  clockMs: number
}

export interface PartitionOptions {
  partition: number
  epoch: number
  topology: Topology
  topics: OutTopics
  prefixes: RowPrefixes
  settings: Record<string, unknown>
}

/** What a checkpoint saves, taken at one point of the log. */
export interface Snapshot {
  nextOffset: number
  clockMs: number
  state: Buffer
  zones: ZoneSnapshot[]
  ledger: LedgerEntry[]
  days: DayRow[]
  ruleCounts: RuleCount[]
  recalculations: Recalculation[]
  bytes: number
}

const POISON_BYTES_MAX = 64 * 1024
/** The partition's own live record comes at most this often. */
const PARTITION_LIVE_MS = 1_000

export class Partition {
  readonly partition: number
  readonly epoch: number
  /** Another process has it now: nothing more is sent or saved for it. */
  lost = false
  /** Offset of the next record to fold. */
  nextOffset: number
  /** How often the consumer was sent to nextOffset since a record was there. */
  seeks = 0
  clockMs = 0
  /** Records not yet folded. */
  lag = 0
  readings = 0
  poisoned = 0
  /** Days decided since the last checkpoint. */
  days: DayRow[] = []
  /** Asked for since the last checkpoint. */
  recalculations: Recalculation[] = []
  /** Firings of rules on the newest day of each zone, and which of them changed since the last checkpoint. */
  readonly ruleCounts = new Map<string, RuleCount>()
  readonly #ruleDates = new Map<string, string>()
  #ruleNews = new Map<string, RuleCount>()
  readonly zones = new Map<string, ZoneFold>()
  readonly #options: PartitionOptions
  readonly #savedDefs = new Map<string, string>()
  #filling: PartitionOutputs
  #spare: PartitionOutputs
  #watermarkMs = 0
  #liveAtMs = 0

  constructor(options: PartitionOptions, acquired: Acquired<PartitionState>, firstOffset: number) {
    this.#options = options
    this.partition = options.partition
    this.epoch = options.epoch
    this.#filling = new PartitionOutputs(options.topics, options.prefixes)
    this.#spare = new PartitionOutputs(options.topics, options.prefixes)
    this.nextOffset = acquired.nextOffset ?? firstOffset
    this.clockMs = acquired.state?.clockMs ?? 0
    for (const { zone, def, state } of acquired.zones) {
      this.zones.set(zone, this.#fold(zone, { def, state }))
      if (def !== undefined) this.#savedDefs.set(zone, def.version)
    }
  }

  /** Rows and records that wait to be sent. */
  get pending(): number {
    return this.#filling.size
  }

  get hasNews(): boolean {
    return this.#filling.size > 0 || this.clockMs > this.#watermarkMs
  }

  get openFindings(): number {
    let n = 0
    for (const z of this.zones.values()) n += z.openFindings()
    return n
  }

  #fold(zone: string, restored?: { def: Acquired<unknown>['zones'][number]['def']; state: ZoneFold['state'] }): ZoneFold {
    const { topology, settings } = this.#options
    const { detectors, validator } = topology
    return createZoneFold({ zone, detectors, validator, settings, clockMs: this.clockMs, ...(restored === undefined ? {} : { restored }) })
  }

  /** Folds what is new of these records; those before nextOffset were folded already. @throws Error on a hole in the log. */
  apply(records: readonly InRecord[]): void {
    for (const r of records) {
      if (r.offset < this.nextOffset) continue
      this.#one(r)
      this.nextOffset = r.offset + 1
    }
  }

  #one(r: InRecord): void {
    let record: LogRecord
    try {
      record = decodeRecord(r.key, r.value)
    } catch (error) {
      this.#poison(r, error)
      return
    }
    if (record.kind === 'tick') {
      if (record.nowMs > this.clockMs) this.clockMs = record.nowMs
      for (const fold of this.zones.values()) fold.apply(record, this.#filling)
      return
    }
    if (record.kind === 'data') this.readings += record.readings.length
    let fold = this.zones.get(record.zone)
    if (fold === undefined) {
      fold = this.#fold(record.zone)
      this.zones.set(record.zone, fold)
    }
    try {
      fold.apply(record, this.#filling)
    } catch (error) {
      // Detectors and validator are guarded by the fold: only a control record of wrong shape gets here.
      this.#poison(r, error)
    }
  }

  #poison(r: InRecord, error: unknown): void {
    this.poisoned += 1
    const entry: QuarantineEntry = {
      id: `log-${this.partition}-${r.offset}-${r.timestampMs}`,
      reason: 'malformed',
      field: '',
      message: `record ${r.offset} of partition ${this.partition}: ${(error as Error).message.slice(0, 300)}`,
      gateway: '',
      device: '',
      topic: 'telemetry',
      format: 'log',
      receivedAtMs: this.clockMs,
      entries: 1,
      payload: r.value.subarray(0, POISON_BYTES_MAX).toString('base64'),
      encoding: 'base64',
      truncated: r.value.length > POISON_BYTES_MAX,
      redelivered: false,
    }
    this.#filling.quarantine(entry)
  }

  /** Ends the filling outputs and gives them away; the partition fills others meanwhile. Give them back with `release`. */
  take(nowMs: number): PartitionOutputs {
    const out = this.#filling
    this.#filling = this.#spare
    this.days.push(...out.days)
    this.recalculations.push(...out.recalculations)
    for (const [key, c] of out.ruleCounts) this.#countRule(key, c)
    out.live(this.partition, this.#liveZones())
    if (nowMs - this.#liveAtMs >= PARTITION_LIVE_MS) {
      this.#liveAtMs = nowMs
      out.partitionLive({ partition: this.partition, nowMs: this.clockMs, lagRecords: this.lag, openFindings: this.openFindings })
    }
    if (this.clockMs > this.#watermarkMs) {
      this.#watermarkMs = this.clockMs
      out.watermark(this.partition, this.clockMs)
    }
    return out
  }

  #countRule(key: string, c: RuleCount): void {
    this.#ruleNews.set(key, c)
    // Of a zone the newest day only: what a gauge shows.
    const shown = this.#ruleDates.get(c.zone) ?? c.date
    if (shown > c.date) return
    if (shown < c.date) for (const [k, x] of this.ruleCounts) if (x.zone === c.zone) this.ruleCounts.delete(k)
    this.#ruleDates.set(c.zone, c.date)
    this.ruleCounts.set(key, c)
  }

  *#liveZones(): Generator<{ zone: string; nowMs: number; readings: number }> {
    for (const fold of this.zones.values()) {
      const { zone, received } = fold
      fold.received = 0
      yield { zone, nowMs: fold.state.nowMs, readings: received }
    }
  }

  release(out: PartitionOutputs): void {
    out.clear()
    this.#spare = out
  }

  /** State as of now, of the zones changed since the last snapshot. It must be saved before the next one is taken. */
  snapshot(): Snapshot {
    const zones: ZoneSnapshot[] = []
    const ledger: LedgerEntry[] = []
    let bytes = 0
    for (const fold of this.zones.values()) {
      if (!fold.dirty) continue
      fold.dirty = false
      const { zone, def } = fold
      const defVersion = def?.version ?? ''
      const newDef = def !== undefined && this.#savedDefs.get(zone) !== defVersion ? encodeDef(def) : undefined
      const state = encodeState(fold.state)
      bytes += state.length + (newDef?.length ?? 0)
      zones.push({ zone, nextOffset: this.nextOffset, state, def: newDef, defVersion })
      ledger.push(...fold.takeLedger())
    }
    const { days, recalculations } = this
    this.recalculations = []
    const ruleCounts = [...this.#ruleNews.values()]
    this.days = []
    this.#ruleNews = new Map()
    const state: PartitionState = { clockMs: this.clockMs }
    // Entries of the ledger are the folds' own and go on counting: copied as of now.
    const entries = ledger.map((e) => ({ ...e, quarantined: { ...e.quarantined } }))
    return {
      nextOffset: this.nextOffset,
      clockMs: this.clockMs,
      state: encodeState(state),
      zones,
      ledger: entries,
      days,
      ruleCounts,
      recalculations,
      bytes,
    }
  }

  saved(snapshot: Snapshot): void {
    for (const z of snapshot.zones) this.#savedDefs.set(z.zone, z.defVersion)
  }
}

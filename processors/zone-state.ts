// What a zone's fold keeps and what it gives.
import type { Operation } from '#model/asset.ts'
import type { Recalculation } from '#model/edit.ts'
import type { Finding, Summary } from '#model/finding.ts'
import type { Interval, MeterDay } from '#model/interval.ts'
import type { QuarantineEntry } from '#model/outcome.ts'
import type { Quantity } from '#model/quantity.ts'
import type { MeterEvent } from '#model/reading.ts'
import type { RuleCount } from '#model/validation-rules.ts'
import type { FindingBook } from './findings.ts'
import type { ValidatedRead } from './fold.ts'
import type { LedgerBook } from './ledger.ts'

/** Where a zone's results go. What is passed belongs to the fold: encode it before returning, keep no reference. */
export interface ZoneOutputs {
  /** Stored and counted: never a copy from a neighbouring zone. */
  reading(zone: string, read: ValidatedRead): void
  /** A value computed for an asset without a sensor. */
  computed(zone: string, value: ComputedValue): void
  event(zone: string, event: MeterEvent): void
  interval(zone: string, interval: Interval): void
  day(zone: string, day: MeterDay, nowMs: number): void
  /** Firings of a validation rule on a day by now. */
  ruleCount(count: RuleCount): void
  /** Stored intervals to be written anew. */
  recalculation(r: Recalculation): void
  /** `seq` counts findings and summaries of the zone together. */
  finding(finding: Finding, seq: number, nowMs: number): void
  summary(summary: Summary): void
  quarantine(entry: QuarantineEntry): void
  /** A detector or the validator threw, or its settings are wrong: a defect. The fold goes on without what that call would have done. */
  fault(zone: string, part: string, error: unknown): void
}

export interface ComputedValue {
  asset: string
  quantity: Quantity
  tsMs: number
  value: number
  nowMs: number
}

/** A detector's or the validator's state and the version of its shape. */
export interface Slot {
  version: number
  state: unknown
}

/** Plain data: serialise it (structured clone, node:v8) between two records, restore it, and the outputs go on byte for byte. */
export interface ZoneState {
  nowMs: number
  /** Newest tick by ingest instance: a repeated tick is dropped. */
  ticks: Map<string, number>
  /** Receipt time of the definition and settings in force: an older one, repeated, is dropped. */
  defAtMs: number
  settingsAtMs: number
  settings: Record<string, unknown>
  operations: Operation[]
  validation: Slot | undefined
  detectors: Map<string, Slot>
  findings: FindingBook
  /** Last number given to a finding or summary. */
  seq: number
  ledger: LedgerBook
  /** `device|event` -> times seen lately, in order of arrival. */
  events: Map<string, number[]>
  /** Gateway -> statuses seen lately, in order of arrival. */
  gateways: Map<string, string[]>
}

export function createZoneState(clockMs = 0): ZoneState {
  return {
    nowMs: clockMs,
    ticks: new Map(),
    defAtMs: 0,
    settingsAtMs: 0,
    settings: {},
    operations: [],
    validation: undefined,
    detectors: new Map(),
    findings: new Map(),
    seq: 0,
    ledger: new Map(),
    events: new Map(),
    gateways: new Map(),
  }
}

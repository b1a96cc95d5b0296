// What a stage of a zone's fold is. A fold is pure: its only inputs are the log's records, its only clock is the log's.
// State is plain data (objects, arrays, Maps, typed arrays): it must survive structured serialisation, so no class instances,
// no functions. It is changed in place by its owner, because copying it for each of 100,000 readings a second is waste;
// nobody else holds a reference to it.

import type { z } from 'zod'
import type { Operation, ZoneDef, ZoneDevice } from '#model/asset.ts'
import type { FindingDraft, FindingKind } from '#model/finding.ts'
import type { Interval, MeterDay } from '#model/interval.ts'
import type { Quantity } from '#model/quantity.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import type { GatewayRecord, TickRecord } from '#model/telemetry.ts'

/** The registry of a zone with its look-up tables, derived from ZoneDef whenever that changes; not part of the state. */
export interface ZoneContext {
  readonly def: ZoneDef
  device(id: string): ZoneDevice | undefined
  /** Devices of a kind, in a stable order. */
  devicesOf(kind: string): readonly ZoneDevice[]
  /** Customer meters below a transformer, in a stable order. */
  metersOfTransformer(id: string): readonly ZoneDevice[]
  devicesOfGateway(id: string): readonly ZoneDevice[]
}

/** What validation says about a reading that is not refused. */
export interface ValidatedRead extends Reading {
  /**
   * `good`: usable. `late`: usable, but older than what is already known of the series: never moves "now".
   * `suspect`: plausible in form, implausible in value (a spike, a stuck register): kept, never trusted alone.
   */
  quality: 'good' | 'late' | 'suspect'
  /** Names of the validation rules that fired. */
  rules: readonly string[]
  /** Exactly the device of `device`, looked up once. */
  info: ZoneDevice
}

export interface DetectorContext<C = unknown> {
  /** The log's clock: the newest arrival time or tick seen in this zone. Never goes back. */
  readonly nowMs: number
  readonly zone: ZoneContext
  readonly settings: C
  /** Operations known now and not yet ended a week ago, in the order they became known. */
  readonly operations: readonly Operation[]
  /** True before the zone's warmupUntil: learn. The fold drops what is emitted meanwhile. */
  readonly warmingUp: boolean
  /** Emits a finding or a new revision of one. Ids, revisions and log times are added by the fold. An unchanged draft is not emitted again. */
  emit(draft: FindingDraft): void
  /** Sends a fact or a candidate to the second stage, which sees all zones in log-time order. */
  summarise(topic: string, data: Record<string, unknown>): void
  /** Stores and shows a value computed for an asset that has no sensor: the load of a transformer, the net inflow of a district. */
  measure(asset: string, quantity: Quantity, tsMs: number, value: number): void
}

/**
 * A detector of one zone. Every hook is optional. Order within a record: validation, then detectors in the order of the list
 * (a detector must not depend on another's state). `S` must be plain data.
 */
export interface Detector<S = unknown, C = unknown> {
  /** File name, metric label, settings key. */
  readonly name: string
  readonly zoneKinds: readonly ZoneDef['kind'][]
  readonly kinds: readonly FindingKind[]
  /** Raise it when the shape of the state changes: a state saved under another version is dropped and learnt anew. 0 when left out. */
  readonly version?: number
  /** Defaults and units live here; `settings.parse({})` must work. */
  readonly settings: z.ZodType<C>
  create(zone: ZoneContext): S
  /** The registry changed; drop state of what is gone. */
  onZone?(state: S, ctx: DetectorContext<C>): void
  /** Every stored reading, registers as well as values, copies from neighbouring zones included. */
  onRead?(state: S, read: ValidatedRead, ctx: DetectorContext<C>): void
  /** Every validated interval of a register, and every later revision of it (`rev` > 1). */
  onInterval?(state: S, interval: Interval, info: ZoneDevice, ctx: DetectorContext<C>): void
  /** Every day of a register when it is published, and every later revision of it: once a day and meter, so it costs next to nothing. */
  onDay?(state: S, day: MeterDay, info: ZoneDevice, ctx: DetectorContext<C>): void
  onEvent?(state: S, event: MeterEvent, info: ZoneDevice, ctx: DetectorContext<C>): void
  onGateway?(state: S, status: GatewayRecord, ctx: DetectorContext<C>): void
  onOperation?(state: S, operation: Operation, ctx: DetectorContext<C>): void
  /** Every ten seconds of log time, with or without readings. Must be cheap when nothing is due. */
  onTick?(state: S, tick: TickRecord, ctx: DetectorContext<C>): void
}

export interface NetworkContext<C = unknown> {
  /** Log time up to which all zones have been seen. */
  readonly nowMs: number
  readonly settings: C
  /** `zone` is where the finding belongs (its district or feeder). */
  emit(zone: string, draft: FindingDraft): void
}

/** A detector of the second stage: sees the summaries of all zones, ordered by log time, then ticks. */
export interface NetworkDetector<S = unknown, C = unknown> {
  readonly name: string
  readonly kinds: readonly FindingKind[]
  /** As for detectors of a zone. */
  readonly version?: number
  /** Summary topics it wants. */
  readonly topics: readonly string[]
  readonly settings: z.ZodType<C>
  create(): S
  onSummary?(
    state: S,
    summary: { zone: string; zoneKind: ZoneDef['kind']; topic: string; atMs: number; data: Record<string, unknown> },
    ctx: NetworkContext<C>,
  ): void
  onTick?(state: S, nowMs: number, ctx: NetworkContext<C>): void
}

/** Keeps the types of a detector's own state and settings inside its file, and lets lists hold any of them. */
// biome-ignore lint/suspicious/noExplicitAny: a heterogeneous list; each entry was checked where it was defined
export type AnyDetector = Detector<any, any>
// biome-ignore lint/suspicious/noExplicitAny: as above
export type AnyNetworkDetector = NetworkDetector<any, any>

// What validation is to a zone's fold: it sees every reading of the zone first and decides what becomes of it.
// The implementation is exported as `validation` from index.ts beside this file; the fold stores, counts and passes on what comes out.

import type { z } from 'zod'
import type { Operation, ZoneDevice } from '#model/asset.ts'
import type { Edit, Recalculation } from '#model/edit.ts'
import type { Interval, MeterDay } from '#model/interval.ts'
import type { Refusal } from '#model/outcome.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import type { TickRecord } from '#model/telemetry.ts'
import type { RuleCount } from '#model/validation-rules.ts'
import type { ValidatedRead, ZoneContext } from '../fold.ts'

/**
 * Exactly one of accept, duplicate, refuse is called for each reading, within onReading: received = accepted + duplicate +
 * quarantined is counted from these calls. The outputs of copies (info.primary false) reach the detectors, but are neither stored nor
 * counted: their own zone does that. The fold keeps no reference to what is passed, except on its way to the sinks: pass fresh
 * objects and leave them unchanged.
 */
export interface ValidatorContext<C = unknown> {
  /** The log's clock of this zone, never going back. */
  readonly nowMs: number
  readonly zone: ZoneContext
  readonly settings: C
  /** Operations known now and not ended more than a week ago, in the order they became known. */
  readonly operations: readonly Operation[]
  /** Stored in `readings`, then given to the detectors. */
  accept(read: ValidatedRead): void
  /** The same series, time and value came before: counted, not stored again. */
  duplicate(reading: Reading): void
  /** To quarantine. `field` is a path within the reading (`value`), `message` one sentence a person can act on. */
  refuse(reading: Reading, reason: Refusal, field: string, message: string): void
  /** A new or revised interval: stored, then given to the detectors. */
  interval(interval: Interval, info: ZoneDevice): void
  /** A new or revised day of a meter: stored. */
  day(day: MeterDay, info: ZoneDevice): void
  /** How often a rule has fired on a local day by now; cumulative. */
  ruleCount?(count: RuleCount): void
  /** Intervals said before must be read from the store and written anew. */
  recalculate?(r: Omit<Recalculation, 'zone'>): void
}

export interface Validator<S = unknown, C = unknown> {
  /** Key of its settings. */
  readonly name: string
  /** Raise it when the shape of the state changes: a state saved under another version is dropped. 0 when left out. */
  readonly version?: number
  /** Defaults and units live here; `settings.parse({})` must work. */
  readonly settings: z.ZodType<C>
  /** Plain data only: it must survive structured serialisation and give the same outputs afterwards. At most 2 KiB a meter. */
  create(zone: ZoneContext): S
  /** The registry changed; drop the state of what is gone. */
  onZone?(state: S, ctx: ValidatorContext<C>): void
  onReading(state: S, reading: Reading, info: ZoneDevice, ctx: ValidatorContext<C>): void
  /** Every event once (the fold drops repeats), before the detectors see it: clock_set, register_reset, meter_replaced, power_lost ... */
  onEvent?(state: S, event: MeterEvent, info: ZoneDevice, ctx: ValidatorContext<C>): void
  onOperation?(state: S, operation: Operation, ctx: ValidatorContext<C>): void
  /** Intervals written by a person or calculated anew. */
  onEdit?(state: S, edit: Edit, ctx: ValidatorContext<C>): void
  /** Every ten seconds of log time. Must be cheap when nothing is due. */
  onTick?(state: S, tick: TickRecord, ctx: ValidatorContext<C>): void
}

// biome-ignore lint/suspicious/noExplicitAny: the fold hosts any validator; its own file checked the types
export type AnyValidator = Validator<any, any>

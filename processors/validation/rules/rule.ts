// What a rule of days is: asked when a register's day is published, of figures that are at hand. One file each beside this one, one line
// each in index.ts. Rules of reads and intervals are functions that the steps of validation call; they have a file each here as well.
import type { z } from 'zod'
import type { ZoneDevice } from '#model/asset.ts'
import type { ValidationRule } from '#model/validation-rules.ts'

/** What is known of a register on one local day, in the unit of its quantity. */
export interface DayFacts {
  info: ZoneDevice
  quantity: string
  channel: string
  value: number
  actual: number
  estimated: number
  missing: number
  edited: number
  hours: number
  /** One step of the register, in the unit of the quantity; 0 when not known. */
  step: number
  multiplier: number
  /** Difference of the register between the midnights, rollover included; NaN when it is not known at both, or broke in between. */
  difference: number
  /** Mean use of the days before, about the last fortnight; NaN before a week is known. */
  usual: number
  /** Longest run of days without use so far. */
  zeroDaysMax: number
  /** Days in a row with this one that were mostly estimated; days in a row that were off by a factor. */
  estimatedDays: number
  unitDays: number
  /** Mean spacing of reads by that of the registry; NaN when not known. */
  spacing: number
  /** The same day of another register of the device; undefined when there is none. */
  sibling(quantity: string, channel?: string): { value: number; complete: boolean; usual: number } | undefined
  /** Registers of the device that have had no read since the day began. */
  silentSiblings: number
}

export interface DayRule<C> {
  name: ValidationRule
  /** Defaults and units live here. */
  settings: z.ZodType<C>
  /** Only days without estimates are judged, unless this is set: an estimate says nothing about the meter. */
  estimatesToo?: boolean
  fires(f: DayFacts, c: C): boolean
}

/** Keeps the types of a rule's own settings inside its file. */
// biome-ignore lint/suspicious/noExplicitAny: a list of rules with settings of their own; each entry was checked where it was defined
export type AnyDayRule = DayRule<any>

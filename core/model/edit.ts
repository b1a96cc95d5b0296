// Intervals that are written anew from outside the reads: by a person, or because the registry says another multiplier and since when. They
// travel through the log like everything else a fold needs, so the same log gives the same figures.
import type { IntervalStatus } from './interval.ts'
import type { Quantity } from './quantity.ts'

/** One interval to write, and its newest revision as it is stored: what the edit was made upon. */
export interface EditedInterval {
  startMs: number
  endMs: number
  value: number
  before: number | null
  beforeStatus: IntervalStatus
  rev: number
}

/** A day that the edit touches, as last published: the fold forgets days that nothing can change any more. */
export interface EditedDay {
  date: string
  value: number
  estimatedValue: number
  actual: number
  estimated: number
  missing: number
  edited: number
  tou: Record<string, number> | undefined
  rev: number
}

export interface Edit {
  /** Derived or given by who asked; a part of a long edit has a number after `#`. A repeat of the same id does nothing. */
  id: string
  /** `manual`: a person's values, which stand until another edit. `multiplier`: the same status, the value times a factor. */
  kind: 'manual' | 'multiplier'
  meter: string
  quantity: Quantity
  channel: string
  /** In order of time; a local day is never cut in two. */
  intervals: EditedInterval[]
  days: EditedDay[]
}
/** Intervals in one record, about: whole days are added until it is reached. */
export const EDIT_INTERVALS = 500

/** Asked by a fold when the registry changed a multiplier with effect backwards: only the store still knows the intervals it said. */
export interface Recalculation {
  id: string
  zone: string
  meter: string
  quantity: Quantity
  channel: string
  /** New multiplier by old one. */
  factor: number
  /** Intervals that begin from here on ... */
  sinceMs: number
  /** ... and end up to here were said with the old multiplier. */
  untilMs: number
  /** Log time. */
  askedAtMs: number
}

// Validated consumption: intervals and local days, with status, reasons and revisions.
import type { Quantity } from './quantity.ts'

export const INTERVAL_STATUSES = ['actual', 'estimated', 'rejected', 'missing', 'edited'] as const
export type IntervalStatus = (typeof INTERVAL_STATUSES)[number]

/** Why an interval or a day was said again. */
export const REVISION_REASONS = [
  'late_read', // a read came late and fills a gap
  'read_returned', // reads came back after intervals were declared missing
  'false_read', // reads that were believed turned out to be false
  'stuck_register', // a register turned out to stand still although it should move, or moved again
  'exchange_told', // an exchange or reset became known after its reads
  'estimated_anew', // more is known of an estimate
  'multiplier', // the registry says another multiplier, and since when
  'manual_edit', // a person wrote another value
] as const
export type RevisionReason = (typeof REVISION_REASONS)[number]

/** What a revision replaces. */
export interface Replaced {
  value: number | null
  status: IntervalStatus
  why: RevisionReason
}

/**
 * Consumption of one interval. `value` is in the quantity's unit after the multiplier; null when missing.
 * `rejected`: a read came for the interval's end and was refused; the value is the estimate in its place.
 * `edited`: a person wrote it; nothing that comes later changes it, but another edit.
 */
export interface Interval {
  meter: string
  quantity: Quantity
  /** '' or the qualifier of the series (phase, tariff, channel). */
  channel: string
  startMs: number
  endMs: number
  value: number | null
  status: IntervalStatus
  /** Names of the rules that fired and of the estimation method. */
  reasons: string[]
  rev: number
  /** Of a revision above 1. */
  was?: Replaced | undefined
}

/** Consumption of one local day. `actual`, `estimated`, `missing`, `edited` count intervals; `rejected` ones count as estimated. */
export interface MeterDay {
  meter: string
  quantity: Quantity
  channel: string
  /** Local calendar date in the utility's time zone. */
  date: string
  value: number
  actual: number
  estimated: number
  missing: number
  edited: number
  /** Part of `value` that comes from estimated and rejected intervals. */
  estimatedValue: number
  /** `value` by time-of-use band (the names are settings of validation); undefined when the quantity has no calendar. */
  tou: Record<string, number> | undefined
  /** Names of the rules of days that fired. */
  rules: string[]
  rev: number
  /** Of a revision above 1: the value before, and why it was said again. */
  was?: { value: number; why: RevisionReason } | undefined
}

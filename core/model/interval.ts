// Validated consumption: intervals and local days, with status, reasons and revisions.
import type { Quantity } from './quantity.ts'

export const INTERVAL_STATUSES = ['actual', 'estimated', 'rejected', 'missing', 'edited'] as const
export type IntervalStatus = (typeof INTERVAL_STATUSES)[number]

/**
 * Consumption of one interval. `value` is in the quantity's unit after the multiplier; null when missing.
 * `rejected`: a read came for the interval's end and was refused; the value is the estimate in its place.
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
}

/** Consumption of one local day. `actual`, `estimated`, `missing` count intervals; `rejected` ones count as estimated. */
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
  rev: number
}

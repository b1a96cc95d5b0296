// Daily consumption of each meter by local day, the last four weeks of it: the yardstick for "less than usual" and "more than usual".
// Only what was read counts: a day with too many estimates, or with an outage in it, is a hole.
import type { Interval } from '#model/interval.ts'
import { HOUR_MS, localDay } from '#model/time.ts'
import { carryColumn } from './layout.ts'

export const DAYS = 28
/** Share of a day that must have been read. */
const COVERAGE_MIN = 0.75
const HOLE = 255

/** Columns by meter. Plain data. */
export interface Days {
  ids: string[]
  /** kWh of the last days, a ring for all meters at the same place; NaN for a hole. */
  kwh: Float32Array
  /** How much the power changes from interval to interval, in hundredths of the mean, at most 254: the shape of use. 255 for a hole. */
  spread: Uint8Array
  todayKwh: Float32Array
  todayHours: Float32Array
  /** Sum of absolute differences between neighbouring intervals, kW. */
  todayTurns: Float32Array
  lastKw: Float32Array
  /** Next place of the ring, days so far. */
  turn: number
  count: number
  dayStartMs: number
  dayEndMs: number
}

/** `spread`: whether the shape is kept too. */
export function createDays(ids: string[], spread: boolean, old?: Days): Days {
  const n = ids.length
  const shaped = spread ? n : 0
  const d: Days = {
    ids,
    kwh: new Float32Array(n * DAYS).fill(Number.NaN),
    spread: new Uint8Array(shaped * DAYS).fill(HOLE),
    todayKwh: new Float32Array(n),
    todayHours: new Float32Array(n),
    todayTurns: new Float32Array(shaped),
    lastKw: new Float32Array(shaped),
    turn: old?.turn ?? 0,
    count: old?.count ?? 0,
    dayStartMs: old?.dayStartMs ?? 0,
    dayEndMs: old?.dayEndMs ?? 0,
  }
  if (old !== undefined) {
    carryColumn(old.ids, old.kwh, ids, d.kwh, DAYS)
    carryColumn(old.ids, old.todayKwh, ids, d.todayKwh)
    carryColumn(old.ids, old.todayHours, ids, d.todayHours)
    if (spread) {
      carryColumn(old.ids, old.spread, ids, d.spread, DAYS)
      carryColumn(old.ids, old.todayTurns, ids, d.todayTurns)
      carryColumn(old.ids, old.lastKw, ids, d.lastKw)
    }
  }
  return d
}

/** Adds an interval of meter `i` that was read as it was; one of a day that is over is left out. */
export function addToDay(d: Days, i: number, interval: Interval, timezone: string): void {
  const { startMs, endMs } = interval
  if (d.dayEndMs === 0) {
    const day = localDay(timezone, startMs)
    d.dayStartMs = day.startMs
    d.dayEndMs = day.endMs
  }
  if (startMs < d.dayStartMs || endMs > d.dayEndMs) return
  const hours = (endMs - startMs) / HOUR_MS
  const kwh = interval.value as number
  const kw = kwh / hours
  d.todayKwh[i] = (d.todayKwh[i] as number) + kwh
  if (d.lastKw.length > 0) {
    if ((d.todayHours[i] as number) > 0) d.todayTurns[i] = (d.todayTurns[i] as number) + Math.abs(kw - (d.lastKw[i] as number)) * hours
    d.lastKw[i] = kw
  }
  d.todayHours[i] = (d.todayHours[i] as number) + hours
}

/** Read as it was, at both ends of one interval of the meter (`stepMs`): what may trigger or clear anything. */
export function isPlain(interval: Interval, stepMs: number): boolean {
  return (
    interval.status === 'actual' &&
    interval.rev === 1 &&
    interval.value !== null &&
    interval.channel === '' &&
    interval.endMs - interval.startMs <= stepMs &&
    !interval.reasons.includes('outage')
  )
}

/** Closes the day when `nowMs` is `waitMs` past its end, and opens the one that contains then. Returns true when a day was closed. */
export function closeDay(d: Days, nowMs: number, waitMs: number, timezone: string): boolean {
  if (d.dayEndMs === 0 || nowMs < d.dayEndMs + waitMs) return false
  const length = (d.dayEndMs - d.dayStartMs) / HOUR_MS
  for (let i = 0; i < d.ids.length; i++) {
    const hours = d.todayHours[i] as number
    const kwh = d.todayKwh[i] as number
    const full = hours >= length * COVERAGE_MIN
    d.kwh[i * DAYS + d.turn] = full ? (kwh * 24) / hours : Number.NaN
    if (d.spread.length > 0)
      d.spread[i * DAYS + d.turn] = full && kwh > 0 ? Math.min(254, Math.round((100 * (d.todayTurns[i] as number)) / kwh)) : HOLE
  }
  d.todayKwh.fill(0)
  d.todayHours.fill(0)
  d.todayTurns.fill(0)
  d.turn = (d.turn + 1) % DAYS
  d.count += 1
  const next = localDay(timezone, Math.max(d.dayEndMs, nowMs - waitMs))
  d.dayStartMs = next.startMs
  d.dayEndMs = next.endMs
  return true
}

/** Days of a ring column, `from` days back to `to` days back (1 = yesterday), holes left out. */
export function lastDays(column: Float32Array | Uint8Array, d: Days, i: number, from: number, to: number): number[] {
  const hole = column instanceof Uint8Array ? HOLE : Number.NaN
  const out: number[] = []
  for (let back = from; back <= Math.min(to, DAYS); back++) {
    const v = column[i * DAYS + ((d.turn - back + 2 * DAYS) % DAYS)] as number
    if (v !== hole && !Number.isNaN(v)) out.push(v)
  }
  return out
}

export function median(values: number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = values.slice().sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/** Median absolute deviation, scaled to a standard deviation. */
export function mad(values: number[], around: number): number {
  return 1.4826 * median(values.map((v) => Math.abs(v - around)))
}

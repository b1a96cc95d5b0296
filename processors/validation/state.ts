// What validation remembers of a zone, and the small bundle that its steps pass along while they work on one series.
import type { ZoneDevice } from '#model/asset.ts'
import type { IntervalStatus, Replaced } from '#model/interval.ts'
import { QUANTITIES, type Quantity } from '#model/quantity.ts'
import type { ZoneContext } from '../fold.ts'
import { type Balance, createBalances } from './balance.ts'
import { dayOf } from './days.ts'
import { type RegisterLimits, tidy } from './register.ts'
import type { Inflow } from './rules/sum-check-district.ts'
import { createTable, DUE_BLOCK, type SeriesConfig, type SeriesTable } from './series.ts'
import type { ValidationSettings } from './settings.ts'
import { bandOf } from './tou.ts'
import type { ValidatorContext } from './validator.ts'

/** An exchange or reset that someone told us of; indices are NaN when not told. */
export interface Exchange {
  fromMs: number
  toMs: number
  oldFinal: number
  newInitial: number
  cause: 'meter_exchange' | 'register_reset'
}

export interface ValidationState {
  table: SeriesTable
  /** Device -> lost, restored, lost, restored ... ms; Infinity while it lasts. */
  outages: Map<string, number[]>
  exchanges: Map<string, Exchange>
  /** Energy balances of the transformers that have a meter of their own. */
  balances: Balance[]
  /** Local day numbers that count as weekends. */
  holidays: Set<number>
  nextScanMs: number
  nextSilenceMs: number
  /** Part of the zone's registers without a read for some intervals, at the last scan. */
  silentShare: number
  settingsKey: number
  /** Firings of rules: `day number|rule|class` -> count, and the keys that changed since they were last said. */
  fired: Map<string, number>
  firedNews: Set<string>
  /** Water into the district by its flow meters, of the last days. */
  inflow: Inflow[]
  /** Local day whose zone checks were made last. */
  checkedDay: number
  /** Ids of the newest edits. */
  edits: string[]
}

/** Supply interruptions kept a device. */
export const OUTAGES_MAX = 8

export function createState(zone: ZoneContext): ValidationState {
  const expected = zone.def.devices.reduce((n, d) => n + (d.asset.kind === 'electric_meter' ? 2 : 1), 0)
  return {
    table: createTable(expected),
    outages: new Map(),
    exchanges: new Map(),
    balances: createBalances(zone, []),
    holidays: new Set(),
    nextScanMs: 0,
    nextSilenceMs: 0,
    silentShare: 0,
    settingsKey: 0,
    fired: new Map(),
    firedNews: new Set(),
    inflow: [],
    checkedDay: -1,
    edits: [],
  }
}

/** One series at work. */
export interface Work {
  state: ValidationState
  t: SeriesTable
  row: number
  c: SeriesConfig
  info: ZoneDevice
  s: ValidationSettings
  ctx: ValidatorContext<ValidationSettings>
}

export function quantityOf(w: Work): Quantity {
  return QUANTITIES[w.t.code[w.row] as number] as Quantity
}

/**
 * A time, moved back onto the grid when it is just behind it: meters read at the boundary and stamp a little later. Never forward,
 * so that of many reads around a boundary the one at it counts.
 */
export function snap(c: SeriesConfig, tsMs: number): number {
  const on = Math.floor(tsMs / c.intervalMs) * c.intervalMs
  return tsMs - on <= c.snapMs ? on : tsMs
}

/** Longest time between two reads that is not a gap. */
export function wholeMs(c: SeriesConfig): number {
  return c.intervalMs * 1.5
}

/** Intervals of history after which what was learnt counts. */
export function isLearnt(w: Work): boolean {
  return (w.t.learnt[w.row] as number) * w.c.intervalMs >= w.s.stuckHistoryMs
}

/** Highest possible rate of the register: the connection's, or what its own history allows. */
export function maxPerHour(w: Work): number {
  if (w.c.maxPerHour > 0) return w.c.maxPerHour
  if (!isLearnt(w)) return w.c.fallbackPerHour
  return Math.max(w.c.floorPerHour, w.s.learnedFactor * (w.t.peakPerHour[w.row] as number))
}

export function limitsOf(w: Work): RegisterLimits {
  return { modulus: w.c.modulus, maxPerHour: maxPerHour(w), slackMs: w.c.intervalMs, resolution: w.c.resolution }
}

export function isHoliday(state: ValidationState, dayNo: number): boolean {
  return state.holidays.size > 0 && state.holidays.has(dayNo)
}

export function dayAt(w: Work, ms: number) {
  return dayOf(w.ctx.zone.def.timezone, ms)
}

/** Counts firings of rules, by local day of the log and class of meter. */
export function fired(state: ValidationState, ctx: ValidatorContext<ValidationSettings>, cls: string, rules: readonly string[]): void {
  const { no } = dayOf(ctx.zone.def.timezone, ctx.nowMs)
  for (const rule of rules) {
    const key = `${no}|${rule}|${cls}`
    state.fired.set(key, (state.fired.get(key) ?? 0) + 1)
    state.firedNews.add(key)
  }
}

/** Wakes the scan for a row. */
export function wake(w: Work, dueMs: number): void {
  const { t, row } = w
  if (dueMs < (t.dueMs[row] as number)) t.dueMs[row] = dueMs
  const block = Math.floor(row / DUE_BLOCK)
  if (dueMs < (t.dueBlocks[block] as number)) t.dueBlocks[block] = dueMs
}

export interface Said {
  startMs: number
  endMs: number
  value: number | null
  status: IntervalStatus
  reasons: readonly string[]
  rev: number
  was: Replaced | undefined
}

/** Register units as the quantity's unit. */
export function units(w: Work, register: number): number {
  return tidy(register * w.c.multiplier, 1e6)
}

/** Time-of-use band of an interval by its start; 0 for quantities without a calendar. */
export function bandAt(w: Work, startMs: number): number {
  if (!w.c.tou) return 0
  const day = dayAt(w, startMs)
  return bandOf(w.s.tou, w.ctx.zone.def.timezone, day, startMs, isHoliday(w.state, day.no))
}

/** Values are remembered with seven digits: one that is whole steps of the register is exact again. */
export function remembered(w: Work, value: number): number {
  const steps = Math.round((value * w.c.scale) / w.c.multiplier)
  const near = tidy((steps / w.c.scale) * w.c.multiplier, 1e6)
  return Math.abs(near - value) <= SEVEN_DIGITS * Math.abs(value) ? near : tidy(value, 1e6)
}
const SEVEN_DIGITS = 1.2e-7

/** Sends one interval out. */
export function say(w: Work, i: Said): void {
  if (i.reasons.length > 0) fired(w.state, w.ctx, w.c.class, i.reasons)
  w.ctx.interval(
    {
      meter: w.t.device[w.row] as string,
      quantity: quantityOf(w),
      channel: w.t.channel[w.row] as string,
      startMs: i.startMs,
      endMs: i.endMs,
      value: i.value,
      status: i.status,
      reasons: i.reasons as string[],
      rev: i.rev,
      was: i.was,
    },
    w.info,
  )
}

// Local days of the utility and what each register used in them: added up as intervals come, published when complete, published
// again with a higher revision when a late or corrected read changes one of its intervals.
import { DAY_MS, HOUR_MS, localDay } from '#model/time.ts'
import { DAYS, profileOf, RECENT, type SeriesConfig, type SeriesTable } from './series.ts'
import { BANDS } from './tou.ts'

export interface DayWindow {
  /** Days since 1970-01-01 of the local date. */
  no: number
  date: string
  startMs: number
  endMs: number
  weekend: boolean
}

/** Windows of the days around the present, per time zone; derived, bounded, and the same for everyone. */
const WINDOWS_MAX = 512
const windows = new Map<string, Map<number, DayWindow>>()
let last: DayWindow | undefined
let lastZone = ''

/** The local day that contains an instant. */
export function dayOf(timezone: string, ms: number): DayWindow {
  if (last !== undefined && ms >= last.startMs && ms < last.endMs && timezone === lastZone) return last
  let known = windows.get(timezone)
  if (known === undefined) {
    known = new Map()
    windows.set(timezone, known)
  }
  // A local day overlaps the UTC day of the same number and one neighbour.
  const near = Math.floor(ms / DAY_MS)
  for (let no = near - 1; no <= near + 1; no++) {
    const w = known.get(no)
    if (w !== undefined && ms >= w.startMs && ms < w.endMs) {
      last = w
      lastZone = timezone
      return w
    }
  }
  const { date, startMs, endMs } = localDay(timezone, ms)
  const no = Date.parse(`${date}T00:00:00Z`) / DAY_MS
  const weekday = (((no + 4) % 7) + 7) % 7
  const w: DayWindow = { no, date, startMs, endMs, weekend: weekday === 0 || weekday === 6 }
  if (known.size >= WINDOWS_MAX) known.clear()
  known.set(no, w)
  last = w
  lastZone = timezone
  return w
}

/** The window of a local day by its number. */
export function dayByNo(timezone: string, no: number): DayWindow {
  const w = windows.get(timezone)?.get(no)
  if (w !== undefined) return w
  // Noon UTC lies in the local day of the same date for offsets within half a day; others are found next door.
  const noon = no * DAY_MS + 12 * HOUR_MS
  for (const ms of [noon, noon - 12 * HOUR_MS, noon + 11 * HOUR_MS]) {
    const found = dayOf(timezone, ms)
    if (found.no === no) return found
  }
  return dayOf(timezone, noon)
}

/** Intervals of the grid that begin within a day and not before a meter's first one. */
export function expectedIntervals(day: DayWindow, intervalMs: number, firstMs: number): number {
  const from = Math.max(day.startMs, firstMs)
  return Math.max(0, Math.ceil(day.endMs / intervalMs) - Math.ceil(from / intervalMs))
}

/**
 * Figures of days in flat lists of numbers, FIGURES a day, because they are many, live long and are saved often: day number, value,
 * part of the value that is estimated, value in the bands 1 to 3, and intervals by status.
 */
export const NO = 0
export const VALUE = 1
export const ESTIMATED_VALUE = 2
/** Band b is at BAND + b, for b from 1. */
const BAND = 2
export const ACTUAL_N = BAND + BANDS + 1
export const ESTIMATED_N = ACTUAL_N + 1
export const MISSING_N = ACTUAL_N + 2
export const EDITED_N = ACTUAL_N + 3
export const FIGURES = ACTUAL_N + 4
/** Old days have two more: published revision * 2 + 1 when changed since, and the value last published. */
const REV = FIGURES
const SAID = FIGURES + 1
export const OLD_DAY = FIGURES + 2

/** Intervals of one kind are counted at ACTUAL_N + kind. */
export const COUNT = { actual: 0, estimated: 1, missing: 2, edited: 3 } as const
export type Count = (typeof COUNT)[keyof typeof COUNT]

/** Place of a day in a flat list, or -1. The newest days come last. */
export function findDay(days: readonly number[], no: number, width: number): number {
  let k = days.length - width
  while (k >= 0 && days[k] !== no) k -= width
  return k < 0 ? -1 : k
}

/** Adds an interval to a flat list of figures; negative `n` takes one away. */
export function addTo(days: number[], no: number, at: { value: number; count: Count; band: number; n: 1 | -1 }): void {
  let k = findDay(days, no, FIGURES)
  if (k < 0) {
    k = days.length
    days.push(no)
    for (let i = 1; i < FIGURES; i++) days.push(0)
  }
  const value = at.n * at.value
  days[k + VALUE] = (days[k + VALUE] as number) + value
  if (at.count === COUNT.estimated) days[k + ESTIMATED_VALUE] = (days[k + ESTIMATED_VALUE] as number) + value
  if (at.band > 0) days[k + BAND + at.band] = (days[k + BAND + at.band] as number) + value
  days[k + ACTUAL_N + at.count] = (days[k + ACTUAL_N + at.count] as number) + at.n
}

/** Adds all figures of one flat list to another, `sign` times. */
export function addAll(to: number[], from: readonly number[], sign: 1 | -1): void {
  for (let j = 0; j < from.length; j += FIGURES) {
    let k = findDay(to, from[j] as number, FIGURES)
    if (k < 0) {
      k = to.length
      to.push(from[j] as number)
      for (let i = 1; i < FIGURES; i++) to.push(0)
    }
    for (let i = 1; i < FIGURES; i++) to[k + i] = (to[k + i] as number) + sign * (from[j + i] as number)
  }
}

/** The place of a day in the columns, made free for it when it is newer than what is there; -1 for an older one. */
function column(t: SeriesTable, row: number, no: number): number {
  const k = row * DAYS + (no & (DAYS - 1))
  const here = t.dayNo[k] as number
  if (here === no) return k
  if (here > no) return -1
  if (here >= 0) retire(t, row, k)
  t.dayNo[k] = no
  t.dayValue[k] = 0
  t.dayEstimatedValue[k] = 0
  t.dayActual[k] = 0
  t.dayEstimated[k] = 0
  t.dayMissing[k] = 0
  t.dayEdited[k] = 0
  t.dayRev[k] = 0
  t.daySaid[k] = 0
  t.dayEdge[k] = Number.NaN
  const p = t.profile[row] as number
  if (p >= 0) t.bands.fill(0, bandsOf(p, k), bandsOf(p, k) + BANDS)
  return k
}

/** Bands of a column: they lie beside the like-day shape, which only registers that ever moved have. */
function bandsOf(profile: number, k: number): number {
  return profile * DAYS * BANDS + (k & (DAYS - 1)) * BANDS
}

/** Adds an actual interval as it comes. */
export function addActual(t: SeriesTable, row: number, no: number, value: number, band: number): void {
  const k = column(t, row, no)
  if (k < 0) {
    const days: number[] = []
    addTo(days, no, { value, count: COUNT.actual, band, n: 1 })
    addToOld(t, row, days, 0, 0)
    return
  }
  t.dayValue[k] = (t.dayValue[k] as number) + value
  t.dayActual[k] = (t.dayActual[k] as number) + 1
  t.dayRev[k] = (t.dayRev[k] as number) | 1
  if (band > 0 && value !== 0) {
    const at = bandsOf(profileOf(t, row), k) + band - 1
    t.bands[at] = (t.bands[at] as number) + value
  }
}

/**
 * Adds the figures at `j` of a flat list to its day; negative ones take back what a revision replaces. Marks the day as changed.
 * `still`: intervals of a day that is no longer known, because it was complete and nothing was used in it.
 */
export function addToDay(t: SeriesTable, row: number, days: readonly number[], j: number, still: () => number): void {
  const k = column(t, row, days[j] as number)
  if (k < 0) {
    addToOld(t, row, days, j, findDay(t.oldDays.get(row) ?? [], days[j] as number, OLD_DAY) < 0 ? still() : 0)
    return
  }
  t.dayValue[k] = (t.dayValue[k] as number) + (days[j + VALUE] as number)
  t.dayEstimatedValue[k] = (t.dayEstimatedValue[k] as number) + (days[j + ESTIMATED_VALUE] as number)
  t.dayActual[k] = (t.dayActual[k] as number) + (days[j + ACTUAL_N] as number)
  t.dayEstimated[k] = (t.dayEstimated[k] as number) + (days[j + ESTIMATED_N] as number)
  t.dayMissing[k] = (t.dayMissing[k] as number) + (days[j + MISSING_N] as number)
  t.dayEdited[k] = (t.dayEdited[k] as number) + (days[j + EDITED_N] as number)
  t.dayRev[k] = (t.dayRev[k] as number) | 1
  for (let b = 1; b <= BANDS; b++) {
    const value = days[j + BAND + b] as number
    if (value === 0) continue
    const at = bandsOf(profileOf(t, row), k) + b - 1
    t.bands[at] = (t.bands[at] as number) + value
  }
}

/** A column as an old day. */
function figuresAt(t: SeriesTable, row: number, k: number): number[] {
  const d = new Array<number>(OLD_DAY).fill(0)
  d[NO] = t.dayNo[k] as number
  d[VALUE] = t.dayValue[k] as number
  d[ESTIMATED_VALUE] = t.dayEstimatedValue[k] as number
  const p = t.profile[row] as number
  if (p >= 0) for (let b = 0; b < BANDS; b++) d[BAND + 1 + b] = t.bands[bandsOf(p, k) + b] as number
  d[ACTUAL_N] = t.dayActual[k] as number
  d[ESTIMATED_N] = t.dayEstimated[k] as number
  d[MISSING_N] = t.dayMissing[k] as number
  d[EDITED_N] = t.dayEdited[k] as number
  d[REV] = t.dayRev[k] as number
  d[SAID] = t.daySaid[k] as number
  return d
}

const LONG_MS = 2 * HOUR_MS
/** A local day ends at most this long after the UTC day of the same date. */
const WEST_MS = 12 * HOUR_MS

/** True when late reads may still change a day: it was not published as it is, or something in it is not measured, or a gap holds a part of it. */
function mayChange(t: SeriesTable, row: number, d: readonly number[], j: number): boolean {
  if (((d[j + REV] as number) & 1) === 1) return true
  const { intervalMs, neverStill } = t.configs[t.config[row] as number] as SeriesConfig
  // Of meters read once a day the newest intervals, which may be taken back, reach beyond the columns.
  if (intervalMs > LONG_MS && ((d[j + NO] as number) + 2) * DAY_MS > ((t.recentSlot[row] as number) - RECENT) * intervalMs) return true
  // The day in which a stand-still began: it may turn out to be a fault.
  const sinceMs = t.flatSinceMs[row] as number
  const beginMs = (d[j + NO] as number) * DAY_MS
  if (neverStill && sinceMs > beginMs - DAY_MS && sinceMs <= beginMs + DAY_MS + WEST_MS) return true
  return (t.gaps.get(row) ?? []).some((g) => findDay(g.days, d[j + NO] as number, FIGURES) >= 0)
}

/** A day that may still change leaves the columns for the list of old days; one that is done is forgotten. */
function retire(t: SeriesTable, row: number, k: number): void {
  const day = figuresAt(t, row, k)
  if (!mayChange(t, row, day, 0)) return
  const list = t.oldDays.get(row)
  if (list === undefined) t.oldDays.set(row, day)
  else list.push(...day)
}

function addToOld(t: SeriesTable, row: number, days: readonly number[], j: number, still: number): void {
  let list = t.oldDays.get(row)
  if (list === undefined) {
    list = []
    t.oldDays.set(row, list)
  }
  let k = findDay(list, days[j] as number, OLD_DAY)
  if (k < 0) {
    k = list.length
    for (let i = 0; i < OLD_DAY; i++) list.push(0)
    list[k] = days[j] as number
    list[k + ACTUAL_N] = still
    list[k + REV] = still > 0 ? (t.maxDayRev[row] as number) * 2 : 0
  }
  for (let i = 1; i < FIGURES; i++) list[k + i] = (list[k + i] as number) + (days[j + i] as number)
  list[k + REV] = (list[k + REV] as number) | 1
}

/** Puts a day back that was forgotten, as it was last published: what an edit changes is known to whoever wrote it. */
export function restoreDay(t: SeriesTable, row: number, d: { figures: readonly number[]; rev: number }): void {
  const no = d.figures[NO] as number
  if ((t.dayNo[row * DAYS + (no & (DAYS - 1))] as number) === no) return
  const list = t.oldDays.get(row) ?? []
  if (findDay(list, no, OLD_DAY) >= 0) return
  list.push(...d.figures, d.rev * 2, d.figures[VALUE] as number)
  t.oldDays.set(row, list)
}

/** Forgets old days that nothing can change any more: published, and no gap has put anything into them. */
export function forgetDays(t: SeriesTable, row: number): void {
  const list = t.oldDays.get(row)
  if (list === undefined) return
  const kept: number[] = []
  for (let k = 0; k < list.length; k += OLD_DAY) if (mayChange(t, row, list, k)) kept.push(...list.slice(k, k + OLD_DAY))
  if (kept.length === 0) t.oldDays.delete(row)
  else t.oldDays.set(row, kept)
}

/** What publishing needs to know of the outside. */
export interface DayOutlet {
  timezone: string
  intervalMs: number
  nowMs: number
  holdMs: number
  giveUpMs: number
  /** True when no late read can change the day's value any more, though it may change the quality of a part of it. */
  isFirm(no: number): boolean
  day(window: DayWindow, said: SaidDay): void
}

export interface SaidDay {
  value: number
  estimatedValue: number
  /** Of the bands 1 to BANDS. */
  bands: number[]
  actual: number
  estimated: number
  missing: number
  edited: number
  rev: number
  /** Value of the revision before; 0 for the first. */
  before: number
}

/** Differences of day sums below this are binary noise, or that of a value remembered with seven digits. */
export const NOISE = 1e-5

/**
 * When the day may be published: now, or later. One without estimates at once, and one whose value is firm: billing need not wait because a
 * read in the middle is late. What then only changes quality waits for the end of the hold, so that it makes one revision and not ten.
 * A day that is never completed (its meter left, its interval changed) comes at last as it is.
 */
function publishable(d: readonly number[], j: number, window: DayWindow, o: DayOutlet, firstMs: number): number {
  const estimated = (d[j + ESTIMATED_N] as number) + (d[j + MISSING_N] as number)
  const all = (d[j + ACTUAL_N] as number) + (d[j + EDITED_N] as number) + estimated
  if (all < expectedIntervals(window, o.intervalMs, firstMs)) return window.endMs + o.giveUpMs
  if (estimated === 0) return Number.NEGATIVE_INFINITY
  const changed = Math.abs((d[j + VALUE] as number) - (d[j + SAID] as number)) > NOISE
  const at = (d[j + REV] as number) > 1 ? changed : o.isFirm(d[j + NO] as number)
  return at ? Number.NEGATIVE_INFINITY : window.endMs + o.holdMs
}

function say(o: DayOutlet, window: DayWindow, d: readonly number[], j: number): void {
  o.day(window, {
    value: d[j + VALUE] as number,
    estimatedValue: d[j + ESTIMATED_VALUE] as number,
    bands: d.slice(j + BAND + 1, j + BAND + 1 + BANDS),
    actual: d[j + ACTUAL_N] as number,
    estimated: d[j + ESTIMATED_N] as number,
    missing: d[j + MISSING_N] as number,
    edited: d[j + EDITED_N] as number,
    rev: ((d[j + REV] as number) >> 1) + 1,
    before: d[j + SAID] as number,
  })
}

/** Publishes the row's days that are due. Returns when to look again, Infinity when nothing waits. */
export function publishDays(t: SeriesTable, row: number, o: DayOutlet): number {
  let due = Number.POSITIVE_INFINITY
  const firstMs = t.firstMs[row] as number
  const list = t.oldDays.get(row)
  for (let j = 0; list !== undefined && j < list.length; j += OLD_DAY) {
    if (((list[j + REV] as number) & 1) === 0) continue
    const w = dayByNo(o.timezone, list[j + NO] as number)
    const at = publishable(list, j, w, o, firstMs)
    if (at > o.nowMs) due = Math.min(due, at)
    else {
      say(o, w, list, j)
      list[j + REV] = ((list[j + REV] as number) | 1) + 1
      list[j + SAID] = list[j + VALUE] as number
      saidRev(t, row, list[j + REV] as number)
    }
  }
  for (let i = 0; i < DAYS; i++) {
    const k = row * DAYS + i
    const rev = t.dayRev[k] as number
    if ((rev & 1) === 0) continue
    const d = figuresAt(t, row, k)
    const w = dayByNo(o.timezone, d[NO] as number)
    const at = publishable(d, 0, w, o, firstMs)
    if (at > o.nowMs) due = Math.min(due, at)
    else {
      t.dayRev[k] = rev + 1
      t.daySaid[k] = d[VALUE] as number
      say(o, w, d, 0)
      saidRev(t, row, rev + 1)
    }
  }
  return due
}

function saidRev(t: SeriesTable, row: number, rev: number): void {
  if (rev >> 1 > (t.maxDayRev[row] as number)) t.maxDayRev[row] = Math.min(255, rev >> 1)
}

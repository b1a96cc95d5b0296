// Local days of the utility and what each register used in them: added up as intervals come, published when complete, published
// again with a higher revision when a late or corrected read changes one of its intervals.
import { DAY_MS, HOUR_MS, localDay } from '#model/time.ts'
import { DAYS, type OldDay, type SeriesTable } from './series.ts'

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

/** Energy in the quantity's unit, and how many intervals of each kind it comes from. */
export interface DayFigures {
  value: number
  actual: number
  estimated: number
  missing: number
}

/** Adds to a day's figures; negative numbers take back what a revision replaces. Marks the day as changed. */
export function addToDay(t: SeriesTable, row: number, no: number, add: DayFigures): void {
  const k = row * DAYS + (no & (DAYS - 1))
  const here = t.dayNo[k] as number
  if (here !== no) {
    if (here > no) {
      addToOld(t, row, no, add)
      return
    }
    if (here >= 0) retire(t, row, k)
    t.dayNo[k] = no
    t.dayValue[k] = 0
    t.dayActual[k] = 0
    t.dayEstimated[k] = 0
    t.dayMissing[k] = 0
    t.dayRev[k] = 0
  }
  t.dayValue[k] = (t.dayValue[k] as number) + add.value
  t.dayActual[k] = (t.dayActual[k] as number) + add.actual
  t.dayEstimated[k] = (t.dayEstimated[k] as number) + add.estimated
  t.dayMissing[k] = (t.dayMissing[k] as number) + add.missing
  t.dayRev[k] = (t.dayRev[k] as number) | 1
}

/** A day that may still change leaves the columns for the list of old days; one that is done is forgotten. */
function retire(t: SeriesTable, row: number, k: number): void {
  const rev = t.dayRev[k] as number
  const day: OldDay = {
    no: t.dayNo[k] as number,
    value: t.dayValue[k] as number,
    actual: t.dayActual[k] as number,
    estimated: t.dayEstimated[k] as number,
    missing: t.dayMissing[k] as number,
    rev,
  }
  if ((rev & 1) === 0 && day.estimated === 0 && day.missing === 0) return
  const list = t.oldDays.get(row)
  if (list === undefined) t.oldDays.set(row, [day])
  else list.push(day)
}

function addToOld(t: SeriesTable, row: number, no: number, add: DayFigures): void {
  let list = t.oldDays.get(row)
  if (list === undefined) {
    list = []
    t.oldDays.set(row, list)
  }
  let day = list.find((d) => d.no === no)
  if (day === undefined) {
    day = { no, value: 0, actual: 0, estimated: 0, missing: 0, rev: 0 }
    list.push(day)
  }
  day.value += add.value
  day.actual += add.actual
  day.estimated += add.estimated
  day.missing += add.missing
  day.rev |= 1
}

/** Forgets old days that nothing can change any more: published, and no gap has put anything into them. */
export function forgetDays(t: SeriesTable, row: number): void {
  const list = t.oldDays.get(row)
  if (list === undefined) return
  const gaps = t.gaps.get(row) ?? []
  const kept = list.filter((d) => (d.rev & 1) === 1 || gaps.some((g) => g.days.some((no, k) => k % 5 === 0 && no === d.no)))
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
  day(window: DayWindow, figures: OldDay, rev: number): void
}

/** True for a day whose intervals are all accounted for. */
function isComplete(d: OldDay, window: DayWindow, intervalMs: number, firstMs: number): boolean {
  return d.actual + d.estimated + d.missing >= expectedIntervals(window, intervalMs, firstMs)
}

/** When the day may be published: now, or later; one that is never completed (its meter left, its interval changed) at last as it is. */
function publishable(d: OldDay, window: DayWindow, o: DayOutlet, firstMs: number): number {
  if (!isComplete(d, window, o.intervalMs, firstMs)) return window.endMs + o.giveUpMs
  return d.rev > 1 || d.estimated + d.missing === 0 ? Number.NEGATIVE_INFINITY : window.endMs + o.holdMs
}

/** Publishes the row's days that are due. Returns when to look again, Infinity when nothing waits. */
export function publishDays(t: SeriesTable, row: number, o: DayOutlet): number {
  let due = Number.POSITIVE_INFINITY
  const firstMs = t.firstMs[row] as number
  for (const d of t.oldDays.get(row) ?? []) {
    if ((d.rev & 1) === 0) continue
    const w = dayByNo(o.timezone, d.no)
    const at = publishable(d, w, o, firstMs)
    if (at > o.nowMs) due = Math.min(due, at)
    else {
      d.rev = ((d.rev >> 1) + 1) << 1
      o.day(w, d, d.rev >> 1)
    }
  }
  for (let i = 0; i < DAYS; i++) {
    const k = row * DAYS + i
    const rev = t.dayRev[k] as number
    if ((rev & 1) === 0) continue
    const d: OldDay = {
      no: t.dayNo[k] as number,
      value: t.dayValue[k] as number,
      actual: t.dayActual[k] as number,
      estimated: t.dayEstimated[k] as number,
      missing: t.dayMissing[k] as number,
      rev,
    }
    const w = dayByNo(o.timezone, d.no)
    const at = publishable(d, w, o, firstMs)
    if (at > o.nowMs) due = Math.min(due, at)
    else {
      t.dayRev[k] = ((rev >> 1) + 1) << 1
      o.day(w, d, (rev >> 1) + 1)
    }
  }
  return due
}

// Energy balance under a transformer with a totalising meter, interval by interval: what went in and was not metered out.
// Unexplained energy that moves with one customer's metered use is that customer's: a bypass takes the share p of the load, so the
// remainder is p / (1 - p) times what the meter still shows (regression of the loss on each meter's readings).
import { madSd, median } from '../../statistics/robust.ts'

/** Slots of this long a time wait for late reads before they are judged. */
const WAIT_MS = 12 * 3_600_000
const DAYS_KEPT = 28
/** Days of balance needed before a judgement. */
const BASELINE_DAYS_MIN = 5
/** A day's balance counts with this share of its slots. */
const COVERAGE_MIN = 0.5
/** Regression sums fade by half each day: about two days speak. */
const FADE = 0.5

export interface BalanceDay {
  day: number
  /** Sums over complete slots: unmetered, fed in, and how many slots. */
  lossKwh: number
  inKwh: number
  slots: number
}

/** Sums for the regression of a slot's unexplained loss on one meter's use. */
export interface Moments {
  n: number
  x: number
  y: number
  xx: number
  xy: number
  yy: number
}

export interface Balance {
  intervalMs: number
  /** Customer meters below, in the order of the columns. */
  meters: string[]
  slots: number
  /** Newest slot seen, -1 before the first. */
  newest: number
  /** One row a slot: what the check meter let in, then the import of each customer; NaN is not known (yet). */
  ring: Float32Array
  /** Column -> export by slot, for the few that export. */
  exports: Map<number, Float32Array>
  moments: Moments[]
  open: BalanceDay[]
  /** Closed days: unexplained loss over what was fed in, and both. Days above the usual are left out, so that theft never becomes usual. */
  baseline: { lossKwh: number; inKwh: number }[]
  /** Days in a row with an unexplained loss, the first of them, and the latest days' excess. */
  elevatedDays: number
  elevatedSince: number
  excessKwh: number[]
}

export function createBalance(intervalMs: number, meters: string[]): Balance {
  const slots = Math.ceil(WAIT_MS / intervalMs)
  return {
    intervalMs,
    meters,
    slots,
    newest: -1,
    ring: new Float32Array(slots * (meters.length + 1)).fill(Number.NaN),
    exports: new Map(),
    moments: meters.map(() => ({ n: 0, x: 0, y: 0, xx: 0, xy: 0, yy: 0 })),
    open: [],
    baseline: [],
    elevatedDays: 0,
    elevatedSince: -1,
    excessKwh: [],
  }
}

/** Usual share of the loss in what is fed in: iron and copper losses together; NaN without enough days. */
export function technicalShare(b: Balance): number {
  return b.baseline.length < BASELINE_DAYS_MIN ? Number.NaN : median(b.baseline.map((d) => d.lossKwh / d.inKwh))
}

/**
 * Takes one interval: column 0 is the check meter, 1 + i the customer i. NaN marks an estimate: the slot will not count, unless a
 * later revision brings the read. Slots that have left the ring are judged already.
 */
export function put(b: Balance, slot: number, column: number, kwh: number, exported: boolean, dayOfSlot: (slot: number) => number): void {
  if (slot <= b.newest - b.slots) return
  const width = b.meters.length + 1
  if (slot > b.newest) {
    const from = b.newest < 0 ? slot : Math.max(b.newest + 1, slot - b.slots + 1)
    if (b.newest >= 0) for (let s = b.newest - b.slots + 1; s <= Math.min(b.newest, slot - b.slots); s++) judge(b, s, dayOfSlot(s))
    for (let s = from; s <= slot; s++) {
      b.ring.fill(Number.NaN, (s % b.slots) * width, (s % b.slots) * width + width)
      for (const row of b.exports.values()) row[s % b.slots] = 0
    }
    b.newest = slot
  }
  if (!exported) {
    b.ring[(slot % b.slots) * width + column] = kwh
    return
  }
  let row = b.exports.get(column)
  if (row === undefined) {
    if (kwh === 0) return
    row = new Float32Array(b.slots)
    b.exports.set(column, row)
  }
  row[slot % b.slots] = kwh
}

/** Import less export of a column in a slot. */
function net(b: Balance, slot: number, column: number): number {
  const at = slot % b.slots
  return (b.ring[at * (b.meters.length + 1) + column] as number) - (b.exports.get(column)?.[at] ?? 0)
}

/** A slot leaves the ring: when all of it is known, it enters the day's balance and the regressions. */
function judge(b: Balance, slot: number, day: number): void {
  let metered = 0
  for (let i = 1; i <= b.meters.length; i++) metered += net(b, slot, i)
  const input = net(b, slot, 0)
  const loss = input - metered
  if (!Number.isFinite(loss)) return
  let open = b.open.find((d) => d.day === day)
  if (open === undefined) {
    open = { day, lossKwh: 0, inKwh: 0, slots: 0 }
    b.open.push(open)
    if (b.open.length > 3) b.open.shift()
  }
  open.lossKwh += loss
  open.inKwh += input
  open.slots += 1
  const share = technicalShare(b)
  if (!Number.isFinite(share)) return
  const y = loss - share * input
  for (let i = 0; i < b.moments.length; i++) {
    const m = b.moments[i] as Moments
    const x = net(b, slot, 1 + i)
    m.n += 1
    m.x += x
    m.y += y
    m.xx += x * x
    m.xy += x * y
    m.yy += y * y
  }
}

export interface DayVerdict {
  /** kWh of the day that neither meters nor technical losses explain; NaN when the day cannot be judged. */
  excessKwh: number
  limitKwh: number
  elevated: boolean
}

/**
 * Closes a day. An excess is elevated above four robust standard deviations of the usual days, 2 % of what was fed in (accuracy of two
 * class-1 meters) and 1 kWh.
 */
export function closeBalanceDay(b: Balance, day: number, lengthMs: number): DayVerdict {
  const open = b.open.find((d) => d.day === day)
  b.open = b.open.filter((d) => d.day > day)
  const expected = lengthMs / b.intervalMs
  const none = { excessKwh: Number.NaN, limitKwh: Number.NaN, elevated: false }
  if (open === undefined || open.slots < COVERAGE_MIN * expected || !(open.inKwh > 0)) return none
  const scale = expected / open.slots
  const lossKwh = open.lossKwh * scale
  const inKwh = open.inKwh * scale
  const share = technicalShare(b)
  const learn = () => {
    b.baseline.push({ lossKwh, inKwh })
    if (b.baseline.length > DAYS_KEPT) b.baseline.shift()
  }
  if (!Number.isFinite(share)) {
    learn()
    return none
  }
  const excessKwh = lossKwh - share * inKwh
  const limitKwh = Math.max(4 * madSd(b.baseline.map((d) => d.lossKwh - share * d.inKwh)), 0.02 * inKwh, 1)
  const elevated = excessKwh > limitKwh
  if (elevated) {
    if (b.elevatedDays === 0) b.elevatedSince = day
    b.elevatedDays += 1
    b.excessKwh.push(excessKwh)
    if (b.excessKwh.length > 7) b.excessKwh.shift()
  } else {
    b.elevatedDays = 0
    b.excessKwh = []
    learn()
  }
  return { excessKwh, limitKwh, elevated }
}

/** Fades the regressions; call once a day after judging. */
export function fade(b: Balance): void {
  for (const m of b.moments) {
    m.n *= FADE
    m.x *= FADE
    m.y *= FADE
    m.xx *= FADE
    m.xy *= FADE
    m.yy *= FADE
  }
}

export interface Suspect {
  meter: string
  correlation: number
  /** kWh unexplained per kWh metered: p / (1 - p) for a bypass of the share p. */
  slope: number
}

/** Meters by how well their use explains the loss, best first. */
export function suspects(b: Balance): Suspect[] {
  const list = b.moments.map((m, i) => {
    const sxx = m.xx - (m.x * m.x) / m.n
    const syy = m.yy - (m.y * m.y) / m.n
    const sxy = m.xy - (m.x * m.y) / m.n
    const usable = m.n > 0 && sxx > 1e-9 && syy > 1e-9
    return { meter: b.meters[i] as string, correlation: usable ? sxy / Math.sqrt(sxx * syy) : 0, slope: usable ? sxy / sxx : 0 }
  })
  return list.sort((a, c) => c.correlation - a.correlation)
}

// The inflow a healthy district is expected to draw: shape of the local day by kind of day, learnt from few weeks, and how far it wanders.
// With one week behind it a Saturday was seen once, so what Saturdays are is learnt from all districts together and bent to each one.
import { madSd, median, quantile, trimmedMean } from '../../statistics/robust.ts'
import {
  BINS_PER_DAY,
  BINS_PER_HOUR,
  DAY_CLASSES,
  type District,
  localBin,
  lossAt,
  MOOD_TAU_H,
  maskAt,
  type Noise,
  netAt,
  RING,
  RING_HOURS,
} from './district.ts'

/** What is known of days by all districts together. */
export interface Calendar {
  /** Local day number -> class of day, where it is not the calendar's: a holiday. */
  special: Map<number, number>
  /** What each weekday is to weekdays in general: weekday (0 Sunday) * BINS_PER_DAY + bin of the local day. */
  weekdays: Float32Array
}

export function createCalendar(): Calendar {
  return { special: new Map(), weekdays: new Float32Array(7 * BINS_PER_DAY).fill(1) }
}

/** Class of a day: 0 weekday, 1 Saturday, 2 Sunday or holiday. `special`: local day number -> class, where it is not the calendar's. */
export function dayClass(day: number, weekday: number, special: ReadonlyMap<number, number>): number {
  return special.get(day) ?? (weekday === 6 ? 1 : weekday === 0 ? 2 : 0)
}

interface DayRow {
  day: number
  weekday: number
  cls: number
  v: Float64Array
}

/** Days of the ring before `toBin` of which at least three quarters were seen and nothing is masked beyond that. */
function rows(d: District, toBin: number, special: ReadonlyMap<number, number>): DayRow[] {
  const out = new Map<number, DayRow>()
  for (let b = Math.max(d.firstBin, d.newestBin - RING + 1); b < toBin; b++) {
    const { day, slot, weekday } = localBin(d.timezone, b)
    let r = out.get(day)
    if (r === undefined) {
      r = { day, weekday, cls: dayClass(day, weekday, special), v: new Float64Array(BINS_PER_DAY).fill(Number.NaN) }
      out.set(day, r)
    }
    if (maskAt(d, b) === 0) r.v[slot] = netAt(d, b)
  }
  return [...out.values()].filter((r) => r.v.filter((x) => Number.isFinite(x)).length >= BINS_PER_DAY * 0.75)
}

/** Circular smoothing with binomial weights, `times` passes of (1, 2, 1)/4: standard deviation sqrt(times / 2) bins. */
export function smooth(v: Float64Array, times: number): Float64Array {
  let a = v
  for (let k = 0; k < times; k++) {
    const n = a.length
    const b = new Float64Array(n)
    for (let i = 0; i < n; i++) b[i] = ((a[(i + n - 1) % n] as number) + 2 * (a[i] as number) + (a[(i + 1) % n] as number)) / 4
    a = b
  }
  return a
}

/** Mean of values at a slot over days, each divided by its day's level; NaN where no day was seen. */
function shapeOf(list: readonly DayRow[], levels: readonly number[]): Float64Array {
  const shape = new Float64Array(BINS_PER_DAY)
  for (let i = 0; i < BINS_PER_DAY; i++) {
    const values = list.map((r, k) => (r.v[i] as number) / (levels[k] as number)).filter((x) => Number.isFinite(x))
    shape[i] = values.length === 0 ? Number.NaN : trimmedMean(values, values.length >= 5 ? 0.15 : 0)
  }
  return shape
}

/** Holes filled linearly between their neighbours on the clock's circle; all NaN stays so. */
function filled(v: Float64Array): Float64Array {
  const n = v.length
  const out = v.slice()
  for (let i = 0; i < n; i++) {
    if (Number.isFinite(v[i])) continue
    let back = 1
    while (back < n && !Number.isFinite(v[(i - back + n) % n])) back += 1
    let ahead = 1
    while (ahead < n && !Number.isFinite(v[(i + ahead) % n])) ahead += 1
    const w = back / (back + ahead)
    out[i] = (v[(i - back + n) % n] as number) * (1 - w) + (v[(i + ahead) % n] as number) * w
  }
  return out
}

/** Level of each day against a shape: ratio of sums over the slots that were seen. */
function levelsOf(list: readonly DayRow[], shape: Float64Array): number[] {
  return list.map((r) => {
    let a = 0
    let b = 0
    for (let i = 0; i < BINS_PER_DAY; i++) {
      if (!Number.isFinite(r.v[i]) || !Number.isFinite(shape[i])) continue
      a += r.v[i] as number
      b += shape[i] as number
    }
    return b > 0 ? a / b : Number.NaN
  })
}

interface Learnt {
  d: District
  base: Float64Array
  list: DayRow[]
  weekdays: DayRow[]
  levels: number[]
}

/** Weekday shape of one district; undefined with less than three usable weekdays. */
function learnWeekday(d: District, toBin: number, special: ReadonlyMap<number, number>): Learnt | undefined {
  const list = rows(d, toBin, special)
  const weekdays = list.filter((r) => r.cls === 0)
  if (weekdays.length < 3) return undefined
  const first = new Float64Array(BINS_PER_DAY)
  for (let i = 0; i < BINS_PER_DAY; i++) first[i] = median(weekdays.map((r) => r.v[i] as number))
  let levels = levelsOf(weekdays, first)
  let shape = smooth(filled(shapeOf(weekdays, levels)), 2)
  levels = levelsOf(weekdays, shape)
  const level = trimmedMean(levels, levels.length >= 5 ? 0.1 : 0)
  shape = shape.map((x) => x * level)
  return { d, base: shape, list, weekdays, levels: levels.map((l) => l / level) }
}

const MINIMUM_FLOW_SHARE = 0.02

/**
 * Learns profiles and noise of all districts from what lies before `toBin`. Districts with too little keep what they have.
 * @returns the zones that now have a baseline.
 */
export function learn(districts: readonly District[], toBin: number, calendar: Calendar): string[] {
  const learnt = districts.map((d) => learnWeekday(d, toBin, calendar.special)).filter((x) => x !== undefined)
  const pooled = Array.from({ length: DAY_CLASSES }, (_, cls) => (cls === 0 ? undefined : pooledRatio(learnt, cls)))
  for (const l of learnt) {
    const { d, base } = l
    const typical = base.reduce((a, b) => a + b, 0) / BINS_PER_DAY
    if (!(typical > 0)) continue
    d.noise = noiseOf(l, typical)
    d.typical = typical
    for (let cls = 0; cls < DAY_CLASSES; cls++) {
      const own = l.list.filter((r) => r.cls === cls)
      d.days[cls] = own.length
      const ratio = cls === 0 ? undefined : bentRatio(l, own, pooled[cls], d.noise)
      for (let i = 0; i < BINS_PER_DAY; i++) {
        const v = (base[i] as number) * (ratio === undefined ? 1 : (ratio[i] as number))
        d.profile[cls * BINS_PER_DAY + i] = Math.max(v, MINIMUM_FLOW_SHARE * typical)
      }
    }
    learnBalance(d, Math.floor(toBin / BINS_PER_HOUR))
  }
  if (learnt.length >= 3) learnWeekdays(learnt, calendar)
  return learnt.map((l) => l.d.zone)
}

/** How much a Monday differs from weekdays in general, sd of the log ratio. */
const WEEKDAY_SPREAD = 0.03

/** Mondays are not Fridays, in all districts alike: one ratio for the town, believed as far as its noise allows. */
function learnWeekdays(learnt: readonly Learnt[], calendar: Calendar): void {
  const noise = learnt.reduce((a, l) => a + l.d.noise.hourSd ** 2 + l.d.noise.daySd ** 2 + l.d.noise.white / 6, 0) / learnt.length
  for (let weekday = 1; weekday <= 5; weekday++) {
    const only = learnt.map((l) => ({ ...l, list: l.list.filter((r) => r.cls === 0 && r.weekday === weekday) }))
    const ratio = pooledRatio(only, 0)
    const days = only.reduce((a, l) => a + l.list.length, 0)
    const w = WEEKDAY_SPREAD ** 2 / (WEEKDAY_SPREAD ** 2 + noise / Math.max(1, days))
    for (let i = 0; i < BINS_PER_DAY; i++)
      calendar.weekdays[weekday * BINS_PER_DAY + i] =
        ratio === undefined ? 1 : Math.exp(w * Math.log(Math.max(0.5, Math.min(2, ratio[i] as number))))
  }
}

/** What a kind of day is to weekdays over all districts together: sum over sum, smoothed over about an hour. */
function pooledRatio(learnt: readonly Learnt[], cls: number): Float64Array | undefined {
  const above = new Float64Array(BINS_PER_DAY)
  const below = new Float64Array(BINS_PER_DAY)
  for (const l of learnt) {
    for (const r of l.list) {
      if (r.cls !== cls) continue
      for (let i = 0; i < BINS_PER_DAY; i++) {
        if (!Number.isFinite(r.v[i])) continue
        above[i] = (above[i] as number) + (r.v[i] as number)
        below[i] = (below[i] as number) + (l.base[i] as number)
      }
    }
  }
  if (below.some((x) => x <= 0)) return undefined
  return smooth(
    above.map((x, i) => x / (below[i] as number)),
    4,
  )
}

/** How much districts differ in what a Saturday is to them: homes against shops, sd of the log ratio. */
const CLASS_SPREAD = 0.08

function bentRatio(l: Learnt, own: readonly DayRow[], pooled: Float64Array | undefined, noise: Noise): Float64Array | undefined {
  if (own.length === 0) return pooled
  const shape = shapeOf(
    own,
    own.map(() => 1),
  )
  const seen = shape.map((v, i) => {
    const r = v / (l.base[i] as number)
    return Number.isFinite(r) || pooled === undefined ? r : (pooled[i] as number)
  })
  const ratio = smooth(filled(seen), 8)
  if (pooled === undefined) return ratio
  const n = own.length
  const noiseVar = noise.hourSd ** 2 + noise.white / 6
  const w = (n * CLASS_SPREAD ** 2) / (n * CLASS_SPREAD ** 2 + noiseVar)
  return ratio.map((r, i) => Math.exp(w * Math.log(Math.max(r, 0.05)) + (1 - w) * Math.log(Math.max(pooled[i] as number, 0.05))))
}

/** Prior spread of a day's level, worth three days. */
const DAY_PRIOR_SD = 0.025
const DAY_PRIOR_WEIGHT = 3

function noiseOf(l: Learnt, typical: number): Noise {
  const n = l.levels.length
  const spread = l.levels.reduce((a, x) => a + Math.min((x - 1) ** 2, (3 * DAY_PRIOR_SD) ** 2), 0)
  const daySd = Math.sqrt((DAY_PRIOR_WEIGHT * DAY_PRIOR_SD ** 2 + spread) / (DAY_PRIOR_WEIGHT + Math.max(1, n - 1)))
  // White noise from second differences over sqrt(scale): what an hour's mood cannot do within three bins.
  const second: number[] = []
  // Relative deviations and their products half an hour to an hour apart, where white noise has no part.
  let product = 0
  let pairs = 0
  for (const [k, r] of l.weekdays.entries()) {
    const level = l.levels[k] as number
    const rel = Float64Array.from(r.v, (v, i) => v / (l.base[i] as number) / level - 1)
    const spread = madSd(rel)
    for (let i = 1; i < BINS_PER_DAY - 1; i++) {
      const d2 = (rel[i] as number) - ((rel[i - 1] as number) + (rel[i + 1] as number)) / 2
      second.push(d2 * Math.sqrt(Math.max((l.base[i] as number) / typical, 0.05)))
    }
    for (const lag of MOOD_LAGS) {
      for (let i = 0; i + lag < BINS_PER_DAY; i++) {
        const p = cut(rel[i] as number, 3 * spread) * cut(rel[i + lag] as number, 3 * spread)
        if (!Number.isFinite(p)) continue
        product += p
        pairs += 1
      }
    }
  }
  // Days share one shape estimated from themselves: n / (n - 1). Taking out the day's level takes out part of the mood as well.
  const own = n / Math.max(1, n - 1)
  const white = Math.max(0.004 ** 2, madSd(second.filter(Number.isFinite)) ** 2 * (2 / 3) * own)
  const kept = MOOD_LAGS.reduce((a, lag) => a + Math.exp(-lag / BINS_PER_HOUR / MOOD_TAU_H), 0) / MOOD_LAGS.length - (2 * MOOD_TAU_H) / 24
  const mood = pairs === 0 ? 0 : ((product / pairs) * own) / kept
  const hourSd = Math.sqrt(Math.min(0.2 ** 2, Math.max(0.015 ** 2, mood)))
  return { white, hourSd, daySd, tail: tailOf(second) }
}

/** Half an hour to an hour. */
const MOOD_LAGS = [2, 3, 4]

function cut(v: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, v))
}

/** Use comes in draws: small districts have more large positive deviations than a normal law knows. */
function tailOf(noise: readonly number[]): number {
  return Math.max(1, Math.min(2, quantile(noise, 0.99) / 2.326 / madSd(noise)))
}

/** Base and noise of the water balance, where registers cover the district. */
function learnBalance(d: District, toHour: number): void {
  if (!d.fullyMetered || d.newestHour < 0) return
  const loss: number[] = []
  const days = new Map<number, number[]>()
  for (let h = Math.max(Math.ceil(d.firstBin / BINS_PER_HOUR), d.newestHour - RING_HOURS + 1); h < toHour; h++) {
    const leak = maskAt(d, h * BINS_PER_HOUR) !== 0
    const v = leak ? Number.NaN : lossAt(d, h)
    if (!Number.isFinite(v)) continue
    loss.push(v)
    const day = Math.floor(h / 24)
    days.set(day, [...(days.get(day) ?? []), v])
  }
  if (loss.length < 72) {
    d.balanceBase = Number.NaN
    return
  }
  d.balanceBase = median(loss)
  const steps = loss.slice(1).map((v, i) => v - (loss[i] as number))
  const white = Math.max(0.004 ** 2, madSd(steps) ** 2 / 2 / d.typical ** 2)
  const total = madSd(loss) ** 2 / d.typical ** 2
  const means = [...days.values()].filter((x) => x.length >= 12).map((x) => median(x) / d.typical)
  const daySd = Math.max(0.003, means.length >= 3 ? madSd(means) : 0.005)
  d.balanceNoise = { white, hourSd: Math.sqrt(Math.max(0.003 ** 2, total - white)), daySd, tail: 1 }
}

// What a customer uses in an hour: the shape of its kind of customer, its own level, and its own departures from the shape, each as far as
// there is history for it (gamma-Poisson shrinkage, Robbins 1956). A week of history is enough because neighbours lend theirs.
import { PULSE_VARIANCE } from '../../statistics/pulse-demand.ts'

const HOURS = 24
const SHAPE = 2 * HOURS

/** Use of all meters of one kind of customer in a zone, by hour of weekdays and of days off. */
export interface Kind {
  litres: Float64Array
  /** Litres that these hours would have had, were every hour alike. */
  level: Float64Array
  hours: Float64Array
  /** Use relative to the mean hour as the sums above say it, made anew after so many hours learnt. */
  shape: Float64Array
  fresh: number
  /** Mean draws that squared departures speak of, weighed, and their weights. */
  draws: number
  drawWeight: number
  /** Squared relative departures of whole days beyond the chance of draws, weighed, and their weights: their quotient is the wander squared. */
  daySquares: number
  dayWeight: number
}

export interface Habit {
  /** Own litres by hour of day, forgotten slowly. */
  litres: Float32Array
  /** Hours behind them, of weekdays and of days off. */
  count: Float32Array
  draws: number
  drawWeight: number
  hours: number
  /** The day being filled: litres used, litres expected, hours seen. */
  dayUsed: number
  dayUsual: number
  dayHours: number
  dayOff: boolean
}

export function createKind(): Kind {
  return {
    litres: new Float64Array(SHAPE),
    level: new Float64Array(SHAPE),
    hours: new Float64Array(SHAPE),
    shape: new Float64Array(SHAPE).fill(1),
    fresh: 0,
    draws: 0,
    drawWeight: 0,
    daySquares: 0,
    dayWeight: 0,
  }
}

export function createHabit(): Habit {
  return {
    litres: new Float32Array(HOURS),
    count: new Float32Array(SHAPE),
    draws: 0,
    drawWeight: 0,
    hours: 0,
    dayUsed: 0,
    dayUsual: 0,
    dayHours: 0,
    dayOff: false,
  }
}

/** Days after which half of the history is forgotten. */
const HALF_LIFE_DAYS = 28
const KEEP_HOUR = 0.5 ** (1 / HALF_LIFE_DAYS)
const KEEP_DRAW = 0.5 ** (1 / (24 * HALF_LIFE_DAYS))
/** A kind's history weighs as that of so many meter days of a flat shape: a zone with few customers of a kind is judged with care. */
const FLAT_HOURS = 2
/** A kind's sums are halved at so many meter hours per hour of day, and its spread at so many litres: old seasons fade. */
const KIND_HOURS_MAX = 2000
const KIND_DRAW_WEIGHT_MAX = 20_000
const RENEW_HOURS = 50
/** Days off borrow this many meter days from weekdays: a week holds few of them. */
const BORROWED_HOURS = 10
/** Customers of a kind differ by about the whole of their use in an hour of day (coefficient of variation). */
const DIFFERENCE = 1
/** Litres of a draw before anything is known: a shower, a flush. */
const DRAW_L = 20
const DRAW_WEIGHT = 50
/** From day to day a customer's use wanders besides the chance of draws: by this much before anything is known, worth so many days. */
const WANDER = 0.15
const WANDER_DAYS = 10
const WANDER_MIN = 0.03
const WANDER_MAX = 0.5
/** One day departs at most by so many standard deviations: a leak is no wander. */
const DAY_CUT = 3
/** A day of which so many hours were read is whole; below this share of what is usual nobody was there. */
const DAY_HOURS_MIN = 20
const ABSENT_SHARE = 0.2
/** Days of a kind after which old ones fade. */
const WANDER_DAYS_MAX = 2000

/** Use in an hour of day relative to the mean hour, of a kind of customer. */
export function shapeOf(k: Kind, hour: number, off: boolean): number {
  return k.shape[off ? HOURS + hour : hour] as number
}

function renewShape(k: Kind): void {
  for (let hour = 0; hour < HOURS; hour++) {
    const flat = FLAT_HOURS * meanLevel(k, hour)
    const weekday = ((k.litres[hour] as number) + flat) / ((k.level[hour] as number) + flat + 1e-9)
    const i = HOURS + hour
    const borrowed = BORROWED_HOURS * meanLevel(k, i)
    k.shape[hour] = weekday
    k.shape[i] = ((k.litres[i] as number) + borrowed * weekday) / ((k.level[i] as number) + borrowed + 1e-9) || weekday
  }
  k.fresh = RENEW_HOURS
}

function meanLevel(k: Kind, i: number): number {
  const n = k.hours[i] as number
  return n > 0 ? (k.level[i] as number) / n : 1
}

/** Mean litres of this customer in an hour like this one. */
export function expected(h: Habit, k: Kind, hour: number, off: boolean): number {
  return expect(h, k, hour, off).mean
}

/** Mean as above and its relative standard error. */
export function expect(h: Habit, k: Kind, hour: number, off: boolean): { mean: number; error: number } {
  const level = levelOf(h, k)
  const shape = shapeOf(k, hour, off)
  const mean = Math.max(level * shape, 0.02)
  const before = (hour + HOURS - 1) % HOURS
  const after = (hour + 1) % HOURS
  const own = (h.litres[hour] as number) + (h.litres[before] as number) + (h.litres[after] as number)
  const byShape = level * (countedShape(h, k, hour) + countedShape(h, k, before) + countedShape(h, k, after))
  // Litres of the shape that weigh as much as the difference between customers: variance of draws over variance between customers.
  const prior = (PULSE_VARIANCE * drawOf(h, k)) / (DIFFERENCE * DIFFERENCE)
  out.mean = (mean * (own + prior)) / (byShape + prior)
  // Of a gamma posterior: one over the square root of its shape.
  out.error = Math.sqrt((PULSE_VARIANCE * drawOf(h, k)) / (own + prior))
  return out
}

/** Reused, so that no garbage is made per reading. */
const out = { mean: 0, error: 0 }

/** Relative standard deviation of a kind's days beyond the chance of draws. */
export function wanderOf(k: Kind): number {
  const square = (k.daySquares + WANDER_DAYS * WANDER * WANDER) / (k.dayWeight + WANDER_DAYS)
  return Math.sqrt(Math.max(WANDER_MIN * WANDER_MIN, Math.min(WANDER_MAX * WANDER_MAX, square)))
}

/** Is this hour of the day one of the quiet ones of its kind of customer: nearer to the lowest than to the mean? */
export function isQuiet(k: Kind, hour: number, off: boolean): boolean {
  let low = 1
  for (let i = 0; i < HOURS; i++) low = Math.min(low, shapeOf(k, i, off))
  return shapeOf(k, hour, off) <= (1 + low) / 2
}

/** Litres that the hours behind a habit would have had by the kind's shape, at a level of one litre an hour. */
function countedShape(h: Habit, k: Kind, hour: number): number {
  return (h.count[hour] as number) * (k.shape[hour] as number) + (h.count[HOURS + hour] as number) * (k.shape[HOURS + hour] as number)
}

/** Litres of the customer's mean hour. */
export function levelOf(h: Habit, k: Kind): number {
  let litres = 0
  let shape = 0
  for (let i = 0; i < HOURS; i++) {
    litres += h.litres[i] as number
    shape += countedShape(h, k, i)
  }
  return shape > 0 ? Math.max(litres / shape, 0.05) : 10
}

/** Mean litres of one draw: spread beyond what the number of draws explains. */
export function drawOf(h: Habit, k: Kind): number {
  const kind = (k.draws + DRAW_L * DRAW_WEIGHT) / (k.drawWeight + DRAW_WEIGHT)
  return Math.max(2, (h.draws + kind * DRAW_WEIGHT) / (h.drawWeight + DRAW_WEIGHT))
}

/**
 * How much an hour tells of the mean draw: little where draws are few (its square is then one large draw or nothing), and little where the
 * wander of a busy hour covers the chance of its draws.
 */
function tells(mean: number, draw: number, wander: number): number {
  const chance = PULSE_VARIANCE * draw * mean
  const covered = chance / (chance + (wander * mean) ** 2)
  return (covered * covered) / (1 + (12 * draw) / mean)
}

/** Learns an hour. `mean`: what was expected of it. */
export function learn(h: Habit, k: Kind, hour: number, off: boolean, litres: number, mean: number): void {
  const i = off ? HOURS + hour : hour
  h.litres[hour] = (h.litres[hour] as number) * KEEP_HOUR + litres
  h.count[hour] = (h.count[hour] as number) * KEEP_HOUR
  h.count[HOURS + hour] = (h.count[HOURS + hour] as number) * KEEP_HOUR
  h.count[i] = (h.count[i] as number) + 1
  h.hours += 1
  if (h.hours < 48) return
  learnDay(h, k, hour, off, litres, mean)
  // A pool is no measure of a draw.
  const capped = Math.min(litres, mean + 5 * Math.sqrt(PULSE_VARIANCE * DRAW_L * mean + DRAW_L * DRAW_L))
  const wander = wanderOf(k)
  const weight = tells(mean, drawOf(h, k), Math.max(wander, WANDER))
  const draw = (weight * ((capped - mean) ** 2 - (wander * mean) ** 2)) / (PULSE_VARIANCE * mean)
  h.draws = h.draws * KEEP_DRAW + draw
  h.drawWeight = h.drawWeight * KEEP_DRAW + weight
  learnKind(k, i, capped, levelOf(h, k), draw, weight)
}

/** Adds an hour to its day; a finished day is weighed. */
function learnDay(h: Habit, k: Kind, hour: number, off: boolean, litres: number, mean: number): void {
  if (hour === 0 && h.dayHours > 0) {
    if (h.dayHours >= DAY_HOURS_MIN) {
      learnWander(h, k)
      leaveOutAbsence(h)
    }
    h.dayUsed = 0
    h.dayUsual = 0
    h.dayHours = 0
  }
  h.dayOff = off
  h.dayUsed += litres
  h.dayUsual += mean
  h.dayHours += 1
}

/** A finished day enters the kind's wander by inverse variance. Only days above expectation count: an empty home is no measure of wander. */
function learnWander(h: Habit, k: Kind): void {
  const above = h.dayUsed - h.dayUsual
  if (above <= 0) return
  const chance = PULSE_VARIANCE * drawOf(h, k) * h.dayUsual
  const usual2 = h.dayUsual * h.dayUsual
  const known = chance + WANDER * WANDER * usual2
  const days = Math.max(2, (h.hours - h.dayHours) / HOURS)
  const square = Math.min(above * above, DAY_CUT * DAY_CUT * known) / (1 + 1 / days)
  const weight = ((WANDER * WANDER * usual2) / known) ** 2
  k.daySquares += (weight * (square - chance)) / usual2
  k.dayWeight += weight
  if (k.dayWeight < WANDER_DAYS_MAX) return
  k.daySquares /= 2
  k.dayWeight /= 2
}

/**
 * A day on which nobody was there says nothing of what is used when somebody is: it counts as not seen. Where the first days were such
 * ones, the first full day shows it, and they no longer count.
 */
function leaveOutAbsence(h: Habit): void {
  const at = h.dayOff ? HOURS : 0
  if (h.dayUsed < ABSENT_SHARE * h.dayUsual) {
    for (let i = at; i < at + HOURS; i++) h.count[i] = Math.max(0, (h.count[i] as number) - 1)
  } else if (h.dayUsual < ABSENT_SHARE * h.dayUsed) {
    h.count.fill(0)
    h.count.fill(1, at, at + HOURS)
  }
}

function learnKind(k: Kind, i: number, litres: number, level: number, draw: number, weight: number): void {
  k.draws += draw
  k.drawWeight += weight
  if (k.drawWeight > KIND_DRAW_WEIGHT_MAX) {
    k.draws /= 2
    k.drawWeight /= 2
  }
  k.litres[i] = (k.litres[i] as number) + litres
  k.level[i] = (k.level[i] as number) + level
  k.hours[i] = (k.hours[i] as number) + 1
  k.fresh -= 1
  if (k.fresh <= 0) renewShape(k)
  if ((k.hours[i] as number) < KIND_HOURS_MAX) return
  for (const sums of [k.litres, k.level, k.hours]) sums[i] = (sums[i] as number) / 2
}

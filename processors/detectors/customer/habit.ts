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
  /** Squared departures and what a mean draw of one litre explains of them: their quotient is the mean draw. */
  squares: number
  explained: number
  /** Squared relative departures of whole days beyond the chance of draws, weighed, and their weights: their quotient is the wander squared. */
  daySquares: number
  dayWeight: number
}

export interface Habit {
  /** Own litres by hour of day, forgotten slowly. */
  litres: Float32Array
  /** Litres by the kind's shape and a level of one litre an hour. */
  shape: Float32Array
  squares: number
  explained: number
  hours: number
  /** The day being filled: litres used, litres expected, hours seen. */
  dayUsed: number
  dayUsual: number
  dayHours: number
}

export function createKind(): Kind {
  return {
    litres: new Float64Array(SHAPE),
    level: new Float64Array(SHAPE),
    hours: new Float64Array(SHAPE),
    squares: 0,
    explained: 0,
    daySquares: 0,
    dayWeight: 0,
  }
}

export function createHabit(): Habit {
  return {
    litres: new Float32Array(HOURS),
    shape: new Float32Array(HOURS),
    squares: 0,
    explained: 0,
    hours: 0,
    dayUsed: 0,
    dayUsual: 0,
    dayHours: 0,
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
const KIND_EXPLAINED_MAX = 4_000_000
/** Days off borrow this many meter days from weekdays: a week holds few of them. */
const BORROWED_HOURS = 10
/** Customers of a kind differ by about the whole of their use in an hour of day (coefficient of variation). */
const DIFFERENCE = 1
/** Litres of a draw before anything is known: a shower, a flush. */
const DRAW_L = 20
const DRAW_WEIGHT_L = 2000
/** From day to day a customer's use wanders besides the chance of draws: by this much before anything is known, worth so many days. */
const WANDER = 0.15
const WANDER_DAYS = 10
const WANDER_MIN = 0.03
const WANDER_MAX = 0.5
/** One day departs at most by so many standard deviations: a leak is no wander. */
const DAY_CUT = 3
/** Days of a kind after which old ones fade. */
const WANDER_DAYS_MAX = 2000

/** Use in an hour of day relative to the mean hour, of a kind of customer. */
export function shapeOf(k: Kind, hour: number, off: boolean): number {
  const i = off ? HOURS + hour : hour
  const weekday =
    ((k.litres[hour] as number) + FLAT_HOURS * meanLevel(k, hour)) / ((k.level[hour] as number) + FLAT_HOURS * meanLevel(k, hour) + 1e-9)
  if (!off) return weekday
  const borrowed = BORROWED_HOURS * meanLevel(k, i)
  return ((k.litres[i] as number) + borrowed * weekday) / ((k.level[i] as number) + borrowed + 1e-9) || weekday
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
  const level = levelOf(h)
  const shape = shapeOf(k, hour, off)
  const mean = Math.max(level * shape, 0.02)
  const before = (hour + HOURS - 1) % HOURS
  const after = (hour + 1) % HOURS
  const own = (h.litres[hour] as number) + (h.litres[before] as number) + (h.litres[after] as number)
  const byShape = level * ((h.shape[hour] as number) + (h.shape[before] as number) + (h.shape[after] as number))
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

export function levelOf(h: Habit): number {
  let litres = 0
  let shape = 0
  for (let i = 0; i < HOURS; i++) {
    litres += h.litres[i] as number
    shape += h.shape[i] as number
  }
  return shape > 0 ? Math.max(litres / shape, 0.05) : 10
}

/** Mean litres of one draw: spread beyond what the number of draws explains. */
export function drawOf(h: Habit, k: Kind): number {
  const kind = (k.squares + DRAW_L * DRAW_WEIGHT_L) / (k.explained + DRAW_WEIGHT_L)
  return Math.max(2, (h.squares + kind * DRAW_WEIGHT_L) / (h.explained + DRAW_WEIGHT_L))
}

/** Learns an hour. `mean`: what was expected of it. */
export function learn(h: Habit, k: Kind, hour: number, off: boolean, litres: number, mean: number): void {
  const shape = h.hours < 24 ? 1 : shapeOf(k, hour, off)
  h.litres[hour] = (h.litres[hour] as number) * KEEP_HOUR + litres
  h.shape[hour] = (h.shape[hour] as number) * KEEP_HOUR + shape
  h.hours += 1
  if (h.hours < 48) return
  learnDay(h, k, hour, litres, mean)
  // A pool is no measure of a draw.
  const capped = Math.min(litres, mean + 5 * Math.sqrt(PULSE_VARIANCE * DRAW_L * mean + DRAW_L * DRAW_L))
  const square = (capped - mean) ** 2
  h.squares = h.squares * KEEP_DRAW + square
  h.explained = h.explained * KEEP_DRAW + PULSE_VARIANCE * mean
  learnKind(k, off ? HOURS + hour : hour, capped, levelOf(h), square, mean)
}

/** A finished day enters the kind's wander by inverse variance. Only days above expectation count: an empty home is no measure of wander. */
function learnDay(h: Habit, k: Kind, hour: number, litres: number, mean: number): void {
  if (hour === 0 && h.dayHours > 0) {
    const chance = PULSE_VARIANCE * drawOf(h, k) * h.dayUsual
    const usual2 = h.dayUsual * h.dayUsual
    const above = h.dayUsed - h.dayUsual
    if (h.dayHours >= 20 && above > 0) {
      const known = chance + WANDER * WANDER * usual2
      const days = Math.max(2, (h.hours - h.dayHours) / HOURS)
      const square = Math.min(above * above, DAY_CUT * DAY_CUT * known) / (1 + 1 / days)
      const weight = (WANDER * WANDER * usual2) / known
      k.daySquares += (weight * weight * (square - chance)) / usual2
      k.dayWeight += weight * weight
      if (k.dayWeight > WANDER_DAYS_MAX) {
        k.daySquares /= 2
        k.dayWeight /= 2
      }
    }
    h.dayUsed = 0
    h.dayUsual = 0
    h.dayHours = 0
  }
  h.dayUsed += litres
  h.dayUsual += mean
  h.dayHours += 1
}

function learnKind(k: Kind, i: number, litres: number, level: number, square: number, mean: number): void {
  k.squares += square
  k.explained += PULSE_VARIANCE * mean
  if (k.explained > KIND_EXPLAINED_MAX) {
    k.squares /= 2
    k.explained /= 2
  }
  k.litres[i] = (k.litres[i] as number) + litres
  k.level[i] = (k.level[i] as number) + level
  k.hours[i] = (k.hours[i] as number) + 1
  if ((k.hours[i] as number) < KIND_HOURS_MAX) return
  for (const sums of [k.litres, k.level, k.hours]) sums[i] = (sums[i] as number) / 2
}

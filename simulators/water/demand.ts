// Who uses how much water when. A customer with a smart meter draws single uses (a Poisson number of them, each of random volume) after
// the daily and weekly habit of its type; customers without one are summed per junction. District-wide mood (weather, day-to-day
// change) multiplies both. Everything is a function of seed and time.
import { hashNormal, hashUniform, inverseNormal, keyOf, poisson, wander } from '../random.ts'
import type { PremiseType } from '../town/types.ts'

/** Hourly weights of a working day and of a weekend day. */
type Habit = readonly [readonly number[], readonly number[]]

const HOME: Habit = [
  [5, 3, 2, 2, 3, 9, 30, 62, 56, 40, 35, 37, 45, 38, 31, 30, 34, 46, 60, 66, 62, 50, 32, 13],
  [9, 5, 3, 2, 3, 5, 12, 29, 50, 66, 66, 60, 59, 51, 44, 40, 42, 49, 58, 63, 60, 50, 36, 19],
]
const SHOP: Habit = [
  [1, 1, 1, 1, 1, 2, 5, 20, 50, 80, 90, 90, 95, 88, 85, 85, 88, 90, 80, 55, 30, 12, 4, 2],
  [1, 1, 1, 1, 1, 2, 4, 14, 40, 78, 95, 98, 98, 96, 92, 90, 90, 88, 70, 40, 20, 9, 3, 2],
]
const RESTAURANT: Habit = [
  [8, 3, 1, 1, 1, 2, 6, 20, 30, 40, 60, 100, 120, 90, 50, 40, 55, 95, 130, 125, 100, 70, 40, 18],
  [14, 6, 2, 1, 1, 2, 4, 14, 28, 44, 70, 115, 135, 110, 70, 55, 65, 105, 145, 140, 115, 85, 55, 28],
]
const OFFICE: Habit = [
  [1, 1, 1, 1, 1, 3, 12, 45, 90, 100, 95, 95, 80, 88, 98, 95, 85, 55, 22, 10, 6, 3, 2, 1],
  [1, 1, 1, 1, 1, 1, 2, 5, 9, 11, 11, 10, 9, 9, 9, 8, 7, 5, 3, 2, 2, 1, 1, 1],
]
const SCHOOL: Habit = [
  [1, 1, 1, 1, 1, 3, 20, 80, 110, 100, 120, 105, 125, 95, 90, 95, 70, 30, 14, 10, 7, 3, 2, 1],
  [1, 1, 1, 1, 1, 1, 2, 4, 6, 7, 8, 8, 7, 6, 6, 5, 4, 3, 2, 2, 2, 1, 1, 1],
]
const HOTEL: Habit = [
  [16, 10, 8, 8, 12, 32, 80, 120, 110, 85, 65, 55, 52, 48, 46, 48, 56, 72, 88, 95, 90, 75, 52, 30],
  [20, 13, 9, 8, 10, 24, 60, 105, 125, 105, 80, 62, 55, 50, 48, 50, 58, 74, 92, 100, 95, 80, 60, 36],
]
const HOSPITAL: Habit = [
  [34, 30, 28, 28, 32, 48, 75, 96, 105, 105, 100, 98, 92, 90, 88, 86, 84, 82, 80, 76, 68, 58, 48, 40],
  [34, 30, 28, 28, 31, 42, 62, 78, 86, 86, 84, 82, 80, 78, 76, 75, 75, 75, 74, 70, 64, 56, 47, 40],
]
const WORKSHOP: Habit = [
  [2, 2, 2, 2, 2, 6, 40, 90, 100, 100, 98, 92, 60, 92, 100, 98, 85, 45, 14, 7, 4, 3, 2, 2],
  [2, 2, 2, 2, 2, 3, 8, 18, 24, 25, 24, 20, 12, 8, 6, 5, 4, 3, 3, 2, 2, 2, 2, 2],
]
/** Two shifts, 06 to 22. */
const INDUSTRY: Habit = [
  [14, 12, 12, 12, 16, 40, 92, 100, 100, 100, 98, 96, 88, 98, 100, 98, 96, 96, 95, 95, 92, 80, 34, 18],
  [13, 12, 12, 12, 13, 20, 44, 55, 55, 54, 52, 50, 46, 40, 30, 24, 20, 18, 16, 15, 14, 14, 13, 13],
]

const HABITS: Record<PremiseType, Habit> = {
  house: HOME,
  flats: HOME,
  shop: SHOP,
  restaurant: RESTAURANT,
  office: OFFICE,
  school: SCHOOL,
  hotel: HOTEL,
  hospital: HOSPITAL,
  workshop: WORKSHOP,
  industry: INDUSTRY,
}

/** Mean litres of a single use; 0 where water runs all the time and only wavers. */
const USE_LITRES: Record<PremiseType, number> = {
  house: 9,
  flats: 9,
  shop: 5,
  restaurant: 8,
  office: 6,
  school: 8,
  hotel: 14,
  hospital: 0,
  workshop: 15,
  industry: 0,
}

const scale = new Map<Habit, number>()
for (const h of Object.values(HABITS)) {
  const sum = (list: readonly number[]): number => list.reduce((s, v) => s + v, 0)
  scale.set(h, 24 / ((5 * sum(h[0]) + 2 * sum(h[1])) / 7))
}

/** Relative use at a minute of the local day; its mean over a week is 1. */
export function habit(type: PremiseType, minuteOfDay: number, restDay: boolean): number {
  const h = HABITS[type]
  const list = h[restDay ? 1 : 0]
  const at = minuteOfDay / 60 - 0.5
  const k = Math.floor(at)
  const f = at - k
  return ((list[(k + 24) % 24] as number) * (1 - f) + (list[(k + 1) % 24] as number) * f) * (scale.get(h) as number)
}

const DAY_STEPS = 288
const MOOD = keyOf('district mood')
const AWAY = keyOf('away')
const USES = keyOf('uses')
const NODE = keyOf('node')

/** Common factor of a district at a 5-minute step: change from day to day and from hour to hour, a few per cent. */
export function mood(seed: number, district: number, step: number): number {
  return Math.exp(0.035 * wander(seed, MOOD + district, step / DAY_STEPS) + 0.025 * wander(seed, MOOD + 100 + district, step / 15))
}

/** True for the days on which a household is away: now and then for four days. */
export function isAway(seed: number, premise: number, step: number): boolean {
  return hashUniform(seed, AWAY, premise, Math.floor((step + premise * 97) / (4 * DAY_STEPS))) < 0.035
}

/**
 * Litres that a metered customer draws in one 5-minute step.
 * @param factor habit × mood × whatever else multiplies the mean of the day
 */
export function drawLitres(
  seed: number,
  premise: number,
  p: { type: PremiseType; waterM3d: number },
  step: number,
  factor: number,
): number {
  let mean = ((p.waterM3d * 1000) / DAY_STEPS) * factor
  if (p.type === 'house' && isAway(seed, premise, step)) mean *= 0.02
  const size = USE_LITRES[p.type]
  if (size === 0)
    return Math.max(0, mean * (1 + 0.1 * hashNormal(seed, USES, premise, step) + 0.08 * wander(seed, USES + premise, step / 24)))
  const uses = poisson(mean / size, hashUniform(seed, USES, premise, step))
  if (uses === 0) return 0
  if (uses > 6) {
    const z = inverseNormal(hashUniform(seed, USES + 1, premise, step))
    return Math.max(0, size * (uses + Math.sqrt(uses) * z))
  }
  let litres = 0
  for (let k = 0; k < uses; k++) litres -= size * Math.log(hashUniform(seed, USES + 2 + k, premise, step))
  return litres
}

/** Use of the customers without smart meter at a junction, m3/h: the mixed habit of a street with noise of its own. */
export function unmeteredM3h(seed: number, node: number, meanM3h: number, step: number, factor: number): number {
  if (meanM3h === 0) return 0
  return meanM3h * factor * Math.exp(0.28 * hashNormal(seed, NODE, node, step) - 0.0392 + 0.12 * wander(seed, NODE + node, step / 12))
}

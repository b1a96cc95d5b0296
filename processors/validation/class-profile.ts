// The profile of a class of meters: the mean like-day shape of the zone's other meters of the class and quantity, each by its own mean, for a
// meter that has no history of its own yet. Times the meter's own daily use where that is known, else the class's mean use. Source: class
// load profile times average daily usage (Oracle MDM, AEMO method 57). Worked out when it is needed: nothing is kept.
import { PROFILE, type SeriesConfig, type SeriesTable } from './series.ts'

const HOURS = PROFILE / 2
/** Fewer meters are no class; more than so many add nothing. */
const METERS_MIN = 3
const METERS_MAX = 200
/** Whole days of use from which a meter counts. */
const DAYS_MIN = 3

export interface ClassProfile {
  /** Rate by weekday and weekend, by local hour, of a meter that uses 1 an hour on average; NaN where unknown. */
  shape: Float64Array
  /** Mean use a day of the class, unit of the quantity. */
  dailyUse: number
}

export function classProfile(t: SeriesTable, row: number): ClassProfile | undefined {
  const own = t.configs[t.config[row] as number] as SeriesConfig
  const shape = new Float64Array(PROFILE)
  const n = new Uint16Array(PROFILE)
  let use = 0
  let meters = 0
  for (let other = 0; other < t.rows && meters < METERS_MAX; other++) {
    const c = t.configs[t.config[other] as number]
    const p = t.profile[other] as number
    const fits = other !== row && p >= 0 && t.code[other] === t.code[row] && t.channel[other] === t.channel[row] && c?.class === own.class
    if (!fits || (t.useDays[other] as number) < DAYS_MIN || !((t.useMean[other] as number) > 0)) continue
    const perHour = (t.useMean[other] as number) / 24 / (c as SeriesConfig).multiplier
    for (let k = 0; k < PROFILE; k++) {
      const rate = t.profiles[p * PROFILE + k] as number
      if (Number.isNaN(rate)) continue
      shape[k] = (shape[k] as number) + rate / perHour
      n[k] = (n[k] as number) + 1
    }
    use += t.useMean[other] as number
    meters++
  }
  if (meters < METERS_MIN) return undefined
  for (let k = 0; k < PROFILE; k++) shape[k] = n[k] === 0 ? Number.NaN : (shape[k] as number) / (n[k] as number)
  return { shape, dailyUse: use / meters }
}

/** Rate of a meter by the profile of its class, register units an hour; NaN when the class does not know the hour. */
export function classRate(t: SeriesTable, row: number, p: ClassProfile, at: { weekend: boolean; hour: number }): number {
  const c = t.configs[t.config[row] as number] as SeriesConfig
  const daily = (t.useDays[row] as number) > 0 ? (t.useMean[row] as number) : p.dailyUse
  const own = p.shape[(at.weekend ? HOURS : 0) + at.hour] as number
  const form = Number.isNaN(own) ? (p.shape[(at.weekend ? 0 : HOURS) + at.hour] as number) : own
  return (form * daily) / 24 / c.multiplier
}

// Electric load of one customer in one quarter hour: habit of its type over day and week, a slow wander, single appliances, heat pump,
// car and sun. Everything is a function of seed and time.
import { hashUniform, keyOf, poisson, wander } from '../random.ts'
import type { ElectricMeter } from '../town/types.ts'

type Habit = readonly [readonly number[], readonly number[]]

const HOME: Habit = [
  [38, 32, 29, 28, 29, 36, 62, 84, 74, 62, 60, 68, 82, 72, 62, 60, 66, 92, 132, 152, 146, 126, 92, 58],
  [46, 38, 33, 30, 30, 32, 44, 66, 92, 104, 102, 108, 116, 104, 88, 82, 86, 104, 132, 146, 138, 120, 94, 66],
]
const SHOP: Habit = [
  [30, 28, 28, 28, 28, 30, 40, 70, 110, 150, 160, 162, 160, 158, 156, 156, 158, 160, 150, 110, 70, 46, 36, 32],
  [30, 28, 28, 28, 28, 30, 36, 56, 96, 145, 160, 165, 165, 160, 158, 150, 140, 120, 90, 60, 46, 38, 34, 31],
]
const OFFICE: Habit = [
  [30, 28, 28, 28, 28, 34, 60, 120, 180, 195, 195, 188, 170, 186, 190, 184, 165, 110, 66, 46, 40, 36, 34, 32],
  [28, 27, 27, 27, 27, 28, 30, 34, 38, 40, 40, 40, 38, 38, 38, 36, 34, 32, 31, 30, 30, 29, 29, 28],
]
const DAYNIGHT: Habit = [
  [72, 68, 66, 66, 70, 80, 98, 112, 120, 124, 126, 128, 126, 124, 122, 120, 120, 122, 124, 122, 114, 102, 88, 78],
  [72, 68, 66, 66, 68, 74, 84, 94, 102, 106, 108, 110, 108, 106, 104, 102, 104, 108, 114, 114, 108, 98, 86, 77],
]
const INDUSTRY: Habit = [
  [52, 50, 50, 50, 54, 86, 140, 152, 155, 154, 150, 146, 132, 150, 153, 150, 146, 142, 138, 136, 130, 112, 70, 56],
  [46, 45, 45, 45, 46, 54, 74, 82, 84, 82, 78, 74, 66, 58, 52, 50, 48, 47, 46, 46, 46, 45, 45, 45],
]

const HABITS: Record<ElectricMeter['type'], Habit> = {
  house: HOME,
  flat: HOME,
  flats: HOME,
  shop: SHOP,
  restaurant: SHOP,
  office: OFFICE,
  school: OFFICE,
  hotel: DAYNIGHT,
  hospital: DAYNIGHT,
  workshop: OFFICE,
  industry: INDUSTRY,
}

const scale = new Map<Habit, number>()
for (const h of Object.values(HABITS)) {
  const sum = (list: readonly number[]): number => list.reduce((s, v) => s + v, 0)
  scale.set(h, 24 / ((5 * sum(h[0]) + 2 * sum(h[1])) / 7))
}

/** Mean of a single appliance's use in a quarter hour, kWh, of customers small enough to see it. */
const APPLIANCE_KWH = 0.22
const BASE = keyOf('load base')
const USES = keyOf('load uses')
const PUMP = keyOf('heat pump')
const CAR = keyOf('car')
const CLOUD = keyOf('cloud')
const WARMTH = keyOf('warmth')

/** What all customers share in a quarter hour. */
export interface Quarter {
  /** Quarter hours since the epoch. */
  index: number
  minuteOfDay: number
  /** Days since the epoch in local time. */
  localDay: number
  restDay: boolean
  /** Output of one kWp of solar, kWh in this quarter hour. */
  solarKwhPerKwp: number
}

/** Relative use at a minute of the local day; its mean over a week is 1. */
export function loadHabit(type: ElectricMeter['type'], minuteOfDay: number, restDay: boolean): number {
  const h = HABITS[type]
  const list = h[restDay ? 1 : 0]
  const at = minuteOfDay / 60 - 0.5
  const k = Math.floor(at)
  const f = at - k
  return ((list[(k + 24) % 24] as number) * (1 - f) + (list[(k + 1) % 24] as number) * f) * (scale.get(h) as number)
}

/** True use of a customer in a quarter hour, kWh, before its own solar. `away`: nobody at home. */
export function drawKwh(seed: number, meter: number, m: ElectricMeter, q: Quarter, away: boolean): number {
  const yearly = m.yearlyKwh - (m.heatPump ? 3800 : 0)
  const mean = yearly / 35_040
  const now = mean * (away ? 0.22 : loadHabit(m.type, q.minuteOfDay, q.restDay))
  let kwh: number
  if (m.type === 'house' || m.type === 'flat') {
    kwh = 0.3 * mean + 0.25 * now * Math.exp(0.25 * wander(seed, BASE + meter, q.index / 4))
    const uses = poisson((Math.max(0, now - 0.4 * mean) * 0.62) / APPLIANCE_KWH, hashUniform(seed, USES, meter, q.index))
    for (let k = 0; k < Math.min(uses, 8); k++) kwh -= APPLIANCE_KWH * Math.log(hashUniform(seed, USES + 1 + k, meter, q.index))
  } else {
    kwh = now * Math.exp(0.1 * wander(seed, BASE + meter, q.index / 4) + 0.05 * (hashUniform(seed, USES, meter, q.index) - 0.5))
  }
  if (m.heatPump) {
    const duty = (3800 / 35_040 / 0.5) * (1 + 0.5 * wander(seed, WARMTH, q.index / 192)) * (q.minuteOfDay < 360 ? 1.25 : 0.95)
    if (hashUniform(seed, PUMP, meter, Math.floor(q.index / 2)) < duty) kwh += 0.5
  }
  if (m.car) kwh += carKwh(seed, meter, q)
  return Math.min(kwh, m.maxKw / 4)
}

/** A car charges at 7 kW on two nights of five, for two to four hours from late evening. */
function carKwh(seed: number, meter: number, q: Quarter): number {
  const day = q.minuteOfDay < 720 ? q.localDay - 1 : q.localDay
  if (hashUniform(seed, CAR, meter, day) > 0.4) return 0
  const since = q.minuteOfDay < 720 ? q.minuteOfDay + 1440 : q.minuteOfDay
  const from = 1260 + 150 * hashUniform(seed, CAR + 1, meter, day)
  const length = 120 + 120 * hashUniform(seed, CAR + 2, meter, day)
  return since >= from && since < from + length ? 1.75 : 0
}

/**
 * Output of one kWp, kWh in a quarter hour that ends at `endMs`: sine of the sun's height (declination and hour angle, mean solar time)
 * through drifting clouds.
 */
export function solarKwhPerKwp(seed: number, endMs: number, lonDeg: number, latDeg: number): number {
  const midMs = endMs - 450_000
  const day = Math.floor(midMs / 86_400_000)
  const declination = ((-23.44 * Math.PI) / 180) * Math.cos((2 * Math.PI * ((day % 365.25) + 10)) / 365.25)
  const solarHour = ((midMs / 3_600_000) % 24) + lonDeg / 15
  const angle = ((solarHour - 12) * Math.PI) / 12
  const lat = (latDeg * Math.PI) / 180
  const height = Math.sin(lat) * Math.sin(declination) + Math.cos(lat) * Math.cos(declination) * Math.cos(angle)
  if (height <= 0) return 0
  const cloud = 0.62 + 0.3 * wander(seed, CLOUD, midMs / 86_400_000) + 0.16 * wander(seed, CLOUD + 1, midMs / 2_700_000)
  return 0.25 * 0.84 * height ** 1.15 * Math.min(1, Math.max(0.08, cloud))
}

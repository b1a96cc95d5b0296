// The plan of a town before anything is built: its districts, where they lie, what is in them and how water comes to them.
// Seed 1 is the demo town; other seeds give other numbers of districts, sizes and ways of supply, for scoring detectors on networks
// that nobody tuned them on.
import { makeRandom, type Random } from '../random.ts'

/** How a district gets its water: through a PRV from the trunk main, from a tank filled by a pump, or through a PRV from the centre. */
export type Supply = 'gravity' | 'pumped' | 'chained'
export type DistrictUse = 'old' | 'houses' | 'mixed'

export interface DistrictPlan {
  name: string
  nameZh: string
  use: DistrictUse
  supply: Supply
  /** A second metered inlet from the centre, with its own PRV. */
  secondInlet: boolean
  /** Centre in metres from the town's origin, radius in metres, angle of the street grid in radians. */
  cx: number
  cy: number
  radius: number
  angle: number
  /** Distances between parallel streets, metres. */
  blockX: readonly [number, number]
  blockY: readonly [number, number]
  jitterM: number
  bendM: number
  /** Premises with a smart water meter. */
  metered: number
  /** Mean use of the customers without smart meter, m3/h; 0 when every customer has one. */
  unmeteredM3h: number
}

export interface TownPlan {
  seed: number
  name: string
  nameZh: string
  lon: number
  lat: number
  districts: DistrictPlan[]
  pressureSensors: number
  electricMeters: number
  feeders: number
  transformers: number
  gateways: { sensors: number; water: number; power: number }
  crews: number
}

const NAMES: readonly (readonly [string, string])[] = [
  ['Old Town', '老城'],
  ['North Hill', '北山'],
  ['Riverside', '滨江'],
  ['East Gate', '东门'],
  ['Orchard', '果园'],
  ['West Lake', '西湖'],
]

/** The demo town: an old centre, a hill with a tank, a district beyond the river. */
function demoPlan(seed: number): TownPlan {
  const base = { jitterM: 7, bendM: 30 }
  return {
    seed,
    name: 'Yunqiao',
    nameZh: '云桥',
    lon: 118.214,
    lat: 30.052,
    districts: [
      {
        ...base,
        name: 'Old Town',
        nameZh: '老城',
        use: 'old',
        supply: 'gravity',
        secondInlet: false,
        cx: 0,
        cy: 0,
        radius: 640,
        angle: 0.12,
        blockX: [62, 94],
        blockY: [70, 112],
        jitterM: 11,
        bendM: 42,
        metered: 340,
        unmeteredM3h: 26,
      },
      {
        ...base,
        name: 'North Hill',
        nameZh: '北山',
        use: 'houses',
        supply: 'pumped',
        secondInlet: false,
        cx: 260,
        cy: 1340,
        radius: 620,
        angle: -0.35,
        blockX: [68, 106],
        blockY: [76, 120],
        bendM: 64,
        metered: 330,
        unmeteredM3h: 0,
      },
      {
        ...base,
        name: 'Riverside',
        nameZh: '滨江',
        use: 'mixed',
        supply: 'gravity',
        secondInlet: true,
        cx: 1230,
        cy: -720,
        radius: 720,
        angle: 0.52,
        blockX: [74, 108],
        blockY: [82, 124],
        jitterM: 5,
        bendM: 18,
        metered: 330,
        unmeteredM3h: 22,
      },
    ],
    pressureSensors: 60,
    electricMeters: 1000,
    feeders: 5,
    transformers: 48,
    gateways: { sensors: 6, water: 14, power: 20 },
    crews: 6,
  }
}

/** Another town: three to five districts around a centre, one of them pumped, one chained, sizes and grids drawn. */
function drawnPlan(seed: number): TownPlan {
  const r: Random = makeRandom(seed)
  const count = 3 + r.int(3)
  const turn = r.between(0, 2 * Math.PI)
  const districts: DistrictPlan[] = []
  const pumped = 1 + r.int(count - 1)
  const full = r.int(count)
  for (let d = 0; d < count; d++) {
    const radius = d === 0 ? r.between(540, 700) : r.between(430, 680)
    const centre = districts[0]?.radius ?? 0
    const away = d === 0 ? 0 : centre + radius + r.between(70, 160)
    const at = turn + ((d - 1) / (count - 1)) * 2 * Math.PI + r.between(-0.25, 0.25)
    const supply: Supply = d === pumped ? 'pumped' : d > 0 && r.next() < 0.3 ? 'chained' : 'gravity'
    const name = NAMES[d] as readonly [string, string]
    const block = r.between(62, 80)
    districts.push({
      name: name[0],
      nameZh: name[1],
      use: d === 0 ? 'old' : r.pick(['houses', 'mixed'] as const),
      supply,
      secondInlet: d > 0 && supply === 'gravity' && r.next() < 0.5,
      cx: away * Math.cos(at),
      cy: away * Math.sin(at),
      radius,
      angle: r.between(-0.7, 0.7),
      blockX: [block, block * 1.5],
      blockY: [block * 1.1, block * 1.7],
      jitterM: r.between(4, 12),
      bendM: r.between(10, 60),
      metered: Math.round(1000 / count),
      unmeteredM3h: d === full ? 0 : r.between(10, 30),
    })
  }
  return {
    seed,
    name: `Town ${seed}`,
    nameZh: `${seed}号镇`,
    lon: 118.214,
    lat: 30.052,
    districts,
    pressureSensors: 60,
    electricMeters: 1000,
    feeders: 4 + r.int(3),
    transformers: 44 + r.int(10),
    gateways: { sensors: 2 * count, water: 14, power: 20 },
    crews: 6,
  }
}

/** The seed of the demo town. */
export const DEMO_SEED = 1

export function planTown(seed: number): TownPlan {
  return seed === DEMO_SEED ? demoPlan(seed) : drawnPlan(seed)
}

const LAT_M = 110_850

/** WGS 84 longitude and latitude of a point in metres east and north of the town's origin, to about 0.1 m. */
export function toLonLat(plan: TownPlan, x: number, y: number): [number, number] {
  const lon = plan.lon + x / (111_320 * Math.cos((plan.lat * Math.PI) / 180))
  const lat = plan.lat + y / LAT_M
  return [Math.round(lon * 1e6) / 1e6, Math.round(lat * 1e6) / 1e6]
}

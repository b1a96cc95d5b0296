// What a generated town is made of. Plain data, positions in metres east and north of the town's origin.
import type { TownPlan } from './plan.ts'
import type { Streets } from './streets.ts'

export const PREMISE_TYPES = [
  'house',
  'flats',
  'shop',
  'restaurant',
  'office',
  'school',
  'hotel',
  'hospital',
  'workshop',
  'industry',
] as const
export type PremiseType = (typeof PREMISE_TYPES)[number]

/** A building with at least one smart meter. */
export interface Premise {
  x: number
  y: number
  /** Index into `Town.water.nodes` of the junction that it hangs on. */
  node: number
  district: number
  type: PremiseType
  /** Mean water use, m3 per day. */
  waterM3d: number
}

export interface WaterNode {
  id: string
  kind: 'junction' | 'tank' | 'reservoir'
  x: number
  y: number
  elevationM: number
  /** District, or -1 for the trunk system. */
  district: number
  /** Mean use of customers without a smart meter here, m3/h. */
  unmeteredM3h: number
  /** Emitter coefficient of background leakage, m3/h per sqrt(m). */
  backgroundC: number
}

export interface WaterLink {
  id: string
  kind: 'pipe' | 'valve' | 'pump'
  from: number
  to: number
  lengthM: number
  diameterMm: number
  /** Hazen-Williams C. */
  roughness: number
  district: number
  /** Downstream pressure of a PRV, m. */
  settingM?: number
  /** Bends on the way, metres. */
  via: readonly (readonly [number, number])[]
  street?: string
  streetZh?: string
}

export interface FlowMeter {
  id: string
  link: number
  flows: { district: number; sign: 1 | -1 }[]
}

export interface WaterNetwork {
  nodes: WaterNode[]
  links: WaterLink[]
  tanks: { node: number; diameterM: number; minLevelM: number; maxLevelM: number; startLevelM: number }[]
  pumps: { link: number; tank: number; headM: number; flowM3h: number; onBelowM: number; offAboveM: number }[]
  reservoirHeadM: number
  flowMeters: FlowMeter[]
  /** Junctions with a pressure sensor. */
  pressureSensors: { id: string; node: number }[]
  levelSensors: { id: string; tank: number }[]
  pumpSensors: { id: string; pump: number }[]
  /** Mean demand per district with customers and background leakage, m3/h. */
  meanDemandM3h: number[]
}

export interface WaterMeter {
  id: string
  premise: number
  /** Register at the start, m3. */
  startM3: number
  account: string
}

export interface ElectricMeter {
  id: string
  role: 'customer' | 'transformer' | 'feeder'
  premise: number
  transformer: number
  feeder: number
  x: number
  y: number
  type: PremiseType | 'flat'
  /** Yearly use, kWh (customers). */
  yearlyKwh: number
  heatPump: boolean
  car: boolean
  solarKwp: number
  digits: number
  multiplier: number
  maxKw: number
  lastGasp: boolean
  startKwh: number
  account: string
}

export interface Transformer {
  id: string
  feeder: number
  x: number
  y: number
  ratingKva: number
}

export interface PowerNetwork {
  substation: { id: string; x: number; y: number }
  feeders: { id: string; line: [number, number][] }[]
  transformers: Transformer[]
  meters: ElectricMeter[]
}

export type GatewayKind = 'sensor' | 'water' | 'power'

export interface Gateway {
  id: string
  kind: GatewayKind
  x: number
  y: number
}

export interface TownAccount {
  account: string
  name: string
  segment: 'general' | 'large' | 'special' | 'vulnerable'
  phone: string
  email: string
  language: 'en' | 'zh'
  tariffWater: string
  tariffPower: string
}

export interface Town {
  version: number
  plan: TownPlan
  streets: Streets
  premises: Premise[]
  water: WaterNetwork
  waterMeters: WaterMeter[]
  power: PowerNetwork
  gateways: Gateway[]
  /** Device id to index of its gateway. */
  gatewayOf: Record<string, number>
  accounts: TownAccount[]
  crews: { id: string; skills: ('water' | 'power')[]; x: number; y: number }[]
}

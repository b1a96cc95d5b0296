// The registry: what exists, how it hangs together, who measures it. GeoJSON outside, properties inside.
import { z } from 'zod'

const id = z.string().min(1).max(200)
const optional = <T extends z.ZodType>(t: T) => t.nullish().transform((v) => v ?? undefined)
const seconds = z
  .number()
  .positive()
  .max(86_400 * 31)

export const FlowTerm = z.object({ dma: id, sign: z.union([z.literal(1), z.literal(-1)]) })

/** Properties of one asset by kind; unknown extra properties are kept as they are. */
export const AssetProperties = z.discriminatedUnion('kind', [
  z.looseObject({
    id,
    kind: z.literal('dma'),
    name: optional(z.string()),
    parent: optional(id),
    fully_metered: optional(z.boolean()),
    mean_demand_m3h: optional(z.number()),
  }),
  z.looseObject({ id, kind: z.enum(['junction', 'tank', 'reservoir']), dma: optional(id), elevation_m: optional(z.number()) }),
  z.looseObject({
    id,
    kind: z.enum(['pipe', 'valve', 'pump']),
    from: id,
    to: id,
    dma: optional(id),
    length_m: optional(z.number()),
    diameter_mm: optional(z.number()),
  }),
  z.looseObject({
    id,
    kind: z.enum(['pressure_sensor', 'level_sensor', 'pump_sensor']),
    node: optional(id),
    link: optional(id),
    dma: optional(id),
    gateway: id,
    interval_s: optional(seconds),
  }),
  z.looseObject({
    id,
    kind: z.literal('flow_meter'),
    link: optional(id),
    gateway: id,
    flows: z.array(FlowTerm),
    interval_s: optional(seconds),
  }),
  z.looseObject({
    id,
    kind: z.literal('water_meter'),
    node: optional(id),
    dma: optional(id),
    gateway: id,
    account: optional(id),
    digits: optional(z.number().int().min(1).max(12)),
    decimals: optional(z.number().int().min(0).max(6)),
    multiplier: optional(z.number().positive()),
    interval_s: optional(seconds),
    customer_type: optional(z.string()),
  }),
  z.looseObject({ id, kind: z.literal('substation') }),
  z.looseObject({ id, kind: z.literal('feeder'), substation: optional(id) }),
  z.looseObject({ id, kind: z.literal('transformer'), feeder: optional(id), rating_kva: optional(z.number()) }),
  z.looseObject({
    id,
    kind: z.literal('electric_meter'),
    transformer: optional(id),
    feeder: optional(id),
    gateway: id,
    account: optional(id),
    role: z.enum(['customer', 'transformer', 'feeder']),
    digits: optional(z.number().int().min(1).max(12)),
    decimals: optional(z.number().int().min(0).max(6)),
    multiplier: optional(z.number().positive()),
    interval_s: optional(seconds),
    max_kw: optional(z.number().positive()),
    registered_generation_kwp: optional(z.number().nonnegative()),
    has_last_gasp: optional(z.boolean()),
  }),
  z.looseObject({ id, kind: z.literal('gateway'), zone: optional(id) }),
  z.looseObject({ id, kind: z.literal('crew'), skills: optional(z.array(z.enum(['water', 'power']))) }),
])
export type AssetProperties = z.infer<typeof AssetProperties>
export type AssetKind = AssetProperties['kind']
export type AssetOf<K extends AssetKind> = Extract<AssetProperties, { kind: K }>

export const Geometry = z
  .object({ type: z.enum(['Point', 'LineString', 'Polygon', 'MultiPolygon', 'MultiLineString']), coordinates: z.array(z.any()) })
  .nullable()
export type Geometry = z.infer<typeof Geometry>

export const AssetFeature = z.object({ type: z.literal('Feature'), geometry: Geometry, properties: AssetProperties })
export type AssetFeature = z.infer<typeof AssetFeature>

export const SEGMENTS = ['general', 'large', 'special', 'vulnerable'] as const
export type Segment = (typeof SEGMENTS)[number]

/** A customer. Name, phone and e-mail are personal data: they stay in PostgreSQL and never enter a topic or a log line. */
export const Account = z.object({
  account: id,
  name: z.string().default(''),
  segment: z.enum(SEGMENTS).default('general'),
  phone: z.string().default(''),
  email: z.string().default(''),
  language: z.string().default('en'),
  tariff_water: z.string().default(''),
  tariff_power: z.string().default(''),
})
export type Account = z.infer<typeof Account>

export const OPERATION_KINDS = ['hydrant', 'planned_outage', 'valve', 'pump', 'prv', 'meter_exchange', 'holiday'] as const
export const OPERATION_SCOPES = ['network', 'dma', 'feeder', 'transformer', 'meter', 'asset'] as const

/** What the control room knew beforehand; usable from `knownAtMs` on. */
export interface Operation {
  knownAtMs: number
  kind: (typeof OPERATION_KINDS)[number]
  scopeType: (typeof OPERATION_SCOPES)[number]
  scope: string
  startMs: number
  endMs: number
  note: string
}

/** A device that reports, as a zone's fold needs it. */
export interface ZoneDevice {
  asset: AssetProperties
  /** False for a copy: a flow meter between two districts reports to both, but is stored and counted in its first zone only. */
  primary: boolean
  segment: Segment | undefined
  lon: number | undefined
  lat: number | undefined
}

/** A node or link of the network model, for placing a leak. */
export interface ZoneNetworkElement {
  asset: AssetProperties
  /** Flat lon, lat, lon, lat ... of a point or line. */
  at: number[]
}

/** All that a zone's fold knows of the registry. No personal data. */
export interface ZoneDef {
  zone: string
  /** `network` holds what belongs to no district or feeder: tanks, pumps, plant sensors. */
  kind: 'dma' | 'feeder' | 'network'
  /** Content hash: the same definition is not applied twice. */
  version: string
  timezone: string
  /** Nothing before is a fault: detectors learn and stay silent. 0 when unknown: each detector then uses its own warm-up. */
  warmupUntilMs: number
  /** The dma, feeder, or undefined for the network zone. */
  area: AssetProperties | undefined
  devices: ZoneDevice[]
  /** Transformers of a feeder. */
  transformers: ZoneNetworkElement[]
  /** Junctions, pipes, valves, pumps, tanks of a district. */
  network: ZoneNetworkElement[]
  /** Gateways that serve this zone, and every zone they serve. */
  gateways: { id: string; zones: string[] }[]
}

export const NETWORK_ZONE = 'network'

/** The zones whose folds need a device's readings; the first one stores them. */
export function zonesOf(a: AssetProperties): string[] {
  switch (a.kind) {
    case 'flow_meter':
      return a.flows.length === 0 ? [NETWORK_ZONE] : [...new Set(a.flows.map((f) => f.dma))]
    case 'water_meter':
    case 'pressure_sensor':
    case 'level_sensor':
    case 'pump_sensor':
      return [a.dma ?? NETWORK_ZONE]
    case 'electric_meter':
      return [a.feeder ?? NETWORK_ZONE]
    default:
      return []
  }
}

/** True for kinds that report readings. */
export function isDevice(a: AssetProperties): boolean {
  return zonesOf(a).length > 0
}

/** Nominal seconds between two readings of a device. */
export function intervalSecondsOf(a: AssetProperties): number {
  const s = 'interval_s' in a ? a.interval_s : undefined
  if (typeof s === 'number' && s > 0) return s
  return a.kind === 'water_meter' ? 3600 : a.kind === 'electric_meter' ? 900 : 300
}

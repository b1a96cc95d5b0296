// The town as the registry reads it: a GeoJSON FeatureCollection of everything that exists and measures (contract, section 2).
import type { AssetFeature } from '#model/asset.ts'
import { toLonLat } from './plan.ts'
import type { ElectricMeter, Gateway, Premise, Town, WaterLink, WaterNode } from './types.ts'

type Properties = AssetFeature['properties']
type Position = [number, number]

export interface FeatureCollection {
  type: 'FeatureCollection'
  features: AssetFeature[]
}

/** Id of a district's DMA. */
export function dmaId(district: number): string {
  return `DMA-${district + 1}`
}

/** All assets of a town. `interval_s`: sensors and flow meters 300, water meters 3600, electric meters 900. */
export function townFeatures(town: Town): FeatureCollection {
  const features: AssetFeature[] = []
  const at = (x: number, y: number): Position => toLonLat(town.plan, x, y)
  const put = (properties: Record<string, unknown>, geometry: AssetFeature['geometry']): void => {
    const clean = Object.fromEntries(Object.entries(properties).filter(([, v]) => v !== undefined))
    features.push({ type: 'Feature', geometry, properties: clean as Properties })
  }
  const point = (x: number, y: number): AssetFeature['geometry'] => ({ type: 'Point', coordinates: at(x, y) })
  districts(town, put)
  network(town, put, point)
  sensors(town, put, point)
  power(town, put, point)
  town.gateways.forEach((g, i) => {
    put({ id: g.id, kind: 'gateway', zone: onlyZone(town, i) }, point(g.x, g.y))
  })
  for (const c of town.crews) put({ id: c.id, kind: 'crew', skills: c.skills }, null)
  return { type: 'FeatureCollection', features }
}

type Put = (properties: Record<string, unknown>, geometry: AssetFeature['geometry']) => void
type Point = (x: number, y: number) => AssetFeature['geometry']

function districts(town: Town, put: Put): void {
  town.plan.districts.forEach((p, d) => {
    const ring = hull(town.water.nodes.filter((n) => n.district === d).map((n): Position => [n.x, n.y])).map(([x, y]) =>
      toLonLat(town.plan, x, y),
    )
    if (ring[0] !== undefined) ring.push(ring[0])
    put(
      {
        id: dmaId(d),
        kind: 'dma',
        name: p.name,
        name_zh: p.nameZh,
        fully_metered: p.unmeteredM3h === 0,
        mean_demand_m3h: Math.round((town.water.meanDemandM3h[d] as number) * 100) / 100,
      },
      { type: 'Polygon', coordinates: [ring] },
    )
  })
}

function network(town: Town, put: Put, point: Point): void {
  const { nodes, links } = town.water
  const dma = (d: number): string | undefined => (d < 0 ? undefined : dmaId(d))
  for (const n of nodes) put({ id: n.id, kind: n.kind, dma: dma(n.district), elevation_m: n.elevationM }, point(n.x, n.y))
  for (const l of links) {
    const ends = [nodes[l.from] as WaterNode, nodes[l.to] as WaterNode] as const
    const line = [[ends[0].x, ends[0].y], ...l.via, [ends[1].x, ends[1].y]].map(([x, y]) => toLonLat(town.plan, x as number, y as number))
    put(
      {
        id: l.id,
        kind: l.kind,
        from: ends[0].id,
        to: ends[1].id,
        dma: dma(l.district),
        ...(l.kind === 'pipe' ? { length_m: l.lengthM, diameter_mm: l.diameterMm, street: l.street, street_zh: l.streetZh } : {}),
        ...(l.kind === 'valve' ? { diameter_mm: l.diameterMm, valve_type: 'PRV', setting_m: l.settingM } : {}),
      },
      { type: 'LineString', coordinates: line },
    )
  }
}

function sensors(town: Town, put: Put, point: Point): void {
  const { water } = town
  const gateway = (id: string): string => (town.gateways[town.gatewayOf[id] as number] as Gateway).id
  const node = (i: number): WaterNode => water.nodes[i] as WaterNode
  for (const s of water.pressureSensors) {
    const n = node(s.node)
    put(
      {
        id: s.id,
        kind: 'pressure_sensor',
        node: n.id,
        dma: n.district < 0 ? undefined : dmaId(n.district),
        gateway: gateway(s.id),
        interval_s: 300,
      },
      point(n.x, n.y),
    )
  }
  for (const f of water.flowMeters) {
    const l = water.links[f.link] as WaterLink
    const a = node(l.from)
    const b = node(l.to)
    put(
      {
        id: f.id,
        kind: 'flow_meter',
        link: l.id,
        gateway: gateway(f.id),
        flows: f.flows.map((t) => ({ dma: dmaId(t.district), sign: t.sign })),
        interval_s: 300,
      },
      point((a.x + b.x) / 2, (a.y + b.y) / 2),
    )
  }
  for (const s of water.levelSensors) {
    const n = node(water.tanks[s.tank]?.node as number)
    put({ id: s.id, kind: 'level_sensor', node: n.id, gateway: gateway(s.id), interval_s: 300 }, point(n.x, n.y))
  }
  for (const s of water.pumpSensors) {
    const l = water.links[water.pumps[s.pump]?.link as number] as WaterLink
    put({ id: s.id, kind: 'pump_sensor', link: l.id, gateway: gateway(s.id), interval_s: 300 }, point(node(l.to).x, node(l.to).y))
  }
  for (const m of town.waterMeters) {
    const p = town.premises[m.premise] as Premise
    put(
      {
        id: m.id,
        kind: 'water_meter',
        node: node(p.node).id,
        dma: dmaId(p.district),
        gateway: gateway(m.id),
        account: m.account,
        digits: 5,
        decimals: 3,
        multiplier: 1,
        interval_s: 3600,
        customer_type: p.type,
      },
      point(p.x, p.y),
    )
  }
}

function power(town: Town, put: Put, point: Point): void {
  const { power: net } = town
  put({ id: net.substation.id, kind: 'substation' }, point(net.substation.x, net.substation.y))
  for (const f of net.feeders) {
    put(
      { id: f.id, kind: 'feeder', substation: net.substation.id },
      { type: 'LineString', coordinates: f.line.map(([x, y]) => toLonLat(town.plan, x, y)) },
    )
  }
  for (const t of net.transformers) {
    put({ id: t.id, kind: 'transformer', feeder: net.feeders[t.feeder]?.id, rating_kva: t.ratingKva }, point(t.x, t.y))
  }
  for (const m of net.meters) put(meterProperties(town, m), point(m.x, m.y))
}

function meterProperties(town: Town, m: ElectricMeter): Record<string, unknown> {
  return {
    id: m.id,
    kind: 'electric_meter',
    role: m.role,
    transformer: town.power.transformers[m.transformer]?.id ?? null,
    feeder: town.power.feeders[m.feeder]?.id,
    gateway: (town.gateways[town.gatewayOf[m.id] as number] as Gateway).id,
    account: m.account === '' ? undefined : m.account,
    digits: m.digits,
    decimals: 2,
    multiplier: m.multiplier,
    interval_s: 900,
    max_kw: m.maxKw,
    registered_generation_kwp: m.solarKwp > 0 ? m.solarKwp : undefined,
    has_last_gasp: m.lastGasp,
    customer_type: m.role === 'customer' ? m.type : undefined,
  }
}

/** The one zone that a gateway serves, or undefined when it serves several. */
function onlyZone(town: Town, gateway: number): string | undefined {
  const zones = new Set<string>()
  const mine = (id: string): boolean => town.gatewayOf[id] === gateway
  for (const m of town.power.meters) if (mine(m.id)) zones.add(town.power.feeders[m.feeder]?.id as string)
  for (const m of town.waterMeters) if (mine(m.id)) zones.add(dmaId((town.premises[m.premise] as Premise).district))
  for (const s of town.water.pressureSensors) {
    const d = (town.water.nodes[s.node] as WaterNode).district
    if (mine(s.id)) zones.add(d < 0 ? 'network' : dmaId(d))
  }
  return zones.size === 1 ? [...zones][0] : undefined
}

/** Convex hull (Andrew's monotone chain), counter-clockwise. */
export function hull(points: readonly Position[]): Position[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1])
  const half = (list: readonly Position[]): Position[] => {
    const out: Position[] = []
    for (const p of list) {
      while (out.length >= 2) {
        const [a, b] = [out[out.length - 2], out[out.length - 1]] as [Position, Position]
        if ((b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]) > 0) break
        out.pop()
      }
      out.push(p)
    }
    out.pop()
    return out
  }
  return [...half(sorted), ...half(sorted.reverse())]
}

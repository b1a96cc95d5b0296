// Which gateway hears which device: gateways stand where their devices are, by kind of radio, and do not care about district or feeder
// borders (a power gateway may serve two feeders).
import { cluster } from './graph.ts'
import type { TownPlan } from './plan.ts'
import type { Gateway, GatewayKind, PowerNetwork, Premise, WaterLink, WaterMeter, WaterNetwork, WaterNode } from './types.ts'

interface Placed {
  id: string
  x: number
  y: number
}

/** Builds all gateways and the map from device to gateway index. */
export function buildGateways(
  plan: TownPlan,
  parts: { premises: readonly Premise[]; water: WaterNetwork; waterMeters: readonly WaterMeter[]; power: PowerNetwork },
): { gateways: Gateway[]; gatewayOf: Record<string, number> } {
  const gateways: Gateway[] = []
  const gatewayOf: Record<string, number> = {}
  const add = (kind: GatewayKind, letter: string, members: readonly Placed[]): void => {
    if (members.length === 0) return
    const x = members.reduce((s, m) => s + m.x, 0) / members.length
    const y = members.reduce((s, m) => s + m.y, 0) / members.length
    const n = gateways.filter((g) => g.kind === kind).length + 1
    for (const m of members) gatewayOf[m.id] = gateways.length
    gateways.push({ id: `GW-${letter}-${String(n).padStart(2, '0')}`, kind, x: x + 12, y: y + 12 })
  }
  const groups = (list: readonly Placed[], k: number): Placed[][] => {
    const group = cluster(list, k, Math.ceil((list.length / k) * 1.25))
    return Array.from({ length: k }, (_, g) => list.filter((_, i) => group[i] === g))
  }
  sensorGateways(plan, parts.water, groups, (members) => add('sensor', 'S', members))
  const water = parts.waterMeters.map(
    (m): Placed => ({ id: m.id, x: (parts.premises[m.premise] as Premise).x, y: (parts.premises[m.premise] as Premise).y }),
  )
  for (const members of groups(water, plan.gateways.water)) add('water', 'W', members)
  const customers = parts.power.meters.filter((m) => m.role === 'customer')
  for (const members of groups(customers, plan.gateways.power)) add('power', 'E', members)
  for (const m of parts.power.meters) {
    if (m.role === 'customer') continue
    gatewayOf[m.id] = nearest(gateways, m)
  }
  return { gateways, gatewayOf }
}

function nearest(gateways: readonly Gateway[], m: Placed): number {
  let best = -1
  let d = Number.POSITIVE_INFINITY
  gateways.forEach((g, i) => {
    const away = (g.x - m.x) ** 2 + (g.y - m.y) ** 2
    if (g.kind === 'power' && away < d) {
      d = away
      best = i
    }
  })
  return best
}

/** One gateway at the plant (trunk, tanks, pumps), the others over the districts by their sensors. */
function sensorGateways(
  plan: TownPlan,
  water: WaterNetwork,
  groups: (list: readonly Placed[], k: number) => Placed[][],
  add: (members: readonly Placed[]) => void,
): void {
  const plant: Placed[] = []
  const field = plan.districts.map((): Placed[] => [])
  for (const s of water.pressureSensors) {
    const n = water.nodes[s.node] as WaterNode
    ;(field[n.district] ?? plant).push({ id: s.id, x: n.x, y: n.y })
  }
  for (const f of water.flowMeters) {
    const n = water.nodes[(water.links[f.link] as WaterLink).to] as WaterNode
    ;(field[f.flows[0]?.district ?? -1] ?? plant).push({ id: f.id, x: n.x, y: n.y })
  }
  const tank = (k: number): WaterNode => water.nodes[water.tanks[k]?.node as number] as WaterNode
  for (const l of water.levelSensors) plant.push({ id: l.id, x: tank(l.tank).x, y: tank(l.tank).y })
  for (const p of water.pumpSensors) {
    const pump = water.pumps[p.pump] as { link: number }
    const n = water.nodes[(water.links[pump.link] as WaterLink).to] as WaterNode
    plant.push({ id: p.id, x: n.x, y: n.y })
  }
  add(plant)
  let left = plan.gateways.sensors - 1
  field.forEach((list, d) => {
    const rest = plan.districts.length - d
    const total = field.slice(d).reduce((s, f) => s + f.length, 0)
    const k = rest === 1 ? left : Math.max(1, Math.min(left - (rest - 1), Math.round((left * list.length) / total)))
    left -= k
    for (const members of groups(list, k)) add(members)
  })
}

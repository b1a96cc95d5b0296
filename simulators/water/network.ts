// The water network of a town: one junction at every street node, a pipe along every street, a reservoir with a trunk main, and for
// each district (DMA) its metered way of supply: a PRV from the trunk, a tank filled by a pump, or a PRV from the centre.
// Diameters come from the flow that each pipe must carry at the peak hour.
import { makeRandom } from '../random.ts'
import { makeGraph, pathTo, shortestPaths } from '../town/graph.ts'
import type { DistrictPlan, TownPlan } from '../town/plan.ts'
import { nearestNode, unmeteredPerNode } from '../town/premises.ts'
import type { Streets } from '../town/streets.ts'
import type { FlowMeter, Premise, WaterLink, WaterNetwork, WaterNode } from '../town/types.ts'
import { addBackground, addSensors, BACKGROUND_SHARE } from './fittings.ts'
import { sizeDistrictPipes, sizeMm } from './sizing.ts'
import { elevationM } from './terrain.ts'

/** Least pressure in a gravity district at rest, m; the highest point decides. */
const HEAD_ABOVE_GROUND_M = 33
const HEAD_TANK_ABOVE_GROUND_M = 29
/** Fall over the trunk main, bends and valves that the reservoir must cover, m. */
const TRUNK_LOSS_M = 15
interface Builder {
  plan: TownPlan
  streets: Streets
  net: WaterNetwork
  /** Pressure line at rest per district, m above sea level. */
  lineM: number[]
  /** Junctions where water enters each district. */
  entries: number[][]
  /** Water taken out of the centre for other districts, per junction, m3/h. */
  transfer: Float64Array
  hub: number
  valves: number
}

/** Builds the network; junction i lies at street node i. Deterministic by the plan's seed. */
export function buildWater(plan: TownPlan, streets: Streets, premises: readonly Premise[]): WaterNetwork {
  const b = begin(plan, streets, premises)
  layStreetPipes(b)
  layTrunk(b)
  plan.districts.forEach((p, d) => {
    supply(b, p, d)
  })
  const demand = meanDemandAt(b, premises)
  plan.districts.forEach((_, d) => {
    sizeDistrictPipes(b.net, d, b.entries[d] as number[], (n) => (demand[n] as number) + (b.transfer[n] as number), b.streets)
  })
  addBackground(b.net)
  addSensors(plan, b.net)
  return b.net
}

function begin(plan: TownPlan, streets: Streets, premises: readonly Premise[]): Builder {
  const unmetered = unmeteredPerNode(plan, streets)
  const nodes: WaterNode[] = streets.nodes.map((n, i) => ({
    id: `J-${i + 1}`,
    kind: 'junction',
    x: n.x,
    y: n.y,
    elevationM: elevationM(plan, n.x, n.y),
    district: n.district,
    unmeteredM3h: unmetered[i] as number,
    backgroundC: 0,
  }))
  const mean = plan.districts.map(
    (p, d) => (p.unmeteredM3h + premises.filter((x) => x.district === d).reduce((s, x) => s + x.waterM3d / 24, 0)) * (1 + BACKGROUND_SHARE),
  )
  const top = plan.districts.map((_, d) => Math.max(...nodes.filter((n) => n.district === d).map((n) => n.elevationM)))
  const lineM = plan.districts.map((p, d) => (top[d] as number) + (p.supply === 'pumped' ? HEAD_TANK_ABOVE_GROUND_M : HEAD_ABOVE_GROUND_M))
  const reservoirHeadM = Math.max(...lineM.filter((_, d) => plan.districts[d]?.supply !== 'pumped')) + TRUNK_LOSS_M
  return {
    plan,
    streets,
    lineM,
    entries: plan.districts.map(() => []),
    transfer: new Float64Array(nodes.length),
    hub: -1,
    valves: 0,
    net: {
      nodes,
      links: [],
      tanks: [],
      pumps: [],
      reservoirHeadM,
      flowMeters: [],
      pressureSensors: [],
      levelSensors: [],
      pumpSensors: [],
      meanDemandM3h: mean,
    },
  }
}

function layStreetPipes(b: Builder): void {
  const r = makeRandom(b.plan.seed * 131 + 3)
  for (const s of b.streets.streets) {
    if (s.district < 0) continue
    const old = b.plan.districts[s.district]?.use === 'old'
    b.net.links.push({
      id: `W-${b.net.links.length + 1}`,
      kind: 'pipe',
      from: s.a,
      to: s.b,
      lengthM: round1(s.length),
      diameterMm: 100,
      roughness: Math.round(old ? r.between(82, 112) : r.between(105, 138)),
      district: s.district,
      via: [],
      street: s.name,
      streetZh: s.nameZh,
    })
  }
}

const round1 = (v: number): number => Math.round(v * 10) / 10

function addNode(
  b: Builder,
  n: { id: string; x: number; y: number; district: number; kind?: WaterNode['kind']; elevationM?: number },
): number {
  return (
    b.net.nodes.push({
      kind: 'junction',
      elevationM: elevationM(b.plan, n.x, n.y),
      unmeteredM3h: 0,
      backgroundC: 0,
      ...n,
    }) - 1
  )
}

/** A pipe outside the street grid, along given bends. */
function addMain(
  b: Builder,
  from: number,
  to: number,
  o: { diameterMm: number; district: number; via?: [number, number][]; name: string },
): number {
  const at = (n: number): [number, number] => [(b.net.nodes[n] as WaterNode).x, (b.net.nodes[n] as WaterNode).y]
  const line = [at(from), ...(o.via ?? []), at(to)]
  let lengthM = 0
  for (let i = 1; i < line.length; i++) {
    const [p, q] = [line[i - 1], line[i]] as [[number, number], [number, number]]
    lengthM += Math.hypot(p[0] - q[0], p[1] - q[1])
  }
  return (
    b.net.links.push({
      id: `W-${b.net.links.length + 1}`,
      kind: 'pipe',
      from,
      to,
      lengthM: Math.max(1, round1(lengthM)),
      diameterMm: o.diameterMm,
      roughness: 130,
      district: o.district,
      via: o.via ?? [],
      street: o.name,
    }) - 1
  )
}

/** Reservoir on the side of the town where nothing else is, main to a hub at the edge of the centre. */
function layTrunk(b: Builder): void {
  const { plan, streets, net } = b
  const centre = plan.districts[0] as DistrictPlan
  const others = plan.districts.slice(1).map((p) => Math.atan2(p.cy - centre.cy, p.cx - centre.cx))
  let best = 0
  let room = -1
  for (let a = 0; a < 2 * Math.PI; a += 0.05) {
    const free = Math.min(...others.map((o) => Math.abs(Math.atan2(Math.sin(a - o), Math.cos(a - o)))))
    if (free > room) {
      room = free
      best = a
    }
  }
  const dir = { x: Math.cos(best), y: Math.sin(best) }
  const entry = nearestNode(streets, centre.cx + dir.x * centre.radius * 1.2, centre.cy + dir.y * centre.radius * 1.2, 0)
  const e = streets.nodes[entry] as { x: number; y: number }
  b.hub = addNode(b, { id: 'TR-1', x: e.x + dir.x * 85, y: e.y + dir.y * 85, district: -1 })
  const source = addNode(b, {
    id: 'R-1',
    x: e.x + dir.x * 1150,
    y: e.y + dir.y * 1150,
    district: -1,
    kind: 'reservoir',
    elevationM: net.reservoirHeadM,
  })
  const bend = addNode(b, { id: 'TR-2', x: e.x + dir.x * 620 - dir.y * 110, y: e.y + dir.y * 620 + dir.x * 110, district: -1 })
  const total = net.meanDemandM3h.reduce((s, v) => s + v, 0)
  const diameterMm = sizeMm(total * 2, 250)
  const first = addMain(b, source, bend, { diameterMm, district: -1, name: 'Trunk main' })
  addMain(b, bend, b.hub, { diameterMm, district: -1, name: 'Trunk main' })
  net.flowMeters.push({ id: 'FM-R-1', link: first, flows: [] })
  addValve(b, b.hub, entry, {
    district: 0,
    lineM: b.lineM[0] as number,
    from: -1,
    diameterMm: sizeMm((net.meanDemandM3h[0] as number) * 2.4, 150),
  })
  b.entries[0] = [entry]
}

/** A PRV chamber just before junction `to`, with its flow meter; `from` is the district upstream (-1: the trunk). */
function addValve(
  b: Builder,
  upstream: number,
  to: number,
  o: { district: number; lineM: number; from: number; diameterMm: number; via?: [number, number][]; roadM3h?: number },
): void {
  const { net } = b
  b.valves++
  const target = net.nodes[to] as WaterNode
  const up = net.nodes[upstream] as WaterNode
  const before = o.via?.[o.via.length - 1] ?? [up.x, up.y]
  const away = Math.hypot(before[0] - target.x, before[1] - target.y) || 1
  const place = (m: number): { x: number; y: number } => {
    const f = Math.min(0.8, m / away)
    return { x: target.x + (before[0] - target.x) * f, y: target.y + (before[1] - target.y) * f }
  }
  const a = addNode(b, { id: `VA-${b.valves}`, ...place(26), district: o.from })
  const z = addNode(b, { id: `VB-${b.valves}`, ...place(16), district: o.district })
  addMain(b, upstream, a, { diameterMm: o.diameterMm, district: o.from, via: o.via ?? [], name: 'Supply main' })
  const link =
    net.links.push({
      id: `PRV-${b.valves}`,
      kind: 'valve',
      from: a,
      to: z,
      lengthM: 0,
      diameterMm: o.diameterMm,
      roughness: 130,
      district: o.district,
      settingM: round1(o.lineM - (net.nodes[z] as WaterNode).elevationM),
      via: [],
    }) - 1
  addMain(b, z, to, { diameterMm: o.diameterMm, district: o.district, name: 'Supply main' })
  const flows: FlowMeter['flows'] = [{ district: o.district, sign: 1 }]
  if (o.from >= 0) flows.push({ district: o.from, sign: -1 })
  net.flowMeters.push({ id: `FM-PRV-${b.valves}`, link, flows })
}

/** Street nodes from the hub's entry to a district's border: where its main goes, and the border junction. */
function route(b: Builder, district: number, skip: readonly number[]): { via: [number, number][]; from: number; to: number } | undefined {
  const roads = b.streets.streets.filter(
    (s) =>
      s.district < 0 &&
      [s.a, s.b].some((n) => b.streets.nodes[n]?.district === 0) &&
      [s.a, s.b].some((n) => b.streets.nodes[n]?.district === district && !skip.includes(n)),
  )
  const g = makeGraph(
    b.streets.nodes.length,
    b.streets.streets.filter((s) => s.district === 0).map((s) => ({ a: s.a, b: s.b, length: s.avenue ? s.length * 0.8 : s.length })),
  )
  const paths = shortestPaths(g, [(b.entries[0] as number[])[0] as number])
  const ends = roads.map((s) =>
    b.streets.nodes[s.a]?.district === 0 ? { from: s.a, to: s.b, length: s.length } : { from: s.b, to: s.a, length: s.length },
  )
  ends.sort((p, q) => (paths.distance[p.from] as number) + p.length - (paths.distance[q.from] as number) - q.length)
  const end = ends[0]
  if (end === undefined) return undefined
  const via = pathTo(g, paths, end.from).map((n): [number, number] => [
    (b.streets.nodes[n] as { x: number }).x,
    (b.streets.nodes[n] as { y: number }).y,
  ])
  return { via, from: end.from, to: end.to }
}

function supply(b: Builder, p: DistrictPlan, d: number): void {
  if (d === 0) return
  const road = route(b, d, [])
  if (road === undefined) throw new Error(`district ${p.name} has no road to the centre`)
  const mean = b.net.meanDemandM3h[d] as number
  const centreLine = b.lineM[0] as number
  if (p.supply === 'pumped') {
    supplyByTank(b, p, d, road)
    return
  }
  const lowEnough = (b.lineM[d] as number) + 4 < centreLine
  b.entries[d] = [road.to]
  if (p.supply === 'chained' && lowEnough) {
    addValve(b, road.from, road.to, { district: d, lineM: b.lineM[d] as number, from: 0, diameterMm: sizeMm(mean * 2.4, 150) })
    b.transfer[road.from] = (b.transfer[road.from] as number) + mean
    return
  }
  addValve(b, b.hub, road.to, { district: d, lineM: b.lineM[d] as number, from: -1, diameterMm: sizeMm(mean * 2.4, 150), via: road.via })
  const second = p.secondInlet && lowEnough ? route(b, d, [road.to]) : undefined
  if (second === undefined) return
  addValve(b, second.from, second.to, { district: d, lineM: (b.lineM[d] as number) - 0.5, from: 0, diameterMm: sizeMm(mean, 150) })
  b.transfer[second.from] = (b.transfer[second.from] as number) + mean * 0.6
  b.entries[d] = [road.to, second.to]
}

/** Pump at the hub, rising main through the streets, tank on the hill's far side, metered main down into the district. */
function supplyByTank(b: Builder, p: DistrictPlan, d: number, road: { via: [number, number][]; to: number }): void {
  const { net, plan } = b
  const mean = net.meanDemandM3h[d] as number
  const away = Math.hypot(p.cx, p.cy) || 1
  const out = { x: p.cx / away, y: p.cy / away }
  const entry = nearestNode(b.streets, p.cx + out.x * p.radius * 1.1, p.cy + out.y * p.radius * 1.1, d)
  const e = net.nodes[entry] as WaterNode
  const n = net.tanks.length + 1
  const tank = addNode(b, {
    id: `T-${n}`,
    x: e.x + out.x * 130,
    y: e.y + out.y * 130,
    district: -1,
    kind: 'tank',
    elevationM: round1(b.lineM[d] as number),
  })
  const hub = net.nodes[b.hub] as WaterNode
  const lift = addNode(b, { id: `PS-${n}`, x: hub.x + 14, y: hub.y + 14, district: -1 })
  const g = makeGraph(
    b.streets.nodes.length,
    b.streets.streets.filter((s) => s.district === d).map((s) => ({ a: s.a, b: s.b, length: s.length })),
  )
  const inside = pathTo(g, shortestPaths(g, [road.to]), entry).map((k): [number, number] => [
    (net.nodes[k] as WaterNode).x,
    (net.nodes[k] as WaterNode).y,
  ])
  const flowM3h = mean * 1.9
  const pump =
    net.links.push({
      id: `PU-${n}`,
      kind: 'pump',
      from: b.hub,
      to: lift,
      lengthM: 0,
      diameterMm: 0,
      roughness: 0,
      district: -1,
      via: [],
    }) - 1
  const rising = addMain(b, lift, tank, {
    diameterMm: sizeMm(flowM3h, 150),
    district: -1,
    via: [...road.via, ...inside],
    name: 'Rising main',
  })
  const lossM = hazenWilliamsM(flowM3h, (net.links[rising] as WaterLink).lengthM, sizeMm(flowM3h, 150), 130)
  net.pumps.push({
    link: pump,
    tank: net.tanks.length,
    headM: round1((b.lineM[d] as number) + 4 + lossM + 4 - net.reservoirHeadM + 8),
    flowM3h: round1(flowM3h),
    onBelowM: 2.1,
    offAboveM: 4.4,
  })
  net.tanks.push({ node: tank, diameterM: round1(Math.sqrt((4 * mean * 2.4) / Math.PI)), minLevelM: 0.3, maxLevelM: 5, startLevelM: 3.4 })
  const down = addMain(b, tank, entry, { diameterMm: sizeMm(mean * 2.6, 150), district: d, name: 'Tank outlet' })
  net.flowMeters.push({ id: `FM-T-${n}`, link: down, flows: [{ district: d, sign: 1 }] }, { id: `FM-PU-${n}`, link: pump, flows: [] })
  net.levelSensors.push({ id: `LS-T-${n}`, tank: net.tanks.length - 1 })
  net.pumpSensors.push({ id: `RS-PU-${n}`, pump: net.pumps.length - 1 })
  b.entries[d] = [entry]
  if (plan.districts[d] !== p) throw new Error('a tank belongs to its own district')
}

/** Head loss of Hazen-Williams, m, for a flow in m3/h. */
function hazenWilliamsM(flowM3h: number, lengthM: number, diameterMm: number, c: number): number {
  return (10.667 * lengthM * (flowM3h / 3600) ** 1.852) / (c ** 1.852 * (diameterMm / 1000) ** 4.871)
}

function meanDemandAt(b: Builder, premises: readonly Premise[]): Float64Array {
  const out = Float64Array.from(b.net.nodes, (n) => n.unmeteredM3h)
  for (const p of premises) out[p.node] = (out[p.node] as number) + p.waterM3d / 24
  return out
}

// How much each pressure sensor of a district falls when one cubic metre an hour leaves at a node: the network's own geometry (pipe lengths
// and diameters), the measured flows at its boundary, demand spread evenly. No calibrated model is needed for where the pressure gives
// way first. Heads by the global gradient algorithm (Todini and Pilati 1988) with Hazen-Williams losses; sensitivities are one linear
// solve a sensor about that state (Pudar and Liggett, "Leaks in pipe networks", J. Hydraulic Engineering 118 (1992)).
import type { ZoneNetworkElement } from '#model/asset.ts'
import { addConductance, factor, solve, symmetric } from '../../statistics/sparse-solve.ts'

/** Mean of lined and unlined pipes of middle age; an error here scales all falls alike. */
const HAZEN_WILLIAMS = 120
/** Where the registry says nothing. */
const DIAMETER_MM = 150
const EARTH_M_PER_DEGREE = 111_320
const BAR_PER_M = 1 / 10.197
const ITERATIONS_MAX = 40
/** A district larger than this is not modelled: the work is done on the live path. */
export const NODES_MAX = 4000

export interface PipeNode {
  id: string
  /** Metres east and north of the first node. */
  x: number
  y: number
}

export interface DistrictModel {
  nodes: PipeNode[]
  at: Map<string, number>
  from: Int32Array
  to: Int32Array
  /** Head loss in m = resistance * Q^1.852, Q in m3/s. */
  resistance: Float64Array
  pipe: string[]
}

interface Place {
  lon: number
  lat: number
}

export function distanceM(a: { x: number; y: number }, b: { x: number; y: number }): number {
  return Math.hypot(a.x - b.x, a.y - b.y)
}

function resistanceOf(lengthM: number, diameterMm: number): number {
  return (10.667 * Math.max(lengthM, 0.5)) / (HAZEN_WILLIAMS ** 1.852 * (Math.max(diameterMm, 20) / 1000) ** 4.871)
}

/** Nodes and links of a district; undefined without coordinates, with fewer than two nodes, or beyond NODES_MAX. */
export function districtModel(network: readonly ZoneNetworkElement[]): DistrictModel | undefined {
  const junctions = network.filter((e) => e.asset.kind === 'junction' && e.at.length >= 2)
  if (junctions.length < 2 || junctions.length > NODES_MAX) return undefined
  const origin = junctions[0] as ZoneNetworkElement
  const k = Math.cos(((origin.at[1] as number) * Math.PI) / 180)
  const nodes = junctions.map((e) => ({
    id: e.asset.id,
    x: ((e.at[0] as number) - (origin.at[0] as number)) * k * EARTH_M_PER_DEGREE,
    y: ((e.at[1] as number) - (origin.at[1] as number)) * EARTH_M_PER_DEGREE,
  }))
  const at = new Map(nodes.map((n, i) => [n.id, i]))
  const from: number[] = []
  const to: number[] = []
  const resistance: number[] = []
  const pipe: string[] = []
  for (const { asset } of network) {
    if (asset.kind !== 'pipe' && asset.kind !== 'valve') continue
    const a = at.get(asset.from)
    const b = at.get(asset.to)
    if (a === undefined || b === undefined || a === b) continue
    from.push(a)
    to.push(b)
    const straight = distanceM(nodes[a] as PipeNode, nodes[b] as PipeNode)
    resistance.push(asset.kind === 'valve' ? 1 : resistanceOf(asset.length_m ?? straight, asset.diameter_mm ?? DIAMETER_MM))
    pipe.push(asset.id)
  }
  return { nodes, at, from: Int32Array.from(from), to: Int32Array.from(to), resistance: Float64Array.from(resistance), pipe }
}

/** Node of the district that a boundary meter feeds: the end of its link inside, else the junction nearest to where it stands. */
export function boundaryNode(m: DistrictModel, ends: readonly string[], place: Place | undefined, origin: Place): number | undefined {
  for (const end of ends) {
    const i = m.at.get(end)
    if (i !== undefined) return i
  }
  if (place === undefined) return undefined
  const k = Math.cos((origin.lat * Math.PI) / 180)
  const p = { x: (place.lon - origin.lon) * k * EARTH_M_PER_DEGREE, y: (place.lat - origin.lat) * EARTH_M_PER_DEGREE }
  let best: number | undefined
  let near = Number.POSITIVE_INFINITY
  for (const [i, n] of m.nodes.entries()) {
    const d = distanceM(n, p)
    if (d < near) {
      near = d
      best = i
    }
  }
  return best
}

/** Nodes connected to `start`. */
function reachable(m: DistrictModel, start: number): Set<number> {
  const next: number[][] = m.nodes.map(() => [])
  for (let l = 0; l < m.from.length; l++) {
    next[m.from[l] as number]?.push(m.to[l] as number)
    next[m.to[l] as number]?.push(m.from[l] as number)
  }
  const seen = new Set([start])
  const queue = [start]
  for (let i = queue.pop(); i !== undefined; i = queue.pop()) {
    for (const j of next[i] as number[]) {
      if (seen.has(j)) continue
      seen.add(j)
      queue.push(j)
    }
  }
  return seen
}

export interface Boundary {
  node: number
  /** Mean flow into the district, m3/h; negative where water leaves it. */
  inflowM3h: number
}

export interface Sensitivity {
  /** sensor * nodes + node: fall in bar per m3/h that leaves at the node. */
  fall: Float64Array
  /** Nodes that the model reaches. */
  reached: number[]
}

/** Falls at the sensors' nodes for a leak at each node; undefined without water coming in. */
export function sensitivities(m: DistrictModel, boundary: readonly Boundary[], sensors: readonly number[]): Sensitivity | undefined {
  const inlets = boundary.filter((b) => b.inflowM3h > 0).sort((a, b) => b.inflowM3h - a.inflowM3h)
  const main = inlets[0]
  if (main === undefined) return undefined
  const seen = reachable(m, main.node)
  const n = m.nodes.length
  const outside = new Set<number>()
  for (let i = 0; i < n; i++) if (!seen.has(i)) outside.add(i)
  const demand = new Float64Array(n)
  let total = 0
  for (const b of boundary) {
    if (!seen.has(b.node)) continue
    demand[b.node] = (demand[b.node] as number) + b.inflowM3h / 3600
    total += b.inflowM3h / 3600
  }
  if (!(total > 0)) return undefined
  for (const i of seen) demand[i] = (demand[i] as number) - total / seen.size
  const g = conductances(m, demand, total, new Set([...outside, main.node]))
  const matrix = symmetric(n)
  for (let l = 0; l < m.from.length; l++) addConductance(matrix, m.from[l] as number, m.to[l] as number, g[l] as number)
  // What comes in holds its head: a valve or a far larger main stands behind it.
  const f = factor(matrix, new Set([...outside, ...inlets.map((b) => b.node)]))
  const fall = new Float64Array(sensors.length * n)
  for (const [s, node] of sensors.entries()) {
    const one = new Float64Array(n)
    one[node] = 1
    const x = solve(f, one)
    for (let i = 0; i < n; i++) fall[s * n + i] = ((x[i] as number) / 3600) * BAR_PER_M
  }
  return { fall, reached: [...seen].sort((a, b) => a - b) }
}

/** dQ/dh of every link, m2/s, at the flows that meet the demands. */
function conductances(m: DistrictModel, demand: Float64Array, total: number, out: ReadonlySet<number>): Float64Array {
  const n = m.nodes.length
  const links = m.from.length
  const q = new Float64Array(links).fill((3 * total) / Math.max(1, links) + 1e-4)
  const g = new Float64Array(links)
  for (let iteration = 0; iteration < ITERATIONS_MAX; iteration++) {
    const matrix = symmetric(n)
    const rhs = demand.slice()
    const y = new Float64Array(links)
    for (let l = 0; l < links; l++) {
      const flow = q[l] as number
      const size = Math.abs(flow)
      g[l] = 1 / (1.852 * (m.resistance[l] as number) * size ** 0.852 + 1e-3)
      y[l] = flow - (g[l] as number) * (m.resistance[l] as number) * flow * size ** 0.852
      const a = m.from[l] as number
      const b = m.to[l] as number
      addConductance(matrix, a, b, g[l] as number)
      rhs[a] = (rhs[a] as number) - (y[l] as number)
      rhs[b] = (rhs[b] as number) + (y[l] as number)
    }
    const h = solve(factor(matrix, out), rhs)
    let moved = 0
    for (let l = 0; l < links; l++) {
      const next = (y[l] as number) + (g[l] as number) * ((h[m.from[l] as number] as number) - (h[m.to[l] as number] as number))
      const step = (next - (q[l] as number)) * (iteration > 3 ? 0.6 : 1)
      q[l] = (q[l] as number) + step
      moved = Math.max(moved, Math.abs(step))
    }
    if (moved < 1e-4 * total) break
  }
  for (let l = 0; l < links; l++)
    g[l] = 1 / (1.852 * (m.resistance[l] as number) * Math.max(Math.abs(q[l] as number), 1e-5) ** 0.852 + 1e-3)
  return g
}

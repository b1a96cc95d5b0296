// Pipe diameters from peak flow: water goes down the tree of shortest paths (avenues preferred) from where it enters a district, and
// every pipe gets the next commercial size that carries its share at about 1.3 m/s. Loop-closing pipes get the smallest size.
import { across, makeGraph, shortestPaths } from '../town/graph.ts'
import type { Streets } from '../town/streets.ts'
import type { WaterLink, WaterNetwork } from '../town/types.ts'

const SIZES_MM = [50, 65, 80, 100, 125, 150, 200, 250, 300, 350, 400, 500] as const
const DESIGN_VELOCITY_MS = 1.3
/** Peak hour of a small district over its mean. */
const PEAK_FACTOR = 2

/** Smallest commercial diameter that carries a flow in m3/h at the design velocity, at least `minMm`. */
export function sizeMm(flowM3h: number, minMm: number): number {
  const need = Math.max(minMm, Math.sqrt((4 * flowM3h) / 3600 / Math.PI / DESIGN_VELOCITY_MS) * 1000)
  return SIZES_MM.find((s) => s >= need) ?? 500
}

/** Sets the diameters of one district's street pipes; `demandM3h` is the mean taken at a junction. */
export function sizeDistrictPipes(
  net: WaterNetwork,
  district: number,
  entries: readonly number[],
  demandM3h: (node: number) => number,
  streets: Streets,
): void {
  const avenues = new Set(streets.streets.filter((s) => s.avenue).map((s) => `${s.a},${s.b}`))
  const pipes = net.links.filter(
    (l) => l.kind === 'pipe' && l.district === district && l.from < streets.nodes.length && l.to < streets.nodes.length,
  )
  const isAvenue = (l: WaterLink): boolean => avenues.has(`${l.from},${l.to}`)
  const g = makeGraph(
    net.nodes.length,
    pipes.map((l) => ({ a: l.from, b: l.to, length: l.lengthM * (isAvenue(l) ? 0.55 : 1) })),
  )
  const paths = shortestPaths(g, entries)
  const flow = new Float64Array(net.nodes.length)
  const order = net.nodes.map((_, i) => i).filter((i) => Number.isFinite(paths.distance[i] as number))
  order.sort((a, b) => (paths.distance[b] as number) - (paths.distance[a] as number))
  const carried = new Float64Array(pipes.length)
  for (const n of order) {
    flow[n] = (flow[n] as number) + demandM3h(n) * PEAK_FACTOR
    const via = paths.via[n] as number
    if (via < 0) continue
    carried[via] = flow[n] as number
    const up = across(g.edges[via] as { a: number; b: number; length: number }, n)
    flow[up] = (flow[up] as number) + (flow[n] as number)
  }
  pipes.forEach((l, i) => {
    l.diameterMm = sizeMm(carried[i] as number, isAvenue(l) ? 80 : 50)
  })
}

// What is put on a finished network: standing leakage at every junction, and pressure sensors.
import { spread } from '../town/graph.ts'
import type { TownPlan } from '../town/plan.ts'
import type { WaterNetwork, WaterNode } from '../town/types.ts'

/** Background leakage as a share of mean demand, and the pressure head at which it is that, m. */
export const BACKGROUND_SHARE = 0.09
const BACKGROUND_AT_M = 45

/** Standing leakage, spread over the junctions of each district by the length of pipe that ends there. */
export function addBackground(net: WaterNetwork): void {
  const share = new Float64Array(net.nodes.length)
  const total = net.meanDemandM3h.map(() => 0)
  for (const l of net.links) {
    if (l.kind !== 'pipe' || l.district < 0) continue
    total[l.district] = (total[l.district] as number) + l.lengthM
    // Not at a tank or a node of another system: a leak needs a junction of the same district.
    const ends = [l.from, l.to].filter((n) => net.nodes[n]?.kind === 'junction' && net.nodes[n]?.district === l.district)
    for (const n of ends) share[n] = (share[n] as number) + l.lengthM / ends.length
  }
  net.nodes.forEach((n, i) => {
    if (n.district < 0 || share[i] === 0) return
    const leak = (BACKGROUND_SHARE / (1 + BACKGROUND_SHARE)) * (net.meanDemandM3h[n.district] as number)
    n.backgroundC = ((leak / Math.sqrt(BACKGROUND_AT_M)) * (share[i] as number)) / (total[n.district] as number)
  })
}

/** Pressure sensors spread over the districts by their size, and two in the trunk system. */
export function addSensors(plan: TownPlan, net: WaterNetwork): void {
  const trunk = net.nodes
    .map((n, i) => ({ n, i }))
    .filter((x) => x.n.district < 0 && x.n.kind === 'junction' && /^(TR-1|PS-1|TR-2)$/.test(x.n.id))
    .slice(0, 2)
  for (const t of trunk) net.pressureSensors.push({ id: `P-${t.n.id}`, node: t.i })
  const left = plan.pressureSensors - net.pressureSensors.length
  const counts = plan.districts.map((_, d) => net.nodes.filter((n) => n.district === d && n.kind === 'junction').length)
  const total = counts.reduce((s, v) => s + v, 0)
  let given = 0
  plan.districts.forEach((_, d) => {
    const want = d === plan.districts.length - 1 ? left - given : Math.round((left * (counts[d] as number)) / total)
    given += want
    const here = net.nodes.map((n, i) => ({ x: n.x, y: n.y, i, n })).filter((x) => x.n.district === d && x.n.id.startsWith('J-'))
    for (const point of spread(here, want)) {
      const at = here.find((h) => h.x === point.x && h.y === point.y) as { i: number; n: WaterNode }
      net.pressureSensors.push({ id: `P-${at.n.id}`, node: at.i })
    }
  })
}

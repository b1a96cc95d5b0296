// Buildings along the streets and who uses them: which have a smart water meter, how much they use, and how much the rest of each
// street uses without one.
import { makeRandom, type Random } from '../random.ts'
import type { DistrictPlan, DistrictUse, TownPlan } from './plan.ts'
import type { Street, StreetNode, Streets } from './streets.ts'
import type { Premise, PremiseType } from './types.ts'

const MIX: Record<DistrictUse, readonly (readonly [PremiseType, number])[]> = {
  old: [
    ['house', 44],
    ['flats', 33],
    ['shop', 11],
    ['restaurant', 5],
    ['office', 5],
    ['workshop', 2],
  ],
  houses: [
    ['house', 88],
    ['flats', 6],
    ['shop', 4],
    ['restaurant', 1],
    ['office', 1],
  ],
  mixed: [
    ['house', 42],
    ['flats', 30],
    ['shop', 8],
    ['restaurant', 3],
    ['office', 9],
    ['workshop', 8],
  ],
}

/** Single buildings of a town and their use in m3 per day; large customers are a few per mille of all and a good third of the volume. */
const LANDMARKS: Record<DistrictUse, readonly (readonly [PremiseType, number])[]> = {
  old: [
    ['hospital', 165],
    ['school', 14],
    ['school', 11],
    ['hotel', 60],
    ['hotel', 24],
  ],
  houses: [
    ['school', 9],
    ['hotel', 18],
  ],
  mixed: [
    ['industry', 410],
    ['industry', 260],
    ['industry', 120],
    ['school', 16],
    ['hotel', 70],
  ],
}

/** Mean water use of one building, m3 per day. */
function useOf(type: PremiseType, r: Random): number {
  switch (type) {
    case 'house':
      return Math.exp(Math.log(0.4) + 0.42 * r.normal())
    case 'flats':
      return (6 + r.int(19)) * r.between(0.22, 0.34)
    case 'shop':
      return Math.exp(Math.log(0.28) + 0.5 * r.normal())
    case 'restaurant':
      return r.between(1.4, 4.5)
    case 'office':
      return r.between(0.6, 3.2)
    case 'workshop':
      return r.between(0.8, 9)
    default:
      return 5
  }
}

interface Slot {
  x: number
  y: number
  street: number
  /** The nearer end of the street. */
  node: number
}

/** Building plots along one district's streets, both sides. */
function slots(streets: Streets, district: number, r: Random): Slot[] {
  const out: Slot[] = []
  streets.streets.forEach((s, i) => {
    if (s.district !== district) return
    const a = streets.nodes[s.a] as StreetNode
    const b = streets.nodes[s.b] as StreetNode
    const n = Math.floor((s.length - 24) / 17)
    for (let k = 0; k < n; k++) {
      const f = (20 + 17 * k) / s.length
      for (const side of [-1, 1]) {
        const off = side * r.between(9, 13)
        out.push({
          x: a.x + (b.x - a.x) * f - (off * (b.y - a.y)) / s.length,
          y: a.y + (b.y - a.y) * f + (off * (b.x - a.x)) / s.length,
          street: i,
          node: f < 0.5 ? s.a : s.b,
        })
      }
    }
  })
  return out
}

/**
 * Premises with a smart water meter. `node` is the street node, which has the same index as its junction. Deterministic by the plan's
 * seed. At least one premise of each landmark; the rest by the district's mix.
 */
export function buildPremises(plan: TownPlan, streets: Streets): Premise[] {
  const out: Premise[] = []
  plan.districts.forEach((p, d) => {
    const r = makeRandom(plan.seed * 7919 + d * 31 + 11)
    const plots = r.shuffled(slots(streets, d, r)).slice(0, p.metered)
    const landmarks = LANDMARKS[p.use]
    plots.forEach((plot, k) => {
      const landmark = landmarks[k]
      const type = landmark?.[0] ?? r.weighted(MIX[p.use])
      out.push({ x: plot.x, y: plot.y, node: plot.node, district: d, type, waterM3d: landmark?.[1] ?? useOf(type, r) })
    })
  })
  return out
}

/** Mean use of customers without a smart meter at each street node, m3/h: by the length of street that hangs on it. */
export function unmeteredPerNode(plan: TownPlan, streets: Streets): Float64Array {
  const length = new Float64Array(streets.nodes.length)
  const total = plan.districts.map(() => 0)
  for (const s of streets.streets) {
    if (s.district < 0) continue
    for (const end of [s.a, s.b]) length[end] = (length[end] as number) + s.length / 2
    total[s.district] = (total[s.district] as number) + s.length
  }
  return length.map((l, i) => {
    const d = (streets.nodes[i] as StreetNode).district
    return ((plan.districts[d] as DistrictPlan).unmeteredM3h * l) / (total[d] as number)
  })
}

/** Index of the street node of a district that is nearest to a point. */
export function nearestNode(streets: Streets, x: number, y: number, district?: number): number {
  let best = -1
  let distance = Number.POSITIVE_INFINITY
  streets.nodes.forEach((n, i) => {
    if (district !== undefined && n.district !== district) return
    const d = (n.x - x) ** 2 + (n.y - y) ** 2
    if (d < distance) {
      distance = d
      best = i
    }
  })
  return best
}

/** A street's length along its line, used by cables that follow it. */
export function streetEdges(streets: Streets): { a: number; b: number; length: number }[] {
  return streets.streets.map((s: Street) => ({ a: s.a, b: s.b, length: s.length }))
}

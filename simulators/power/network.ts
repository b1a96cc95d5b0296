// The electric network of a town along the same streets: one substation, feeders, transformers near their customers, meters at
// premises and totalising meters at feeders and most transformers.
import { makeRandom, type Random } from '../random.ts'
import { cluster, makeGraph, pathTo, shortestPaths } from '../town/graph.ts'
import type { TownPlan } from '../town/plan.ts'
import { nearestNode, streetEdges } from '../town/premises.ts'
import type { Streets } from '../town/streets.ts'
import type { ElectricMeter, PowerNetwork, Premise, PremiseType, Transformer } from '../town/types.ts'

const RATINGS_KVA = [50, 100, 160, 250, 400, 630, 800, 1000, 1600] as const
/** Three of four transformers have a totalising meter. */
const TOTALISED_OF_FOUR = 3

/** Mean yearly use, kWh: the centre of a log-normal for small customers, the size of the single ones. */
const YEARLY_KWH: Record<PremiseType | 'flat', readonly [number, number]> = {
  house: [3300, 0.38],
  flat: [2100, 0.35],
  flats: [2100, 0.35],
  shop: [9000, 0.5],
  restaurant: [31_000, 0.4],
  office: [15_000, 0.6],
  school: [48_000, 0.2],
  hotel: [170_000, 0.3],
  hospital: [700_000, 0.1],
  workshop: [42_000, 0.6],
  industry: [650_000, 0.4],
}

/** Builds the network. Deterministic by the plan's seed. */
export function buildPower(plan: TownPlan, streets: Streets, premises: readonly Premise[]): PowerNetwork {
  const r = makeRandom(plan.seed * 523 + 29)
  const customers = customerMeters(plan, premises, r)
  const cx = premises.reduce((s, p) => s + p.x, 0) / premises.length
  const cy = premises.reduce((s, p) => s + p.y, 0) / premises.length
  const at = streets.nodes[nearestNode(streets, cx, cy)] as { x: number; y: number }
  const substation = { id: 'SS-1', x: at.x + 35, y: at.y - 30 }
  const transformers = placeTransformers(plan, streets, customers, premises)
  const feederOf = assignFeeders(plan, streets, transformers)
  transformers.forEach((t, i) => {
    t.feeder = feederOf[i] as number
  })
  for (const m of customers) m.feeder = (transformers[m.transformer] as Transformer).feeder
  transformers.forEach((t, i) => {
    t.ratingKva = rate(customers.filter((m) => m.transformer === i))
  })
  const feeders = Array.from({ length: plan.feeders }, (_, f) => ({
    id: `FD-${f + 1}`,
    line: feederLine(
      streets,
      substation,
      transformers.filter((t) => t.feeder === f),
    ),
  }))
  return { substation, feeders, transformers, meters: [...customers, ...totalisers(plan, substation, transformers, customers, r)] }
}

function customerMeters(plan: TownPlan, premises: readonly Premise[], r: Random): ElectricMeter[] {
  const out: ElectricMeter[] = []
  const order = r.shuffled(premises.map((_, i) => i))
  order.sort((a, b) => Number((premises[b] as Premise).waterM3d > 50) - Number((premises[a] as Premise).waterM3d > 50))
  for (const i of order) {
    const p = premises[i] as Premise
    if (p.type === 'house' && r.next() < 0.1) continue
    const n = p.type === 'flats' ? 1 + r.int(3) : 1
    for (let k = 0; k < n && out.length < plan.electricMeters; k++) out.push(customer(out.length, i, p, k, r))
  }
  return out
}

function customer(index: number, premise: number, p: Premise, k: number, r: Random): ElectricMeter {
  const type = p.type === 'flats' ? 'flat' : p.type
  const [centre, spread] = YEARLY_KWH[type]
  const heatPump = type === 'house' && r.next() < 0.1
  const car = type === 'house' && r.next() < 0.06
  const yearlyKwh = Math.round(centre * Math.exp(spread * r.normal())) + (heatPump ? 3800 : 0)
  const big = yearlyKwh > 120_000
  const meanKw = yearlyKwh / 8760
  return {
    id: `EM-${20_001 + index}`,
    role: 'customer',
    premise,
    transformer: -1,
    feeder: -1,
    x: p.x + 4 * k,
    y: p.y + 3,
    type,
    yearlyKwh,
    heatPump,
    car,
    solarKwp: type === 'house' && r.next() < 0.13 ? Math.round(r.between(3, 8.5) * 10) / 10 : 0,
    digits: 5,
    multiplier: big ? (meanKw > 60 ? 60 : 40) : 1,
    maxKw: type === 'flat' ? 10 : type === 'house' ? (car ? 22 : 14) : Math.ceil(Math.max(20, meanKw * 6) / 10) * 10,
    lastGasp: r.next() < 0.75,
    // Some registers begin just below all nines and roll over during the demo.
    startKwh: Math.round((index % 97 === 13 ? 99_999 - r.between(5, 60) : r.between(200, 88_000)) * 100) / 100,
    account: '',
  }
}

/** Groups meters of each district into compact groups and puts a transformer beside a street corner in each. */
function placeTransformers(plan: TownPlan, streets: Streets, customers: ElectricMeter[], premises: readonly Premise[]): Transformer[] {
  const out: Transformer[] = []
  const districtOf = (m: ElectricMeter): number => (premises[m.premise] as Premise).district
  let left = plan.transformers
  plan.districts.forEach((_, d) => {
    const mine = customers.filter((m) => districtOf(m) === d)
    const rest = plan.districts.length - d
    const k = rest === 1 ? left : Math.max(2, Math.round((plan.transformers * mine.length) / customers.length))
    left -= k
    const group = cluster(mine, k, Math.ceil((mine.length / k) * 1.3))
    for (let g = 0; g < k; g++) {
      const members = mine.filter((_, i) => group[i] === g)
      const x = members.reduce((s, m) => s + m.x, 0) / Math.max(1, members.length)
      const y = members.reduce((s, m) => s + m.y, 0) / Math.max(1, members.length)
      const corner = streets.nodes[nearestNode(streets, x, y, d)] as { x: number; y: number }
      for (const m of members) m.transformer = out.length
      out.push({ id: `TX-${String(out.length + 1).padStart(2, '0')}`, feeder: -1, x: corner.x + 9, y: corner.y + 7, ratingKva: 0 })
    }
  })
  return out
}

/** Next standard rating above the expected peak: many small customers do not peak together, a big one does with itself. */
function rate(meters: readonly ElectricMeter[]): number {
  let peakKw = 6
  for (const m of meters) peakKw += (m.yearlyKwh / 8760) * (m.yearlyKwh > 40_000 ? 2.1 : 3) + (m.car ? 5 : 0) + (m.heatPump ? 1.5 : 0)
  return RATINGS_KVA.find((k) => k > peakKw * 1.25) ?? 2000
}

/** Neighbouring transformers share a feeder; every district has at least one, larger ones more. */
function assignFeeders(plan: TownPlan, streets: Streets, transformers: readonly Transformer[]): Int32Array {
  const out = new Int32Array(transformers.length)
  const districtOf = (t: Transformer): number => streets.nodes[nearestNode(streets, t.x, t.y)]?.district ?? 0
  const counts = plan.districts.map((_, d) => transformers.filter((t) => districtOf(t) === d).length)
  const share = counts.map(() => 1)
  for (let spare = plan.feeders - counts.length; spare > 0; spare--) {
    const load = counts.map((c, d) => c / (share[d] as number))
    const d = load.indexOf(Math.max(...load))
    share[d] = (share[d] as number) + 1
  }
  let next = 0
  counts.forEach((c, d) => {
    const mine = transformers.map((t, i) => ({ x: t.x, y: t.y, i, d: districtOf(t) })).filter((t) => t.d === d)
    const k = plan.feeders >= counts.length ? (share[d] as number) : 1
    const group = cluster(mine, k, Math.ceil((c / k) * 1.25))
    mine.forEach((t, i) => {
      out[t.i] = Math.min(plan.feeders - 1, next + (group[i] as number))
    })
    next += k
  })
  return out
}

/** A line from the substation along streets, from transformer to the nearest one not yet reached. */
function feederLine(streets: Streets, from: { x: number; y: number }, transformers: readonly Transformer[]): [number, number][] {
  const g = makeGraph(streets.nodes.length, streetEdges(streets))
  let at = nearestNode(streets, from.x, from.y)
  const line: [number, number][] = [[from.x, from.y]]
  const left = transformers.map((t) => ({ t, node: nearestNode(streets, t.x, t.y) }))
  while (left.length > 0) {
    const paths = shortestPaths(g, [at])
    left.sort((a, b) => (paths.distance[a.node] as number) - (paths.distance[b.node] as number))
    const next = left.shift() as { t: Transformer; node: number }
    for (const n of pathTo(g, paths, next.node)) {
      const p = streets.nodes[n] as { x: number; y: number }
      const last = line[line.length - 1] as [number, number]
      if (last[0] !== p.x || last[1] !== p.y) line.push([p.x, p.y])
    }
    line.push([next.t.x, next.t.y])
    at = next.node
  }
  return line
}

function totalisers(
  plan: TownPlan,
  substation: { x: number; y: number },
  transformers: readonly Transformer[],
  customers: readonly ElectricMeter[],
  r: Random,
): ElectricMeter[] {
  const base = {
    premise: -1,
    type: 'industry' as const,
    yearlyKwh: 0,
    heatPump: false,
    car: false,
    solarKwp: 0,
    digits: 6,
    multiplier: 1,
    account: '',
  }
  const out: ElectricMeter[] = []
  transformers.forEach((t, i) => {
    if (i % 4 >= TOTALISED_OF_FOUR || !customers.some((m) => m.transformer === i)) return
    out.push({
      ...base,
      id: `EM-${30_001 + i}`,
      role: 'transformer',
      transformer: i,
      feeder: t.feeder,
      x: t.x,
      y: t.y,
      maxKw: t.ratingKva * 1.5,
      lastGasp: true,
      startKwh: Math.round(r.between(2_000, 400_000)),
    })
  })
  for (let f = 0; f < plan.feeders; f++) {
    const kva = transformers.filter((t) => t.feeder === f).reduce((s, t) => s + t.ratingKva, 0)
    out.push({
      ...base,
      id: `EM-${40_001 + f}`,
      role: 'feeder',
      transformer: -1,
      feeder: f,
      x: substation.x + 6 * f,
      y: substation.y,
      maxKw: kva,
      lastGasp: false,
      startKwh: Math.round(r.between(5_000, 90_000)),
      multiplier: 100,
    })
  }
  return out
}

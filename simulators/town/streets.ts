// Streets: each district is a bent and jittered grid with avenues, a park, missing pieces and dead ends, cut to an irregular outline;
// a green belt or the river lies between districts and a few roads cross it. Pipes and cables later follow these streets, so that the
// map looks like a town.
import { makeRandom, type Random } from '../random.ts'
import { components, makeGraph } from './graph.ts'
import type { DistrictPlan, TownPlan } from './plan.ts'

export interface StreetNode {
  x: number
  y: number
  district: number
}

export interface Street {
  a: number
  b: number
  length: number
  /** Index of the district, -1 for a road between districts. */
  district: number
  avenue: boolean
  name: string
  nameZh: string
}

export interface Streets {
  nodes: StreetNode[]
  streets: Street[]
}

const WORDS: readonly (readonly [string, string])[] = [
  ['Osmanthus', '桂花'],
  ['Camphor', '香樟'],
  ['Willow', '杨柳'],
  ['Bamboo', '翠竹'],
  ['Plum', '梅花'],
  ['Lotus', '荷花'],
  ['Ginkgo', '银杏'],
  ['Maple', '枫林'],
  ['Pine', '青松'],
  ['Peach', '桃源'],
  ['Orchid', '兰香'],
  ['Tea', '茶山'],
  ['Crane', '白鹤'],
  ['Swallow', '飞燕'],
  ['Heron', '鹭岛'],
  ['Carp', '鲤鱼'],
  ['Bell', '钟楼'],
  ['Bridge', '石桥'],
  ['Ferry', '渡口'],
  ['Mill', '磨坊'],
  ['Market', '集市'],
  ['Temple', '古寺'],
  ['Harbour', '港湾'],
  ['Lantern', '灯笼'],
  ['Silk', '丝绸'],
  ['Porcelain', '瓷窑'],
  ['Ink', '墨池'],
  ['Cloud', '云溪'],
  ['Spring', '春晖'],
  ['Dawn', '晨曦'],
  ['Jade', '玉泉'],
  ['Amber', '琥珀'],
  ['Stone', '磐石'],
  ['Stream', '清溪'],
  ['Meadow', '芳草'],
  ['Sunrise', '朝阳'],
  ['Harvest', '丰收'],
  ['Unity', '团结'],
  ['Peace', '和平'],
  ['Garden', '花园'],
]

/** Builds the streets of all districts and the roads between them. */
export function buildStreets(plan: TownPlan): Streets {
  const out: Streets = { nodes: [], streets: [] }
  plan.districts.forEach((_, d) => {
    append(out, buildDistrict(plan, d))
  })
  for (const [i, j] of neighbours(plan)) out.streets.push(...linkRoads(plan, out, i, j))
  return out
}

function append(out: Streets, part: Streets): void {
  const base = out.nodes.length
  out.nodes.push(...part.nodes)
  out.streets.push(...part.streets.map((s) => ({ ...s, a: s.a + base, b: s.b + base })))
}

/** True when a point belongs to district `d`: inside its outline and not in the belt towards a neighbour. */
function inside(plan: TownPlan, d: number, x: number, y: number): boolean {
  const p = plan.districts[d] as DistrictPlan
  const dx = x - p.cx
  const dy = y - p.cy
  const at = Math.atan2(dy, dx)
  const phase = plan.seed * 1.7 + d * 2.1
  const outline = p.radius * (1 + 0.11 * Math.sin(2 * at + phase) + 0.08 * Math.sin(3 * at - 2 * phase) + 0.04 * Math.sin(5 * at + phase))
  if (Math.hypot(dx, dy) > outline) return false
  return plan.districts.every((q, e) => {
    if (e === d) return true
    const gap = Math.hypot(q.cx - p.cx, q.cy - p.cy)
    const along = (dx * (q.cx - p.cx) + dy * (q.cy - p.cy)) / gap
    return along < (gap * p.radius) / (p.radius + q.radius) - 45
  })
}

function buildDistrict(plan: TownPlan, d: number): Streets {
  const p = plan.districts[d] as DistrictPlan
  const r = makeRandom(plan.seed * 1009 + d * 17 + 5)
  const { nodes, streets } = grid(plan, d, p, r)
  const parkAt = { angle: r.between(0, 2 * Math.PI), away: p.radius * r.between(0.3, 0.5) }
  const px = p.cx + parkAt.away * Math.cos(parkAt.angle)
  const py = p.cy + parkAt.away * Math.sin(parkAt.angle)
  const outsidePark = nodes.map((n) => Math.hypot(n.x - px, n.y - py) > 96)
  let kept = streets.filter((s) => outsidePark[s.a] && outsidePark[s.b])
  kept = thin(nodes, kept, r)
  const tidy = largest(nodes, kept, r)
  addDeadEnds(tidy, r)
  return tidy
}

/** Offsets of parallel streets from -reach to reach. */
function offsets(range: readonly [number, number], reach: number, r: Random): number[] {
  const out: number[] = []
  for (let at = -reach; at <= reach; at += r.between(range[0], range[1])) out.push(at)
  return out
}

function grid(plan: TownPlan, d: number, p: DistrictPlan, r: Random): Streets {
  const xs = offsets(p.blockX, p.radius * 1.25, r)
  const ys = offsets(p.blockY, p.radius * 1.25, r)
  const words = r.shuffled(WORDS)
  const phase = [r.between(0, 6), r.between(0, 6)] as const
  const index = new Map<string, number>()
  const nodes: StreetNode[] = []
  xs.forEach((lx, i) => {
    ys.forEach((ly, j) => {
      const bx = lx + p.bendM * Math.sin(ly / (0.62 * p.radius) + phase[0]) + p.jitterM * r.normal()
      const by = ly + p.bendM * Math.sin(lx / (0.7 * p.radius) + phase[1]) + p.jitterM * r.normal()
      const x = p.cx + bx * Math.cos(p.angle) - by * Math.sin(p.angle)
      const y = p.cy + bx * Math.sin(p.angle) + by * Math.cos(p.angle)
      if (!inside(plan, d, x, y)) return
      index.set(`${i},${j}`, nodes.length)
      nodes.push({ x, y, district: d })
    })
  })
  const streets: Street[] = []
  const join = (from: string, to: string, avenue: boolean, line: number): void => {
    const a = index.get(from)
    const b = index.get(to)
    if (a === undefined || b === undefined) return
    const word = words[line % words.length] as readonly [string, string]
    streets.push({
      a,
      b,
      length: span(nodes, a, b),
      district: d,
      avenue,
      name: `${word[0]} ${avenue ? 'Avenue' : 'Street'}`,
      nameZh: `${word[1]}${avenue ? '大道' : '街'}`,
    })
  }
  for (let i = 0; i < xs.length; i++) {
    for (let j = 0; j < ys.length; j++) {
      join(`${i},${j}`, `${i + 1},${j}`, j % 5 === 2, xs.length + j)
      join(`${i},${j}`, `${i},${j + 1}`, i % 5 === 2, i)
    }
  }
  return { nodes, streets }
}

function span(nodes: readonly StreetNode[], a: number, b: number): number {
  const p = nodes[a] as StreetNode
  const q = nodes[b] as StreetNode
  return Math.hypot(p.x - q.x, p.y - q.y)
}

/** Takes away some side streets, so that blocks differ in size, never an avenue and never a street that the town hangs on. */
function thin(nodes: readonly StreetNode[], streets: readonly Street[], r: Random): Street[] {
  const kept = new Set(streets)
  const degree = new Int32Array(nodes.length)
  for (const s of streets) {
    degree[s.a] = (degree[s.a] as number) + 1
    degree[s.b] = (degree[s.b] as number) + 1
  }
  for (const s of r.shuffled(streets)) {
    if (s.avenue || r.next() > 0.13 || (degree[s.a] as number) < 3 || (degree[s.b] as number) < 3) continue
    kept.delete(s)
    const before = components(makeGraph(nodes.length, [...kept]))
    if (before[s.a] !== before[s.b]) {
      kept.add(s)
      continue
    }
    degree[s.a] = (degree[s.a] as number) - 1
    degree[s.b] = (degree[s.b] as number) - 1
  }
  return streets.filter((s) => kept.has(s))
}

/** The largest connected part, without half of the stubs at the edge. */
function largest(nodes: readonly StreetNode[], streets: readonly Street[], r: Random): Streets {
  const part = components(makeGraph(nodes.length, streets))
  let kept = streets.filter((s) => part[s.a] === 0)
  const degree = new Int32Array(nodes.length)
  for (const s of kept) {
    degree[s.a] = (degree[s.a] as number) + 1
    degree[s.b] = (degree[s.b] as number) + 1
  }
  kept = kept.filter((s) => ((degree[s.a] as number) > 1 && (degree[s.b] as number) > 1) || r.next() < 0.5)
  const used = new Map<number, number>()
  const out: StreetNode[] = []
  const place = (n: number): number => {
    const known = used.get(n)
    if (known !== undefined) return known
    used.set(n, out.length)
    out.push(nodes[n] as StreetNode)
    return out.length - 1
  }
  return { streets: kept.map((s) => ({ ...s, a: place(s.a), b: place(s.b) })), nodes: out }
}

/** Lets short lanes run from the middle of a street into the block beside it. */
function addDeadEnds(town: Streets, r: Random): void {
  for (const s of [...town.streets]) {
    if (s.avenue || s.length < 84 || r.next() > 0.16) continue
    const a = town.nodes[s.a] as StreetNode
    const b = town.nodes[s.b] as StreetNode
    const side = r.next() < 0.5 ? 1 : -1
    const f = r.between(0.4, 0.6)
    const depth = r.between(30, 44)
    const mid: StreetNode = { x: a.x + (b.x - a.x) * f, y: a.y + (b.y - a.y) * f, district: a.district }
    const end: StreetNode = {
      x: mid.x - (side * depth * (b.y - a.y)) / s.length,
      y: mid.y + (side * depth * (b.x - a.x)) / s.length,
      district: a.district,
    }
    const m = town.nodes.push(mid) - 1
    const e = town.nodes.push(end) - 1
    const old = s.b
    town.streets.push({ ...s, a: m, b: old, length: span(town.nodes, m, old) })
    s.b = m
    s.length = span(town.nodes, s.a, m)
    town.streets.push({ ...s, a: m, b: e, length: depth, name: `${s.name.split(' ')[0]} Lane`, nameZh: s.nameZh.replace(/街$/, '巷') })
  }
}

/** Pairs of districts that touch: every one with the centre, and outer ones that are close. */
export function neighbours(plan: TownPlan): [number, number][] {
  const out: [number, number][] = []
  plan.districts.forEach((p, i) => {
    plan.districts.forEach((q, j) => {
      if (j <= i) return
      if (i === 0 || Math.hypot(p.cx - q.cx, p.cy - q.cy) < (p.radius + q.radius) * 1.12) out.push([i, j])
    })
  })
  return out
}

/** A crossing may be so much longer than the shortest one. */
const LINK_LONGER_M = 160

/** Two or three roads across the belt between two districts: the shortest crossings that are well apart. */
function linkRoads(plan: TownPlan, town: Streets, i: number, j: number): Street[] {
  const from = town.nodes.map((n, k) => ({ n, k })).filter((x) => x.n.district === i)
  const to = town.nodes.map((n, k) => ({ n, k })).filter((x) => x.n.district === j)
  const all = from.flatMap((a) => to.map((b) => ({ a: a.k, b: b.k, length: Math.hypot(a.n.x - b.n.x, a.n.y - b.n.y), x: a.n.x, y: a.n.y })))
  const shortest = all.reduce((least, p) => Math.min(least, p.length), Number.POSITIVE_INFINITY)
  const pairs = all.filter((p) => p.length <= shortest + LINK_LONGER_M).sort((p, q) => p.length - q.length)
  const chosen: typeof pairs = []
  for (const p of pairs) {
    if (chosen.length === (i === 0 ? 3 : 1)) break
    if (chosen.every((c) => Math.hypot(c.x - p.x, c.y - p.y) > 220 && c.b !== p.b)) chosen.push(p)
  }
  const names = [plan.districts[i], plan.districts[j]] as [DistrictPlan, DistrictPlan]
  return chosen.map((c, k) => ({
    a: c.a,
    b: c.b,
    length: c.length,
    district: -1,
    avenue: true,
    name: `${names[1].name} Road ${k + 1}`,
    nameZh: `${names[1].nameZh}${k + 1}路`,
  }))
}

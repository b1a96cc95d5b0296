// The truth of a generated data set, in the shape that water scores read: leaks with what they lost day by day, customers' leaks,
// confounders, and where every sensor and meter belongs.
import { DAY_MS, toIso } from '#model/time.ts'
import type { CustomerLeak, Effect, Leak } from '../scenarios/effect.ts'
import { dmaId } from '../town/features.ts'
import { makeGraph, shortestPaths } from '../town/graph.ts'
import { toLonLat } from '../town/plan.ts'
import type { Premise, Town, WaterNode } from '../town/types.ts'
import type { Faults } from './faults.ts'

/** Sums what each leak lets out per day of the data set. */
export interface Losses {
  add(atMs: number, lossM3h: ReadonlyMap<string, number>, seconds: number): void
  /** Mean m3/h of each day. */
  dailyM3h(id: string): number[]
  totalM3(id: string): number
}

export function makeLosses(startMs: number, endMs: number): Losses {
  const days = Math.ceil((endMs - startMs) / DAY_MS)
  const sums = new Map<string, Float64Array>()
  const of = (id: string): Float64Array => {
    const known = sums.get(id) ?? new Float64Array(days)
    sums.set(id, known)
    return known
  }
  return {
    add: (atMs, lossM3h, seconds) => {
      const day = Math.floor((atMs - startMs) / DAY_MS)
      if (day < 0 || day >= days) return
      for (const [id, q] of lossM3h) {
        const list = of(id)
        list[day] = (list[day] as number) + (q * seconds) / 3600
      }
    },
    dailyM3h: (id) => [...of(id)].map((m3) => round(m3 / 24, 3)),
    totalM3: (id) => of(id).reduce((s, v) => s + v, 0),
  }
}

const round = (v: number, digits: number): number => Math.round(v * 10 ** digits) / 10 ** digits

export interface LabelOptions {
  scenario: string
  seed: number
  startMs: number
  endMs: number
  warmupUntilMs: number
  rows: { sensors: number; meters: number }
}

export function waterLabels(town: Town, faults: Faults, losses: Losses, o: LabelOptions): Record<string, unknown> {
  const { water } = town
  const ended = (ms: number): string | null => (ms >= o.endMs ? null : toIso(ms))
  const district = (node: number): string | null => {
    const d = (water.nodes[node] as WaterNode).district
    return d < 0 ? null : dmaId(d)
  }
  const isLeak = (e: Effect): e is Leak => e.type === 'leak'
  const isCustomerLeak = (e: Effect): e is CustomerLeak => e.type === 'customer_leak'
  const nearest = sensorsByPipe(town)
  return {
    scenario: o.scenario,
    network: town.plan.name,
    generator: 'meterstream simulators',
    seed: o.seed,
    start: toIso(o.startMs),
    end: toIso(o.endMs),
    warmupUntil: toIso(o.warmupUntilMs),
    scadaRows: o.rows.sensors,
    meterRows: o.rows.meters,
    sensorDma: Object.fromEntries([
      ...water.pressureSensors.map((s) => [s.id, district(s.node)]),
      ...water.flowMeters.map((f) => [f.id, f.flows[0] === undefined ? null : dmaId(f.flows[0].district)]),
    ]),
    sensorDmas: Object.fromEntries(water.flowMeters.map((f) => [f.id, f.flows.map((t) => dmaId(t.district))])),
    meterDma: Object.fromEntries(town.waterMeters.map((m) => [m.id, dmaId((town.premises[m.premise] as Premise).district)])),
    leaks: faults.effects.filter(isLeak).map((e) => {
      const n = water.nodes[e.node] as WaterNode
      const [lon, lat] = toLonLat(town.plan, n.x, n.y)
      const daily = losses.dailyM3h(e.id)
      return {
        id: e.id,
        kind: e.kind,
        dma: dmaId(n.district),
        pipe: water.links[e.link]?.id,
        node: n.id,
        lon,
        lat,
        startsAt: toIso(e.startMs),
        fullyDevelopedAt: toIso(e.fullMs),
        endsAt: ended(e.endMs),
        sizeM3h: round(fullSize(daily, e, o), 2),
        lostM3: round(losses.totalM3(e.id), 1),
        nearestSensors: nearest(e.node),
        dailyMeanM3h: daily,
      }
    }),
    customerLeaks: faults.effects.filter(isCustomerLeak).map((e) => {
      const p = town.premises[town.waterMeters[e.meter]?.premise as number] as Premise
      return {
        id: e.id,
        kind: 'customer_leak',
        subtype: e.subtype,
        meter: town.waterMeters[e.meter]?.id,
        dma: dmaId(p.district),
        node: water.nodes[p.node]?.id,
        customerType: p.type,
        startsAt: toIso(e.startMs),
        endsAt: ended(e.endMs),
        sizeM3h: round(e.m3h, 4),
        dailyMeanM3h: losses.dailyM3h(e.id),
      }
    }),
    confounders: faults.confounders.map((c, i) => ({
      id: `K${String(i + 1).padStart(2, '0')}`,
      kind: c.kind,
      scope: c.scope,
      startsAt: toIso(c.startMs),
      endsAt: toIso(Math.min(c.endMs, o.endMs)),
      announced: c.announced,
      detail: c.detail,
      ...(c.node === undefined ? {} : { node: c.node }),
      ...(c.sizeM3h === undefined ? {} : { sizeM3h: round(c.sizeM3h, 2) }),
    })),
  }
}

/** Mean flow while fully grown: the largest full day, or what a shorter leak's days say. */
function fullSize(daily: readonly number[], e: Leak, o: LabelOptions): number {
  const from = Math.ceil((e.fullMs - o.startMs) / DAY_MS)
  const to = Math.floor((Math.min(e.endMs, o.endMs) - o.startMs) / DAY_MS)
  const whole = daily.slice(from, to)
  return whole.length > 0 ? whole.reduce((s, v) => s + v, 0) / whole.length : Math.max(...daily)
}

/** The four pressure sensors nearest to a junction along the pipes of its district. */
function sensorsByPipe(town: Town): (node: number) => string[] {
  const { nodes, links, pressureSensors } = town.water
  const inside = links.filter((l) => l.kind === 'pipe' && l.district >= 0)
  const g = makeGraph(
    nodes.length,
    inside.map((l) => ({ a: l.from, b: l.to, length: l.lengthM })),
  )
  return (node) => {
    const { distance } = shortestPaths(g, [node])
    return pressureSensors
      .filter((s) => Number.isFinite(distance[s.node] as number))
      .sort((a, b) => (distance[a.node] as number) - (distance[b.node] as number))
      .slice(0, 4)
      .map((s) => s.id)
  }
}

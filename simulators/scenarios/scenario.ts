// What a scenario is: a place and a course of events drawn from the town, and what the system must make of it.
import type { FindingKind } from '#model/finding.ts'
import type { TicketClass } from '#model/ticket.ts'
import type { Random } from '../random.ts'
import type { Town, WaterNode } from '../town/types.ts'
import type { Effect } from './effect.ts'

export interface ScenarioContext {
  town: Town
  random: Random
  /** When it begins, epoch ms. */
  startMs: number
  /** Everything that goes on or will: a scenario keeps out of the way of others. */
  effects: readonly Effect[]
  /** Prefix of the effects' ids. */
  id: string
}

export interface Expectation {
  /** A finding of one of these kinds, with a scope of this type, about the place of the effect. */
  findings: { kinds: FindingKind[]; scopeTypes: string[] }[]
  tickets: TicketClass[]
  /** One line for people: what is to be seen. */
  note: string
}

export interface Scenario {
  readonly name: string
  /** Weight in the endless sequence; 0: never drawn. */
  readonly weight: number
  /** What the system must find; empty lists: it must keep quiet. */
  readonly expects: Expectation
  /** The effects, or none when there is no free place now. */
  plan(context: ScenarioContext): Effect[]
}

/** Junctions of a district where a leak can be, with a pipe that ends there: in the street grid, no dead end. */
export function leakPlaces(town: Town, district: number): { node: number; link: number }[] {
  const degree = new Map<number, number[]>()
  town.water.links.forEach((l, i) => {
    if (l.kind !== 'pipe' || l.district !== district) return
    for (const n of [l.from, l.to]) degree.set(n, [...(degree.get(n) ?? []), i])
  })
  const out: { node: number; link: number }[] = []
  for (const [node, links] of degree) {
    const n = town.water.nodes[node] as WaterNode
    if (n.district === district && n.id.startsWith('J-') && links.length >= 3) out.push({ node, link: links[0] as number })
  }
  return out
}

const HOUR = 3_600_000

/** True for an effect that goes on, has ended a few hours ago or begins within a day. */
function isNear(e: Effect, atMs: number): boolean {
  return e.endMs > atMs - 6 * HOUR && e.startMs < atMs + 24 * HOUR
}

/** Districts without a leak or large draw now or soon. */
export function quietDistricts(context: ScenarioContext): number[] {
  const busy = new Set(
    context.effects
      .filter((e) => (e.type === 'leak' || e.type === 'node_use') && isNear(e, context.startMs))
      .map((e) => context.town.water.nodes[(e as { node: number }).node]?.district),
  )
  return context.town.plan.districts.map((_, d) => d).filter((d) => !busy.has(d))
}

/** Electric customer meters that nothing else happens to, by a further condition. */
export function freeElectricMeters(context: ScenarioContext, want: (index: number) => boolean): number[] {
  const busy = new Set<number>()
  for (const e of context.effects) {
    if (!isNear(e, context.startMs)) continue
    if (e.type === 'bypass' || e.type === 'high_usage' || e.type === 'hidden_solar') busy.add(e.meter)
    if (e.type === 'outage') for (const m of e.meters) busy.add(m)
    if (e.type === 'gateway_down')
      context.town.power.meters.forEach((m, i) => {
        if (context.town.gatewayOf[m.id] === e.gateway) busy.add(i)
      })
  }
  return context.town.power.meters
    .map((_, i) => i)
    .filter((i) => context.town.power.meters[i]?.role === 'customer' && !busy.has(i) && want(i))
}

/** Water meters that nothing else happens to. */
export function freeWaterMeters(context: ScenarioContext, want: (index: number) => boolean): number[] {
  const busy = new Set(
    context.effects
      .filter((e) => e.type === 'customer_leak' || e.type === 'customer_use' || e.type === 'meter_swap')
      .map((e) => (e as { meter: number }).meter),
  )
  return context.town.waterMeters.map((_, i) => i).filter((i) => !busy.has(i) && want(i))
}

/** Typical pressure head in the districts, m, to turn a wanted flow into an emitter coefficient. */
const TYPICAL_HEAD_M = 38

export function coefficientFor(flowM3h: number): number {
  return flowM3h / Math.sqrt(TYPICAL_HEAD_M)
}

// An effect in words and ids that people and labels use, instead of indices.
import { toIso } from '#model/time.ts'
import { dmaId } from '../town/features.ts'
import { toLonLat } from '../town/plan.ts'
import type { Town, WaterNode } from '../town/types.ts'
import type { Effect } from './effect.ts'

export type Described = Record<string, string | number | boolean | null | string[] | undefined>

const time = (ms: number): string | null => (Number.isFinite(ms) ? toIso(Math.round(ms)) : null)

/** One line for the journal. */
export function describe(town: Town, e: Effect): Described {
  const base = { id: e.id, type: e.type, startsAt: time(e.startMs), endsAt: time(e.endMs) }
  const node = (n: number): Described => {
    const at = town.water.nodes[n] as WaterNode
    const [lon, lat] = toLonLat(town.plan, at.x, at.y)
    return { node: at.id, dma: at.district < 0 ? undefined : dmaId(at.district), lon, lat }
  }
  const water = (m: number): Described => ({ meter: town.waterMeters[m]?.id, account: town.waterMeters[m]?.account })
  const power = (m: number): Described => {
    const meter = town.power.meters[m]
    return {
      meter: meter?.id,
      transformer: town.power.transformers[meter?.transformer ?? -1]?.id,
      feeder: town.power.feeders[meter?.feeder ?? -1]?.id,
    }
  }
  switch (e.type) {
    case 'leak':
      return {
        ...base,
        kind: e.kind,
        ...node(e.node),
        pipe: town.water.links[e.link]?.id,
        street: town.water.links[e.link]?.street,
        fullyDevelopedAt: time(e.fullMs),
      }
    case 'node_use':
      return { ...base, kind: e.kind, ...node(e.node), m3h: e.m3h, announced: e.announced }
    case 'customer_leak':
      return { ...base, subtype: e.subtype, ...water(e.meter), m3h: e.m3h }
    case 'customer_use':
      return { ...base, ...water(e.meter), m3h: e.m3h }
    case 'meter_swap':
      return { ...base, ...water(e.meter), announced: e.announced }
    case 'bypass':
      return { ...base, ...power(e.meter), share: e.share }
    case 'high_usage':
      return { ...base, ...power(e.meter), kw: e.kw }
    case 'hidden_solar':
      return { ...base, ...power(e.meter), kwp: e.kwp }
    case 'outage':
      return { ...base, level: e.level, node: e.node, planned: e.planned, meters: e.meters.map((m) => town.power.meters[m]?.id as string) }
    case 'gateway_down':
      return { ...base, gateway: town.gateways[e.gateway]?.id, will: e.will, backfill: e.backfill }
    case 'repeat_block':
      return { ...base, gateway: town.gateways[e.gateway]?.id }
    case 'sensor_fault':
      return { ...base, kind: e.kind, device: e.device, amount: e.amount }
    case 'demand':
      return { ...base, kind: e.kind, factor: e.factor }
    case 'prv':
      return { ...base, link: town.water.links[e.link]?.id, shiftM: e.shiftM }
    case 'pump':
      return { ...base, shiftM: e.shiftM }
  }
}

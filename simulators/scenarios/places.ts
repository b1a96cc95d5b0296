// What scenarios of supply and of gateways share: finding a place where nothing else happens.
import { MINUTE_MS, SECOND_MS } from '#model/time.ts'
import { metersWithout } from '../power/sim.ts'
import type { Gateway, Town } from '../town/types.ts'
import type { GatewayDown, Outage } from './effect.ts'
import type { ScenarioContext } from './scenario.ts'

/** An outage of one element, or none when something else already happens there. */
export function outage(context: ScenarioContext, level: Outage['level'], node: string, minutes: number): Outage[] {
  const { town, random, startMs, effects, id } = context
  const meters = metersWithout(town, level, node)
  const gateways = new Set(meters.map((m) => town.gatewayOf[town.power.meters[m]?.id as string]))
  const clash = effects.some((e) => {
    if (e.startMs > startMs + (minutes + 240) * MINUTE_MS || e.endMs < startMs - 120 * MINUTE_MS) return false
    if (e.type === 'outage') return e.meters.some((m) => meters.includes(m))
    return e.type === 'gateway_down' && gateways.has(e.gateway)
  })
  if (clash || meters.length === 0) return []
  return [
    {
      type: 'outage',
      id: `${id}-${level}`,
      level,
      node,
      meters,
      gaspShare: random.between(0.5, 0.8),
      planned: false,
      startMs,
      endMs: startMs + Math.round((minutes * MINUTE_MS) / SECOND_MS) * SECOND_MS,
    },
  ]
}

/** Transformers with enough customers that able meters gasp. */
export function busyTransformers(town: Town): string[] {
  return town.power.transformers
    .filter((_, i) => town.power.meters.filter((m) => m.transformer === i && m.lastGasp).length >= 8)
    .map((t) => t.id)
}

/** What a failing gateway must lead to. */
export const GATEWAY_EXPECTS = {
  findings: [{ kinds: ['comms_failure' as const], scopeTypes: ['gateway'] }],
  tickets: [],
  note: 'a communication failure of the gateway, no outage; the readings come later or are estimated',
}

/** A gateway without uplink for a while, or none when all are busy. */
export function down(context: ScenarioContext, minutes: number, o: Pick<GatewayDown, 'will' | 'backfill'>): GatewayDown[] {
  const { town, random, startMs, effects, id } = context
  const free = town.gateways
    .map((g, i) => ({ g, i }))
    .filter(({ g, i }) => {
      if (g.kind !== 'power' && random.next() < 0.6) return false
      return !effects.some((e) => {
        if (e.endMs < startMs - 120 * MINUTE_MS || e.startMs > startMs + (minutes + 240) * MINUTE_MS) return false
        if (e.type === 'gateway_down') return e.gateway === i
        return e.type === 'outage' && e.meters.some((m) => town.gatewayOf[town.power.meters[m]?.id as string] === i)
      })
    })
  if (free.length === 0) return []
  // Power gateways by preference: their silence could be taken for an outage.
  const power = free.filter(({ g }: { g: Gateway }) => g.kind === 'power')
  const gateway = random.pick(power.length > 0 && random.next() < 0.75 ? power : free).i
  return [
    {
      type: 'gateway_down',
      id: `${id}-gateway`,
      gateway,
      ...o,
      startMs,
      endMs: startMs + Math.round((minutes * MINUTE_MS) / SECOND_MS) * SECOND_MS,
    },
  ]
}

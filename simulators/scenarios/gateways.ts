// A gateway fails while its meters have power: no outage, whatever the silence looks like.
import { MINUTE_MS, SECOND_MS } from '#model/time.ts'
import type { Gateway } from '../town/types.ts'
import type { GatewayDown } from './effect.ts'
import type { Scenario, ScenarioContext } from './scenario.ts'

const EXPECTS = {
  findings: [{ kinds: ['comms_failure' as const], scopeTypes: ['gateway'] }],
  tickets: [],
  note: 'a communication failure of the gateway, no outage; the readings come later or are estimated',
}

function down(context: ScenarioContext, minutes: number, o: Pick<GatewayDown, 'will' | 'backfill'>): GatewayDown[] {
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

export const gatewayFailure: Scenario = {
  name: 'gateway-failure',
  weight: 2,
  expects: EXPECTS,
  plan: (c) => down(c, c.random.between(90, 260), { will: true, backfill: 'oldest_first' }),
}

export const gatewaySilence: Scenario = {
  name: 'gateway-silence',
  weight: 1,
  expects: EXPECTS,
  plan: (c) => down(c, c.random.between(120, 420), { will: false, backfill: c.random.next() < 0.5 ? 'newest_first' : 'lost' }),
}

// A gateway falls silent without a word, and what it heard comes late or never: no outage either.
import { down, GATEWAY_EXPECTS } from './places.ts'
import type { Scenario } from './scenario.ts'

export const gatewaySilence: Scenario = {
  name: 'gateway-silence',
  weight: 1,
  expects: GATEWAY_EXPECTS,
  plan: (c) => down(c, c.random.between(120, 420), { will: false, backfill: c.random.next() < 0.5 ? 'newest_first' : 'lost' }),
}

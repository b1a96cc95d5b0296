// A gateway fails while its meters have power, and the broker tells of it: no outage, whatever the silence looks like.
import { down, GATEWAY_EXPECTS } from './places.ts'
import type { Scenario } from './scenario.ts'

export const gatewayFailure: Scenario = {
  name: 'gateway-failure',
  weight: 2,
  expects: GATEWAY_EXPECTS,
  plan: (c) => down(c, c.random.between(90, 260), { will: true, backfill: 'oldest_first' }),
}

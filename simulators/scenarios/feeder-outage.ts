// A whole feeder loses supply: many transformers, one cause.
import { outage } from './places.ts'
import type { Scenario } from './scenario.ts'

export const feederOutage: Scenario = {
  name: 'feeder-outage',
  weight: 0.6,
  expects: {
    findings: [{ kinds: ['outage'], scopeTypes: ['feeder'] }],
    tickets: ['outage'],
    note: 'one outage of the feeder, not one for each transformer; one ticket',
  },
  plan: (c) => outage(c, 'feeder', c.random.pick(c.town.power.feeders).id, c.random.between(40, 150)),
}

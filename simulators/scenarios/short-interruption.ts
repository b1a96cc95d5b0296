// Supply is gone for a moment: a recloser has done its work.
import { busyTransformers, outage } from './places.ts'
import type { Scenario } from './scenario.ts'

export const shortInterruption: Scenario = {
  name: 'short-interruption',
  weight: 1,
  expects: {
    findings: [{ kinds: ['outage'], scopeTypes: ['transformer'] }],
    tickets: [],
    note: 'power gone for less than five minutes: momentary, no ticket that lasts',
  },
  plan: (c) => outage(c, 'transformer', c.random.pick(busyTransformers(c.town)), c.random.between(1, 4)),
}

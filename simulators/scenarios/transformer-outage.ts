// Supply fails behind one transformer: some of its meters gasp, the others are silent.
import { busyTransformers, outage } from './places.ts'
import type { Scenario } from './scenario.ts'

export const transformerOutage: Scenario = {
  name: 'transformer-outage',
  weight: 3,
  expects: {
    findings: [{ kinds: ['outage'], scopeTypes: ['transformer'] }],
    tickets: ['outage'],
    note: 'one outage of the transformer from a part of its last gasps, one ticket; closed after power is back',
  },
  plan: (c) => outage(c, 'transformer', c.random.pick(busyTransformers(c.town)), c.random.between(55, 190)),
}

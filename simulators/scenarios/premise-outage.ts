// One house loses supply while its neighbours have it.
import { outage } from './places.ts'
import { freeElectricMeters, type Scenario } from './scenario.ts'

export const premiseOutage: Scenario = {
  name: 'premise-outage',
  weight: 1,
  expects: {
    findings: [{ kinds: ['outage'], scopeTypes: ['premise'] }],
    tickets: ['outage'],
    note: 'one house without power, its neighbours have it',
  },
  plan: (c) => {
    const free = freeElectricMeters(c, (i) => c.town.power.meters[i]?.lastGasp === true)
    if (free.length === 0) return []
    const found = outage(c, 'premise', c.town.power.meters[c.random.pick(free)]?.id as string, c.random.between(60, 240))
    return found.map((o) => ({ ...o, gaspShare: 1 }))
  },
}

// Energy flows back where no generation is registered.
import { DAY_MS } from '#model/time.ts'
import { freeElectricMeters, type Scenario } from './scenario.ts'

export const hiddenSolar: Scenario = {
  name: 'hidden-solar',
  weight: 0.5,
  expects: {
    findings: [{ kinds: ['abnormal_usage'], scopeTypes: ['meter'] }],
    tickets: ['billing'],
    note: 'energy flows back from a customer without registered generation: subtype reverse_flow',
  },
  plan: (c) => {
    const free = freeElectricMeters(c, (i) => c.town.power.meters[i]?.type === 'house' && c.town.power.meters[i]?.solarKwp === 0)
    if (free.length === 0) return []
    return [
      {
        type: 'hidden_solar',
        id: `${c.id}-solar`,
        meter: c.random.pick(free),
        kwp: c.random.between(5, 12),
        startMs: c.startMs,
        endMs: c.startMs + c.random.between(6, 10) * DAY_MS,
      },
    ]
  },
}

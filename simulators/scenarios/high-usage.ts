// A household uses several times what it did.
import { DAY_MS } from '#model/time.ts'
import { freeElectricMeters, type Scenario } from './scenario.ts'

export const highUsage: Scenario = {
  name: 'high-usage',
  weight: 0.8,
  expects: {
    findings: [{ kinds: ['abnormal_usage'], scopeTypes: ['meter'] }],
    tickets: ['billing'],
    note: 'a household suddenly uses several times as much, day and night: subtype high_usage',
  },
  plan: (c) => {
    const free = freeElectricMeters(c, (i) => c.town.power.meters[i]?.type === 'house' && c.town.power.meters[i]?.car === false)
    if (free.length === 0) return []
    return [
      {
        type: 'high_usage',
        id: `${c.id}-high`,
        meter: c.random.pick(free),
        kw: c.random.between(2, 4),
        startMs: c.startMs,
        endMs: c.startMs + c.random.between(4, 8) * DAY_MS,
      },
    ]
  },
}

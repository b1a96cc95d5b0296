// A leak that grows over days: nobody hears it, the night flow tells.
import { DAY_MS } from '#model/time.ts'
import { coefficientFor, leakPlaces, quietDistricts, type Scenario } from './scenario.ts'

export const slowLeak: Scenario = {
  name: 'slow-leak',
  weight: 1.2,
  expects: {
    findings: [{ kinds: ['leak', 'burst'], scopeTypes: ['dma', 'sensor'] }],
    tickets: ['leak'],
    note: 'a leak finding after some nights, one ticket',
  },
  plan: (context) => {
    const { town, random, startMs, id } = context
    const free = quietDistricts(context)
    if (free.length === 0) return []
    const district = random.pick(free)
    const place = random.pick(leakPlaces(town, district))
    const flowM3h = (town.water.meanDemandM3h[district] as number) * random.between(0.12, 0.25)
    const growMs = random.between(2, 4) * DAY_MS
    return [
      {
        type: 'leak',
        id: `${id}-slow`,
        kind: 'incipient',
        ...place,
        coefficient: coefficientFor(flowM3h),
        startMs,
        fullMs: startMs + growMs,
        endMs: startMs + growMs + random.between(1, 2.5) * DAY_MS,
      },
    ]
  },
}

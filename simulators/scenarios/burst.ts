// A main breaks: the flow into a district rises and the pressure around the place falls within minutes, until it is repaired.
import { HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { coefficientFor, leakPlaces, quietDistricts, type Scenario } from './scenario.ts'

export const burst: Scenario = {
  name: 'burst',
  weight: 2,
  expects: {
    findings: [{ kinds: ['burst', 'leak'], scopeTypes: ['dma', 'sensor'] }],
    tickets: ['leak'],
    note: 'one leak ticket for the district, with candidates near the place; closed by telemetry after the repair',
  },
  plan: ({ town, random, startMs, effects, id }) => {
    const free = quietDistricts({ town, random, startMs, effects, id })
    if (free.length === 0) return []
    // The largest free district first: there a burst shows most on the map.
    free.sort((a, b) => (town.water.meanDemandM3h[b] as number) - (town.water.meanDemandM3h[a] as number))
    const district = random.next() < 0.45 ? (free[0] as number) : random.pick(free)
    const place = random.pick(leakPlaces(town, district))
    const flowM3h = (town.water.meanDemandM3h[district] as number) * random.between(0.5, 0.9)
    return [
      {
        type: 'leak',
        id: `${id}-burst`,
        kind: 'burst',
        ...place,
        coefficient: coefficientFor(flowM3h),
        startMs,
        fullMs: startMs + 5 * MINUTE_MS,
        endMs: startMs + Math.round(random.between(5, 10) * 12) * 5 * MINUTE_MS + HOUR_MS,
      },
    ]
  },
}

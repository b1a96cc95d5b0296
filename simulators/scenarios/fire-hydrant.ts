// The fire brigade draws water: a burst for an hour, and none.
import { MINUTE_MS } from '#model/time.ts'
import { leakPlaces, quietDistricts, type Scenario } from './scenario.ts'

export const fireHydrant: Scenario = {
  name: 'fire-hydrant',
  weight: 0.6,
  expects: {
    findings: [],
    tickets: [],
    note: 'the fire brigade draws water for an hour, unannounced: no leak; a burst finding is withdrawn or cleared',
  },
  plan: (c) => {
    const free = quietDistricts(c)
    if (free.length === 0) return []
    const place = c.random.pick(leakPlaces(c.town, c.random.pick(free)))
    return [
      {
        type: 'node_use',
        id: `${c.id}-hydrant`,
        kind: 'hydrant',
        node: place.node,
        m3h: c.random.between(18, 36),
        announced: false,
        startMs: c.startMs,
        endMs: c.startMs + Math.round(c.random.between(6, 14)) * 5 * MINUTE_MS,
      },
    ]
  },
}

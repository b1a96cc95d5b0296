// A pool is filled over a night: a customer leak for a night, and none.
import { HOUR_MS } from '#model/time.ts'
import { freeWaterMeters, type Scenario } from './scenario.ts'

export const poolFilling: Scenario = {
  name: 'pool-filling',
  weight: 0.6,
  expects: { findings: [], tickets: [], note: 'a pool is filled over a night: wanted use, no customer leak' },
  plan: (c) => {
    const free = freeWaterMeters(c, (i) => c.town.premises[i]?.type === 'house')
    if (free.length === 0) return []
    return [
      {
        type: 'customer_use',
        id: `${c.id}-pool`,
        meter: c.random.pick(free),
        m3h: c.random.between(0.5, 1),
        startMs: c.startMs,
        endMs: c.startMs + c.random.between(12, 22) * HOUR_MS,
      },
    ]
  },
}

// A pressure sensor shows the same value for hours.
import { HOUR_MS } from '#model/time.ts'
import type { Scenario } from './scenario.ts'

export const sensorStuck: Scenario = {
  name: 'sensor-stuck',
  weight: 0.5,
  expects: {
    findings: [{ kinds: ['sensor_fault'], scopeTypes: ['sensor'] }],
    tickets: [],
    note: 'a pressure sensor shows the same value for hours: subtype stuck, no burst',
  },
  plan: (c) => {
    const busy = new Set(c.effects.filter((e) => e.type === 'sensor_fault').map((e) => (e as { device: string }).device))
    const free = c.town.water.pressureSensors.filter((s) => !busy.has(s.id) && (c.town.water.nodes[s.node]?.district ?? -1) >= 0)
    if (free.length === 0) return []
    return [
      {
        type: 'sensor_fault',
        id: `${c.id}-stuck`,
        kind: 'stuck',
        device: c.random.pick(free).id,
        amount: 0,
        startMs: c.startMs,
        endMs: c.startMs + c.random.between(18, 40) * HOUR_MS,
      },
    ]
  },
}

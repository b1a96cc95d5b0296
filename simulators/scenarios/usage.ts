// Use that is not as it should be, and use that only looks so.
import { DAY_MS, HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { freeElectricMeters, freeWaterMeters, leakPlaces, quietDistricts, type Scenario } from './scenario.ts'

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

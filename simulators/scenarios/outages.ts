// Supply fails: behind one transformer, on a whole feeder, at one house, or only for a moment. Some meters gasp, the others are silent.
import { MINUTE_MS, SECOND_MS } from '#model/time.ts'
import { metersWithout } from '../power/sim.ts'
import type { Town } from '../town/types.ts'
import type { Outage } from './effect.ts'
import { freeElectricMeters, type Scenario, type ScenarioContext } from './scenario.ts'

/** An outage of one element, or none when something else already happens there. */
function outage(context: ScenarioContext, level: Outage['level'], node: string, minutes: number): Outage[] {
  const { town, random, startMs, effects, id } = context
  const meters = metersWithout(town, level, node)
  const gateways = new Set(meters.map((m) => town.gatewayOf[town.power.meters[m]?.id as string]))
  const clash = effects.some((e) => {
    if (e.startMs > startMs + (minutes + 240) * MINUTE_MS || e.endMs < startMs - 120 * MINUTE_MS) return false
    if (e.type === 'outage') return e.meters.some((m) => meters.includes(m))
    return e.type === 'gateway_down' && gateways.has(e.gateway)
  })
  if (clash || meters.length === 0) return []
  return [
    {
      type: 'outage',
      id: `${id}-${level}`,
      level,
      node,
      meters,
      gaspShare: random.between(0.5, 0.8),
      planned: false,
      startMs,
      endMs: startMs + Math.round((minutes * MINUTE_MS) / SECOND_MS) * SECOND_MS,
    },
  ]
}

/** Transformers with enough customers that able meters gasp. */
function busyTransformers(town: Town): string[] {
  return town.power.transformers
    .filter((_, i) => town.power.meters.filter((m) => m.transformer === i && m.lastGasp).length >= 8)
    .map((t) => t.id)
}

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

export const feederOutage: Scenario = {
  name: 'feeder-outage',
  weight: 0.6,
  expects: {
    findings: [{ kinds: ['outage'], scopeTypes: ['feeder'] }],
    tickets: ['outage'],
    note: 'one outage of the feeder, not one for each transformer; one ticket',
  },
  plan: (c) => outage(c, 'feeder', c.random.pick(c.town.power.feeders).id, c.random.between(40, 150)),
}

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

export const shortInterruption: Scenario = {
  name: 'short-interruption',
  weight: 1,
  expects: {
    findings: [{ kinds: ['outage'], scopeTypes: ['transformer'] }],
    tickets: [],
    note: 'power gone for less than five minutes: momentary, no ticket that lasts',
  },
  plan: (c) => outage(c, 'transformer', c.random.pick(busyTransformers(c.town)), c.random.between(1, 4)),
}

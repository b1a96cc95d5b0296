// What the utility itself plans and announces: mains are flushed at a hydrant, a transformer is taken off for maintenance. The rows of
// operations.csv and the effects in the simulation come from the same list.
import { DAY_MS, HOUR_MS, localDate, MINUTE_MS, startOfLocalDate } from '#model/time.ts'
import { metersWithout } from '../power/sim.ts'
import { makeRandom } from '../random.ts'
import { dmaId } from '../town/features.ts'
import type { Town } from '../town/types.ts'
import type { OperationRow } from '../town.ts'
import type { NodeUse, Outage } from './effect.ts'
import { leakPlaces } from './scenario.ts'

/** How far the plan reaches beyond the history. */
const AHEAD_DAYS = 120
const EVERY_DAYS = 6

interface Planned {
  row: OperationRow
  effect: NodeUse | Outage
}

export interface PlanSpan {
  startMs: number
  endMs: number
  timezone: string
}

function plan(town: Town, span: PlanSpan): Planned[] {
  const out: Planned[] = []
  const r = makeRandom(town.plan.seed * 271 + 19)
  const days = Math.ceil((span.endMs - span.startMs) / DAY_MS) + AHEAD_DAYS
  for (let day = 4; day < days; day += EVERY_DAYS) {
    const dawn = startOfLocalDate(span.timezone, localDate(span.timezone, span.startMs + day * DAY_MS))
    const district = r.int(town.plan.districts.length)
    const place = r.pick(leakPlaces(town, district))
    const flushMs = dawn + 14 * HOUR_MS + r.int(18) * 5 * MINUTE_MS
    out.push({
      row: {
        knownAtMs: flushMs - DAY_MS,
        kind: 'hydrant',
        scopeType: 'dma',
        scope: dmaId(district),
        startMs: flushMs,
        endMs: flushMs + 40 * MINUTE_MS,
        note: `flushing of mains at ${town.water.nodes[place.node]?.id}`,
      },
      effect: {
        type: 'node_use',
        id: `planned-${day}-flush`,
        kind: 'hydrant',
        node: place.node,
        m3h: r.between(20, 34),
        announced: true,
        startMs: flushMs,
        endMs: flushMs + 40 * MINUTE_MS,
      },
    })
    const transformer = r.pick(town.power.transformers).id
    const offMs = dawn + 2 * DAY_MS + 9 * HOUR_MS + r.int(6) * 10 * MINUTE_MS
    const backMs = offMs + Math.round(r.between(60, 150)) * MINUTE_MS
    out.push({
      row: {
        knownAtMs: offMs - 3 * DAY_MS,
        kind: 'planned_outage',
        scopeType: 'transformer',
        scope: transformer,
        startMs: offMs,
        endMs: backMs + 15 * MINUTE_MS,
        note: 'maintenance',
      },
      effect: {
        type: 'outage',
        id: `planned-${day}-off`,
        level: 'transformer',
        node: transformer,
        meters: metersWithout(town, 'transformer', transformer),
        gaspShare: 0.65,
        planned: true,
        startMs: offMs,
        endMs: backMs,
      },
    })
  }
  return out
}

/** Rows of operations.csv. */
export function plannedOperations(town: Town, span: PlanSpan): OperationRow[] {
  return plan(town, span).map((p) => p.row)
}

/** The same operations as effects. */
export function plannedEffects(town: Town, span: PlanSpan): (NodeUse | Outage)[] {
  return plan(town, span).map((p) => p.effect)
}

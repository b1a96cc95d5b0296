// Somebody leads a part of his load past the meter: his registered use halves while the transformer's total does not.
import { DAY_MS } from '#model/time.ts'
import type { ElectricMeter } from '../town/types.ts'
import { freeElectricMeters, type Scenario } from './scenario.ts'

export const meterBypass: Scenario = {
  name: 'meter-bypass',
  weight: 1,
  expects: {
    findings: [
      { kinds: ['abnormal_usage'], scopeTypes: ['meter'] },
      { kinds: ['line_loss'], scopeTypes: ['transformer'] },
    ],
    tickets: ['billing'],
    note: 'abnormal_usage, subtype bypass, for the meter within days; the loss of its transformer rises',
  },
  plan: (context) => {
    const { town, random, startMs, id } = context
    const meters = town.power.meters
    const totalised = new Set(meters.filter((m) => m.role === 'transformer').map((m) => m.transformer))
    const sum = (transformer: number): number => meters.filter((m) => m.transformer === transformer).reduce((s, m) => s + m.yearlyKwh, 0)
    // Where its share of the transformer's load is large enough to be told from the loss.
    const free = freeElectricMeters(context, (i) => {
      const m = meters[i] as ElectricMeter
      return (
        totalised.has(m.transformer) &&
        (m.type === 'house' || m.type === 'restaurant' || m.type === 'shop') &&
        m.yearlyKwh > 3500 &&
        m.solarKwp === 0 &&
        m.yearlyKwh > 0.05 * sum(m.transformer)
      )
    })
    if (free.length === 0) return []
    return [
      {
        type: 'bypass',
        id: `${id}-bypass`,
        meter: random.pick(free),
        share: random.between(0.55, 0.65),
        startMs,
        endMs: startMs + random.between(8, 14) * DAY_MS,
      },
    ]
  },
}

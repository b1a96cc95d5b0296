// Water runs behind a customer's meter day and night: a toilet, a hose, a pipe in the garden.
import { DAY_MS } from '#model/time.ts'
import { freeWaterMeters, type Scenario } from './scenario.ts'

export const customerLeak: Scenario = {
  name: 'customer-leak',
  weight: 2,
  expects: {
    findings: [{ kinds: ['customer_leak'], scopeTypes: ['meter'] }],
    tickets: ['leak', 'billing', 'meter_work', 'quality'],
    note: 'the meter never stands still any more: a customer_leak finding within two days',
  },
  plan: (context) => {
    const { town, random, startMs, id } = context
    const free = freeWaterMeters(context, (i) => town.premises[i]?.type === 'house' && (town.premises[i]?.waterM3d as number) < 0.9)
    if (free.length === 0) return []
    const subtype = random.weighted([
      ['constant', 3],
      ['pipe_burst', 1],
    ] as const)
    const m3h = subtype === 'constant' ? random.between(0.015, 0.06) : random.between(0.2, 0.7)
    return [
      {
        type: 'customer_leak',
        id: `${id}-customer`,
        subtype,
        meter: random.pick(free),
        m3h,
        startMs,
        endMs: startMs + (subtype === 'constant' ? random.between(4, 9) : random.between(1.5, 3)) * DAY_MS,
      },
    ]
  },
}

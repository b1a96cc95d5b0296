// Which faults a labelled power data set holds: the scenarios of the demo, drawn over the whole length.
import { DAY_MS, MINUTE_MS } from '#model/time.ts'
import { makeRandom } from '../random.ts'
import type { Effect } from '../scenarios/effect.ts'
import { planScenario } from '../scenarios/sequence.ts'
import type { Town } from '../town/types.ts'

/** Faults in 28 days of a town of a thousand meters. */
const MONTHLY: readonly (readonly [string, number])[] = [
  ['feeder-outage', 2],
  ['transformer-outage', 8],
  ['short-interruption', 4],
  ['premise-outage', 8],
  ['gateway-failure', 5],
  ['gateway-silence', 5],
  ['meter-bypass', 4],
  ['hidden-solar', 3],
  ['high-usage', 3],
]
const LONG = new Set(['meter-bypass', 'hidden-solar', 'high-usage'])

export interface PowerFaultOptions {
  seed: number
  warmupUntilMs: number
  endMs: number
}

/** Effects between warm-up and end; usage faults begin in its first half and go on to the end, as long as they last. */
export function drawPowerFaults(town: Town, o: PowerFaultOptions): Effect[] {
  const r = makeRandom(o.seed * 6151 + town.plan.seed)
  const out: Effect[] = []
  const span = o.endMs - o.warmupUntilMs
  let number = o.seed * 1000
  for (const [name, monthly] of MONTHLY) {
    const count = Math.max(1, Math.round((monthly * span) / (21 * DAY_MS)))
    for (let k = 0; k < count; k++) {
      const share = LONG.has(name) ? r.between(0.03, 0.5) : r.between(0.02, 0.93)
      const startMs = o.warmupUntilMs + Math.round((share * span) / MINUTE_MS) * MINUTE_MS + r.int(60) * 1000
      const found = planScenario(town, name, number++, startMs, out)
      out.push(...found.map((e) => (LONG.has(name) ? { ...e, endMs: Math.max(e.endMs, o.endMs) } : e)))
    }
  }
  return out
}

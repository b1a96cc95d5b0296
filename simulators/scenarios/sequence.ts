// When what happens: a few things during the history, three in the first minutes of the live part, then an endless seeded sequence.
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '#model/time.ts'
import { makeRandom } from '../random.ts'
import type { Town } from '../town/types.ts'
import type { Effect } from './effect.ts'
import { SCENARIOS, scenarioNamed } from './index.ts'

/** During the history, by day after its start. The first week is for learning. */
const IN_HISTORY: readonly (readonly [number, string])[] = [
  [7.3, 'meter-bypass'],
  [8.1, 'gateway-silence'],
  [9.4, 'customer-leak'],
  [10.45, 'transformer-outage'],
  [11.12, 'burst'],
  [12.6, 'gateway-failure'],
]

/** At the beginning of the live part, by seconds of real time. */
const AT_FIRST: readonly (readonly [number, string])[] = [
  [15, 'burst'],
  [60, 'transformer-outage'],
  [100, 'gateway-failure'],
]

const GAP_HOURS: readonly [number, number] = [2.5, 6]
/** Draws for a place before a scenario is given up for this turn. */
const TRIES = 6

/** What of the sequence is done. Plain data, saved with the simulation. */
export interface SequenceState {
  next: number
  nextMs: number
}

/** Effects of one scenario at a time, or none when it finds no free place. */
export function planScenario(town: Town, name: string, number: number, startMs: number, effects: readonly Effect[]): Effect[] {
  const scenario = scenarioNamed(name)
  const random = makeRandom(town.plan.seed * 9973 + number * 101 + 17)
  for (let k = 0; k < TRIES; k++) {
    const found = scenario.plan({ town, random, startMs: Math.round(startMs / SECOND_MS) * SECOND_MS, effects, id: `${number}` })
    if (found.length > 0) return found
  }
  return []
}

/**
 * Effects of the history, `known` being those that are planned anyway. The customer's leak is a quiet, constant one, and it and the
 * bypass go on into the live part.
 */
export function historyEffects(town: Town, startMs: number, known: readonly Effect[]): Effect[] {
  const out: Effect[] = [...known]
  IN_HISTORY.forEach(([day, name], i) => {
    out.push(...planScenario(town, name, 1 + i, startMs + day * DAY_MS, out).map(lasting))
  })
  return out.slice(known.length)
}

const LASTS_MS = 12 * DAY_MS
const QUIET_LEAK_M3H = 0.048

function lasting(e: Effect): Effect {
  if (e.type === 'bypass') return { ...e, endMs: e.startMs + LASTS_MS }
  if (e.type === 'customer_leak') return { ...e, subtype: 'constant', m3h: QUIET_LEAK_M3H, endMs: e.startMs + LASTS_MS }
  return e
}

export function beginSequence(liveMs: number): SequenceState {
  return { next: 0, nextMs: liveMs }
}

/**
 * Effects of the endless sequence that begin from `fromMs` on and before `untilMs`; moves the state on.
 * @param factor simulated seconds per real second: the first three come within two minutes of real time
 */
export function advanceSequence(
  town: Town,
  state: SequenceState,
  o: { liveMs: number; fromMs: number; untilMs: number; factor: number; effects: readonly Effect[] },
): Effect[] {
  const out: Effect[] = []
  for (;;) {
    const k = state.next
    const first = AT_FIRST[k]
    // A restart with a smaller factor must not let something begin in the past.
    const startMs = Math.max(o.fromMs, first === undefined ? state.nextMs : o.liveMs + first[0] * SECOND_MS * o.factor)
    if (startMs >= o.untilMs) return out
    const random = makeRandom(town.plan.seed * 7 + k * 13 + 3)
    const name = first?.[1] ?? random.weighted(SCENARIOS.map((s) => [s.name, s.weight] as const))
    out.push(...planScenario(town, name, 101 + k, startMs, [...o.effects, ...out]))
    state.next = k + 1
    state.nextMs = startMs + random.between(GAP_HOURS[0], GAP_HOURS[1]) * HOUR_MS + MINUTE_MS
  }
}

// The whole simulated world, stepped five minutes at a time: water, power, the gateways between them and the utility, crews, and what
// happens to all of these. A step's messages are in order of receipt and come after those of the step before. The state is plain data.
import { DAY_MS } from '#model/time.ts'
import { type Crews, type CrewsState, makeCrews } from './crews.ts'
import type { Message } from './gateways/entry.ts'
import { type Field, type FieldState, makeField } from './gateways/field.ts'
import { makePowerSim, type PowerSim, type PowerState, type PowerStep, QUARTER_MS } from './power/sim.ts'
import type { Effect } from './scenarios/effect.ts'
import { advanceSequence, beginSequence, type SequenceState } from './scenarios/sequence.ts'
import type { Town } from './town/types.ts'
import { makeWaterSim, STEP_MS, type WaterSim, type WaterState, type WaterStep } from './water/sim.ts'

export { STEP_MS } from './water/sim.ts'

/** Raise it when a saved state can no longer be used. */
export const STATE_VERSION = 1
/** Effects are forgotten this long after their end. */
const FORGET_AFTER_MS = 3 * DAY_MS

export interface WorldState {
  version: number
  seed: number
  /** Start of the next step: its readings are of this instant, its messages are received in the five minutes after it. */
  nextMs: number
  water: WaterState
  power: PowerState
  field: FieldState
  crews: CrewsState
  effects: Effect[]
  sequence: SequenceState
}

export interface StepOutput {
  messages: Message[]
  /** Absent when the world has no water part. */
  water: WaterStep | undefined
  /** Only at whole quarter hours. */
  power: PowerStep | undefined
  /** Effects that the sequence added in this step. */
  added: Effect[]
}

export interface StepOptions {
  /** From this instant on crews move and the endless sequence of scenarios runs. */
  liveMs: number
  /** Simulated seconds per real second; only the first scenarios of the sequence depend on it. */
  factor: number
  /** False: no sequence. */
  sequence: boolean
}

/** Which halves of the town are simulated. */
export interface Parts {
  water: boolean
  power: boolean
  /** Electric meters read at whole multiples of this; a quarter hour by default. */
  powerIntervalMs?: number
}

export interface World {
  town: Town
  initial(startMs: number, effects: readonly Effect[], liveMs: number): WorldState
  step(state: WorldState, options: StepOptions): StepOutput
  water: WaterSim
  power: PowerSim
  close(): void
}

/** Loads EPANET and everything else that a town needs to run. */
export async function makeWorld(town: Town, timezone: string, parts: Parts = { water: true, power: true }): Promise<World> {
  const water = await makeWaterSim(town, timezone)
  const power = makePowerSim(town, timezone, parts.powerIntervalMs)
  const field: Field = makeField(town)
  const crews: Crews = makeCrews(town)
  return {
    town,
    water,
    power,
    initial: (startMs, effects, liveMs) => ({
      version: STATE_VERSION,
      seed: town.plan.seed,
      nextMs: startMs,
      water: water.initial(),
      power: power.initial(),
      field: field.initial(),
      crews: crews.initial(),
      effects: [...effects],
      sequence: beginSequence(liveMs),
    }),
    step: (state, o) => {
      const at = state.nextMs
      const live = at >= o.liveMs
      const added =
        live && o.sequence
          ? advanceSequence(town, state.sequence, {
              liveMs: o.liveMs,
              fromMs: at,
              untilMs: at + STEP_MS,
              factor: o.factor,
              effects: state.effects,
            })
          : []
      state.effects.push(...added)
      const waterStep = parts.water ? water.step(state.water, at - STEP_MS, state.effects) : undefined
      const powerStep = parts.power && at % QUARTER_MS === 0 ? power.step(state.power, at, state.effects) : undefined
      const readings = [...(waterStep?.readings ?? []), ...(powerStep?.readings ?? [])]
      const messages = field.step(state.field, at, STEP_MS, readings, state.effects)
      const all = live ? merge(messages, crews.step(state.crews, at, STEP_MS, state.effects)) : messages
      state.nextMs = at + STEP_MS
      if (live) state.effects = state.effects.filter((e) => e.endMs > at - FORGET_AFTER_MS)
      return { messages: all, water: waterStep, power: powerStep, added }
    },
    close: () => water.close(),
  }
}

function merge(a: readonly Message[], b: readonly Message[]): Message[] {
  return [...a, ...b].sort((x, y) => x.atMs - y.atMs)
}

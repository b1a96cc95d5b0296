// Runs a world over the span of a data set and writes its rows, summing up the truth on the way.
import { toIso } from '#model/time.ts'
import type { Message } from '../gateways/entry.ts'
import type { Effect } from '../scenarios/effect.ts'
import type { Town } from '../town/types.ts'
import { makeWorld, type Parts, STEP_MS } from '../world.ts'
import { type Losses, makeLosses } from './labels.ts'
import type { PowerTruth } from './power-labels.ts'
import type { WildField } from './wild.ts'
import { writeRows } from './write.ts'

export interface SimulateOptions {
  town: Town
  timezone: string
  parts: Parts
  effects: readonly Effect[]
  startMs: number
  endMs: number
  /** Folder that exists. */
  dir: string
  powerTruth: PowerTruth | undefined
  /** Puts trouble into what was sent; the truth of what was delivered is without it. */
  wild?: WildField | undefined
  say: (line: string) => void
}

export interface Simulated {
  rows: { readings: number; events: number }
  /** Rows of water meters among the readings. */
  meterRows: number
  losses: Losses
  /** Mean net inflow of each district, m3/h. */
  inflowM3h: number[]
}

const NEVER = Number.POSITIVE_INFINITY
const SAY_EVERY_STEPS = 2016

/**
 * The last readings are those of the end itself, which arrive in the minutes after it. No longer: what trickled in afterwards, with no
 * fresh readings beside it, would look as if the others had fallen silent.
 */
const TAIL_MS = STEP_MS

export async function simulate(o: SimulateOptions): Promise<Simulated> {
  const { town, startMs, endMs, powerTruth } = o
  const world = await makeWorld(town, o.timezone, o.parts)
  const rows = writeRows(o.dir)
  const losses = makeLosses(startMs, endMs)
  const state = world.initial(startMs, o.effects, NEVER)
  const inflowM3h = town.plan.districts.map(() => 0)
  let meterRows = 0
  for (let steps = 0; state.nextMs < endMs + TAIL_MS; steps++) {
    const atMs = state.nextMs
    const out = world.step(state, { liveMs: NEVER, factor: 1, sequence: false })
    if (out.water !== undefined && atMs <= endMs) {
      const { result, lossM3h } = out.water
      losses.add(atMs - STEP_MS, lossM3h, STEP_MS / 1000)
      town.water.flowMeters.forEach((f, i) => {
        const mean = ((result.flowM3h[i] as number) * STEP_MS) / (endMs - startMs)
        for (const t of f.flows) inflowM3h[t.district] = (inflowM3h[t.district] as number) + t.sign * mean
      })
    }
    if (out.power !== undefined && atMs <= endMs) powerTruth?.add(atMs, out.power)
    const sent: Message[] = []
    for (const m of out.messages) {
      if (m.kind !== 'readings') continue
      const kept = { ...m, readings: m.readings.filter((r) => r.tsMs <= endMs), events: m.events.filter((e) => e.tsMs <= endMs) }
      meterRows += kept.readings.filter((r) => r.quantity === 'water_volume_m3').length
      powerTruth?.deliver(kept)
      sent.push(kept)
    }
    for (const m of o.wild?.pass(sent, state.nextMs) ?? sent) await rows.write(m)
    if (steps % SAY_EVERY_STEPS === 0) o.say(`${toIso(atMs)}, ${rows.rows.readings} readings`)
  }
  world.close()
  await rows.close()
  return { rows: rows.rows, meterRows, losses, inflowM3h }
}

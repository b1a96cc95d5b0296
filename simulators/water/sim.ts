// One 5-minute step of the water side: what everybody draws, EPANET, registers, and what the sensors then read.

import { DAY_MS, HOUR_MS, localHour, MINUTE_MS } from '#model/time.ts'
import type { RawReading } from '../gateways/entry.ts'
import { hashNormal, hashUniform, keyOf } from '../random.ts'
import { type CustomerLeak, customerLeakM3h, during, type Effect, growth, type SensorFault } from '../scenarios/effect.ts'
import { PREMISE_TYPES, type Premise, type Town, type WaterNode } from '../town/types.ts'
import { drawLitres, habit, mood, unmeteredM3h } from './demand.ts'
import { type HydraulicState, type Hydraulics, openHydraulics, type StepResult } from './hydraulics.ts'

export const STEP_MS = 5 * MINUTE_MS

/** Plain data, saved with the simulation. */
export interface WaterState {
  hydraulic: HydraulicState
  /** What each water meter's face shows, m3 with all digits. */
  registerM3: Float64Array
  /** Values at which stuck sensors stand. */
  stuck: Record<string, number>
}

export interface WaterStep {
  readings: RawReading[]
  result: StepResult
  /** Effect id to m3/h of network leaks and customer leaks, for labels. */
  lossM3h: Map<string, number>
  /** Consumption of each district, m3/h, metered and not. */
  consumptionM3h: number[]
  /** Consumption behind smart meters only. */
  meteredM3h: number[]
}

export interface WaterSim {
  initial(): WaterState
  /** Simulates [startMs, startMs + 5 min); readings carry the end as their time. */
  step(state: WaterState, startMs: number, effects: readonly Effect[]): WaterStep
  hydraulics: Hydraulics
  close(): void
}

const PRESSURE_NOISE_BAR = 0.005
const FLOW_NOISE_SHARE = 0.006
const FLOW_NOISE_M3H = 0.04
const LEVEL_NOISE_M = 0.004
/** A sensor's rare nonsense: one reading in 50,000. */
const SPIKE = 2e-5
const SPIKES = [0, 99.999, 9999] as const

const SENSE = keyOf('sense')

export async function makeWaterSim(town: Town, timezone: string): Promise<WaterSim> {
  const hydraulics = await openHydraulics(town.plan, town.water)
  return {
    hydraulics,
    initial: () => ({ hydraulic: hydraulics.initial(), registerM3: Float64Array.from(town.waterMeters, (m) => m.startM3), stuck: {} }),
    step: (state, startMs, effects) => {
      const draw = drawStep(town, timezone, state, startMs, effects)
      const leaks = leakCoefficients(startMs, effects)
      const result = hydraulics.step(state.hydraulic, {
        demandM3h: draw.demandM3h,
        leaks: leaks.byNode,
        seconds: STEP_MS / 1000,
        prvShiftM: new Map(during(effects, 'prv', startMs, startMs + 1).map((e) => [e.link, e.shiftM])),
        pumpStartShiftM: during(effects, 'pump', startMs, startMs + 1).reduce((s, e) => s + e.shiftM, 0),
      })
      for (const l of leaks.list) {
        const all = leaks.byNode.get(l.node) as number
        draw.lossM3h.set(l.id, ((result.leakM3h.get(l.node) ?? 0) * l.c) / all)
      }
      return { readings: read(town, state, startMs + STEP_MS, result, effects), result, ...draw }
    },
    close: () => hydraulics.close(),
  }
}

function leakCoefficients(
  startMs: number,
  effects: readonly Effect[],
): { byNode: Map<number, number>; list: { id: string; node: number; c: number }[] } {
  const byNode = new Map<number, number>()
  const list: { id: string; node: number; c: number }[] = []
  for (const e of during(effects, 'leak', startMs, startMs + STEP_MS)) {
    const c = e.coefficient * growth(e, startMs + STEP_MS / 2)
    if (c <= 0) continue
    list.push({ id: e.id, node: e.node, c })
    byNode.set(e.node, (byNode.get(e.node) ?? 0) + c)
  }
  return { byNode, list }
}

interface Draw {
  demandM3h: Float64Array
  lossM3h: Map<string, number>
  consumptionM3h: number[]
  meteredM3h: number[]
}

/** Draws everybody's use of a step, turns registers and sums it per junction. */
function drawStep(town: Town, timezone: string, state: WaterState, startMs: number, effects: readonly Effect[]): Draw {
  const { seed } = town.plan
  const step = Math.floor(startMs / STEP_MS)
  const { minuteOfDay, weekday } = localHour(timezone, startMs)
  const change = during(effects, 'demand', startMs, startMs + 1)
  const restDay = weekday === 0 || weekday === 6 || change.some((e) => e.kind === 'holiday')
  const factor = change.reduce((f, e) => f * e.factor, 1)
  const habits = Object.fromEntries(PREMISE_TYPES.map((t) => [t, habit(t, minuteOfDay, restDay) * factor])) as Record<
    Premise['type'],
    number
  >
  const moods = town.plan.districts.map((_, d) => mood(seed, d, step))
  const demandM3h = new Float64Array(town.water.nodes.length)
  const consumptionM3h = moods.map(() => 0)
  const meteredM3h = moods.map(() => 0)
  town.water.nodes.forEach((n, i) => {
    if (n.unmeteredM3h === 0) return
    const q = unmeteredM3h(seed, i, n.unmeteredM3h, step, habits.flats * (moods[n.district] as number))
    demandM3h[i] = q
    consumptionM3h[n.district] = (consumptionM3h[n.district] as number) + q
  })
  const extra = customerExtras(startMs, minuteOfDay, effects)
  town.waterMeters.forEach((m, i) => {
    const p = town.premises[m.premise] as Premise
    const litres = drawLitres(seed, m.premise, p, step, habits[p.type] * (moods[p.district] as number))
    const m3h = (litres * 12) / 1000 + (extra.m3h.get(i) ?? 0)
    state.registerM3[i] = ((state.registerM3[i] as number) + m3h / 12) % 100_000
    demandM3h[p.node] = (demandM3h[p.node] as number) + m3h
    consumptionM3h[p.district] = (consumptionM3h[p.district] as number) + m3h
    meteredM3h[p.district] = (meteredM3h[p.district] as number) + m3h
  })
  for (const e of during(effects, 'node_use', startMs, startMs + STEP_MS)) {
    const share = (Math.min(e.endMs, startMs + STEP_MS) - Math.max(e.startMs, startMs)) / STEP_MS
    if (e.hours !== undefined && !between(minuteOfDay / 60, e.hours)) continue
    const d = (town.water.nodes[e.node] as WaterNode).district
    demandM3h[e.node] = (demandM3h[e.node] as number) + e.m3h * share
    consumptionM3h[d] = (consumptionM3h[d] as number) + e.m3h * share
  }
  for (const e of during(effects, 'meter_swap', startMs, startMs + STEP_MS)) {
    if (e.startMs >= startMs) state.registerM3[e.meter] = 0.012 + hashUniform(seed, SENSE, e.meter, step) / 5
  }
  return { demandM3h, lossM3h: extra.lossM3h, consumptionM3h, meteredM3h }
}

/** True when an hour lies in a range that may pass midnight. */
function between(hour: number, [from, to]: readonly [number, number]): boolean {
  return from <= to ? hour >= from && hour < to : hour >= from || hour < to
}

function customerExtras(
  startMs: number,
  minuteOfDay: number,
  effects: readonly Effect[],
): { m3h: Map<number, number>; lossM3h: Map<string, number> } {
  const m3h = new Map<number, number>()
  const lossM3h = new Map<string, number>()
  const add = (meter: number, q: number): void => {
    m3h.set(meter, (m3h.get(meter) ?? 0) + q)
  }
  for (const e of effects) {
    if (e.type === 'customer_leak') {
      const q = customerLeakM3h(e as CustomerLeak, startMs)
      if (q <= 0) continue
      add(e.meter, q)
      lossM3h.set(e.id, q)
    } else if (e.type === 'customer_use' && startMs >= e.startMs && startMs < e.endMs) {
      if (e.minutes === undefined || (minuteOfDay >= e.minutes[0] && minuteOfDay < e.minutes[1])) add(e.meter, e.m3h)
    }
  }
  return { m3h, lossM3h }
}

const round = (v: number, digits: number): number => {
  const f = 10 ** digits
  return Math.round(v * f) / f
}

/** What the devices say at the end of a step. */
function read(town: Town, state: WaterState, atMs: number, result: StepResult, effects: readonly Effect[]): RawReading[] {
  const { seed } = town.plan
  const { water } = town
  const step = Math.floor(atMs / STEP_MS)
  const out: RawReading[] = []
  const faults = new Map(during(effects, 'sensor_fault', atMs - 1, atMs).map((e) => [e.device, e]))
  const noise = (key: number): number => hashNormal(seed, SENSE, key, step)
  const put = (device: string, key: number, quantity: RawReading['quantity'], truth: number, digits: number): void => {
    let value = distort(faults.get(device), state, device, truth, atMs)
    if (hashUniform(seed, SENSE + 1, key, step) < SPIKE) value = SPIKES[step % SPIKES.length] as number
    out.push({ device, quantity, tsMs: atMs, value: round(value, digits) })
  }
  water.pressureSensors.forEach((s, i) => {
    put(s.id, i, 'pressure_bar', Math.max(0, (result.pressureBar[i] as number) + PRESSURE_NOISE_BAR * noise(i)), 3)
  })
  water.flowMeters.forEach((m, i) => {
    const q = result.flowM3h[i] as number
    const still = Math.abs(q) < 0.02
    put(m.id, 1000 + i, 'flow_m3h', still ? 0 : q * (1 + FLOW_NOISE_SHARE * noise(1000 + i)) + FLOW_NOISE_M3H * noise(2000 + i), 2)
  })
  water.levelSensors.forEach((s, i) => {
    put(s.id, 3000 + i, 'level_m', (result.levelM[s.tank] as number) + LEVEL_NOISE_M * noise(3000 + i), 3)
  })
  water.pumpSensors.forEach((s) => {
    out.push({ device: s.id, quantity: 'pump_running', tsMs: atMs, value: result.pumpOn[s.pump] ? 1 : 0 })
  })
  for (const name of Object.keys(state.stuck)) if (!faults.has(name)) delete state.stuck[name]
  if (atMs % HOUR_MS === 0) {
    town.waterMeters.forEach((m, i) => {
      // A mechanical register shows whole litres that have passed.
      out.push({
        device: m.id,
        quantity: 'water_volume_m3',
        tsMs: atMs,
        value: Math.floor((state.registerM3[i] as number) * 1000 + 1e-6) / 1000,
      })
    })
  }
  return out
}

function distort(fault: SensorFault | undefined, state: WaterState, device: string, truth: number, atMs: number): number {
  if (fault === undefined) return truth
  if (fault.kind === 'drift') return truth + (fault.amount * (atMs - fault.startMs)) / DAY_MS
  if (fault.kind === 'bias') return truth * (1 + fault.amount)
  const at = state.stuck[device] ?? truth
  state.stuck[device] = at
  return at
}

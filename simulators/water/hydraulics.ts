// EPANET, one snapshot at a time. Each step is solved from the same starting point, so that the result depends on its inputs alone
// (demands, leaks, tank levels, pump switches) and not on what was solved before: a simulation resumed in the middle gives the very
// same figures. Tank levels and pump switches are carried here, between the snapshots.
import type { TownPlan } from '../town/plan.ts'
import type { WaterNetwork, WaterNode } from '../town/types.ts'
import { INIT_FLOW, LINK, NODE, openModel } from './epanet.ts'
import { toInp } from './inp.ts'

/** Pressure of one metre of water column, bar. */
export const BAR_PER_M = 0.0980665

/** What hydraulics carry from step to step. Plain data. */
export interface HydraulicState {
  levelM: number[]
  pumpOn: boolean[]
}

export interface StepInput {
  /** Consumption per node over the step, m3/h. */
  demandM3h: Float64Array
  /** Extra emitter coefficients (leaks), node to m3/h per sqrt(m). */
  leaks: ReadonlyMap<number, number>
  /** Changes of PRV settings, link to metres. */
  prvShiftM: ReadonlyMap<number, number>
  /** Change of the level at which the pumps start, m. */
  pumpStartShiftM: number
  seconds: number
}

export interface StepResult {
  /** Per pressure sensor. */
  pressureBar: Float64Array
  /** Per flow meter, positive from `from` to `to` of its link. */
  flowM3h: Float64Array
  /** Per tank at the end of the step. */
  levelM: number[]
  pumpOn: boolean[]
  /** What all emitters of each district let out (background and leaks), m3/h. */
  leakageM3h: number[]
  /** Flow of each leak of the input, node to m3/h, background at the node left out. */
  leakM3h: Map<number, number>
}

export interface Hydraulics {
  initial(): HydraulicState
  /** Solves one step and moves tanks and pumps on; `state` is changed in place. */
  step(state: HydraulicState, input: StepInput): StepResult
  /** Pressure at every node for given inputs, bar, without moving anything: for choosing and checking leaks. */
  pressures(state: HydraulicState, input: StepInput): Float64Array
  close(): void
}

/** Loads the EPANET engine (WebAssembly) and the network into it. */
export async function openHydraulics(plan: TownPlan, net: WaterNetwork): Promise<Hydraulics> {
  const model = await openModel(toInp(plan, net, (i) => (net.nodes[i] as WaterNode).unmeteredM3h, false))
  const nodeIndex = net.nodes.map((n) => model.getNodeIndex(n.id))
  const linkIndex = net.links.map((l) => model.getLinkIndex(l.id))
  const junctions = net.nodes.map((_, i) => i).filter((i) => net.nodes[i]?.kind === 'junction')
  const emitters = Float64Array.from(net.nodes, (n) => n.backgroundC)
  const settings = new Map<number, number>()

  const setEmitter = (node: number, c: number): void => {
    if (emitters[node] === c) return
    emitters[node] = c
    model.setNodeValue(nodeIndex[node] as number, NODE.emitter, c)
  }
  let leaking: readonly number[] = []

  const solve = (state: HydraulicState, input: StepInput): void => {
    for (const i of junctions) model.setNodeValue(nodeIndex[i] as number, NODE.baseDemand, input.demandM3h[i] as number)
    for (const n of leaking) if (!input.leaks.has(n)) setEmitter(n, (net.nodes[n] as WaterNode).backgroundC)
    for (const [n, c] of input.leaks) setEmitter(n, (net.nodes[n] as WaterNode).backgroundC + c)
    leaking = [...input.leaks.keys()]
    net.links.forEach((l, i) => {
      if (l.kind !== 'valve') return
      const setting = (l.settingM as number) + (input.prvShiftM.get(i) ?? 0)
      if (settings.get(i) === setting) return
      settings.set(i, setting)
      model.setLinkValue(linkIndex[i] as number, LINK.initSetting, setting)
    })
    net.tanks.forEach((t, k) => {
      model.setNodeValue(nodeIndex[t.node] as number, NODE.tankLevel, state.levelM[k] as number)
    })
    net.pumps.forEach((p, k) => {
      model.setLinkValue(linkIndex[p.link] as number, LINK.initStatus, state.pumpOn[k] ? 1 : 0)
    })
    model.initH(INIT_FLOW)
    model.runH()
  }

  return {
    initial: () => ({ levelM: net.tanks.map((t) => t.startLevelM), pumpOn: net.pumps.map(() => true) }),
    step: (state, input) => {
      solve(state, input)
      const demandOf = (i: number): number => model.getNodeValue(nodeIndex[i] as number, NODE.demand)
      const result: StepResult = {
        pressureBar: Float64Array.from(
          net.pressureSensors,
          (s) => model.getNodeValue(nodeIndex[s.node] as number, NODE.pressure) * BAR_PER_M,
        ),
        flowM3h: Float64Array.from(net.flowMeters, (m) => model.getLinkValue(linkIndex[m.link] as number, LINK.flow)),
        levelM: [],
        pumpOn: [...state.pumpOn],
        leakageM3h: net.meanDemandM3h.map(() => 0),
        leakM3h: new Map(),
      }
      for (const i of junctions) {
        if ((emitters[i] as number) === 0) continue
        const out = demandOf(i) - (input.demandM3h[i] as number)
        const n = net.nodes[i] as WaterNode
        if (n.district >= 0) result.leakageM3h[n.district] = (result.leakageM3h[n.district] as number) + out
        const c = input.leaks.get(i)
        if (c !== undefined) result.leakM3h.set(i, out * (c / (emitters[i] as number)))
      }
      net.tanks.forEach((t, k) => {
        const area = (Math.PI * t.diameterM ** 2) / 4
        const level = (state.levelM[k] as number) + (demandOf(t.node) * input.seconds) / 3600 / area
        state.levelM[k] = Math.min(t.maxLevelM, Math.max(t.minLevelM, level))
      })
      result.levelM = [...state.levelM]
      net.pumps.forEach((p, k) => {
        const level = state.levelM[p.tank] as number
        if (level <= p.onBelowM + input.pumpStartShiftM) state.pumpOn[k] = true
        else if (level >= p.offAboveM) state.pumpOn[k] = false
      })
      return result
    },
    pressures: (state, input) => {
      solve(state, input)
      return Float64Array.from(net.nodes, (_, i) => model.getNodeValue(nodeIndex[i] as number, NODE.pressure) * BAR_PER_M)
    },
    close: () => {
      model.closeH()
      model.close()
    },
  }
}

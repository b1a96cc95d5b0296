// The network as an EPANET 2.2 input file: what the simulator itself solves, and what an engineer opens in any EPANET tool.
import { type TownPlan, toLonLat } from '../town/plan.ts'
import type { WaterNetwork } from '../town/types.ts'

/**
 * EPANET input text: flows in m3/h, lengths in m, diameters in mm, mean demands as base demands, background leakage as emitters.
 * `controls`: with the pumps' level controls; the simulator switches its pumps itself and leaves them out.
 */
export function toInp(plan: TownPlan, net: WaterNetwork, meanDemandM3h: (node: number) => number, controls = true): string {
  const id = (i: number): string => net.nodes[i]?.id as string
  const out: string[] = ['[TITLE]', `${plan.name}, generated, seed ${plan.seed}`, '']
  const section = (name: string, rows: string[]): void => {
    out.push(`[${name}]`, ...rows, '')
  }
  const nodes = net.nodes.map((n, i) => ({ n, i }))
  section(
    'JUNCTIONS',
    nodes.filter((x) => x.n.kind === 'junction').map((x) => `${x.n.id}\t${x.n.elevationM}\t${meanDemandM3h(x.i).toFixed(5)}`),
  )
  section(
    'RESERVOIRS',
    nodes.filter((x) => x.n.kind === 'reservoir').map((x) => `${x.n.id}\t${x.n.elevationM}`),
  )
  section(
    'TANKS',
    net.tanks.map(
      (t) => `${id(t.node)}\t${net.nodes[t.node]?.elevationM}\t${t.startLevelM}\t${t.minLevelM}\t${t.maxLevelM}\t${t.diameterM}\t0`,
    ),
  )
  section(
    'PIPES',
    net.links
      .filter((l) => l.kind === 'pipe')
      .map((l) => `${l.id}\t${id(l.from)}\t${id(l.to)}\t${l.lengthM}\t${l.diameterMm}\t${l.roughness}\t0\tOpen`),
  )
  section(
    'PUMPS',
    net.pumps.map((p, i) => {
      const l = net.links[p.link] as { id: string; from: number; to: number }
      return `${l.id}\t${id(l.from)}\t${id(l.to)}\tHEAD C-${i + 1}`
    }),
  )
  section(
    'VALVES',
    net.links.filter((l) => l.kind === 'valve').map((l) => `${l.id}\t${id(l.from)}\t${id(l.to)}\t${l.diameterMm}\tPRV\t${l.settingM}\t0.2`),
  )
  section(
    'CURVES',
    net.pumps.map((p, i) => `C-${i + 1}\t${p.flowM3h}\t${p.headM}`),
  )
  section(
    'CONTROLS',
    (controls ? net.pumps : []).flatMap((p) => [
      `LINK ${net.links[p.link]?.id} OPEN IF NODE ${id(net.tanks[p.tank]?.node as number)} BELOW ${p.onBelowM}`,
      `LINK ${net.links[p.link]?.id} CLOSED IF NODE ${id(net.tanks[p.tank]?.node as number)} ABOVE ${p.offAboveM}`,
    ]),
  )
  section(
    'EMITTERS',
    nodes.filter((x) => x.n.backgroundC > 0).map((x) => `${x.n.id}\t${x.n.backgroundC.toFixed(7)}`),
  )
  section('TIMES', ['Duration\t24:00', 'Hydraulic Timestep\t0:05', 'Pattern Timestep\t0:05', 'Report Timestep\t0:05'])
  section('OPTIONS', [
    'Units\tCMH',
    'Headloss\tH-W',
    'Trials\t100',
    'Accuracy\t0.0005',
    'Unbalanced\tContinue 10',
    'Emitter Exponent\t0.5',
    'Quality\tNone',
  ])
  section('REPORT', ['Status\tNo', 'Summary\tNo', 'Messages\tNo'])
  section(
    'COORDINATES',
    nodes.map((x) => `${x.n.id}\t${toLonLat(plan, x.n.x, x.n.y).join('\t')}`),
  )
  section(
    'VERTICES',
    net.links.flatMap((l) => l.via.map(([x, y]) => `${l.id}\t${toLonLat(plan, x, y).join('\t')}`)),
  )
  out.push('[END]', '')
  return out.join('\n')
}

// Representative places of a district, spread evenly, with what a leak at each would do to the sensors: what the second stage needs to
// place a leak, small enough to be sent and kept.
import { type DistrictModel, distanceM, type PipeNode, type Sensitivity } from './hydraulics.ts'

/** At most this many places a district: some 80 m apart in a district of 1.5 km. */
export const PLACES_MAX = 80

export interface Places {
  /** A pipe at each place. */
  pipes: string[]
  /** Metres east and north of an origin of the district. */
  x: number[]
  y: number[]
  /** place * sensors + sensor: fall beyond that of evenly spread demand, bar per m3/h. */
  fall: number[]
}

/** Spread out: each next place is the node farthest from those chosen (Gonzalez 1985); the first is the one nearest the middle. */
function spread(m: DistrictModel, nodes: readonly number[]): number[] {
  const middle = {
    x: nodes.reduce((a, i) => a + (m.nodes[i] as PipeNode).x, 0) / nodes.length,
    y: nodes.reduce((a, i) => a + (m.nodes[i] as PipeNode).y, 0) / nodes.length,
  }
  let next = nodes.reduce((a, i) => (distanceM(m.nodes[i] as PipeNode, middle) < distanceM(m.nodes[a] as PipeNode, middle) ? i : a))
  const far = new Map(nodes.map((i) => [i, Number.POSITIVE_INFINITY]))
  const chosen: number[] = []
  while (chosen.length < Math.min(PLACES_MAX, nodes.length)) {
    chosen.push(next)
    let top = -1
    const here = m.nodes[next] as PipeNode
    for (const [i, d] of far) {
      const v = Math.min(d, distanceM(m.nodes[i] as PipeNode, here))
      far.set(i, v)
      if (v > top) {
        top = v
        next = i
      }
    }
    if (top <= 0) break
  }
  return chosen
}

/** Places, by node; those without a pipe are left out. */
export function placesOf(m: DistrictModel, s: Sensitivity, sensors: number): Places {
  const n = m.nodes.length
  const pipeOf = new Map<number, { pipe: string; half: number }>()
  for (let l = 0; l < m.pipe.length; l++) {
    const a = m.from[l] as number
    const b = m.to[l] as number
    const half = distanceM(m.nodes[a] as PipeNode, m.nodes[b] as PipeNode) / 2
    for (const i of [a, b]) if (half < (pipeOf.get(i)?.half ?? Number.POSITIVE_INFINITY)) pipeOf.set(i, { pipe: m.pipe[l] as string, half })
  }
  const even = Array.from(
    { length: sensors },
    (_, k) => s.reached.reduce((a, i) => a + (s.fall[k * n + i] as number), 0) / s.reached.length,
  )
  const out: Places = { pipes: [], x: [], y: [], fall: [] }
  for (const i of spread(m, s.reached)) {
    const pipe = pipeOf.get(i)
    if (pipe === undefined) continue
    out.pipes.push(pipe.pipe)
    out.x.push(Math.round((m.nodes[i] as PipeNode).x))
    out.y.push(Math.round((m.nodes[i] as PipeNode).y))
    for (let k = 0; k < sensors; k++) out.fall.push(Number(((s.fall[k * n + i] as number) - (even[k] as number)).toPrecision(4)))
  }
  return out
}

// Repair crews on the map: they drive along streets, on patrol or to the nearest trouble that their skills fit, and stay until it is over.
import { MINUTE_MS } from '#model/time.ts'
import type { Message } from './gateways/entry.ts'
import { hashUniform, keyOf } from './random.ts'
import type { Effect } from './scenarios/effect.ts'
import { type Graph, makeGraph, pathTo, shortestPaths } from './town/graph.ts'
import { toLonLat } from './town/plan.ts'
import { nearestNode, streetEdges } from './town/premises.ts'
import type { Town } from './town/types.ts'

const SPEED_KMH = 26
const POSITION_EVERY_MS = MINUTE_MS
/** A crew is sent some minutes after the trouble began: it has to be found first. */
const DISPATCH_AFTER_MS = 8 * MINUTE_MS

interface CrewState {
  /** Street nodes still to come. */
  path: number[]
  x: number
  y: number
  /** The effect it works on, '' on patrol. */
  job: string
  restUntilMs: number
}

export type CrewsState = CrewState[]

export interface Crews {
  initial(): CrewsState
  /** Positions sent in [startMs, startMs + spanMs), in order. */
  step(state: CrewsState, startMs: number, spanMs: number, effects: readonly Effect[]): Message[]
}

const CREW = keyOf('crew')

export function makeCrews(town: Town): Crews {
  const graph = makeGraph(town.streets.nodes.length, streetEdges(town.streets))
  return {
    initial: () => town.crews.map((c) => ({ path: [], x: c.x, y: c.y, job: '', restUntilMs: 0 })),
    step: (state, startMs, spanMs, effects) => {
      const out: Message[] = []
      for (let at = startMs; at < startMs + spanMs; at += POSITION_EVERY_MS) {
        dispatch(town, graph, state, at, effects)
        state.forEach((c, i) => {
          const driven = drive(town, c)
          if (c.path.length === 0 && c.job === '' && at >= c.restUntilMs) patrol(town, graph, c, i, at)
          const [lon, lat] = toLonLat(town.plan, c.x, c.y)
          out.push({
            kind: 'crew',
            atMs: at + 1000 * (i + 1),
            crew: town.crews[i]?.id as string,
            lon,
            lat,
            speedKmh: driven ? SPEED_KMH : 0,
            batteryPct: 60 + (Math.floor(at / 3_600_000 + i * 7) % 40),
          })
        })
      }
      return out
    },
  }
}

/** Gives work that nobody does to the nearest crew on patrol that can do it. */
function dispatch(town: Town, graph: Graph, state: CrewsState, at: number, effects: readonly Effect[]): void {
  const going = new Set(effects.filter((e) => e.endMs > at).map((e) => e.id))
  for (const c of state) if (c.job !== '' && !going.has(c.job)) Object.assign(c, { job: '', restUntilMs: at + 5 * MINUTE_MS })
  for (const e of effects) {
    const place = placeOf(town, e)
    if (place === undefined || at < e.startMs + DISPATCH_AFTER_MS || at >= e.endMs || state.some((c) => c.job === e.id)) continue
    const skill = e.type === 'leak' ? 'water' : 'power'
    const free = state.map((c, i) => ({ c, i })).filter(({ c, i }) => c.job === '' && town.crews[i]?.skills.includes(skill))
    free.sort((p, q) => Math.hypot(p.c.x - place.x, p.c.y - place.y) - Math.hypot(q.c.x - place.x, q.c.y - place.y) || p.i - q.i)
    const crew = free[0]?.c
    if (crew === undefined) continue
    crew.job = e.id
    route(town, graph, crew, nearestNode(town.streets, place.x, place.y))
  }
}

function placeOf(town: Town, e: Effect): { x: number; y: number } | undefined {
  if (e.type === 'leak' && e.kind === 'burst') return town.water.nodes[e.node]
  if (e.type !== 'outage' || e.planned || e.level === 'premise') return undefined
  if (e.level === 'transformer') return town.power.transformers.find((t) => t.id === e.node)
  return town.power.substation
}

function route(town: Town, graph: Graph, crew: CrewState, to: number): void {
  const from = nearestNode(town.streets, crew.x, crew.y)
  crew.path = pathTo(graph, shortestPaths(graph, [from]), to)
}

function patrol(town: Town, graph: Graph, crew: CrewState, i: number, at: number): void {
  const minute = Math.floor(at / MINUTE_MS)
  route(town, graph, crew, Math.floor(hashUniform(town.plan.seed, CREW, i, minute) * town.streets.nodes.length))
  crew.restUntilMs = at + (10 + 25 * hashUniform(town.plan.seed, CREW + 1, i, minute)) * MINUTE_MS
}

/** Moves a crew on by one position's worth of driving. @returns true when it moved */
function drive(town: Town, crew: CrewState): boolean {
  let left = (SPEED_KMH / 3.6) * (POSITION_EVERY_MS / 1000)
  let moved = false
  while (left > 0 && crew.path.length > 0) {
    const next = town.streets.nodes[crew.path[0] as number] as { x: number; y: number }
    const away = Math.hypot(next.x - crew.x, next.y - crew.y)
    moved ||= away > 0
    if (away <= left) {
      crew.x = next.x
      crew.y = next.y
      crew.path.shift()
      left -= away
    } else {
      crew.x += ((next.x - crew.x) * left) / away
      crew.y += ((next.y - crew.y) * left) / away
      left = 0
    }
  }
  return moved
}

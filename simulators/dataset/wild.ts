// What goes wrong with a registry and with meters in the field, put into a power data set on purpose: meters moved without notice, meters
// without a transformer, clocks off by an hour, gasps dated in the future, sent twice or delivered hours later, and loops in the topology.
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '#model/time.ts'
import type { Message, RawEvent } from '../gateways/entry.ts'
import { makeRandom, type Random } from '../random.ts'
import type { FeatureCollection } from '../town/features.ts'
import type { Town } from '../town/types.ts'

export interface Wild {
  /** Meters that the registry has at another transformer of the same feeder: [meter, transformer]. */
  moved: [number, number][]
  /** Meters that the registry has at no transformer. */
  homeless: number[]
  /** Device -> its clock minus the truth, ms. */
  clockMs: Map<string, number>
}

const MOVED = 4
const HOMELESS = 3
const OFF_BY_AN_HOUR = 5

export function drawWild(town: Town, seed: number): Wild {
  const r = makeRandom(seed * 3571 + town.plan.seed)
  const { meters, transformers } = town.power
  const customers = r.shuffled(meters.flatMap((m, i) => (m.role === 'customer' && m.lastGasp ? [i] : [])))
  const moved: Wild['moved'] = []
  while (moved.length < MOVED && customers.length > 0) {
    const m = customers.pop() as number
    const others = transformers.flatMap((t, k) => (t.feeder === meters[m]?.feeder && k !== meters[m]?.transformer ? [k] : []))
    if (others.length > 0) moved.push([m, r.pick(others)])
  }
  const homeless = customers.splice(0, HOMELESS)
  const off = customers.splice(0, OFF_BY_AN_HOUR)
  const clockMs = new Map(off.map((m) => [meters[m]?.id as string, (r.next() < 0.5 ? -1 : 1) * HOUR_MS]))
  return { moved, homeless, clockMs }
}

/** The registry as the utility has it: wrong about some meters, and with a ring of references that no meter is at. */
export function misregister(town: Town, wild: Wild, features: FeatureCollection): void {
  const { meters, transformers } = town.power
  const to = new Map<string, string | null>(wild.homeless.map((m) => [meters[m]?.id as string, null]))
  for (const [m, t] of wild.moved) to.set(meters[m]?.id as string, transformers[t]?.id as string)
  for (const { properties: p } of features.features) {
    const transformer = to.get(p.id)
    if (transformer !== undefined) (p as { transformer?: string | null }).transformer = transformer
  }
  const at = { type: 'Point', coordinates: [town.plan.lon, town.plan.lat] }
  const ring = [
    { id: 'FD-RING', kind: 'feeder', substation: 'SS-RING' },
    { id: 'SS-RING', kind: 'substation', parent: 'FD-RING' },
  ]
  for (const properties of ring) features.features.push({ type: 'Feature', geometry: at, properties } as never)
}

/** Shares of gasps and restorations with each trouble. */
const TWICE = 0.15
const LATER = 0.08
const FUTURE = 0.03

/** Passes messages on with the troubles in them, still in order of receipt. */
export class WildField {
  readonly #wild: Wild
  readonly #r: Random
  #held: { atMs: number; gateway: string; event: RawEvent }[] = []

  constructor(wild: Wild, seed: number) {
    this.#wild = wild
    this.#r = makeRandom(seed * 911 + 5)
  }

  pass(messages: readonly Message[], beforeMs: number): Message[] {
    const out = messages.map((m) => (m.kind === 'readings' ? this.#one(m) : m))
    const due = this.#held.filter((h) => h.atMs < beforeMs)
    this.#held = this.#held.filter((h) => h.atMs >= beforeMs)
    for (const { atMs, gateway, event } of due)
      out.push({ kind: 'readings', atMs, gateway, seq: -1, sentAtMs: atMs, readings: [], events: [event] })
    return out.sort((a, b) => a.atMs - b.atMs)
  }

  #one(m: Extract<Message, { kind: 'readings' }>): Message {
    const clock = (device: string) => this.#wild.clockMs.get(device) ?? 0
    const readings = m.readings.map((r) => (clock(r.device) === 0 ? r : { ...r, tsMs: r.tsMs + clock(r.device) }))
    const events: RawEvent[] = []
    for (const e of m.events) {
      const r = this.#r
      const u = r.next()
      const dated = { ...e, tsMs: e.tsMs + clock(e.device) }
      const hold = (ms: number) =>
        this.#held.push({ atMs: m.atMs + Math.round(ms / SECOND_MS) * SECOND_MS, gateway: m.gateway, event: dated })
      if (u < FUTURE) events.push({ ...dated, tsMs: dated.tsMs + Math.round(r.between(1, 48)) * HOUR_MS })
      else if (u < FUTURE + LATER) hold(r.between(10, 180) * MINUTE_MS)
      else {
        events.push(dated)
        if (u > 1 - TWICE) hold(r.between(3, 900) * SECOND_MS)
      }
    }
    return { ...m, readings, events }
  }
}

// A storm over a town: within hours feeders and transformers fail and come back in stages, some premises stay dark after their transformer
// is back, contacts bounce, gateways fail at the same moment, and planned work goes on beside it. Drawn from a seed.
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from '#model/time.ts'
import { metersWithout } from '../power/sim.ts'
import { makeRandom, type Random } from '../random.ts'
import type { Effect, GatewayDown, Outage } from '../scenarios/effect.ts'
import type { Town } from '../town/types.ts'
import type { OperationRow } from '../town.ts'
import type { PowerFaultOptions } from './power-faults.ts'

export interface Storm {
  effects: Effect[]
  operations: OperationRow[]
}

interface Draft extends Storm {
  town: Town
  r: Random
  /** Meter -> end of the last outage that it is in. */
  busy: Map<number, number>
  /** Gateway -> end of its last failure. */
  gatewayBusy: Map<number, number>
  n: number
}

/** Nothing else happens to a meter or gateway for so long before and after: what happened must be told apart by the truth itself. */
const REST_MS = 90 * MINUTE_MS
const second = (ms: number): number => Math.round(ms / SECOND_MS) * SECOND_MS

export function drawStorm(town: Town, o: PowerFaultOptions): Storm {
  const d: Draft = {
    town,
    r: makeRandom(o.seed * 7919 + town.plan.seed),
    effects: [],
    operations: [],
    busy: new Map(),
    gatewayBusy: new Map(),
    n: 0,
  }
  const days = Math.max(1, Math.floor((o.endMs - o.warmupUntilMs) / DAY_MS))
  for (let day = 0; day < days; day++) {
    const fromMs = o.warmupUntilMs + day * DAY_MS + d.r.between(1, 9) * HOUR_MS
    stormOf(d, fromMs, fromMs + d.r.between(3, 6) * HOUR_MS, Math.min(o.endMs, fromMs + 14 * HOUR_MS))
  }
  return { effects: d.effects, operations: d.operations }
}

function stormOf(d: Draft, fromMs: number, toMs: number, lastMs: number): void {
  const { r, town } = d
  const when = (): number => second(r.between(fromMs, toMs))
  const { feeders, transformers } = town.power
  const hit = r.shuffled(feeders.map((_, f) => f)).slice(0, r.next() < 0.5 ? 1 : 2)
  for (const f of hit) {
    const atMs = when()
    feederFails(d, f, atMs, lastMs)
    // A gateway that dies in the same minute as a feeder, elsewhere.
    gatewayFails(d, atMs + second(r.between(-40, 40) * SECOND_MS), lastMs)
  }
  for (const t of r.shuffled(transformers.map((_, k) => k)).slice(0, 10)) {
    const minutes = r.next() < 0.3 ? r.between(1.2, 4.8) : Math.exp(r.between(Math.log(8), Math.log(360)))
    transformerFails(d, t, when(), minutes, lastMs)
  }
  for (let k = 0; k < 2; k++) gatewayFails(d, when(), lastMs)
  for (let k = 0; k < 8; k++) premiseFails(d, when(), lastMs)
  for (let k = 0; k < 6; k++) dip(d, when())
  planned(d, r.pick(transformers.map((_, k) => k)), when(), lastMs)
}

function isFree(d: Draft, meters: readonly number[], atMs: number): boolean {
  return meters.every((m) => (d.busy.get(m) ?? 0) + REST_MS < atMs)
}

function put(d: Draft, level: Outage['level'], node: string, meters: number[], atMs: number, endMs: number, more: Partial<Outage>): void {
  for (const m of meters) d.busy.set(m, Math.max(endMs, ...Object.values(more.restored ?? {})))
  d.n += 1
  d.effects.push({
    type: 'outage',
    id: `S${d.n}-${level}`,
    level,
    node,
    meters,
    gaspShare: d.r.between(0.3, 0.9),
    planned: false,
    startMs: atMs,
    endMs,
    ...more,
  })
}

/** Back in two to four stages, transformer by transformer; two or three premises stay dark. */
function feederFails(d: Draft, f: number, atMs: number, lastMs: number): void {
  const { r, town } = d
  const node = town.power.feeders[f]?.id as string
  const meters = metersWithout(town, 'feeder', node)
  if (!isFree(d, meters, atMs)) return
  const stages = Array.from({ length: 2 + r.int(3) }, () => second(Math.min(lastMs, atMs + r.between(15, 240) * MINUTE_MS)))
  const stageOf = new Map<number, number>()
  const restored: Record<number, number> = {}
  for (const m of meters) {
    const t = town.power.meters[m]?.transformer as number
    if (!stageOf.has(t)) stageOf.set(t, r.pick(stages))
    restored[m] = stageOf.get(t) as number
  }
  const leftBehind = stay(d, meters, restored, 3, lastMs)
  put(d, 'feeder', node, meters, atMs, Math.max(...Object.values(restored)), { restored, leftBehind })
}

/** Some customers with a last gasp that stay dark for an hour or three after the others. */
function stay(d: Draft, meters: readonly number[], restored: Record<number, number>, most: number, lastMs: number): number[] {
  const able = meters.filter((m) => d.town.power.meters[m]?.role === 'customer' && d.town.power.meters[m]?.lastGasp === true)
  const out = d.r.shuffled(able).slice(0, d.r.int(most + 1))
  for (const m of out) restored[m] = second(Math.min(lastMs, (restored[m] as number) + d.r.between(70, 200) * MINUTE_MS))
  return out
}

function transformerFails(d: Draft, t: number, atMs: number, minutes: number, lastMs: number): void {
  const node = d.town.power.transformers[t]?.id as string
  const meters = metersWithout(d.town, 'transformer', node)
  if (meters.length < 4 || !isFree(d, meters, atMs)) return
  const endMs = second(Math.min(lastMs, atMs + minutes * MINUTE_MS))
  if (endMs <= atMs) return
  if (minutes < 20 || d.r.next() < 0.7) {
    put(d, 'transformer', node, meters, atMs, endMs, {})
    return
  }
  const restored: Record<number, number> = Object.fromEntries(meters.map((m) => [m, endMs]))
  const leftBehind = stay(d, meters, restored, 2, lastMs)
  put(d, 'transformer', node, meters, atMs, Math.max(...Object.values(restored)), { restored, leftBehind })
}

function premiseFails(d: Draft, atMs: number, lastMs: number): void {
  const meters = d.town.power.meters.flatMap((m, i) => (m.role === 'customer' && m.lastGasp && isFree(d, [i], atMs) ? [i] : []))
  if (meters.length === 0) return
  const m = d.r.pick(meters)
  const endMs = second(Math.min(lastMs, atMs + d.r.between(45, 240) * MINUTE_MS))
  put(d, 'premise', d.town.power.meters[m]?.id as string, [m], atMs, endMs, { gaspShare: 1 })
}

/** Seconds without supply at one meter: a gasp that means nothing. */
function dip(d: Draft, atMs: number): void {
  const meters = d.town.power.meters.flatMap((m, i) => (m.role === 'customer' && m.lastGasp && isFree(d, [i], atMs) ? [i] : []))
  if (meters.length === 0) return
  const m = d.r.pick(meters)
  put(d, 'premise', d.town.power.meters[m]?.id as string, [m], atMs, atMs + second(d.r.between(2, 20) * SECOND_MS), { gaspShare: 1 })
}

function planned(d: Draft, t: number, atMs: number, lastMs: number): void {
  const node = d.town.power.transformers[t]?.id as string
  const meters = metersWithout(d.town, 'transformer', node)
  const startMs = Math.round(atMs / (15 * MINUTE_MS)) * 15 * MINUTE_MS
  const endMs = Math.min(lastMs, startMs + 90 * MINUTE_MS)
  if (meters.length < 4 || !isFree(d, meters, startMs) || endMs <= startMs) return
  const realMs = startMs + second(d.r.between(0, 240) * SECOND_MS)
  put(d, 'transformer', node, meters, realMs, endMs - second(d.r.between(0, 600) * SECOND_MS), { planned: true })
  d.operations.push({
    knownAtMs: startMs - 2 * DAY_MS,
    kind: 'planned_outage',
    scopeType: 'transformer',
    scope: node,
    startMs,
    endMs,
    note: 'Transformer maintenance',
  })
}

function gatewayFails(d: Draft, atMs: number, lastMs: number): void {
  const { r, town } = d
  const free = town.gateways.flatMap((g, i) => (g.kind === 'power' && (d.gatewayBusy.get(i) ?? 0) + REST_MS < atMs ? [i] : []))
  if (free.length === 0) return
  const gateway = r.pick(free)
  const endMs = second(Math.min(lastMs, atMs + r.between(40, 200) * MINUTE_MS))
  if (endMs <= atMs) return
  d.gatewayBusy.set(gateway, endMs)
  d.n += 1
  const backfill: GatewayDown['backfill'] = r.pick(['oldest_first', 'newest_first', 'lost'])
  d.effects.push({ type: 'gateway_down', id: `S${d.n}-gateway`, gateway, will: r.next() < 0.5, backfill, startMs: atMs, endMs })
}

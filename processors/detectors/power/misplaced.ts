// A meter that the registry has at the wrong transformer. Two independent signs, each of which names the likely right one:
// its load is what one transformer's customers have too much and another's have too little; and it loses supply with another
// transformer's meters while its own neighbours keep theirs.
import type { Compared } from './balance.ts'
import { NONE, type PowerLayout } from './layout.ts'

/** Gasps within so long of the first of them belong to one fault. */
const CLUSTER_MS = 60_000
/** A transformer is dark by so many of its meters. */
const DARK_GASPS = 3
/** With fewer neighbours, their silence says nothing: at a gasp rate of a half, six are all quiet once in sixty-four times. */
const NEIGHBOURS_MIN = 6
/** Outages that speak for another transformer, none for its own. */
const VOTES_MIN = 2
const DAY_H = 24
/** Mean that counts as too much or too little, kW: ten times what the learnt model is off on a quiet day. */
const ODD_KW = 0.08
/** Hours of comparison, and how closely the load must be followed on both sides (correlation; slope 1 within a third). */
const HOURS_MIN = 48
const OWN_R = 0.75
const OTHER_R = 0.6
const SLOPE: readonly [number, number] = [0.67, 1.5]
/** The next transformer must follow clearly less. */
const AHEAD = 0.15

interface Sums {
  hours: number
  /** Of the transformer with too much on its meters: sum and square sum of what is too much, kW. */
  y: number
  yy: number
  /** Customer -> load, its square, its product with what is too much. */
  own: Map<number, [number, number, number]>
  /** Transformer with too little -> sum and square sum of what is too little, and customer -> product with its load. */
  others: Map<number, { z: number; zz: number; xz: Map<number, number> }>
}

export interface Misplaced {
  /** Mean of the last day, kW, by transformer id. */
  meanKw: Map<string, number>
  sums: Map<string, Sums>
  /** Gasps of the fault that is going on: transformer -> meters. */
  cluster: { startMs: number; gasps: Map<number, number[]> }
  /** Meter id -> outages shared with its own transformer, and with others. */
  votes: Map<string, { own: number; others: Map<string, number> }>
}

export interface Proposal {
  meter: number
  /** Index of the likely right transformer. */
  transformer: number
  by: 'balance' | 'outages'
  confidence: number
  evidence: Record<string, string | number>
}

export function createMisplaced(): Misplaced {
  return { meanKw: new Map(), sums: new Map(), cluster: { startMs: 0, gasps: new Map() }, votes: new Map() }
}

/** The meters or transformers changed: what was summed compares other things now. */
export function resetMisplaced(s: Misplaced, layout: PowerLayout): void {
  s.sums.clear()
  s.cluster = { startMs: 0, gasps: new Map() }
  for (const id of s.votes.keys()) if (!layout.index.has(id)) s.votes.delete(id)
}

/** Takes in all comparisons of one interval. */
export function followLoads(s: Misplaced, layout: PowerLayout, round: readonly Compared[]): void {
  const byEnd = Map.groupBy(round, (c) => c.endMs)
  for (const list of byEnd.values()) {
    const odd = list.map((c) => {
      const id = layout.transformers[c.t]?.id as string
      const kw = c.unexplainedKw
      const mean = (s.meanKw.get(id) ?? 0) + (kw - (s.meanKw.get(id) ?? 0)) * Math.min(1, c.hours / DAY_H)
      s.meanKw.set(id, mean)
      if (mean >= -ODD_KW / 2) s.sums.delete(id)
      return { c, id, mean }
    })
    const little = odd.filter((o) => o.mean > ODD_KW)
    for (const o of odd)
      if (o.mean < -ODD_KW && little.length > 0)
        add(
          s,
          layout,
          o.id,
          o.c,
          little.map((l) => l.c),
        )
  }
}

function add(s: Misplaced, layout: PowerLayout, id: string, c: Compared, little: readonly Compared[]): void {
  let q = s.sums.get(id)
  if (q === undefined) {
    q = { hours: 0, y: 0, yy: 0, own: new Map(), others: new Map() }
    s.sums.set(id, q)
  }
  const { hours } = c
  const y = -c.unexplainedKw
  q.hours += hours
  q.y += hours * y
  q.yy += hours * y * y
  const loads = (layout.transformers[c.t]?.customers ?? []).map((i): [number, number] => [i, c.valueKwh(i) / hours])
  for (const [i, x] of loads) {
    const own = q.own.get(i) ?? [0, 0, 0]
    own[0] += hours * x
    own[1] += hours * x * x
    own[2] += hours * x * y
    q.own.set(i, own)
  }
  for (const l of little) {
    const z = l.unexplainedKw
    let other = q.others.get(l.t)
    if (other === undefined) {
      other = { z: 0, zz: 0, xz: new Map() }
      q.others.set(l.t, other)
    }
    other.z += hours * z
    other.zz += hours * z * z
    for (const [i, x] of loads) other.xz.set(i, (other.xz.get(i) ?? 0) + hours * x * z)
  }
}

/** Correlation of a load with something, and how much of it there is for each kW of load. */
function follows(n: number, x: number, xx: number, y: number, yy: number, xy: number): { r: number; slope: number } {
  const vx = xx / n - (x / n) ** 2
  const vy = yy / n - (y / n) ** 2
  if (vx <= 1e-9 || vy <= 1e-9) return { r: 0, slope: 0 }
  const cov = xy / n - (x / n) * (y / n)
  return { r: cov / Math.sqrt(vx * vy), slope: cov / vx }
}

const isOne = (slope: number): boolean => slope >= SLOPE[0] && slope <= SLOPE[1]

/** What the balances say of meters of transformer `t`; asked once a day. */
export function proposeByBalance(s: Misplaced, layout: PowerLayout, t: number): Proposal | undefined {
  const q = s.sums.get(layout.transformers[t]?.id as string)
  if (q === undefined || q.hours < HOURS_MIN) return undefined
  let best: Proposal | undefined
  let bestR = 0
  for (const [i, [x, xx, xy]] of q.own) {
    const own = follows(q.hours, x, xx, q.y, q.yy, xy)
    if (own.r < OWN_R || own.r <= bestR || !isOne(own.slope)) continue
    const ranked = [...q.others]
      .map(([k, o]) => ({ k, ...follows(q.hours, x, xx, o.z, o.zz, o.xz.get(i) ?? 0) }))
      .sort((a, b) => b.r - a.r || a.k - b.k)
    const [first, second] = ranked
    if (first === undefined || first.r < OTHER_R || !isOne(first.slope) || first.r - (second?.r ?? 0) < AHEAD) continue
    bestR = own.r
    const round = (v: number) => Math.round(v * 100) / 100
    best = {
      meter: i,
      transformer: first.k,
      by: 'balance',
      confidence: round(Math.min(0.95, (own.r + first.r) / 2)),
      evidence: { what: 'follows-balance', tooMuchAtOwn: round(own.r), tooLittleThere: round(first.r), hours: Math.round(q.hours) },
    }
  }
  return best
}

/** A last gasp of meter `i` at `ms`. */
export function noteGasp(s: Misplaced, layout: PowerLayout, i: number, ms: number): void {
  const { cluster } = s
  if (cluster.startMs === 0) cluster.startMs = ms
  if (Math.abs(ms - cluster.startMs) > CLUSTER_MS) return
  const t = layout.transformer[i] as number
  const list = cluster.gasps.get(t)
  if (list === undefined) cluster.gasps.set(t, [i])
  else if (!list.includes(i)) list.push(i)
}

/** Counts the votes of a fault that is over; returns meters that have enough of them. */
export function closeCluster(s: Misplaced, layout: PowerLayout, nowMs: number): Proposal[] {
  const { startMs, gasps } = s.cluster
  if (startMs === 0 || nowMs < startMs + 2 * CLUSTER_MS) return []
  s.cluster = { startMs: 0, gasps: new Map() }
  const dark = [...gasps].filter(([t, list]) => t !== NONE && list.length >= DARK_GASPS).map(([t]) => t)
  const out: Proposal[] = []
  // A whole feeder says nothing about who hangs where.
  if (dark.length === 0 || dark.length * 2 > layout.transformers.length) return out
  for (const [t, list] of gasps) {
    const neighbours = layout.transformers[t]?.customers.length ?? 0
    for (const i of list) {
      const id = layout.ids[i] as string
      const v = s.votes.get(id) ?? { own: 0, others: new Map<string, number>() }
      if (dark.includes(t)) {
        // Only what speaks against a known suspicion is worth remembering.
        if (s.votes.has(id)) v.own += 1
        continue
      }
      if (list.length > 1 || (t !== NONE && neighbours < NEIGHBOURS_MIN) || dark.length > 1) continue
      const other = layout.transformers[dark[0] as number]?.id as string
      v.others.set(other, (v.others.get(other) ?? 0) + 1)
      s.votes.set(id, v)
      const votes = v.others.get(other) as number
      if (v.own > 0 || votes < VOTES_MIN || v.others.size > 1) continue
      out.push({
        meter: i,
        transformer: dark[0] as number,
        by: 'outages',
        confidence: Math.min(0.95, 0.5 + 0.15 * votes),
        evidence: { what: 'lost-supply-with', transformer: other, outages: votes, withItsOwn: v.own },
      })
    }
  }
  return out
}

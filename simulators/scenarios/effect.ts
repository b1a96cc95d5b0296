// What can happen to the town, as plain data with a beginning and an end: the simulation looks at the list of effects in each step, a
// data set's labels are written from it, and a running simulator's journal is it. Indices point into the town's lists.

interface Span {
  id: string
  startMs: number
  /** Infinity while nobody has ended it. */
  endMs: number
}

/** Water leaves through a hole: coefficient × sqrt(pressure). */
export interface Leak extends Span {
  type: 'leak'
  kind: 'burst' | 'incipient' | 'background'
  node: number
  link: number
  /** m3/h per sqrt(m) when fully grown. */
  coefficient: number
  fullMs: number
}

/** Water taken on purpose at a junction: hydrant, factory at night (then only between the hours, local time). */
export interface NodeUse extends Span {
  type: 'node_use'
  kind: 'hydrant' | 'night_shift'
  node: number
  m3h: number
  hours?: readonly [number, number]
  announced: boolean
}

/** Water behind a customer's meter that nobody uses. */
export interface CustomerLeak extends Span {
  type: 'customer_leak'
  subtype: 'constant' | 'cistern' | 'pipe_burst' | 'growing'
  meter: number
  m3h: number
}

/** A customer's unusual but wanted use: a pool filled, a garden watered at night (minutes of the local day). */
export interface CustomerUse extends Span {
  type: 'customer_use'
  meter: number
  m3h: number
  minutes?: readonly [number, number]
}

/** Everybody uses more or as on Sunday. */
export interface DemandChange extends Span {
  type: 'demand'
  kind: 'holiday' | 'hot_spell'
  factor: number
}

export interface PrvShift extends Span {
  type: 'prv'
  link: number
  shiftM: number
}

export interface PumpShift extends Span {
  type: 'pump'
  shiftM: number
}

/** A water meter is exchanged at `startMs`: its register begins anew. */
export interface MeterSwap extends Span {
  type: 'meter_swap'
  meter: number
  announced: boolean
}

/** A sensor or flow meter that does not tell the truth. `amount`: bar per day (drift), relative error (bias), nothing (stuck). */
export interface SensorFault extends Span {
  type: 'sensor_fault'
  kind: 'drift' | 'stuck' | 'bias'
  device: string
  amount: number
}

export interface Bypass extends Span {
  type: 'bypass'
  meter: number
  /** Share of the load that goes past the meter. */
  share: number
}

export interface HighUsage extends Span {
  type: 'high_usage'
  meter: number
  kw: number
}

/** Solar that nobody registered. */
export interface HiddenSolar extends Span {
  type: 'hidden_solar'
  meter: number
  kwp: number
}

export interface Outage extends Span {
  type: 'outage'
  level: 'feeder' | 'transformer' | 'premise'
  /** Id of the feeder, transformer or meter. */
  node: string
  /** Electric meters without supply, totalising ones included. */
  meters: readonly number[]
  /** Share of the able meters whose last gasp is heard. */
  gaspShare: number
  planned: boolean
  /** Meters that have supply again before `endMs`, by index: restoration in stages. */
  restored?: Readonly<Record<number, number>>
  /** Meters that stay dark after their transformer is back. */
  leftBehind?: readonly number[]
}

/** A gateway's uplink is down; its meters go on. */
export interface GatewayDown extends Span {
  type: 'gateway_down'
  gateway: number
  /** The broker notices and sends the last will. */
  will: boolean
  /** What comes of the readings of that time. */
  backfill: 'oldest_first' | 'newest_first' | 'lost'
}

/** A gateway sends everything of this time a second time at its end. */
export interface RepeatBlock extends Span {
  type: 'repeat_block'
  gateway: number
}

export type Effect =
  | Leak
  | NodeUse
  | CustomerLeak
  | CustomerUse
  | DemandChange
  | PrvShift
  | PumpShift
  | MeterSwap
  | SensorFault
  | Bypass
  | HighUsage
  | HiddenSolar
  | Outage
  | GatewayDown
  | RepeatBlock

export type EffectOf<T extends Effect['type']> = Extract<Effect, { type: T }>

/** Effects of one type that touch [fromMs, toMs). */
export function during<T extends Effect['type']>(effects: readonly Effect[], type: T, fromMs: number, toMs: number): EffectOf<T>[] {
  return effects.filter((e): e is EffectOf<T> => e.type === type && e.startMs < toMs && e.endMs > fromMs)
}

/** When a meter of an outage has supply again. */
export function supplyEndMs(o: Outage, meter: number): number {
  return o.restored?.[meter] ?? o.endMs
}

const GROWTH_POWER = 1.5

/** How far a leak has grown at an instant, 0 to 1. A burst opens at once, an incipient one grows with power 1.5, a background one in hours. */
export function growth(leak: Leak, atMs: number): number {
  if (atMs < leak.startMs || atMs >= leak.endMs) return 0
  if (atMs >= leak.fullMs || leak.kind === 'burst') return 1
  const f = (atMs - leak.startMs) / (leak.fullMs - leak.startMs)
  return leak.kind === 'incipient' ? f ** GROWTH_POWER : f
}

/** What a customer's leak lets out at an instant, m3/h. */
export function customerLeakM3h(leak: CustomerLeak, atMs: number): number {
  if (atMs < leak.startMs || atMs >= leak.endMs) return 0
  switch (leak.subtype) {
    case 'cistern':
      // A worn cistern fills and stops: 20 minutes of each 50, day and night.
      return Math.floor(atMs / 300_000) % 10 < 4 ? leak.m3h : 0
    case 'growing':
      return leak.m3h * Math.min(1, 0.1 + (0.9 * (atMs - leak.startMs)) / (5 * 86_400_000))
    default:
      return leak.m3h
  }
}

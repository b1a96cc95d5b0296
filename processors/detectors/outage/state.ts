// What the outage detector remembers: a few numbers for each meter, in columns, and the interruptions now open or lately ended.
// Columns, because a feeder has thousands of meters and an object each would cost five times as much.
import { intervalSecondsOf, type ZoneDevice } from '#model/asset.ts'
import type { ScopeType } from '#model/finding.ts'
import type { ZoneContext } from '../../fold.ts'
import { type Durations, noDurations } from './estimate.ts'

/** Ages and lags remembered by meter. */
export const AGES = 8
export const LAGS = 4
/** No transformer, no gateway. */
export const NONE = -1
/** Bits of `flags`. */
export const OVERDUE = 1
export const COMMS_OPEN = 2
/** The meter exports: its import register can stand still with supply present. */
export const EXPORTS = 4
/** Over its last hole (gapFromMs to gapToMs) the register went on counting. */
export const GAP_COUNTED = 8
/** Values of `role`. */
export const CUSTOMER = 0
export const CHECK = 1
export const FEEDER_METER = 2

/** Columns by meter; index = position in `ids`. Times are epoch ms, 0 when never. */
export interface Meters {
  ids: string[]
  role: Uint8Array
  transformer: Int32Array
  gateway: Int32Array
  stepMs: Float64Array
  /** kWh per unit of the register. */
  multiplier: Float32Array
  /** One step of the register, kWh. */
  resolutionKwh: Float32Array
  /** Newest read, by the meter's clock. */
  lastTsMs: Float64Array
  lastArrivalMs: Float64Array
  /** Newest import register and its time. */
  value: Float64Array
  valueTsMs: Float64Array
  /** Low decile of the power, kW: the base load; 0 until known. */
  baseKw: Float32Array
  /** Age of the newest read when the next one arrived, s; 0 unused. */
  ages: Float32Array
  /** Arrival minus time of the newest reads, s; NaN unused. */
  lags: Float32Array
  /** Next slots of the two rings: age in the low four bits, lag in the high ones. */
  turn: Uint8Array
  /** When silence of the meter means something, log time. */
  deadlineMs: Float64Array
  /** Last hole in its reads: the read before and the read after. */
  gapFromMs: Float64Array
  gapToMs: Float64Array
  /** Onset of the last word about its own silence, by the meter's clock; 0 none. */
  commsMs: Float64Array
  /** Key of the newest interruption with evidence that it was dark; 0 none. */
  interruption: Int32Array
  flags: Uint8Array
}

export interface TransformerState {
  id: string
  /** Customer meters and the check meter. */
  members: Int32Array
  /** Key of the newest interruption that it is part of; 0 none. */
  interruption: number
}

export interface GatewayState {
  id: string
  members: Int32Array
  /** It serves other zones too: what its silence means is decided by the second stage. */
  zones: string[]
  /** Log time of the last fresh word through it, and when that was said by its device: what was kept somewhere and comes late proves nothing. */
  heardMs: number
  takenMs: number
  /** Since when it is heard without a hole longer than its meters' interval. */
  sinceMs: number
  /** Its own word or its last will, 0 while online. */
  offlineMs: number
  /** Onset of the open finding or of the silence told to the second stage, 0 none. */
  silentMs: number
  /** What was said last: '' nothing, a cause otherwise. */
  said: string
}

/** One meter within an interruption. Times 0 when there is none. */
export interface MemberState {
  gaspMs: number
  /** Last read before it fell silent, true time. */
  silentFromMs: number
  backMs: number
  /** What brought it back: nothing yet, a read (the time is the read's), a restoration message (exact). */
  backBy: '' | 'read' | 'event'
  /** Time of a read taken while others were dark: it was never out. */
  onMs: number
  /** The register stood still over the gap. */
  flat: boolean
  /** Its gateway was away before it came back: reads missed meanwhile prove nothing. */
  mute: boolean
}

export interface Part {
  transformer: number
  members: Map<number, MemberState>
  startMs: number
  /** True when a gasp gives the start. */
  exact: boolean
  endMs: number
  verdict: 'open' | 'dark' | 'premises' | 'lit'
  /** Another interruption of this transformer tells of the same darkness, on better evidence. */
  yields: boolean
  dirty: boolean
}

export interface Said {
  scopeType: ScopeType
  scopeId: string
  onsetMs: number
  withdrawn: boolean
  /** What matters of the last revision, and its log time: gasps and restorations arrive one by one, and not each is news. */
  sense: string
  atMs: number
}

export interface Interruption {
  key: number
  startMs: number
  /** Log time at which a verdict is given. */
  decideAtMs: number
  decided: boolean
  parts: Map<number, Part>
  /** `scope type:id` -> what was said of it. */
  said: Map<string, Said>
  feeder: boolean
  closedAtMs: number
  /** Its durations are part of the history. */
  counted: boolean
  /** When supply was last said to be back; 0 not. */
  restoreMs: number
  /** Log time at which it must be weighed again without news. */
  lookAtMs: number
  dirty: boolean
}

export interface OutageState {
  meters: Meters
  index: Map<string, number>
  transformers: TransformerState[]
  gateways: GatewayState[]
  gatewayIndex: Map<string, number>
  interruptions: Map<number, Interruption>
  nextKey: number
  /** Meter -> older interruptions in which it is still dark, when a newer one has taken its place in `meters.interruption`. */
  older: Map<number, number[]>
  /** Transformers whose silence waits for more. */
  watch: Set<number>
  scanAtMs: number
  tickMs: number
  /** No conclusion from silence before this: our own collection was ill. */
  quietUntilMs: number
  gatewaysSeen: boolean
  /** The whole zone is silent, as told to the second stage; 0 not. */
  zoneSilentMs: number
  /** The second stage knows of this zone. */
  announced: boolean
  /** What past outages lasted. */
  durations: Durations
}

function makeMeters(n: number): Meters {
  return {
    ids: [],
    role: new Uint8Array(n),
    transformer: new Int32Array(n).fill(NONE),
    gateway: new Int32Array(n).fill(NONE),
    stepMs: new Float64Array(n),
    multiplier: new Float32Array(n),
    resolutionKwh: new Float32Array(n),
    lastTsMs: new Float64Array(n),
    lastArrivalMs: new Float64Array(n),
    value: new Float64Array(n),
    valueTsMs: new Float64Array(n),
    baseKw: new Float32Array(n),
    ages: new Float32Array(n * AGES),
    lags: new Float32Array(n * LAGS).fill(Number.NaN),
    turn: new Uint8Array(n),
    deadlineMs: new Float64Array(n).fill(Number.POSITIVE_INFINITY),
    gapFromMs: new Float64Array(n),
    gapToMs: new Float64Array(n),
    commsMs: new Float64Array(n),
    interruption: new Int32Array(n),
    flags: new Uint8Array(n),
  }
}

const CARRIED = [
  'lastTsMs',
  'lastArrivalMs',
  'value',
  'valueTsMs',
  'baseKw',
  'turn',
  'deadlineMs',
  'gapFromMs',
  'gapToMs',
  'commsMs',
  'interruption',
  'flags',
] as const

function carry(from: Meters, i: number, to: Meters, k: number): void {
  for (const c of CARRIED) to[c][k] = from[c][i] as number
  to.ages.set(from.ages.subarray(i * AGES, (i + 1) * AGES), k * AGES)
  to.lags.set(from.lags.subarray(i * LAGS, (i + 1) * LAGS), k * LAGS)
}

function groups(n: number, of: Int32Array, meters: number, take: (i: number) => boolean): Int32Array[] {
  const lists: number[][] = Array.from({ length: n }, () => [])
  for (let i = 0; i < meters; i++) {
    const g = of[i] as number
    if (g !== NONE && take(i)) (lists[g] as number[]).push(i)
  }
  return lists.map((l) => Int32Array.from(l))
}

function intern(index: Map<string, number>, id: string | undefined): number {
  if (id === undefined || id === '') return NONE
  const known = index.get(id)
  if (known !== undefined) return known
  index.set(id, index.size)
  return index.size - 1
}

const ROLES = { customer: CUSTOMER, transformer: CHECK, feeder: FEEDER_METER } as const

/** State for a zone; what `old` knows of meters and gateways that are still there is kept, and so are its open interruptions. */
export function createState(zone: ZoneContext, old?: OutageState): OutageState {
  const devices = zone.devicesOf('electric_meter')
  const m = makeMeters(devices.length)
  const index = new Map<string, number>()
  const transformerIndex = new Map<string, number>(zone.def.transformers.map((t, k) => [t.asset.id, k]))
  const gatewayIndex = new Map<string, number>()
  devices.forEach((d: ZoneDevice, k) => {
    const a = d.asset
    if (a.kind !== 'electric_meter') return
    m.ids.push(a.id)
    index.set(a.id, k)
    m.role[k] = ROLES[a.role]
    m.transformer[k] = a.role === 'feeder' ? NONE : intern(transformerIndex, a.transformer)
    m.gateway[k] = intern(gatewayIndex, a.gateway)
    m.stepMs[k] = intervalSecondsOf(a) * 1000
    m.multiplier[k] = a.multiplier ?? 1
    m.resolutionKwh[k] = 10 ** -(a.decimals ?? 2) * (a.multiplier ?? 1)
    const before = old?.index.get(a.id)
    if (old !== undefined && before !== undefined) carry(old.meters, before, m, k)
  })
  const byTransformer = groups(transformerIndex.size, m.transformer, m.ids.length, () => true)
  const byGateway = groups(gatewayIndex.size, m.gateway, m.ids.length, () => true)
  const zonesOf = new Map(zone.def.gateways.map((g) => [g.id, g.zones]))
  const oldGateways = new Map(old?.gateways.map((g) => [g.id, g]))
  return {
    meters: m,
    index,
    transformers: [...transformerIndex.keys()].map((id, k) => ({ id, members: byTransformer[k] as Int32Array, interruption: 0 })),
    gateways: [...gatewayIndex.keys()].map((id, k) => ({
      heardMs: 0,
      takenMs: 0,
      sinceMs: 0,
      offlineMs: 0,
      silentMs: 0,
      said: '',
      ...oldGateways.get(id),
      id,
      members: byGateway[k] as Int32Array,
      zones: zonesOf.get(id) ?? [zone.def.zone],
    })),
    gatewayIndex,
    interruptions: new Map(),
    nextKey: old?.nextKey ?? 1,
    older: new Map(),
    watch: new Set(),
    scanAtMs: 0,
    tickMs: old?.tickMs ?? 0,
    quietUntilMs: old?.quietUntilMs ?? 0,
    gatewaysSeen: old?.gatewaysSeen ?? false,
    zoneSilentMs: old?.zoneSilentMs ?? 0,
    announced: false,
    durations: old?.durations ?? noDurations(),
  }
}

/** Takes the interruptions of an older state over into a new one, by the names of meters and transformers; what is gone is dropped. */
export function carryInterruptions(old: OutageState, s: OutageState): void {
  const transformerOf = new Map(s.transformers.map((t, k) => [t.id, k]))
  for (const [i, keys] of old.older) {
    const now = s.index.get(old.meters.ids[i] as string)
    if (now !== undefined) s.older.set(now, keys)
  }
  for (const [key, e] of old.interruptions) {
    const parts = new Map<number, Part>()
    for (const [t, p] of e.parts) {
      const id = old.transformers[t]?.id
      const k = t === NONE ? NONE : id === undefined ? undefined : transformerOf.get(id)
      if (k === undefined) continue
      const members = new Map<number, MemberState>()
      for (const [i, member] of p.members) {
        const now = s.index.get(old.meters.ids[i] as string)
        if (now !== undefined) members.set(now, member)
      }
      if (members.size === 0) continue
      parts.set(k, { ...p, transformer: k, members, dirty: true })
      const t2 = s.transformers[k]
      if (t2 !== undefined) t2.interruption = key
    }
    s.interruptions.set(key, { ...e, parts, dirty: true })
  }
}

// The gateways of a town: they hear their devices (mostly), hold what they heard until their next upload, send it as one message with a
// running number, now and then send it twice, and keep it when their uplink is down. What leaves here is in order of receipt.
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '#model/time.ts'
import { hash32, hashUniform, keyOf } from '../random.ts'
import { during, type Effect, type GatewayDown, type Outage, supplyEndMs } from '../scenarios/effect.ts'
import type { ElectricMeter, Gateway, GatewayKind, Town } from '../town/types.ts'
import { ENTRIES_MAX, type Message, type RawEvent, type RawReading } from './entry.ts'

interface Held {
  /** When the gateway has it. */
  readyMs: number
  reading: RawReading
}

interface GatewayState {
  seq: number
  held: Held[]
  events: RawEvent[]
  /** What is sent a second time at the end of a RepeatBlock. */
  kept: RawReading[]
  /** An upload failed and is tried again every minute or so. */
  retrying: boolean
  /** Readings that a full memory lost. */
  dropped: number
}

type Due =
  | { kind: 'upload'; atMs: number; gateway: number; retry?: true }
  | { kind: 'event'; atMs: number; gateway: number; event: RawEvent }
  | { kind: 'message'; atMs: number; gateway: number; readings: RawReading[]; events: RawEvent[]; seq: number }
  | { kind: 'status'; atMs: number; gateway: number; online: boolean }

/** Plain data, saved with the simulation. */
export interface FieldState {
  gateways: GatewayState[]
  /** What will happen later than the step in which it was arranged, in no order. */
  due: Due[]
}

interface Radio {
  uploadEveryMs: number
  /** Range of the moment of upload after the boundary. */
  phaseMs: readonly [number, number]
  /** Never heard; heard later, at most so much. */
  lost: number
  late: number
  lateMs: number
  hiccupMs: number
}

const RADIO: Record<GatewayKind, Radio> = {
  sensor: { uploadEveryMs: 300_000, phaseMs: [2_000, 40_000], lost: 0.002, late: 0.008, lateMs: 30 * MINUTE_MS, hiccupMs: 7 * MINUTE_MS },
  water: { uploadEveryMs: HOUR_MS, phaseMs: [40_000, 420_000], lost: 0.003, late: 0.006, lateMs: 8 * HOUR_MS, hiccupMs: 25 * MINUTE_MS },
  power: { uploadEveryMs: 900_000, phaseMs: [8_000, 95_000], lost: 0.0015, late: 0.004, lateMs: 6 * HOUR_MS, hiccupMs: 9 * MINUTE_MS },
}

/** A message in 250 is sent a second time. */
const REPEAT = 0.004
/** Chance that a gateway's uplink is down for some minutes in a given hour. */
const HICCUP = 0.003
/** What a gateway's memory holds; the oldest goes first. */
const HELD_MAX = 200_000
/** Readings per message when a backlog is sent. */
const BACKLOG_CHUNK = 1_000
const RETRY_MS = 75_000
const WILL_AFTER_MS: readonly [number, number] = [45_000, 100_000]

const HEAR = keyOf('hear')
const UPLOAD = keyOf('upload')
const GASP = keyOf('gasp')
const DOWN = keyOf('hiccup')

export interface Field {
  initial(): FieldState
  /** Messages received in [startMs, startMs + spanMs), in order; `readings` were taken at startMs. */
  step(state: FieldState, startMs: number, spanMs: number, readings: readonly RawReading[], effects: readonly Effect[]): Message[]
}

export function makeField(town: Town): Field {
  const { seed } = town.plan
  const kindOf = (g: number): Gateway => town.gateways[g] as Gateway
  return {
    initial: () => ({
      gateways: town.gateways.map((_, g) => ({
        seq: hash32(seed, UPLOAD, g) % 5000,
        held: [],
        events: [],
        kept: [],
        dropped: 0,
        retrying: false,
      })),
      due: [],
    }),
    step: (state, startMs, spanMs, readings, effects) => {
      const endMs = startMs + spanMs
      hear(town, state, readings, effects)
      town.gateways.forEach((g, i) => {
        const radio = RADIO[g.kind]
        if (startMs % radio.uploadEveryMs === 0) state.due.push({ kind: 'upload', atMs: uploadAt(seed, i, radio, startMs), gateway: i })
      })
      arrangeOutages(town, state, startMs, endMs, effects)
      arrangeDowntime(state, seed, startMs, endMs, effects)
      const now = state.due.filter((d) => d.atMs < endMs)
      state.due = state.due.filter((d) => d.atMs >= endMs)
      const out: Message[] = []
      // Uploads may add to the list (a repeat, a backlog in several messages), so it is worked off as a queue in order of time.
      now.sort(byTime)
      for (let d = now.shift(); d !== undefined; d = now.shift()) {
        for (const later of handle(seed, state, d, kindOf, effects, out)) {
          if (later.atMs >= endMs) state.due.push(later)
          else {
            now.push(later)
            now.sort(byTime)
          }
        }
      }
      return out
    },
  }
}

const byTime = (a: Due, b: Due): number => a.atMs - b.atMs || a.gateway - b.gateway

function uploadAt(seed: number, gateway: number, radio: Radio, boundaryMs: number): number {
  const phase = radio.phaseMs[0] + (radio.phaseMs[1] - radio.phaseMs[0]) * hashUniform(seed, UPLOAD, gateway)
  const jitter = 6_000 * hashUniform(seed, UPLOAD + 1, gateway, Math.floor(boundaryMs / 300_000))
  return boundaryMs + Math.round((phase + jitter) / SECOND_MS) * SECOND_MS
}

/** Radio between devices and gateway: some readings are never heard, some only with a later attempt. */
function hear(town: Town, state: FieldState, readings: readonly RawReading[], effects: readonly Effect[]): void {
  const { seed } = town.plan
  let lastDevice = ''
  let g = -1
  let radio = RADIO.sensor
  let key = 0
  const at = readings[0]?.tsMs ?? 0
  const lostBlocks = new Set(
    during(effects, 'gateway_down', at, at + 1)
      .filter((e) => e.backfill === 'lost')
      .map((e) => e.gateway),
  )
  const repeatBlocks = new Set(during(effects, 'repeat_block', at, at + 1).map((e) => e.gateway))
  for (const reading of readings) {
    if (reading.device !== lastDevice) {
      lastDevice = reading.device
      g = town.gatewayOf[reading.device] as number
      radio = RADIO[(town.gateways[g] as Gateway).kind]
      key = keyOf(reading.device)
    }
    if (lostBlocks.has(g)) continue
    const u = hashUniform(seed, HEAR, key, Math.floor(reading.tsMs / 300_000))
    if (u < radio.lost) continue
    const gateway = state.gateways[g] as GatewayState
    const late = u < radio.lost + radio.late ? radio.lateMs * hashUniform(seed, HEAR + 1, key, Math.floor(reading.tsMs / 300_000)) : 0
    gateway.held.push({ readyMs: reading.tsMs + late, reading })
    if (repeatBlocks.has(g)) gateway.kept.push(reading)
    if (gateway.held.length > HELD_MAX) {
      gateway.held.shift()
      gateway.dropped++
    }
  }
}

/** True while a gateway has no uplink, by an effect or a short trouble of its own. */
export function isDown(seed: number, gateway: number, kind: GatewayKind, atMs: number, effects: readonly Effect[]): boolean {
  if (effects.some((e) => e.type === 'gateway_down' && e.gateway === gateway && atMs >= e.startMs && atMs < e.endMs)) return true
  const hour = Math.floor(atMs / HOUR_MS)
  if (hashUniform(seed, DOWN, gateway, hour) > HICCUP) return false
  const from = hour * HOUR_MS + 20 * MINUTE_MS * hashUniform(seed, DOWN + 1, gateway, hour)
  return atMs >= from && atMs < from + RADIO[kind].hiccupMs * (0.3 + 0.7 * hashUniform(seed, DOWN + 2, gateway, hour))
}

function handle(
  seed: number,
  state: FieldState,
  d: Due,
  gatewayOf: (g: number) => Gateway,
  effects: readonly Effect[],
  out: Message[],
): Due[] {
  const gateway = state.gateways[d.gateway] as GatewayState
  const { id, kind } = gatewayOf(d.gateway)
  if (d.kind === 'status') {
    out.push({ kind: 'status', atMs: d.atMs, gateway: id, online: d.online })
    return []
  }
  const down = isDown(seed, d.gateway, kind, d.atMs, effects)
  if (d.kind === 'event') {
    if (down) gateway.events.push(d.event)
    else
      out.push({
        kind: 'readings',
        atMs: d.atMs,
        gateway: id,
        seq: ++gateway.seq,
        sentAtMs: d.atMs - SECOND_MS,
        readings: [],
        events: [d.event],
      })
    return []
  }
  if (d.kind === 'message') {
    // A repeat of something sent: when the uplink is gone it is simply not repeated.
    if (!down)
      out.push({
        kind: 'readings',
        atMs: d.atMs,
        gateway: id,
        seq: d.seq < 0 ? ++gateway.seq : d.seq,
        sentAtMs: d.atMs - SECOND_MS,
        readings: d.readings,
        events: d.events,
      })
    return []
  }
  if (down) {
    if (gateway.retrying && d.retry !== true) return []
    gateway.retrying = true
    return [{ kind: 'upload', atMs: d.atMs + RETRY_MS, gateway: d.gateway, retry: true }]
  }
  if (d.retry === true) gateway.retrying = false
  return upload(seed, state, d.gateway, id, d.atMs, effects, out)
}

/** Sends what a gateway holds: one message usually, several after a time without uplink. */
function upload(seed: number, state: FieldState, g: number, id: string, atMs: number, effects: readonly Effect[], out: Message[]): Due[] {
  const gateway = state.gateways[g] as GatewayState
  const ready = gateway.held.filter((h) => h.readyMs <= atMs).map((h) => h.reading)
  gateway.held = gateway.held.filter((h) => h.readyMs > atMs)
  const events = gateway.events.splice(0)
  if (ready.length === 0 && events.length === 0) return []
  const back = effects.find(
    (e): e is GatewayDown => e.type === 'gateway_down' && e.gateway === g && e.endMs <= atMs && e.endMs > atMs - 10 * MINUTE_MS,
  )
  if (back?.backfill === 'newest_first') ready.reverse()
  const chunk = ready.length > ENTRIES_MAX / 2 ? BACKLOG_CHUNK : ENTRIES_MAX - events.length
  const later: Due[] = []
  const seq = ++gateway.seq
  const first = ready.slice(0, chunk)
  out.push({ kind: 'readings', atMs, gateway: id, seq, sentAtMs: atMs - SECOND_MS, readings: first, events })
  for (let at = chunk, k = 1; at < ready.length; at += chunk, k++) {
    later.push({ kind: 'message', atMs: atMs + k * 2 * SECOND_MS, gateway: g, readings: ready.slice(at, at + chunk), events: [], seq: -1 })
  }
  const u = hashUniform(seed, UPLOAD + 2, g, Math.floor(atMs / SECOND_MS))
  if (u < REPEAT)
    later.push({ kind: 'message', atMs: atMs + (5 + Math.floor((u / REPEAT) * 80)) * SECOND_MS, gateway: g, readings: first, events, seq })
  return later
}

/** Last gasps of meters that lose supply in this span, and the word of those that have it again. */
function arrangeOutages(town: Town, state: FieldState, startMs: number, endMs: number, effects: readonly Effect[]): void {
  const { seed } = town.plan
  for (const o of effects) {
    if (o.type !== 'outage') continue
    if (o.startMs >= endMs || o.endMs < startMs) continue
    const begins = o.startMs >= startMs
    for (const i of o.meters) {
      const m = town.power.meters[i] as ElectricMeter
      if (begins) gasp(seed, state, town, o, m, i, 'power_lost')
      const end = supplyEndMs(o, i)
      if (end >= startMs && end < endMs) gasp(seed, state, town, o, m, i, 'power_restored')
    }
  }
}

function gasp(
  seed: number,
  state: FieldState,
  town: Town,
  o: Outage,
  m: ElectricMeter,
  i: number,
  event: 'power_lost' | 'power_restored',
): void {
  const at = event === 'power_lost' ? o.startMs : supplyEndMs(o, i)
  const key = Math.floor(at / SECOND_MS)
  const stream = GASP + (event === 'power_lost' ? 0 : 10)
  if (!m.lastGasp || hashUniform(seed, stream, i, key) > (event === 'power_lost' ? o.gaspShare : 0.8)) return
  const tsMs = at + Math.floor(2 * hashUniform(seed, stream + 1, i, key)) * SECOND_MS
  const wait = (event === 'power_lost' ? 6 : 4) + 40 * hashUniform(seed, stream + 2, i, key)
  state.due.push({
    kind: 'event',
    atMs: tsMs + Math.round(wait) * SECOND_MS,
    gateway: town.gatewayOf[m.id] as number,
    event: { device: m.id, event, tsMs },
  })
}

/** Status of gateways that go and come, the upload on return, and blocks that are sent twice. */
function arrangeDowntime(state: FieldState, seed: number, startMs: number, endMs: number, effects: readonly Effect[]): void {
  for (const e of effects) {
    if (e.type === 'gateway_down') {
      const key = Math.floor(e.startMs / SECOND_MS)
      const will =
        e.startMs +
        Math.round((WILL_AFTER_MS[0] + (WILL_AFTER_MS[1] - WILL_AFTER_MS[0]) * hashUniform(seed, DOWN + 5, e.gateway, key)) / SECOND_MS) *
          SECOND_MS
      if (e.will && e.startMs >= startMs && e.startMs < endMs && will < e.endMs)
        state.due.push({ kind: 'status', atMs: will, gateway: e.gateway, online: false })
      if (e.endMs < startMs || e.endMs >= endMs) continue
      if (e.will) state.due.push({ kind: 'status', atMs: e.endMs + 3 * SECOND_MS, gateway: e.gateway, online: true })
      state.due.push({ kind: 'upload', atMs: e.endMs + 8 * SECOND_MS, gateway: e.gateway })
    } else if (e.type === 'repeat_block' && e.endMs >= startMs && e.endMs < endMs) {
      const gateway = state.gateways[e.gateway] as GatewayState
      const all = gateway.kept.splice(0)
      for (let at = 0, k = 0; at < all.length; at += BACKLOG_CHUNK, k++) {
        state.due.push({
          kind: 'message',
          atMs: e.endMs + k * 2 * SECOND_MS,
          gateway: e.gateway,
          readings: all.slice(at, at + BACKLOG_CHUNK),
          events: [],
          seq: -1,
        })
      }
    }
  }
}

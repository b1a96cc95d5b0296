// Are the sensors of a district fit to be believed? Stuck, noisy and silent pressure sensors and flow meters, and what is wrong with the
// district's metering as a whole: no meter that lets water in, net inflow that runs backwards. Drift is judged by `pressure`, which knows
// what the flows explain; a meter that reads wrong by the second stage, which sees both of its districts.
import { z } from 'zod'
import { intervalSecondsOf, type ZoneDevice } from '#model/asset.ts'
import type { Evidence, Scope } from '#model/finding.ts'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import type { Detector, DetectorContext, ValidatedRead, ZoneContext } from '../fold.ts'

const Settings = z.object({
  stuckChance: z
    .number()
    .positive()
    .max(0.01)
    .default(1e-7)
    .describe('A run of equal readings this unlikely by what the sensor usually repeats'),
  stuckHoursMin: z.number().positive().default(1).describe('... and at least this long'),
  noiseFactor: z.number().min(1.5).default(4).describe('Jumps from reading to reading this many times their usual size are a noisy sensor'),
  silentHours: z.number().positive().default(6).describe('No reading for this long is named; data of a shorter gap may yet come'),
  backwardsShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.05)
    .describe("A day of net inflow below minus this share of the meters' flow runs backwards"),
})
type Settings = z.infer<typeof Settings>
type Ctx = DetectorContext<Settings>

type Fault = 'stuck' | 'noisy' | 'silent'

interface Sensor {
  /** Flow meter's sign in this district; 0 for a pressure sensor. */
  sign: number
  /** Findings are said in the first zone only. */
  mine: boolean
  gateway: string
  intervalMs: number
  lastMs: number
  last: number
  before: number
  /** Equal readings in a row, when that began, and the usual share of repeats. */
  run: number
  runSinceMs: number
  repeats: number
  /** Mean jump (second difference) of the last hours and of weeks, in the sensor's unit; readings behind them. */
  jump: number
  usualJump: number
  seen: number
  /** Open faults by kind: onset. */
  open: Partial<Record<Fault, number>>
}

interface SensorHealthState {
  sensors: Map<string, Sensor>
  /** Sums of the day so far by meter: signed flow, flow regardless of direction, readings. */
  day: number
  net: Map<string, { signed: number; size: number; n: number }>
  /** What is wrong with a gateway's sensors or with the district's metering: fault and scope -> onset. */
  whole: Map<string, number>
  checkMs: number
}

/** Readings over which jumps of late are averaged: three hours of five minutes; and weeks. */
const QUICK = 36
const SLOW = 2000
/** Readings before a sensor is judged. */
const SEEN_MIN = 288
const REPEATS_MIN = 0.02
/** A usual share of repeats beyond this (a level that rests) says nothing of stuck. */
const REPEATS_MAX = 0.6

function create(zone: ZoneContext): SensorHealthState {
  return { sensors: sensorsOf(zone, new Map()), day: -1, net: new Map(), whole: new Map(), checkMs: 0 }
}

function sensorsOf(zone: ZoneContext, before: ReadonlyMap<string, Sensor>): Map<string, Sensor> {
  const out = new Map<string, Sensor>()
  for (const d of [...zone.devicesOf('pressure_sensor'), ...zone.devicesOf('flow_meter')]) {
    const sign = signOf(d, zone.def.zone)
    const old = before.get(d.asset.id)
    out.set(d.asset.id, old === undefined ? newSensor(d, sign) : { ...old, sign, mine: d.primary })
  }
  return out
}

function signOf(d: ZoneDevice, zone: string): number {
  return d.asset.kind === 'flow_meter' ? d.asset.flows.filter((f) => f.dma === zone).reduce((s, f) => s + f.sign, 0) : 0
}

function newSensor(d: ZoneDevice, sign: number): Sensor {
  return {
    sign,
    mine: d.primary,
    gateway: d.asset.kind === 'flow_meter' || d.asset.kind === 'pressure_sensor' ? (d.asset.gateway ?? '') : '',
    intervalMs: intervalSecondsOf(d.asset) * 1000,
    lastMs: 0,
    last: Number.NaN,
    before: Number.NaN,
    run: 0,
    runSinceMs: 0,
    repeats: 0.1,
    jump: 0,
    usualJump: 0,
    seen: 0,
    open: {},
  }
}

function onRead(state: SensorHealthState, read: ValidatedRead, ctx: Ctx): void {
  if (read.quantity !== 'pressure_bar' && read.quantity !== 'flow_m3h') return
  const s = state.sensors.get(read.device)
  if (s === undefined || read.tsMs <= s.lastMs) return
  const gap = read.tsMs - s.lastMs > 2.5 * s.intervalMs
  s.lastMs = read.tsMs
  settle(s, read.device, 'silent', ctx)
  repeat(s, read, ctx)
  // A spike is validation's business, and no measure of noise.
  if (read.quality === 'suspect' && read.value !== s.last) return
  jumpOf(s, read, gap, ctx)
  s.before = gap ? Number.NaN : s.last
  s.last = read.value
  if (s.sign === 0) return
  const sum = state.net.get(read.device) ?? { signed: 0, size: 0, n: 0 }
  sum.signed += s.sign * read.value
  sum.size += Math.abs(read.value)
  sum.n += 1
  state.net.set(read.device, sum)
}

/** A meter at exactly zero rests with its pump. */
function repeat(s: Sensor, read: ValidatedRead, ctx: Ctx): void {
  const same = read.value === s.last && read.value !== 0
  if (!same) {
    // A long run is a fault, not a habit: one repeat is counted for it.
    s.repeats += ((s.run > 1 ? 1 : 0) - s.repeats) / 500
    s.run = 1
    s.runSinceMs = read.tsMs
    settle(s, read.device, 'stuck', ctx)
    return
  }
  s.run += 1
  const usual = Math.max(REPEATS_MIN, s.repeats)
  const { stuckChance, stuckHoursMin } = ctx.settings
  if (usual > REPEATS_MAX || s.seen < SEEN_MIN || s.run * Math.log(usual) > Math.log(stuckChance)) return
  if (read.tsMs - s.runSinceMs < stuckHoursMin * HOUR_MS) return
  raise(s, read.device, 'stuck', s.runSinceMs, ctx, [
    { what: 'equal readings in a row', readings: s.run, value: read.value, usualShareOfRepeats: round(usual) },
  ])
}

function jumpOf(s: Sensor, read: ValidatedRead, gap: boolean, ctx: Ctx): void {
  if (gap || Number.isNaN(s.before)) return
  const jump = Math.abs(read.value - 2 * s.last + s.before)
  s.seen += 1
  const usual = s.usualJump
  // One step of the network (a pump, a valve) is no noise.
  const cut = s.seen > SEEN_MIN ? Math.min(jump, 10 * usual) : jump
  s.jump += (cut - s.jump) / Math.min(QUICK, s.seen)
  const quiet = s.open.noisy === undefined
  if (quiet) s.usualJump += (Math.min(cut, s.seen > SEEN_MIN ? 3 * usual : cut) - usual) / Math.min(SLOW, s.seen)
  if (s.seen <= SEEN_MIN) return
  if (s.jump > ctx.settings.noiseFactor * s.usualJump) {
    raise(s, read.device, 'noisy', read.tsMs - QUICK * s.intervalMs, ctx, [
      { what: 'jump from reading to reading', mean: round(s.jump), usual: round(s.usualJump) },
    ])
  } else if (s.jump < (ctx.settings.noiseFactor / 2) * s.usualJump) settle(s, read.device, 'noisy', ctx)
}

function round(v: number): number {
  return Number(v.toPrecision(3))
}

function raise(s: Sensor, id: string, fault: Fault, onsetMs: number, ctx: Ctx, evidence: Evidence[]): void {
  if (s.open[fault] !== undefined || ctx.warmingUp) return
  s.open[fault] = onsetMs
  if (s.mine) say(id, fault, onsetMs, null, ctx, evidence)
}

function settle(s: Sensor, id: string, fault: Fault, ctx: Ctx): void {
  const onsetMs = s.open[fault]
  if (onsetMs === undefined) return
  delete s.open[fault]
  if (s.mine) say(id, fault, onsetMs, ctx.nowMs, ctx, [])
}

function say(id: string, fault: Fault, onsetMs: number, clearedAtMs: number | null, ctx: Ctx, evidence: Evidence[]): void {
  ctx.emit({
    kind: 'sensor_fault',
    subtype: fault,
    scope: { type: 'sensor', id },
    onsetMs,
    clearedAtMs,
    severity: 'warning',
    confidence: 0.9,
    reason: clearedAtMs === null ? fault : 'reads-as-usual',
    evidence,
  })
}

/** Sensors from which nothing came, those of one gateway said once: it is its matter. All of a district at once are said for the district. */
function silences(state: SensorHealthState, ctx: Ctx): void {
  const limitMs = ctx.settings.silentHours * HOUR_MS
  const known = [...state.sensors].filter(([, s]) => s.lastMs > 0 && s.mine)
  const isSilent = (s: Sensor) => ctx.nowMs - s.lastMs > Math.max(limitMs, 3 * s.intervalMs)
  const all = known.length > 1 && known.every(([, s]) => isSilent(s))
  const hours = ctx.settings.silentHours
  const scope = { type: 'dma', id: ctx.zone.def.zone } as const
  whole(state, 'all-sensors-silent', scope, all, ctx, [{ what: 'sensors without a reading', sensors: known.length, hours }])
  for (const [gateway, list] of Map.groupBy(known, ([, s]) => s.gateway)) {
    const silent = list.filter(([, s]) => isSilent(s))
    const shared = silent.length > 1 && 2 * silent.length >= list.length
    whole(state, 'silent', { type: 'gateway', id: gateway }, shared && !all, ctx, [
      { what: 'sensors without a reading', sensors: silent.map(([id]) => id), hours },
    ])
    // While its gateway's silence is open, a single sensor belongs to it.
    if (shared || all || state.whole.has(`silent gateway ${gateway}`)) continue
    for (const [id, s] of silent) {
      raise(s, id, 'silent', s.lastMs, ctx, [{ what: 'no reading', hours: round((ctx.nowMs - s.lastMs) / HOUR_MS) }])
    }
  }
}

/** What is wrong with several sensors, or with the district's metering as a whole. */
function whole(state: SensorHealthState, fault: string, scope: Scope, wrong: boolean, ctx: Ctx, evidence: Evidence[]): void {
  const key = `${fault} ${scope.type} ${scope.id}`
  const since = state.whole.get(key)
  if (wrong === (since !== undefined) || ctx.warmingUp) return
  const onsetMs = since ?? ctx.nowMs
  if (wrong) state.whole.set(key, onsetMs)
  else state.whole.delete(key)
  ctx.emit({
    kind: 'sensor_fault',
    subtype: fault,
    scope,
    onsetMs,
    clearedAtMs: wrong ? null : ctx.nowMs,
    severity: 'warning',
    confidence: 0.9,
    reason: wrong ? fault : 'put-right',
    evidence: wrong ? evidence : [],
  })
}

/** A district consumes: a day on which more leaves it than enters has a reversed meter or a wrong sign. */
function closeDay(state: SensorHealthState, ctx: Ctx): void {
  const scope = { type: 'dma', id: ctx.zone.def.zone } as const
  const meters = [...state.sensors].filter(([, s]) => s.sign !== 0)
  whole(state, 'no-inflow-meter', scope, meters.length === 0, ctx, [{ what: 'flow meters that name this district', meters: meters.length }])
  const means = meters.map(([id]) => ({ id, ...(state.net.get(id) ?? { signed: 0, size: 0, n: 0 }) }))
  state.net.clear()
  if (means.length === 0 || means.some((m) => m.n === 0)) return
  const net = means.reduce((a, m) => a + m.signed / m.n, 0)
  const size = means.reduce((a, m) => a + m.size / m.n, 0)
  // Which meter, turned round, would leave a district that consumes, and least of it? The smallest change that puts it right.
  const suspects = means.filter((m) => net - (2 * m.signed) / m.n > 0).sort((a, b) => b.signed / b.n - a.signed / a.n)
  const backwards = net < -ctx.settings.backwardsShare * size
  whole(state, 'net-inflow-backwards', scope, backwards, ctx, [
    { what: 'mean net inflow of a day', flowM3h: round(net), meters: suspects.map((m) => m.id) },
  ])
}

export const sensorHealth: Detector<SensorHealthState, Settings> = {
  name: 'sensor-health',
  zoneKinds: ['dma'],
  kinds: ['sensor_fault'],
  settings: Settings,
  create,
  onZone(state, ctx) {
    state.sensors = sensorsOf(ctx.zone, state.sensors)
    state.net.clear()
  },
  onRead,
  onTick(state, tick, ctx) {
    if (tick.nowMs < state.checkMs) return
    state.checkMs = tick.nowMs + HOUR_MS / 4
    silences(state, ctx)
    const day = Math.floor(tick.nowMs / DAY_MS)
    if (day === state.day) return
    if (state.day >= 0) closeDay(state, ctx)
    state.day = day
  },
}

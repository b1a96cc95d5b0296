// Net inflow of a district from its signed flow meters, and what its customers' meters took: the facts from which the second stage
// (network/district-leak.ts) decides about leaks, because holidays and heat show in all districts at once.
import { z } from 'zod'
import type { ZoneDevice } from '#model/asset.ts'
import { intervalSecondsOf } from '#model/asset.ts'
import { HOUR_MS, MINUTE_MS } from '#model/time.ts'
import type { Detector, DetectorContext, ZoneContext } from '../fold.ts'

const Settings = z.object({
  binMinutes: z.number().int().min(5).max(60).default(15).describe('Net inflow is averaged over this time'),
  graceSeconds: z.number().min(0).max(3600).default(150).describe('Wait for readings after the end of a bin; what is later is filled in'),
  meteredGraceMinutes: z.number().min(0).max(180).default(12).describe('Wait for registers after the end of an hour'),
  largeDrawM3h: z
    .number()
    .positive()
    .default(0.1)
    .describe('A metered draw this far above its habit is no network leak: taken out of the inflow'),
  largeDrawFactor: z.number().min(2).default(5).describe('... and this many times its mean use'),
  meteredMissingMax: z
    .number()
    .min(0)
    .max(1)
    .default(0.15)
    .describe('Share of use behind unread meters beyond which an hour has no balance'),
})
type Settings = z.infer<typeof Settings>

/** Time steps and hours kept for late readings: two days at five minutes. */
const SLOTS = 576
const HOURS = 72
/** Forgetting of a meter's mean use: a fortnight of hours. */
const MEAN_HOURS = 336

interface DistrictFlowState {
  /** Version of the definition that was last sent to the second stage. */
  sent: string
  meters: string[]
  /** Position of each meter and each customer in its list. */
  at: Map<string, number>
  /** Time step of the readings: meters are added up at equal times only, because a pump that starts moves all of them. */
  slotMs: number
  /** meter * SLOTS + slot % SLOTS; NaN when not read. */
  value: Float32Array
  /** Slot number held by each column. */
  slot: Float64Array
  /** Next bin to send. */
  nextBin: number
  /** Bins completed by late readings, not sent yet. */
  late: number[]
  flushMs: number
  customers: string[]
  /** customer * HOURS + hour % HOURS; m3, NaN when not read. Only where the district is fully metered. */
  use: Float32Array
  hour: Float64Array
  /** Mean m3/h of each customer meter and hours behind it. */
  mean: Float32Array
  meanN: Uint16Array
  /** Metered draws far above habit, by hour. */
  excess: Float64Array
  /** What was last sent for the hour; NaN before. */
  sentUse: Float64Array
  sentExcess: Float64Array
  nextHour: number
  lateHours: number[]
}

function termOf(zone: ZoneContext, meter: string): number {
  const a = zone.device(meter)?.asset
  if (a?.kind !== 'flow_meter') return 0
  return a.flows.filter((f) => f.dma === zone.def.zone).reduce((sum, f) => sum + f.sign, 0)
}

function metersOf(zone: ZoneContext): string[] {
  return zone
    .devicesOf('flow_meter')
    .map((d) => d.asset.id)
    .filter((id) => termOf(zone, id) !== 0)
}

function customersOf(zone: ZoneContext): string[] {
  return zone
    .devicesOf('water_meter')
    .filter((d) => intervalSecondsOf(d.asset) <= 3600)
    .map((d) => d.asset.id)
}

function fullyMetered(zone: ZoneContext): boolean {
  const { area } = zone.def
  return (
    area?.kind === 'dma' && area.fully_metered === true && zone.devicesOf('water_meter').every((d) => intervalSecondsOf(d.asset) <= 3600)
  )
}

function create(zone: ZoneContext): DistrictFlowState {
  const meters = metersOf(zone)
  const customers = customersOf(zone)
  return {
    sent: '',
    meters,
    at: new Map([...meters, ...customers].map((id, i) => [id, i < meters.length ? i : i - meters.length] as const)),
    slotMs: Math.max(60, ...meters.map((m) => intervalSecondsOf((zone.device(m) as ZoneDevice).asset))) * 1000,
    value: new Float32Array(meters.length * SLOTS).fill(Number.NaN),
    slot: new Float64Array(SLOTS).fill(-1),
    nextBin: -1,
    late: [],
    flushMs: 0,
    customers,
    use: new Float32Array(fullyMetered(zone) ? customers.length * HOURS : 0).fill(Number.NaN),
    hour: new Float64Array(HOURS).fill(-1),
    mean: new Float32Array(customers.length),
    meanN: new Uint16Array(customers.length),
    excess: new Float64Array(HOURS),
    sentUse: new Float64Array(HOURS).fill(Number.NaN),
    sentExcess: new Float64Array(HOURS),
    nextHour: -1,
    lateHours: [],
  }
}

type Ctx = DetectorContext<Settings>

/** Column of a time step, cleared when a newer one takes it; -1 when it is too old. */
function column(s: DistrictFlowState, slot: number): number {
  const c = slot % SLOTS
  if (s.slot[c] === slot) return c
  if ((s.slot[c] as number) > slot) return -1
  s.slot[c] = slot
  for (let m = 0; m < s.meters.length; m++) s.value[m * SLOTS + c] = Number.NaN
  return c
}

function hourColumn(s: DistrictFlowState, hour: number): number {
  const c = hour % HOURS
  if (s.hour[c] === hour) return c
  if ((s.hour[c] as number) > hour) return -1
  s.hour[c] = hour
  s.excess[c] = 0
  s.sentUse[c] = Number.NaN
  s.sentExcess[c] = 0
  if (s.use.length > 0) for (let m = 0; m < s.customers.length; m++) s.use[m * HOURS + c] = Number.NaN
  return c
}

/** Mean net inflow of a bin over the times at which every meter spoke, m3/h; NaN when there is none. */
function netOf(s: DistrictFlowState, signs: readonly number[], bin: number, binMs: number): number {
  let sum = 0
  let n = 0
  for (let slot = Math.ceil((bin * binMs) / s.slotMs); slot * s.slotMs < (bin + 1) * binMs; slot++) {
    const c = slot % SLOTS
    if (s.slot[c] !== slot) continue
    let net = 0
    for (let m = 0; m < signs.length; m++) net += (signs[m] as number) * (s.value[m * SLOTS + c] as number)
    if (Number.isNaN(net)) continue
    sum += net
    n += 1
  }
  return n === 0 || signs.length === 0 ? Number.NaN : sum / n
}

/** Use of all customers in an hour, m3; unread ones by their mean times how the read ones compare to theirs. NaN when too many are unread. */
function meteredOf(s: DistrictFlowState, c: number, missingMax: number): number {
  let read = 0
  let readMean = 0
  let unreadMean = 0
  for (let m = 0; m < s.customers.length; m++) {
    const v = s.use[m * HOURS + c] as number
    const mean = s.mean[m] as number
    if (Number.isNaN(v)) unreadMean += mean
    else {
      read += v
      readMean += mean
    }
  }
  if (readMean <= 0 || unreadMean > missingMax * (readMean + unreadMean)) return Number.NaN
  return read + unreadMean * (read / readMean)
}

function sendDistrict(s: DistrictFlowState, ctx: Ctx): void {
  const { def } = ctx.zone
  s.sent = def.version
  const area = def.area
  ctx.summarise('district', {
    meters: s.meters,
    signs: s.meters.map((m) => termOf(ctx.zone, m)),
    fullyMetered: s.use.length > 0,
    meanDemandM3h: area?.kind === 'dma' ? (area.mean_demand_m3h ?? 0) : 0,
    warmupUntilMs: def.warmupUntilMs,
    timezone: def.timezone,
    binMinutes: ctx.settings.binMinutes,
  })
  for (const o of ctx.operations) sendOperation(o, ctx)
}

function sendOperation(o: { kind: string; scopeType: string; scope: string; startMs: number; endMs: number }, ctx: Ctx): void {
  ctx.summarise('district_operation', { kind: o.kind, scopeType: o.scopeType, scope: o.scope, startMs: o.startMs, endMs: o.endMs })
}

function sendBins(s: DistrictFlowState, bins: readonly number[], ctx: Ctx): void {
  const at: number[] = []
  const nets: number[] = []
  const binMs = ctx.settings.binMinutes * MINUTE_MS
  const signs = s.meters.map((m) => termOf(ctx.zone, m))
  for (const bin of bins) {
    const net = netOf(s, signs, bin, binMs)
    if (Number.isNaN(net)) continue
    at.push(bin)
    nets.push(net)
    ctx.measure(ctx.zone.def.zone, 'flow_m3h', (bin + 1) * binMs, net)
  }
  if (at.length > 0) ctx.summarise('district_flow', { bins: at, netM3h: nets })
}

function sendHours(s: DistrictFlowState, hours: readonly number[], ctx: Ctx): void {
  const at: number[] = []
  const metered: (number | null)[] = []
  const excess: number[] = []
  for (const hour of hours) {
    const c = hourColumn(s, hour)
    if (c < 0) continue
    const use = s.use.length > 0 ? meteredOf(s, c, ctx.settings.meteredMissingMax) : Number.NaN
    const same = (Number.isNaN(use) && Number.isNaN(s.sentUse[c] as number)) || Math.abs(use - (s.sentUse[c] as number)) < 0.005
    if (same && Math.abs((s.excess[c] as number) - (s.sentExcess[c] as number)) < 0.02) continue
    s.sentUse[c] = use
    s.sentExcess[c] = s.excess[c] as number
    at.push(hour)
    metered.push(Number.isNaN(use) ? null : use)
    excess.push(s.excess[c] as number)
  }
  if (at.length > 0) ctx.summarise('district_metered', { hours: at, meteredM3: metered, excessM3: excess })
}

function learnMean(s: DistrictFlowState, m: number, m3: number): void {
  const n = Math.min(MEAN_HOURS, (s.meanN[m] as number) + 1)
  s.meanN[m] = n
  // Winsorised at ten times the mean, so that one filled pool is not yet a habit.
  const v = n > 48 ? Math.min(m3, 10 * (s.mean[m] as number) + 0.05) : m3
  s.mean[m] = (s.mean[m] as number) + (v - (s.mean[m] as number)) / n
}

export const districtFlow: Detector<DistrictFlowState, Settings> = {
  name: 'district-flow',
  zoneKinds: ['dma'],
  kinds: [],
  settings: Settings,
  create,
  onZone(state, ctx) {
    const next = create(ctx.zone)
    const same =
      next.meters.join() === state.meters.join() && next.customers.join() === state.customers.join() && next.use.length === state.use.length
    if (same) state.sent = ''
    else Object.assign(state, next)
  },
  onOperation(_state, o, ctx) {
    sendOperation(o, ctx)
  },
  onRead(state, read, ctx) {
    if (read.quantity !== 'flow_m3h') return
    // A meter that stands at exactly zero is no broken meter: its pump rests, its valve is shut.
    if (read.quality === 'suspect' && !(read.value === 0 && read.rules[0] === 'stuck')) return
    const m = state.at.get(read.device)
    if (m === undefined) return
    // A clock far ahead must not push out what is still needed.
    if (read.tsMs > ctx.nowMs + HOUR_MS) return
    const c = column(state, Math.floor(read.tsMs / state.slotMs))
    if (c < 0) return
    const at = m * SLOTS + c
    const fresh = Number.isNaN(state.value[at])
    state.value[at] = read.value
    const bin = Math.floor(read.tsMs / (ctx.settings.binMinutes * MINUTE_MS))
    if (state.nextBin < 0) state.nextBin = bin
    if (fresh && bin < state.nextBin && !state.late.includes(bin)) state.late.push(bin)
  },
  onInterval(state, interval, info, ctx) {
    if (interval.quantity !== 'water_volume_m3' || interval.channel !== '' || interval.value === null) return
    if (interval.status !== 'actual' && interval.status !== 'edited') return
    const m = state.at.get(info.asset.id)
    if (m === undefined || interval.endMs - interval.startMs > HOUR_MS) return
    const hour = Math.floor(interval.startMs / HOUR_MS)
    const c = hourColumn(state, hour)
    if (c < 0) return
    const perHour = (interval.value * HOUR_MS) / (interval.endMs - interval.startMs)
    const { largeDrawM3h, largeDrawFactor } = ctx.settings
    const mean = state.mean[m] as number
    if ((state.meanN[m] as number) > 48 && interval.rev === 1 && perHour > Math.max(mean + largeDrawM3h, largeDrawFactor * mean)) {
      state.excess[c] = (state.excess[c] as number) + interval.value - (mean * (interval.endMs - interval.startMs)) / HOUR_MS
    }
    if (state.use.length > 0) {
      const at = m * HOURS + c
      const whole = interval.endMs - interval.startMs === HOUR_MS
      const sofar = state.use[at] as number
      state.use[at] = whole || Number.isNaN(sofar) ? interval.value : sofar + interval.value
    }
    if (interval.rev === 1) learnMean(state, m, perHour)
    if (state.nextHour < 0) state.nextHour = hour
    if (hour < state.nextHour && !state.lateHours.includes(hour)) state.lateHours.push(hour)
  },
  onTick(state, tick, ctx) {
    if (tick.nowMs < state.flushMs) return
    state.flushMs = Math.floor(tick.nowMs / MINUTE_MS) * MINUTE_MS + MINUTE_MS
    if (state.sent !== ctx.zone.def.version) sendDistrict(state, ctx)
    const { binMinutes, graceSeconds, meteredGraceMinutes } = ctx.settings
    const binMs = binMinutes * MINUTE_MS
    const closed = Math.floor((tick.nowMs - graceSeconds * 1000) / binMs)
    if (state.nextBin >= 0 && closed > state.nextBin) {
      const from = Math.max(state.nextBin, closed - Math.floor((SLOTS * state.slotMs) / binMs))
      sendBins(
        state,
        Array.from({ length: closed - from }, (_, i) => from + i),
        ctx,
      )
      state.nextBin = closed
    }
    const fiveMinutes = Math.floor(tick.nowMs / MINUTE_MS) % 5 === 0
    if (fiveMinutes && state.late.length > 0) {
      sendBins(
        state,
        [...state.late].sort((a, b) => a - b),
        ctx,
      )
      state.late = []
    }
    const hour = Math.floor((tick.nowMs - meteredGraceMinutes * MINUTE_MS) / HOUR_MS)
    if (state.nextHour >= 0 && hour > state.nextHour) {
      const from = Math.max(state.nextHour, hour - HOURS)
      sendHours(
        state,
        Array.from({ length: hour - from }, (_, i) => from + i),
        ctx,
      )
      state.nextHour = hour
    }
    if (fiveMinutes && state.lateHours.length > 0) {
      sendHours(
        state,
        [...state.lateHours].sort((a, b) => a - b),
        ctx,
      )
      state.lateHours = []
    }
  },
}

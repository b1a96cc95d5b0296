// Pressure of a district: what is left of each sensor after the flows at the boundary explain what they can goes to the second stage,
// which detects and places leaks with it; low pressure and a sensor that drifts away from all others are said here.
import { z } from 'zod'

import { DAY_MS, MINUTE_MS, offsetMs } from '#model/time.ts'
import type { Detector, DetectorContext, ValidatedRead, ZoneContext } from '../fold.ts'
import { median } from '../statistics/robust.ts'
import { closeDay, createExpectation, type Expectation, expected, observe, regressors } from './pressure/expectation.ts'
import { type Boundary, boundaryNode, districtModel, sensitivities } from './pressure/hydraulics.ts'
import { placesOf } from './pressure/places.ts'

const Settings = z.object({
  binMinutes: z.number().int().min(5).max(60).default(15).describe('Residuals are averaged over this time'),
  graceSeconds: z.number().min(0).max(3600).default(150).describe('Wait for readings after the end of a bin'),
  lowPressureBar: z.number().min(0).max(20).default(1).describe('Customary minimum of service at the property line: 1 bar'),
  lowPressureDropBar: z.number().min(0).max(20).default(0.5).describe('... and this far below what the sensor has shown at its lowest'),
  lowPressureReadings: z.number().int().min(1).max(100).default(3).describe('... for this many readings in a row'),
  driftBar: z.number().positive().default(0.04).describe('A mean residual of a day beyond this, alone among the sensors, is a drift'),
  driftSd: z.number().positive().default(6).describe('... and beyond this many of its usual standard deviations'),
  placesEveryDays: z.number().int().min(1).max(90).default(7).describe('Sensitivities follow the flows this often'),
})
type Settings = z.infer<typeof Settings>

interface PressureState {
  sensors: string[]
  meters: string[]
  at: Map<string, number>
  /** Two bins are open at a time: bin % 2 * (sensors or meters) + i. */
  sum: Float64Array
  n: Uint16Array
  flowSum: Float64Array
  flowN: Uint16Array
  openBin: number
  expectation: Expectation
  day: number
  daysClosed: number
  /** Mean flow of each meter, m3/h. */
  flowMean: Float64Array
  flowWeight: number
  placesDay: number
  /** Residual of each sensor: mean over a day and over half a day, and usual variance. */
  slow: Float64Array
  quick: Float64Array
  variance: Float64Array
  seen: Float64Array
  /** Lowest usual pressure of each sensor: a slow minimum. */
  lowest: Float64Array
  lowRun: Uint16Array
  lowSince: Float64Array
  drift: Map<string, number>
  low: Map<string, number>
}

function termsOf(zone: ZoneContext, meter: string): number {
  const a = zone.device(meter)?.asset
  return a?.kind === 'flow_meter' ? a.flows.filter((f) => f.dma === zone.def.zone).reduce((s, f) => s + f.sign, 0) : 0
}

function create(zone: ZoneContext): PressureState {
  const sensors = zone.devicesOf('pressure_sensor').map((d) => d.asset.id)
  const meters = zone
    .devicesOf('flow_meter')
    .map((d) => d.asset.id)
    .filter((id) => termsOf(zone, id) !== 0)
  const n = sensors.length
  return {
    sensors,
    meters,
    at: new Map([...sensors.map((id, i) => [id, i] as const), ...meters.map((id, i) => [id, i] as const)]),
    sum: new Float64Array(2 * n),
    n: new Uint16Array(2 * n),
    flowSum: new Float64Array(2 * meters.length),
    flowN: new Uint16Array(2 * meters.length),
    openBin: -1,
    expectation: createExpectation(n, meters.length),
    day: -1,
    daysClosed: 0,
    flowMean: new Float64Array(meters.length),
    flowWeight: 0,
    placesDay: -1,
    slow: new Float64Array(n),
    quick: new Float64Array(n),
    variance: new Float64Array(n),
    seen: new Float64Array(n),
    lowest: new Float64Array(n).fill(Number.NaN),
    lowRun: new Uint16Array(n),
    lowSince: new Float64Array(n),
    drift: new Map(),
    low: new Map(),
  }
}

type Ctx = DetectorContext<Settings>

function onRead(s: PressureState, read: ValidatedRead, ctx: Ctx): void {
  const pressure = read.quantity === 'pressure_bar'
  if (!pressure && read.quantity !== 'flow_m3h') return
  if (read.quality === 'suspect' && !(!pressure && read.value === 0 && read.rules[0] === 'stuck')) return
  const i = s.at.get(read.device)
  if (i === undefined) return
  const bin = Math.floor(read.tsMs / (ctx.settings.binMinutes * MINUTE_MS))
  if (s.openBin < 0) s.openBin = bin
  if (pressure && read.quality === 'good') low(s, i, read, ctx)
  if (bin < s.openBin || bin > s.openBin + 1) return
  const sum = pressure ? s.sum : s.flowSum
  const n = pressure ? s.n : s.flowN
  const c = (bin % 2) * (pressure ? s.sensors.length : s.meters.length) + i
  sum[c] = (sum[c] as number) + read.value
  n[c] = (n[c] as number) + 1
}

/** Service pressure lost: below the minimum, and well below what this sensor shows at its lowest. */
function low(s: PressureState, i: number, read: ValidatedRead, ctx: Ctx): void {
  const { lowPressureBar, lowPressureDropBar, lowPressureReadings } = ctx.settings
  const usual = s.lowest[i] as number
  const id = s.sensors[i] as string
  const isLow = read.value < lowPressureBar && (Number.isNaN(usual) || read.value < usual - lowPressureDropBar)
  if (!isLow) {
    // A minimum that forgets within a month or so, one part in two thousand a reading towards the present value.
    s.lowest[i] = Number.isNaN(usual)
      ? read.value
      : read.value < usual
        ? usual + (read.value - usual) * 0.2
        : usual + (read.value - usual) * 0.0005
    s.lowRun[i] = 0
    const onsetMs = s.low.get(id)
    if (onsetMs !== undefined) {
      s.low.delete(id)
      sayLow(id, onsetMs, read.value, usual, read.tsMs, ctx)
    }
    return
  }
  if (s.lowRun[i] === 0) s.lowSince[i] = read.tsMs
  s.lowRun[i] = Math.min(60_000, (s.lowRun[i] as number) + 1)
  if ((s.lowRun[i] as number) < lowPressureReadings || ctx.warmingUp || s.low.has(id)) return
  s.low.set(id, s.lowSince[i] as number)
  sayLow(id, s.lowSince[i] as number, read.value, usual, null, ctx)
}

function sayLow(id: string, onsetMs: number, value: number, usual: number, clearedAtMs: number | null, ctx: Ctx): void {
  ctx.emit({
    kind: 'low_pressure',
    scope: { type: 'sensor', id },
    onsetMs,
    clearedAtMs,
    severity: value <= 0 ? 'critical' : 'major',
    confidence: 0.95,
    reason: clearedAtMs === null ? (value <= 0 ? 'negative-pressure' : 'below-service-pressure') : 'pressure-back',
    evidence: [
      {
        what: 'pressure',
        bar: round(value, 3),
        usualLowestBar: Number.isNaN(usual) ? null : round(usual, 3),
        limitBar: ctx.settings.lowPressureBar,
      },
    ],
  })
}

function round(v: number, digits: number): number {
  return Number(v.toFixed(digits))
}

/** Forgetting per bin of a mean over about so many bins. */
function share(bins: number): number {
  return 1 / bins
}

function closeBin(s: PressureState, bin: number, ctx: Ctx): void {
  const n = s.sensors.length
  const m = s.meters.length
  const half = bin % 2
  const flows: number[] = []
  let net = 0
  for (let i = 0; i < m; i++) {
    const c = half * m + i
    const v = (s.flowN[c] as number) === 0 ? Number.NaN : (s.flowSum[c] as number) / (s.flowN[c] as number)
    flows.push(v)
    net += termsOf(ctx.zone, s.meters[i] as string) * v
  }
  const x = regressors(s.expectation, flows, net)
  const residual: (number | null)[] = []
  let any = false
  for (let i = 0; i < n; i++) {
    const c = half * n + i
    const count = s.n[c] as number
    residual.push(null)
    if (x === undefined || count === 0) continue
    const value = (s.sum[c] as number) / count
    const r = value - expected(s.expectation, i, x)
    if (Number.isFinite(r)) {
      track(s, i, r, ctx)
      if (!s.drift.has(s.sensors[i] as string)) {
        residual[i] = round(1000 * r, 1)
        any = true
      }
    }
    if (!s.drift.has(s.sensors[i] as string)) observe(s.expectation, i, x, value)
  }
  if (x !== undefined) {
    const k = Math.max(share(672), 1 / (s.flowWeight + 1))
    for (let i = 0; i < m; i++) s.flowMean[i] = (s.flowMean[i] as number) + ((flows[i] as number) - (s.flowMean[i] as number)) * k
    s.flowWeight += 1
  }
  if (any) ctx.summarise('district_pressure', { bin, residualMbar: residual })
  s.sum.fill(0, half * n, (half + 1) * n)
  s.n.fill(0, half * n, (half + 1) * n)
  s.flowSum.fill(0, half * m, (half + 1) * m)
  s.flowN.fill(0, half * m, (half + 1) * m)
}

function track(s: PressureState, i: number, r: number, ctx: Ctx): void {
  const n = (s.seen[i] as number) + 1
  s.seen[i] = n
  s.slow[i] = (s.slow[i] as number) + (r - (s.slow[i] as number)) * Math.max(share(96), 1 / n)
  s.quick[i] = (s.quick[i] as number) + (r - (s.quick[i] as number)) * Math.max(share(24), 1 / n)
  const v = s.variance[i] as number
  // Cut at four standard deviations: the usual spread, not that of a fault.
  s.variance[i] = v + (Math.min(r * r, n > 96 ? 16 * v : r * r) - v) * Math.max(share(672), 1 / n)
  void ctx
}

/** A sensor whose day's mean has left all the others, and did not do so at once, drifts: it is out of the evidence until it is back. */
function drifts(s: PressureState, ctx: Ctx): void {
  if (s.sensors.length < 3 || ctx.warmingUp) return
  const middle = median(s.slow)
  for (const [i, id] of s.sensors.entries()) {
    if ((s.seen[i] as number) < 192) continue
    const away = (s.slow[i] as number) - middle
    const limit = Math.max(ctx.settings.driftBar, ctx.settings.driftSd * Math.sqrt((s.variance[i] as number) / 24))
    const since = s.drift.get(id)
    const gradual = Math.abs((s.quick[i] as number) - middle - away) < 0.6 * Math.abs(away)
    if (since === undefined && Math.abs(away) > limit && gradual) {
      s.drift.set(id, ctx.nowMs)
      sayDrift(id, ctx.nowMs, away, limit, null, ctx)
    } else if (since !== undefined && Math.abs(away) < limit / 2 && Math.abs((s.quick[i] as number) - middle) < limit / 2) {
      s.drift.delete(id)
      sayDrift(id, since, away, limit, ctx.nowMs, ctx)
    }
  }
}

function sayDrift(id: string, onsetMs: number, awayBar: number, limitBar: number, clearedAtMs: number | null, ctx: Ctx): void {
  ctx.emit({
    kind: 'sensor_fault',
    subtype: 'drift',
    scope: { type: 'sensor', id },
    onsetMs,
    clearedAtMs,
    severity: 'warning',
    confidence: 0.8,
    reason: clearedAtMs === null ? 'left-the-others' : 'back-with-the-others',
    evidence: [
      { what: 'mean of a day against what flows and other sensors say', awayBar: round(awayBar, 3), limitBar: round(limitBar, 3) },
    ],
  })
}

function closeLocalDay(s: PressureState, ctx: Ctx, day: number): void {
  if (s.day >= 0) {
    // Within the warm-up nothing is a fault: what is learnt counts at once.
    closeDay(s.expectation, ctx.warmingUp || s.daysClosed < 6)
    s.daysClosed += 1
  }
  s.day = day
  if (s.expectation.ready.some((r) => r === 1) && (s.placesDay < 0 || day - s.placesDay >= ctx.settings.placesEveryDays))
    sendPlaces(s, ctx, day)
}

function sendPlaces(s: PressureState, ctx: Ctx, day: number): void {
  const { def } = ctx.zone
  const model = districtModel(def.network)
  const origin = def.network.find((e) => e.asset.kind === 'junction' && e.at.length >= 2)
  if (model === undefined || origin === undefined) return
  const links = new Map(def.network.map((e) => [e.asset.id, e.asset]))
  const boundary: Boundary[] = []
  for (const [i, id] of s.meters.entries()) {
    const device = ctx.zone.device(id)
    const link = device?.asset.kind === 'flow_meter' ? links.get(device.asset.link ?? '') : undefined
    const ends = link !== undefined && 'from' in link ? [link.from as string, link.to as string] : []
    const place = device?.lon === undefined || device.lat === undefined ? undefined : { lon: device.lon, lat: device.lat }
    const node = boundaryNode(model, ends, place, { lon: origin.at[0] as number, lat: origin.at[1] as number })
    if (node !== undefined) boundary.push({ node, inflowM3h: termsOf(ctx.zone, id) * (s.flowMean[i] as number) })
  }
  const nodes: number[] = []
  const known: number[] = []
  for (const [i, id] of s.sensors.entries()) {
    const a = ctx.zone.device(id)?.asset
    const node = a?.kind === 'pressure_sensor' ? model.at.get(a.node ?? '') : undefined
    if (node === undefined) continue
    nodes.push(node)
    known.push(i)
  }
  const found = sensitivities(model, boundary, nodes)
  if (found === undefined) return
  s.placesDay = day
  ctx.summarise('district_places', { sensors: s.sensors, at: known, ...placesOf(model, found, nodes.length) })
}

export const pressure: Detector<PressureState, Settings> = {
  name: 'pressure',
  zoneKinds: ['dma'],
  kinds: ['low_pressure', 'sensor_fault'],
  settings: Settings,
  create,
  onZone(state, ctx) {
    const next = create(ctx.zone)
    const same = next.sensors.join() === state.sensors.join() && next.meters.join() === state.meters.join()
    if (same) state.placesDay = -1
    else Object.assign(state, next)
  },
  onRead,
  onTick(state, tick, ctx) {
    const binMs = ctx.settings.binMinutes * MINUTE_MS
    if (state.openBin < 0 || tick.nowMs < (state.openBin + 1) * binMs + ctx.settings.graceSeconds * 1000) return
    const closed = Math.floor((tick.nowMs - ctx.settings.graceSeconds * 1000) / binMs)
    // Two bins are kept: after a silence the rest was never there.
    closeBin(state, state.openBin, ctx)
    if (closed > state.openBin + 1) closeBin(state, state.openBin + 1, ctx)
    state.openBin = closed
    const at = closed * binMs
    const day = Math.floor((at + offsetMs(ctx.zone.def.timezone, at)) / DAY_MS)
    if (day !== state.day) closeLocalDay(state, ctx, day)
    if (closed % 4 === 0) drifts(state, ctx)
  },
}

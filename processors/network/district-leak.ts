// Leaks of the network, decided where all districts are in view: what the districts do in common is taken out, then each district's
// inflow and, where registers cover it, its water balance are tested for a lasting step of any age. One finding per leak.
import { z } from 'zod'
import type { Candidate, Evidence, FindingDraft } from '#model/finding.ts'
import { findingId } from '#model/finding.ts'
import { HOUR_MS, MINUTE_MS } from '#model/time.ts'
import type { NetworkContext, NetworkDetector } from '../fold.ts'
import { type Calendar, createCalendar, dayClass, learn } from './leak/baseline.ts'
import { type Common, commonFactors, expectedAt, type KnownAt } from './leak/common.ts'
import {
  BIN_MS,
  BINS_PER_DAY,
  BINS_PER_HOUR,
  createDistrict,
  type District,
  localBin,
  MASK,
  maskBins,
  netAt,
  type OpenLeak,
  putHour,
  putNet,
} from './leak/district.ts'
import {
  balanceModel,
  binsBack,
  createStepFilter,
  feed,
  forgetKnown,
  inflowModel,
  LOOKBACK_DAYS,
  observe,
  observeBalance,
  rivals,
  type StepFound,
  strongestFall,
  strongestStep,
  thin,
  thresholdOf,
} from './leak/judge.ts'
import { createPressure, jointStep, learnPressure, locate, preparePressure, putResiduals } from './leak/pressure-evidence.ts'

const Settings = z.object({
  falseAlarmsPerDistrictMonth: z.number().positive().max(10).default(0.05).describe('Allowed by chance alone; thresholds follow from it'),
  leakMinM3h: z.number().positive().default(0.3).describe('A step below this is not worth a crew'),
  leakMinShare: z.number().min(0).max(1).default(0.015).describe('... nor below this share of typical inflow'),
  hydrantMinM3h: z
    .number()
    .positive()
    .default(10)
    .describe('From this flow on a draw may be a fire hose: a C nozzle gives 100 to 235 l/min'),
  hydrantMinutes: z.number().min(0).max(600).default(90).describe('... and is waited for this long'),
  nightShiftMaxShare: z
    .number()
    .min(0)
    .max(1)
    .default(0.15)
    .describe('A step up to this share may be a factory at night; the morning tells'),
  relearnDays: z.number().int().min(1).max(28).default(7).describe('Baselines are learnt anew this often'),
  learnLagDays: z
    .number()
    .int()
    .min(0)
    .max(21)
    .default(5)
    .describe('... from days older than this, so that a leak not yet seen is not learnt'),
  warmupDays: z.number().int().min(4).max(28).default(7).describe('Silence at first where the registry names no warm-up'),
  reopenDays: z.number().min(0).max(60).default(7).describe('A leak this soon after another one of the district ended is linked to it'),
})
type Settings = z.infer<typeof Settings>

interface DistrictLeakState {
  districts: Map<string, District>
  calendar: Calendar
  operations: { zone: string; kind: string; scopeType: string; scope: string; startMs: number; endMs: number }[]
  learntBin: number
  /** Next bin to judge in all districts. */
  nextBin: number
}

const OPERATIONS_MAX = 500
const GRACE_MS = 3 * MINUTE_MS
const METERED_GRACE_MS = 13 * MINUTE_MS

const known: KnownAt = (d, bin) => (d.leaks.some((l) => bin >= l.onsetBin) ? Math.max(0, d.filter.x[3] as number) * d.typical : 0)

function of(state: DistrictLeakState, zone: string): District {
  let d = state.districts.get(zone)
  if (d === undefined) {
    d = createDistrict(zone)
    state.districts.set(zone, d)
  }
  return d
}

/** Sorted by zone: what is summed over districts is summed in one order. */
function sorted(state: DistrictLeakState): District[] {
  return [...state.districts.values()].sort((a, b) => (a.zone < b.zone ? -1 : 1))
}

function onDistrict(d: District, data: Record<string, unknown>): void {
  d.meters = data.meters as string[]
  d.signs = data.signs as number[]
  d.fullyMetered = data.fullyMetered as boolean
  d.warmupUntilMs = data.warmupUntilMs as number
  d.timezone = data.timezone as string
}

function onPlaces(d: District, data: Record<string, unknown>): void {
  const { sensors, at, pipes, x, y, fall } = data as {
    sensors: string[]
    at: number[]
    pipes: string[]
    x: number[]
    y: number[]
    fall: number[]
  }
  if (d.pressure === undefined || d.pressure.sensors.join() !== sensors.join() || d.pressure.used.join() !== at.join()) {
    d.pressure = createPressure(sensors, at)
  }
  d.pressure.places = { sensors: at.length, pipes, x: Float32Array.from(x), y: Float32Array.from(y), fall: Float32Array.from(fall) }
  preparePressure(d.pressure)
}

/** May the size of what is known jump at this step of a run that began at `from`? */
function opensAt(d: District, step: number, from: number, bins: number): boolean {
  return d.jumps.some((j) => Math.floor(j / bins) === step || (step === from && j < from * bins))
}

/** Runs a district's tests anew over the last days: late data, a new baseline, a leak found or ended. */
function rerun(d: District, all: readonly District[], toBin: number, state: DistrictLeakState): void {
  d.stale = false
  const m = inflowModel(d)
  d.filter = createStepFilter(m)
  const from = binsBack(d, toBin)
  const warm = Math.ceil(d.warmupUntilMs / BIN_MS) - BINS_PER_DAY
  const testFrom = Math.max(warm, d.testFrom, ...d.leaks.map((l) => l.detectedBin + 1))
  const at = all.indexOf(d)
  for (let b = from; b < toBin; b++) {
    const common = commonFactors(all, b, state.calendar, known)[at] as Common
    feed(d.filter, m, observe(d, b, state.calendar, common), opensAt(d, b, from, 1), b >= testFrom)
    if (b % BINS_PER_HOUR === 0) thin(d.filter, b, BINS_PER_HOUR)
  }
}

function rerunBalance(d: District, toHour: number): void {
  d.staleBalance = false
  const m = balanceModel(d.balanceNoise, d.leaks)
  d.balance = createStepFilter(m)
  const from = Math.max(Math.ceil(d.firstBin / BINS_PER_HOUR), toHour - LOOKBACK_DAYS * 24)
  const warm = Math.ceil(d.warmupUntilMs / HOUR_MS) - 24
  const testFrom = Math.max(
    warm,
    Math.ceil(d.testFrom / BINS_PER_HOUR),
    ...d.leaks.map((l) => Math.ceil(l.detectedBin / BINS_PER_HOUR) + 1),
  )
  for (let h = from; h < toHour; h++) {
    const opens = opensAt(d, h, from, BINS_PER_HOUR)
    feed(d.balance, m, observeBalance(d, h), opens, h >= testFrom)
    thin(d.balance, h, 1)
  }
}

function learnAll(state: DistrictLeakState, bin: number, settings: Settings): void {
  const all = sorted(state)
  const first = all.every((d) => d.typical <= 0)
  learn(all, first ? bin : bin - settings.learnLagDays * BINS_PER_DAY, state.calendar)
  state.learntBin = bin
  // Pressure is learnt while nothing leaks: the noise of a district with an open leak stays what it was.
  for (const d of all)
    if (d.pressure !== undefined && (d.leaks.length === 0 || d.pressure.covariance.length === 0)) {
      learnPressure(d.pressure)
      preparePressure(d.pressure)
    }
  for (const d of all) {
    if (d.typical <= 0) continue
    rerun(d, all, bin, state)
    d.nextBin = bin
    if (d.fullyMetered && Number.isFinite(d.balanceBase)) {
      const hour = d.nextHour >= 0 ? d.nextHour : Math.floor(bin / BINS_PER_HOUR) - 1
      rerunBalance(d, hour)
      d.nextHour = hour
    }
  }
}

function due(state: DistrictLeakState, bin: number, settings: Settings): boolean {
  if (state.learntBin >= 0) return bin - state.learntBin >= settings.relearnDays * BINS_PER_DAY
  const all = sorted(state).filter((d) => d.firstBin >= 0)
  if (all.length === 0) return false
  return all.every((d) => {
    const warm = d.warmupUntilMs > 0 ? Math.ceil(d.warmupUntilMs / BIN_MS) : d.firstBin + settings.warmupDays * BINS_PER_DAY
    return bin >= Math.max(warm, d.firstBin + 4 * BINS_PER_DAY)
  })
}

/** Announced work and draws: what they explain is not judged. */
function maskOperations(state: DistrictLeakState, d: District, bin: number): void {
  for (const o of state.operations) {
    if (o.zone !== d.zone || !(o.kind === 'hydrant' || o.kind === 'valve' || o.kind === 'pump')) continue
    const from = Math.floor(o.startMs / BIN_MS) - 1
    const to = Math.ceil(o.endMs / BIN_MS) + 1
    if (bin >= from && bin <= to) maskBins(d, bin, bin, MASK.operation)
  }
}

interface Draw {
  from: number
  to: number
  /** It has ended; else it is too young to be told from a burst. */
  over: boolean
}

/** Search for draws back to this many bins: six hours. */
const DRAW_BINS = 24

/** A draw as large as a hydrant's in the last hours that is over, or that may yet end as one. */
function drawSeen(d: District, newest: number, state: DistrictLeakState, settings: Settings): Draw | undefined {
  const rise: number[] = []
  for (let b = newest - DRAW_BINS + 1; b <= newest; b++) rise.push(netAt(d, b) - expectedAt(d, b, state.calendar).flow - known(d, b))
  const scale = expectedAt(d, newest, state.calendar).flow / d.typical
  const sd = d.typical * Math.sqrt(d.noise.white * scale + (d.noise.hourSd * scale) ** 2)
  const top = Math.max(...rise.filter(Number.isFinite), 0)
  if (top < settings.hydrantMinM3h || top < 4 * sd) return undefined
  const first = rise.findIndex((x) => x >= 0.5 * top)
  const last = rise.findLastIndex((x) => x >= 0.5 * top)
  const draw = { from: newest - DRAW_BINS + 1 + first - 1, to: newest - DRAW_BINS + 1 + last + 1 }
  const minutes = (last - first + 1) * 15
  if (last < DRAW_BINS - 1 && !Number.isNaN(rise.at(-1)))
    return minutes <= settings.hydrantMinutes + 30 ? { ...draw, over: true } : undefined
  return minutes < settings.hydrantMinutes + 15 ? { ...draw, over: false } : undefined
}

/** Mean residual of the newest bins, m3/h, uncut. */
function recent(d: District, bin: number, n: number, state: DistrictLeakState): number {
  let sum = 0
  let k = 0
  for (let b = bin; b > bin - n; b--) {
    const v = netAt(d, b)
    if (!Number.isFinite(v)) continue
    sum += v - expectedAt(d, b, state.calendar).flow
    k += 1
  }
  return k === 0 ? Number.NaN : sum / k
}

/** Log-likelihood, over all districts, of today being a Sunday rather than the weekday it is, and the share of districts that agree. */
function holidayEvidence(
  state: DistrictLeakState,
  all: readonly District[],
  bin: number,
): { day: number; evidence: number; agree: number; districts: number } | undefined {
  const ready = all.filter((d) => d.typical > 0)
  if (ready.length < 3) return undefined
  const first = ready[0] as District
  const { day, weekday } = localBin(first.timezone, bin)
  if (dayClass(day, weekday, state.calendar.special) !== 0) return undefined
  const sunday = { ...state.calendar, special: new Map(state.calendar.special).set(day, 2) }
  let evidence = 0
  let agree = 0
  for (const d of ready) {
    let own = 0
    const { white, hourSd, daySd } = d.noise
    for (let b = bin; b > bin - 8 && localBin(d.timezone, b).day === day; b--) {
      const net = netAt(d, b) - known(d, b)
      if (!Number.isFinite(net)) continue
      const w = expectedAt(d, b, state.calendar).flow
      const s = expectedAt(d, b, sunday).flow
      const variance = (hourSd ** 2 + daySd ** 2) * w * w + white * w * d.typical
      // Neighbouring bins share one mood: eight of them count as two.
      own += Math.max(-3, Math.min(3, ((net - w) ** 2 - (net - s) ** 2) / (2 * variance) / 4))
    }
    evidence += own
    if (own > 0.5) agree += 1
  }
  return { day, evidence, agree, districts: ready.length }
}

/** Switches a weekday to a Sunday's profile when all districts say so. */
function holidays(state: DistrictLeakState, all: readonly District[], bin: number): boolean {
  const h = holidayEvidence(state, all, bin)
  if (h === undefined || h.evidence < 2 * h.districts || h.agree < 0.7 * h.districts) return false
  state.calendar.special.set(h.day, 2)
  return true
}

/** A rival counts when it explains about as well, and leaves less than this of the leak when both are allowed. */
const BETTER_BY = 0.2
const BESIDE_Z = 2
/** Log-likelihood by which a draw that has ended must explain more than a leak that goes on. */
const ENDED_LLR = 2
/** Weighed with all that is known now, the step must still stand out by this much. */
const CONFIRM_Z = 3

interface Verdict {
  leak: boolean
  reason: string
}

function weigh(
  d: District,
  all: readonly District[],
  step: StepFound,
  bin: number,
  via: 'inflow' | 'balance',
  state: DistrictLeakState,
  settings: Settings,
) {
  const perHour = via === 'inflow' ? BINS_PER_HOUR : 1
  const at = all.indexOf(d)
  const from = via === 'inflow' ? binsBack(d, bin) : Math.max(Math.ceil(d.firstBin / BINS_PER_HOUR), bin - LOOKBACK_DAYS * 24)
  const list = []
  for (let b = from; b <= bin; b++) {
    const o =
      via === 'inflow' ? observe(d, b, state.calendar, commonFactors(all, b, state.calendar, known)[at] as Common) : observeBalance(d, b)
    const open = d.leaks.some((l) => b * (via === 'inflow' ? 1 : BINS_PER_HOUR) >= l.onsetBin)
    if (open) o.residual -= Math.max(0, (via === 'inflow' ? d.filter : d.balance).x[3] as number)
    list.push(o)
  }
  const m = via === 'inflow' ? inflowModel(d) : balanceModel(d.balanceNoise, d.leaks)
  void settings
  return rivals(createStepFilter(m), m, list, step, { timezone: d.timezone, perHour, nights: true })
}

/** Share of the other districts that rise at the same time. */
function sharedRise(d: District, all: readonly District[], step: StepFound): number {
  let others = 0
  let rising = 0
  for (const n of all) {
    if (n === d || n.typical <= 0) continue
    others += 1
    let z = 0
    for (let c = 0; c < n.filter.count; c++) {
      const den = n.filter.den[c] as number
      if (Math.abs((n.filter.onset[c] as number) - step.onset) <= 4 && den > 0)
        z = Math.max(z, (n.filter.num[c] as number) / Math.sqrt(den))
    }
    if (z > 2.5) rising += 1
  }
  return others < 2 ? 0 : rising / others
}

/** A step in a weekday's first hours that a Sunday's profile would explain: is today a holiday? */
function mayBeHoliday(d: District, all: readonly District[], step: StepFound, bin: number, state: DistrictLeakState): boolean {
  const { slot } = localBin(d.timezone, step.onset)
  if (slot > 16 && slot < BINS_PER_DAY - 2) return false
  const now = localBin(d.timezone, bin)
  if (now.slot > 6 * BINS_PER_HOUR || dayClass(now.day, now.weekday, state.calendar.special) !== 0) return false
  const others = holidayEvidence(
    state,
    all.filter((n) => n !== d),
    bin,
  )
  if (others !== undefined && others.evidence < -0.5 * others.districts) return false
  const sunday = { ...state.calendar, special: new Map(state.calendar.special).set(now.day, 2) }
  let off = 0
  let offSunday = 0
  for (let b = bin; b >= step.onset && b > bin - 12 && localBin(d.timezone, b).day === now.day; b--) {
    const v = netAt(d, b)
    if (!Number.isFinite(v)) continue
    off += v - expectedAt(d, b, state.calendar).flow
    offSunday += v - expectedAt(d, b, sunday).flow
  }
  return offSunday < 0.6 * off
}

function neighbourLoses(d: District, all: readonly District[], step: StepFound): string | undefined {
  for (const n of all) {
    if (n === d || n.typical <= 0) continue
    const shared = d.meters.find((m, i) => {
      const j = n.meters.indexOf(m)
      return j >= 0 && (d.signs[i] as number) * (n.signs[j] as number) < 0
    })
    if (shared === undefined) continue
    for (let c = 0; c < n.filter.count; c++) {
      if (Math.abs((n.filter.onset[c] as number) - step.onset) > 6) continue
      const den = n.filter.den[c] as number
      if (den <= 0) continue
      const z = (n.filter.num[c] as number) / Math.sqrt(den)
      const size = ((n.filter.num[c] as number) / den) * n.typical
      const own = step.size * d.typical
      // A meter that reads wrong moves both districts by the same amount, one up and one down.
      if (z < -3 && size < -0.7 * own && size > -1.4 * own) return shared
    }
  }
  return undefined
}

function judge(
  d: District,
  all: readonly District[],
  step: StepFound,
  bin: number,
  via: 'inflow' | 'balance',
  state: DistrictLeakState,
  settings: Settings,
): { draw?: Draw | undefined; verdict: Verdict; kind: 'burst' | 'leak'; z: number; size: number } {
  const perHour = via === 'inflow' ? BINS_PER_HOUR : 1
  const hold = (reason: string, draw?: Draw) => ({
    draw,
    verdict: { leak: false, reason },
    kind: 'leak' as const,
    z: step.z,
    size: step.size,
  })
  const m3h = step.size * d.typical
  if (m3h < settings.leakMinM3h || step.size < settings.leakMinShare) return hold('too small')
  const ageH = (bin - step.onset + 1) / perHour
  const newest = via === 'inflow' ? bin : (bin + 1) * BINS_PER_HOUR - 1
  const draw = drawSeen(d, newest, state, settings)
  if (draw !== undefined) return hold(draw.over ? 'ended' : 'may be a hydrant', draw)
  if (via === 'inflow' && ageH < 6 && recent(d, newest, 2, state) - known(d, newest) < 0.4 * m3h) return hold('ended')
  if (via === 'inflow') {
    const meter = neighbourLoses(d, all, step)
    if (meter !== undefined) return hold(`meter ${meter} may read wrong`)
  }
  if (via === 'inflow' && sharedRise(d, all, step) > 0.6) return hold('shared by districts')
  if (via === 'inflow' && mayBeHoliday(d, all, step, bin, state)) return hold('may be a holiday')
  const small = step.size < settings.nightShiftMaxShare
  const r = weigh(d, all, step, bin, via, state, settings)
  if (!(r.leak.z > (step.joint === true ? FLOW_MIN_Z - 0.5 : CONFIRM_Z))) return hold('not confirmed')
  if (small && r.nightShift.z > r.leak.z - BETTER_BY && r.nightShift.beside < BESIDE_Z) return hold('may be use at night')
  if (ageH >= 12 && r.growth.z > r.leak.z && r.growth.beside < BESIDE_Z) return hold('demand has grown')
  if (ageH <= 48 && r.draw.z ** 2 > r.leak.z ** 2 + ENDED_LLR * 2) return hold('ended')
  const kind = ageH <= 12 || r.leak.z ** 2 > r.ramp.z ** 2 + 4 ? 'burst' : 'leak'
  return {
    verdict: { leak: true, reason: via === 'inflow' ? (kind === 'burst' ? 'inflow-step' : 'night-flow-rise') : 'water-balance-step' },
    kind,
    z: Math.max(r.leak.z, step.z),
    size: Math.max(step.joint === true ? step.size : r.leak.size, settings.leakMinShare),
  }
}

function draft(d: District, l: OpenLeak, reason: string, extra: Partial<FindingDraft> = {}): FindingDraft {
  const m3h = l.size * d.typical
  const candidates: Candidate[] = l.candidates
  const evidence: Evidence[] = [
    {
      what: l.via === 'inflow' ? 'net inflow above its baseline' : 'inflow not taken by customers',
      standardDeviations: round(l.z, 1),
      flowM3h: round(m3h, 2),
      typicalInflowM3h: round(d.typical, 1),
    },
  ]
  return {
    kind: l.kind,
    scope: { type: 'dma', id: d.zone },
    onsetMs: l.onsetMs,
    startedAtMs: l.startedMs,
    clearedAtMs: null,
    severity: l.kind === 'burst' && l.size >= 0.1 ? 'critical' : l.size >= 0.05 ? 'major' : 'minor',
    confidence: round(1 - 0.5 * Math.exp(-Math.max(0, l.z - 3.5)), 2),
    size: { flowM3h: round(m3h, 2) },
    reason,
    evidence,
    ...(candidates.length > 0 ? { candidates } : {}),
    ...(l.parent === undefined ? {} : { parent: l.parent }),
    ...extra,
  }
}

/** Ranks pipes by the pressure since the onset; keeps what it has when pressure cannot tell. */
function place(d: District, l: OpenLeak, bin: number): void {
  if (d.pressure === undefined) return
  const m3h = l.size * d.typical
  const found = locate(d.pressure, l.onsetBin, bin, m3h, 0.3 * m3h)
  if (found !== undefined) l.candidates = found
}

function round(v: number, digits: number): number {
  return Number(v.toFixed(digits))
}

function open(
  d: District,
  step: StepFound,
  bin: number,
  via: 'inflow' | 'balance',
  verdict: { kind: 'burst' | 'leak'; z: number; size: number; verdict: Verdict },
  settings: Settings,
  ctx: NetworkContext<Settings>,
): void {
  const onsetBin = via === 'inflow' ? step.onset : step.onset * BINS_PER_HOUR
  const onsetMs = onsetBin * BIN_MS
  const parent = d.ended.filter((e) => onsetMs - e.endMs < settings.reopenDays * 24 * HOUR_MS).at(-1)?.id
  const l: OpenLeak = {
    onsetMs,
    onsetBin,
    startedMs: onsetMs,
    detectedBin: via === 'inflow' ? bin : (bin + 1) * BINS_PER_HOUR - 1,
    kind: verdict.kind,
    via,
    size: verdict.size,
    peak: verdict.size,
    z: verdict.z,
    lowHours: 0,
    candidates: [],
    parent,
    said: verdict.size,
  }
  place(d, l, Math.min(l.detectedBin, d.pressure?.newest ?? l.detectedBin))
  d.leaks.push(l)
  d.jumps.push(onsetBin)
  ctx.emit(d.zone, draft(d, l, verdict.verdict.reason))
}

const LOW_HOURS = 6
/** A fall this clear makes the followed size jump rather than drift. */
const FALL_Z = 4

/** Follows open leaks once an hour: size, growth, and whether the flow is back at base. */
function follow(
  d: District,
  all: readonly District[],
  bin: number,
  state: DistrictLeakState,
  settings: Settings,
  ctx: NetworkContext<Settings>,
): void {
  if (d.leaks.length === 0) return
  const fall = strongestFall(d.filter)
  if (
    fall !== undefined &&
    fall.z < -FALL_Z &&
    fall.size < -0.3 * (d.filter.x[3] as number) &&
    !d.jumps.some((j) => Math.abs(j - fall.onset) < 8)
  ) {
    d.jumps.push(fall.onset)
    rerun(d, all, bin + 1, state)
  }
  const size = d.filter.x[3] as number
  const sd = Math.sqrt(d.filter.p[15] as number)
  const total = d.leaks.reduce((a, l) => a + l.peak, 0)
  const back = size < 0.35 * total || size < sd
  for (const l of [...d.leaks]) {
    l.lowHours = back && bin - l.detectedBin > BINS_PER_HOUR * 3 ? l.lowHours + 1 : 0
    if (l.lowHours >= LOW_HOURS) {
      d.leaks = d.leaks.filter((x) => x !== l)
      const clearedAtMs = bin * BIN_MS - LOW_HOURS * HOUR_MS
      d.ended.push({ id: findingId({ kind: l.kind, scope: { type: 'dma', id: d.zone }, onsetMs: l.onsetMs }), endMs: clearedAtMs })
      if (d.ended.length > 8) d.ended.shift()
      const fallBin = bin - LOW_HOURS * BINS_PER_HOUR
      maskBins(d, l.onsetBin, fallBin, MASK.leak)
      // What has not gone back is tested like anything else, with its onset at the fall.
      d.testFrom = fallBin
      ctx.emit(d.zone, draft(d, l, 'night-flow-back-at-base', { clearedAtMs }))
    } else if (d.leaks.length === 1 && !back) {
      l.size = size
      l.peak = Math.max(l.peak, size)
      if (Math.abs(l.size - l.said) > 0.25 * l.said && bin % (6 * BINS_PER_HOUR) === 0) {
        l.said = l.size
        ctx.emit(d.zone, draft(d, l, l.size > l.said ? 'grown' : 'resized'))
      }
    }
  }
  if (d.leaks.length === 0) {
    d.jumps = []
    forgetKnown(d.filter)
    rerun(d, all, bin + 1, state)
    if (d.nextHour >= 0) rerunBalance(d, d.nextHour)
  }
  void settings
}

function judgeBin(state: DistrictLeakState, bin: number, ctx: NetworkContext<Settings>): void {
  const { settings } = ctx
  const all = sorted(state)
  if (due(state, bin, settings)) learnAll(state, bin, settings)
  if (state.learntBin < 0) return
  for (const d of all) maskOperations(state, d, bin)
  if (holidays(state, all, bin)) for (const d of all) d.stale = true
  const common = commonFactors(all, bin, state.calendar, known)
  const zOf = thresholdOf(settings.falseAlarmsPerDistrictMonth, 1 / BINS_PER_HOUR)
  for (const [i, d] of all.entries()) {
    if (d.typical <= 0) continue
    if (d.stale && bin % BINS_PER_HOUR === BINS_PER_HOUR - 1) rerun(d, all, bin, state)
    feed(d.filter, inflowModel(d), observe(d, bin, state.calendar, common[i] as Common), false, true)
    if (bin % BINS_PER_HOUR === 0) thin(d.filter, bin, BINS_PER_HOUR)
    d.nextBin = bin + 1
    if (bin * BIN_MS < d.warmupUntilMs) continue
    if (bin % BINS_PER_HOUR === BINS_PER_HOUR - 1) follow(d, all, bin, state, settings, ctx)
    // Where registers cover the district the balance knows more: inflow that customers took is no leak.
    if (d.fullyMetered && d.nextHour >= 0 && Number.isFinite(d.balanceBase)) continue
    const step = strongestStep(d.filter, bin, (age) => zOf(age) * inflation(d, age)) ?? withPressure(d, bin, settings)
    if (step === undefined) {
      d.holdReason = ''
      continue
    }
    decide(d, all, step, bin, 'inflow', state, ctx)
  }
}

/** Flow must show this much by itself before pressure is asked. */
const FLOW_MIN_Z = 2
/** Pressure speaks of the last hours. */
const JOINT_BINS = 48

/** The strongest recent step when flow and pressure are taken together, if it stands out. */
function withPressure(d: District, bin: number, settings: Settings): StepFound | undefined {
  const p = d.pressure
  if (p === undefined || p.covariance.length === 0) return undefined
  // Many places are tried, but no more directions than sensors.
  const zOf = thresholdOf(settings.falseAlarmsPerDistrictMonth / (1 + p.used.length / 2), 1 / BINS_PER_HOUR)
  const best = new Map<number, { onset: number; num: number; den: number; z: number }>()
  const { filter } = d
  for (let c = 0; c < filter.count; c++) {
    const onset = filter.onset[c] as number
    const age = bin - onset + 1
    const den = filter.den[c] as number
    if (age < 2 || age > JOINT_BINS || den <= 0) continue
    const z = (filter.num[c] as number) / Math.sqrt(den)
    const octave = Math.floor(Math.log2(age))
    if (z >= FLOW_MIN_Z && z > (best.get(octave)?.z ?? 0)) best.set(octave, { onset, num: filter.num[c] as number, den, z })
  }
  let found: StepFound | undefined
  let over = 0
  for (const { onset, num, den } of best.values()) {
    const age = bin - onset + 1
    const j = jointStep(p, onset, bin, { num: num / d.typical, den: den / d.typical ** 2 })
    if (j === undefined) continue
    const excess = j.z - zOf(age) * inflation(d, age)
    if (excess <= over) continue
    over = excess
    found = { onset, z: j.z, size: j.sizeM3h / d.typical, sd: j.sdM3h / d.typical, joint: true }
  }
  return found
}

/**
 * What the normal law with known parameters leaves out: the baseline was learnt from few days (a test over k days against n days has
 * variance 1/k + 1/n, of which the level's half is modelled), single bins have a heavier upper tail, and the model may fit badly.
 */
function inflation(d: District, ageBins: number): number {
  const days = Math.max(3, d.days[0] as number)
  const baseline = Math.sqrt(1 + ageBins / BINS_PER_DAY / (2 * days))
  const tail = 1 + (d.noise.tail - 1) / Math.sqrt(ageBins)
  return Math.max(0.85, Math.sqrt(d.filter.misfit)) * baseline * tail
}

function decide(
  d: District,
  all: readonly District[],
  step: StepFound,
  bin: number,
  via: 'inflow' | 'balance',
  state: DistrictLeakState,
  ctx: NetworkContext<Settings>,
): void {
  const { settings } = ctx
  const found = judge(d, all, step, bin, via, state, settings)
  d.holdReason = found.verdict.leak ? '' : found.verdict.reason
  if (!found.verdict.leak) {
    if (found.draw?.over === true) {
      maskBins(d, found.draw.from, found.draw.to, MASK.draw)
      rerun(d, all, d.nextBin, state)
      if (d.nextHour >= 0 && d.fullyMetered) rerunBalance(d, d.nextHour)
    }
    return
  }
  open(d, step, bin, via, found, settings, ctx)
  rerun(d, all, d.nextBin, state)
  if (d.nextHour >= 0) rerunBalance(d, d.nextHour)
}

function judgeHours(state: DistrictLeakState, ctx: NetworkContext<Settings>): void {
  const { settings } = ctx
  if (state.learntBin < 0) return
  const all = sorted(state)
  const zOf = thresholdOf(settings.falseAlarmsPerDistrictMonth, 1)
  for (const d of all) {
    if (!d.fullyMetered || d.nextHour < 0 || !Number.isFinite(d.balanceBase)) continue
    const until = Math.floor((ctx.nowMs - METERED_GRACE_MS) / HOUR_MS)
    while (d.nextHour < until) {
      const hour = d.nextHour
      if (d.staleBalance) rerunBalance(d, hour)
      feed(d.balance, balanceModel(d.balanceNoise, d.leaks), observeBalance(d, hour), false, true)
      thin(d.balance, hour, 1)
      d.nextHour = hour + 1
      if (hour * HOUR_MS < d.warmupUntilMs) continue
      const step = strongestStep(d.balance, hour, (age) => zOf(age) * Math.max(1, Math.sqrt(d.balance.misfit)))
      if (step !== undefined) decide(d, all, step, hour, 'balance', state, ctx)
    }
  }
}

export const districtLeak: NetworkDetector<DistrictLeakState, Settings> = {
  name: 'district-leak',
  kinds: ['burst', 'leak', 'sensor_fault'],
  topics: ['district', 'district_places', 'district_pressure', 'district_flow', 'district_metered', 'district_operation'],
  settings: Settings,
  create: () => ({ districts: new Map(), calendar: createCalendar(), operations: [], learntBin: -1, nextBin: -1 }),
  onSummary(state, s) {
    const d = of(state, s.zone)
    if (s.topic === 'district') onDistrict(d, s.data)
    else if (s.topic === 'district_places') onPlaces(d, s.data)
    else if (s.topic === 'district_pressure') {
      const { bin, residualMbar } = s.data as { bin: number; residualMbar: (number | null)[] }
      if (d.pressure !== undefined) putResiduals(d.pressure, bin, residualMbar)
    } else if (s.topic === 'district_operation') {
      const o = s.data as { kind: string; scopeType: string; scope: string; startMs: number; endMs: number }
      if (o.kind === 'holiday') {
        const from = localBin(d.timezone, Math.floor(o.startMs / BIN_MS)).day
        const to = localBin(d.timezone, Math.floor((o.endMs - 1) / BIN_MS)).day
        for (let day = from; day <= Math.min(to, from + 14); day++) state.calendar.special.set(day, 2)
      }
      state.operations.push({ zone: s.zone, ...o })
      if (state.operations.length > OPERATIONS_MAX) state.operations.shift()
    } else if (s.topic === 'district_flow') {
      const { bins, netM3h } = s.data as { bins: number[]; netM3h: number[] }
      for (const [i, bin] of bins.entries()) putNet(d, bin, netM3h[i] as number)
    } else {
      const { hours, meteredM3, excessM3 } = s.data as { hours: number[]; meteredM3: (number | null)[]; excessM3: number[] }
      for (const [i, hour] of hours.entries()) putHour(d, hour, meteredM3[i] ?? Number.NaN, excessM3[i] as number)
    }
  },
  onTick(state, nowMs, ctx) {
    const until = Math.floor((nowMs - GRACE_MS) / BIN_MS)
    if (state.nextBin < 0) state.nextBin = until
    // A gap in time is not judged bin by bin for ever: at most the look-back.
    state.nextBin = Math.max(state.nextBin, until - LOOKBACK_DAYS * BINS_PER_DAY)
    while (state.nextBin < until) judgeBin(state, state.nextBin++, ctx)
    if (nowMs % (5 * MINUTE_MS) === 0) judgeHours(state, ctx)
  },
}

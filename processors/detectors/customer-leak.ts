// Leaks behind a customer's water meter, from hourly (or finer) registers, each against the meter's own habit of two weeks.
//
// run    Continuous flow: no hour without flow (the rule of AquaCUE and Itron Analytics: a leak never stops). Instead of a fixed 24 hours
//        the run is weighed: an hour in which this home nearly always rests counts more than one at supper (sequential probability
//        ratio, Wald 1945). Large flows that a tap can make (a pool is filled) must last longer than a pool takes.
// floor  Blocks and institutions never rest: the six lowest hours of a day rise above those of every day of two weeks, and stay. What rises at
//        many customers at once is a holiday or the weather.
// quiet  Cisterns run on and off: flow in hours that used to be quiet, more often than not (Bernoulli CUSUM, Page 1954).
//
// Estimated intervals neither trigger nor clear.
import { z } from 'zod'
import type { FindingDraft } from '#model/finding.ts'
import type { Interval } from '#model/interval.ts'
import { HOUR_MS, localHour } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { madSd, median } from '../statistics/robust.ts'

/** Hours of history a meter: two weeks, so that each weekday is there twice. */
const RING = 14 * 24
const MISSING = 0xffff
const SCALE = 0.5
const LOW_HOURS = 6
/** A customer who rests on more days than this is watched by runs, not by the floor. */
const RESTFUL_SHARE_MAX = 0.2
/** A run must begin after so much history. */
const HISTORY_BEFORE_RUN = 96

const settings = z.object({
  historyHoursMin: z.number().int().min(48).default(120).describe('Hours of history before a meter is judged'),
  evidenceMin: z
    .number()
    .positive()
    .default(12)
    .describe('Log-likelihood ratio of a run: 12 is one false run per 160,000 independent hours'),
  runLphMin: z.number().positive().default(2).describe('Least flow of a leak in litres an hour'),
  runHoursMin: z.number().int().positive().default(12),
  largeLph: z.number().positive().default(100).describe('From this flow on a tap or hose may be running on purpose'),
  largeHoursMin: z.number().int().positive().default(26).describe('Large flows must last this long: filling a pool takes a day'),
  floorLph: z.number().positive().default(3).describe('Least rise of the lowest hour of a day'),
  floorHoursMin: z
    .number()
    .int()
    .positive()
    .default(24)
    .describe('Hours for which the raised floor must hold, after the day that showed it'),
  quietShareMax: z
    .number()
    .min(0)
    .max(1)
    .default(0.25)
    .describe('An hour of day is quiet when there is flow in at most this share of days'),
  quietEvidenceMin: z.number().positive().default(12),
  exempt: z.array(z.string()).default([]).describe('Customer types that are not watched: irrigation, farm'),
})
type Settings = z.infer<typeof settings>

type Layer = 'run' | 'floor' | 'quiet'

interface Meter {
  /** Litres of an hour times two, by hour number modulo RING; MISSING where none was read. */
  ring: Uint16Array
  /** Hour being filled, its litres and covered time: intervals may be finer than an hour. */
  hour: number
  litres: number
  coveredMs: number
  lastHour: number
  firstHour: number
  /** Run without a zero hour. */
  runStart: number
  runHours: number
  evidence: number
  /** Hours in a row in which the lowest of the last 24 is above all of the history. */
  floorHours: number
  /** Evidence of flow in quiet hours, and since when. */
  quiet: number
  quietSince: number
  quietStep: number
  lastLargeHour: number
  /** Consecutive hours that speak for the end. */
  calm: number
  open: { draft: FindingDraft; layer: Layer; sinceHour: number } | null
}

export interface CustomerLeakState {
  meters: Map<string, Meter>
}

function createMeter(): Meter {
  return {
    ring: new Uint16Array(RING).fill(MISSING),
    hour: -1,
    litres: 0,
    coveredMs: 0,
    lastHour: -1,
    firstHour: -1,
    runStart: -1,
    runHours: 0,
    evidence: 0,
    floorHours: 0,
    quiet: 0,
    quietSince: -1,
    quietStep: 0,
    lastLargeHour: -1,
    calm: 0,
    open: null,
  }
}

export const customerLeak: Detector<CustomerLeakState, Settings> = {
  name: 'customer-leak',
  zoneKinds: ['dma', 'network'],
  kinds: ['customer_leak'],
  settings,
  create: () => ({ meters: new Map() }),
  onZone(state, ctx) {
    for (const id of state.meters.keys()) if (ctx.zone.device(id) === undefined) state.meters.delete(id)
  },
  onInterval(state, i, info, ctx) {
    const asset = info.asset
    if (asset.kind !== 'water_meter' || i.quantity !== 'water_volume_m3' || i.status !== 'actual' || i.value === null || i.channel !== '')
      return
    if (asset.customer_type !== undefined && ctx.settings.exempt.includes(asset.customer_type)) return
    let meter = state.meters.get(asset.id)
    if (meter === undefined) {
      meter = createMeter()
      state.meters.set(asset.id, meter)
    }
    collect(meter, i, asset.id, ctx)
  },
}

/** Adds an interval to its hour; a complete hour is judged. Hours that come after a later one fill the history only. */
function collect(m: Meter, i: Interval, id: string, ctx: DetectorContext<Settings>): void {
  const hour = Math.floor(i.startMs / HOUR_MS)
  if (i.endMs - i.startMs > HOUR_MS || hour < m.lastHour - RING + 1) return
  if (hour !== m.hour) {
    m.hour = hour
    m.litres = 0
    m.coveredMs = 0
  }
  m.litres += (i.value as number) * 1000
  m.coveredMs += i.endMs - i.startMs
  if (m.coveredMs < HOUR_MS) return
  const litres = Math.max(0, m.litres)
  if (m.firstHour < 0) m.firstHour = hour
  if (hour > m.lastHour) {
    for (let h = Math.max(m.lastHour + 1, hour - RING + 1); h < hour; h++) m.ring[h % RING] = MISSING
    m.ring[hour % RING] = Math.min(MISSING - 1, Math.round(litres / SCALE))
    m.lastHour = hour
    judge(m, hour, litres, id, ctx)
  } else if (m.ring[hour % RING] === MISSING) m.ring[hour % RING] = Math.min(MISSING - 1, Math.round(litres / SCALE))
}

/** Litres of an hour of the history, NaN when none was read. */
function at(m: Meter, hour: number): number {
  const v = m.ring[hour % RING] as number
  return v === MISSING ? Number.NaN : v * SCALE
}

/** Of the same hour of day and its neighbours, in the history before `before`: how many, how many with flow. */
function habit(m: Meter, hour: number, before: number): { n: number; flowing: number } {
  const oldest = m.lastHour - RING + 1
  let n = 0
  let flowing = 0
  for (let h = hour - 24; h > oldest; h -= 24) {
    for (let d = -1; d <= 1; d++) {
      if (h + d >= before || h + d < oldest) continue
      const v = at(m, h + d)
      if (!Number.isFinite(v)) continue
      n += 1
      if (v > 0) flowing += 1
    }
  }
  return { n, flowing }
}

function judge(m: Meter, hour: number, litres: number, id: string, ctx: DetectorContext<Settings>): void {
  weighRun(m, hour, litres)
  if (hour - m.firstHour < ctx.settings.historyHoursMin) return
  weighQuiet(m, hour, litres, ctx)
  const floor = weighFloor(m, hour, ctx)
  if (m.open !== null) {
    follow(m, hour, litres, floor, ctx)
    return
  }
  if (ctx.warmingUp) return
  const s = ctx.settings
  const steady = recentMin(m) >= s.largeLph ? s.largeHoursMin : s.runHoursMin
  if (m.evidence >= s.evidenceMin && m.runHours >= steady && recentMin(m) >= s.runLphMin && m.runHours > 1.3 * longestRun(m)) {
    open(
      m,
      id,
      {
        layer: 'run',
        sinceHour: m.runStart,
        lph: recentMin(m),
        confidence: 1 - Math.exp(-m.evidence / 4),
        reason: 'never-rests',
        what: { what: 'continuous_flow', hours: m.runHours, lowestLph: recentMin(m), evidence: m.evidence },
      },
      ctx,
    )
  } else if (m.floorHours >= s.floorHoursMin) {
    open(
      m,
      id,
      {
        layer: 'floor',
        sinceHour: hour - m.floorHours - 23,
        lph: floor.lowest - floor.usual,
        confidence: 0.8,
        reason: 'lowest-hour-rose',
        what: { what: 'lowest_hour_of_24', nowLph: floor.lowest, usualLph: floor.usual, highestBeforeLph: floor.highest },
      },
      ctx,
    )
  } else if (m.quiet >= s.quietEvidenceMin) {
    const lph = quietFlow(m, hour, m.quietSince)
    open(
      m,
      id,
      {
        layer: 'quiet',
        sinceHour: m.quietSince,
        lph,
        confidence: 0.75,
        reason: 'flow-in-quiet-hours',
        what: { what: 'quiet_hours', evidence: m.quiet, flowLph: lph },
      },
      ctx,
    )
  }
}

/** Lowest of the last twelve hours, litres: the leak itself. */
function recentMin(m: Meter): number {
  let low = Number.POSITIVE_INFINITY
  for (let h = m.lastHour - 11; h <= m.lastHour; h++) {
    const v = at(m, h)
    if (v < low) low = v
  }
  return low
}

/** Longest run without a zero hour before the present one, hours; infinite when there is too little history before it. */
function longestRun(m: Meter): number {
  if (m.runStart - m.firstHour < HISTORY_BEFORE_RUN) return Number.POSITIVE_INFINITY
  let longest = 0
  let run = 0
  for (let h = Math.max(m.firstHour, m.lastHour - RING + 1); h < m.runStart; h++) {
    run = at(m, h) > 0 ? run + 1 : 0
    if (run > longest) longest = run
  }
  return longest
}

function weighRun(m: Meter, hour: number, litres: number): void {
  if (litres <= 0) {
    m.runHours = 0
    m.evidence = 0
    return
  }
  if (m.runHours === 0) m.runStart = hour
  m.runHours += 1
  const { n, flowing } = habit(m, hour, m.runStart)
  const p0 = (flowing + 1) / (n + 2)
  // An hour that always flows says nothing about a leak.
  if (n >= 6 && p0 < 0.9) m.evidence += -Math.log(p0)
}

/** Flow in an hour of day that used to be quiet speaks for a leak that comes and goes, rest against it. */
function weighQuiet(m: Meter, hour: number, litres: number, ctx: DetectorContext<Settings>): void {
  const since = m.quietSince < 0 ? hour : m.quietSince
  const { n, flowing } = habit(m, hour, since)
  const p0 = (flowing + 1) / (n + 2)
  if (n < 9 || p0 > ctx.settings.quietShareMax) return
  // In the midst of rest: who rises an hour earlier than last week has no leak.
  for (const other of [hour - 1, hour + 1]) {
    const beside = habit(m, other, since)
    if ((beside.flowing + 1) / (beside.n + 2) > ctx.settings.quietShareMax) return
  }
  // A cistern that runs more often than not.
  const p1 = 0.6
  // What a hose or a bath takes is use, however late.
  const small = litres > 0 && litres < ctx.settings.largeLph
  if (litres >= ctx.settings.largeLph) {
    // The hour before was its beginning.
    m.quiet = Math.max(0, m.quiet - m.quietStep)
    m.quietStep = 0
    m.lastLargeHour = hour
    return
  }
  const step = small ? Math.log(p1 / p0) : litres <= 0 ? Math.log((1 - p1) / (1 - p0)) : 0
  const next = Math.max(0, m.quiet + (small && hour - 1 === m.lastLargeHour ? 0 : step))
  if (m.quiet === 0 && next > 0) m.quietSince = hour
  m.quietStep = small && hour - 1 === m.lastLargeHour ? 0 : step
  m.quiet = Math.min(next, 2 * ctx.settings.quietEvidenceMin)
  if (m.quiet === 0) m.quietSince = -1
}

interface Floor {
  lowest: number
  usual: number
  highest: number
}

/** Mean of the lowest hours of the last 24 against those of the days before. */
function weighFloor(m: Meter, hour: number, ctx: DetectorContext<Settings>): Floor {
  const lowest = lowHours(m, hour)
  const before: number[] = []
  for (let end = hour - 24 - m.floorHours; end - 23 > m.lastHour - RING; end -= 24) {
    const v = lowHours(m, end)
    if (Number.isFinite(v)) before.push(v)
  }
  if (restfulDays(m, hour - 24 - m.floorHours) > RESTFUL_SHARE_MAX) {
    m.floorHours = 0
    return { lowest, usual: 0, highest: 0 }
  }
  const usual = median(before)
  const highest = Math.max(...before)
  const rise = Math.max(ctx.settings.floorLph, 4 * madSd(before), 0.3 * usual)
  if (before.length >= 5 && lowest > highest + rise) m.floorHours += 1
  else if (Number.isFinite(lowest)) m.floorHours = 0
  return { lowest, usual, highest }
}

/** Share of the days up to `to` that have an hour without flow. */
function restfulDays(m: Meter, to: number): number {
  let days = 0
  let restful = 0
  for (let end = to; end - 23 > Math.max(m.firstHour - 1, m.lastHour - RING); end -= 24) {
    days += 1
    for (let h = end - 23; h <= end; h++) {
      if (at(m, h) === 0) {
        restful += 1
        break
      }
    }
  }
  return days === 0 ? 1 : restful / days
}

/** Mean of the six lowest of the 24 hours up to `to`; NaN unless at least 20 were read. */
function lowHours(m: Meter, to: number): number {
  const hours: number[] = []
  for (let h = to - 23; h <= to; h++) {
    const v = at(m, h)
    if (Number.isFinite(v)) hours.push(v)
  }
  if (hours.length < 20) return Number.NaN
  hours.sort((x, y) => x - y)
  let sum = 0
  for (let i = 0; i < LOW_HOURS; i++) sum += hours[i] as number
  return sum / LOW_HOURS
}

function quietFlow(m: Meter, hour: number, since: number): number {
  const flows: number[] = []
  for (let h = Math.max(since, hour - RING + 1); h <= hour; h++) {
    const v = at(m, h)
    if (v > 0 && localHourOf(h) < 6) flows.push(v)
  }
  return flows.length > 0 ? median(flows) : 0
}

/** Hour of day in UTC: only used to pick hours of the night for a size. */
function localHourOf(hour: number): number {
  return ((hour % 24) + 24) % 24
}

interface Sign {
  layer: Layer
  sinceHour: number
  lph: number
  confidence: number
  reason: string
  what: Record<string, string | number>
}

function open(m: Meter, id: string, sign: Sign, ctx: DetectorContext<Settings>): void {
  const startedAtMs = sign.sinceHour * HOUR_MS
  const large = sign.lph >= ctx.settings.largeLph
  const draft: FindingDraft = {
    kind: 'customer_leak',
    scope: { type: 'meter', id },
    onsetMs: startedAtMs,
    severity: large ? 'major' : 'minor',
    confidence: Number(Math.min(0.99, sign.confidence).toFixed(2)),
    size: { flowM3h: Number((sign.lph / 1000).toPrecision(3)) },
    affected: [id],
    reason: sign.reason,
    evidence: [
      Object.fromEntries(Object.entries(sign.what).map(([k, v]) => [k, typeof v === 'number' ? Number(v.toPrecision(4)) : v])) as {
        what: string
      },
      { what: 'first_hour', hourOfDay: localHour(ctx.zone.def.timezone, startedAtMs).hour },
    ],
  }
  m.open = { draft, layer: sign.layer, sinceHour: sign.sinceHour }
  m.calm = 0
  ctx.emit(draft)
}

/** A run ends with rest, a raised floor with the old floor, quiet hours with quiet: for a day of hours that say so. */
function follow(m: Meter, hour: number, litres: number, floor: Floor, ctx: DetectorContext<Settings>): void {
  const o = m.open as NonNullable<Meter['open']>
  let done = false
  if (o.layer === 'floor') {
    m.calm = Number.isFinite(floor.lowest) && floor.lowest <= (o.draft.evidence[0]?.highestBeforeLph as number) ? m.calm + 1 : 0
    done = m.calm >= 3
  } else {
    // Cisterns rest between flushes: they are over when most hours of a day rest that used to.
    const { n, flowing } = habit(m, hour, o.sinceHour)
    const restful = n >= 6 && (flowing + 1) / (n + 2) <= ctx.settings.quietShareMax
    if (restful || o.layer === 'run') m.calm = litres <= 0 ? m.calm + 1 : o.layer === 'run' ? 0 : Math.max(0, m.calm - 2)
    done = m.calm >= (o.layer === 'run' ? 2 : 6)
  }
  if (!done) return
  m.open = null
  m.calm = 0
  m.quiet = 0
  m.quietSince = -1
  m.floorHours = 0
  ctx.emit({ ...o.draft, clearedAtMs: (hour + 1) * HOUR_MS, reason: 'at-rest-again' })
}

// Leaks behind a customer's water meter, from hourly (or finer) registers. A leak adds to every hour, so the lowest hours since it began
// show it; an hour says the more the less this customer uses to take then. See docs/detection-customer.md.
//
// The continuous-flow rule of AquaCUE and Itron Analytics (no hour without flow) is the special case in which every hour counts alike.
// Estimated intervals neither trigger nor clear.
import { z } from 'zod'
import { type FindingDraft, findingId } from '#model/finding.ts'
import type { Interval } from '#model/interval.ts'
import { HOUR_MS, localHour } from '#model/time.ts'
import type { Detector, DetectorContext } from '../../fold.ts'
import { PULSE_VARIANCE } from '../../statistics/pulse-demand.ts'
import { createHabit, createKind, drawOf, expect, expected, type Habit, isQuiet, type Kind, learn, wanderOf } from './habit.ts'
import { HYPOTHESES, lowestLph, ratios, weigh } from './hypotheses.ts'

/** Hours between an hour and its being learnt: what turns out a leak meanwhile never becomes habit. */
const RING = 72
const LEARN_AFTER = 48
const MISSING = 0xffff
const SCALE = 0.5
/** A gap longer than this breaks a run: nobody knows what was used. */
const GAP_HOURS_MAX = 36
/** Share of the evidence for an alarm at which a meter's habit is no longer learnt. */
const SUSPECT_SHARE = 0.5
/** An amount that held for so long, a night among them, is what a leak has grown to. */
const SURE_HOURS = 36
/** Evidence fades over ten days: a leak shows every night, a habit a little misjudged adds up over weeks. */
const KEEP = 1 - 1 / 240
const ZONE_HALF_LIFE_HOURS = 24

const settings = z.object({
  historyHoursMin: z.number().int().min(48).default(120).describe('Hours of history before a meter is judged'),
  evidenceMin: z
    .number()
    .positive()
    .default(12.5)
    .describe('Log-likelihood ratio of an alarm. 1,000 meter months are 720,000 hours: exp(-12.5) is 2.7 crossings by chance (Wald)'),
  cautiousKinds: z
    .array(z.string())
    .default(['institution', 'school', 'office', 'workshop', 'hotel', 'hospital', 'industry'])
    .describe('Customer types whose use follows shifts and guests'),
  cautiousFactor: z.number().min(1).default(1.5).describe('So much more evidence is asked of them'),
  quietHoursMin: z
    .number()
    .int()
    .min(0)
    .default(3)
    .describe('Hours of rest for this kind of customer, mostly at night, that a leak must have run through'),
  hoursMin: z.number().int().positive().default(8).describe('Least length of a run'),
  hoseLph: z.number().positive().default(450).describe('A garden hose gives this and more, litres an hour'),
  hoseHoursMin: z.number().int().positive().default(25).describe('Flows that a hose gives must last this long: filling a pool takes a day'),
  endEvidence: z.number().positive().default(7).describe('Log-likelihood ratio for the end of a leak'),
  reopenHours: z.number().positive().default(168).describe('A leak that returns within this time is linked to the one before'),
  exempt: z.array(z.string()).default([]).describe('Customer types that are not watched: irrigation, farm'),
})
type Settings = z.infer<typeof settings>

interface Meter {
  habit: Habit
  /** Litres of an hour times two, by hour number modulo RING; MISSING where none was read. */
  ring: Uint16Array
  /** Hour being filled, its litres and covered time: intervals may be finer than an hour. */
  hour: number
  litres: number
  coveredMs: number
  lastHour: number
  /** Cumulative sums and the hours at which they began. */
  sums: Float32Array
  since: Int32Array
  /** Quiet hours of the customer that each sum has run through. */
  quiet: Uint8Array
  open: { draft: FindingDraft; hypothesis: number; ended: number } | null
  closed: { id: string; hour: number } | null
}

export interface CustomerLeakState {
  meters: Map<string, Meter>
  kinds: Map<string, Kind>
  /** Litres used and expected in the zone of late, forgotten with a half-life of a day: hot spells are shared. */
  used: number
  expected: number
}

function createMeter(): Meter {
  return {
    habit: createHabit(),
    ring: new Uint16Array(RING).fill(MISSING),
    hour: -1,
    litres: 0,
    coveredMs: 0,
    lastHour: -1,
    sums: new Float32Array(HYPOTHESES),
    since: new Int32Array(HYPOTHESES),
    quiet: new Uint8Array(HYPOTHESES),
    open: null,
    closed: null,
  }
}

interface Customer {
  id: string
  customer_type?: string | undefined
}
type Context = DetectorContext<Settings>

export const customerLeak: Detector<CustomerLeakState, Settings> = {
  name: 'customer-leak',
  zoneKinds: ['dma', 'network'],
  kinds: ['customer_leak'],
  version: 3,
  settings,
  create: () => ({ meters: new Map(), kinds: new Map(), used: 0, expected: 0 }),
  onZone(state, ctx) {
    for (const id of state.meters.keys()) if (ctx.zone.device(id) === undefined) state.meters.delete(id)
  },
  onInterval(state, i, info, ctx) {
    const asset = info.asset
    if (asset.kind !== 'water_meter' || i.quantity !== 'water_volume_m3' || i.status !== 'actual' || i.value === null || i.channel !== '')
      return
    const type = asset.customer_type ?? ''
    if (ctx.settings.exempt.includes(type)) return
    let meter = state.meters.get(asset.id)
    if (meter === undefined) {
      meter = createMeter()
      state.meters.set(asset.id, meter)
    }
    let kind = state.kinds.get(type)
    if (kind === undefined) {
      kind = createKind()
      state.kinds.set(type, kind)
    }
    collect(state, meter, kind, i, asset, ctx)
  },
}

/** Adds an interval to its hour; a complete hour is judged. Hours that come after a later one are history only. */
function collect(state: CustomerLeakState, m: Meter, kind: Kind, i: Interval, asset: Customer, ctx: Context): void {
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
  const coded = Math.min(MISSING - 1, Math.round(litres / SCALE))
  if (hour <= m.lastHour) {
    if (m.ring[hour % RING] === MISSING && hour > m.lastHour - LEARN_AFTER) m.ring[hour % RING] = coded
    return
  }
  if (m.lastHour >= 0) advance(m, kind, hour, ctx)
  m.ring[hour % RING] = coded
  m.lastHour = hour
  judge(state, m, kind, hour, litres, asset, ctx)
}

/** Time has come to `hour`: empties the ring on the way and learns what is old enough and above suspicion. */
function advance(m: Meter, kind: Kind, hour: number, ctx: Context): void {
  if (hour - m.lastHour > GAP_HOURS_MAX) m.sums.fill(0)
  const suspect = m.open !== null || strongest(m) >= SUSPECT_SHARE * ctx.settings.evidenceMin
  for (let h = Math.max(m.lastHour + 1, hour - RING + 1); h <= hour; h++) {
    m.ring[h % RING] = MISSING
    const old = h - LEARN_AFTER
    const litres = at(m, old)
    if (suspect || ctx.warmingUp || !Number.isFinite(litres)) continue
    const { hour: hourOfDay, off } = dayKind(old, ctx)
    learn(m.habit, kind, hourOfDay, off, litres, expected(m.habit, kind, hourOfDay, off))
    m.ring[old % RING] = MISSING
  }
}

function strongest(m: Meter): number {
  let s = 0
  for (let j = 0; j < HYPOTHESES; j++) if ((m.sums[j] as number) > s) s = m.sums[j] as number
  return s
}

/** Litres of an hour of the last days, NaN when none was read. */
function at(m: Meter, hour: number): number {
  if (hour < 0) return Number.NaN
  const v = m.ring[hour % RING] as number
  return v === MISSING ? Number.NaN : v * SCALE
}

function dayKind(hour: number, ctx: Context): { hour: number; off: boolean } {
  const ms = hour * HOUR_MS
  const local = localHour(ctx.zone.def.timezone, ms)
  let off = local.weekday === 0 || local.weekday === 6
  if (!off) for (const o of ctx.operations) if (o.kind === 'holiday' && o.startMs <= ms && ms < o.endMs) off = true
  return { hour: local.hour, off }
}

function judge(state: CustomerLeakState, m: Meter, kind: Kind, hour: number, litres: number, asset: Customer, ctx: Context): void {
  const { hour: hourOfDay, off } = dayKind(hour, ctx)
  const { mean: usual, error } = expect(m.habit, kind, hourOfDay, off)
  if (ctx.warmingUp) {
    // Nothing new happens before the warm-up ends: no need to wait and see.
    learn(m.habit, kind, hourOfDay, off, litres, usual)
    m.ring[hour % RING] = MISSING
    return
  }
  if (m.habit.hours < ctx.settings.historyHoursMin) return
  const draw = drawOf(m.habit, kind)
  const wander = wanderOf(kind)
  // What is not known of the habit widens what is expected of it.
  weigh(litres, usual * shared(state, usual, draw, litres), draw + (error * error * usual) / PULSE_VARIANCE, wander)
  const quiet = isQuiet(kind, hourOfDay, off) ? 1 : 0
  for (let j = 0; j < HYPOTHESES; j++) {
    const before = m.sums[j] as number
    if (before === 0) {
      m.since[j] = hour
      m.quiet[j] = 0
    }
    m.quiet[j] = Math.min(255, (m.quiet[j] as number) + quiet)
    m.sums[j] = Math.min(2 * ctx.settings.evidenceMin, Math.max(0, before * KEEP + (ratios[j] as number)))
  }
  if (m.open !== null) follow(m, hour, ctx)
  else {
    const s = ctx.settings
    const needed = s.evidenceMin * (s.cautiousKinds.includes(asset.customer_type ?? '') ? s.cautiousFactor : 1)
    const j = decide(m, hour, needed, s)
    if (j >= 0) open(m, j, hour, asset.id, ctx)
  }
}

/** How much more the zone uses of late than it is used to, 1 to 1.5. */
function shared(state: CustomerLeakState, usual: number, draw: number, litres: number): number {
  const share = state.expected > 0 ? state.used / state.expected : 1
  const keep = 0.5 ** (1 / (ZONE_HALF_LIFE_HOURS * Math.max(1, state.meters.size)))
  // One customer's leak or pool is not the weather.
  state.used = state.used * keep + Math.min(litres, usual + 3 * Math.sqrt(PULSE_VARIANCE * draw * usual))
  state.expected = state.expected * keep + usual
  return Math.min(1.5, Math.max(1, share))
}

/** The hypothesis that is proven, -1 when none is. */
function decide(m: Meter, hour: number, needed: number, s: Settings): number {
  let best = -1
  for (let j = 0; j < HYPOTHESES; j++) {
    const sum = m.sums[j] as number
    if (sum < needed || (best >= 0 && sum <= (m.sums[best] as number)) || (ratios[j] as number) < 0) continue
    const hours = hour - (m.since[j] as number) + 1
    if (hours < s.hoursMin || (m.quiet[j] as number) < s.quietHoursMin) continue
    if (lowest(m, hour, Math.min(hours, 24)) >= s.hoseLph && hours < s.hoseHoursMin) continue
    best = j
  }
  return best
}

/** Lowest but one of the last `hours`, without the first of them, in which it began. */
function lowest(m: Meter, hour: number, hours: number): number {
  let low = Number.POSITIVE_INFINITY
  let second = Number.POSITIVE_INFINITY
  for (let h = hour - hours + 2; h <= hour; h++) {
    const v = at(m, h)
    if (v < low) {
      second = low
      low = v
    } else if (v < second) second = v
  }
  return Number.isFinite(second) ? second : low
}

function open(m: Meter, j: number, hour: number, id: string, ctx: Context): void {
  const sinceHour = m.since[j] as number
  const onsetMs = sinceHour * HOUR_MS
  const sum = m.sums[j] as number
  const low = lowest(m, hour, Math.min(24, hour - sinceHour + 1))
  const lph = Number.isFinite(low) ? low : lowestLph(j)
  const parent = m.closed !== null && hour - m.closed.hour <= ctx.settings.reopenHours ? m.closed.id : undefined
  const draft: FindingDraft = {
    kind: 'customer_leak',
    scope: { type: 'meter', id },
    onsetMs,
    severity: lph >= 100 ? 'major' : 'minor',
    confidence: Number(Math.min(0.99, 1 - Math.exp(-sum / 4)).toFixed(2)),
    size: { flowM3h: Number((lph / 1000).toPrecision(3)) },
    affected: [id],
    reason: 'never-rests',
    evidence: [
      {
        what: 'lowest_hour',
        litresPerHour: Number(lph.toPrecision(3)),
        hours: hour - sinceHour + 1,
        logLikelihoodRatio: Number(sum.toFixed(1)),
      },
      { what: 'first_hour', hourOfDay: localHour(ctx.zone.def.timezone, onsetMs).hour },
    ],
    ...(parent === undefined ? {} : { parent }),
  }
  m.open = { draft, hypothesis: j, ended: 0 }
  ctx.emit(draft)
}

/** The same sum the other way round tells the end. A leak that grew is judged by what it has become. */
function follow(m: Meter, hour: number, ctx: Context): void {
  const o = m.open as NonNullable<Meter['open']>
  for (let j = o.hypothesis + 1; j < HYPOTHESES; j++)
    if ((m.sums[j] as number) >= ctx.settings.evidenceMin && hour - (m.since[j] as number) >= SURE_HOURS) o.hypothesis = j
  o.ended = Math.max(0, o.ended - (ratios[o.hypothesis] as number))
  if (o.ended < ctx.settings.endEvidence) return
  m.open = null
  m.closed = { id: findingId(o.draft), hour }
  m.sums.fill(0)
  // What the leak took is no habit.
  m.ring.fill(MISSING)
  ctx.emit({ ...o.draft, clearedAtMs: (hour + 1) * HOUR_MS, reason: 'at-rest-again' })
}

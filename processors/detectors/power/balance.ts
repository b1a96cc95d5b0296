// What goes into a transformer and what comes out of it, interval by interval. An interval is compared when it is complete and all of
// it was read as it was: estimates, outages and revised values are left out. The technical loss is learnt and taken off.
import type { Interval } from '#model/interval.ts'
import { HOUR_MS } from '#model/time.ts'
import type { ZoneContext } from '../../fold.ts'
import { layoutOf, NONE, type PowerLayout } from './layout.ts'

/** Intervals that wait for the last meter; later ones are not compared. */
const SLOTS = 4
const HOLD = SLOTS - 2
/** Weight of one day in the learnt loss: it forgets in about ten days. */
const MEMORY_DAYS = 10
/** Physical bounds of the technical loss: 1 to 4 % on low voltage, iron loss below half a per cent of the rating, with room for errors. */
const SHARE_MAX = 0.06
const IRON_MAX_OF_RATING = 0.004
const IRON_MIN_KW = 0.3
const IRON_MAX_KW = 1.5
/** Until a day is learnt. */
const SHARE_FIRST = 0.02
/** A deviation beyond these is not learnt from: a theft must not become the technical loss. */
const LEARN_SHARE = 0.01
const LEARN_KW = 0.05
const LEARN_SIGMAS = 6
const LEARN_SIGMAS_MEAN = 3
const FIT_FIRST_DAYS = 3
/** Memory of the mean deviation, hours: while it is out of its band, nothing is learnt, or a theft would become usual bit by bit. */
const FAST_H = 3

/** Columns by transformer; `values` by customer meter, or empty. Plain data. */
export interface Balance {
  transformers: string[]
  meters: string[]
  endMs: Float64Array
  sumKwh: Float64Array
  checkKwh: Float64Array
  seen: Uint16Array
  bad: Uint8Array
  values: Float32Array
  /** Weighted sums over past intervals: weight, load, load², loss, loss × load. */
  fit: Float64Array
  /** Mean absolute deviation from the model, kW. */
  noiseKw: Float64Array
  /** Mean deviation of the last hours, kW. */
  fastKw: Float64Array
  dueMs: number
}

/** One complete interval of a transformer. */
export interface Compared {
  t: number
  endMs: number
  hours: number
  /** Net energy through the totalising meter and through the customers, as mean power. */
  checkKw: number
  customersKw: number
  technicalKw: number
  /** What is left: check - customers - technical. */
  unexplainedKw: number
  noiseKw: number
  /** True when the model rests on at least a day. */
  learnt: boolean
  /** kWh of customer meter `i` in this interval; NaN when values are not kept. */
  valueKwh(i: number): number
}

const FIT = 5

export function createBalance(zone: ZoneContext, keepValues: boolean, old?: Balance): Balance {
  const layout = layoutOf(zone)
  const nt = layout.transformers.length
  const b: Balance = {
    transformers: layout.transformers.map((t) => t.id),
    meters: keepValues ? layout.ids : [],
    endMs: new Float64Array(nt * SLOTS),
    sumKwh: new Float64Array(nt * SLOTS),
    checkKwh: new Float64Array(nt * SLOTS).fill(Number.NaN),
    seen: new Uint16Array(nt * SLOTS),
    bad: new Uint8Array(nt * SLOTS),
    values: new Float32Array(keepValues ? layout.ids.length * SLOTS : 0),
    fit: new Float64Array(nt * FIT),
    noiseKw: new Float64Array(nt),
    fastKw: new Float64Array(nt),
    dueMs: 0,
  }
  if (old !== undefined) {
    // Open intervals are not carried over: with another set of meters they mean something else.
    const was = new Map(old.transformers.map((id, k) => [id, k]))
    b.transformers.forEach((id, k) => {
      const o = was.get(id)
      if (o === undefined) return
      b.fit.set(old.fit.subarray(o * FIT, (o + 1) * FIT), k * FIT)
      b.noiseKw[k] = old.noiseKw[o] as number
      b.fastKw[k] = old.fastKw[o] as number
    })
  }
  return b
}

/** Takes an interval in; call it for every interval that validation emits. */
export function addInterval(b: Balance, zone: ZoneContext, interval: Interval): void {
  const { quantity, endMs, value } = interval
  const imported = quantity === 'active_energy_import_kwh'
  if ((!imported && quantity !== 'active_energy_export_kwh') || interval.channel !== '') return
  // Most meters never export: nothing to add.
  if (!imported && value === 0) return
  const layout = layoutOf(zone)
  const i = layout.index.get(interval.meter)
  if (i === undefined) return
  const t = layout.transformer[i] as number
  const tx = layout.transformers[t]
  if (tx === undefined || tx.stepMs === 0 || tx.check === NONE || endMs % tx.stepMs !== 0) return
  const at = t * SLOTS + ((endMs / tx.stepMs) % SLOTS)
  const open = b.endMs[at] as number
  if (open > endMs) return
  if (open !== endMs) clear(b, layout, t, at, endMs)
  if (b.dueMs === 0 || endMs + HOLD * tx.stepMs < b.dueMs) b.dueMs = endMs + HOLD * tx.stepMs
  if (
    interval.rev > 1 ||
    interval.status !== 'actual' ||
    value === null ||
    interval.reasons.includes('outage') ||
    endMs - interval.startMs !== tx.stepMs
  ) {
    b.bad[at] = 1
    return
  }
  const kwh = imported ? value : -value
  if (i === tx.check) {
    const known = b.checkKwh[at] as number
    b.checkKwh[at] = (Number.isNaN(known) ? 0 : known) + kwh
    return
  }
  if (!layout.customer[i]) return
  b.sumKwh[at] = (b.sumKwh[at] as number) + kwh
  if (imported) b.seen[at] = (b.seen[at] as number) + 1
  if (b.values.length > 0) {
    const v = i * SLOTS + (at % SLOTS)
    b.values[v] = (b.values[v] as number) + kwh
  }
}

function clear(b: Balance, layout: PowerLayout, t: number, at: number, endMs: number): void {
  b.endMs[at] = endMs
  b.sumKwh[at] = 0
  b.checkKwh[at] = Number.NaN
  b.seen[at] = 0
  b.bad[at] = 0
  if (b.values.length > 0) for (const i of layout.transformers[t]?.customers ?? []) b.values[i * SLOTS + (at % SLOTS)] = 0
}

/** Something to hand out: asked at every tick. */
export function isDue(b: Balance, nowMs: number): boolean {
  return b.dueMs !== 0 && nowMs >= b.dueMs
}

/** Hands out every interval whose time has come, complete ones only, transformer by transformer; cheap when none is due. */
export function compareDue(b: Balance, zone: ZoneContext, nowMs: number, take: (c: Compared) => void): void {
  if (b.dueMs === 0 || nowMs < b.dueMs) return
  const layout = layoutOf(zone)
  let next = 0
  for (const [t, tx] of layout.transformers.entries()) {
    if (tx.check === NONE || tx.stepMs === 0) continue
    // Oldest first.
    const base = t * SLOTS
    const first = Math.floor(nowMs / tx.stepMs) + 1
    for (let k = 0; k < SLOTS; k++) {
      const at = base + ((first + k) % SLOTS)
      const endMs = b.endMs[at] as number
      if (endMs === 0 || b.bad[at] === 2) continue
      const due = endMs + HOLD * tx.stepMs
      if (due > nowMs) {
        if (next === 0 || due < next) next = due
        continue
      }
      const complete = b.bad[at] === 0 && b.seen[at] === tx.customers.length && !Number.isNaN(b.checkKwh[at] as number)
      // Done: a repeat of the interval changes nothing any more.
      b.bad[at] = 2
      if (complete && tx.customers.length > 0) take(compare(b, t, at, tx.stepMs / HOUR_MS, tx.ratingKva))
    }
  }
  b.dueMs = next
}

function compare(b: Balance, t: number, at: number, hours: number, ratingKva: number | undefined): Compared {
  const checkKw = (b.checkKwh[at] as number) / hours
  const customersKw = (b.sumKwh[at] as number) / hours
  const lossKw = checkKw - customersKw
  const loadKw = Math.abs(checkKw)
  const perDay = 24 / hours
  const learnt = (b.fit[t * FIT] as number) >= FIT_FIRST_DAYS * perDay * 0.9
  const technicalKw = technical(b, t, loadKw, ratingKva, learnt)
  const unexplainedKw = lossKw - technicalKw
  const noise = b.noiseKw[t] as number
  const band = LEARN_SHARE * loadKw + LEARN_KW
  const fast = (b.fastKw[t] as number) + (unexplainedKw - (b.fastKw[t] as number)) * Math.min(1, hours / FAST_H)
  b.fastKw[t] = fast
  const quiet = Math.abs(fast) <= Math.max(LEARN_SIGMAS_MEAN * noise, band)
  const usual = learnt ? quiet && Math.abs(unexplainedKw) <= Math.max(LEARN_SIGMAS * noise, band) : plausible(lossKw, loadKw, ratingKva)
  if (usual) {
    learn(b, t, loadKw, lossKw, 1 - 1 / (MEMORY_DAYS * perDay))
    b.noiseKw[t] = noise === 0 ? Math.abs(unexplainedKw) : noise + (Math.abs(unexplainedKw) - noise) / perDay
  }
  const slot = at % SLOTS
  const { values } = b
  return {
    t,
    endMs: b.endMs[at] as number,
    hours,
    checkKw,
    customersKw,
    technicalKw,
    unexplainedKw,
    noiseKw: b.noiseKw[t] as number,
    learnt,
    valueKwh: (i) => (values.length === 0 ? Number.NaN : (values[i * SLOTS + slot] as number)),
  }
}

function ironMaxKw(ratingKva: number | undefined): number {
  return ratingKva === undefined ? IRON_MAX_KW : Math.max(IRON_MIN_KW, IRON_MAX_OF_RATING * ratingKva)
}

/** Could be technical loss at all: what is learnt from at first. */
function plausible(lossKw: number, loadKw: number, ratingKva: number | undefined): boolean {
  const band = LEARN_SHARE * loadKw + LEARN_KW
  return lossKw >= -band && lossKw <= ironMaxKw(ratingKva) + SHARE_MAX * loadKw + band
}

function learn(b: Balance, t: number, loadKw: number, lossKw: number, keep: number): void {
  const f = t * FIT
  const terms = [1, loadKw, loadKw * loadKw, lossKw, lossKw * loadKw]
  for (let k = 0; k < FIT; k++) b.fit[f + k] = (b.fit[f + k] as number) * keep + (terms[k] as number)
}

/** Constant (iron) part and share of the load, least squares within physical bounds. */
function technical(b: Balance, t: number, loadKw: number, ratingKva: number | undefined, learnt: boolean): number {
  if (!learnt) return SHARE_FIRST * loadKw
  const f = t * FIT
  const n = b.fit[f] as number
  const meanLoad = (b.fit[f + 1] as number) / n
  const meanLoss = (b.fit[f + 3] as number) / n
  const variance = (b.fit[f + 2] as number) / n - meanLoad * meanLoad
  const covariance = (b.fit[f + 4] as number) / n - meanLoad * meanLoss
  const share = variance > 1e-9 ? Math.min(SHARE_MAX, Math.max(0, covariance / variance)) : SHARE_FIRST
  const iron = Math.min(ironMaxKw(ratingKva), Math.max(0, meanLoss - share * meanLoad))
  return iron + share * loadKw
}

// Much more than usual: a load that never switches off, or days far above the meter's own four weeks. What the neighbours do too is
// weather, and is taken off.
import { z } from 'zod'
import { DAY_MS, HOUR_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext } from '../fold.ts'
import { addToDay, closeDay, createDays, DAYS, type Days, isPlain, lastDays, mad, median } from './power/days.ts'
import { carryColumn, layoutOf } from './power/layout.ts'
import { KWH_PRICE, powerLoss, priceEvidence } from './usage/price.ts'

export const HighUsageSettings = z.object({
  /** Days of history before anything is said. */
  historyDays: z.number().int().min(3).default(7),
  /** The last 24 hours against a high day (four of five are lower). */
  continuousFactor: z.number().min(1).default(1.5),
  /** Whole days against the usual one, for a load that comes and goes ... */
  dailyFactor: z.number().min(1).default(2),
  /** ... so many usual deviations above it, so many days in a row. */
  dailySigmas: z.number().positive().default(6),
  dailyDays: z.number().int().min(1).default(3),
  /** Less is not worth a visit, kW. */
  excessKwMin: z.number().positive().default(0.3),
  /** Over when a day's mean is below this multiple of what was usual. */
  clearFactor: z.number().min(1).default(1.3),
  ...KWH_PRICE,
})
type Settings = z.infer<typeof HighUsageSettings>
type Ctx = DetectorContext<Settings>

const BLOCK_MS = 6 * HOUR_MS
const BLOCKS = 4
const HIGH_DAY = 0.8
const HIGH_KEPT_PER_DAY = 0.99
/** A block counts when this much of it was read, hours. */
const BLOCK_HOURS_MIN = 4
/** Wait for late reads. */
const WAIT_MS = HOUR_MS
/** While open, the yardstick stands still; after this it is the new usual. */
const GIVE_UP_DAYS = 45

interface Open {
  onsetMs: number
  usualKw: number
  continuous: boolean
  /** Mean of the days so far, kW, and how many. */
  meanKw: number
  looks: number
}

interface State {
  days: Days
  /** By meter and block: lowest hour, kW; energy, kWh; hours read. A ring for all meters at the same place. */
  lowKw: Float32Array
  kwh: Float32Array
  hours: Float32Array
  /** The hour being read: energy and hours. */
  hourKwh: Float32Array
  hourHours: Float32Array
  hourNo: Float64Array
  /** A high day, kWh; it fades slowly, so that weeks of absence do not lower it. */
  highKwh: Float32Array
  /** Number of the block being filled (time / 6 h). */
  block: number
  open: Map<string, Open>
}

export const highUsage: Detector<State, Settings> = {
  name: 'high-usage',
  zoneKinds: ['feeder', 'network'],
  kinds: ['abnormal_usage'],
  version: 1,
  settings: HighUsageSettings,
  create: (zone) => createState(layoutOf(zone).ids),
  onZone(s, ctx) {
    const { ids } = layoutOf(ctx.zone)
    const next = createState(ids, s)
    for (const c of ['lowKw', 'kwh', 'hours'] as const) carryColumn(s.days.ids, s[c], ids, next[c], BLOCKS)
    for (const c of ['hourKwh', 'hourHours', 'hourNo', 'highKwh'] as const) carryColumn(s.days.ids, s[c], ids, next[c])
    const known = new Set(ids)
    for (const [id, o] of s.open) if (known.has(id)) next.open.set(id, o)
    Object.assign(s, next)
  },
  onInterval(s, interval, _info, ctx) {
    if (interval.quantity !== 'active_energy_import_kwh') return
    const layout = layoutOf(ctx.zone)
    const i = layout.index.get(interval.meter)
    if (i === undefined || !layout.customer[i] || !isPlain(interval, layout.stepMs[i] as number)) return
    addToDay(s.days, i, interval, ctx.zone.def.timezone)
    addToHour(s, i, interval.startMs, (interval.endMs - interval.startMs) / HOUR_MS, interval.value as number)
  },
  onTick(s, _tick, ctx) {
    if (closeDay(s.days, ctx.nowMs, WAIT_MS, ctx.zone.def.timezone)) {
      remember(s, ctx.settings)
      dailyRule(s, ctx)
    }
    const block = Math.floor((ctx.nowMs - WAIT_MS) / BLOCK_MS)
    if (s.block === 0) s.block = block
    while (s.block < block) {
      closeBlock(s)
      if (s.block === block - 1) continuousRule(s, ctx)
      s.block += 1
      const at = s.block % BLOCKS
      for (let i = 0; i < s.days.ids.length; i++) clearBlock(s, i * BLOCKS + at)
    }
  },
}

function createState(ids: string[], old?: State): State {
  const n = ids.length
  return {
    days: createDays(ids, false, old?.days),
    lowKw: new Float32Array(n * BLOCKS).fill(Number.POSITIVE_INFINITY),
    kwh: new Float32Array(n * BLOCKS),
    hours: new Float32Array(n * BLOCKS),
    hourKwh: new Float32Array(n),
    hourHours: new Float32Array(n),
    hourNo: new Float64Array(n),
    highKwh: new Float32Array(n),
    block: old?.block ?? 0,
    open: new Map(),
  }
}

function clearBlock(s: State, at: number): void {
  s.lowKw[at] = Number.POSITIVE_INFINITY
  s.kwh[at] = 0
  s.hours[at] = 0
}

function addToHour(s: State, i: number, startMs: number, hours: number, kwh: number): void {
  const no = Math.floor(startMs / HOUR_MS)
  const block = Math.floor(startMs / BLOCK_MS)
  if (s.block === 0 || block < s.block || block > s.block + 1) return
  if (s.hourNo[i] !== no) {
    endHour(s, i)
    s.hourNo[i] = no
  }
  s.hourKwh[i] = (s.hourKwh[i] as number) + kwh
  s.hourHours[i] = (s.hourHours[i] as number) + hours
}

function endHour(s: State, i: number): void {
  const hours = s.hourHours[i] as number
  if (hours > 0) {
    const block = Math.floor(((s.hourNo[i] as number) * HOUR_MS) / BLOCK_MS)
    // The next block's place is still the oldest one's: its hours wait until it is opened.
    if (block === s.block) {
      const at = i * BLOCKS + (block % BLOCKS)
      const kwh = s.hourKwh[i] as number
      s.lowKw[at] = Math.min(s.lowKw[at] as number, kwh / hours)
      s.kwh[at] = (s.kwh[at] as number) + kwh
      s.hours[at] = (s.hours[at] as number) + hours
    }
  }
  s.hourKwh[i] = 0
  s.hourHours[i] = 0
}

/** Hours that ended with the block. */
function closeBlock(s: State): void {
  for (let i = 0; i < s.days.ids.length; i++) {
    if ((s.hourHours[i] as number) > 0 && ((s.hourNo[i] as number) + 1) * HOUR_MS <= (s.block + 1) * BLOCK_MS) endHour(s, i)
  }
}

interface Day {
  lowKw: number
  meanKw: number
}

/** The last 24 hours of a meter, or undefined when too little of them was read. */
function last24(s: State, i: number): Day | undefined {
  let low = Number.POSITIVE_INFINITY
  let kwh = 0
  let hours = 0
  for (let k = 0; k < BLOCKS; k++) {
    const at = i * BLOCKS + k
    if ((s.hours[at] as number) < BLOCK_HOURS_MIN) return undefined
    low = Math.min(low, s.lowKw[at] as number)
    kwh += s.kwh[at] as number
    hours += s.hours[at] as number
  }
  return { lowKw: low, meanKw: kwh / hours }
}

/** Keeps the height of a high day through an absence. */
function remember(s: State, cfg: Settings): void {
  for (let i = 0; i < s.days.ids.length; i++) {
    const days = lastDays(s.days.kwh, s.days, i, 1, DAYS)
    const high = days.length < cfg.historyDays ? 0 : (days.sort((a, b) => a - b)[Math.floor((days.length - 1) * HIGH_DAY)] as number)
    s.highKwh[i] = Math.max(high, (s.highKwh[i] as number) * HIGH_KEPT_PER_DAY)
  }
}

interface Usual {
  /** Median day, kW. */
  kw: number
  /** A high day: four of five are lower, by the last weeks or by what is remembered. After an absence the median is no yardstick. */
  highKw: number
}

function usualOf(s: State, i: number, cfg: Settings): Usual | undefined {
  const days = lastDays(s.days.kwh, s.days, i, 1, DAYS)
  if (days.length < cfg.historyDays) return undefined
  const sorted = days.sort((a, b) => a - b)
  const high = sorted[Math.floor((sorted.length - 1) * HIGH_DAY)] as number
  return { kw: median(sorted) / 24, highKw: Math.max(high, s.highKwh[i] as number) / 24 }
}

/** What the neighbours do today against their usual: the weather's part. */
function peerRatio(ratios: number[]): number {
  return ratios.length < 3 ? 1 : Math.max(1, median(ratios))
}

function continuousRule(s: State, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const layout = layoutOf(ctx.zone)
  const found: { i: number; day: Day; usual: Usual }[] = []
  const ratios: number[] = []
  for (let i = 0; i < layout.ids.length; i++) {
    if (!layout.customer[i]) continue
    const day = last24(s, i)
    const usual = usualOf(s, i, cfg)
    if (day === undefined || usual === undefined || usual.kw <= 0) continue
    ratios.push(day.meanKw / usual.kw)
    found.push({ i, day, usual })
  }
  const peers = peerRatio(ratios)
  const endMs = (s.block + 1) * BLOCK_MS
  for (const { i, day, usual } of found) {
    const id = layout.ids[i] as string
    const open = s.open.get(id)
    if (open !== undefined) {
      const over = day.meanKw < open.usualKw * cfg.clearFactor * peers
      const stale = endMs - open.onsetMs > GIVE_UP_DAYS * DAY_MS
      if (over || stale) {
        say(id, open, day.lowKw, { peers, clearedAtMs: endMs - DAY_MS, reason: over ? 'back-to-usual' : 'new-usual' }, ctx)
        s.open.delete(id)
      } else {
        open.looks += 1
        open.meanKw += (day.meanKw - open.meanKw) / open.looks
      }
      continue
    }
    const expected = usual.highKw * peers
    // Its lowest hour is above the mean of a high day: something runs day and night.
    if (day.lowKw < expected || day.meanKw < expected * cfg.continuousFactor || day.meanKw - expected < cfg.excessKwMin) continue
    const now = { onsetMs: endMs - DAY_MS, usualKw: usual.kw, continuous: true, meanKw: day.meanKw, looks: 1 }
    s.open.set(id, now)
    say(id, now, day.lowKw, { peers, clearedAtMs: null, reason: 'continuous-load' }, ctx)
  }
  holdYardstick(s, layout.index)
}

function dailyRule(s: State, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const layout = layoutOf(ctx.zone)
  const n = cfg.dailyDays
  const stats = layout.ids.map((_, i) => {
    if (!layout.customer[i]) return undefined
    const recent = lastDays(s.days.kwh, s.days, i, 1, n)
    const before = lastDays(s.days.kwh, s.days, i, n + 1, DAYS)
    if (recent.length < n || before.length < cfg.historyDays) return undefined
    const usual = median(before)
    const high = before.slice().sort((a, b) => a - b)[Math.floor((before.length - 1) * HIGH_DAY)] as number
    return { recent, usual, high, deviation: mad(before, usual) }
  })
  const ratios = stats.flatMap((x) => (x !== undefined && x.usual > 0 ? [median(x.recent) / x.usual] : []))
  const peers = peerRatio(ratios)
  for (const [i, x] of stats.entries()) {
    const id = layout.ids[i] as string
    if (x === undefined || s.open.has(id)) continue
    const limit = Math.max(
      Math.max(x.high, s.highKwh[i] as number) * peers * cfg.dailyFactor,
      x.usual * peers + cfg.dailySigmas * x.deviation,
      x.usual + 24 * cfg.excessKwMin,
    )
    if (!x.recent.every((v) => v > limit)) continue
    const open = {
      onsetMs: s.days.dayStartMs - n * DAY_MS,
      usualKw: x.usual / 24,
      continuous: false,
      meanKw: median(x.recent) / 24,
      looks: 1,
    }
    s.open.set(id, open)
    say(id, open, 0, { peers, clearedAtMs: null, reason: 'days-above-usual' }, ctx)
  }
  holdYardstick(s, layout.index)
}

/** Days of an open finding do not become usual: their place in the ring is emptied. */
function holdYardstick(s: State, index: ReadonlyMap<string, number>): void {
  const { days } = s
  for (const id of s.open.keys()) {
    const i = index.get(id)
    if (i !== undefined) days.kwh[i * DAYS + ((days.turn + DAYS - 1) % DAYS)] = Number.NaN
  }
}

function say(id: string, o: Open, lowKw: number, how: { peers: number; clearedAtMs: number | null; reason: string }, ctx: Ctx): void {
  const round = (v: number) => Math.round(v * 100) / 100
  const excess = Math.max(0, o.meanKw - o.usualKw) * 24
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: 'high_usage',
    scope: { type: 'meter', id },
    onsetMs: o.onsetMs,
    clearedAtMs: how.clearedAtMs,
    severity: how.clearedAtMs === null ? 'minor' : 'warning',
    confidence: o.continuous ? 0.85 : 0.7,
    affected: [id],
    size: { excessKwhDay: round(excess), ...powerLoss(excess * 365, ctx.settings), timesUsual: round(o.meanKw / o.usualKw) },
    reason: how.reason,
    evidence: [
      { what: 'usual', kwhDay: round(o.usualKw * 24), neighbours: round(how.peers) },
      { what: 'since', at: toIso(o.onsetMs), kwhDay: round(o.meanKw * 24), lowestHourKw: round(lowKw) },
      priceEvidence('power', ctx.settings),
    ],
  })
}

// A meter whose clock is wrong: its reads arrive constantly late, or before they were made. A stored batch also arrives late, but each
// of its reads by another time; a clock is off by the same amount read after read.
import { z } from 'zod'
import { DAY_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext, ValidatedRead } from '../fold.ts'
import { carryColumn, layoutOf } from './power/layout.ts'

export const ClockFaultSettings = z.object({
  /** Customary tolerance of interval meters (IEC 62056 practice: 3 min warn). */
  toleranceS: z.number().positive().default(180),
  /** Usual delay of a read, which looks like a slow clock, at most. */
  delayS: z.number().nonnegative().default(120),
  /** So many reads in a row, with lags within this range of each other. */
  reads: z.number().int().min(3).default(12),
  spreadS: z.number().positive().default(240),
  /** An event dated so much after its arrival comes from the future; over when none came for so many days. */
  futureS: z.number().positive().default(600),
  futureClearDays: z.number().positive().default(14),
  /** Back within tolerance for so many reads. */
  clearReads: z.number().int().min(1).default(4),
})
type Settings = z.infer<typeof ClockFaultSettings>
type Ctx = DetectorContext<Settings>

/** Columns by meter. */
interface State {
  ids: string[]
  newestMs: Float64Array
  /** Reads in a row outside (positive) or, of an open fault, inside (negative) the tolerance. */
  run: Int8Array
  /** Smallest and largest lag of the run, s. */
  leastS: Float32Array
  mostS: Float32Array
  /** Onset of the open fault. */
  open: Map<string, number>
  /** First read of a run. */
  firstMs: Map<string, number>
  /** Meter -> its events from the future. */
  future: Map<string, Future>
}

interface Future {
  onsetMs: number
  lastMs: number
  events: number
  mostS: number
}

export const clockFault: Detector<State, Settings> = {
  name: 'clock-fault',
  zoneKinds: ['feeder', 'network'],
  kinds: ['clock_fault'],
  version: 2,
  settings: ClockFaultSettings,
  create: (zone) => createState(layoutOf(zone).ids),
  onZone(s, ctx) {
    const { ids, index } = layoutOf(ctx.zone)
    const next = createState(ids)
    for (const c of ['newestMs', 'run', 'leastS', 'mostS'] as const) carryColumn(s.ids, s[c], ids, next[c])
    for (const k of ['open', 'firstMs'] as const) for (const [id, ms] of s[k]) if (index.has(id)) next[k].set(id, ms)
    for (const [id, f] of s.future) if (index.has(id)) next.future.set(id, f)
    Object.assign(s, next)
  },
  onRead,
  onEvent(s, event, info, ctx) {
    const aheadS = (event.tsMs - event.receivedAtMs) / 1000
    // A clock that is known to be wrong explains it.
    if (aheadS <= ctx.settings.futureS || s.open.has(info.asset.id)) return
    const id = info.asset.id
    const f = s.future.get(id) ?? { onsetMs: event.receivedAtMs, lastMs: 0, events: 0, mostS: 0 }
    s.future.set(id, f)
    f.lastMs = ctx.nowMs
    f.events += 1
    f.mostS = Math.max(f.mostS, aheadS)
    sayFuture(id, f, null, ctx)
  },
  onTick(s, _tick, ctx) {
    if (s.future.size === 0) return
    for (const [id, f] of s.future) {
      if (ctx.nowMs - f.lastMs < ctx.settings.futureClearDays * DAY_MS) continue
      s.future.delete(id)
      sayFuture(id, f, f.lastMs, ctx)
    }
  },
}

function createState(ids: string[]): State {
  const n = ids.length
  return {
    ids,
    newestMs: new Float64Array(n),
    run: new Int8Array(n),
    leastS: new Float32Array(n),
    mostS: new Float32Array(n),
    open: new Map(),
    firstMs: new Map(),
    future: new Map(),
  }
}

function onRead(s: State, read: ValidatedRead, ctx: Ctx): void {
  if (read.quality === 'late' || read.flags?.includes('time_filled') === true) return
  const i = layoutOf(ctx.zone).index.get(read.device)
  if (i === undefined || read.tsMs <= (s.newestMs[i] as number)) return
  s.newestMs[i] = read.tsMs
  const { settings: cfg } = ctx
  const lagS = (read.receivedAtMs - read.tsMs) / 1000
  // The delay hides half of the tolerance on one side and adds to it on the other.
  const off = lagS > cfg.toleranceS + cfg.delayS || lagS < -(cfg.toleranceS - cfg.delayS / 2)
  const isOpen = s.open.size > 0 && s.open.has(read.device)
  if (!off) {
    if (isOpen) inside(s, i, read, ctx)
    else if (s.run[i] !== 0) end(s, i, read.device)
    return
  }
  if (isOpen) {
    s.run[i] = 0
    return
  }
  if (s.run[i] === 0) {
    s.leastS[i] = lagS
    s.mostS[i] = lagS
    s.firstMs.set(read.device, read.tsMs)
  }
  s.leastS[i] = Math.min(s.leastS[i] as number, lagS)
  s.mostS[i] = Math.max(s.mostS[i] as number, lagS)
  if ((s.mostS[i] as number) - (s.leastS[i] as number) > cfg.spreadS) {
    end(s, i, read.device)
    return
  }
  s.run[i] = Math.min(127, (s.run[i] as number) + 1)
  if ((s.run[i] as number) < cfg.reads) return
  const onset = s.firstMs.get(read.device) ?? read.tsMs
  s.open.set(read.device, onset)
  s.firstMs.delete(read.device)
  s.run[i] = 0
  say(s, i, read.device, onset, null, ctx)
}

function end(s: State, i: number, id: string): void {
  s.run[i] = 0
  s.firstMs.delete(id)
}

function inside(s: State, i: number, read: ValidatedRead, ctx: Ctx): void {
  s.run[i] = (s.run[i] as number) - 1
  if ((s.run[i] as number) > -ctx.settings.clearReads) return
  const onset = s.open.get(read.device) as number
  s.open.delete(read.device)
  s.run[i] = 0
  say(s, i, read.device, onset, read.tsMs, ctx)
}

function say(s: State, i: number, id: string, onsetMs: number, clearedAtMs: number | null, ctx: Ctx): void {
  const least = s.leastS[i] as number
  const most = s.mostS[i] as number
  const slow = least > 0
  ctx.emit({
    kind: 'clock_fault',
    scope: { type: 'meter', id },
    onsetMs,
    clearedAtMs,
    severity: 'warning',
    confidence: 0.9,
    affected: [id],
    size: { offsetS: Math.round(slow ? -least : -most) },
    reason: clearedAtMs !== null ? 'clock-right-again' : slow ? 'clock-slow' : 'clock-fast',
    evidence: [
      { what: 'arrival-lag', leastS: Math.round(least), mostS: Math.round(most), reads: ctx.settings.reads, since: toIso(onsetMs) },
    ],
  })
}

/** Its reads may be right: some meters date events by another clock. What happened is dated by its arrival. */
function sayFuture(id: string, f: Future, clearedAtMs: number | null, ctx: Ctx): void {
  ctx.emit({
    kind: 'clock_fault',
    subtype: 'future_events',
    scope: { type: 'meter', id },
    onsetMs: f.onsetMs,
    clearedAtMs,
    severity: 'warning',
    confidence: 0.95,
    affected: [id],
    size: { aheadS: Math.round(f.mostS), events: f.events },
    reason: clearedAtMs === null ? 'events-from-the-future' : 'no-more-of-them',
    evidence: [{ what: 'event-dated-after-arrival', aheadS: Math.round(f.mostS), events: f.events, since: toIso(f.onsetMs) }],
  })
}

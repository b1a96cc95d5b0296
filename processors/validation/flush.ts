// Says what a gap's intervals are: computes them, sends those that changed with the next revision, corrects the days, and lets go of the
// parts that late reads have completed.
import type { IntervalStatus, Replaced } from '#model/interval.ts'
import { type Balance, balanceEnergy, ROLE, tally } from './balance.ts'
import { type ClassProfile, classProfile, classRate } from './class-profile.ts'
import { addAll, addTo, addToDay, COUNT, type Count, dayByNo, expectedIntervals, FIGURES, NO, NOISE, publishDays, VALUE } from './days.ts'
import { isTaken, ringPos } from './dedupe.ts'
import { ACTUAL, type Knowledge, LIKE_DAY, LINEAR, MISSING, OUTAGE, type Shape, shape } from './estimate.ts'
import { GAPS_MAX, type Gap, intervalsOf, SAID, SAID_REV, unfinished } from './gap.ts'
import { expectedRate, hourOf } from './profile.ts'
import { outlet } from './publish.ts'
import { remember } from './recent.ts'
import { isOk, step, tidy } from './register.ts'
import { codeOf, findRow, USED } from './series.ts'
import { bandAt, dayAt, isHoliday, limitsOf, remembered, say, snap, type Work, wake, wholeMs } from './state.ts'

const HOUR_MS = 3_600_000
/** What days count intervals as, by SAID code. */
export const COUNT_OF: readonly Count[] = [COUNT.missing, COUNT.actual, COUNT.estimated, COUNT.estimated, COUNT.edited]
const STANDS_AFTER_MS = 3 * HOUR_MS
const MAX_REV = 255

export function gapsOf(w: Work): Gap[] {
  let list = w.t.gaps.get(w.row)
  if (list === undefined) {
    list = []
    w.t.gaps.set(w.row, list)
  }
  return list
}

/** Adds a gap in order of time; when there are too many, the oldest keeps what is last said of it for good. */
export function keep(w: Work, g: Gap): void {
  const list = gapsOf(w)
  let i = list.length
  while (i > 0 && (list[i - 1] as Gap).firstEndMs > g.firstEndMs) i--
  list.splice(i, 0, g)
  if (list.length <= GAPS_MAX) return
  const oldest = list.shift() as Gap
  if (oldest.dueMs < Number.POSITIVE_INFINITY) speak(w, oldest)
}

/** Sends a gap's changed intervals and corrects the days; the parts without gaps any more are let go. */
export function flush(w: Work, g: Gap): void {
  g.dueMs = Number.POSITIVE_INFINITY
  const spoken = speak(w, g)
  if (!g.open) reduce(w, g, spoken)
  wake(w, publishDays(w.t, w.row, outlet(w, g.why)))
}

interface Spoken {
  /** Unit of the quantity; 0 when missing. */
  values: Float64Array
  /** SAID codes; 255 for intervals before the meter's first. */
  codes: Uint8Array
}
const NOT_SAID = 255

function speak(w: Work, g: Gap): Spoken {
  const { t, row, c } = w
  const n = intervalsOf(g)
  const form = shape(
    { firstEndMs: g.firstEndMs, n, intervalMs: c.intervalMs, t: g.t, d: g.d, carryIn: g.carryIn, carryOut: g.carryOut },
    knowledge(w, g),
  )
  const out: Spoken = { values: new Float64Array(n), codes: new Uint8Array(n).fill(NOT_SAID) }
  const days: number[] = []
  let sum = 0
  let told = 0
  for (let i = 0; i < n; i++) {
    const endMs = g.firstEndMs + i * c.intervalMs
    const startMs = endMs - c.intervalMs
    const register = form.values[i] as number
    let value: number | null = null
    if (!Number.isNaN(register)) {
      // Rounded cumulatively, so that the rounded intervals still add up to the register.
      sum += register * c.multiplier
      value = tidy(tidy(sum, 1e6) - told, 1e6)
      told = tidy(sum, 1e6)
    }
    if (startMs < (t.firstMs[row] as number)) continue
    let code: number = saidCode(w, g, form, i)
    if (isEdited(g, i)) {
      // What a person wrote stands.
      code = SAID.edited
      value = g.said[i * 2] as number
    } else if (g.cause === 'stuck_register' && stands(w, g, i, code)) value = g.said[i * 2] as number
    out.values[i] = value ?? 0
    out.codes[i] = code
    addTo(days, dayAt(w, startMs).no, { value: value ?? 0, count: COUNT_OF[code] as Count, band: bandAt(w, startMs), n: 1 })
    sayChanged(w, g, i, { startMs, value, code, kind: form.kinds[i] as number })
  }
  correctDays(w, g, days)
  g.days = days
  return out
}

function isEdited(g: Gap, i: number): boolean {
  const meta = g.said[i * 2 + 1] as number
  return meta >= SAID_REV && meta % SAID_REV === SAID.edited
}

/** The estimate of a register that stands still is said once its hour is complete, and not again each time more is learnt. */
function stands(w: Work, g: Gap, i: number, code: number): boolean {
  const meta = g.said[i * 2 + 1] as number
  return meta >= SAID_REV && meta % SAID_REV === code && g.firstEndMs + i * w.c.intervalMs < w.ctx.nowMs - STANDS_AFTER_MS
}

function sayChanged(w: Work, g: Gap, i: number, now: { startMs: number; value: number | null; code: number; kind: number }): void {
  const meta = g.said[i * 2 + 1] as number
  const rev = Math.floor(meta / SAID_REV)
  const before = g.said[i * 2] as number
  const value = now.value === null ? Number.NaN : Math.fround(now.value)
  if (rev > 0 && meta % SAID_REV === now.code && (before === value || (Number.isNaN(before) && Number.isNaN(value)))) return
  const part = w.t.balance[w.row] as number
  if (part >= 0) {
    if (rev > 0 && meta % SAID_REV === SAID.actual) tally(w.state.balances, part, now.startMs, -before, -1)
    if (now.code === SAID.actual) tally(w.state.balances, part, now.startMs, now.value ?? 0, 1)
  }
  g.said[i * 2] = value
  g.said[i * 2 + 1] = (rev + 1) * SAID_REV + now.code
  remember(w.t, w.row, now.startMs / w.c.intervalMs + 1, now.value ?? 0, rev + 1)
  if (rev + 1 > (w.t.maxRev[w.row] as number)) w.t.maxRev[w.row] = Math.min(MAX_REV, rev + 1)
  say(w, {
    startMs: now.startMs,
    endMs: now.startMs + w.c.intervalMs,
    value: now.value,
    status: STATUS[now.code] as IntervalStatus,
    reasons: reasonsOf(w, g, now),
    rev: rev + 1,
    was: rev === 0 ? undefined : replaced(w, before, meta % SAID_REV, g.why),
  })
}
const STATUS: readonly IntervalStatus[] = ['missing', 'actual', 'estimated', 'rejected', 'edited']

/** What a revision replaces. Values are remembered with seven digits: in whole steps of the last figure they are exact again. */
export function replaced(w: Work, value: number, code: number, why: Replaced['why']): Replaced {
  return { value: code === SAID.missing || Number.isNaN(value) ? null : remembered(w, value), status: STATUS[code] as IntervalStatus, why }
}

/** A read that came for the interval's end and is not believed makes the estimate stand in its place. */
function saidCode(w: Work, g: Gap, form: Shape, i: number): number {
  const kind = (form.kinds[i] as number) & 3
  if (kind === MISSING) return SAID.missing
  if (kind === ACTUAL || kind === OUTAGE) return SAID.actual
  const endMs = g.firstEndMs + i * w.c.intervalMs
  const refused =
    isTaken(w.t, w.row, Math.round(endMs / w.c.intervalMs), w.c.intervalMs) && !(g.t.includes(endMs) && g.cause !== 'stuck_register')
  return refused ? SAID.rejected : SAID.estimated
}

function reasonsOf(w: Work, g: Gap, now: { startMs: number; code: number; kind: number }): string[] {
  const base = now.kind & 3
  if (base === OUTAGE) return ['outage']
  if (base === ACTUAL) return g.cause === 'meter_exchange' ? ['meter_exchange'] : []
  if (now.code === SAID.missing) return ['no_read']
  const cause = g.cause === '' ? 'gap' : g.cause
  if ((now.kind & LINEAR) !== 0) return [cause, 'linear']
  if ((now.kind & LIKE_DAY) === 0) return [cause, 'outage']
  if (!Number.isNaN(balanceRate(w, now.startMs))) return [cause, 'balance']
  // Without history of its own a meter is shaped by its class, or, where the class is too small, evenly.
  const ownShape = (w.t.learnt[w.row] as number) > 0
  return [cause, ownShape ? 'like_day' : classProfile(w.t, w.row) === undefined ? 'linear' : 'class_profile']
}

function correctDays(w: Work, g: Gap, days: number[]): void {
  const diff = [...days]
  addAll(diff, g.days, -1)
  for (let j = 0; j < diff.length; j += FIGURES) {
    let changed = Math.abs(diff[j + VALUE] as number) > NOISE
    for (let i = VALUE + 1; i < FIGURES && !changed; i++) changed = Math.abs(diff[j + i] as number) > NOISE
    if (changed) addToDay(w.t, w.row, diff, j, () => intervalsOfDay(w, diff[j + NO] as number))
  }
}

function intervalsOfDay(w: Work, no: number): number {
  return expectedIntervals(dayByNo(w.ctx.zone.def.timezone, no), w.c.intervalMs, w.t.firstMs[w.row] as number)
}

/** Cuts away what is no gap any more. */
function reduce(w: Work, g: Gap, spoken: Spoken): void {
  const runs = unfinished(g, wholeMs(w.c))
  if (runs.length === 1 && (runs[0] as [number, number])[0] === 0 && (runs[0] as [number, number])[1] === g.d.length - 1) return
  const list = gapsOf(w)
  const at = list.indexOf(g)
  if (at >= 0) list.splice(at, 1)
  for (const run of joined(g, runs, w.c.intervalMs)) keep(w, cut(w, g, run, spoken))
  if (list.length === 0) w.t.gaps.delete(w.row)
}

/** A run that ends off the grid keeps the next segment too: the interval across its end depends on both. */
function joined(g: Gap, runs: readonly [number, number][], intervalMs: number): [number, number][] {
  const out: [number, number][] = []
  for (const [a, b] of runs) {
    const end = (g.t[b + 1] as number) % intervalMs !== 0 && b + 1 < g.d.length ? b + 1 : b
    const last = out[out.length - 1]
    if (last !== undefined && a <= last[1]) last[1] = Math.max(last[1], end)
    else out.push([a, end])
  }
  return out
}

function cut(w: Work, g: Gap, [a, b]: [number, number], spoken: Spoken): Gap {
  const interval = w.c.intervalMs
  const t = g.t.slice(a, b + 2)
  const from = t[0] as number
  const to = t[t.length - 1] as number
  const firstEndMs = Math.floor(from / interval) * interval + interval
  const lastEndMs = Math.floor(to / interval) * interval
  const n = Math.max(0, (lastEndMs - firstEndMs) / interval + 1)
  const offset = (firstEndMs - g.firstEndMs) / interval
  const days: number[] = []
  for (let i = 0; i < n; i++) {
    const code = spoken.codes[offset + i] as number
    if (code === NOT_SAID) continue
    const startMs = firstEndMs + (i - 1) * interval
    addTo(days, dayAt(w, startMs).no, {
      value: spoken.values[offset + i] as number,
      count: COUNT_OF[code] as Count,
      band: bandAt(w, startMs),
      n: 1,
    })
  }
  const d = g.d.slice(a, b + 1)
  const end = d[d.length - 1] as number
  const carryOut = b === g.d.length - 1 ? g.carryOut : Number.isNaN(end) ? 0 : (end * (to - lastEndMs)) / (to - (t[t.length - 2] as number))
  return {
    cause: g.cause,
    open: false,
    firstEndMs,
    t,
    v: g.v.slice(a, b + 2),
    d,
    carryIn: a === 0 ? g.carryIn : carryAt(g, a, firstEndMs - interval),
    carryOut: Math.max(0, carryOut),
    said: g.said.slice(offset * 2, (offset + n) * 2),
    days,
    why: g.why,
    dueMs: Number.POSITIVE_INFINITY,
    touchedMs: 0,
  }
}

/** Register units between a boundary and the a-th read after it, along straight lines. */
function carryAt(g: Gap, a: number, boundaryMs: number): number {
  let sum = 0
  for (let i = a; i > 0 && (g.t[i] as number) > boundaryMs; i--) {
    const from = g.t[i - 1] as number
    const to = g.t[i] as number
    const d = g.d[i - 1] as number
    if (!Number.isNaN(d)) sum += (d * (to - Math.max(from, boundaryMs))) / (to - from)
  }
  return sum
}

function knowledge(w: Work, g: Gap): Knowledge {
  const { t, row, state } = w
  const supply = state.outages.get(w.info.asset.id)
  const unknown = g.d.some((d) => Number.isNaN(d))
  let ofClass: ClassProfile | undefined | null = null
  return {
    linearUpToMs: w.s.linearUpToMs,
    wholeMs: wholeMs(w.c),
    rate: (ms) => {
      const measured = balanceRate(w, ms)
      if (!Number.isNaN(measured)) return measured
      const day = dayAt(w, ms)
      const holiday = isHoliday(state, day.no)
      const rate = expectedRate(t, row, day, { holiday, ms })
      if (!Number.isNaN(rate)) return rate
      if (ofClass === null) ofClass = classProfile(t, row)
      return ofClass === undefined ? Number.NaN : classRate(t, row, ofClass, { weekend: day.weekend || holiday, hour: hourOf(day, ms) })
    },
    powered: supply === undefined ? () => 1 : (fromMs, toMs) => powered(supply, g.t[0] as number, fromMs, toMs),
    before: unknown ? rateBeside(w, g.t[0] as number, -1) : Number.NaN,
    after: unknown && !g.open ? rateBeside(w, g.t[g.t.length - 1] as number, 1) : Number.NaN,
  }
}

/** Rate that the transformer's balance leaves for this meter, register units per hour; NaN when it cannot say. */
function balanceRate(w: Work, ms: number): number {
  const part = w.t.balance[w.row] as number
  if (part < 0 || (part & 3) !== ROLE.customerImport || feedsIn(w)) return Number.NaN
  return balanceEnergy(w.state.balances[part >> 2] as Balance, Math.floor(ms / HOUR_MS), HOUR_MS / w.c.intervalMs) / w.c.multiplier
}

/** A meter that ever fed in: the balance knows only the difference of its two registers. */
function feedsIn(w: Work): boolean {
  const row = findRow(w.t, w.info.asset.id, codeOf('active_energy_export_kwh'), '')
  return row >= 0 && (w.t.profile[row] as number) >= 0
}

/** Share of a piece of time outside known interruptions; `readMs` is the read before it. */
function powered(supply: readonly number[], readMs: number, fromMs: number, toMs: number): number {
  let dark = 0
  for (let i = 0; i < supply.length; i += 2) {
    const lost = supply[i] as number
    const back = supply[i + 1] as number
    // A read after the loss says that supply came back, though nobody told.
    if (back === Number.POSITIVE_INFINITY && lost < readMs) continue
    dark += Math.max(0, Math.min(toMs, back) - Math.max(fromMs, lost))
  }
  return Math.max(0, 1 - dark / (toMs - fromMs))
}

/** Rate over about an interval of believed reads just before (-1) or after (1) a time, units per hour; NaN when they are not at hand. */
function rateBeside(w: Work, ms: number, side: -1 | 1): number {
  const { t, row } = w
  const n = t.ringCount[row] as number
  const limits = limitsOf(w)
  let near = -1
  let rate = Number.NaN
  for (let k = 0; k < n; k++) {
    const p = ringPos(t, row, side < 0 ? n - 1 - k : k)
    if (t.ringMark[p] !== USED) continue
    const tsMs = t.ringTs[p] as number
    if (near < 0) {
      if (side < 0 ? snap(w.c, tsMs) <= ms : snap(w.c, tsMs) >= ms) near = p
      continue
    }
    const [earlier, later] = side < 0 ? [p, near] : [near, p]
    const spanMs = (t.ringTs[later] as number) - (t.ringTs[earlier] as number)
    const s = step(t.ringValue[earlier] as number, t.ringValue[later] as number, spanMs, limits)
    if (!isOk(s) || spanMs > wholeMs(w.c)) break
    rate = (s.delta * HOUR_MS) / spanMs
    if (spanMs >= w.c.intervalMs / 2) break
  }
  return rate
}

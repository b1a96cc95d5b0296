// Validation of one zone: every reading passes here first. Recognises repeats, judges values, turns registers into intervals and
// days. The rules, methods and outcomes of bad input are in docs/validation.md.
import type { ZoneDevice } from '#model/asset.ts'
import { hashText } from '#model/hash.ts'
import { QUANTITIES, type Quantity, quantityCode } from '#model/quantity.ts'
import { qualifier, type Reading } from '#model/reading.ts'
import { parseIso } from '#model/time.ts'
import type { MeterClass, ValidationRule } from '#model/validation-rules.ts'
import { accept } from './accept.ts'
import { createBalances, learnBalance, partOf } from './balance.ts'
import { dayByNo, dayOf } from './days.ts'
import { admit, BEYOND, CONFLICT, DUPLICATE, NEW, newestMs, ringPos } from './dedupe.ts'
import { applyEdit } from './edits.ts'
import { announce, onExchange, onPower } from './events.ts'
import { settingsFor } from './meter-class.ts'
import { onRegister, visit } from './registers.ts'
import { addInflow, districtFires, districtLoss, signOf } from './rules/sum-check-district.ts'
import { transformerFires } from './rules/sum-check-transformer.ts'
import { addRow, configIndex, DAYS, DUE_BLOCK, findRow, NEVER, removeDevice, type SeriesConfig } from './series.ts'
import { ValidationSettings } from './settings.ts'
import { createState, fired, type ValidationState, type Work } from './state.ts'
import type { Validator, ValidatorContext } from './validator.ts'
import { judgeValue } from './values.ts'

type Context = ValidatorContext<ValidationSettings>

/** The scan looks at rows whose time has come this often. */
const SCAN_MS = 60_000
/** Fewer registers are no area: their silence is their own. */
const STORM_REGISTERS_MIN = 10
/** Silence of the zone is measured this often. */
const SILENCE_MS = 600_000
/** A register is silent after this many intervals without a read. */
const SILENT_INTERVALS = 4
const HOLIDAYS_MAX = 64
/** Edits remembered, so that one that the log holds twice is made once. */
const EDITS_MAX = 256
/** Days of which firings of rules are kept. */
const FIRED_DAYS = 2

function refuse(w: Work, r: Reading, verdict: number): void {
  const { ctx } = w
  if (verdict === DUPLICATE) ctx.duplicate(r)
  else if (verdict === CONFLICT) ctx.refuse(r, 'conflicting_value', 'value', 'another value of this series and time was stored before')
  else if (verdict === BEYOND) ctx.refuse(r, 'beyond_dedup_window', 'ts', 'too old to tell whether it came before')
  if (verdict !== BEYOND) fired(w.state, ctx, w.c.class, verdict === DUPLICATE ? DUPLICATES : CONFLICTS)
}
const DUPLICATES = ['duplicate'] as const
const CONFLICTS = ['conflicting_value'] as const

function workOf(state: ValidationState, row: number, info: ZoneDevice, ctx: Context): Work {
  const t = state.table
  const c = t.configs[t.config[row] as number] as SeriesConfig
  return { state, t, row, c, info, s: settingsFor(ctx.settings, c.class), ctx }
}

// The bundle of the reading at hand, used again for each: nobody keeps it, and one a reading is a tenth of validation's cost.
let hand: Work | undefined

function atHand(state: ValidationState, row: number, info: ZoneDevice, ctx: Context): Work {
  if (hand === undefined || hand.ctx !== ctx || hand.state !== state) {
    hand = workOf(state, row, info, ctx)
    return hand
  }
  const t = state.table
  const c = t.configs[t.config[row] as number] as SeriesConfig
  hand.t = t
  hand.row = row
  hand.c = c
  hand.info = info
  hand.s = settingsFor(ctx.settings, c.class)
  return hand
}

function onReading(state: ValidationState, r: Reading, info: ZoneDevice, ctx: Context): void {
  const t = state.table
  const code = quantityCode(r.quantity)
  if (code === undefined || !Number.isFinite(r.value)) {
    ctx.refuse(r, 'impossible_value', 'value', 'not a finite number')
    return
  }
  const channel = qualifier(r)
  let row = findRow(t, r.device, code, channel)
  if (row < 0) {
    row = addRow(t, r.device, code, channel, configIndex(t, info, r.quantity, ctx.settings))
    t.balance[row] = partOf(state.balances, info.asset, r.quantity, channel)
  }
  const w = atHand(state, row, info, ctx)
  if (w.c.register && r.value < 0) {
    ctx.refuse(r, 'impossible_value', 'value', 'a register cannot be negative')
    return
  }
  const verdict = admit(t, row, r.tsMs, r.value, w.c.intervalMs, ctx.settings.windowMs)
  if (verdict <= DUPLICATE) {
    refuse(w, r, verdict)
    return
  }
  if (w.c.register) onRegister(w, verdict, r)
  else {
    accept(w, r, verdict, judgeValue(w, verdict, r.value))
    if (r.quantity === 'flow_m3h' && verdict === NEW) flowInto(w)
  }
}

/** Counts what a flow meter let into the district since its value before. */
function flowInto(w: Work): void {
  const { t, row, state, ctx } = w
  const n = t.ringCount[row] as number
  const sign = n < 2 ? 0 : signOf(ctx.zone, w.info.asset as { kind: string })
  if (sign === 0) return
  const [a, b] = [ringPos(t, row, n - 2), ringPos(t, row, n - 1)]
  const from = { tsMs: t.ringTs[a] as number, value: t.ringValue[a] as number }
  const to = { tsMs: t.ringTs[b] as number, value: t.ringValue[b] as number }
  addInflow(state.inflow, dayOf(ctx.zone.def.timezone, to.tsMs - 1).no, sign, from, to)
}

function eachRow(state: ValidationState, device: string, info: ZoneDevice, ctx: Context, f: (w: Work) => void): void {
  let row = state.table.first.get(device) ?? -1
  while (row >= 0) {
    const next = state.table.next[row] as number
    f(workOf(state, row, info, ctx))
    row = next
  }
}

/** Applies what the registry and the settings say now to every known series. */
function configure(state: ValidationState, ctx: Context): void {
  const t = state.table
  const old = t.configs
  t.configs = []
  state.balances = createBalances(ctx.zone, state.balances)
  for (const device of [...t.first.keys()]) {
    const info = ctx.zone.device(device)
    if (info === undefined) {
      removeDevice(t, device)
      state.outages.delete(device)
      state.exchanges.delete(device)
      continue
    }
    let row = t.first.get(device) ?? -1
    while (row >= 0) {
      const before = old[t.config[row] as number] as SeriesConfig
      const index = configIndex(t, info, QUANTITIES[t.code[row] as number] as Quantity, ctx.settings)
      const after = t.configs[index] as SeriesConfig
      t.config[row] = index
      t.balance[row] = partOf(state.balances, info.asset, QUANTITIES[t.code[row] as number] as string, t.channel[row] as string)
      if (after.intervalMs !== before.intervalMs) regrid(state, row, after.intervalMs)
      else if (after.multiplier !== before.multiplier) rescale(workOf(state, row, info, ctx), after.multiplier / before.multiplier)
      row = t.next[row] as number
    }
  }
}

/**
 * Another multiplier in the registry. It counts from now on; with `multiplier_since` on the meter all intervals since are written anew: those
 * in gaps by the fold, those it has forgotten by way of the store.
 */
function rescale(w: Work, factor: number): void {
  const { t, row, ctx } = w
  t.useMean[row] = (t.useMean[row] as number) * factor
  t.dayEdge.fill(Number.NaN, row * DAYS, (row + 1) * DAYS)
  const since = (w.info.asset as { multiplier_since?: unknown }).multiplier_since
  const sinceMs = typeof since === 'string' ? parseIso(since) : Number.NaN
  // What was said of a gap before stands: it is let go. An open one goes on.
  const kept = (t.gaps.get(row) ?? []).filter((g) => g.open || g.firstEndMs > sinceMs)
  if (kept.length === 0) t.gaps.delete(row)
  else t.gaps.set(row, kept)
  const untilMs = (t.recentSlot[row] as number) * w.c.intervalMs
  if (!(sinceMs < untilMs)) return
  const meter = w.info.asset.id
  const quantity = QUANTITIES[t.code[row] as number] as Quantity
  const channel = t.channel[row] as string
  const id = `multiplier-${hashText(JSON.stringify([meter, quantity, channel, factor, sinceMs, untilMs])).toString(36)}`
  ctx.recalculate?.({ id, meter, quantity, channel, factor, sinceMs, untilMs, askedAtMs: ctx.nowMs })
}

/** A series with another interval begins anew; what came before can no longer be told from repeats, so it is refused. */
function regrid(state: ValidationState, row: number, intervalMs: number): void {
  const t = state.table
  const newest = newestMs(t, row)
  t.ringCount[row] = 0
  t.pending[row] = 0
  t.flags[row] = 0
  t.carry[row] = 0
  t.recentSlot[row] = NEVER
  t.spacing[row] = 1
  t.dayEdge.fill(Number.NaN, row * DAYS, (row + 1) * DAYS)
  t.offFrom[row] = -NEVER
  t.offTo[row] = NEVER
  t.lowSlot[row] = Number.isFinite(newest) ? Math.floor(newest / intervalMs) + 1 : NEVER
  t.holes.delete(row)
  t.gaps.delete(row)
}

/** Storm mode needs to know how much of the zone is silent. */
function measureSilence(state: ValidationState, now: number): void {
  const t = state.table
  let registers = 0
  let silent = 0
  for (let row = 0; row < t.rows; row++) {
    const c = t.configs[t.config[row] as number]
    if (c === undefined || !c.register || t.device[row] === '') continue
    registers++
    if (now - newestMs(t, row) > SILENT_INTERVALS * c.intervalMs) silent++
  }
  state.silentShare = registers < STORM_REGISTERS_MIN ? 0 : silent / registers
}

/** Yesterday's sums over transformers and the district, once a day, when late reads have come. */
function checkZone(state: ValidationState, ctx: Context): void {
  const zone = ctx.zone.def.timezone
  const day = dayOf(zone, dayOf(zone, ctx.nowMs).startMs - 1)
  if (day.no <= state.checkedDay || ctx.nowMs < day.endMs + ctx.settings.dayHoldMs) return
  state.checkedDay = day.no
  const { sum_check_transformer: byTransformer, sum_check_district: byDistrict } = ctx.settings.rules
  for (const b of state.balances)
    if (byTransformer.enabled && transformerFires(b, day, byTransformer)) fired(state, ctx, 'power_check', ['sum_check_transformer'])
  if (!byDistrict.enabled || state.inflow.length === 0) return
  const loss = districtLoss(
    ctx.zone,
    day,
    state.inflow.find((d) => d.no === day.no),
    customersOn(state, day.no),
    byDistrict,
  )
  if (districtFires(loss, byDistrict)) fired(state, ctx, 'water_household', ['sum_check_district'])
}

/** What the water customers of a zone used on a day of late. */
function customersOn(state: ValidationState, no: number): { used: number; measured: number; customers: number } {
  const t = state.table
  const water = quantityCode('water_volume_m3')
  const sum = { used: 0, measured: 0, customers: 0 }
  for (let row = 0; row < t.rows; row++) {
    if (t.code[row] !== water || t.device[row] === '' || t.channel[row] !== '') continue
    sum.customers++
    const k = row * DAYS + (no & (DAYS - 1))
    if (t.dayNo[k] !== no || (t.dayMissing[k] as number) > 0) continue
    sum.measured++
    sum.used += t.dayValue[k] as number
  }
  return sum
}

/** Tells the counts of rules that changed, and forgets those of days past. */
function tellFired(state: ValidationState, ctx: Context): void {
  if (state.firedNews.size === 0) return
  const zone = ctx.zone.def.timezone
  const today = dayOf(zone, ctx.nowMs).no
  for (const key of state.firedNews) {
    const [no, rule, cls] = key.split('|') as [string, ValidationRule, MeterClass]
    ctx.ruleCount?.({
      zone: ctx.zone.def.zone,
      date: dayByNo(zone, Number(no)).date,
      rule,
      class: cls,
      fired: state.fired.get(key) as number,
    })
  }
  state.firedNews.clear()
  for (const key of state.fired.keys()) if (Number(key.slice(0, key.indexOf('|'))) <= today - FIRED_DAYS) state.fired.delete(key)
}

function scan(state: ValidationState, ctx: Context): void {
  const t = state.table
  const now = ctx.nowMs
  if (now >= state.nextSilenceMs) {
    state.nextSilenceMs = now + SILENCE_MS
    measureSilence(state, now)
    for (const b of state.balances) learnBalance(b, now)
    checkZone(state, ctx)
  }
  for (let block = 0; block * DUE_BLOCK < t.rows; block++) {
    if ((t.dueBlocks[block] as number) > now) continue
    const end = Math.min(t.rows, (block + 1) * DUE_BLOCK)
    for (let row = block * DUE_BLOCK; row < end; row++) {
      if ((t.dueMs[row] as number) > now) continue
      const info = ctx.zone.device(t.device[row] as string)
      if (info === undefined) t.dueMs[row] = Number.POSITIVE_INFINITY
      else visit(workOf(state, row, info, ctx))
    }
    let earliest = Number.POSITIVE_INFINITY
    for (let row = block * DUE_BLOCK; row < end; row++) earliest = Math.min(earliest, t.dueMs[row] as number)
    t.dueBlocks[block] = earliest
  }
  tellFired(state, ctx)
}

// Settings are made anew only when they change.
const keys = new WeakMap<ValidationSettings, number>()

function keyOf(s: ValidationSettings): number {
  let key = keys.get(s)
  if (key === undefined) {
    key = hashText(JSON.stringify(s))
    keys.set(s, key)
  }
  return key
}

export const validation: Validator<ValidationState, ValidationSettings> = {
  name: 'validation',
  version: 4,
  settings: ValidationSettings,
  create: createState,
  onReading,
  onZone: configure,
  onEvent(state, e, info, ctx) {
    if (e.event === 'power_lost' || e.event === 'power_restored') onPower(state, e)
    else if (e.event === 'meter_replaced' || e.event === 'register_reset')
      onExchange(state, e, (f) => eachRow(state, e.device, info, ctx, f))
    else if (e.event === 'clock_set') eachRow(state, e.device, info, ctx, (w) => w.t.lagMs.fill(0, w.row, w.row + 1))
  },
  onOperation(state, o, ctx) {
    if (o.kind === 'holiday') {
      const zone = ctx.zone.def.timezone
      for (let ms = o.startMs; ms < o.endMs; ) {
        const day = dayOf(zone, ms)
        state.holidays.add(day.no)
        if (state.holidays.size > HOLIDAYS_MAX) state.holidays.delete(state.holidays.values().next().value as number)
        ms = day.endMs
      }
    } else if (o.kind === 'meter_exchange' && o.scopeType === 'meter') {
      const info = ctx.zone.device(o.scope)
      if (info === undefined || state.exchanges.has(o.scope)) return
      const exchange = { fromMs: o.startMs, toMs: o.endMs, oldFinal: Number.NaN, newInitial: Number.NaN, cause: 'meter_exchange' as const }
      announce(state, o.scope, exchange, (f) => eachRow(state, o.scope, info, ctx, f))
    }
  },
  onEdit(state, edit, ctx) {
    const info = ctx.zone.device(edit.meter)
    const code = quantityCode(edit.quantity)
    if (info === undefined || code === undefined || state.edits.includes(edit.id)) return
    state.edits.push(edit.id)
    if (state.edits.length > EDITS_MAX) state.edits.shift()
    let row = findRow(state.table, edit.meter, code, edit.channel)
    if (row < 0) row = addRow(state.table, edit.meter, code, edit.channel, configIndex(state.table, info, edit.quantity, ctx.settings))
    applyEdit(workOf(state, row, info, ctx), edit)
  },
  onTick(state, _tick, ctx) {
    if (ctx.nowMs < state.nextScanMs) return
    state.nextScanMs = (Math.floor(ctx.nowMs / SCAN_MS) + 1) * SCAN_MS
    const key = keyOf(ctx.settings)
    if (key !== state.settingsKey) {
      if (state.settingsKey !== 0) configure(state, ctx)
      state.settingsKey = key
    }
    scan(state, ctx)
  },
}

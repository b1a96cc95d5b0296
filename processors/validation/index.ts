// Validation of one zone: every reading passes here first. Recognises repeats, judges values, turns registers into intervals and
// days. The rules, methods and outcomes of bad input are in docs/validation.md.
import type { ZoneDevice } from '#model/asset.ts'
import { QUANTITIES, type Quantity, quantityCode } from '#model/quantity.ts'
import { qualifier, type Reading } from '#model/reading.ts'
import { createBalances, learnBalance, partOf } from './balance.ts'
import { dayOf } from './days.ts'
import { admit, BEYOND, CONFLICT, DUPLICATE, NEW, newestMs } from './dedupe.ts'
import { onExchange, onPower } from './events.ts'
import { type Judged, onRegister, visit } from './registers.ts'
import { addRow, configIndex, EXPECTED, findRow, removeDevice, type SeriesConfig } from './series.ts'
import { ValidationSettings } from './settings.ts'
import { createState, type ValidationState, type Work } from './state.ts'
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
/** The mean of the lag between measurement and receipt forgets in about this many readings. */
const LAG_MEMORY = 16
const HOLIDAYS_MAX = 64
const DRIFT = 'clock_drift'

function accept(ctx: Context, r: Reading, info: ZoneDevice, j: Judged): void {
  ctx.accept({
    device: r.device,
    quantity: r.quantity,
    phase: r.phase,
    tariff: r.tariff,
    channel: r.channel,
    tsMs: r.tsMs,
    value: r.value,
    flags: r.flags,
    gateway: r.gateway,
    receivedAtMs: r.receivedAtMs,
    seq: r.seq,
    redelivered: r.redelivered,
    quality: j.quality,
    rules: j.rules,
    info,
  })
}

/** The device's clock against ours, from readings that came as they were made; a stored one says nothing about the clock. */
function drifts(w: Work, r: Reading): boolean {
  const lag = r.receivedAtMs - r.tsMs
  const mean = w.t.lagMs[w.row] as number
  if (Math.abs(lag) >= w.c.intervalMs) return Math.abs(mean) > w.s.clockToleranceMs
  const next = mean + (lag - mean) / LAG_MEMORY
  w.t.lagMs[w.row] = next
  return Math.abs(next) > w.s.clockToleranceMs
}

function withRule(j: Judged, rule: string): Judged {
  return { quality: j.quality, rules: [...j.rules, rule] }
}

function refuse(ctx: Context, r: Reading, verdict: number): void {
  if (verdict === DUPLICATE) ctx.duplicate(r)
  else if (verdict === CONFLICT) ctx.refuse(r, 'conflicting_value', 'value', 'another value of this series and time was stored before')
  else if (verdict === BEYOND) ctx.refuse(r, 'beyond_dedup_window', 'ts', 'too old to tell whether it came before')
}

function workOf(state: ValidationState, row: number, info: ZoneDevice, ctx: Context): Work {
  const t = state.table
  return { state, t, row, c: t.configs[t.config[row] as number] as SeriesConfig, info, s: ctx.settings, ctx }
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
    row = addRow(t, r.device, code, channel, configIndex(t, info.asset, r.quantity, ctx.settings))
    t.balance[row] = partOf(state.balances, info.asset, r.quantity, channel)
  }
  const w = workOf(state, row, info, ctx)
  if (w.c.register && r.value < 0) {
    ctx.refuse(r, 'impossible_value', 'value', 'a register cannot be negative')
    return
  }
  const verdict = admit(t, row, r.tsMs, r.value, w.c.intervalMs, ctx.settings.windowMs)
  if (verdict <= DUPLICATE) {
    refuse(ctx, r, verdict)
    return
  }
  const drift = verdict === NEW && drifts(w, r)
  if (w.c.register) onRegister(w, verdict, r, (j) => accept(ctx, r, info, drift ? withRule(j, DRIFT) : j))
  else {
    const j = judgeValue(w, verdict, r.value)
    accept(ctx, r, info, drift ? withRule(j, DRIFT) : j)
  }
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
      const index = configIndex(t, info.asset, QUANTITIES[t.code[row] as number] as Quantity, ctx.settings)
      const after = t.configs[index] as SeriesConfig
      t.config[row] = index
      t.balance[row] = partOf(state.balances, info.asset, QUANTITIES[t.code[row] as number] as string, t.channel[row] as string)
      if (after.intervalMs !== before.intervalMs) regrid(state, row, after.intervalMs)
      row = t.next[row] as number
    }
  }
}

/** A series with another interval begins anew; what came before can no longer be told from repeats, so it is refused. */
function regrid(state: ValidationState, row: number, intervalMs: number): void {
  const t = state.table
  const newest = newestMs(t, row)
  t.ringCount[row] = 0
  t.pending[row] = 0
  t.flags[row] = 0
  t.carry[row] = 0
  t.recentSlot[row] = Number.NEGATIVE_INFINITY
  t.offFrom[row] = Number.POSITIVE_INFINITY
  t.offTo[row] = Number.NEGATIVE_INFINITY
  t.lowSlot[row] = Math.floor(newest / intervalMs) + 1
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

function scan(state: ValidationState, ctx: Context): void {
  const t = state.table
  const now = ctx.nowMs
  if (now >= state.nextSilenceMs) {
    state.nextSilenceMs = now + SILENCE_MS
    measureSilence(state, now)
    for (const b of state.balances) learnBalance(b, now)
  }
  for (let row = 0; row < t.rows; row++) {
    if ((t.dueMs[row] as number) > now) continue
    const info = ctx.zone.device(t.device[row] as string)
    if (info === undefined) t.dueMs[row] = Number.POSITIVE_INFINITY
    else visit(workOf(state, row, info, ctx))
  }
}

export const validation: Validator<ValidationState, ValidationSettings> = {
  name: 'validation',
  version: 1,
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
      state.exchanges.set(o.scope, {
        fromMs: o.startMs,
        toMs: o.endMs,
        oldFinal: Number.NaN,
        newInitial: Number.NaN,
        cause: 'meter_exchange',
      })
      eachRow(state, o.scope, info, ctx, (w) => {
        w.t.flags[w.row] = (w.t.flags[w.row] as number) | EXPECTED
      })
    }
  },
  onTick(state, _tick, ctx) {
    if (ctx.nowMs < state.nextScanMs) return
    state.nextScanMs = (Math.floor(ctx.nowMs / SCAN_MS) + 1) * SCAN_MS
    const key = JSON.stringify(ctx.settings)
    if (key !== state.settingsKey) {
      if (state.settingsKey !== '') configure(state, ctx)
      state.settingsKey = key
    }
    scan(state, ctx)
  },
}

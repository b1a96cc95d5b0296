// A register that is read and stands still although energy flows. The transformer's balance proves it; without one, only a register
// that has never stood still for nearly so long is doubted. A vacant home stands still too, and its balance stays closed.
import { z } from 'zod'
import { DAY_MS, HOUR_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext, ValidatedRead } from '../fold.ts'
import { addInterval, type Balance, compareDue, createBalance, isDue } from './power/balance.ts'
import { carryColumn, layoutOf, NONE, type PowerLayout } from './power/layout.ts'
import { KWH_PRICE, powerLoss, priceEvidence } from './usage/price.ts'

export const StuckRegisterSettings = z.object({
  /** Time without movement before the balance is asked ... */
  hoursMin: z.number().positive().default(6),
  /** ... and, without a balance, before it is said at all. */
  hoursAlone: z.number().positive().default(24),
  /** The longest stand-still so far, times this, must be exceeded ... */
  factor: z.number().min(1).default(4),
  factorAlone: z.number().min(1).default(8),
  /** At its usual power the register would have moved by so many steps. */
  stepsMin: z.number().positive().default(10),
  /** The balance lacks at least this share of the meter's usual power. */
  missingShare: z.number().positive().default(0.35),
  /** Reads known before anything is said, days of them. */
  historyDays: z.number().positive().default(2),
  ...KWH_PRICE,
})
type Settings = z.infer<typeof StuckRegisterSettings>
type Ctx = DetectorContext<Settings>

/** Memory of the two means of the unexplained power, hours. */
const FAST_H = 4
const SLOW_H = 72
/** Memory of the usual power of a meter, days. */
const USUAL_DAYS = 7

/** Columns by meter, and the balance by transformer. */
interface State {
  ids: string[]
  value: Float64Array
  exportValue: Float64Array
  valueTsMs: Float64Array
  movedMs: Float64Array
  /** Reads without movement: now, and the most that ever came before a movement. */
  run: Uint16Array
  runMax: Uint16Array
  reads: Uint16Array
  usualKw: Float32Array
  /** Unexplained power of the transformer when the register stopped, kW. */
  beforeKw: Float32Array
  balance: Balance
  fastKw: Float64Array
  slowKw: Float64Array
  comparedMs: Float64Array
  /** Meter -> onset of its open finding. */
  open: Map<string, number>
}

export const stuckRegister: Detector<State, Settings> = {
  name: 'stuck-register',
  zoneKinds: ['feeder', 'network'],
  kinds: ['abnormal_usage'],
  version: 1,
  settings: StuckRegisterSettings,
  create: (zone) => createState(layoutOf(zone), createBalance(zone, false)),
  onZone(s, ctx) {
    const layout = layoutOf(ctx.zone)
    const next = createState(layout, createBalance(ctx.zone, false, s.balance))
    for (const c of COLUMNS) carryColumn(s.ids, s[c], layout.ids, next[c])
    for (const c of ['fastKw', 'slowKw', 'comparedMs'] as const)
      carryColumn(s.balance.transformers, s[c], next.balance.transformers, next[c])
    for (const [id, ms] of s.open) if (layout.index.has(id)) next.open.set(id, ms)
    Object.assign(s, next)
  },
  onRead,
  onInterval: (s, interval, _info, ctx) => addInterval(s.balance, ctx.zone, interval),
  onTick(s, _tick, ctx) {
    if (!isDue(s.balance, ctx.nowMs)) return
    compareDue(s.balance, ctx.zone, ctx.nowMs, (c) => {
      if (!c.learnt) return
      const first = s.comparedMs[c.t] === 0
      const ease = (of: Float64Array, hours: number) => {
        const was = of[c.t] as number
        of[c.t] = first ? c.unexplainedKw : was + (c.unexplainedKw - was) * Math.min(1, c.hours / hours)
      }
      ease(s.fastKw, FAST_H)
      ease(s.slowKw, SLOW_H)
      s.comparedMs[c.t] = c.endMs
    })
  },
}

const COLUMNS = ['value', 'exportValue', 'valueTsMs', 'movedMs', 'run', 'runMax', 'reads', 'usualKw', 'beforeKw'] as const

function createState(layout: PowerLayout, balance: Balance): State {
  const n = layout.ids.length
  const nt = layout.transformers.length
  return {
    ids: layout.ids,
    value: new Float64Array(n),
    exportValue: new Float64Array(n),
    valueTsMs: new Float64Array(n),
    movedMs: new Float64Array(n),
    run: new Uint16Array(n),
    runMax: new Uint16Array(n),
    reads: new Uint16Array(n),
    usualKw: new Float32Array(n),
    beforeKw: new Float32Array(n),
    balance,
    fastKw: new Float64Array(nt),
    slowKw: new Float64Array(nt),
    comparedMs: new Float64Array(nt),
    open: new Map(),
  }
}

function onRead(s: State, read: ValidatedRead, ctx: Ctx): void {
  const imported = read.quantity === 'active_energy_import_kwh'
  if ((!imported && read.quantity !== 'active_energy_export_kwh') || read.quality === 'late' || read.phase !== '' || read.tariff !== 0)
    return
  const layout = layoutOf(ctx.zone)
  const i = layout.index.get(read.device)
  if (i === undefined || !layout.customer[i]) return
  if (!imported) {
    if (read.value !== s.exportValue[i]) moved(s, i, read.device, read.tsMs, ctx)
    s.exportValue[i] = read.value
    return
  }
  const from = s.valueTsMs[i] as number
  if (read.tsMs <= from) return
  const step = layout.stepMs[i] as number
  const kw = ((read.value - (s.value[i] as number)) * (layout.multiplier[i] as number)) / ((read.tsMs - from) / HOUR_MS)
  const still = from > 0 && read.value === s.value[i]
  s.value[i] = read.value
  s.valueTsMs[i] = read.tsMs
  if ((s.reads[i] as number) < 65_535) s.reads[i] = (s.reads[i] as number) + 1
  if (!still) {
    const regular = from > 0 && read.tsMs - from < 1.5 * step && read.quality === 'good' && kw >= 0
    if (regular) {
      const usual = s.usualKw[i] as number
      s.usualKw[i] = usual === 0 ? kw : usual + ((kw - usual) * step) / (USUAL_DAYS * DAY_MS)
    }
    moved(s, i, read.device, read.tsMs, ctx)
    return
  }
  if (s.run[i] === 0) {
    s.movedMs[i] = from
    s.beforeKw[i] = s.slowKw[layout.transformer[i] as number] ?? 0
  }
  if ((s.run[i] as number) < 65_535) s.run[i] = (s.run[i] as number) + 1
  if (!s.open.has(read.device)) doubt(s, i, layout, ctx)
}

function moved(s: State, i: number, id: string, tsMs: number, ctx: Ctx): void {
  const onset = s.open.get(id)
  if (onset !== undefined) {
    s.open.delete(id)
    say(s, i, onset, tsMs, { reason: 'moves-again', confidence: 0.9, missingKw: 0 }, ctx)
  } else if ((s.run[i] as number) > (s.runMax[i] as number)) s.runMax[i] = s.run[i] as number
  s.run[i] = 0
}

function doubt(s: State, i: number, layout: PowerLayout, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const stepH = (layout.stepMs[i] as number) / HOUR_MS
  const run = s.run[i] as number
  const hours = run * stepH
  const usual = s.usualKw[i] as number
  if (hours < cfg.hoursMin || run <= cfg.factor * (s.runMax[i] as number) || (s.reads[i] as number) * stepH < cfg.historyDays * 24) return
  if (usual * hours < cfg.stepsMin * (layout.resolutionKwh[i] as number)) return
  const t = layout.transformer[i] as number
  const tx = layout.transformers[t]
  const onset = s.movedMs[i] as number
  const balanced =
    tx !== undefined &&
    tx.check !== NONE &&
    tx.stepMs > 0 &&
    ctx.nowMs - (s.comparedMs[t] as number) < 6 * HOUR_MS &&
    (s.comparedMs[t] as number) > onset + FAST_H * HOUR_MS
  if (balanced) {
    const missingKw = (s.fastKw[t] as number) - (s.beforeKw[i] as number)
    if (missingKw < cfg.missingShare * usual) return
    s.open.set(layout.ids[i] as string, onset)
    say(s, i, onset, null, { reason: 'balance-shows-load', confidence: 0.95, missingKw }, ctx)
    return
  }
  // Without a balance an empty home cannot be told apart; a register that was never still before is doubted after a day.
  if (hours < cfg.hoursAlone || run <= cfg.factorAlone * Math.max(1, s.runMax[i] as number)) return
  s.open.set(layout.ids[i] as string, onset)
  say(s, i, onset, null, { reason: 'never-still-before', confidence: 0.6, missingKw: 0 }, ctx)
}

function say(
  s: State,
  i: number,
  onsetMs: number,
  clearedAtMs: number | null,
  how: { reason: string; confidence: number; missingKw: number },
  ctx: Ctx,
): void {
  const id = s.ids[i] as string
  const usual = s.usualKw[i] as number
  const round = (v: number) => Math.round(v * 100) / 100
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: 'stuck_register',
    scope: { type: 'meter', id },
    onsetMs,
    clearedAtMs,
    severity: clearedAtMs === null ? 'minor' : 'warning',
    confidence: how.confidence,
    affected: [id],
    size: { ...powerLoss(usual * 8760, ctx.settings), kwhDay: round(usual * 24) },
    reason: how.reason,
    evidence: [
      {
        what: 'register-still',
        value: s.value[i] as number,
        since: toIso(onsetMs),
        reads: s.run[i] as number,
        longestBefore: s.runMax[i] as number,
      },
      { what: 'usual-power', kw: round(usual), missingInBalanceKw: round(how.missingKw) },
      priceEvidence('power', ctx.settings),
    ],
  })
}

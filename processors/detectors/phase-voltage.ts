// What the voltages that a meter reports give away: a phase without voltage while another has it (a lead taken off, a blown fuse: the
// meter counts too little), and a supply outside the band of EN 50160, 90 to 110 % of nominal. Meters that report no voltage have no state.
import { z } from 'zod'
import { HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import type { Detector, DetectorContext, ValidatedRead } from '../fold.ts'
import { KWH_PRICE, powerLoss, priceEvidence } from './usage/price.ts'

export const PhaseVoltageSettings = z.object({
  /** Nominal voltage between a phase and neutral; the registry's `nominal_v` of a meter goes before it. */
  nominalV: z.number().positive().default(230),
  /** Below this share a phase counts as without voltage, above the other as with it. */
  deadShare: z.number().min(0).max(1).default(0.5),
  liveShare: z.number().min(0).max(1).default(0.8),
  deadMinutes: z.number().positive().default(30),
  /** EN 50160, 4.2.2.2: 10-minute means within 10 % of nominal; outside for so long before it is said. */
  bandShare: z.number().positive().default(0.1),
  bandMinutes: z.number().positive().default(120),
  /** Over after so long within. */
  clearMinutes: z.number().positive().default(180),
  /** Reads of two phases this far apart belong together. */
  togetherMinutes: z.number().positive().default(20),
  ...KWH_PRICE,
})
type Settings = z.infer<typeof PhaseVoltageSettings>
type Ctx = DetectorContext<Settings>

type Trouble = 'dead' | 'low' | 'high'
const NO_TIME = 0

/** One phase of a meter. Times 0: never. */
interface PhaseRow {
  v: number
  tsMs: number
  /** The trouble that its reads show, and since when. */
  trouble: Trouble | ''
  sinceMs: number
  reads: number
  worstV: number
  /** The trouble said, its onset, and since when it is good again. */
  said: Trouble | ''
  onsetMs: number
  goodMs: number
}

interface Row {
  phases: Record<string, PhaseRow>
  /** Mean day, kWh; 0 when not known. */
  kwhDay: number
}

interface State {
  rows: Map<string, Row>
}

export const phaseVoltage: Detector<State, Settings> = {
  name: 'phase-voltage',
  zoneKinds: ['feeder', 'network'],
  kinds: ['abnormal_usage'],
  settings: PhaseVoltageSettings,
  create: () => ({ rows: new Map() }),
  onZone(s, ctx) {
    for (const id of s.rows.keys()) if (ctx.zone.device(id) === undefined) s.rows.delete(id)
  },
  onRead(s, read, ctx) {
    if (read.quantity === 'voltage_v') onVoltage(s, read, ctx)
  },
  onDay(s, day) {
    const row = s.rows.size === 0 ? undefined : s.rows.get(day.meter)
    if (row === undefined || day.quantity !== 'active_energy_import_kwh' || day.channel !== '' || day.rev > 1) return
    row.kwhDay = row.kwhDay === 0 ? day.value : row.kwhDay + (day.value - row.kwhDay) / 7
  },
}

function onVoltage(s: State, read: ValidatedRead, ctx: Ctx): void {
  const a = read.info.asset
  // A phase that has lost its voltage is implausible read by read, so validation doubts it; what counts here is that it lasts.
  if (a.kind !== 'electric_meter' || read.quality === 'late') return
  let row = s.rows.get(read.device)
  if (row === undefined) {
    row = { phases: {}, kwhDay: 0 }
    s.rows.set(read.device, row)
  }
  const name = read.phase === '' ? 'L1' : read.phase
  let p = row.phases[name]
  if (p === undefined) {
    p = { v: 0, tsMs: NO_TIME, trouble: '', sinceMs: 0, reads: 0, worstV: 0, said: '', onsetMs: 0, goodMs: 0 }
    row.phases[name] = p
  }
  if (read.tsMs <= p.tsMs) return
  const nominalV = 'nominal_v' in a && typeof a.nominal_v === 'number' && a.nominal_v > 0 ? a.nominal_v : ctx.settings.nominalV
  p.v = read.value
  p.tsMs = read.tsMs
  follow(p, troubleOf(row, name, nominalV, ctx.settings), read.tsMs)
  decide({ id: read.device, name, row, p, nominalV }, ctx)
}

/** A dead phase is one only beside a live one: without any voltage there is an outage, or a meter that does not measure it. */
function troubleOf(row: Row, name: string, nominalV: number, cfg: Settings): Trouble | '' {
  const p = row.phases[name] as PhaseRow
  if (p.v < cfg.deadShare * nominalV) {
    const beside = Object.entries(row.phases).some(
      ([n, o]) => n !== name && o.v >= cfg.liveShare * nominalV && Math.abs(p.tsMs - o.tsMs) <= cfg.togetherMinutes * MINUTE_MS,
    )
    return beside ? 'dead' : ''
  }
  if (p.v < (1 - cfg.bandShare) * nominalV) return 'low'
  return p.v > (1 + cfg.bandShare) * nominalV ? 'high' : ''
}

function follow(p: PhaseRow, trouble: Trouble | '', tsMs: number): void {
  if (trouble !== p.trouble) {
    p.trouble = trouble
    p.sinceMs = tsMs
    p.reads = 0
    p.worstV = p.v
  }
  p.reads += 1
  p.worstV = trouble === 'high' ? Math.max(p.worstV, p.v) : Math.min(p.worstV, p.v)
}

interface At {
  id: string
  name: string
  row: Row
  p: PhaseRow
  nominalV: number
}

const REASON = { dead: 'phase-without-voltage', low: 'voltage-low', high: 'voltage-high' } as const

function decide(at: At, ctx: Ctx): void {
  const { p } = at
  const { settings: cfg } = ctx
  if (p.said !== '') {
    if (p.trouble === p.said) p.goodMs = 0
    else if (p.goodMs === 0) p.goodMs = p.tsMs
    if (p.goodMs === 0 || p.tsMs - p.goodMs < cfg.clearMinutes * MINUTE_MS) return
    say(at, p.said, p.goodMs, ctx)
    p.said = ''
  }
  if (p.trouble === '' || ctx.warmingUp || p.reads < 2) return
  const needMs = (p.trouble === 'dead' ? cfg.deadMinutes : cfg.bandMinutes) * MINUTE_MS
  if (p.tsMs - p.sinceMs < needMs) return
  p.said = p.trouble
  p.onsetMs = p.sinceMs
  p.goodMs = 0
  say(at, p.trouble, null, ctx)
}

function say({ id, name, row, p, nominalV }: At, trouble: Trouble, clearedAtMs: number | null, ctx: Ctx): void {
  const { settings: cfg } = ctx
  const voltages = Object.fromEntries(Object.entries(row.phases).map(([n, o]) => [`${n}V`, Math.round(o.v * 10) / 10]))
  const dead = trouble === 'dead'
  // With one of n phases dead the meter shows n - 1 parts of n.
  const phases = Object.keys(row.phases).length
  const lost = dead && phases > 1 ? row.kwhDay / (phases - 1) : 0
  ctx.emit({
    kind: 'abnormal_usage',
    subtype: dead ? 'phase_loss' : 'voltage',
    scope: { type: 'meter', id },
    onsetMs: p.onsetMs,
    clearedAtMs,
    severity: clearedAtMs === null && dead ? 'minor' : 'warning',
    confidence: dead ? 0.8 : 0.9,
    affected: [id],
    size: { ...powerLoss(lost * 365, cfg), worstV: Math.round(p.worstV * 10) / 10 },
    reason: clearedAtMs === null ? REASON[trouble] : 'voltage-is-back',
    evidence: [
      {
        what: 'voltages',
        phase: name,
        ...voltages,
        nominalV,
        since: toIso(p.onsetMs),
        hours: Math.round((10 * (p.tsMs - p.onsetMs)) / HOUR_MS) / 10,
      },
      ...(dead
        ? [{ what: 'share-not-counted', phases, kwhDayShown: Math.round(row.kwhDay * 100) / 100 }, priceEvidence('power', cfg)]
        : []),
    ],
  })
}

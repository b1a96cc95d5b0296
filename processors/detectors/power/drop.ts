// A meter that shows lastingly less than it used to, by its own last weeks and by what its neighbours do meanwhile.
import { DAYS, type Days, lastDays, mad, median } from './days.ts'
import { NONE, type PowerLayout } from './layout.ts'

export interface DropSettings {
  dropDays: number
  dropDaysAfterTamper: number
  dropRatioMin: number
  dropRatioMax: number
  shapeKept: number
  historyDays: number
}

export interface Drop {
  id: string
  days: number
  usualKwh: number
  missingKwhDay: number
  confidence: number
  evidence: { what: string; [key: string]: string | number }[]
}

/** Neighbours that must be known before their common change is taken off. */
const PEERS_MIN = 3

function peers(days: Days, layout: PowerLayout, recentDays: number, historyDays: number): number {
  const ratios: number[] = []
  for (let i = 0; i < layout.ids.length; i++) {
    if (!layout.customer[i]) continue
    const recent = lastDays(days.kwh, days, i, 1, recentDays)
    const before = lastDays(days.kwh, days, i, recentDays + 1, DAYS)
    if (recent.length < recentDays || before.length < historyDays) continue
    const usual = median(before)
    if (usual > 0) ratios.push(median(recent) / usual)
  }
  return ratios.length < PEERS_MIN ? 1 : median(ratios)
}

/**
 * Premises without a totalising meter above them whose use dropped by a large share, stays there, and keeps its shape. Every day of the
 * drop lies below nine tenths of the days before.
 */
export function dropRule(
  days: Days,
  layout: PowerLayout,
  tamperMs: (id: string) => number | undefined,
  isOpen: (id: string) => boolean,
  cfg: DropSettings,
): Drop[] {
  const out: Drop[] = []
  const common = new Map<number, number>()
  for (let i = 0; i < layout.ids.length; i++) {
    const id = layout.ids[i] as string
    const tx = layout.transformers[layout.transformer[i] as number]
    const watched = tx !== undefined && tx.check !== NONE && tx.stepMs > 0
    if (!layout.customer[i] || watched || isOpen(id)) continue
    const tampered = tamperMs(id) !== undefined
    const n = tampered ? cfg.dropDaysAfterTamper : cfg.dropDays
    const recent = lastDays(days.kwh, days, i, 1, n)
    const before = lastDays(days.kwh, days, i, n + 1, DAYS)
    if (recent.length < n || before.length < cfg.historyDays) continue
    // A low ordinary day, so that the end of an elevated fortnight is no drop.
    const usual = before.slice().sort((a, b) => a - b)[Math.floor(before.length / 4)] as number
    const now = median(recent)
    if (!(usual > 0) || now > usual * cfg.dropRatioMax) continue
    let ratio = common.get(n)
    if (ratio === undefined) {
      ratio = peers(days, layout, n, cfg.historyDays)
      common.set(n, ratio)
    }
    const share = now / (usual * ratio)
    if (share > cfg.dropRatioMax || share < cfg.dropRatioMin) continue
    const low = before.slice().sort((a, b) => a - b)[Math.floor(before.length / 10)] as number
    if (Math.max(...recent) >= low) continue
    const shape = median(lastDays(days.spread, days, i, 1, n)) / median(lastDays(days.spread, days, i, n + 1, DAYS))
    if (!(shape >= cfg.shapeKept)) continue
    out.push({
      id,
      days: n,
      usualKwh: usual,
      missingKwhDay: usual * ratio - now,
      confidence: tampered ? 0.75 : 0.5,
      evidence: [
        { what: 'lasting-drop', fromKwhDay: round(usual), toKwhDay: round(now), days: n, neighbours: round(ratio) },
        { what: 'shape-kept', ratio: round(shape), lowestTenthBefore: round(low) },
      ],
    })
  }
  return out
}

export interface MeterDrop {
  i: number
  usualKwh: number
  dropKwh: number
  deviationKwh: number
}

/** How much less each meter shows over the last `recentDays` than before, weather of the neighbours taken off. */
export function clearDrops(
  days: Days,
  layout: PowerLayout,
  customers: readonly number[],
  recentDays: number,
  historyDays: number,
): MeterDrop[] {
  const ratio = peers(days, layout, recentDays, historyDays)
  const out: MeterDrop[] = []
  for (const i of customers) {
    const recent = lastDays(days.kwh, days, i, 1, recentDays)
    const before = lastDays(days.kwh, days, i, recentDays + 1, DAYS)
    if (recent.length < recentDays || before.length < historyDays) continue
    const usual = median(before)
    out.push({ i, usualKwh: usual, dropKwh: usual * ratio - median(recent), deviationKwh: mad(before, usual) / Math.sqrt(recentDays) })
  }
  return out
}

const round = (v: number) => Math.round(v * 100) / 100

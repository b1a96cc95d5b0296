// The rules over a meter's book and its transformer's balance. Each says what it would claim, with numbers, or nothing.
import { HOUR_MS } from '#model/time.ts'
import { median } from '../../statistics/robust.ts'
import type { Balance } from './balance.ts'
import { suspects } from './balance.ts'
import { type MeterBook, shapeCorrelation, usualOf } from './book.ts'

export interface UsageSettings {
  baselineDaysMin: number
  bypassDays: number
  bypassCorrelationMin: number
  bypassRatioMax: number
  highDays: number
  highFactor: number
  highKwhMin: number
  exportKwhMin: number
  exportIntervalsMin: number
}

export interface Claim {
  confidence: number
  reason: string
  lossKwhPerDay: number
  evidence: Record<string, string | number>
}

/** Bypass under a totalising meter: the loss rose for days and moves with this one meter. */
export function bypassByBalance(
  b: Balance,
  bookOf: (meter: string) => MeterBook,
  s: UsageSettings,
): (Claim & { meter: string }) | undefined {
  if (b.elevatedDays < 2) return undefined
  const [first, second] = suspects(b)
  if (first === undefined || first.correlation < s.bypassCorrelationMin || first.slope < 0.2) return undefined
  if (second !== undefined && first.correlation - second.correlation < 0.1) return undefined
  const lossKwhPerDay = median(b.excessKwh)
  const meteredKwh = median(bookOf(first.meter).days.slice(-b.elevatedDays))
  return {
    meter: first.meter,
    confidence: Math.min(0.98, first.correlation),
    reason: 'loss-follows-one-meter',
    lossKwhPerDay,
    evidence: {
      what: 'transformer_balance',
      unexplainedKwhPerDay: lossKwhPerDay,
      correlation: first.correlation,
      nextCorrelation: second?.correlation ?? 0,
      bypassedShare: lossKwhPerDay / (lossKwhPerDay + meteredKwh),
      days: b.elevatedDays,
    },
  }
}

/**
 * Bypass without a totalising meter: use fell to a fraction for days while the shape of the day stayed, which an empty home does not
 * do, and while the neighbours' use did not fall.
 */
export function bypassByShape(book: MeterBook, peersRatio: number, s: UsageSettings): Claim | undefined {
  const usual = usualOf(book, s.bypassDays)
  const last = book.days.slice(-s.bypassDays)
  if (usual.n < 2 * s.baselineDaysMin || last.length < s.bypassDays || last.some((d) => !Number.isFinite(d)) || !(usual.medianKwh > 1))
    return undefined
  const season = Number.isFinite(peersRatio) ? Math.min(1.2, Math.max(0.8, peersRatio)) : 1
  const ratios = last.map((d) => d / (usual.medianKwh * season))
  const correlation = shapeCorrelation(book)
  if (ratios.some((r) => r > s.bypassRatioMax || r < 0.1) || correlation < 0.8) return undefined
  const ratio = median(ratios)
  return {
    confidence: 0.6,
    reason: 'lasting-drop-with-shape-kept',
    lossKwhPerDay: usual.medianKwh * (1 - ratio),
    evidence: {
      what: 'own_history',
      usualKwhPerDay: usual.medianKwh,
      nowKwhPerDay: median(last),
      shapeCorrelation: correlation,
      neighboursRatio: season,
    },
  }
}

/** Validation refused reads because the register stands still; says since when, and what the customer uses otherwise. */
export function stuckRegister(book: MeterBook, rejectedStartMs: number): Claim & { sinceMs: number } {
  const sinceMs = book.zeroSinceMs > 0 ? Math.min(book.zeroSinceMs, rejectedStartMs) : rejectedStartMs
  const usual = usualOf(book, 1)
  const hours = (book.lastEndMs - sinceMs) / HOUR_MS
  return {
    sinceMs,
    confidence: 0.85,
    reason: 'register-stands-still',
    lossKwhPerDay: usual.n > 0 ? usual.medianKwh : 0,
    evidence: {
      what: 'register',
      zeroHours: hours,
      longestBeforeHours: book.longestZeroMs / HOUR_MS,
      ...(usual.n > 0 ? { usualKwhPerDay: usual.medianKwh } : {}),
    },
  }
}

/** Use far above what nine of ten days showed, for days. */
export function highUsage(book: MeterBook, s: UsageSettings): Claim | undefined {
  const usual = usualOf(book, s.highDays)
  const last = book.days.slice(-s.highDays)
  if (usual.n < s.baselineDaysMin || last.length < s.highDays) return undefined
  const limitKwh = Math.max(s.highFactor * usual.highKwh, usual.highKwh + s.highKwhMin, usual.medianKwh + 6 * usual.sdKwh)
  if (last.some((d) => !(d > limitKwh))) return undefined
  const nowKwh = median(last)
  return {
    confidence: 0.7,
    reason: 'far-above-own-history',
    lossKwhPerDay: nowKwh - usual.medianKwh,
    evidence: {
      what: 'own_history',
      usualKwhPerDay: usual.medianKwh,
      nineOfTenDaysBelowKwh: usual.highKwh,
      limitKwh,
      nowKwhPerDay: nowKwh,
      days: s.highDays,
    },
  }
}

/** Energy flows out where no generation is registered. */
export function unregisteredExport(book: MeterBook, s: UsageSettings): Claim | undefined {
  if (book.exportIntervals < s.exportIntervalsMin || book.exportKwh < s.exportKwhMin) return undefined
  return {
    confidence: 0.95,
    reason: 'export-without-registered-generation',
    lossKwhPerDay: 0,
    evidence: { what: 'export_register', exportKwh: book.exportKwh, intervals: book.exportIntervals },
  }
}

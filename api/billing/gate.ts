// The quality gate: may this meter-day be billed yet? Pure. A gate belongs to a tariff class and knows one number, the share of a
// day's intervals that are not actual reads, because that is the number utilities write into their rules.

export interface Gate {
  /** Tariff class whose gate this is, or ANY_CLASS. */
  class: string
  /** 0 to 100. A share above it holds the day. */
  maxEstimatedPct: number
  /** Days after the day itself when it is released as it is; null: only better data, another gate or a person release it. */
  holdDays: number | null
  /** Counts changes of this gate. */
  rev: number
}

/** The gate of all classes that have none of their own. */
export const ANY_CLASS = '*'

export const HOLD_REASONS = ['estimated_above_limit', 'no_intervals'] as const
export type HoldReason = (typeof HOLD_REASONS)[number]

/** Why an entry is in the feed. */
export const GATE_OUTCOMES = [
  'no_gate',
  'met',
  'correction',
  'released_better_data',
  'released_gate_changed',
  'released_deadline',
  'released_by_hand',
] as const
export type GateOutcome = (typeof GATE_OUTCOMES)[number]

/** Counts of a day's intervals by quality. */
export interface DayCounts {
  actual: number
  estimated: number
  missing: number
  /** Written by a person: as good as read. */
  edited: number
}

/**
 * Share in percent of a day's intervals without an actual read. A missing interval counts like an estimated one: it is known even less.
 * A day without any interval is 100 %.
 */
export function estimatedPct(day: DayCounts): number {
  const all = day.actual + day.estimated + day.missing + day.edited
  return all === 0 ? 100 : ((day.estimated + day.missing) / all) * 100
}

export type Verdict =
  | { pass: true; outcome: 'no_gate' | 'met' }
  | { pass: false; reason: HoldReason; estimatedPct: number; limitPct: number }

export function judge(gate: Gate | null, day: DayCounts): Verdict {
  if (gate === null) return { pass: true, outcome: 'no_gate' }
  const pct = estimatedPct(day)
  if (pct <= gate.maxEstimatedPct) return { pass: true, outcome: 'met' }
  const reason = day.actual + day.estimated + day.missing + day.edited === 0 ? 'no_intervals' : 'estimated_above_limit'
  return { pass: false, reason, estimatedPct: pct, limitPct: gate.maxEstimatedPct }
}

/** The gate that a class is under. */
export function gateOf(gates: ReadonlyMap<string, Gate>, tariffClass: string): Gate | null {
  return gates.get(tariffClass) ?? gates.get(ANY_CLASS) ?? null
}

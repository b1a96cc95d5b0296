// Unit and multiplier: use that is off its usual by a power of ten (Wh for kWh, litres for m3) or by the meter's own multiplier, for days in
// a row, was not used: somebody changed a unit or a transformer's ratio on one side only.
import { z } from 'zod'
import type { DayFacts, DayRule } from './rule.ts'

const Settings = z.object({
  /** Days in a row. */
  days: z.number().int().min(1).max(30).default(3),
})

/** A day counts as off by a factor when it lies within this share of it. */
const NEAR = 0.3

/** True for a day off its usual by a factor that a wrong unit or multiplier makes. */
export function isOff(f: Pick<DayFacts, 'value' | 'usual' | 'multiplier'>): boolean {
  if (!(f.usual > 0) || f.value <= 0) return false
  const factors = [10, 100, 1000, ...(f.multiplier >= 4 ? [f.multiplier] : [])]
  const ratio = f.value / f.usual
  return factors.some((k) => Math.abs(ratio / k - 1) < NEAR || Math.abs(ratio * k - 1) < NEAR)
}

export const unitMultiplier: DayRule<z.infer<typeof Settings>> = {
  name: 'unit_multiplier',
  settings: Settings,
  fires: (f, c) => f.unitDays >= c.days,
}

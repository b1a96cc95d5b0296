// Sum check over a transformer: its own meter against its customers' on a day in which all were measured. Technical losses are 1 to 4 % on
// low voltage; less than nothing means a wrong multiplier, a meter under the wrong transformer, or an unregistered generator.
import { z } from 'zod'
import { HOUR_MS } from '#model/time.ts'
import { BALANCE_HOURS, type Balance } from '../balance.ts'
import type { DayWindow } from '../days.ts'

export const TransformerSettings = z.object({
  lossShareMin: z.number().default(-0.02),
  /** Twice what is technical at most: what lies above is also the matter of the line loss detector. */
  lossShareMax: z.number().default(0.08),
})

/** Share of a day's supply that customers' meters do not account for; NaN when some hour was not measured in full. */
export function lossShare(b: Balance, day: DayWindow): number {
  let supplied = 0
  let taken = 0
  for (let h = Math.ceil(day.startMs / HOUR_MS); h < Math.floor(day.endMs / HOUR_MS); h++) {
    if (h > b.head || h <= b.head - BALANCE_HOURS) return Number.NaN
    const k = h % BALANCE_HOURS
    if (b.count[k] !== b.expected || b.countCheck[k] !== b.expectedCheck) return Number.NaN
    supplied += b.check[k] as number
    taken += b.taken[k] as number
  }
  return supplied > 0 ? (supplied - taken) / supplied : Number.NaN
}

export function transformerFires(b: Balance, day: DayWindow, c: z.infer<typeof TransformerSettings>): boolean {
  const loss = lossShare(b, day)
  return loss < c.lossShareMin || loss > c.lossShareMax
}

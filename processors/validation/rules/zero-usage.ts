// Zero usage: a day without use of a meter that has shown some on every day so far. Households are away: the longest absence that was
// seen before counts as usual. Source: Oracle MDM "Zero Consumption", 24 h for a residence that never shows zero.
import { z } from 'zod'
import type { DayRule } from './rule.ts'

const Settings = z.object({
  /** Days of absence seen before, up to which a day without use is still news. */
  zeroDaysMax: z.number().int().nonnegative().default(0),
})

export const zeroUsage: DayRule<z.infer<typeof Settings>> = {
  name: 'zero_usage',
  settings: Settings,
  estimatesToo: true,
  fires: (f, c) => f.value === 0 && f.missing === 0 && f.usual > 0 && f.zeroDaysMax <= c.zeroDaysMax,
}

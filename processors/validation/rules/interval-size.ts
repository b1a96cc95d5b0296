// Interval size: reads come at another spacing than the registry says, so that intervals are interpolated or mostly missing. Source: Oracle
// and Itron "Interval Size"; there the two must agree exactly, here a lost read now and then is not another spacing.
import { z } from 'zod'
import type { DayRule } from './rule.ts'

const Settings = z.object({
  /** Mean spacing by that of the registry, from and to. */
  shareMin: z.number().positive().default(0.75),
  shareMax: z.number().positive().default(1.8),
})

export const intervalSize: DayRule<z.infer<typeof Settings>> = {
  name: 'interval_size',
  settings: Settings,
  estimatesToo: true,
  fires: (f, c) => f.spacing < c.shareMin || f.spacing > c.shareMax,
}

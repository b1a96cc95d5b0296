// Prolonged estimation: the register has been mostly estimated for too long. Source: Oracle MDM "Prolonged Estimation"; its limit is two
// billing periods.
import { z } from 'zod'
import type { DayRule } from './rule.ts'

const Settings = z.object({
  /** Days in a row of which more than half is estimated or missing. */
  days: z.number().int().min(1).max(200).default(60),
})

export const prolongedEstimation: DayRule<z.infer<typeof Settings>> = {
  name: 'prolonged_estimation',
  settings: Settings,
  estimatesToo: true,
  fires: (f, c) => f.estimatedDays >= c.days,
}

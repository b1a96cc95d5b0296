// Low usage: a day far below the days before it; the twin of high usage.
import { z } from 'zod'
import type { DayRule } from './rule.ts'

const Settings = z.object({
  /** Share of what the days before used. */
  share: z.number().min(0).max(1).default(0.2),
  /** And this many steps of the register below them. */
  minSteps: z.number().nonnegative().default(100),
})

export const lowUsage: DayRule<z.infer<typeof Settings>> = {
  name: 'low_usage',
  settings: Settings,
  fires: (f, c) => f.value > 0 && f.value < c.share * f.usual && f.usual - f.value > c.minSteps * f.step,
}

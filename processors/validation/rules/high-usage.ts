// High usage: a day far above the days before it. Practice checks billing periods against 50 to 60 % above
// the usual (UBP); single days of a household vary by more than twice, so the limit of a day is wider.
import { z } from 'zod'
import type { DayRule } from './rule.ts'

const Settings = z.object({
  /** Multiple of what the days before used. */
  factor: z.number().min(1).default(3),
  /** And this many steps of the register above them: a meter that hardly counts has no usual day. */
  minSteps: z.number().nonnegative().default(100),
})

export const highUsage: DayRule<z.infer<typeof Settings>> = {
  name: 'high_usage',
  settings: Settings,
  fires: (f, c) => f.value > c.factor * f.usual && f.value - f.usual > c.minSteps * f.step,
}

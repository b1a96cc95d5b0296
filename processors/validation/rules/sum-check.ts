// Sum check: the intervals of a day against the difference of the register between its midnights. An independent proof that nothing was
// lost or counted twice on the way from reads to intervals; edits that do not add up show here. Source: Oracle MDM "Sum Check"; the
// tolerance is one step of the last digit at each end.
import { z } from 'zod'
import type { DayRule } from './rule.ts'

const Settings = z.object({
  /** Steps of the register's last digit that the two may differ by. */
  toleranceSteps: z.number().positive().default(2),
  /** And this share of the day, for registers whose step is not known. */
  toleranceShare: z.number().nonnegative().default(1e-6),
})

export const sumCheck: DayRule<z.infer<typeof Settings>> = {
  name: 'sum_check',
  settings: Settings,
  estimatesToo: true,
  fires: (f, c) =>
    f.missing === 0 && Math.abs(f.value - f.difference) > c.toleranceSteps * f.step + c.toleranceShare * Math.abs(f.difference) + 1e-5,
}

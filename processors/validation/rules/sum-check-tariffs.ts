// Sum check over registers: what the registers by tariff counted in a day against the total register. Source: Oracle MDM "Sum Check"
// (time-of-use registers against the total).
import { z } from 'zod'
import type { DayRule } from './rule.ts'

const Settings = z.object({
  /** Share of the total by which the sum may differ, beside one step of each register. */
  toleranceShare: z.number().nonnegative().default(0.01),
})

const TARIFFS = ['t1', 't2', 't3', 't4']

export const sumCheckTariffs: DayRule<z.infer<typeof Settings>> = {
  name: 'sum_check_tariffs',
  settings: Settings,
  fires: (f, c) => {
    // Asked of all of them: the one whose day is complete last sees the others.
    if (f.channel !== '' && !TARIFFS.includes(f.channel)) return false
    const of = (channel: string) => (channel === f.channel ? { value: f.value, complete: true } : f.sibling(f.quantity, channel))
    const total = of('')
    const parts = TARIFFS.map(of).filter((s) => s !== undefined)
    if (total === undefined || parts.length < 2 || [total, ...parts].some((s) => !s.complete)) return false
    const sum = parts.reduce((n, s) => n + s.value, 0)
    return Math.abs(sum - total.value) > c.toleranceShare * total.value + (parts.length + 1) * Math.max(f.step, 0.001)
  },
}

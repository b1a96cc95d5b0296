// Reactive energy beside active: missing where it is usual, present without active energy, or a power factor that no installation has.
// A voltage coil that lost a phase and a wrongly wired current transformer show here first. Limits are the utility's ("user parameter").
import { z } from 'zod'
import type { DayRule } from './rule.ts'

const Settings = z.object({
  powerFactorMin: z.number().min(0).max(1).default(0.3),
  /** Steps of the active register from which a day is judged. */
  minSteps: z.number().nonnegative().default(50),
})

const ACTIVE = 'active_energy_import_kwh'
const REACTIVE = 'reactive_energy_import_kvarh'

export const reactive: DayRule<z.infer<typeof Settings>> = {
  name: 'reactive',
  settings: Settings,
  fires: (f, c) => {
    // Asked of both registers: the one whose day is complete last sees the other.
    if (f.quantity !== ACTIVE && f.quantity !== REACTIVE) return false
    const other = f.sibling(f.quantity === ACTIVE ? REACTIVE : ACTIVE, f.channel)
    if (other === undefined || !other.complete) return false
    const [p, q] = f.quantity === ACTIVE ? [f, other] : [other, f]
    const least = c.minSteps * Math.max(f.step, 0.001)
    if (p.value < least) return p.value === 0 && q.value > least
    if (q.value === 0) return q.usual > 0
    return p.value / Math.hypot(p.value, q.value) < c.powerFactorMin
  },
}

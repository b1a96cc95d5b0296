// Inactive account: use where the registry knows no contract, or says that the point is inactive, closed or disconnected. Source: Oracle
// MDM "Inactive Device"; anything above a step or two of the register counts.
import { z } from 'zod'
import type { DayRule } from './rule.ts'

const Settings = z.object({
  /** Steps of the register from which use counts. */
  minSteps: z.number().nonnegative().default(2),
  /** `status` of the meter that means nobody is supplied. */
  statuses: z.array(z.string()).default(['inactive', 'closed', 'disconnected']),
  /** A customer's meter without an account counts as inactive. */
  withoutAccount: z.boolean().default(true),
})

export const inactiveAccount: DayRule<z.infer<typeof Settings>> = {
  name: 'inactive_account',
  settings: Settings,
  fires: (f, c) => {
    const a = f.info.asset as { kind: string; role?: unknown; account?: unknown; status?: unknown }
    if (a.kind !== 'water_meter' && (a.kind !== 'electric_meter' || a.role !== 'customer')) return false
    const closed = (typeof a.status === 'string' && c.statuses.includes(a.status)) || (c.withoutAccount && a.account === undefined)
    return closed && f.value > c.minSteps * Math.max(f.step, 0.001)
  },
}

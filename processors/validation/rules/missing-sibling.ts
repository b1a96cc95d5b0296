// Missing sibling: one register of a device has data for the day and another, which had some before, has none. Source: Oracle MDM; a
// collector that lost a channel of its profile.
import { z } from 'zod'
import type { DayRule } from './rule.ts'

const Settings = z.object({})

export const missingSibling: DayRule<z.infer<typeof Settings>> = {
  name: 'missing_sibling',
  settings: Settings,
  estimatesToo: true,
  fires: (f) => f.actual > 0 && f.silentSiblings > 0,
}

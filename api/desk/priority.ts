// How urgent a ticket is: points for what happened, to whom, how long and at what loss, and the names of what counted. Pure.
import type { TicketImpact } from '#model/desk.ts'
import type { Severity } from '#model/finding.ts'
import type { TicketClass } from '#model/ticket.ts'
import { HOUR_MS } from '#model/time.ts'
import type { DeskSettings } from './settings.ts'

export const PRIORITY_REASONS = [
  'life_support',
  'hospital',
  'vulnerable_customers',
  'severity',
  'many_customers',
  'large_customers',
  'special_customers',
  'school',
  'water_lost',
  'lasting',
  'as_its_incident', // its incident is more urgent than its points
] as const
export type PriorityReason = (typeof PRIORITY_REASONS)[number]

export interface Urgency {
  priority: 1 | 2 | 3 | 4
  points: number
  /** Most weighty first. */
  reasons: PriorityReason[]
}

export const NOBODY: TicketImpact = {
  customers: 0,
  vulnerable: 0,
  large: 0,
  special: 0,
  lifeSupport: 0,
  hospitals: 0,
  schools: 0,
  segment: '',
  lossM3h: 0,
}

/** The most protected customer concerned: limits and notices follow it. */
export function segmentOf(i: Omit<TicketImpact, 'segment'>): string {
  if (i.lifeSupport > 0) return 'life_support'
  if (i.hospitals > 0) return 'hospital'
  if (i.vulnerable > 0) return 'vulnerable'
  if (i.schools > 0) return 'school'
  if (i.special > 0) return 'special'
  if (i.large > 0) return 'large'
  return i.customers > 0 ? 'general' : ''
}

const LASTING: readonly TicketClass[] = ['outage', 'leak', 'quality']

export function urgencyOf(
  t: { class: TicketClass; severity: Severity; base: 1 | 2 | 3 | 4; impact: TicketImpact; openMs: number },
  w: DeskSettings['priority'],
): Urgency {
  const { impact: i } = t
  const band = w.customers.filter((c) => i.customers >= c.from).reduce((most, c) => Math.max(most, c.points), 0)
  const hours = LASTING.includes(t.class) ? Math.min(w.hoursMax, Math.floor(Math.max(0, t.openMs) / HOUR_MS)) : 0
  const parts: [PriorityReason, number][] = [
    ['life_support', i.lifeSupport > 0 ? w.lifeSupport : 0],
    ['hospital', i.hospitals > 0 ? w.hospital : 0],
    ['vulnerable_customers', i.vulnerable > 0 ? w.vulnerable : 0],
    ['severity', w.severity[t.severity]],
    ['many_customers', band],
    ['large_customers', i.large > 0 ? w.large : 0],
    ['special_customers', i.special > 0 ? w.special : 0],
    ['school', i.schools > 0 ? w.school : 0],
    ['water_lost', (Math.max(0, i.lossM3h) / 10) * w.lossPer10M3h],
    ['lasting', hours * w.perHourOpen],
  ]
  const points = parts.reduce((sum, [, p]) => sum + p, 0)
  const own = points >= w.priority1 ? 1 : points >= w.priority2 ? 2 : points >= w.priority3 ? 3 : 4
  const reasons = parts
    .filter(([, p]) => p > 0)
    .sort((a, b) => b[1] - a[1])
    .map(([r]) => r)
  if (t.base < own) reasons.unshift('as_its_incident')
  return { priority: Math.min(own, t.base) as Urgency['priority'], points, reasons }
}

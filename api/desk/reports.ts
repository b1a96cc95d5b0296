// What customers report: matched by place, network and time to an incident that is known, or to each other. The deciding part is pure.
import type { ReportKind } from '#model/desk.ts'
import type { TicketClass } from '#model/ticket.ts'
import { HOUR_MS } from '#model/time.ts'
import type { DeskSettings } from './settings.ts'

export const MATCH_REASONS = [
  'same_meter', // the incident lists the customer's meter
  'same_network', // it is about what is above the meter: its transformer, feeder, district, substation
  'near', // near enough in place and time
  'alike_reports', // several alike near each other: a suspected incident
  'nothing_known', // a ticket of its own
] as const
export type MatchReason = (typeof MATCH_REASONS)[number]

/** Classes of incidents that a kind of report may be about; none for what is the customer's own matter. */
export const ABOUT: Record<ReportKind, readonly TicketClass[]> = {
  outage: ['outage'],
  leak: ['leak'],
  low_pressure: ['leak', 'quality', 'outage'],
  quality: ['quality', 'leak'],
  bill: ['billing'],
  meter: ['meter_work'],
  complaint: [],
  enquiry: [],
  installation: [],
}

export const CLASS_OF: Record<ReportKind, TicketClass> = {
  outage: 'outage',
  leak: 'leak',
  low_pressure: 'quality',
  quality: 'quality',
  bill: 'billing',
  meter: 'meter_work',
  complaint: 'complaint',
  enquiry: 'enquiry',
  installation: 'installation',
}

/** Kinds of which several alike point to one cause. */
export const SHARED: readonly ReportKind[] = ['outage', 'leak', 'low_pressure', 'quality']

export interface Reported {
  kind: ReportKind
  meter: string
  /** What is above the meter, nearest first: transformer, feeder, substation or district. */
  above: readonly string[]
  at: readonly [number, number] | null
  observedMs: number
}

export interface Candidate {
  no: number
  class: TicketClass
  scope: string
  lists: boolean
  at: readonly [number, number] | null
  startedMs: number
  /** Null while it goes on. */
  endedMs: number | null
}

export interface Match {
  no: number
  reason: 'same_meter' | 'same_network' | 'near'
}

/** The incident that explains a report best: by meter, then by network, then the nearest. Undefined when none does. */
export function matchReport(r: Reported, candidates: readonly Candidate[], s: DeskSettings['reports']): Match | undefined {
  let best: (Match & { rank: number }) | undefined
  for (const c of candidates) {
    if (!ABOUT[r.kind].includes(c.class) || !inTime(r, c, s)) continue
    const found = standing(r, c, s)
    if (found !== undefined && (best === undefined || found.rank < best.rank || (found.rank === best.rank && c.no < best.no)))
      best = { no: c.no, ...found }
  }
  return best === undefined ? undefined : { no: best.no, reason: best.reason }
}

/** Low rank is a better match: the meter, then the nearest part of the network, then metres. */
function standing(r: Reported, c: Candidate, s: DeskSettings['reports']): { reason: Match['reason']; rank: number } | undefined {
  if (r.meter !== '' && (c.lists || c.scope === r.meter)) return { reason: 'same_meter', rank: 0 }
  const level = r.above.indexOf(c.scope)
  // A bill or a meter is the customer's own; a district's leak is not this customer's leak unless it is about the district's water.
  if (level >= 0 && SHARED.includes(r.kind)) return { reason: 'same_network', rank: 1 + level }
  if (r.at === null || c.at === null || !SHARED.includes(r.kind)) return undefined
  const m = distanceM(r.at, c.at)
  return m <= s.radiusM ? { reason: 'near', rank: 100 + m } : undefined
}

function inTime(r: Reported, c: Candidate, s: DeskSettings['reports']): boolean {
  const slack = s.hours * HOUR_MS
  return r.observedMs >= c.startedMs - slack && (c.endedMs === null || r.observedMs <= c.endedMs + slack)
}

/** Whether two reports may have one cause. */
export function alike(a: Reported, b: Reported, s: DeskSettings['reports']): boolean {
  if (a.kind !== b.kind || !SHARED.includes(a.kind) || Math.abs(a.observedMs - b.observedMs) > s.hours * HOUR_MS) return false
  const nearest = a.above[0]
  if (nearest !== undefined && nearest === b.above[0]) return true
  return a.at !== null && b.at !== null && distanceM(a.at, b.at) <= s.radiusM
}

const EARTH_M = 6_371_008.8

/** Great-circle distance of two [lon, lat], metres (haversine, mean earth radius of IUGG). */
export function distanceM(a: readonly [number, number], b: readonly [number, number]): number {
  const rad = Math.PI / 180
  const dLat = (b[1] - a[1]) * rad
  const dLon = (b[0] - a[0]) * rad
  const h = Math.sin(dLat / 2) ** 2 + Math.cos(a[1] * rad) * Math.cos(b[1] * rad) * Math.sin(dLon / 2) ** 2
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h)))
}

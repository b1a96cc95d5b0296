// Which crew to send: skilled, free, on shift, near, and where it is known now. Proposed with the reason; a dispatcher decides. Pure.
import type { CrewView } from '#model/live-events.ts'
import type { TicketClass } from '#model/ticket.ts'
import { MINUTE_MS, SECOND_MS } from '#model/time.ts'
import { distanceM } from './reports.ts'
import type { DeskSettings } from './settings.ts'

/** What people say of a crew. */
export interface CrewStatus {
  crew: string
  status: 'free' | 'busy' | 'off'
  shiftFromMs: number | null
  shiftToMs: number | null
  /** Open tickets it was sent to. */
  tickets: readonly number[]
}

export const CREW_REASONS = [
  'nearest',
  'skilled',
  'not_skilled',
  'free',
  'busy',
  'off',
  'not_on_shift',
  'position_stale',
  'position_unknown',
  'place_unknown',
] as const
export type CrewReason = (typeof CREW_REASONS)[number]

export interface CrewProposal {
  crew: string
  /** As the crow flies; null when one of the two places is not known. */
  distanceKm: number | null
  positionAgeS: number | null
  stale: boolean
  skills: ('water' | 'power')[]
  skilled: boolean
  free: boolean
  onShift: boolean
  openTickets: number
  reasons: CrewReason[]
  /** One sentence. */
  reason: string
}

export interface CrewQuestion {
  class: TicketClass
  /** True when the ticket is about the power network. */
  power: boolean
  at: readonly [number, number] | null
  nowMs: number
}

/** A crew without a shift is on shift whenever it is not off. */
export function onShift(s: CrewStatus | undefined, nowMs: number): boolean {
  if (s === undefined) return true
  if (s.status === 'off') return false
  return (s.shiftFromMs === null || nowMs >= s.shiftFromMs) && (s.shiftToMs === null || nowMs < s.shiftToMs)
}

/** Best first: able, free, on shift, then near; a crew whose place is not known comes after those whose is. */
export function proposeCrews(
  q: CrewQuestion,
  crews: readonly { crew: string; skills: CrewView['skills']; position: Pick<CrewView, 'lon' | 'lat' | 'tsMs'> | undefined }[],
  statuses: ReadonlyMap<string, CrewStatus>,
  s: DeskSettings['crews'],
): CrewProposal[] {
  const wanted = q.power ? 'power' : 'water'
  const all = crews.map((c): CrewProposal & { rank: number } => {
    const status = statuses.get(c.crew)
    const ageMs = c.position === undefined ? null : Math.max(0, q.nowMs - c.position.tsMs)
    const usable = ageMs !== null && ageMs <= s.goneMin * MINUTE_MS
    const m = usable && c.position !== undefined && q.at !== null ? distanceM([c.position.lon, c.position.lat], q.at) : null
    const skilled = c.skills.length === 0 || c.skills.includes(wanted)
    const openTickets = status?.tickets.length ?? 0
    const free = status?.status !== 'busy' && status?.status !== 'off' && openTickets < s.perCrewMax
    const here = onShift(status, q.nowMs)
    const stale = ageMs === null || ageMs > s.staleMin * MINUTE_MS
    const reasons: CrewReason[] = [skilled ? 'skilled' : 'not_skilled', status?.status === 'off' ? 'off' : free ? 'free' : 'busy']
    if (!here && status?.status !== 'off') reasons.push('not_on_shift')
    if (ageMs === null || !usable) reasons.push('position_unknown')
    else if (stale) reasons.push('position_stale')
    if (q.at === null) reasons.push('place_unknown')
    const rank = (skilled ? 0 : 4) + (here ? 0 : 2) + (free ? 0 : 1)
    return {
      crew: c.crew,
      distanceKm: m === null ? null : Math.round(m / 10) / 100,
      positionAgeS: ageMs === null ? null : Math.round(ageMs / SECOND_MS),
      stale,
      skills: [...c.skills],
      skilled,
      free,
      onShift: here,
      openTickets,
      reasons,
      reason: '',
      rank,
    }
  })
  all.sort((a, b) => a.rank - b.rank || (a.distanceKm ?? 1e9) - (b.distanceKm ?? 1e9) || (a.crew < b.crew ? -1 : 1))
  return all.map(({ rank: _, ...p }, i) => {
    const best = i === 0 && p.skilled && p.free && p.onShift && p.distanceKm !== null
    const reasons: CrewReason[] = best ? ['nearest', ...p.reasons] : p.reasons
    return { ...p, reasons, reason: sentence(p, wanted, s, best) }
  })
}

function sentence(p: Omit<CrewProposal, 'reasons' | 'reason'>, wanted: string, s: DeskSettings['crews'], best: boolean): string {
  const parts = [
    best
      ? 'nearest free crew'
      : p.free
        ? 'free'
        : p.openTickets > 0
          ? `busy with ${p.openTickets} ticket${p.openTickets === 1 ? '' : 's'}`
          : 'not free',
    p.skilled ? `skilled for ${wanted}` : `not skilled for ${wanted}`,
    ...(p.onShift ? [] : ['not on shift']),
    p.distanceKm === null
      ? 'distance not known'
      : `${p.distanceKm.toFixed(1)} km as the crow flies, about ${Math.max(1, Math.round((p.distanceKm / s.speedKmh) * 60))} min`,
    ...(p.stale && p.positionAgeS !== null ? [`position ${Math.round(p.positionAgeS / 60)} min old`] : []),
  ]
  return parts.join(', ')
}

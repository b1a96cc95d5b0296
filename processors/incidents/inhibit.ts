// Second stage: an incident that another one explains has no ticket of its own; it is listed on the other's.
import { type Facts, SETTLE_MS, scopeRank, severityRank } from './incident.ts'
import { areasOf } from './places.ts'

export const INHIBIT_REASONS = [
  'wider_outage', // a feeder absorbs its transformers, a transformer its premises
  'district_leak', // low pressure where a leak or burst at least as severe is known
  'sensor_faulty', // low pressure at a sensor that lies
  'supply_out', // no use, no word from a meter without supply
  'gateway_silent', // silent meters behind a silent gateway
  'meter_stuck', // no use on a register that stands still
  'none',
] as const
export type InhibitReason = (typeof INHIBIT_REASONS)[number]

export interface Inhibition {
  /** Key of the incident that mutes, '' when none does. */
  by: string
  reason: InhibitReason
  /** When it became, or will become, free of incidents that have ended: log time, 0 when there were none. */
  freeAtMs: number
  /** When one that mutes it will have ended long enough ago; 0 when none will. */
  againMs: number
}

const FREE: Inhibition = { by: '', reason: 'none', freeAtMs: 0, againMs: 0 }

/**
 * Of several that mute, the widest is named. One that has ended goes on muting for SETTLE_MS of log time: its effects clear
 * one by one, and a child must not open for the seconds in between.
 */
export function inhibit(target: Facts, sources: readonly Facts[], nowMs: number): Inhibition {
  let best: { source: Facts; reason: InhibitReason } | undefined
  let freeAtMs = 0
  let againMs = 0
  for (const source of sources) {
    const reason = muting(source, target)
    if (reason === 'none') continue
    if (source.clearedMs !== null) {
      const until = source.updatedMs + SETTLE_MS
      if (until <= nowMs) {
        freeAtMs = Math.max(freeAtMs, until)
        // What ended before its cause stays on the cause's ticket.
        if (target.active.length > 0) continue
      } else if (againMs === 0 || until < againMs) againMs = until
    }
    if (best === undefined || wider(source, best.source)) best = { source, reason }
  }
  if (best === undefined) return freeAtMs === 0 ? FREE : { by: '', reason: 'none', freeAtMs, againMs }
  return { by: best.source.incident.key, reason: best.reason, freeAtMs, againMs }
}

function wider(a: Facts, b: Facts): boolean {
  const by = rankOf(a) - rankOf(b)
  return by !== 0 ? by > 0 : a.incident.key < b.incident.key
}

function rankOf(f: Facts): number {
  return f.lead === undefined ? 0 : scopeRank(f.lead.scope)
}

/** Whether `source` explains `target`, by place, kind and time. No two incidents mute each other: ranks and families only go one way. */
function muting(source: Facts, target: Facts): InhibitReason {
  const s = source.lead
  const t = target.lead
  if (s === undefined || t === undefined || !during(source, target)) return 'none'
  const sf = source.incident.family
  switch (target.incident.family) {
    case 'outage':
      return sf === 'outage' && scopeRank(s.scope) > scopeRank(t.scope) && covers(source, target) ? 'wider_outage' : 'none'
    case 'pressure':
      if (sf === 'leak') return severityRank(source.severity) >= severityRank(target.severity) ? 'district_leak' : 'none'
      return sf === 'sensor' && s.scope.id === t.scope.id ? 'sensor_faulty' : 'none'
    case 'usage':
      if (t.subtype !== 'zero_usage') return 'none'
      if (sf === 'outage') return includes(source.affected, t.scope.id) ? 'supply_out' : 'none'
      return sf === 'usage' && s.subtype === 'stuck_register' && s.scope.id === t.scope.id ? 'meter_stuck' : 'none'
    case 'comms':
      if (t.scope.type !== 'meter') return 'none'
      if (sf === 'outage') return includes(source.affected, t.scope.id) ? 'supply_out' : 'none'
      return sf === 'comms' && s.scope.type === 'gateway' && includes(source.affected, t.scope.id) ? 'gateway_silent' : 'none'
    default:
      return 'none'
  }
}

/** An incident explains only what began while it lasted, give or take the settling time; not what was there before. */
function during(source: Facts, target: Facts): boolean {
  if (target.startedMs < source.startedMs - SETTLE_MS) return false
  return source.clearedMs === null || target.startedMs <= source.clearedMs + SETTLE_MS
}

/** What takes the whole feeder is above all in it; else the finding says so, or most of the meters are the same. */
function covers(source: Facts, target: Facts): boolean {
  const s = source.lead
  if (s === undefined) return false
  if (areasOf(source).includes(target.incident.zone)) return true
  if (target.members.some((m) => m.parent !== '' && source.incident.members.includes(m.parent))) return true
  const own = target.affected.length > 0 ? target.affected : [target.lead?.scope.id ?? '']
  const shared = own.filter((id) => includes(source.affected, id)).length
  return shared * 2 >= own.length
}

/** In a sorted list: a source may list ten thousand meters, and as many targets ask. */
function includes(sorted: readonly string[], id: string): boolean {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const mid = (low + high) >> 1
    if ((sorted[mid] as string) < id) low = mid + 1
    else high = mid
  }
  return sorted[low] === id
}

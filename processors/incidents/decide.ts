// Last stage: what, if anything, to say to the desk. Compares what should be with what was last said.
import type { TicketIntent } from '#model/ticket.ts'
import { MINUTE_MS, toIso } from '#model/time.ts'
import type { Facts } from './incident.ts'
import type { Inhibition } from './inhibit.ts'
import type { Silence, SilenceReason } from './silence.ts'
import { ticketTypeFor } from './types/index.ts'

export const DECIDE_REASONS = [
  // open
  'first_finding',
  'lasted_long_enough',
  'no_longer_muted',
  'found_after_its_end',
  // reopen
  'returned',
  // update
  'scope_changed',
  'severity_changed',
  'findings_changed',
  'affected_changed',
  'estimate_changed',
  'revised',
  // close
  'all_clear',
  'absorbed',
  'withdrawn',
  'planned_work',
  'momentary',
  'not_a_power_failure',
  // nothing
  'unchanged',
  'muted',
  'silenced',
  'over_before_known',
  'no_ticket_type',
] as const
export type DecideReason = (typeof DECIDE_REASONS)[number]

export interface Decision {
  action: 'open' | 'reopen' | 'update' | 'close' | 'none'
  reason: DecideReason
  /** Null when there is nothing to say. */
  intent: TicketIntent | null
}

export interface Surroundings {
  /** Findings of the incidents that this one mutes, sorted. */
  absorbed: readonly string[]
  inhibition: Inhibition
  silence: Silence
  nowMs: number
}

const nothing = (reason: DecideReason): Decision => ({ action: 'none', reason, intent: null })

export function decide(f: Facts, s: Surroundings): Decision {
  const last = f.incident.intent
  const open = last !== null && last.closedAt === null
  if (f.members.length === 0) {
    if (last === null || last.withdrawn === true) return nothing('unchanged')
    return close(f, last, { atMs: f.updatedMs, reason: 'withdrawn', extra: { withdrawn: true } })
  }
  if (s.inhibition.by !== '') {
    return open ? close(f, last, { atMs: s.nowMs, reason: 'absorbed', extra: { mergedInto: s.inhibition.by } }) : nothing('muted')
  }
  const silenced = CLOSING[s.silence.reason]
  if (silenced !== undefined) return open ? close(f, last, { atMs: f.updatedMs, reason: silenced }) : nothing('silenced')
  if (last === null && s.silence.reason === 'not_lasting_yet') return nothing('silenced')
  if (f.clearedMs !== null) return ended(f, s, last)
  if (last === null) return start(f, s)
  const next = render(f, s, last)
  if (next === null) return nothing('no_ticket_type')
  if (!open) {
    const back = last.mergedInto === undefined ? 'returned' : 'no_longer_muted'
    return { action: 'reopen', reason: back, intent: { ...next, updatedAt: latest(next.updatedAt, s.inhibition.freeAtMs), reason: back } }
  }
  const reason = difference(last, next)
  return reason === 'unchanged' ? nothing(reason) : { action: 'update', reason, intent: { ...next, reason } }
}

/** Silences that also close a ticket already open. A silence that only waits does not. */
const CLOSING: Partial<Record<SilenceReason, 'planned_work' | 'momentary' | 'not_a_power_failure'>> = {
  planned_work: 'planned_work',
  momentary: 'momentary',
  not_a_power_failure: 'not_a_power_failure',
}

function start(f: Facts, s: Surroundings): Decision {
  const next = render(f, s, null)
  if (next === null) return nothing('no_ticket_type')
  const dueMs = Math.max(s.inhibition.freeAtMs, s.silence.untilMs)
  const reason = s.inhibition.freeAtMs > f.detectedMs ? 'no_longer_muted' : dueMs > f.detectedMs ? 'lasted_long_enough' : 'first_finding'
  return { action: 'open', reason, intent: { ...next, reason } }
}

/** Telemetry saw the end. What ended before anybody knew of it opens only where something is left to do. */
function ended(f: Facts, s: Surroundings, last: TicketIntent | null): Decision {
  const clearedMs = f.clearedMs as number
  if (last !== null) return last.closedAt === null ? close(f, last, { atMs: clearedMs, reason: 'all_clear' }) : nothing('unchanged')
  const type = ticketTypeFor(f)
  if (type === undefined) return nothing('no_ticket_type')
  if (!type.opensWhenOver) return nothing('over_before_known')
  const next = render(f, s, null)
  if (next === null) return nothing('no_ticket_type')
  const reason = 'found_after_its_end'
  return { action: 'open', reason, intent: { ...next, closedAt: next.openedAt, reason } }
}

function close(f: Facts, last: TicketIntent, how: { atMs: number; reason: DecideReason; extra?: Partial<TicketIntent> }): Decision {
  // Said in log time, but never before the ticket was opened: what is found late can have ended before it was known.
  const closedAt = last.closedAt ?? (how.atMs < Date.parse(last.openedAt) ? last.openedAt : toIso(how.atMs))
  const updatedAt = latest(last.updatedAt, how.reason === 'absorbed' ? how.atMs : f.updatedMs)
  const intent = { ...last, ...how.extra, rev: last.rev + 1, closedAt, updatedAt, reason: how.reason }
  return { action: 'close', reason: how.reason, intent }
}

function latest(iso: string, ms: number): string {
  return ms === 0 || Date.parse(iso) >= ms ? iso : toIso(ms)
}

/** The intent as it should be now, without its reason; null when no type of ticket is for such an incident. */
function render(f: Facts, s: Surroundings, last: TicketIntent | null): TicketIntent | null {
  const type = ticketTypeFor(f)
  if (type === undefined || f.lead === undefined) return null
  const openedMs = Math.max(f.detectedMs, s.inhibition.freeAtMs, s.silence.untilMs)
  const openedAt = last?.openedAt ?? toIso(openedMs)
  return {
    type: 'ticket',
    key: f.incident.key,
    rev: (last?.rev ?? 0) + 1,
    class: type.name,
    findings: [...f.members.map((m) => m.id), ...s.absorbed],
    severity: f.severity,
    zone: f.incident.zone,
    scope: { type: f.lead.scope.type, id: f.lead.scope.id },
    ...type.render(f),
    startedAt: toIso(f.startedMs),
    ...(Object.keys(f.lead.size).length === 0 ? {} : { size: f.lead.size }),
    affected: f.affected,
    openedAt,
    updatedAt: latest(last?.updatedAt ?? openedAt, f.updatedMs),
    closedAt: null,
    reason: '',
  }
}

function difference(a: TicketIntent, b: TicketIntent): DecideReason {
  if (a.scope.type !== b.scope.type || a.scope.id !== b.scope.id || a.class !== b.class) return 'scope_changed'
  if (a.severity !== b.severity || a.priority !== b.priority) return 'severity_changed'
  if (!same(a.findings, b.findings)) return 'findings_changed'
  if (!same(a.affected, b.affected)) return 'affected_changed'
  if (Math.abs((a.size?.etrMs ?? 0) - (b.size?.etrMs ?? 0)) >= ESTIMATE_MOVED_MS) return 'estimate_changed'
  return a.title === b.title && a.description === b.description ? 'unchanged' : 'revised'
}

/** An estimate that moves by less is the same: customers are told a time to the quarter hour. */
const ESTIMATE_MOVED_MS = 15 * MINUTE_MS

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i])
}

// A ticket as the desk keeps it and the page, TMF621 and live events show it: the incident's intent plus its life with people.
import type { Severity } from './finding.ts'
import type { TicketClass } from './ticket.ts'

/**
 * The life of a ticket. `verify`: a crew says done, telemetry has not seen the end yet. `cancelled`: the finding was withdrawn,
 * or a person says there is nothing to do.
 */
export const TICKET_STATES = [
  'received',
  'reviewed',
  'dispatched',
  'in_progress',
  'verify',
  'resolved',
  'confirmed',
  'closed',
  'archived',
  'cancelled',
] as const
export type TicketState = (typeof TICKET_STATES)[number]

/** States in which a key is taken: a second ticket of the same key cannot open. */
export const OPEN_STATES = [
  'received',
  'reviewed',
  'dispatched',
  'in_progress',
  'verify',
  'resolved',
  'confirmed',
] as const satisfies readonly TicketState[]

export function isOpen(state: TicketState): boolean {
  return (OPEN_STATES as readonly string[]).includes(state)
}

/** What a person (or a system in their name) may do to a ticket. */
export const TICKET_ACTIONS = ['review', 'dispatch', 'start', 'done', 'confirm', 'close', 'archive', 'reopen', 'cancel', 'note'] as const
export type TicketAction = (typeof TICKET_ACTIONS)[number]

/** Times by which each step is due, epoch ms of the log clock. */
export interface SlaDue {
  /** First response: reviewed by a person. */
  respondMs: number
  /** A crew or an expert is on it. */
  dispatchMs: number
  /** Supply restored, leak repaired, bill answered. */
  resolveMs: number
}

export interface TicketView {
  /** Number that people quote: `T-1042`. */
  id: string
  /** The incident; exactly one open ticket per key. */
  key: string
  class: TicketClass
  /** Detected by telemetry, or reported by a person or a system. */
  origin: 'telemetry' | 'report'
  state: TicketState
  priority: 1 | 2 | 3 | 4
  severity: Severity
  title: string
  description: string
  zone: string
  scope: { type: string; id: string }
  /** Where to put it on the map; null when the registry has no place for the scope. */
  at: [lon: number, lat: number] | null
  /** Ids of the findings it is about. */
  findings: string[]
  /** Meters concerned: how many, and the first of them (at most 200; the list is in the findings). */
  affectedCount: number
  affected: string[]
  /** Named reason of the last change. */
  reason: string
  /** Who works on it: a crew or a person's role, '' when nobody. */
  assignee: string
  /** ISO times of the log clock. */
  openedAt: string
  updatedAt: string
  /** Telemetry saw the end at this time; null while it lasts. */
  telemetryClosedAt: string | null
  /** The ticket itself was closed. */
  closedAt: string | null
  sla: SlaDue
  /** Steps whose time limit passed before they were done. */
  breached: ('respond' | 'dispatch' | 'resolve')[]
  /** Revision of the ticket: any change counts one up. */
  version: number
  /** What a person may do next, in the order to offer it. */
  actions: TicketAction[]
}

export interface TicketChange {
  /** Version of the ticket that this change made. */
  version: number
  /** ISO, log clock. */
  at: string
  /** `telemetry`, or the name of the token's user. */
  who: string
  action: TicketAction | 'open' | 'telemetry_update' | 'telemetry_end' | 'telemetry_return' | 'withdrawn' | 'attach'
  from: TicketState | null
  to: TicketState
  reason: string
  note: string
}

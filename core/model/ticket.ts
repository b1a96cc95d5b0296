// Tickets as the incident fold asks for them; the desk owns their life with people.
import type { Severity } from './finding.ts'

export const TICKET_CLASSES = ['outage', 'leak', 'billing', 'quality', 'complaint', 'enquiry', 'installation', 'meter_work'] as const
export type TicketClass = (typeof TICKET_CLASSES)[number]

/** One incident's wish for a ticket; emitted again under the same key, with a higher rev, when it changes. */
export interface TicketIntent {
  type: 'ticket'
  /** The incident: exactly one open ticket per key. */
  key: string
  rev: number
  class: TicketClass
  findings: string[]
  /** 1 (most urgent) to 4. */
  priority: 1 | 2 | 3 | 4
  severity: Severity
  zone: string
  /** Asset the ticket is about, for the map and the crew. */
  scope: { type: string; id: string }
  title: string
  description: string
  affected: string[]
  openedAt: string
  updatedAt: string
  /** Telemetry saw the end: the ticket may close. */
  closedAt: string | null
  /** The finding was withdrawn: there never was an incident. */
  withdrawn?: boolean
  /** Key of the wider incident that took this one over; set together with closedAt. */
  mergedInto?: string
  /** Named reason of this revision. */
  reason: string
  /** Onset as thought now, ISO. */
  startedAt?: string
  /** Sizes of the leading finding: flowM3h, meters, loadPct. */
  size?: Record<string, number>
  /** What each stage said of the incident, and of those that it mutes. */
  why?: IntentWhy
}

/** Named reasons of the stages group, inhibit, silence and decide (`processors/incidents/`). */
export interface IntentWhy {
  group: string
  inhibit: string
  silence: string
  decide: string
  /** Incidents listed on this one by the reason for which they have no ticket of their own: how many. */
  muted?: Record<string, number>
}

/** Why an incident has no ticket of its own, on the topic of tickets; said again when a reason changes. What has a ticket carries it there. */
export interface IncidentDecision {
  type: 'decision'
  /** The incident, as in TicketIntent. */
  key: string
  zone: string
  scope: { type: string; id: string }
  findings: string[]
  why: IntentWhy
  /** Key of the incident that mutes it, '' when none does. */
  mutedBy: string
  /** ISO, log clock. */
  at: string
}

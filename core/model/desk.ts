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

/**
 * What a person (or a system in their name) may do to a ticket. Beside the state: `reply` (what the customer was told), `hold` and
 * `resume` (the clocks stop and go), `etr` (restoration estimate).
 */
export const TICKET_ACTIONS = [
  'review',
  'dispatch',
  'start',
  'done',
  'confirm',
  'close',
  'archive',
  'reopen',
  'cancel',
  'reply',
  'hold',
  'resume',
  'etr',
  'note',
] as const
export type TicketAction = (typeof TICKET_ACTIONS)[number]

/** Times by which each step is due, epoch ms of the log clock. */
export interface SlaDue {
  /** First response: reviewed by a person. */
  respondMs: number
  /** A crew or an expert is on it. */
  dispatchMs: number
  /** Supply restored, leak repaired, bill answered. */
  resolveMs: number
  /** The customer was told how it ended. */
  replyMs: number
}

export const SLA_STEPS = ['respond', 'dispatch', 'resolve', 'reply'] as const
export type SlaStep = (typeof SLA_STEPS)[number]

export interface SlaClock {
  step: SlaStep
  dueMs: number
  /** Not done: running, paused, breached. Done: met in time, late. */
  state: 'running' | 'paused' | 'breached' | 'met' | 'late'
  /** Share of the limit used, in working time, per cent; above 100 when too late. */
  usedPct: number
  /** When it will be done at the usual pace of such tickets; null when done or not known. */
  forecastMs: number | null
  /** Not done, and forecast to be late or with 80 % used. */
  risk: boolean
}

export const COMPLAINT_TYPES = ['service', 'quality', 'price', 'billing', 'other'] as const
export type ComplaintType = (typeof COMPLAINT_TYPES)[number]

/** Whom a ticket concerns, as far as its meters are known to the registry. */
export interface TicketImpact {
  customers: number
  vulnerable: number
  large: number
  special: number
  lifeSupport: number
  hospitals: number
  schools: number
  /** The most protected one concerned: life_support, vulnerable, hospital, school, special, large, general; '' when nobody is known. */
  segment: string
  /** Water lost per hour, m³; 0 when not known. */
  lossM3h: number
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
  breached: SlaStep[]
  /** Of a complaint: service, quality, price, billing, other; '' else. */
  subtype: string
  impact: TicketImpact
  /** Named reasons of the priority, most weighty first. */
  priorityReasons: string[]
  /** When supply is expected back, ISO; null when nobody has said. */
  etrAt: string | null
  etrBy: 'person' | 'telemetry' | ''
  /** The clocks stand still since, ISO; null while they run. */
  heldSince: string | null
  clocks: SlaClock[]
  /** Steps of escalation taken, `respond:100:supervisor`. */
  escalation: string[]
  /** Number of the ticket, or key of the incident, that took it over; '' when none did. */
  mergedInto: string
  /** Customer reports attached to it. */
  reports: number
  /** Ended with the first contact: nobody was sent, nobody called twice. Null while open. */
  firstContact: boolean | null
  /** Why the incident stands as it does, by stage of the decision. */
  why: Record<string, unknown>
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
  action:
    | TicketAction
    | 'open'
    | 'telemetry_update'
    | 'telemetry_end'
    | 'telemetry_return'
    | 'withdrawn'
    | 'attach'
    | 'merge'
    | 'escalate'
    | 'prioritise'
  from: TicketState | null
  to: TicketState
  reason: string
  note: string
}

/** Notices, in the order of a ticket's life; one of each stage goes to a customer, updates of the estimate one for each estimate. */
export const NOTICE_STAGES = ['opened', 'estimate', 'restored', 'withdrawn', 'closed'] as const
export type NoticeStage = (typeof NOTICE_STAGES)[number]

export const REPORT_KINDS = ['outage', 'leak', 'low_pressure', 'quality', 'bill', 'meter', 'complaint', 'enquiry', 'installation'] as const
export type ReportKind = (typeof REPORT_KINDS)[number]

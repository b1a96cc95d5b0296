// Tickets as TM Forum TMF621 v5 trouble tickets, and back. Pure.
import type { TicketAction, TicketState } from '#model/desk.ts'
import type { Severity } from '#model/finding.ts'
import { TICKET_CLASSES, type TicketClass } from '#model/ticket.ts'
import { toIso } from '#model/time.ts'
import { type Change, type Ticket, ticketId } from './ticket.ts'

export const TMF_PATH = '/tmf-api/troubleTicket/v5/troubleTicket'

export const TMF_STATUSES = ['acknowledged', 'rejected', 'pending', 'held', 'inProgress', 'cancelled', 'closed', 'resolved'] as const
export type TmfStatus = (typeof TMF_STATUSES)[number]

/** Our states are finer. `verify` is held: it waits for the telemetry. */
const STATUS: Record<TicketState, TmfStatus> = {
  received: 'acknowledged',
  reviewed: 'acknowledged',
  dispatched: 'inProgress',
  in_progress: 'inProgress',
  verify: 'held',
  resolved: 'resolved',
  confirmed: 'resolved',
  closed: 'closed',
  archived: 'closed',
  cancelled: 'cancelled',
}

export function statusOf(state: TicketState): TmfStatus {
  return STATUS[state]
}

/** Our states behind a TMF status; none for those we never use. */
export function statesOf(status: TmfStatus): TicketState[] {
  return (Object.keys(STATUS) as TicketState[]).filter((s) => STATUS[s] === status)
}

/** The step that leads from a state to a wished status; undefined when there is none, '' when it is there already. */
export function actionFor(state: TicketState, wished: TmfStatus): TicketAction | '' | undefined {
  switch (wished) {
    case 'acknowledged':
      if (state === 'received') return 'review'
      return state === 'reviewed' ? '' : ['resolved', 'confirmed', 'closed', 'cancelled'].includes(state) ? 'reopen' : undefined
    case 'inProgress':
      if (state === 'in_progress' || state === 'dispatched') return state === 'dispatched' ? 'start' : ''
      return state === 'received' || state === 'reviewed' ? 'dispatch' : state === 'verify' ? 'start' : undefined
    case 'resolved':
      if (state === 'resolved' || state === 'confirmed') return ''
      return ['reviewed', 'dispatched', 'in_progress'].includes(state) ? 'done' : undefined
    case 'closed':
      if (state === 'closed' || state === 'archived') return ''
      return state === 'resolved' || state === 'confirmed' ? 'close' : undefined
    case 'cancelled':
    case 'rejected':
      return state === 'cancelled' ? '' : ['received', 'reviewed', 'dispatched', 'in_progress'].includes(state) ? 'cancel' : undefined
    default:
      return undefined
  }
}

const PRIORITIES = { 1: 'Critical', 2: 'High', 3: 'Medium', 4: 'Low' } as const
const BY_WORD: Record<string, 1 | 2 | 3 | 4> = { critical: 1, high: 2, medium: 3, low: 4, '1': 1, '2': 2, '3': 3, '4': 4 }

export function priorityOf(text: string): 1 | 2 | 3 | 4 | undefined {
  return BY_WORD[text.toLowerCase()]
}

const SEVERITY_WORDS: Record<Severity, string> = { critical: 'Critical', major: 'Major', minor: 'Minor', warning: 'Warning' }

export function severityOf(text: string): Severity | undefined {
  const t = text.toLowerCase()
  return t === 'critical' || t === 'major' || t === 'minor' || t === 'warning' ? t : undefined
}

/** A priority for a report that names none: as its severity. */
export const PRIORITY_OF_SEVERITY: Record<Severity, 1 | 2 | 3 | 4> = { critical: 1, major: 2, minor: 3, warning: 4 }

/** TMF's free `ticketType`, where it is not one of our classes. */
export function classOf(ticketType: string): TicketClass {
  const t = ticketType.toLowerCase()
  const own = TICKET_CLASSES.find((c) => c === t || c.replace('_', ' ') === t || c.replace('_', '') === t)
  if (own !== undefined) return own
  return /^complain/.test(t)
    ? 'complaint'
    : /bill|invoice/.test(t)
      ? 'billing'
      : /leak|burst/.test(t)
        ? 'leak'
        : /outage|fault|power/.test(t)
          ? 'outage'
          : 'enquiry'
}

/** Attributes that a client gives and gets back as they are. */
export const EXTERNAL = [
  'attachment',
  'channel',
  'externalIdentifier',
  'relatedParty',
  'requestedResolutionDate',
  'troubleTicketRelationship',
  'troubleTicketSpecification',
] as const

type Json = Record<string, unknown>

const characteristic = (name: string, value: string | number) =>
  typeof value === 'string'
    ? { '@type': 'StringCharacteristic', name, valueType: 'string', value }
    : { '@type': 'IntegerCharacteristic', name, valueType: 'integer', value }

/** One entity reference; `@referredType` is the kind of thing in our registry or log. */
const entity = (role: string, type: string, id: string, href?: string) => ({
  '@type': 'RelatedEntity',
  role,
  entity: { '@type': 'EntityRef', '@referredType': type, id, ...(href === undefined ? {} : { href }) },
})

/** Findings named in a ticket; the rest are in /v1/tickets. */
const FINDINGS_MAX = 50

export function toTmf(t: Ticket, changes: readonly Change[]): Json {
  const status = changes.filter((c) => c.from === null || STATUS[c.from] !== STATUS[c.to])
  const last = status.at(-1)
  const own = Array.isArray(t.external.externalIdentifier) ? (t.external.externalIdentifier as Json[]) : []
  return {
    ...t.external,
    '@type': 'TroubleTicket',
    id: ticketId(t.no),
    href: `${TMF_PATH}/${ticketId(t.no)}`,
    name: t.title,
    description: t.description === '' ? t.title : t.description,
    severity: SEVERITY_WORDS[t.severity],
    priority: PRIORITIES[t.priority],
    ticketType: t.class,
    status: STATUS[t.state],
    statusChangeDate: toIso(last?.atMs ?? t.openedMs),
    statusChangeReason: last?.reason ?? t.reason,
    statusChangeHistory: status.map((c) => ({
      '@type': 'StatusChange',
      status: STATUS[c.to],
      statusChangeDate: toIso(c.atMs),
      statusChangeReason: c.reason,
    })),
    creationDate: toIso(t.openedMs),
    lastUpdate: toIso(t.updatedMs),
    expectedResolutionDate: toIso(t.sla.resolveMs),
    ...(t.resolvedMs === null ? {} : { resolutionDate: toIso(t.resolvedMs) }),
    externalIdentifier: [...own, { '@type': 'ExternalIdentifier', owner: 'meterstream', externalIdentifierType: 'incident', id: t.key }],
    relatedEntity: [
      entity('location', t.scope.type, t.scope.id, `/v1/assets?id=${encodeURIComponent(t.scope.id)}`),
      ...t.findings.slice(0, FINDINGS_MAX).map((id) => entity('finding', 'finding', id, `/v1/findings/${encodeURIComponent(id)}`)),
    ],
    note: changes
      .filter((c) => c.note !== '')
      .map((c) => ({ '@type': 'Note', id: String(c.version), author: c.who, date: toIso(c.atMs), text: c.note })),
    troubleTicketCharacteristic: [
      characteristic('state', t.state),
      characteristic('zone', t.zone),
      characteristic('assignee', t.assignee),
      characteristic('affectedCount', t.affected.length),
      characteristic('version', t.version),
    ],
  }
}

/** Only the attributes asked for, always with id, href and @type. */
export function pick(ticket: Json, fields: readonly string[] | undefined): Json {
  if (fields === undefined) return ticket
  const wanted = new Set(['@type', 'id', 'href', ...fields])
  return Object.fromEntries(Object.entries(ticket).filter(([k]) => wanted.has(k)))
}

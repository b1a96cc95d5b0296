// TMF621 events of a ticket's changes, and what a listener asked for. Pure.
import type { TicketState } from '#model/desk.ts'
import { toIso } from '#model/time.ts'
import type { Change, Ticket } from '../ticket.ts'
import { statusOf, toTmf } from '../tmf621.ts'

export const EVENT_TYPES = [
  'TroubleTicketCreateEvent',
  'TroubleTicketAttributeValueChangeEvent',
  'TroubleTicketStatusChangeEvent',
  'TroubleTicketResolvedEvent',
  'TroubleTicketInformationRequiredEvent',
  'TroubleTicketDeleteEvent',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

/** Events of one change, in the order in which they are told. Tickets are never deleted, so nobody is told that one was. */
export function eventTypesOf(c: Pick<Change, 'action' | 'from' | 'to'>): EventType[] {
  if (c.from === null) return ['TroubleTicketCreateEvent']
  if (c.action === 'hold') return ['TroubleTicketInformationRequiredEvent']
  if (statusOf(c.from) === statusOf(c.to)) return ['TroubleTicketAttributeValueChangeEvent']
  const resolved = (s: TicketState) => ['resolved', 'closed'].includes(statusOf(s))
  return resolved(c.to) && !resolved(c.from)
    ? ['TroubleTicketStatusChangeEvent', 'TroubleTicketResolvedEvent']
    : ['TroubleTicketStatusChangeEvent']
}

type Json = Record<string, unknown>

/** The event as it is sent: the ticket as it was made by this change, as far as states and history go. */
export function tmfEvent(type: EventType, t: Ticket, changes: readonly Change[], change: Change): Json {
  const then = { ...t, state: change.to, version: change.version, reason: change.reason, updatedMs: change.atMs }
  const ticket = toTmf(
    then,
    changes.filter((c) => c.version <= change.version),
  )
  return {
    '@type': type,
    eventId: eventId(t.no, change.version, type),
    eventTime: toIso(change.atMs),
    eventType: type,
    correlationId: t.key,
    domain: 'TroubleTicket',
    title: t.title,
    description: change.reason,
    priority: String(ticket.priority),
    timeOccurred: toIso(change.atMs),
    source: { '@type': 'EntityRef', '@referredType': 'TroubleTicket', id: String(ticket.id), href: String(ticket.href) },
    reportingSystem: { '@type': 'EntityRef', '@referredType': 'System', id: 'meterstream' },
    event: { troubleTicket: ticket },
  }
}

export function eventId(no: number, version: number, type: EventType): string {
  return `T-${no}/${version}/${type}`
}

/** Attributes of the ticket by which a listener may narrow its events. */
const ATTRIBUTES = ['status', 'severity', 'priority', 'ticketType'] as const

export interface Wanted {
  types: readonly EventType[]
  attributes: Partial<Record<(typeof ATTRIBUTES)[number], readonly string[]>>
}

/**
 * `eventType=TroubleTicketCreateEvent,TroubleTicketResolvedEvent&severity=Critical`, attributes also with `event.troubleTicket.` before
 * them; '' is everything. @throws Error that names what is not understood: a listener must not believe it was.
 */
export function wantedOf(query: string): Wanted {
  const out: Wanted = { types: EVENT_TYPES, attributes: {} }
  for (const [name, value] of new URLSearchParams(query)) {
    const words = value.split(',').map((w) => w.trim())
    const attribute = ATTRIBUTES.find((a) => name === a || name === `event.troubleTicket.${a}` || name === `troubleTicket.${a}`)
    if (name === 'eventType') {
      const unknown = words.find((w) => !(EVENT_TYPES as readonly string[]).includes(w))
      if (unknown !== undefined) throw new Error(`query: ${unknown.slice(0, 80)} is no event of trouble tickets`)
      out.types = words as EventType[]
    } else if (attribute !== undefined) out.attributes[attribute] = words
    else throw new Error(`query: events cannot be narrowed by ${name.slice(0, 80)}; use eventType, ${ATTRIBUTES.join(', ')}`)
  }
  return out
}

export function isWanted(w: Wanted, type: EventType, ticket: Json): boolean {
  if (!w.types.includes(type)) return false
  return ATTRIBUTES.every((a) => w.attributes[a] === undefined || w.attributes[a].includes(String(ticket[a])))
}

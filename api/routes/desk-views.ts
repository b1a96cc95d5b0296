// Shapes of the desk's answers, made from its rows.
import { z } from 'zod'
import { REPORT_KINDS } from '#model/desk.ts'
import { toIso } from '#model/time.ts'
import { CREW_REASONS } from '../desk/crews.ts'
import type { NoticeRow } from '../desk/outbox/store.ts'
import type { ReportRow } from '../desk/report-store.ts'
import { MATCH_REASONS } from '../desk/reports.ts'
import { ticketId } from '../desk/ticket.ts'

const time = z.string().meta({ format: 'date-time' })
const ticket = z.string().nullable().describe('T-1042')

export const NoticeOut = z.object({
  id: z.int(),
  kind: z.enum(['notice', 'tmf621', 'staff']),
  stage: z.string(),
  channel: z.string(),
  ticket,
  account: z.string(),
  language: z.string(),
  text: z.string(),
  state: z.enum(['waiting', 'sent', 'dead', 'cancelled']),
  attempts: z.int(),
  createdAt: time,
  notBefore: time.nullable(),
  sentAt: time.nullable(),
  error: z.string(),
})

export function noticeView(r: NoticeRow): z.output<typeof NoticeOut> {
  return {
    id: r.id,
    kind: r.kind as 'notice',
    stage: r.stage,
    channel: r.lane,
    ticket: r.ticket_no === null ? null : ticketId(r.ticket_no),
    account: r.account,
    language: r.language,
    text: r.text,
    state: r.state,
    attempts: r.attempts,
    createdAt: toIso(r.created_ms),
    notBefore: r.not_before_ms === 0 ? null : toIso(r.not_before_ms),
    sentAt: r.sent_at === null ? null : r.sent_at.toISOString(),
    error: r.error,
  }
}

export const ReportOut = z.object({
  id: z.int(),
  kind: z.enum(REPORT_KINDS),
  account: z.string(),
  meter: z.string(),
  at: z.tuple([z.number(), z.number()]).nullable(),
  zone: z.string(),
  description: z.string(),
  reportedAt: time,
  observedAt: time,
  channel: z.string(),
  who: z.string(),
  ticket: z.string(),
  state: z.enum(['attached', 'own_ticket', 'suspected']),
  match: z.enum(MATCH_REASONS),
})

export function reportView(r: ReportRow): z.output<typeof ReportOut> {
  return {
    id: r.id,
    kind: r.kind,
    account: r.account,
    meter: r.meter,
    at: r.lon === null || r.lat === null ? null : [r.lon, r.lat],
    zone: r.zone,
    description: r.description,
    reportedAt: toIso(r.reported_ms),
    observedAt: toIso(r.observed_ms),
    channel: r.channel,
    who: r.who,
    ticket: ticketId(r.ticket_no),
    state: r.state,
    match: r.match,
  }
}

export const ProposalOut = z.object({
  crew: z.string(),
  distanceKm: z.number().nullable(),
  positionAgeS: z.number().nullable(),
  stale: z.boolean(),
  skills: z.array(z.enum(['water', 'power'])),
  skilled: z.boolean(),
  free: z.boolean(),
  onShift: z.boolean(),
  openTickets: z.int(),
  reasons: z.array(z.enum(CREW_REASONS)),
  reason: z.string(),
})

export const CustomerOut = z.object({
  account: z.string(),
  meter: z.string(),
  segment: z.string(),
  care: z.string(),
  name: z.string(),
  phone: z.string(),
  email: z.string(),
  language: z.string(),
})

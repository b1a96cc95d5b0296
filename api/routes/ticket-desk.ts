// What belongs to a ticket beside itself: customers, crews, notices, reports.

import { z } from 'zod'
import { seesCustomers } from '../access/roles.ts'
import type { ApiDeps, App } from '../app.ts'
import { crewStatuses, registeredCrews } from '../desk/crew-store.ts'
import { proposeCrews } from '../desk/crews.ts'
import { customersOf, masked, metersOfIntent } from '../desk/impact.ts'
import { listMessages } from '../desk/outbox/store.ts'
import { listReports } from '../desk/report-store.ts'
import { loadRules } from '../desk/rules.ts'
import type { Ticket } from '../desk/ticket.ts'
import { ticketId } from '../desk/ticket.ts'
import { ticketsByNo } from '../desk/ticket-lists.ts'
import { Problem } from '../problem.ts'
import { Id, limit, Offset } from '../queries/params.ts'
import { CustomerOut, NoticeOut, noticeView, ProposalOut, ReportOut, reportView } from './desk-views.ts'
import { PROBLEMS } from './schemas.ts'
import { numberOf } from './tickets.ts'

const NOTICES_MAX = 500
const REPORTS_MAX = 500

export function ticketDeskRoutes(app: App, { pool, live, nowMs, keyring }: ApiDeps): void {
  const one = async (id: string): Promise<Ticket> => {
    const ticket = (await ticketsByNo(pool, [numberOf(id)]))[0]
    if (ticket === undefined) throw new Problem(404, 'no_such_ticket', 'there is no ticket with this id')
    return ticket
  }
  const crewsFor = async (t: Ticket) => {
    const [{ settings }, registered, statuses, power] = await Promise.all([
      loadRules(pool),
      registeredCrews(pool),
      crewStatuses(pool),
      isPower(t),
    ])
    const positions = new Map(live.crews().map((c) => [c.crew, c]))
    const crews = registered.map((c) => ({ ...c, position: positions.get(c.crew) }))
    return proposeCrews({ class: t.class, power, at: t.at, nowMs: nowMs() }, crews, statuses, settings.crews)
  }
  /** About the power network: by its class, else by what it is about. */
  const isPower = async (t: Ticket): Promise<boolean> => {
    if (t.class === 'outage' || ['feeder', 'transformer', 'substation', 'premise'].includes(t.scope.type)) return true
    if (t.class === 'leak' || t.scope.type === 'dma') return false
    const { rows } = await pool.query<{ kind: string }>('SELECT kind FROM assets WHERE id = $1', [t.scope.id])
    return ['electric_meter', 'feeder', 'transformer', 'substation'].includes(rows[0]?.kind ?? '')
  }
  const noticesOf = async (no: number) => (await listMessages(pool, { ticket: no, kind: 'notice', limit: NOTICES_MAX })).map(noticeView)
  const reportsOf = async (no: number) => (await listReports(pool, { ticket: no, limit: REPORTS_MAX })).map(reportView)
  const params = z.object({ id: Id })

  app.get(
    '/v1/tickets/:id/desk',
    {
      schema: {
        tags: ['tickets'],
        summary: 'What belongs to a ticket beside itself, in one request',
        params,
        response: {
          200: z.object({
            crews: z.array(ProposalOut),
            notices: z.array(NoticeOut),
            reports: z.array(ReportOut),
            merged: z.array(z.string()).describe('Tickets that it took over'),
          }),
          ...PROBLEMS,
        },
      },
    },
    async (request) => {
      const t = await one(request.params.id)
      const [crews, notices, reports, merged] = await Promise.all([
        crewsFor(t),
        noticesOf(t.no),
        reportsOf(t.no),
        pool.query<{ no: number }>('SELECT no FROM tickets WHERE merged_into IN ($1, $2) ORDER BY no LIMIT 500', [t.key, ticketId(t.no)]),
      ])
      return { crews, notices, reports, merged: merged.rows.map((r) => ticketId(r.no)) }
    },
  )

  app.get(
    '/v1/tickets/:id/customers',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Customers that it concerns, most protected first; names and numbers only for agents',
        params,
        querystring: z.object({ offset: Offset, limit: limit(1000, 100) }),
        response: { 200: z.object({ customers: z.array(CustomerOut), total: z.int(), masked: z.boolean() }), ...PROBLEMS },
      },
    },
    async (request) => {
      const t = await one(request.params.id)
      const meters = metersOfIntent({ affected: t.affected, scope: t.scope })
      const customers = await customersOf(pool, meters, request.query, keyring)
      const open = seesCustomers(request.principal?.roles ?? [])
      return { customers: open ? customers : customers.map(masked), total: meters.length, masked: !open }
    },
  )

  app.get(
    '/v1/tickets/:id/crews',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Crews to send, best first, each with the reason; a dispatcher decides',
        params,
        response: { 200: z.object({ crews: z.array(ProposalOut) }), ...PROBLEMS },
      },
    },
    async ({ params: { id } }) => ({ crews: await crewsFor(await one(id)) }),
  )

  app.get(
    '/v1/tickets/:id/notices',
    {
      schema: {
        tags: ['tickets'],
        summary: 'What customers were told, newest first',
        params,
        response: { 200: z.object({ notices: z.array(NoticeOut) }), ...PROBLEMS },
      },
    },
    async ({ params: { id } }) => ({ notices: await noticesOf((await one(id)).no) }),
  )

  app.get(
    '/v1/tickets/:id/reports',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Customer reports attached to it, newest first',
        params,
        response: { 200: z.object({ reports: z.array(ReportOut) }), ...PROBLEMS },
      },
    },
    async ({ params: { id } }) => ({ reports: await reportsOf((await one(id)).no) }),
  )
}

// What customers report, from an agent's form, a portal or another system.
import { z } from 'zod'
import { COMPLAINT_TYPES, REPORT_KINDS } from '#model/desk.ts'
import { HOUR_MS } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { listReports, takeReport } from '../desk/report-store.ts'
import { Problem } from '../problem.ts'
import { Id, limit, Time } from '../queries/params.ts'
import { ReportOut, reportView } from './desk-views.ts'
import { PROBLEMS } from './schemas.ts'
import { IdempotencyKey, numberOf } from './tickets.ts'

/** Observed this much later than now is a slip of the pen or a wrong clock. */
const AHEAD_MS = HOUR_MS

export function reportsRoutes(app: App, { pool, nowMs }: ApiDeps): void {
  app.post(
    '/v1/reports',
    {
      schema: {
        tags: ['tickets'],
        summary:
          'A customer reports: joins the incident that is known, or raises a suspected one with others alike, or opens a ticket of its own',
        description:
          'Say where: an account, a meter, or a place. `match` says why it went where it did. The same Idempotency-Key again finds the same report.',
        headers: z.looseObject({ 'idempotency-key': IdempotencyKey }),
        body: z.strictObject({
          kind: z.enum(REPORT_KINDS),
          subtype: z.enum(COMPLAINT_TYPES).optional().describe('Of a complaint; other when left out'),
          account: z.string().max(200).default(''),
          meter: z.string().max(200).default(''),
          at: z
            .tuple([z.number().min(-180).max(180), z.number().min(-90).max(90)])
            .nullish()
            .describe('[lon, lat]'),
          description: z.string().min(1).max(4000),
          observedAt: Time.optional().describe('Since when; now when left out'),
          channel: z.string().max(40).default('phone').describe('phone, online, person, sms'),
        }),
        response: { 200: ReportOut, 201: ReportOut, ...PROBLEMS },
      },
    },
    async ({ body, headers, who }, reply) => {
      const now = nowMs()
      if (body.subtype !== undefined && body.kind !== 'complaint')
        throw new Problem(400, 'not_valid', 'body.subtype: only a complaint has one')
      if ((body.observedAt ?? now) > now + AHEAD_MS) throw new Problem(400, 'not_valid', 'body.observedAt: lies in the future')
      if (body.account === '' && body.meter === '' && body.at == null && !['enquiry', 'complaint', 'installation'].includes(body.kind)) {
        throw new Problem(400, 'not_valid', 'say where: body.account, body.meter or body.at')
      }
      const key = headers['idempotency-key']
      const taken = await takeReport(pool, {
        kind: body.kind,
        subtype: body.kind === 'complaint' ? (body.subtype ?? 'other') : '',
        account: body.account,
        meter: body.meter,
        at: body.at ?? null,
        description: body.description,
        observedMs: body.observedAt ?? now,
        channel: body.channel,
        who,
        atMs: now,
        ...(key === undefined ? {} : { key }),
      })
      if (!taken.ok) throw new Problem(422, 'not_known', `body.${taken.field}: ${taken.message}`)
      return reply.code(taken.repeated ? 200 : 201).send(reportView(taken.report))
    },
  )

  app.get(
    '/v1/reports',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Customer reports, newest first',
        querystring: z.object({
          ticket: Id.optional(),
          state: z.enum(['attached', 'own_ticket', 'suspected']).optional(),
          from: Time.optional(),
          to: Time.optional(),
          limit: limit(1000, 100),
        }),
        response: { 200: z.object({ reports: z.array(ReportOut) }), ...PROBLEMS },
      },
    },
    async ({ query: q }) => {
      const rows = await listReports(pool, {
        ...(q.ticket === undefined ? {} : { ticket: numberOf(q.ticket) }),
        ...(q.state === undefined ? {} : { state: q.state }),
        ...(q.from === undefined ? {} : { fromMs: q.from }),
        ...(q.to === undefined ? {} : { toMs: q.to }),
        limit: q.limit,
      })
      return { reports: rows.map(reportView) }
    },
  )
}

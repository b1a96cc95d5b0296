// The outbox, for whoever looks after it: what waits, what was given up, once more.
import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { listMessages, retry } from '../desk/outbox/store.ts'
import { Problem } from '../problem.ts'
import { Id, limit } from '../queries/params.ts'
import { NoticeOut, noticeView } from './desk-views.ts'
import { PROBLEMS } from './schemas.ts'
import { numberOf } from './tickets.ts'

export function noticesRoutes(app: App, { pool }: ApiDeps): void {
  app.get(
    '/v1/notices',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Messages in the outbox, newest first: notices to customers, TMF621 events, words to staff',
        querystring: z.object({
          ticket: Id.optional(),
          state: z.enum(['waiting', 'sent', 'dead', 'cancelled']).optional(),
          kind: z.enum(['notice', 'tmf621', 'staff']).optional(),
          before: z.coerce.number().int().min(1).optional().describe('Only ids below this one: the next page'),
          limit: limit(1000, 100),
        }),
        response: { 200: z.object({ notices: z.array(NoticeOut) }), ...PROBLEMS },
      },
    },
    async ({ query: { ticket, state, kind, before, limit: most } }) => {
      const rows = await listMessages(pool, {
        ...(ticket === undefined ? {} : { ticket: numberOf(ticket) }),
        ...(state === undefined ? {} : { state }),
        ...(kind === undefined ? {} : { kind }),
        ...(before === undefined ? {} : { before }),
        limit: most,
      })
      return { notices: rows.map(noticeView) }
    },
  )

  app.post(
    '/v1/notices/:id/retry',
    {
      schema: {
        tags: ['tickets'],
        summary: 'Sends a message that was given up once more, from the first attempt',
        params: z.object({ id: z.coerce.number().int().min(1) }),
        response: { 204: z.null(), ...PROBLEMS },
      },
    },
    async ({ params: { id } }, reply) => {
      if (!(await retry(pool, id))) throw new Problem(409, 'not_given_up', 'there is no message with this id that was given up')
      return reply.code(204).send(null)
    },
  )
}

// TMF621 /hub: who wants to be told of trouble tickets, and of which. Events leave through the outbox: signed, retried, each once.
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { ApiDeps, App } from '../app.ts'
import { wantedOf } from '../desk/outbox/tmf-event.ts'
import { Problem } from '../problem.ts'
import { PROBLEMS } from './schemas.ts'

const HUB_PATH = '/tmf-api/troubleTicket/v5/hub'
/** More are a mistake: each costs a message per event. */
const LISTENERS_MAX = 100

const Hub = z.looseObject({ '@type': z.string(), id: z.string(), href: z.string(), callback: z.string(), query: z.string().optional() })
const params = z.object({ id: z.string().min(1).max(100) })

const view = (r: { id: string; callback: string; query: string }) => ({
  '@type': 'Hub',
  id: r.id,
  href: `${HUB_PATH}/${r.id}`,
  callback: r.callback,
  ...(r.query === '' ? {} : { query: r.query }),
})

export function tmf621HubRoutes(app: App, { pool }: ApiDeps): void {
  app.post(
    HUB_PATH,
    {
      schema: {
        tags: ['tmf621'],
        summary: 'Registers a listener for events of trouble tickets',
        description:
          'Events are POSTed to `callback` as the published OpenAPI has them, with `webhook-id`, `webhook-timestamp` and, when HUB_SECRET is set, `webhook-signature` of Standard Webhooks. `query` narrows them: `eventType=TroubleTicketCreateEvent,TroubleTicketResolvedEvent&severity=Critical` (status, severity, priority, ticketType). A listener that answers 410 is not tried again with that event; one that answers nothing or an error is tried for three days. The same callback and query again give the same listener.',
        body: z.looseObject({
          '@type': z.string().optional(),
          callback: z.string().min(1).max(2000),
          query: z.string().max(2000).optional(),
        }),
        response: { 201: Hub, ...PROBLEMS },
      },
    },
    async ({ body, who }, reply) => {
      if (!URL.canParse(body.callback) || !/^https?:$/.test(new URL(body.callback).protocol)) {
        throw new Problem(400, 'not_valid', 'body.callback: must be an http or https address')
      }
      const query = body.query ?? ''
      try {
        wantedOf(query)
      } catch (error) {
        throw new Problem(400, 'not_valid', `body.${(error as Error).message}`)
      }
      const known = await pool.query<{ id: string; callback: string; query: string }>(
        'SELECT id, callback, query FROM hub_listeners WHERE callback = $1 AND query = $2',
        [body.callback, query],
      )
      let row = known.rows[0]
      if (row === undefined) {
        const id = randomUUID()
        const { rowCount } = await pool.query(
          'INSERT INTO hub_listeners (id, callback, query, who) SELECT $1, $2, $3, $4 WHERE (SELECT count(*) FROM hub_listeners) < $5',
          [id, body.callback, query, who, LISTENERS_MAX],
        )
        if (rowCount === 0) throw new Problem(409, 'too_many_listeners', `there are ${LISTENERS_MAX} listeners; remove one first`)
        row = { id, callback: body.callback, query }
      }
      const hub = view(row)
      return reply.code(201).header('location', hub.href).send(hub)
    },
  )

  app.get(
    `${HUB_PATH}/:id`,
    { schema: { tags: ['tmf621'], summary: 'Retrieves a listener', params, response: { 200: Hub, ...PROBLEMS } } },
    async ({ params: { id } }) => {
      const { rows } = await pool.query<{ id: string; callback: string; query: string }>(
        'SELECT id, callback, query FROM hub_listeners WHERE id = $1',
        [id],
      )
      if (rows[0] === undefined) throw new Problem(404, 'no_such_listener', 'there is no listener with this id')
      return view(rows[0])
    },
  )

  app.delete(
    `${HUB_PATH}/:id`,
    {
      schema: {
        tags: ['tmf621'],
        summary: 'Removes a listener; what was on its way to it is given up',
        params,
        response: { 204: z.null(), ...PROBLEMS },
      },
    },
    async ({ params: { id } }, reply) => {
      const { rowCount } = await pool.query('DELETE FROM hub_listeners WHERE id = $1', [id])
      if (rowCount === 0) throw new Problem(404, 'no_such_listener', 'there is no listener with this id')
      await pool.query("UPDATE outbox SET state = 'cancelled', error = 'the listener was removed' WHERE lane = $1 AND state = 'waiting'", [
        `hub:${id}`,
      ])
      return reply.code(204).send(null)
    },
  )
}

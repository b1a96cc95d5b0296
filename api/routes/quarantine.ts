import { z } from 'zod'
import { REFUSALS } from '#model/outcome.ts'
import { toIso } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { readCursor, writeCursor } from '../queries/cursor.ts'
import { Id, List, limit, Time } from '../queries/params.ts'
import { closeQuarantined, listQuarantine, type Quarantined } from '../queries/proof.ts'
import { PROBLEMS } from './schemas.ts'

const Entry = z.object({
  id: z.string(),
  reason: z.enum(REFUSALS),
  field: z.string(),
  message: z.string(),
  gateway: z.string(),
  device: z.string(),
  topic: z.string(),
  format: z.string(),
  receivedAt: z.string(),
  entries: z.int(),
  payload: z.string(),
  encoding: z.string(),
  truncated: z.boolean(),
  redelivered: z.boolean(),
  state: z.enum(['open', 'released', 'discarded']),
  closedAt: z.string().nullable(),
  closedBy: z.string().nullable(),
})

const view = ({ receivedAtMs, closedAtMs, ...q }: Quarantined) => ({
  ...q,
  state: q.state as 'open' | 'released' | 'discarded',
  receivedAt: toIso(receivedAtMs),
  closedAt: closedAtMs === null ? null : toIso(closedAtMs),
})

export function quarantineRoutes(app: App, { pool }: ApiDeps): void {
  app.get(
    '/v1/quarantine',
    {
      schema: {
        tags: ['proof'],
        summary: 'What was refused and why, newest first',
        querystring: z.object({
          state: z.enum(['open', 'released', 'discarded']).optional(),
          reason: List(z.enum(REFUSALS)).optional(),
          gateway: Id.optional(),
          device: Id.optional(),
          from: Time.optional(),
          to: Time.optional(),
          cursor: z.string().max(1500).optional(),
          limit: limit(500, 100),
        }),
        response: { 200: z.object({ entries: z.array(Entry), next: z.string().nullable() }), ...PROBLEMS },
      },
    },
    async ({ query: { from, to, cursor, ...q } }) => {
      const [receivedAtMs, id] = cursor === undefined ? [] : readCursor('quarantine', cursor)
      if (cursor !== undefined && (typeof receivedAtMs !== 'number' || typeof id !== 'string')) {
        throw new Problem(400, 'not_valid', 'cursor: not one that this list has given out')
      }
      const before = typeof receivedAtMs === 'number' && typeof id === 'string' ? { receivedAtMs, id } : undefined
      const found = await listQuarantine(pool, { ...q, fromMs: from, toMs: to, before })
      const shown = found.slice(0, q.limit)
      const last = shown.at(-1)
      return {
        entries: shown.map(view),
        next: found.length > q.limit && last !== undefined ? writeCursor('quarantine', last.receivedAtMs, last.id) : null,
      }
    },
  )

  for (const [path, state, what] of [
    ['release', 'released', 'mended and sent again'],
    ['discard', 'discarded', 'of no use'],
  ] as const) {
    app.post(
      `/v1/quarantine/:id/${path}`,
      {
        schema: {
          tags: ['proof'],
          summary: `Marks an entry as ${what}`,
          description:
            state === 'released'
              ? "Marks the entry as released and returns it. It does not send anything: `republished` is always false. Whoever releases it mends the payload and publishes it again through the gateway's own topic; ingest recognises repeats. Released twice changes nothing."
              : 'Marks the entry as discarded and returns it. Discarded twice changes nothing.',
          params: z.object({ id: Id }),
          response: { 200: z.object({ entry: Entry, republished: z.literal(false), repeated: z.boolean() }), ...PROBLEMS },
        },
      },
      async ({ params, who }) => {
        const closed = await closeQuarantined(pool, params.id, state, who)
        if (closed === undefined) throw new Problem(404, 'no_such_entry', 'there is no quarantined entry with this id')
        if (closed.entry.state !== state) throw new Problem(409, 'already_closed', `the entry is ${closed.entry.state} already`)
        return { entry: view(closed.entry), republished: false as const, repeated: closed.repeated }
      },
    )
  }
}

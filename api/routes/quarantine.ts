import { z } from 'zod'
import { REFUSALS } from '#model/outcome.ts'
import { toIso } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { readCursor, writeCursor } from '../queries/cursor.ts'
import { Id, List, limit, Time } from '../queries/params.ts'
import { discardQuarantined, listQuarantine, type Quarantined, readQuarantined } from '../queries/proof.ts'
import { askRelease, releaseDone } from '../queries/releases.ts'
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
  releaseRequested: z.boolean(),
  releaseNote: z.string().nullable(),
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

  app.post(
    '/v1/quarantine/:id/release',
    {
      schema: {
        tags: ['proof'],
        summary: 'Sends an entry again',
        description:
          'Ingest reads the entry again, routes it by the registry of now and gives it to the log, with the times it had and the flag `released`. Whoever releases it vouches that its gateway may report for the device. `payload` is a mended text to send in its place: one reading or event as in a native message, or a whole message. Released twice changes nothing. `republished` false with state open: it was refused again, `releaseNote` says why, or ingest has not done it yet (`releaseRequested`).',
        params: z.object({ id: Id }),
        body: z.object({ payload: z.string().min(1).max(65_536).optional() }).nullish(),
        response: { 200: z.object({ entry: Entry, republished: z.boolean(), repeated: z.boolean() }), ...PROBLEMS },
      },
    },
    async ({ params: { id }, body, who }) => {
      const asked = await askRelease(pool, id, who, body?.payload)
      if (asked === undefined) throw new Problem(404, 'no_such_entry', 'there is no quarantined entry with this id')
      if (asked.final) {
        throw new Problem(
          409,
          'would_be_refused',
          'the same series and time is stored or too old to tell: it can be released with a mended payload only',
        )
      }
      await releaseDone(pool, id)
      const entry = (await readQuarantined(pool, id)) as Quarantined
      if (entry.state === 'discarded') throw new Problem(409, 'already_closed', 'the entry is discarded already')
      return { entry: view(entry), republished: entry.state === 'released', repeated: !asked.asked }
    },
  )

  app.post(
    '/v1/quarantine/:id/discard',
    {
      schema: {
        tags: ['proof'],
        summary: 'Marks an entry as of no use',
        description: 'Marks the entry as discarded and returns it. Discarded twice changes nothing.',
        params: z.object({ id: Id }),
        response: { 200: z.object({ entry: Entry, repeated: z.boolean() }), ...PROBLEMS },
      },
    },
    async ({ params, who }) => {
      const discarded = await discardQuarantined(pool, params.id, who)
      if (discarded === undefined) throw new Problem(404, 'no_such_entry', 'there is no quarantined entry with this id')
      if (discarded.entry.state !== 'discarded') {
        throw new Problem(
          409,
          'already_closed',
          `the entry is ${discarded.entry.releaseRequested ? 'being released' : discarded.entry.state}`,
        )
      }
      return { entry: view(discarded.entry), repeated: discarded.repeated }
    },
  )
}

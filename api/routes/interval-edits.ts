// A person writes intervals anew. Nothing is overwritten: the edit goes through the log and becomes a new revision of each interval and day.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { AssetProperties, zonesOf } from '#model/asset.ts'
import { isRegister, QUANTITIES } from '#model/quantity.ts'
import { parseIso, toIso } from '#model/time.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { askEdit, type EditRow, editsOf, readEdit } from '../queries/edits.ts'
import { Id, limit, Time } from '../queries/params.ts'
import { intervals } from '../queries/series.ts'
import { PROBLEMS } from './schemas.ts'

const VALUES_MAX = 3_000
/** Between the first and the last interval of one edit. */
const SPAN_MS_MAX = 40 * 86_400_000

const Edit = z.object({
  id: z.string(),
  kind: z.enum(['manual', 'multiplier']),
  meter: z.string(),
  quantity: z.string(),
  channel: z.string(),
  since: z.string(),
  until: z.string(),
  values: z.array(z.object({ start: z.string(), value: z.number() })).nullable(),
  factor: z.number().nullable(),
  user: z.string(),
  note: z.string(),
  askedAt: z.string(),
  state: z.enum(['asked', 'published', 'failed']),
  problem: z.string(),
  intervals: z.int(),
})

const view = ({ since, until, values, who, askedAt, ...e }: EditRow): z.input<typeof Edit> => ({
  ...e,
  since: toIso(since.getTime()),
  until: toIso(until.getTime()),
  values: values?.map(([startMs, value]) => ({ start: toIso(startMs), value })) ?? null,
  user: who,
  askedAt: toIso(askedAt.getTime()),
})

const Body = z.object({
  meter: Id,
  quantity: z.enum(QUANTITIES).refine(isRegister, 'must be a register: an instantaneous value has no intervals'),
  channel: z.string().max(100).default(''),
  values: z
    .array(z.object({ start: Time, value: z.number().nonnegative().max(1e12) }))
    .min(1)
    .max(VALUES_MAX),
  note: z.string().trim().min(5, 'must say why, in five characters or more').max(2000),
})

export function intervalEditsRoutes(app: App, deps: ApiDeps): void {
  const { pool, nowMs } = deps
  app.get(
    '/v1/intervals/edits',
    {
      schema: {
        tags: ['data'],
        summary: 'Edits of intervals by people and by another multiplier, newest first, with who and why',
        querystring: z.object({ meter: Id.optional(), limit: limit(500, 100) }),
        response: { 200: z.object({ edits: z.array(Edit) }), ...PROBLEMS },
      },
    },
    async ({ query }) => ({ edits: (await editsOf(pool, { meter: query.meter, limit: query.limit })).map(view) }),
  )

  app.post(
    '/v1/intervals/edit',
    {
      schema: {
        tags: ['data'],
        summary: 'Writes values of intervals in place of what was measured or estimated',
        description:
          'Each `start` must be that of an interval that was said before; `note` must say why. The user is who is signed in. A few seconds later every interval has a new revision with status `edited`, the reason `edit:ID`, and the value it replaces, and its day has one too. An edited value stands until another edit. The same request again is the same edit.',
        body: Body,
        response: { 202: z.object({ edit: Edit, repeated: z.boolean() }), ...PROBLEMS },
      },
    },
    async ({ body, who }, reply) => {
      const values = body.values.map((v) => [v.start, v.value] as const).sort((a, b) => a[0] - b[0])
      const sinceMs = values[0]?.[0] as number
      const lastMs = values.at(-1)?.[0] as number
      if (new Set(values.map(([ms]) => ms)).size < values.length) throw new Problem(400, 'not_valid', 'values: the same start twice')
      if (lastMs - sinceMs > SPAN_MS_MAX) throw new Problem(400, 'range_too_long', 'values: at most 40 days in one edit')
      const { rows } = await pool.query<{ properties: unknown }>('SELECT properties FROM assets WHERE id = $1', [body.meter])
      if (rows[0] === undefined) throw new Problem(404, 'no_such_meter', `there is no meter ${body.meter} in the registry`)
      const [zone] = zonesOf(AssetProperties.parse(rows[0].properties))
      if (zone === undefined) throw new Problem(404, 'no_such_meter', `${body.meter} is not a meter`)
      const { meter, quantity, channel, note } = body
      const stored = await intervals(deps, {
        ...{ meter, quantity, channel },
        range: { fromMs: sinceMs, toMs: lastMs + 1 },
        limit: 100_000,
      })
      const known = new Set(stored.map((i) => parseIso(i.start)))
      const unknown = values.findIndex(([ms]) => !known.has(ms))
      if (unknown >= 0) {
        const start = toIso(values[unknown]?.[0] as number)
        throw new Problem(422, 'no_such_interval', `values: no interval of ${meter} ${quantity} begins at ${start}`)
      }
      const text = JSON.stringify([meter, quantity, channel, values, note, who])
      const id = createHash('sha256').update(text).digest('base64url').slice(0, 20)
      const added = await askEdit(pool, {
        ...{ id, zone, meter, quantity, channel, sinceMs, untilMs: lastMs + 1, values, who, note },
        askedAtMs: nowMs(),
      })
      reply.code(202)
      return { edit: view((await readEdit(pool, id)) as EditRow), repeated: !added }
    },
  )
}

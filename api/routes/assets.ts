import { z } from 'zod'
import { AssetFeature } from '#model/asset.ts'
import type { ApiDeps, App } from '../app.ts'
import { Problem } from '../problem.ts'
import { listAssets, putAsset, registryMeta, wrongReferences } from '../queries/assets.ts'
import { readCursor, writeCursor } from '../queries/cursor.ts'
import { Id, List, limit } from '../queries/params.ts'
import { PROBLEMS } from './schemas.ts'

/** Account numbers lead to persons: they are not part of the network. */
const PRIVATE = ['account'] as const

const FeatureOut = z.object({
  type: z.literal('Feature'),
  geometry: z.looseObject({ type: z.string(), coordinates: z.array(z.unknown()) }).nullable(),
  properties: z.looseObject({ id: z.string(), kind: z.string() }),
})
const Box = z
  .string()
  .max(100)
  .transform((s) => s.split(',').map(Number))
  .pipe(z.tuple([z.number(), z.number(), z.number(), z.number()]))

export function assetsRoutes(app: App, { pool }: ApiDeps): void {
  app.get(
    '/v1/assets',
    {
      schema: {
        tags: ['registry'],
        summary: 'The registry as a GeoJSON FeatureCollection',
        description:
          'kind and id take several values, separated by commas. bbox is minLon,minLat,maxLon,maxLat and concerns points. The ETag changes with the registry. When `next` is not null, ask again with cursor=next. Accounts are left out.',
        querystring: z.object({
          kind: List(z.string().max(40)).optional(),
          id: List(Id).optional(),
          dma: Id.optional(),
          feeder: Id.optional(),
          transformer: Id.optional(),
          gateway: Id.optional(),
          bbox: Box.optional(),
          cursor: z.string().max(1000).optional(),
          limit: limit(100_000, 100_000),
        }),
        response: {
          200: z.object({
            type: z.literal('FeatureCollection'),
            name: z.string(),
            timezone: z.string(),
            features: z.array(FeatureOut),
            next: z.string().nullable(),
          }),
          304: z.null(),
          ...PROBLEMS,
        },
      },
    },
    async (request, reply) => {
      const { cursor, ...q } = request.query
      const meta = await registryMeta(pool)
      const etag = `"r${meta.revision}"`
      reply.header('etag', etag).header('cache-control', 'private, no-cache')
      if (request.headers['if-none-match'] === etag) return reply.code(304).send(null)
      const after = cursor === undefined ? undefined : String(readCursor('assets', cursor)[0])
      const found = await listAssets(pool, { ...q, after })
      const features = found.slice(0, q.limit)
      for (const f of features) for (const name of PRIVATE) delete (f.properties as Record<string, unknown>)[name]
      const last = features.at(-1)
      return {
        type: 'FeatureCollection' as const,
        name: meta.name,
        timezone: meta.timezone === '' ? 'UTC' : meta.timezone,
        features,
        next: found.length > q.limit && last !== undefined ? writeCursor('assets', last.properties.id) : null,
      }
    },
  )

  app.put(
    '/v1/assets/:id',
    {
      schema: {
        tags: ['registry'],
        summary: 'Creates or replaces one asset',
        description:
          'A GeoJSON Feature with the properties that its kind needs; what it refers to must exist. Ingest and processors learn of it within seconds. The same again changes nothing.',
        params: z.object({ id: Id }),
        body: AssetFeature,
        response: {
          200: z.object({ id: z.string(), result: z.enum(['changed', 'same']) }),
          201: z.object({ id: z.string(), result: z.literal('created') }),
          ...PROBLEMS,
        },
      },
    },
    async ({ params, body }, reply) => {
      const { id } = body.properties
      if (id !== params.id) throw new Problem(422, 'other_id', 'the id in the path and in properties.id differ')
      const errors = await wrongReferences(pool, body.properties)
      if (errors.length > 0)
        throw new Problem(422, 'unknown_reference', errors.map((e) => `${e.field}: ${e.message}`).join('; '), { errors })
      const result = await putAsset(pool, body)
      if (result === 'created') return reply.code(201).send({ id, result })
      return reply.code(200).send({ id, result })
    },
  )
}

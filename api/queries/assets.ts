// The registry in PostgreSQL. Changes wake ingest by the trigger of the table.
import type { AssetFeature, AssetProperties, Geometry } from '#model/asset.ts'
import { type Pool, type Queryable, tx } from '#runtime/postgres.ts'

export interface AssetQuery {
  kind?: readonly string[] | undefined
  id?: readonly string[] | undefined
  dma?: string | undefined
  feeder?: string | undefined
  transformer?: string | undefined
  gateway?: string | undefined
  /** minLon, minLat, maxLon, maxLat: points only. */
  bbox?: readonly [number, number, number, number] | undefined
  after?: string | undefined
  limit: number
}

/** In order of ids, one more than `limit`. */
export async function listAssets(db: Queryable, q: AssetQuery): Promise<AssetFeature[]> {
  const where: string[] = []
  const values: unknown[] = []
  const add = (condition: (n: number) => string, value: unknown) => {
    if (value === undefined) return
    values.push(value)
    where.push(condition(values.length))
  }
  add((n) => `kind = ANY($${n})`, q.kind)
  add((n) => `id = ANY($${n})`, q.id)
  add((n) => `id > $${n}`, q.after)
  for (const property of ['dma', 'feeder', 'transformer', 'gateway'] as const) add((n) => `properties->>'${property}' = $${n}`, q[property])
  add(
    (n) =>
      `geometry->>'type' = 'Point' AND point((geometry->'coordinates'->>0)::float8, (geometry->'coordinates'->>1)::float8) <@ box($${n}::text)`,
    boxOf(q.bbox),
  )
  values.push(q.limit + 1)
  const { rows } = await db.query<{ geometry: Geometry; properties: AssetProperties }>(
    `SELECT geometry, properties FROM assets ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`} ORDER BY id LIMIT $${values.length}`,
    values,
  )
  return rows.map((r) => ({ type: 'Feature', geometry: r.geometry, properties: r.properties }))
}

function boxOf(b: AssetQuery['bbox']): string | undefined {
  return b === undefined ? undefined : `(${b[0]},${b[1]}),(${b[2]},${b[3]})`
}

export async function registryMeta(db: Queryable): Promise<{ revision: string; timezone: string; name: string }> {
  const { rows } = await db.query<{ key: string; value: string }>(
    "SELECT key, value FROM registry_meta WHERE key IN ('revision', 'timezone', 'name')",
  )
  const of = (key: string) => rows.find((r) => r.key === key)?.value ?? ''
  return { revision: of('revision'), timezone: of('timezone'), name: of('name') }
}

/** Properties that name another asset, and the kinds it may have; an account is looked up on its own. */
const REFERENCES: Record<string, readonly string[]> = {
  gateway: ['gateway'],
  dma: ['dma'],
  parent: ['dma'],
  feeder: ['feeder'],
  transformer: ['transformer'],
  substation: ['substation'],
  node: ['junction', 'tank', 'reservoir'],
  from: ['junction', 'tank', 'reservoir'],
  to: ['junction', 'tank', 'reservoir'],
  link: ['pipe', 'valve', 'pump'],
}

/** What an asset refers to that does not exist or is of another kind. */
export async function wrongReferences(db: Queryable, asset: AssetProperties): Promise<{ field: string; message: string }[]> {
  const wanted: { field: string; id: string; kinds: readonly string[] }[] = []
  for (const [field, kinds] of Object.entries(REFERENCES)) {
    const id = (asset as Record<string, unknown>)[field]
    if (typeof id === 'string') wanted.push({ field, id, kinds })
  }
  const flows = asset.kind === 'flow_meter' ? asset.flows : []
  wanted.push(...flows.map((f, i) => ({ field: `flows[${i}].dma`, id: f.dma, kinds: ['dma'] })))
  if (wanted.length === 0) return []
  const { rows } = await db.query<{ id: string; kind: string }>('SELECT id, kind FROM assets WHERE id = ANY($1)', [wanted.map((w) => w.id)])
  const kinds = new Map(rows.map((r) => [r.id, r.kind]))
  return wanted.flatMap((w) => {
    const kind = kinds.get(w.id)
    if (kind === undefined) return [{ field: `properties.${w.field}`, message: `there is no asset ${w.id}` }]
    return w.kinds.includes(kind)
      ? []
      : [{ field: `properties.${w.field}`, message: `${w.id} is a ${kind}, not a ${w.kinds.join(' or ')}` }]
  })
}

/** Stores an asset. `same`: it was there like this already; then nothing is written and nobody is woken. */
export async function putAsset(pool: Pool, f: AssetFeature): Promise<'created' | 'changed' | 'same'> {
  const geometry = f.geometry === null ? null : JSON.stringify(f.geometry)
  const properties = JSON.stringify(f.properties)
  return tx(pool, async (client) => {
    const { rows } = await client.query<{ same: boolean }>(
      'SELECT properties = $2::jsonb AND geometry IS NOT DISTINCT FROM $3::jsonb AS same FROM assets WHERE id = $1 FOR UPDATE',
      [f.properties.id, properties, geometry],
    )
    if (rows[0]?.same === true) return 'same'
    await client.query(
      `INSERT INTO assets (id, kind, geometry, properties) VALUES ($1, $2, $3, $4)
       ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, geometry = excluded.geometry, properties = excluded.properties, updated_at = now()`,
      [f.properties.id, f.properties.kind, geometry, properties],
    )
    return rows[0] === undefined ? 'created' : 'changed'
  })
}

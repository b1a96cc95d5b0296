// Where on the map a ticket belongs: the asset's own place, or the middle of what belongs to it.
import type { Queryable } from '#runtime/postgres.ts'

type Point = [lon: number, lat: number]

/** As in the index assets_area. */
const AREA = "coalesce(properties->>'dma', properties->>'feeder', properties->>'transformer')"

/** Places by `type id`; what the registry does not know, or has no place for, is left out. */
export async function placesOf(db: Queryable, scopes: readonly { type: string; id: string }[]): Promise<Map<string, Point>> {
  const ids = [...new Set(scopes.map((s) => s.id))]
  const out = new Map<string, Point>()
  if (ids.length === 0) return out
  const own = await db.query<{ id: string; geometry: unknown }>(
    'SELECT id, geometry FROM assets WHERE id = ANY($1) AND geometry IS NOT NULL',
    [ids],
  )
  const points = new Map(own.rows.map((r) => [r.id, middleOf(r.geometry)]))
  const missing = ids.filter((id) => points.get(id) === undefined)
  if (missing.length > 0) {
    // A district or feeder without a shape lies where its parts are.
    const parts = await db.query<{ id: string; lon: number; lat: number }>(
      `SELECT ${AREA} AS id, avg((geometry->'coordinates'->>0)::float8) AS lon, avg((geometry->'coordinates'->>1)::float8) AS lat
       FROM assets WHERE ${AREA} = ANY($1) AND geometry->>'type' = 'Point' GROUP BY 1`,
      [missing],
    )
    for (const r of parts.rows) points.set(r.id, [r.lon, r.lat])
  }
  for (const s of scopes) {
    const p = points.get(s.id)
    if (p !== undefined) out.set(`${s.type} ${s.id}`, p)
  }
  return out
}

/** Mean of all positions of a GeoJSON geometry; undefined without any. */
function middleOf(geometry: unknown): Point | undefined {
  let lon = 0
  let lat = 0
  let n = 0
  const walk = (c: unknown): void => {
    if (!Array.isArray(c)) return
    if (typeof c[0] === 'number' && typeof c[1] === 'number') {
      lon += c[0]
      lat += c[1]
      n += 1
    } else for (const part of c) walk(part)
  }
  walk((geometry as { coordinates?: unknown } | null)?.coordinates)
  return n === 0 ? undefined : [lon / n, lat / n]
}

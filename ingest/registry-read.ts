// The registry as it stands in PostgreSQL, read in one snapshot, and what of it the log already has.

import type { ZoneDef } from '#model/asset.ts'
import { type AssetFeature, AssetProperties, type Operation } from '#model/asset.ts'
import { parseIso } from '#model/time.ts'
import { type RegistryMeta, zoneDefs } from '#model/zones.ts'
import type { Log } from '#runtime/log.ts'
import { type Pool, type PoolClient, tx } from '#runtime/postgres.ts'
import { type RegistryView, registryView } from './registry-view.ts'

export interface StoredOperation extends Operation {
  id: string
}

export interface RegistrySnapshot {
  revision: string
  view: RegistryView
  defs: ZoneDef[]
  /** By the time they become known. */
  operations: StoredOperation[]
  /** What this log has been given: zone -> version; operation ids; zone -> version of its settings. */
  published: { zones: Map<string, string>; operations: Set<string>; settings: Map<string, string> }
}

/** @throws when the database is away. Rows that are no assets are left out and logged. */
export async function readRegistry(pool: Pool, cluster: string, timezone: string, log: Log): Promise<RegistrySnapshot> {
  return tx(pool, async (client) => {
    await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const meta = new Map(
      (await client.query<{ key: string; value: string }>('SELECT key, value FROM registry_meta')).rows.map((r) => [r.key, r.value]),
    )
    const features = await readAssets(client, log)
    const accounts = (await client.query('SELECT account, segment FROM accounts')).rows
    const defs = zoneDefs(features, accounts, metaOf(meta, timezone))
    return {
      revision: meta.get('revision') ?? '',
      view: registryView(features.map((f) => f.properties)),
      defs,
      operations: await readOperations(client),
      published: await readPublished(client, cluster),
    }
  })
}

export async function readRevision(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ value: string }>("SELECT value FROM registry_meta WHERE key = 'revision'")
  return rows[0]?.value ?? ''
}

function metaOf(meta: ReadonlyMap<string, string>, timezone: string): RegistryMeta {
  const warmupUntilMs = parseIso(meta.get('warmupUntil') ?? '')
  return { timezone: meta.get('timezone') || timezone, warmupUntilMs: Number.isNaN(warmupUntilMs) ? 0 : warmupUntilMs }
}

async function readAssets(client: PoolClient, log: Log): Promise<AssetFeature[]> {
  const { rows } = await client.query<{ id: string; geometry: AssetFeature['geometry']; properties: unknown }>(
    'SELECT id, geometry, properties FROM assets',
  )
  const features: AssetFeature[] = []
  let wrong = 0
  for (const { id, geometry, properties } of rows) {
    const parsed = AssetProperties.safeParse(properties)
    if (parsed.success) features.push({ type: 'Feature', geometry, properties: parsed.data })
    else if (wrong++ < 10) log.warn({ asset: id, problem: parsed.error.issues[0]?.message }, 'asset left out')
  }
  if (wrong > 0) log.error({ wrong }, 'assets left out: their devices are unknown to ingest')
  return features
}

async function readOperations(client: PoolClient): Promise<StoredOperation[]> {
  const { rows } = await client.query<{
    id: string
    known_at: Date
    kind: Operation['kind']
    scope_type: Operation['scopeType']
    scope: string
    start_at: Date
    end_at: Date
    note: string
  }>('SELECT id, known_at, kind, scope_type, scope, start_at, end_at, note FROM operations ORDER BY known_at, id')
  return rows.map((r) => ({
    id: r.id,
    knownAtMs: r.known_at.getTime(),
    kind: r.kind,
    scopeType: r.scope_type,
    scope: r.scope,
    startMs: r.start_at.getTime(),
    endMs: r.end_at.getTime(),
    note: r.note,
  }))
}

async function readPublished(client: PoolClient, cluster: string): Promise<RegistrySnapshot['published']> {
  const zones = await client.query<{ zone: string; version: string }>('SELECT zone, version FROM zones_published WHERE cluster = $1', [
    cluster,
  ])
  const others = await client.query<{ kind: string; id: string; version: string }>(
    'SELECT kind, id, version FROM ingest_published WHERE cluster = $1',
    [cluster],
  )
  return {
    zones: new Map(zones.rows.map((r) => [r.zone, r.version])),
    operations: new Set(others.rows.filter((r) => r.kind === 'operation').map((r) => r.id)),
    settings: new Map(others.rows.filter((r) => r.kind === 'settings').map((r) => [r.id, r.version])),
  }
}

/** Remembers what the log was given now. Repeating it does no harm. */
export async function writePublished(
  pool: Pool,
  cluster: string,
  what: {
    zones: readonly [zone: string, version: string][]
    operations: readonly string[]
    settings: readonly [zone: string, version: string][]
  },
): Promise<void> {
  await tx(pool, async (client) => {
    if (what.zones.length > 0) {
      await client.query(
        `INSERT INTO zones_published (zone, version, cluster) SELECT zone, version, $3 FROM unnest($1::text[], $2::text[]) AS t(zone, version)
         ON CONFLICT (zone) DO UPDATE SET version = excluded.version, cluster = excluded.cluster, published_at = now()`,
        [what.zones.map(([z]) => z), what.zones.map(([, v]) => v), cluster],
      )
    }
    const others = [...what.operations.map((id) => ['operation', id, '']), ...what.settings.map(([zone, v]) => ['settings', zone, v])]
    if (others.length > 0) {
      await client.query(
        `INSERT INTO ingest_published (cluster, kind, id, version) SELECT $4, kind, id, version FROM unnest($1::text[], $2::text[], $3::text[]) AS t(kind, id, version)
         ON CONFLICT (cluster, kind, id) DO UPDATE SET version = excluded.version, published_at = now()`,
        [others.map((o) => o[0]), others.map((o) => o[1]), others.map((o) => o[2]), cluster],
      )
    }
  })
}

/** The log time at which this instance's ticks stood, or undefined. */
export async function readClock(pool: Pool, cluster: string, instance: string): Promise<number | undefined> {
  const { rows } = await pool.query<{ log_time: Date }>('SELECT log_time FROM ingest_clocks WHERE cluster = $1 AND instance = $2', [
    cluster,
    instance,
  ])
  return rows[0]?.log_time.getTime()
}

export async function writeClock(pool: Pool, cluster: string, instance: string, logMs: number): Promise<void> {
  await pool.query(
    `INSERT INTO ingest_clocks (cluster, instance, log_time) VALUES ($1, $2, $3)
     ON CONFLICT (cluster, instance) DO UPDATE SET log_time = excluded.log_time`,
    [cluster, instance, new Date(logMs)],
  )
}

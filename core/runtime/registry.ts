// The registry as stored, read in one consistent view: ingest makes zone definitions and routes of it. No personal data is read.
import { type Account, type AssetFeature, type Operation, SEGMENTS } from '#model/asset.ts'
import { parseIso } from '#model/time.ts'
import type { RegistryMeta } from '#model/zones.ts'
import { type Pool, type Queryable, tx } from './postgres.ts'

export interface Registry {
  /** Counts up with every change; compare it before loading all again. */
  revision: number
  meta: RegistryMeta & { name: string; intervalSeconds: number | undefined }
  features: AssetFeature[]
  accounts: Pick<Account, 'account' | 'segment'>[]
  /** In order of knownAtMs. */
  operations: Operation[]
}

export async function registryRevision(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ value: string }>("SELECT value FROM registry_meta WHERE key = 'revision'")
  return Number(rows[0]?.value ?? 0)
}

/** Assets were validated when they were written. `timezone` is what the meta table says, else `defaultTimezone`. */
export function loadRegistry(pool: Pool, defaultTimezone = 'UTC'): Promise<Registry> {
  return tx(pool, async (client) => {
    // One snapshot for all statements: an import in between must not be seen by half.
    await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
    const revision = await registryRevision(client)
    const meta = new Map(
      (await client.query<{ key: string; value: string }>('SELECT key, value FROM registry_meta')).rows.map((r) => [r.key, r.value]),
    )
    const assets = await client.query<{ geometry: AssetFeature['geometry']; properties: AssetFeature['properties'] }>(
      'SELECT geometry, properties FROM assets ORDER BY id',
    )
    const accounts = await client.query<{ account: string; segment: string }>('SELECT account, segment FROM accounts ORDER BY account')
    const operations = await client.query<{
      known_at: Date
      kind: string
      scope_type: string
      scope: string
      start_at: Date
      end_at: Date
      note: string
    }>('SELECT known_at, kind, scope_type, scope, start_at, end_at, note FROM operations ORDER BY known_at, id')
    const warmup = parseIso(meta.get('warmupUntil') ?? '')
    const interval = Number(meta.get('intervalSeconds') ?? Number.NaN)
    return {
      revision,
      meta: {
        name: meta.get('name') ?? '',
        timezone: meta.get('timezone') ?? defaultTimezone,
        warmupUntilMs: Number.isNaN(warmup) ? 0 : warmup,
        intervalSeconds: interval > 0 ? interval : undefined,
      },
      features: assets.rows.map((r) => ({ type: 'Feature' as const, geometry: r.geometry, properties: r.properties })),
      accounts: accounts.rows.map((r) => ({ account: r.account, segment: SEGMENTS.find((s) => s === r.segment) ?? 'general' })),
      operations: operations.rows.map((r) => ({
        knownAtMs: r.known_at.getTime(),
        kind: r.kind as Operation['kind'],
        scopeType: r.scope_type as Operation['scopeType'],
        scope: r.scope,
        startMs: r.start_at.getTime(),
        endMs: r.end_at.getTime(),
        note: r.note,
      })),
    }
  })
}

// Puts the registry part of a data set into PostgreSQL, in place of what is there: all of it or nothing.
import { createHash } from 'node:crypto'
import type { Account, AssetFeature, Operation } from '#model/asset.ts'
import { toIso } from '#model/time.ts'
import type { RegistryMeta } from '#model/zones.ts'
import { type Keyring, NO_KEYS } from '#runtime/personal.ts'
import { type Pool, type PoolClient, tx } from '#runtime/postgres.ts'
import { sealed } from '../api/queries/personal.ts'
import { readRegistryFiles, type TariffFile } from './dataset.ts'

const ROWS_PER_STATEMENT = 5_000

export interface RegistryContent {
  meta: RegistryMeta & { name?: string; intervalSeconds?: number | undefined }
  features: readonly AssetFeature[]
  accounts: readonly Account[]
  operations: readonly Operation[]
  /** Added to those that are there, or in place of those of the same code: bills rest on the others. */
  tariffs?: readonly TariffFile[]
}

export interface ImportResult {
  assets: number
  accounts: number
  operations: number
  /** Names of things that nothing defines. */
  warnings: readonly string[]
}

/** Reads a data set folder and replaces the registry with it. The same folder again changes nothing. @throws DataSetError */
export async function importDataSet(pool: Pool, dir: string, keyring: Keyring = NO_KEYS): Promise<ImportResult> {
  const files = await readRegistryFiles(dir)
  await importRegistry(pool, files, keyring)
  return { assets: files.features.length, accounts: files.accounts.length, operations: files.operations.length, warnings: files.warnings }
}

/** Replaces the registry in one transaction. */
export async function importRegistry(pool: Pool, content: RegistryContent, keyring: Keyring = NO_KEYS): Promise<void> {
  await tx(pool, async (client) => {
    // Readers go on with the old registry until the commit; a second import waits.
    await client.query('LOCK TABLE assets, accounts, operations IN SHARE ROW EXCLUSIVE MODE')
    await client.query('DELETE FROM assets')
    await client.query('DELETE FROM accounts')
    await client.query('DELETE FROM operations')
    await insert(client, content.features, ASSETS, (f) => ({
      id: f.properties.id,
      kind: f.properties.kind,
      geometry: f.geometry,
      properties: f.properties,
    }))
    await insert(client, content.accounts, ACCOUNTS, (a) => sealed(keyring, a))
    await insert(client, unique(content.operations), OPERATIONS, ([id, o]) => ({
      id,
      known_at: toIso(o.knownAtMs),
      kind: o.kind,
      scope_type: o.scopeType,
      scope: o.scope,
      start_at: toIso(o.startMs),
      end_at: toIso(o.endMs),
      note: o.note,
    }))
    await putTariffs(client, content.tariffs ?? [])
    const { name = '', timezone, warmupUntilMs, intervalSeconds } = content.meta
    const meta = {
      name,
      timezone,
      warmupUntil: warmupUntilMs > 0 ? toIso(warmupUntilMs) : '',
      intervalSeconds: String(intervalSeconds ?? ''),
    }
    for (const [key, value] of Object.entries(meta)) {
      await client.query('INSERT INTO registry_meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value', [
        key,
        value,
      ])
    }
  })
}

/** An operation's id is its content, so that it stays the same from import to import. */
export function operationId(o: Operation): string {
  const text = JSON.stringify([o.knownAtMs, o.kind, o.scopeType, o.scope, o.startMs, o.endMs, o.note])
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

function unique(operations: readonly Operation[]): [string, Operation][] {
  return [...new Map(operations.map((o) => [operationId(o), o]))]
}

const ASSETS = `INSERT INTO assets (id, kind, geometry, properties)
  SELECT id, kind, nullif(geometry, 'null'::jsonb), properties
  FROM jsonb_to_recordset($1::jsonb) AS r(id text, kind text, geometry jsonb, properties jsonb)`
const ACCOUNTS = `INSERT INTO accounts (account, name, segment, phone, email, language, tariff_water, tariff_power)
  SELECT account, name, segment, phone, email, language, tariff_water, tariff_power
  FROM jsonb_to_recordset($1::jsonb)
    AS r(account text, name text, segment text, phone text, email text, language text, tariff_water text, tariff_power text)`
const OPERATIONS = `INSERT INTO operations (id, known_at, kind, scope_type, scope, start_at, end_at, note)
  SELECT id, known_at, kind, scope_type, scope, start_at, end_at, note
  FROM jsonb_to_recordset($1::jsonb)
    AS r(id text, known_at timestamptz, kind text, scope_type text, scope text, start_at timestamptz, end_at timestamptz, note text)`

async function insert<T>(client: PoolClient, items: readonly T[], sql: string, toRow: (item: T) => object): Promise<void> {
  for (let i = 0; i < items.length; i += ROWS_PER_STATEMENT) {
    await client.query(sql, [JSON.stringify(items.slice(i, i + ROWS_PER_STATEMENT).map(toRow))])
  }
}

/** The same tariff again changes nothing; another body is a new revision. */
async function putTariffs(client: PoolClient, tariffs: readonly TariffFile[]): Promise<void> {
  for (const t of tariffs) {
    const { rows } = await client.query<{ revision: number }>(
      `INSERT INTO tariffs (code, commodity, body, valid, updated_by) VALUES ($1, $2, $3, $4, 'import')
       ON CONFLICT (code) DO UPDATE SET commodity = excluded.commodity, body = excluded.body, valid = excluded.valid,
         revision = tariffs.revision + 1, updated_at = now(), updated_by = 'import' WHERE tariffs.body <> excluded.body
       RETURNING revision`,
      [t.code, t.commodity, JSON.stringify(t.body), t.valid],
    )
    const revision = rows[0]?.revision
    if (revision === undefined) continue
    await client.query("INSERT INTO tariff_changes (code, revision, body, updated_by) VALUES ($1, $2, $3, 'import')", [
      t.code,
      revision,
      JSON.stringify(t.body),
    ])
  }
}

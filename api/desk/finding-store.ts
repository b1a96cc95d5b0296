// Findings in PostgreSQL: the newest revision of each and every revision there was.
import type { Finding } from '#model/finding.ts'
import { type Pool, type PoolClient, tx } from '#runtime/postgres.ts'
import { notify } from './rows.ts'

/** Rows of one transaction: short enough that a command never waits long for a row lock. */
const BATCH = 200

/** Stores findings: the newest revision of each, and every revision in the history. Returns how many ids have a newer revision now. */
export async function applyFindings(pool: Pool, findings: readonly Finding[]): Promise<number> {
  let changed = 0
  for (let i = 0; i < findings.length; i += BATCH) {
    const part = findings.slice(i, i + BATCH)
    changed += await tx(pool, (client) => storeFindings(client, part))
  }
  return changed
}

async function storeFindings(client: PoolClient, findings: readonly Finding[]): Promise<number> {
  const bodies = JSON.stringify(findings)
  await client.query(
    `INSERT INTO finding_history (id, rev, updated_at, body)
     SELECT f->>'id', (f->>'rev')::int, (f->>'updatedAt')::timestamptz, f FROM jsonb_array_elements($1::jsonb) f ON CONFLICT DO NOTHING`,
    [bodies],
  )
  // One row an id, the newest, in order of ids: an upsert cannot touch a row twice, and two consumers must not wait crosswise.
  const { rows } = await client.query<{ id: string }>(
    `INSERT INTO findings AS old (id, rev, kind, subtype, scope_type, scope_id, zone, severity, started_at, detected_at, updated_at, cleared_at, withdrawn, body)
     SELECT DISTINCT ON (f->>'id') f->>'id', (f->>'rev')::int, f->>'kind', coalesce(f->>'subtype', ''), f->'scope'->>'type', f->'scope'->>'id',
       f->>'zone', f->>'severity', (f->>'startedAt')::timestamptz, (f->>'detectedAt')::timestamptz, (f->>'updatedAt')::timestamptz,
       (f->>'clearedAt')::timestamptz, coalesce((f->>'withdrawn')::boolean, false), f
     FROM jsonb_array_elements($1::jsonb) f ORDER BY f->>'id', (f->>'rev')::int DESC
     ON CONFLICT (id) DO UPDATE SET (rev, subtype, severity, started_at, detected_at, updated_at, cleared_at, withdrawn, body) =
       (excluded.rev, excluded.subtype, excluded.severity, excluded.started_at, excluded.detected_at, excluded.updated_at, excluded.cleared_at,
        excluded.withdrawn, excluded.body)
     WHERE old.rev < excluded.rev RETURNING id`,
    [bodies],
  )
  await notify(
    client,
    rows.map((r) => `f:${r.id}`),
  )
  return rows.length
}

// Causes of billing tickets in PostgreSQL, and telling the desk of them. A change is stored first and told afterwards until the desk has
// it: a crash in between repeats the telling, which changes nothing the second time.
import { type Pool, type Queryable, tx } from '#runtime/postgres.ts'
import { applyIntents } from '../desk/store.ts'
import { type Cause, type CauseKind, type Evidence, intentOf, reconcile, type StoredCause, type ToldCause } from './causes.ts'

const CAUSES_LOCK = 0x4d53_0005
/** Findings named with a ticket. */
const FINDINGS_MAX = 20

/** Brings the stored causes of these kinds to what was found. Returns how many changed. */
export async function saveCauses(pool: Pool, kinds: readonly CauseKind[], found: readonly Cause[], nowMs: number): Promise<number> {
  return tx(pool, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock($1)', [CAUSES_LOCK])
    const { rows } = await client.query<StoredCause>(
      `SELECT key, kind, rev, closed_at IS NULL AS open, evidence FROM billing_causes
       WHERE kind = ANY($1) AND (closed_at IS NULL OR key = ANY($2))`,
      [kinds, found.map((c) => c.key)],
    )
    const changes = reconcile(found, rows)
    const at = new Date(nowMs)
    for (const { cause, rev, action } of changes) {
      if (action === 'close') {
        await client.query('UPDATE billing_causes SET rev = $2, updated_at = $3, closed_at = $3 WHERE key = $1', [cause.key, rev, at])
        continue
      }
      await client.query(
        `INSERT INTO billing_causes (key, kind, account, meter, evidence, rev, opened_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
         ON CONFLICT (key) DO UPDATE SET account = excluded.account, meter = excluded.meter, evidence = excluded.evidence, rev = excluded.rev,
           updated_at = excluded.updated_at, closed_at = NULL`,
        [cause.key, cause.kind, cause.account, cause.meter, JSON.stringify(cause.evidence), rev, at],
      )
    }
    // Numbers that move every day are kept as they are today, without a revision.
    const same = found.filter((c) => !changes.some((x) => x.cause.key === c.key))
    if (same.length > 0) {
      await client.query(
        `UPDATE billing_causes b SET evidence = n.evidence FROM unnest($1::text[], $2::jsonb[]) n(key, evidence) WHERE b.key = n.key`,
        [same.map((c) => c.key), same.map((c) => JSON.stringify(c.evidence))],
      )
    }
    return changes.length
  })
}

interface Row {
  key: string
  kind: CauseKind
  account: string
  meter: string
  zone: string
  evidence: Evidence
  rev: number
  opened_at: Date
  updated_at: Date
  closed_at: Date | null
  findings: string[] | null
}

const SELECT = `SELECT c.key, c.kind, c.account, c.meter, coalesce(a.properties->>'dma', a.properties->>'feeder', '') AS zone, c.evidence, c.rev,
    c.opened_at, c.updated_at, c.closed_at,
    (SELECT array_agg(f.id) FROM (SELECT id FROM findings WHERE scope_id = c.meter AND cleared_at IS NULL AND NOT withdrawn
      ORDER BY detected_at LIMIT ${FINDINGS_MAX}) f) AS findings
  FROM billing_causes c LEFT JOIN assets a ON a.id = c.meter`

function fromRow(r: Row): ToldCause {
  return {
    key: r.key,
    kind: r.kind,
    account: r.account,
    meter: r.meter,
    zone: r.zone,
    evidence: r.evidence,
    rev: r.rev,
    openedMs: r.opened_at.getTime(),
    updatedMs: r.updated_at.getTime(),
    closedMs: r.closed_at === null ? null : r.closed_at.getTime(),
    findings: r.findings ?? [],
  }
}

/** Tells the desk what it has not been told. Returns how many. */
export async function tellCauses(pool: Pool, batch = 500): Promise<number> {
  const { rows } = await pool.query<Row>(`${SELECT} WHERE c.told_rev < c.rev ORDER BY c.key LIMIT $1`, [batch])
  if (rows.length === 0) return 0
  await applyIntents(pool, rows.map(fromRow).map(intentOf))
  await pool.query(
    'UPDATE billing_causes c SET told_rev = n.rev FROM unnest($1::text[], $2::int[]) n(key, rev) WHERE c.key = n.key AND c.told_rev < n.rev',
    [rows.map((r) => r.key), rows.map((r) => r.rev)],
  )
  return rows.length
}

/** Open causes first, newest first. `no`: the number of the ticket. */
export async function listCauses(
  db: Queryable,
  q: { kind?: string | undefined; meter?: string | undefined; account?: string | undefined; open?: boolean | undefined; limit: number },
): Promise<(ToldCause & { ticketNo: number | null })[]> {
  const { rows } = await db.query<Row & { no: number | null }>(
    `${SELECT.replace('SELECT', 'SELECT t.no,')} LEFT JOIN tickets t ON t.key = c.key
     WHERE ($1::text IS NULL OR c.kind = $1) AND ($2::text IS NULL OR c.meter = $2) AND ($3::text IS NULL OR c.account = $3)
       AND ($4::boolean IS NULL OR (c.closed_at IS NULL) = $4)
     ORDER BY c.closed_at IS NOT NULL, c.updated_at DESC, c.key LIMIT $5`,
    [q.kind ?? null, q.meter ?? null, q.account ?? null, q.open ?? null, q.limit],
  )
  return rows.map((r) => ({ ...fromRow(r), ticketNo: r.no }))
}

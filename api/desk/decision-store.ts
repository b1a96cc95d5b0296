// Why incidents have no ticket of their own: the newest decision of each, as the incident fold said it.
import type { IncidentDecision } from '#model/ticket.ts'
import { parseIso, toIso } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'

/** Keeps the newest of each key; what is older than what is there changes nothing. Returns how many changed something. */
export async function applyDecisions(db: Queryable, decisions: readonly IncidentDecision[]): Promise<number> {
  if (decisions.length === 0) return 0
  const newest = new Map<string, IncidentDecision>()
  for (const d of decisions) newest.set(d.key, d)
  const rows = [...newest.values()]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((d) => ({
      key: d.key,
      zone: d.zone,
      scope_type: d.scope.type,
      scope_id: d.scope.id,
      findings: d.findings,
      why: d.why,
      muted_by: d.mutedBy,
      at_ms: parseIso(d.at),
    }))
  const { rowCount } = await db.query(
    `INSERT INTO incident_decisions AS old SELECT * FROM jsonb_populate_recordset(NULL::incident_decisions, $1::jsonb)
     ON CONFLICT (key) DO UPDATE SET (findings, why, muted_by, at_ms, scope_type, scope_id) =
       (excluded.findings, excluded.why, excluded.muted_by, excluded.at_ms, excluded.scope_type, excluded.scope_id)
     WHERE old.at_ms <= excluded.at_ms AND (old.why, old.muted_by, old.findings) IS DISTINCT FROM (excluded.why, excluded.muted_by, excluded.findings)`,
    [JSON.stringify(rows)],
  )
  return rowCount ?? 0
}

export interface DecisionView {
  key: string
  zone: string
  scope: { type: string; id: string }
  findings: string[]
  why: Record<string, string>
  mutedBy: string
  at: string
}

/** Newest first; of one finding, or with a reason of any stage. */
export async function listDecisions(db: Queryable, q: { finding?: string; reason?: string; limit: number }): Promise<DecisionView[]> {
  const { rows } = await db.query<
    Omit<DecisionView, 'scope' | 'at' | 'mutedBy'> & { scope_type: string; scope_id: string; muted_by: string; at_ms: number }
  >(
    `SELECT key, zone, scope_type, scope_id, findings, why, muted_by, at_ms FROM incident_decisions
     WHERE ($1::text IS NULL OR findings @> ARRAY[$1::text])
       AND ($2::text IS NULL OR $2 IN (why->>'group', why->>'inhibit', why->>'silence', why->>'decide'))
     ORDER BY at_ms DESC, key LIMIT $3`,
    [q.finding ?? null, q.reason ?? null, q.limit],
  )
  return rows.map((r) => ({
    key: r.key,
    zone: r.zone,
    scope: { type: r.scope_type, id: r.scope_id },
    findings: r.findings,
    why: r.why,
    mutedBy: r.muted_by,
    at: toIso(r.at_ms),
  }))
}

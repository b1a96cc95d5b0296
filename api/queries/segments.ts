// Accounts with what decides their segment: what they used in the last quarter, as a year, and what their premises are for.
import type { Segment } from '#model/asset.ts'
import type { Pool, Queryable } from '#runtime/postgres.ts'
import { type SegmentDecision, segmentOf } from '../account/segments.ts'

export interface SegmentRow extends SegmentDecision {
  account: string
  imported: Segment
  kwhYear: number
  m3Year: number
}

const DAYS = 90

interface Row {
  account: string
  imported: Segment
  chosen: Segment | null
  reason: string | null
  kwh: number | null
  m3: number | null
  types: string[] | null
}

/** Marks what the computation itself has written: it may be computed again, a person's choice may not. */
const COMPUTED = 'computed: '

/** In order of accounts, after `after`; one more than `limit`. */
export async function segments(db: Queryable, q: { after: string; limit: number; today: string }): Promise<SegmentRow[]> {
  const { rows } = await db.query<Row>(
    `WITH page AS (SELECT account, segment FROM accounts WHERE account > $1 ORDER BY account LIMIT $2),
     meters AS (
       SELECT s.id, s.properties->>'account' AS account, s.properties->>'customer_type' AS type FROM assets s
       WHERE s.properties->>'account' IN (SELECT account FROM page) AND s.kind IN ('water_meter', 'electric_meter')),
     days AS (
       SELECT DISTINCT ON (meter, quantity, date) meter, quantity, date, value FROM meter_days
       WHERE meter IN (SELECT id FROM meters) AND channel = '' AND quantity IN ('water_volume_m3', 'active_energy_import_kwh')
         AND date > $3::date - ${DAYS} AND date <= $3::date
       ORDER BY meter, quantity, date, rev DESC),
     rates AS (SELECT meter, quantity, avg(value) * 365 AS year FROM days GROUP BY meter, quantity)
     SELECT p.account, p.segment AS imported, f.segment AS chosen, f.segment_reason AS reason,
       sum(r.year) FILTER (WHERE r.quantity = 'active_energy_import_kwh') AS kwh,
       sum(r.year) FILTER (WHERE r.quantity = 'water_volume_m3') AS m3,
       array_agg(DISTINCT m.type) FILTER (WHERE m.type IS NOT NULL) AS types
     FROM page p LEFT JOIN account_profiles f USING (account) LEFT JOIN meters m USING (account) LEFT JOIN rates r ON r.meter = m.id
     GROUP BY p.account, p.segment, f.segment, f.segment_reason ORDER BY p.account`,
    [q.after, q.limit + 1, q.today],
  )
  return rows.map((r) => {
    const byPerson = r.chosen !== null && !(r.reason ?? '').startsWith(COMPUTED)
    const kwhYear = Math.round(r.kwh ?? 0)
    const m3Year = Math.round(r.m3 ?? 0)
    const chosen = byPerson ? (r.chosen as Segment) : undefined
    return {
      account: r.account,
      imported: r.imported,
      kwhYear,
      m3Year,
      ...segmentOf({ imported: r.imported, chosen, kwhYear, m3Year, customerTypes: r.types ?? [] }),
    }
  })
}

const PAGE = 1_000

/** Writes what is computed wherever it differs from what is in force; a person's choice stays. Returns the accounts changed. */
export async function applySegments(pool: Pool, q: { today: string; who: string }): Promise<{ seen: number; changed: string[] }> {
  const changed: string[] = []
  let seen = 0
  for (let after = ''; ; ) {
    const rows = await segments(pool, { after, limit: PAGE, today: q.today })
    const page = rows.slice(0, PAGE)
    seen += page.length
    for (const r of page) {
      if (r.reason === 'chosen' || r.reason === 'imported') continue
      const { rowCount } = await pool.query(
        `INSERT INTO account_profiles (account, segment, segment_reason, updated_by) SELECT $1, $2, $3, $4 WHERE $2 <> 'general'
           OR EXISTS (SELECT 1 FROM account_profiles WHERE account = $1 AND segment IS NOT NULL)
         ON CONFLICT (account) DO UPDATE SET segment = excluded.segment, segment_reason = excluded.segment_reason, updated_at = now(),
           updated_by = excluded.updated_by WHERE account_profiles.segment IS DISTINCT FROM excluded.segment`,
        [r.account, r.segment, COMPUTED + r.reason, q.who],
      )
      if ((rowCount ?? 0) > 0) changed.push(r.account)
    }
    if (rows.length <= PAGE) return { seen, changed }
    after = page.at(-1)?.account ?? after
  }
}

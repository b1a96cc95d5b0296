// Quality gates in PostgreSQL.
import type { Queryable } from '#runtime/postgres.ts'

export interface StoredGate {
  class: string
  maxEstimatedPct: number
  holdDays: number | null
  rev: number
  updatedBy: string
  updatedAt: string
  /** Meter-days that it holds now. */
  held: number
}

const COLUMNS = `class, max_estimated_pct AS "maxEstimatedPct", hold_days AS "holdDays", rev, updated_by AS "updatedBy", updated_at,
  (SELECT count(*) FROM (SELECT DISTINCT meter, quantity, channel, date FROM billing_held h WHERE h.gate_class = g.class) d) AS held`
type Row = Omit<StoredGate, 'updatedAt'> & { updated_at: Date }
const fromRow = ({ updated_at, ...g }: Row): StoredGate => ({ ...g, updatedAt: updated_at.toISOString() })

export async function listGates(db: Queryable): Promise<StoredGate[]> {
  const { rows } = await db.query<Row>(`SELECT ${COLUMNS} FROM billing_gates g ORDER BY class`)
  return rows.map(fromRow)
}

/** A gate set to what it is already keeps its revision. */
export async function putGate(
  db: Queryable,
  gate: { class: string; maxEstimatedPct: number; holdDays: number | null; who: string },
): Promise<StoredGate> {
  const { rows } = await db.query<Row>(
    `INSERT INTO billing_gates AS g (class, max_estimated_pct, hold_days, rev, updated_by) VALUES ($1, $2, $3, 1, $4)
     ON CONFLICT (class) DO UPDATE SET max_estimated_pct = excluded.max_estimated_pct, hold_days = excluded.hold_days,
       rev = g.rev + CASE WHEN (g.max_estimated_pct, g.hold_days) IS DISTINCT FROM (excluded.max_estimated_pct, excluded.hold_days) THEN 1 ELSE 0 END,
       updated_by = excluded.updated_by, updated_at = now()
     RETURNING ${COLUMNS}`,
    [gate.class, gate.maxEstimatedPct, gate.holdDays, gate.who],
  )
  return fromRow(rows[0] as Row)
}

export async function deleteGate(db: Queryable, tariffClass: string): Promise<boolean> {
  const { rowCount } = await db.query('DELETE FROM billing_gates WHERE class = $1', [tariffClass])
  return rowCount === 1
}

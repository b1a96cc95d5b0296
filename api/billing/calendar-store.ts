// The billing calendar in PostgreSQL.
import type { Queryable } from '#runtime/postgres.ts'
import { type BillingCalendar, USUAL_CALENDAR } from './calendar.ts'

export async function readCalendar(db: Queryable): Promise<BillingCalendar> {
  const { rows } = await db.query<BillingCalendar>(
    'SELECT start_day AS "startDay", close_after_days AS "closeAfterDays", close_time AS "closeTime" FROM billing_calendar',
  )
  return rows[0] ?? USUAL_CALENDAR
}

/** False when periods are closed already and would begin on another day: then the next one would overlap or leave a gap. */
export async function putCalendar(db: Queryable, calendar: BillingCalendar, who: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO billing_calendar (start_day, close_after_days, close_time, updated_by)
     SELECT $1::int, $2::int, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM billing_runs WHERE extract(day FROM from_date) <> $1::int)
     ON CONFLICT (one) DO UPDATE SET start_day = excluded.start_day, close_after_days = excluded.close_after_days,
       close_time = excluded.close_time, updated_by = excluded.updated_by, updated_at = now()`,
    [calendar.startDay, calendar.closeAfterDays, calendar.closeTime, who],
  )
  return rowCount === 1
}

export interface BillingRun {
  period: string
  from: string
  to: string
  dueAt: string
  phase: string
  closed: number
}

/** Newest first. */
export async function listRuns(db: Queryable, limit: number): Promise<BillingRun[]> {
  const { rows } = await db.query<Omit<BillingRun, 'dueAt'> & { due_at: Date }>(
    `SELECT period, to_char(from_date, 'YYYY-MM-DD') AS from, to_char(to_date, 'YYYY-MM-DD') AS to, due_at, phase, closed
     FROM billing_runs ORDER BY from_date DESC LIMIT $1`,
    [limit],
  )
  return rows.map(({ due_at, ...r }) => ({ ...r, dueAt: due_at.toISOString() }))
}

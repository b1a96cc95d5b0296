// What people say of crews, which tickets they are on, and where they have been.
import type { CrewView } from '#model/live-events.ts'
import type { Queryable } from '#runtime/postgres.ts'
import type { CrewStatus } from './crews.ts'
import { OPEN } from './ticket-lists.ts'

/** Every crew of the registry, with its skills. */
export async function registeredCrews(db: Queryable): Promise<{ crew: string; skills: CrewView['skills'] }[]> {
  const { rows } = await db.query<{ crew: string; skills: CrewView['skills'] | null }>(
    "SELECT id AS crew, properties->'skills' AS skills FROM assets WHERE kind = 'crew' ORDER BY id",
  )
  return rows.map((r) => ({ crew: r.crew, skills: r.skills ?? [] }))
}

/** By crew; those nobody has said anything of, and that are on no ticket, are left out. A ticket that is resolved does not hold its crew. */
export async function crewStatuses(db: Queryable): Promise<Map<string, CrewStatus>> {
  const { rows } = await db.query<{
    crew: string
    status: CrewStatus['status'] | null
    from_ms: number | null
    to_ms: number | null
    tickets: number[] | null
  }>(
    `SELECT coalesce(s.crew, t.crew) AS crew, s.status, s.shift_from_ms AS from_ms, s.shift_to_ms AS to_ms, t.tickets
     FROM crew_status s FULL JOIN (
       SELECT assignee AS crew, array_agg(no::float8 ORDER BY no) AS tickets FROM tickets WHERE ${OPEN} AND state IN ('dispatched', 'in_progress') AND assignee <> '' GROUP BY assignee
     ) t ON t.crew = s.crew`,
  )
  return new Map(
    rows.map((r) => [
      r.crew,
      { crew: r.crew, status: r.status ?? 'free', shiftFromMs: r.from_ms, shiftToMs: r.to_ms, tickets: r.tickets ?? [] },
    ]),
  )
}

export async function setCrewStatus(
  db: Queryable,
  s: { crew: string; status: CrewStatus['status']; shiftFromMs: number | null; shiftToMs: number | null; who: string },
): Promise<void> {
  await db.query(
    `INSERT INTO crew_status (crew, status, shift_from_ms, shift_to_ms, who) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (crew) DO UPDATE SET (status, shift_from_ms, shift_to_ms, who, at) = (excluded.status, excluded.shift_from_ms, excluded.shift_to_ms, excluded.who, now())`,
    [s.crew, s.status, s.shiftFromMs, s.shiftToMs, s.who],
  )
}

/** Trails are kept for two days of log time. */
export const TRAIL_MS = 2 * 86_400_000

export async function keepPositions(db: Queryable, crews: readonly CrewView[], nowMs: number): Promise<void> {
  if (crews.length === 0) return
  const rows = crews.map((c) => ({ crew: c.crew, ts_ms: Math.round(c.tsMs), lon: c.lon, lat: c.lat }))
  await db.query(
    'INSERT INTO crew_positions SELECT * FROM jsonb_populate_recordset(NULL::crew_positions, $1::jsonb) ON CONFLICT DO NOTHING',
    [JSON.stringify(rows)],
  )
  await db.query('DELETE FROM crew_positions WHERE ts_ms < $1', [nowMs - TRAIL_MS])
}

export async function trailOf(db: Queryable, crew: string, sinceMs: number): Promise<{ tsMs: number; lon: number; lat: number }[]> {
  const { rows } = await db.query<{ tsMs: number; lon: number; lat: number }>(
    'SELECT ts_ms AS "tsMs", lon, lat FROM crew_positions WHERE crew = $1 AND ts_ms >= $2 ORDER BY ts_ms DESC LIMIT 5000',
    [crew, sinceMs],
  )
  return rows.reverse()
}

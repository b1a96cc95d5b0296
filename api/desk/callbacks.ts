// The daily sample of closed tickets whose customers are called back, and what they said.
import { localDate } from '#model/time.ts'
import { type Pool, type Queryable, tx } from '#runtime/postgres.ts'
import { loadRules } from './rules.ts'

export interface CallbackRow {
  ticket_no: number
  day: string
  state: 'queued' | 'reached' | 'not_reached'
  tries: number
  score: number | null
  expected: number | null
  note: string
  who: string
  at_ms: number | null
  title: string
  class: string
  account: string
}

/**
 * Draws the sample of every local day that has ended and was not drawn, once. Which tickets is decided by a hash of their numbers: the
 * same log gives the same sample, and nobody can steer it. Only tickets of a customer, or of one that reported something, can be asked about.
 */
export async function drawSamples(pool: Pool, nowMs: number): Promise<number> {
  return tx(pool, async (client) => {
    const { settings, calendar } = await loadRules(client)
    const today = localDate(calendar.timezone, nowMs)
    const { rows } = await client.query<{ day: string }>(
      `SELECT DISTINCT to_char(to_timestamp(closed_ms / 1000.0) AT TIME ZONE $1, 'YYYY-MM-DD') AS day FROM tickets
       WHERE closed_ms >= $2 AND to_char(to_timestamp(closed_ms / 1000.0) AT TIME ZONE $1, 'YYYY-MM-DD') < $3 ORDER BY 1`,
      [calendar.timezone, nowMs - 7 * 86_400_000, today],
    )
    let drawn = 0
    for (const { day } of rows) {
      const fresh = await client.query('INSERT INTO callback_days (day) VALUES ($1) ON CONFLICT DO NOTHING', [day])
      if (fresh.rowCount === 0) continue
      const { rowCount } = await client.query(
        `INSERT INTO callbacks (ticket_no, day)
         SELECT no, $1::text::date FROM tickets t WHERE closed_ms IS NOT NULL AND closed_ms >= $4
           AND to_char(to_timestamp(closed_ms / 1000.0) AT TIME ZONE $2, 'YYYY-MM-DD') = $1 AND state IN ('closed', 'archived') AND merged_into = ''
           AND (account <> '' OR EXISTS (SELECT 1 FROM customer_reports r WHERE r.ticket_no = t.no AND r.account <> ''))
           AND (hashtextextended('callback ' || no, 0) & 2147483647) % 10000 < $3::float8 * 100
         ORDER BY hashtextextended('callback ' || no, 0) LIMIT $5 ON CONFLICT DO NOTHING`,
        [day, calendar.timezone, settings.callbacks.samplePct, nowMs - 9 * 86_400_000, settings.callbacks.perDayMax],
      )
      drawn += rowCount ?? 0
    }
    return drawn
  })
}

export async function listCallbacks(db: Queryable, q: { state?: string; limit: number }): Promise<CallbackRow[]> {
  const { rows } = await db.query<CallbackRow>(
    `SELECT c.ticket_no, to_char(c.day, 'YYYY-MM-DD') AS day, c.state, c.tries, c.score, c.expected, c.note, c.who, c.at_ms, t.title, t.class,
       coalesce(nullif(t.account, ''), (SELECT r.account FROM customer_reports r WHERE r.ticket_no = t.no AND r.account <> '' ORDER BY r.id LIMIT 1), '') AS account
     FROM callbacks c JOIN tickets t ON t.no = c.ticket_no WHERE $1::text IS NULL OR c.state = $1 ORDER BY c.day, c.ticket_no LIMIT $2`,
    [q.state ?? null, q.limit],
  )
  return rows
}

/** Tries before a customer counts as not reached. */
const TRIES_MAX = 3

export interface Answer {
  reached: boolean
  score?: number
  expected?: number
  note: string
  who: string
  atMs: number
}

/** Undefined when the ticket is not in the queue any more. */
export async function recordCallback(db: Queryable, no: number, a: Answer): Promise<boolean> {
  const { rowCount } = await db.query(
    `UPDATE callbacks SET tries = tries + 1, note = $2, who = $3, at_ms = $4, score = $5, expected = $6,
       state = CASE WHEN $7 THEN 'reached' WHEN tries + 1 >= ${TRIES_MAX} THEN 'not_reached' ELSE 'queued' END
     WHERE ticket_no = $1 AND state = 'queued'`,
    [no, a.note, a.who, a.atMs, a.reached ? (a.score ?? null) : null, a.reached ? (a.expected ?? null) : null, a.reached],
  )
  return rowCount === 1
}

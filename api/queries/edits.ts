// Edits of intervals by people: asked here, given to the log by processors, kept for ever with who and why.
import type { Queryable } from '#runtime/postgres.ts'

export interface EditRow {
  id: string
  kind: 'manual' | 'multiplier'
  meter: string
  quantity: string
  channel: string
  since: Date
  until: Date
  values: [startMs: number, value: number][] | null
  factor: number | null
  who: string
  note: string
  askedAt: Date
  state: 'asked' | 'published' | 'failed'
  problem: string
  intervals: number
}

const COLUMNS = `id, kind, meter, quantity, channel, since_at AS since, until_at AS until, new_values AS values, factor, who, note, asked_at AS "askedAt",
  state, problem, intervals`

export interface NewEdit {
  id: string
  zone: string
  meter: string
  quantity: string
  channel: string
  sinceMs: number
  untilMs: number
  values: readonly (readonly [startMs: number, value: number])[]
  who: string
  note: string
  askedAtMs: number
}

/** Asks for an edit. False when the id is known already. */
export async function askEdit(db: Queryable, e: NewEdit): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO interval_edits (id, kind, zone, meter, quantity, channel, since_at, until_at, new_values, who, note, asked_at)
     VALUES ($1, 'manual', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING`,
    [
      ...[e.id, e.zone, e.meter, e.quantity, e.channel, new Date(e.sinceMs), new Date(e.untilMs), JSON.stringify(e.values)],
      ...[e.who, e.note, new Date(e.askedAtMs)],
    ],
  )
  return rowCount === 1
}

export async function readEdit(db: Queryable, id: string): Promise<EditRow | undefined> {
  const { rows } = await db.query<EditRow>(`SELECT ${COLUMNS} FROM interval_edits WHERE id = $1`, [id])
  return rows[0]
}

/** Newest first. */
export async function editsOf(db: Queryable, q: { meter: string | undefined; limit: number }): Promise<EditRow[]> {
  const { rows } = await db.query<EditRow>(
    `SELECT ${COLUMNS} FROM interval_edits WHERE $1::text IS NULL OR meter = $1 ORDER BY created_at DESC, id LIMIT $2`,
    [q.meter ?? null, q.limit],
  )
  return rows
}

export interface RuleCountRow {
  zone: string
  date: string
  rule: string
  class: string
  fired: number
}

/** Firings of rules by local day, both dates included. */
export async function ruleCounts(db: Queryable, q: { from: string; to: string; zone: string | undefined }): Promise<RuleCountRow[]> {
  const { rows } = await db.query<RuleCountRow>(
    `SELECT zone, to_char(date, 'YYYY-MM-DD') AS date, rule, class, fired FROM rule_counts
     WHERE date BETWEEN $1::date AND $2::date AND ($3::text IS NULL OR zone = $3) ORDER BY date, rule, class, zone`,
    [q.from, q.to, q.zone ?? null],
  )
  return rows
}

// The outbox in PostgreSQL: written in the transaction of what it tells, taken out lane by lane. A message is claimed by moving its next
// attempt into the future; a process that dies with it in hand leaves it to be claimed again.
import type { Queryable } from '#runtime/postgres.ts'

export interface NewMessage {
  key: string
  kind: 'notice' | 'tmf621' | 'staff'
  lane: string
  ticketNo: number | null
  stage?: string
  account?: string
  language?: string
  body: unknown
  notBeforeMs?: number
  createdMs: number
  /** Written for the record only: never sent, for this reason. */
  cancelled?: string
}

export interface Message {
  id: number
  key: string
  kind: NewMessage['kind']
  lane: string
  ticket_no: number | null
  stage: string
  account: string
  language: string
  // biome-ignore lint/suspicious/noExplicitAny: what it holds is its writer's business
  body: any
  attempts: number
  created_ms: number
}

/** Adds what is not there yet: a key is there once for ever. Returns how many were new. */
export async function addMessages(db: Queryable, messages: readonly NewMessage[]): Promise<number> {
  if (messages.length === 0) return 0
  const rows = messages.map((m) => ({
    key: m.key,
    kind: m.kind,
    lane: m.lane,
    ticket_no: m.ticketNo,
    stage: m.stage ?? '',
    account: m.account ?? '',
    language: m.language ?? '',
    body: m.body,
    not_before_ms: m.notBeforeMs ?? 0,
    created_ms: m.createdMs,
    state: m.cancelled === undefined ? 'waiting' : 'cancelled',
    error: m.cancelled ?? '',
  }))
  const { rowCount } = await db.query(
    `INSERT INTO outbox (key, kind, lane, ticket_no, stage, account, language, body, not_before_ms, created_ms, state, error)
     SELECT key, kind, lane, ticket_no, stage, account, language, body, not_before_ms, created_ms, state, error
     FROM jsonb_populate_recordset(NULL::outbox, $1::jsonb) ON CONFLICT (key) DO NOTHING`,
    [JSON.stringify(rows)],
  )
  return rowCount ?? 0
}

/** Claims up to `limit` due messages of a lane for `leaseS` seconds; counts the attempt. */
export async function claim(db: Queryable, lane: string, o: { limit: number; leaseS: number; logMs: number }): Promise<Message[]> {
  const { rows } = await db.query<Message>(
    `UPDATE outbox SET attempts = attempts + 1, next_at = now() + make_interval(secs => $3) WHERE id IN (
       SELECT id FROM outbox WHERE state = 'waiting' AND lane = $1 AND next_at <= now() AND not_before_ms <= $4
       ORDER BY next_at, id LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING id, key, kind, lane, ticket_no, stage, account, language, body, attempts, created_ms`,
    [lane, o.limit, o.leaseS, o.logMs],
  )
  return rows.sort((a, b) => a.id - b.id)
}

/** Lanes with something due. */
export async function lanesDue(db: Queryable, logMs: number): Promise<string[]> {
  // A walk from lane to lane in the index: there may be a million messages in one of them.
  const { rows } = await db.query<{ lane: string }>(
    `WITH RECURSIVE lanes AS (
       (SELECT lane FROM outbox WHERE state = 'waiting' ORDER BY lane LIMIT 1)
       UNION ALL SELECT (SELECT o.lane FROM outbox o WHERE o.state = 'waiting' AND o.lane > l.lane ORDER BY o.lane LIMIT 1) FROM lanes l WHERE l.lane IS NOT NULL)
     SELECT lane FROM lanes WHERE lane IS NOT NULL
       AND EXISTS (SELECT 1 FROM outbox o WHERE o.state = 'waiting' AND o.lane = lanes.lane AND o.next_at <= now() AND o.not_before_ms <= $1)`,
    [logMs],
  )
  return rows.map((r) => r.lane)
}

export async function markSent(db: Queryable, id: number): Promise<void> {
  await db.query("UPDATE outbox SET state = 'sent', sent_at = now(), error = '' WHERE id = $1 AND state = 'waiting'", [id])
}

export async function markFailed(db: Queryable, id: number, error: string, waitMs: number | undefined): Promise<void> {
  await db.query(
    `UPDATE outbox SET error = $2, state = CASE WHEN $3::float8 IS NULL THEN 'dead' ELSE state END,
       next_at = now() + make_interval(secs => coalesce($3, 0) / 1000.0) WHERE id = $1 AND state = 'waiting'`,
    [id, error.slice(0, 500), waitMs ?? null],
  )
}

/** Once more from the start, on a person's word. Undefined when it is not there or was not given up. */
export async function retry(db: Queryable, id: number): Promise<boolean> {
  const { rowCount } = await db.query(
    "UPDATE outbox SET state = 'waiting', attempts = 0, next_at = now(), error = '' WHERE id = $1 AND state = 'dead'",
    [id],
  )
  return rowCount === 1
}

export interface NoticeRow {
  id: number
  kind: string
  stage: string
  lane: string
  ticket_no: number | null
  account: string
  language: string
  text: string
  state: 'waiting' | 'sent' | 'dead' | 'cancelled'
  attempts: number
  created_ms: number
  not_before_ms: number
  sent_at: Date | null
  error: string
}

export async function listMessages(
  db: Queryable,
  q: { ticket?: number; state?: string; kind?: string; limit: number; before?: number },
): Promise<NoticeRow[]> {
  const { rows } = await db.query<NoticeRow>(
    `SELECT id, kind, stage, lane, ticket_no, account, language, coalesce(body->>'text', '') AS text, state, attempts, created_ms, not_before_ms,
       sent_at, error
     FROM outbox WHERE ($1::bigint IS NULL OR ticket_no = $1) AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR kind = $3)
       AND ($4::bigint IS NULL OR id < $4) ORDER BY id DESC LIMIT $5`,
    [q.ticket ?? null, q.state ?? null, q.kind ?? null, q.before ?? null, q.limit],
  )
  return rows
}

/** Sent and cancelled messages are kept this long; what was given up stays until a person looks. */
const KEEP_DAYS = 90

export async function prune(db: Queryable): Promise<void> {
  await db.query(
    `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE state IN ('sent', 'cancelled') AND created_at < now() - make_interval(days => $1)
     ORDER BY id LIMIT 10000)`,
    [KEEP_DAYS],
  )
}

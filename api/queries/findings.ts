// Findings as the desk has stored them.
import type { Finding } from '#model/finding.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { Problem } from '../problem.ts'
import { readCursor, writeCursor } from './cursor.ts'

export interface FindingQuery {
  kind?: readonly string[] | undefined
  state?: 'open' | 'cleared' | 'withdrawn' | undefined
  severity?: readonly string[] | undefined
  scope?: string | undefined
  zone?: string | undefined
  fromMs?: number | undefined
  toMs?: number | undefined
  cursor?: string | undefined
  limit: number
}

const STATES = {
  open: 'cleared_at IS NULL AND NOT withdrawn',
  cleared: 'cleared_at IS NOT NULL AND NOT withdrawn',
  withdrawn: 'withdrawn',
} as const

/** Newest detection first. */
export async function listFindings(db: Queryable, q: FindingQuery): Promise<{ findings: Finding[]; next: string | null }> {
  const where: string[] = []
  const values: unknown[] = []
  const add = (condition: (n: number) => string, value: unknown) => {
    if (value === undefined) return
    values.push(value)
    where.push(condition(values.length))
  }
  if (q.state !== undefined) where.push(STATES[q.state])
  add((n) => `kind = ANY($${n})`, q.kind)
  add((n) => `severity = ANY($${n})`, q.severity)
  add((n) => `scope_id = $${n}`, q.scope)
  add((n) => `zone = $${n}`, q.zone)
  add((n) => `detected_at >= to_timestamp($${n}::float8 / 1000)`, q.fromMs)
  add((n) => `detected_at < to_timestamp($${n}::float8 / 1000)`, q.toMs)
  if (q.cursor !== undefined) {
    const [atMs, id] = readCursor('findings', q.cursor)
    if (typeof atMs !== 'number' || typeof id !== 'string')
      throw new Problem(400, 'not_valid', 'cursor: not one that this list has given out')
    values.push(atMs, id)
    where.push(`(detected_at, id) < (to_timestamp($${values.length - 1}::float8 / 1000), $${values.length})`)
  }
  values.push(q.limit + 1)
  const { rows } = await db.query<{ body: Finding; at_ms: number }>(
    `SELECT body, (extract(epoch FROM detected_at) * 1000)::bigint AS at_ms FROM findings ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`}
     ORDER BY detected_at DESC, id DESC LIMIT $${values.length}`,
    values,
  )
  const shown = rows.slice(0, q.limit)
  const last = shown.at(-1)
  return {
    findings: shown.map((r) => r.body),
    next: rows.length > q.limit && last !== undefined ? writeCursor('findings', last.at_ms, last.body.id) : null,
  }
}

export async function findingsById(db: Queryable, ids: readonly string[]): Promise<Finding[]> {
  const { rows } = await db.query<{ body: Finding }>('SELECT body FROM findings WHERE id = ANY($1)', [ids])
  return rows.map((r) => r.body)
}

/** Every revision of one finding, oldest first. */
export async function findingHistory(db: Queryable, id: string): Promise<Finding[]> {
  const { rows } = await db.query<{ body: Finding }>('SELECT body FROM finding_history WHERE id = $1 ORDER BY rev', [id])
  return rows.map((r) => r.body)
}

/** Open findings, and those that ended after `sinceMs` (log time). */
export async function recentFindings(db: Queryable, sinceMs: number, limit: number): Promise<Finding[]> {
  const { rows } = await db.query<{ body: Finding }>(
    `(SELECT body FROM findings WHERE cleared_at IS NULL AND NOT withdrawn ORDER BY detected_at DESC, id DESC LIMIT $2) UNION ALL
     (SELECT body FROM findings WHERE (cleared_at IS NOT NULL OR withdrawn) AND updated_at >= to_timestamp($1::float8 / 1000)
      ORDER BY detected_at DESC, id DESC LIMIT $2)`,
    [sinceMs, limit],
  )
  return rows.map((r) => r.body)
}

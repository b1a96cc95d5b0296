// Ledger and quarantine: what came, what became of it, and whether that adds up.
import type { Refusal } from '#model/outcome.ts'
import { HOUR_MS } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'
import type { Range } from './params.ts'
import type { StoredCount } from './series.ts'

export interface LedgerLine {
  gateway: string
  hourMs: number
  /** Readings and events that reached ingest with a known gateway: those in the log and those refused before it. */
  received: number
  accepted: number
  duplicate: number
  redelivered: number
  quarantined: number
  reasons: Record<string, number>
  stored: number | null
  /** received - accepted - duplicate - quarantined */
  unaccounted: number
  /** accepted - stored; null when QuestDB could not be asked. */
  unstored: number | null
  /** unaccounted + unstored: 0 when nothing was lost. */
  difference: number
  /** The hour is over and counted in full: a difference is a loss, not something on its way. */
  settled: boolean
}

interface Book {
  lines: Map<string, LedgerLine>
  lineOf: (gateway: string, hourMs: number) => LedgerLine
  /** Hours that ended before are counted in full. */
  countedMs: number
}

interface Fold {
  gateway: string
  hour_ms: number
  received: number
  accepted: number
  duplicate: number
  redelivered: number
  quarantined: Record<string, number>[]
}

/** Refusals of the fold have ids of this form and are in the ledger already; the others were refused by ingest, before the log. */
const FOLD_IDS = 'fold-%'

/** What the folds and ingest counted. Rows it counts as accepted have been written to QuestDB: `withStored` compares. */
export async function ledgerBook(db: Queryable, range: Range, gateway: string | undefined): Promise<Book> {
  const counted = await db.query<{ clock_ms: number | null }>(
    `SELECT (extract(epoch FROM min(clock)) * 1000)::bigint AS clock_ms FROM checkpoints WHERE stage = 'zones' AND state IS NOT NULL`,
  )
  const values = [range.fromMs, range.toMs, gateway ?? null]
  const between = (column: string) =>
    `${column} >= to_timestamp($1::float8 / 1000) AND ${column} < to_timestamp($2::float8 / 1000) AND ($3::text IS NULL OR gateway = $3)`
  const folds = await db.query<Fold>(
    `SELECT gateway, (extract(epoch FROM hour) * 1000)::bigint AS hour_ms, sum(received)::bigint AS received, sum(accepted)::bigint AS accepted,
       sum(duplicate)::bigint AS duplicate, sum(redelivered)::bigint AS redelivered, jsonb_agg(quarantined) AS quarantined
     FROM ledger WHERE ${between('hour')} GROUP BY gateway, hour`,
    values,
  )
  const refused = await db.query<{ gateway: string; hour_ms: number; reason: string; n: number }>(
    `SELECT gateway, (extract(epoch FROM date_trunc('hour', received_at)) * 1000)::bigint AS hour_ms, reason, sum(entries)::bigint AS n
     FROM quarantine WHERE ${between('received_at')} AND id NOT LIKE $4 AND state <> 'released' GROUP BY 1, 2, 3`,
    [...values, FOLD_IDS],
  )
  const lines = new Map<string, LedgerLine>()
  const lineOf = (g: string, hourMs: number): LedgerLine => {
    const key = `${g}|${hourMs}`
    let line = lines.get(key)
    if (line === undefined) {
      line = {
        gateway: g,
        hourMs,
        received: 0,
        accepted: 0,
        duplicate: 0,
        redelivered: 0,
        quarantined: 0,
        reasons: {},
        stored: null,
        unaccounted: 0,
        unstored: null,
        difference: 0,
        settled: false,
      }
      lines.set(key, line)
    }
    return line
  }
  const refuse = (line: LedgerLine, reason: string, n: number) => {
    line.reasons[reason] = (line.reasons[reason] ?? 0) + n
    line.quarantined += n
  }
  for (const f of folds.rows) {
    const line = lineOf(f.gateway, f.hour_ms)
    line.received += f.received
    line.accepted += f.accepted
    line.duplicate += f.duplicate
    line.redelivered += f.redelivered
    for (const by of f.quarantined) for (const [reason, n] of Object.entries(by)) refuse(line, reason, n)
  }
  for (const r of refused.rows) {
    const line = lineOf(r.gateway, r.hour_ms)
    line.received += r.n
    refuse(line, r.reason, r.n)
  }
  return { lines, lineOf, countedMs: counted.rows[0]?.clock_ms ?? 0 }
}

/** Adds what is stored (null when QuestDB could not be asked) and what that leaves. `current`: queries show all that the book counts. */
export function withStored(
  { lines, lineOf, countedMs }: Book,
  gateway: string | undefined,
  stored: readonly StoredCount[] | null,
  current: boolean,
): LedgerLine[] {
  if (stored !== null) for (const line of lines.values()) line.stored = 0
  for (const s of stored ?? []) {
    if (gateway !== undefined && s.gateway !== gateway) continue
    const line = lineOf(s.gateway, s.hourMs)
    line.stored = (line.stored ?? 0) + s.stored
  }
  for (const line of lines.values()) {
    line.unaccounted = line.received - line.accepted - line.duplicate - line.quarantined
    line.unstored = line.stored === null ? null : line.accepted - line.stored
    line.difference = line.unaccounted + (line.unstored ?? 0)
    line.settled = line.hourMs + HOUR_MS <= countedMs && (current || line.difference <= 0)
  }
  return [...lines.values()].sort((a, b) => a.hourMs - b.hourMs || (a.gateway < b.gateway ? -1 : 1))
}

export interface Quarantined {
  id: string
  reason: Refusal
  field: string
  message: string
  gateway: string
  device: string
  topic: string
  format: string
  receivedAtMs: number
  entries: number
  payload: string
  encoding: string
  truncated: boolean
  redelivered: boolean
  state: string
  closedAtMs: number | null
  closedBy: string | null
  /** Asked for, and not done yet. */
  releaseRequested: boolean
  /** Why it was refused again. */
  releaseNote: string | null
}

interface QuarantineRow extends Omit<Quarantined, 'receivedAtMs' | 'closedAtMs' | 'closedBy' | 'releaseRequested' | 'releaseNote'> {
  release_requested: boolean
  release_note: string | null
  received_ms: number
  closed_ms: number | null
  closed_by: string | null
}

const SELECT = `SELECT id, reason, field, message, gateway, device, topic, format, (extract(epoch FROM received_at) * 1000)::bigint AS received_ms, entries, payload,
  encoding, truncated, redelivered, state, (extract(epoch FROM closed_at) * 1000)::bigint AS closed_ms, closed_by,
  release_at IS NOT NULL AS release_requested, release_note FROM quarantine`

const fromRow = ({ received_ms, closed_ms, closed_by, release_requested, release_note, ...r }: QuarantineRow): Quarantined => ({
  ...r,
  receivedAtMs: received_ms,
  closedAtMs: closed_ms,
  closedBy: closed_by,
  releaseRequested: release_requested,
  releaseNote: release_note,
})

export interface QuarantineQuery {
  state?: string | undefined
  reason?: readonly string[] | undefined
  gateway?: string | undefined
  device?: string | undefined
  fromMs?: number | undefined
  toMs?: number | undefined
  /** After this receipt time and id, going back. */
  before?: { receivedAtMs: number; id: string } | undefined
  limit: number
}

/** Newest first, one more than `limit`. */
export async function listQuarantine(db: Queryable, q: QuarantineQuery): Promise<Quarantined[]> {
  const where: string[] = []
  const values: unknown[] = []
  const add = (condition: (n: number) => string, ...given: unknown[]) => {
    if (given[0] === undefined) return
    values.push(...given)
    where.push(condition(values.length))
  }
  add((n) => `state = $${n}`, q.state)
  add((n) => `reason = ANY($${n})`, q.reason)
  add((n) => `gateway = $${n}`, q.gateway)
  add((n) => `device = $${n}`, q.device)
  add((n) => `received_at >= to_timestamp($${n}::float8 / 1000)`, q.fromMs)
  add((n) => `received_at < to_timestamp($${n}::float8 / 1000)`, q.toMs)
  if (q.before !== undefined)
    add((n) => `(received_at, id) < (to_timestamp($${n - 1}::float8 / 1000), $${n})`, q.before.receivedAtMs, q.before.id)
  values.push(q.limit + 1)
  const { rows } = await db.query<QuarantineRow>(
    `${SELECT} ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`} ORDER BY received_at DESC, id DESC LIMIT $${values.length}`,
    values,
  )
  return rows.map(fromRow)
}

export async function readQuarantined(db: Queryable, id: string): Promise<Quarantined | undefined> {
  const { rows } = await db.query<QuarantineRow>(`${SELECT} WHERE id = $1`, [id])
  return rows[0] === undefined ? undefined : fromRow(rows[0])
}

/** Marks an open entry as of no use; one that is closed or being released stays as it is. Undefined when there is none. */
export async function discardQuarantined(
  db: Queryable,
  id: string,
  who: string,
): Promise<{ entry: Quarantined; repeated: boolean } | undefined> {
  const done = await db.query(
    "UPDATE quarantine SET state = 'discarded', closed_at = now(), closed_by = $2 WHERE id = $1 AND state = 'open' AND release_at IS NULL",
    [id, who],
  )
  const entry = await readQuarantined(db, id)
  return entry === undefined ? undefined : { entry, repeated: done.rowCount === 0 }
}

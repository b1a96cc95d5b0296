// The audit trail: who did what, append-only, each entry with the hash of the one before (a hash chain, as in RFC 6962's spirit but linear).
import { createHash } from 'node:crypto'
import { type Pool, type Queryable, tx } from '#runtime/postgres.ts'

export interface AuditEntry {
  atMs: number
  who: string
  /** `POST /v1/tickets/:id/:action`, `sign in`. */
  action: string
  /** Path that was asked. */
  target: string
  /** HTTP status. */
  outcome: number
  detail: Record<string, unknown>
}
export interface AuditRow extends AuditEntry {
  seq: number
  hash: string
}

/** Any constant of our own: writers take turns, so that the chain has one end. */
const LOCK = 0x4d53_0090
const GENESIS = Buffer.alloc(32)
const PAGE = 10_000

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) =>
    v !== null && typeof v === 'object' && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  )

function hashOf(seq: number, e: AuditEntry, prev: Buffer): Buffer {
  const body = canonical([seq, e.atMs, e.who, e.action, e.target, e.outcome, e.detail])
  return createHash('sha256').update(prev).update(body).digest()
}

export async function appendAudit(pool: Pool, e: AuditEntry): Promise<void> {
  await tx(pool, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOCK])
    const { rows } = await client.query<{ seq: number; hash: Buffer }>('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1')
    const prev = rows[0]?.hash ?? GENESIS
    const seq = (rows[0]?.seq ?? 0) + 1
    await client.query(
      'INSERT INTO audit (seq, at_ms, who, action, target, outcome, detail, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)',
      [seq, e.atMs, e.who, e.action, e.target, e.outcome, JSON.stringify(e.detail), prev, hashOf(seq, e, prev)],
    )
  })
}

interface Row {
  seq: number
  at_ms: number
  who: string
  action: string
  target: string
  outcome: number
  detail: Record<string, unknown>
  prev: Buffer
  hash: Buffer
}
const COLUMNS = 'seq, at_ms, who, action, target, outcome, detail, prev, hash'
const entryOf = (r: Row): AuditEntry => ({
  atMs: r.at_ms,
  who: r.who,
  action: r.action,
  target: r.target,
  outcome: r.outcome,
  detail: r.detail,
})

/** Newest first, those before `before`. */
export async function listAudit(
  db: Queryable,
  q: { before: number | undefined; who: string | undefined; limit: number },
): Promise<AuditRow[]> {
  const { rows } = await db.query<Row>(
    `SELECT ${COLUMNS} FROM audit WHERE ($1::bigint IS NULL OR seq < $1) AND ($2::text IS NULL OR who = $2) ORDER BY seq DESC LIMIT $3`,
    [q.before ?? null, q.who ?? null, q.limit],
  )
  return rows.map((r) => ({ seq: r.seq, ...entryOf(r), hash: r.hash.toString('hex') }))
}

export interface ChainCheck {
  entries: number
  /** Hash of the last entry, hex; keep it elsewhere to see later that none were cut off the end. */
  head: string
  /** First entry that does not fit, undefined when all do. */
  broken?: { seq: number; reason: string }
}

/** Reads the whole trail and computes every hash again. */
export async function verifyAudit(db: Queryable): Promise<ChainCheck> {
  let prev: Buffer = GENESIS
  let entries = 0
  for (;;) {
    const { rows } = await db.query<Row>(`SELECT ${COLUMNS} FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2`, [entries, PAGE])
    for (const r of rows) {
      const broken = (reason: string) => ({ entries, head: prev.toString('hex'), broken: { seq: r.seq, reason } })
      if (r.seq !== entries + 1) return broken(`entry ${entries + 1} is missing`)
      if (!r.prev.equals(prev)) return broken('does not follow the entry before it')
      if (!hashOf(r.seq, entryOf(r), prev).equals(r.hash)) return broken('was changed')
      prev = r.hash
      entries = r.seq
    }
    if (rows.length < PAGE) return { entries, head: prev.toString('hex') }
  }
}

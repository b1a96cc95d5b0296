// Reading the billing feed: entries by position, from one keyset page to the next. Positions are given in the order in which they
// become visible (api/billing/publisher.ts), so "after the last one I have" is the whole protocol.
import type { Queryable } from '#runtime/postgres.ts'
import type { GateOutcome } from '../billing/gate.ts'

/** One revision of one meter-day at its place in the feed. */
export interface FeedItem {
  /** Position; grows along the feed, with holes possible. */
  seq: number
  meter: string
  quantity: string
  channel: string
  /** Local day of the utility. */
  date: string
  /** In the quantity's unit. */
  value: number
  /** Intervals of the day by quality. */
  actual: number
  estimated: number
  missing: number
  edited: number
  /** Part of the value that comes from estimated and refused intervals. */
  estimatedValue: number
  /** Value by time-of-use band of validation's calendar; null without one. */
  tou: Record<string, number> | null
  /** Rules of validation that fired on the day. */
  rules: string[]
  rev: number
  /** Why a later revision was made; '' for the first. */
  why: string
  /** Log time of the decision. */
  decidedAt: string
  /** The entry that this one replaces, with what it said; null for the first of a day. */
  supersedes: { seq: number; rev: number; value: number } | null
  /** Why it may be billed. */
  gate: GateOutcome
}

/** Entries after a position, up to and with another one. */
export interface FeedRange {
  after: number
  upTo: number
}

const COLUMNS = `f.pos, d.meter, d.quantity, d.channel, to_char(d.date, 'YYYY-MM-DD'), d.value, d.actual, d.estimated, d.missing, d.edited,
  d.estimated_value, d.tou, d.rules, d.rev, d.why, d.decided_at, f.supersedes, s.rev, s.value, f.gate`
// biome-ignore format: one line for each line of the columns
type Row = [
  number, string, string, string, string, number, number, number, number, number,
  number, Record<string, number> | null, string[], number, string, Date, number | null, number, number, GateOutcome,
]
const FROM = `billing_feed f JOIN meter_days d ON d.feed_seq = f.day_seq LEFT JOIN billing_feed sf ON sf.pos = f.supersedes
  LEFT JOIN meter_days s ON s.feed_seq = sf.day_seq`

/** At most `limit` entries in order. */
export async function feedPage(db: Queryable, range: FeedRange, limit: number): Promise<FeedItem[]> {
  const { rows } = await db.query<Row>({
    // A prepared statement: planning would cost as much as a small page.
    name: 'billing-feed-page',
    text: `SELECT ${COLUMNS} FROM ${FROM} WHERE f.pos > $1 AND f.pos <= $2 ORDER BY f.pos LIMIT $3`,
    values: [range.after, range.upTo, limit],
    rowMode: 'array',
  } as never)
  return rows.map(itemOf)
}

function itemOf(r: Row): FeedItem {
  return {
    seq: r[0],
    meter: r[1],
    quantity: r[2],
    channel: r[3],
    date: r[4],
    value: r[5],
    actual: r[6],
    estimated: r[7],
    missing: r[8],
    edited: r[9],
    estimatedValue: r[10],
    tou: r[11],
    rules: r[12],
    rev: r[13],
    why: r[14],
    decidedAt: r[15].toISOString(),
    supersedes: r[16] === null ? null : { seq: r[16], rev: r[17], value: r[18] },
    gate: r[19],
  }
}

/** The range that holds the next `limit` entries after a position, and whether the feed goes on behind it now. */
export async function nextRange(db: Queryable, after: number, limit: number): Promise<FeedRange & { more: boolean }> {
  const { rows } = await db.query<{ pos: number | null }>(
    `SELECT (SELECT pos FROM billing_feed WHERE pos > $1 ORDER BY pos OFFSET $2 LIMIT 1) AS pos
     UNION ALL SELECT max(pos) FROM billing_feed`,
    [after, limit - 1],
  )
  const [nth, last] = rows.map((r) => r.pos)
  const head = Math.max(after, last ?? 0)
  const upTo = nth ?? head
  return { after, upTo, more: upTo < head }
}

/** Every revision of a meter's day, with its place in the feed or the reason why it has none yet. */
export interface DayRevision extends Omit<FeedItem, 'seq' | 'supersedes' | 'gate'> {
  zone: string
  seq: number | null
  gate: GateOutcome | null
  releasedBy: string | null
  note: string | null
  held: { reason: string; estimatedPct: number; limitPct: number; class: string } | null
}

export async function dayRevisions(db: Queryable, meter: string, date: string): Promise<DayRevision[]> {
  const { rows } = await db.query<Omit<DayRevision, 'decidedAt' | 'held'> & { decided_at: Date; held: DayRevision['held'] }>(
    `SELECT d.meter, d.quantity, d.channel, to_char(d.date, 'YYYY-MM-DD') AS date, d.value, d.actual, d.estimated, d.missing, d.edited,
       d.estimated_value AS "estimatedValue", d.tou, d.rules, d.rev, d.why, d.zone, d.decided_at, f.pos AS seq, f.gate, f.released_by AS "releasedBy", f.note,
       CASE WHEN h.day_seq IS NULL THEN NULL ELSE json_build_object('reason', h.reason, 'estimatedPct', h.estimated_pct,
         'limitPct', h.limit_pct, 'class', h.class) END AS held
     FROM meter_days d LEFT JOIN billing_feed f ON f.day_seq = d.feed_seq LEFT JOIN billing_held h ON h.day_seq = d.feed_seq
     WHERE d.meter = $1 AND d.date = $2::date ORDER BY d.quantity, d.channel, d.rev`,
    [meter, date],
  )
  return rows.map(({ decided_at, ...r }) => ({ ...r, decidedAt: decided_at.toISOString() }))
}

export interface HeldDay {
  meter: string
  quantity: string
  channel: string
  date: string
  rev: number
  class: string
  reason: string
  estimatedPct: number
  limitPct: number
  decidedAt: string
  heldAt: string
}

/** Held revisions in order of storage, after a number; one more than `limit` so that the caller sees whether it goes on. */
export async function heldAfter(
  db: Queryable,
  q: { after: number; limit: number; meter?: string | undefined; class?: string | undefined },
): Promise<(HeldDay & { daySeq: number })[]> {
  const { rows } = await db.query<Omit<HeldDay, 'decidedAt' | 'heldAt'> & { daySeq: number; decided_at: Date; held_at: Date }>(
    `SELECT day_seq AS "daySeq", meter, quantity, channel, to_char(date, 'YYYY-MM-DD') AS date, rev, class, reason,
       estimated_pct AS "estimatedPct", limit_pct AS "limitPct", decided_at, held_at
     FROM billing_held WHERE day_seq > $1 AND ($3::text IS NULL OR meter = $3) AND ($4::text IS NULL OR class = $4)
     ORDER BY day_seq LIMIT $2`,
    [q.after, q.limit + 1, q.meter ?? null, q.class ?? null],
  )
  return rows.map(({ decided_at, held_at, ...r }) => ({ ...r, decidedAt: decided_at.toISOString(), heldAt: held_at.toISOString() }))
}

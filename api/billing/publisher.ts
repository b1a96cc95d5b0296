// Moves stored meter-days into the billing feed. Any number of processes may call it: an advisory lock, held to the end of the
// transaction, lets one at a time, so positions become visible in their order and a reader that goes on after the last one it has seen
// misses nothing. Everything of one call is one transaction: a crash leaves the days pending.
import { DAY_MS } from '#model/time.ts'
import { type Pool, type PoolClient, tx } from '#runtime/postgres.ts'
import { type Gate, type GateOutcome, gateOf, judge } from './gate.ts'
import { emptyPublication, type KnownDay, type PendingDay, type Publication, planPending, releaseHeld } from './publication.ts'

/** Any constant of our own, besides those of migrations and of the days. */
const PUBLISH_LOCK = 0x4d53_0003
/** Days looked at in one transaction. */
export const PUBLISH_BATCH = 5_000

/** SQL: the tariff class of the account behind a meter for a quantity; '' where there is none. */
export const CLASS_OF = `CASE WHEN d.quantity LIKE 'water%' THEN coalesce(c.tariff_water, '')
  WHEN d.quantity LIKE 'active_energy%' OR d.quantity LIKE 'reactive_energy%' THEN coalesce(c.tariff_power, '') ELSE '' END`
export const JOIN_CLASS = `LEFT JOIN assets a ON a.id = d.meter LEFT JOIN accounts c ON c.account = a.properties->>'account'`

export interface Published {
  /** Entries that are in the feed now. */
  published: number
  held: number
  released: number
  /** Pending days looked at; fewer than PUBLISH_BATCH means that nothing waits. */
  looked: number
}
const NOTHING: Published = { published: 0, held: 0, released: 0, looked: 0 }

interface PendingRow extends Omit<PendingDay, 'key' | 'gate' | 'daySeq'> {
  day_seq: number
  meter: string
  quantity: string
  channel: string
  date: string
  class: string
  decided_at: Date
}
const keyOf = (d: { meter: string; quantity: string; channel: string; date: string }) =>
  JSON.stringify([d.meter, d.quantity, d.channel, d.date])

/**
 * Publishes or holds the oldest pending days. Does nothing while another process is at it, as they are in its hands then, unless it is
 * told to `wait` for its turn: closing must not overtake what is being published.
 */
export async function publishPending(pool: Pool, how: { batch?: number; wait?: boolean } = {}): Promise<Published> {
  const { batch = PUBLISH_BATCH, wait = false } = how
  // Asked outside of a transaction: most of the time there is nothing to do.
  const { rows: waiting } = await pool.query('SELECT 1 FROM billing_pending LIMIT 1')
  if (waiting.length === 0) return NOTHING
  return tx(pool, async (client) => {
    if (wait) await client.query('SELECT pg_advisory_xact_lock($1)', [PUBLISH_LOCK])
    else if (!(await lock(client))) return NOTHING
    const { rows } = await client.query<PendingRow>(
      `SELECT d.feed_seq AS day_seq, d.meter, d.quantity, d.channel, to_char(d.date, 'YYYY-MM-DD') AS date, d.rev, d.actual, d.estimated,
         d.missing, d.edited, d.decided_at, ${CLASS_OF} AS class
       FROM billing_pending p JOIN meter_days d ON d.feed_seq = p.day_seq ${JOIN_CLASS} ORDER BY p.day_seq LIMIT $1`,
      [batch],
    )
    const gates = await readGates(client)
    const known = await knownDays(
      client,
      rows.filter((r) => r.rev > 1),
    )
    const plan = emptyPublication(await headOf(client))
    planPending(
      plan,
      rows.map((r) => ({ ...r, daySeq: r.day_seq, key: keyOf(r), gate: gateOf(gates, r.class) })),
      known,
    )
    await client.query('DELETE FROM billing_pending WHERE day_seq = ANY($1::bigint[])', [rows.map((r) => r.day_seq)])
    await saveHolds(client, plan, rows, gates)
    await savePlan(client, plan)
    return { published: plan.entries.length, held: plan.holds.length, released: plan.released.length, looked: rows.length }
  })
}

/**
 * Looks again at held days whose gate changed, whose account moved to another class or whose deadline passed, by their newest revision.
 * At most `batch` days a call, oldest first.
 */
export async function reviewHeld(pool: Pool, nowMs: number, batch = PUBLISH_BATCH): Promise<Published> {
  return tx(pool, async (client) => {
    if (!(await lock(client))) return NOTHING
    const { rows } = await client.query<PendingRow & { hold_days: number | null }>(
      `SELECT h.day_seq, h.meter, h.quantity, h.channel, to_char(h.date, 'YYYY-MM-DD') AS date, h.rev, d.actual, d.estimated, d.missing, d.edited,
         h.decided_at, ${CLASS_OF} AS class
       FROM billing_held h JOIN meter_days d ON d.feed_seq = h.day_seq ${JOIN_CLASS}
       LEFT JOIN billing_gates g ON g.class = h.gate_class
       WHERE (g.class IS NULL OR g.rev <> h.gate_rev OR h.class <> ${CLASS_OF}
         OR (h.gate_class = '*' AND EXISTS (SELECT 1 FROM billing_gates own WHERE own.class = h.class))
         OR h.date + g.hold_days < to_timestamp($1::float8 / 1000)::date)
         AND NOT EXISTS (SELECT 1 FROM billing_held n WHERE n.meter = h.meter AND n.quantity = h.quantity AND n.channel = h.channel
           AND n.date = h.date AND n.rev > h.rev)
       ORDER BY h.day_seq LIMIT $2`,
      [nowMs, batch],
    )
    if (rows.length === 0) return NOTHING
    const gates = await readGates(client)
    const known = await knownDays(client, rows)
    const plan = emptyPublication(await headOf(client))
    const still: (PendingRow & { gate: Gate })[] = []
    for (const row of rows) {
      const gate = gateOf(gates, row.class)
      const outcome = outcomeOf(row, gate, nowMs)
      const of = known.get(keyOf(row))
      if (outcome === null) still.push({ ...row, gate: gate as Gate })
      else if (of !== undefined) releaseHeld(plan, of, outcome)
    }
    await savePlan(client, plan)
    await markReviewed(client, still)
    return { published: plan.entries.length, held: 0, released: plan.released.length, looked: rows.length }
  })
}

function outcomeOf(row: PendingRow, gate: Gate | null, nowMs: number): GateOutcome | null {
  if (judge(gate, row).pass) return 'released_gate_changed'
  const holdDays = gate?.holdDays ?? null
  return holdDays !== null && Date.parse(row.date) + (holdDays + 1) * DAY_MS <= nowMs ? 'released_deadline' : null
}

async function markReviewed(client: PoolClient, rows: readonly (PendingRow & { gate: Gate })[]): Promise<void> {
  if (rows.length === 0) return
  await client.query(
    `UPDATE billing_held h SET class = n.class, limit_pct = n.pct, gate_class = n.gate_class, gate_rev = n.rev
     FROM unnest($1::bigint[], $2::text[], $3::float8[], $4::text[], $5::int[]) n(day_seq, class, pct, gate_class, rev)
     WHERE h.day_seq = n.day_seq`,
    [
      rows.map((r) => r.day_seq),
      rows.map((r) => r.class),
      rows.map((r) => r.gate.maxEstimatedPct),
      rows.map((r) => r.gate.class),
      rows.map((r) => r.gate.rev),
    ],
  )
}

/** A person lets a held day into the feed as it is. Returns the positions of its revisions; none when nothing of it is held. */
export async function releaseByHand(
  pool: Pool,
  day: { meter: string; quantity: string; channel: string; date: string },
  by: { who: string; note: string },
): Promise<number[]> {
  return tx(pool, async (client) => {
    await client.query('SELECT pg_advisory_xact_lock($1)', [PUBLISH_LOCK])
    const of = (await knownDays(client, [day])).get(keyOf(day))
    if (of === undefined || of.held.length === 0) return []
    const plan = emptyPublication(await headOf(client))
    releaseHeld(plan, of, 'released_by_hand')
    await savePlan(client, plan, by)
    return plan.entries.map((e) => e.pos)
  })
}

async function lock(client: PoolClient): Promise<boolean> {
  const { rows } = await client.query<{ ok: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS ok', [PUBLISH_LOCK])
  return rows[0]?.ok === true
}

/** Only under the lock. */
async function headOf(client: PoolClient): Promise<number> {
  const { rows } = await client.query<{ pos: number }>('SELECT coalesce(max(pos), 0) AS pos FROM billing_feed')
  return rows[0]?.pos ?? 0
}

export async function readGates(client: Pick<PoolClient, 'query'>): Promise<Map<string, Gate>> {
  const { rows } = await client.query<{ class: string; max_estimated_pct: number; hold_days: number | null; rev: number }>(
    'SELECT class, max_estimated_pct, hold_days, rev FROM billing_gates',
  )
  return new Map(rows.map((r) => [r.class, { class: r.class, maxEstimatedPct: r.max_estimated_pct, holdDays: r.hold_days, rev: r.rev }]))
}

/** What is in the feed and what is held of these days. */
async function knownDays(
  client: PoolClient,
  days: readonly { meter: string; quantity: string; channel: string; date: string }[],
): Promise<Map<string, KnownDay>> {
  const known = new Map<string, KnownDay>()
  if (days.length === 0) return known
  const unique = [...new Map(days.map((d) => [keyOf(d), d])).values()]
  const { rows } = await client.query<{
    meter: string
    quantity: string
    channel: string
    date: string
    rev: number
    day_seq: number
    pos: number | null
  }>(
    `SELECT d.meter, d.quantity, d.channel, to_char(d.date, 'YYYY-MM-DD') AS date, d.rev, d.feed_seq AS day_seq, f.pos
     FROM unnest($1::text[], $2::text[], $3::text[], $4::date[]) k(meter, quantity, channel, date)
     JOIN meter_days d ON d.meter = k.meter AND d.quantity = k.quantity AND d.channel = k.channel AND d.date = k.date
     LEFT JOIN billing_feed f ON f.day_seq = d.feed_seq LEFT JOIN billing_held h ON h.day_seq = d.feed_seq
     WHERE f.pos IS NOT NULL OR h.day_seq IS NOT NULL ORDER BY d.rev`,
    [unique.map((d) => d.meter), unique.map((d) => d.quantity), unique.map((d) => d.channel), unique.map((d) => d.date)],
  )
  for (const row of rows) {
    const key = keyOf(row)
    const of = known.get(key) ?? { published: null, held: [] }
    known.set(key, of)
    if (row.pos === null) of.held.push({ daySeq: row.day_seq, rev: row.rev })
    else of.published = { pos: row.pos, rev: row.rev }
  }
  return known
}

async function saveHolds(
  client: PoolClient,
  plan: Publication,
  rows: readonly PendingRow[],
  gates: ReadonlyMap<string, Gate>,
): Promise<void> {
  // Held and released again within this batch: it never was held for anybody to see.
  const released = new Set(plan.released)
  const holds = plan.holds.filter((h) => !released.has(h.daySeq))
  if (holds.length === 0) return
  const rowOf = new Map(rows.map((r) => [r.day_seq, r]))
  const of = holds.map((h) => rowOf.get(h.daySeq) as PendingRow)
  const gate = of.map((r) => gateOf(gates, r.class) as Gate)
  await client.query(
    `INSERT INTO billing_held (day_seq, meter, quantity, channel, date, rev, class, reason, estimated_pct, limit_pct, gate_class, gate_rev, decided_at)
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::date[], $6::int[], $7::text[], $8::text[], $9::float8[],
       $10::float8[], $11::text[], $12::int[], $13::timestamptz[])`,
    [
      holds.map((h) => h.daySeq),
      of.map((r) => r.meter),
      of.map((r) => r.quantity),
      of.map((r) => r.channel),
      of.map((r) => r.date),
      of.map((r) => r.rev),
      of.map((r) => r.class),
      holds.map((h) => h.reason),
      holds.map((h) => h.estimatedPct),
      holds.map((h) => h.limitPct),
      gate.map((g) => g.class),
      gate.map((g) => g.rev),
      of.map((r) => r.decided_at.toISOString()),
    ],
  )
}

async function savePlan(client: PoolClient, plan: Publication, by?: { who: string; note: string }): Promise<void> {
  if (plan.released.length > 0) await client.query('DELETE FROM billing_held WHERE day_seq = ANY($1::bigint[])', [plan.released])
  if (plan.entries.length === 0) return
  await client.query(
    `INSERT INTO billing_feed (pos, day_seq, supersedes, gate, released_by, note)
     SELECT pos, day_seq, supersedes, gate, $5, $6 FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) n(pos, day_seq, supersedes, gate)`,
    [
      plan.entries.map((e) => e.pos),
      plan.entries.map((e) => e.daySeq),
      plan.entries.map((e) => e.supersedes),
      plan.entries.map((e) => e.gate),
      by?.who ?? null,
      by?.note ?? null,
    ],
  )
}

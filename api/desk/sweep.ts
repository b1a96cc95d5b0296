// What only time does to tickets: escalation steps that come due, priorities that rise, suspicions nobody confirmed. One process at a time.
import type { SlaStep } from '#model/desk.ts'
import type { TicketClass } from '#model/ticket.ts'
import { type Pool, type PoolClient, type Queryable, tx } from '#runtime/postgres.ts'
import { doubtSuspicions } from './report-store.ts'
import { fromRow, SELECT, type TicketRow } from './rows.ts'
import { loadRules } from './rules.ts'
import { clocksOf, escalationsDue, type Pace, type Rules } from './sla.ts'
import { alter } from './store.ts'
import { prioritised, timed } from './ticket.ts'
import { OPEN } from './ticket-lists.ts'

const LOCK = 'desk sweep'
/** Open tickets looked at in one sweep at most; the rest in the next. */
const SWEPT_MAX = 100_000
const PAGE = 1_000

export interface Swept {
  escalated: number
  raised: number
  doubted: number
}

/** Undefined when another process is at it. Every ticket that changes does so in a transaction of its own. */
export async function sweep(pool: Pool, nowMs: number): Promise<Swept | undefined> {
  const client = await pool.connect()
  try {
    const { rows } = await client.query<{ ok: boolean }>('SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS ok', [LOCK])
    if (rows[0]?.ok !== true) return undefined
    try {
      return await sweepAll(pool, client, nowMs)
    } finally {
      await client.query('SELECT pg_advisory_unlock(hashtextextended($1, 0))', [LOCK])
    }
  } finally {
    client.release()
  }
}

async function sweepAll(pool: Pool, db: Queryable, nowMs: number): Promise<Swept> {
  const rules = await loadRules(db)
  const out: Swept = { escalated: 0, raised: 0, doubted: await tx(pool, (client) => doubtSuspicions(client, nowMs)) }
  let after = 0
  for (let seen = 0; seen < SWEPT_MAX; seen += PAGE) {
    const { rows } = await db.query<TicketRow>(`${SELECT} WHERE ${OPEN} AND no > $1 ORDER BY no LIMIT $2`, [after, PAGE])
    for (const row of rows) {
      after = row.no
      const t = fromRow(row)
      const raised = prioritised(t, rules, nowMs).priority < t.priority
      const due = escalationsDue(rules, clocksOf(t, rules, nowMs), t.escalation).length > 0
      if (!raised && !due) continue
      await tx(pool, (client) => timePassed(client, t.no, { rules, nowMs }))
      if (raised) out.raised += 1
      if (due) out.escalated += 1
    }
    if (rows.length < PAGE) break
  }
  return out
}

async function timePassed(client: PoolClient, no: number, { rules, nowMs }: { rules: Rules; nowMs: number }): Promise<void> {
  await alter(client, no, (t) => {
    const next = prioritised(t, rules, nowMs)
    if (next.priority >= t.priority) return undefined
    const note = `${t.priority} to ${next.priority}: ${next.priorityReasons.join(', ')}`
    return { ticket: timed(next, rules), change: { atMs: nowMs, who: 'desk', action: 'prioritise', reason: 'priority_raised', note } }
  })
  await alter(client, no, (t) => {
    const steps = escalationsDue(rules, clocksOf(t, rules, nowMs), t.escalation)
    if (steps.length === 0) return undefined
    const change = { atMs: nowMs, who: 'desk', action: 'escalate' as const, reason: 'limit_used', note: steps.join(', ') }
    return { ticket: { ...t, escalation: [...t.escalation, ...steps] }, change }
  })
}

/** Tickets of this long back say what is usual, and at least so many of them. */
const PACE_BACK_MS = 90 * 86_400_000
const PACE_MIN = 5

/** Usual times by `class priority`: medians of what was done lately. */
export async function paces(db: Queryable, nowMs: number): Promise<ReadonlyMap<string, Pace>> {
  const { rows } = await db.query<Record<SlaStep, number | null> & { class: TicketClass; priority: number }>(
    `SELECT class, priority,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY responded_ms - clock_from_ms) FILTER (WHERE responded_ms IS NOT NULL) AS respond,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY dispatched_ms - clock_from_ms) FILTER (WHERE dispatched_ms IS NOT NULL) AS dispatch,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY resolved_ms - clock_from_ms) FILTER (WHERE resolved_ms IS NOT NULL) AS resolve,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY replied_ms - clock_from_ms) FILTER (WHERE replied_ms IS NOT NULL) AS reply
     FROM (SELECT * FROM tickets WHERE closed_ms >= $1 AND state <> 'cancelled' AND merged_into = '' ORDER BY closed_ms DESC LIMIT 20000) t
     GROUP BY class, priority HAVING count(*) >= ${PACE_MIN}`,
    [nowMs - PACE_BACK_MS],
  )
  return new Map(
    rows.map(({ class: cls, priority, ...steps }) => [
      `${cls} ${priority}`,
      Object.fromEntries(Object.entries(steps).filter(([, v]) => v !== null && v >= 0)) as Pace,
    ]),
  )
}

// Alarms, their journal and the policy as rows of PostgreSQL. Many at once in one statement: a storm is a few round trips.
import { type AlarmChange, type AlarmPriority, CHATTER } from '#model/alarm.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { DEFAULT_POLICY, Policy } from './policy.ts'
import type { Answer, JournalCall, Weight } from './rates.ts'
import { type Alarm, nextDueMs, stateOf } from './state.ts'

export interface AlarmStep {
  alarm: Alarm
  changes: AlarmChange[]
  command?: string
}

/** Channel of NOTIFY, shared with the desk; payloads of ours are `a:<key of an alarm>`. */
const CHANNEL = 'desk_changed'

export async function alarmsByKey(db: Queryable, keys: readonly string[], lock = false): Promise<Map<string, Alarm>> {
  if (keys.length === 0) return new Map()
  // In order of keys: two writers must not wait crosswise.
  const { rows } = await db.query<{ body: Alarm }>(`SELECT body FROM alarms WHERE key = ANY($1) ORDER BY key ${lock ? 'FOR UPDATE' : ''}`, [
    keys,
  ])
  return new Map(rows.map((r) => [r.body.key, r.body]))
}

/** Active alarms of these zones, locked for writing. */
export async function activeAlarms(db: Queryable, zones: readonly string[], limit: number): Promise<Alarm[]> {
  const { rows } = await db.query<{ body: Alarm }>(
    'SELECT body FROM alarms WHERE active AND zone = ANY($1) ORDER BY key LIMIT $2 FOR UPDATE',
    [zones, limit],
  )
  return rows.map((r) => r.body)
}

/** What a shift has in front of it: everything that is not normal, and what changed since `sinceMs`. */
export async function shownAlarms(db: Queryable, sinceMs: number, limit: number): Promise<Alarm[]> {
  const { rows } = await db.query<{ body: Alarm }>(
    `(SELECT body FROM alarms WHERE state <> 'normal' ORDER BY priority, updated_ms DESC LIMIT $2) UNION ALL
     (SELECT body FROM alarms WHERE state = 'normal' AND updated_ms >= $1 ORDER BY updated_ms DESC LIMIT $2)`,
    [sinceMs, limit],
  )
  return rows.map((r) => r.body)
}

/** What weighs on the shift: no alerts, and of what is normal again only what called in the last hour. */
export async function weights(db: Queryable, nowMs: number, limit: number): Promise<Weight[]> {
  const { rows } = await db.query<{ priority: Weight['priority']; state: Weight['state']; since: number; calls: number[] }>(
    `SELECT priority, state, (body->>'activeSinceMs')::bigint AS since, body->'calls' AS calls FROM alarms
     WHERE priority < 4 AND (state <> 'normal' OR updated_ms > $1) LIMIT $2`,
    [nowMs - CHATTER.windowMs, limit],
  )
  return rows.map((r) => ({ priority: r.priority, state: r.state, activeSinceMs: r.since, calls: r.calls }))
}

/** For which the clock has something to do. */
export async function dueAlarms(db: Queryable, nowMs: number, limit: number): Promise<Alarm[]> {
  const { rows } = await db.query<{ body: Alarm }>(
    'SELECT body FROM alarms WHERE due_ms <= $1 ORDER BY key LIMIT $2 FOR UPDATE SKIP LOCKED',
    [nowMs, limit],
  )
  return rows.map((r) => r.body)
}

/** Suppressed alarms behind a key, a page at a time: what suppressed them may be gone. */
export async function suppressedAlarms(db: Queryable, after: string, limit: number): Promise<Alarm[]> {
  const { rows } = await db.query<{ body: Alarm }>(
    'SELECT body FROM alarms WHERE suppressed AND key > $1 ORDER BY key LIMIT $2 FOR UPDATE SKIP LOCKED',
    [after, limit],
  )
  return rows.map((r) => r.body)
}

export async function saveSteps(db: Queryable, steps: readonly AlarmStep[], policy: Policy): Promise<void> {
  if (steps.length === 0) return
  const alarms = steps.map(({ alarm: a }) => ({
    key: a.key,
    zone: a.zone,
    state: stateOf(a),
    priority: a.priority,
    active: a.active,
    suppressed: a.suppressed !== null,
    due_ms: nextDueMs(a, policy) ?? null,
    updated_ms: a.updatedMs,
    version: a.version,
    body: a,
  }))
  await db.query(
    `INSERT INTO alarms AS old SELECT * FROM jsonb_populate_recordset(NULL::alarms, $1::jsonb) ORDER BY key
     ON CONFLICT (key) DO UPDATE SET (zone, state, priority, active, suppressed, due_ms, updated_ms, version, body) =
       (excluded.zone, excluded.state, excluded.priority, excluded.active, excluded.suppressed, excluded.due_ms, excluded.updated_ms,
        excluded.version, excluded.body)`,
    [JSON.stringify(alarms)],
  )
  await saveJournal(db, steps)
  const changed = steps.filter((s) => s.changes.length > 0).map((s) => `a:${s.alarm.key}`)
  if (changed.length > 0) await db.query('SELECT pg_notify($1, p) FROM unnest($2::text[]) p', [CHANNEL, changed])
}

async function saveJournal(db: Queryable, steps: readonly AlarmStep[]): Promise<void> {
  const rows = steps.flatMap(({ alarm, changes, command }) =>
    changes.map((c, i) => ({
      key: alarm.key,
      version: c.version,
      at_ms: c.atMs,
      who: c.who,
      action: c.action,
      from_state: c.from,
      to_state: c.to,
      priority: c.priority,
      finding: c.finding,
      reason: c.reason,
      command: i === 0 ? (command ?? null) : null,
    })),
  )
  if (rows.length === 0) return
  const columns = 'key, version, at_ms, who, action, from_state, to_state, priority, finding, reason, command'
  await db.query(
    `INSERT INTO alarm_journal (${columns}) SELECT ${columns} FROM jsonb_populate_recordset(NULL::alarm_journal, $1::jsonb) ORDER BY at_ms, key, version`,
    [JSON.stringify(rows)],
  )
}

interface JournalRow {
  seq: number
  key: string
  version: number
  at_ms: number
  who: string
  action: AlarmChange['action']
  from_state: AlarmChange['from']
  to_state: AlarmChange['to']
  priority: AlarmPriority
  finding: string
  reason: string
}
export type JournalEntry = AlarmChange & { seq: number; key: string }

/** Newest first. */
export async function journal(
  db: Queryable,
  q: { key?: string | undefined; who?: string | undefined; people?: boolean | undefined; before?: number | undefined; limit: number },
): Promise<JournalEntry[]> {
  const { rows } = await db.query<JournalRow>(
    `SELECT seq, key, version, at_ms, who, action, from_state, to_state, priority, finding, reason FROM alarm_journal
     WHERE ($1::text IS NULL OR key = $1) AND ($2::text IS NULL OR who = $2) AND ($3::bigint IS NULL OR seq < $3)
       AND (NOT $4::boolean OR who <> 'telemetry') ORDER BY seq DESC LIMIT $5`,
    [q.key ?? null, q.who ?? null, q.before ?? null, q.people ?? false, q.limit],
  )
  return rows.map(({ at_ms, from_state, to_state, ...r }) => ({ ...r, atMs: at_ms, from: from_state, to: to_state }))
}

export async function commandDone(db: Queryable, key: string, command: string): Promise<boolean> {
  const { rowCount } = await db.query('SELECT 1 FROM alarm_journal WHERE key = $1 AND command = $2', [key, command])
  return (rowCount ?? 0) > 0
}

/** Annunciations in a range, oldest first. */
export async function callsIn(db: Queryable, fromMs: number, toMs: number, limit: number): Promise<JournalCall[]> {
  const { rows } = await db.query<{ key: string; at_ms: number; priority: AlarmPriority }>(
    "SELECT key, at_ms, priority FROM alarm_journal WHERE action = 'annunciate' AND at_ms >= $1 AND at_ms < $2 ORDER BY at_ms LIMIT $3",
    [fromMs, toMs, limit],
  )
  return rows.map((r) => ({ key: r.key, atMs: r.at_ms, priority: r.priority }))
}

/** Acknowledgements in a range with the time since the call that they answer, oldest first. */
export async function answersIn(db: Queryable, fromMs: number, toMs: number, limit: number): Promise<Answer[]> {
  const { rows } = await db.query<{ who: string; at_ms: number; called_ms: number }>(
    `SELECT a.who, a.at_ms, c.at_ms AS called_ms FROM alarm_journal a
     JOIN LATERAL (SELECT at_ms FROM alarm_journal c WHERE c.key = a.key AND c.version < a.version AND c.action = 'annunciate' ORDER BY version DESC LIMIT 1) c ON true
     WHERE a.action = 'acknowledge' AND a.at_ms >= $1 AND a.at_ms < $2 ORDER BY a.at_ms LIMIT $3`,
    [fromMs, toMs, limit],
  )
  return rows.map((r) => ({ who: r.who, atMs: r.at_ms, afterMs: r.at_ms - r.called_ms }))
}

export interface PolicyVersion {
  version: number
  at: string
  who: string
  reason: string
  policy: Policy
}

/** Newest first; the defaults are version 0. */
export async function policyVersions(db: Queryable, limit: number): Promise<PolicyVersion[]> {
  const { rows } = await db.query<{ version: number; at: Date; who: string; reason: string; body: unknown }>(
    'SELECT version, at, who, reason, body FROM alarm_policies ORDER BY version DESC LIMIT $1',
    [limit],
  )
  const saved = rows.map((r) => ({
    version: r.version,
    at: r.at.toISOString(),
    who: r.who,
    reason: r.reason,
    policy: Policy.parse(r.body),
  }))
  const defaults = { version: 0, at: '1970-01-01T00:00:00Z', who: 'system', reason: 'defaults', policy: DEFAULT_POLICY }
  return [...saved, defaults].slice(0, limit)
}

export async function currentPolicy(db: Queryable): Promise<Policy> {
  return (await policyVersions(db, 1))[0]?.policy ?? DEFAULT_POLICY
}

/** False when somebody else saved a version after `after`. */
export async function savePolicy(db: Queryable, p: { after: number; who: string; reason: string; policy: Policy }): Promise<boolean> {
  const { rowCount } = await db.query(
    `INSERT INTO alarm_policies (version, who, reason, body) SELECT $1 + 1, $2, $3, $4
     WHERE (SELECT coalesce(max(version), 0) FROM alarm_policies) = $1 ON CONFLICT DO NOTHING`,
    [p.after, p.who, p.reason, JSON.stringify(p.policy)],
  )
  return rowCount === 1
}

export async function pruneJournal(db: Queryable, beforeMs: number, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    'DELETE FROM alarm_journal WHERE seq IN (SELECT seq FROM alarm_journal WHERE at_ms < $1 ORDER BY at_ms LIMIT $2)',
    [beforeMs, limit],
  )
  return rowCount ?? 0
}

// Alarms kept in PostgreSQL: findings come in, the clock goes on, people act. Each is one transaction that locks the alarms it changes,
// so any number of api processes may run; what comes twice changes nothing.
import { alarmKey } from '#model/alarm.ts'
import type { Operation } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import { type Pool, type Queryable, tx } from '#runtime/postgres.ts'
import type { Policy } from './policy.ts'
import { type AlarmStep, activeAlarms, alarmsByKey, commandDone, currentPolicy, dueAlarms, saveSteps, suppressedAlarms } from './rows.ts'
import { type Alarm, type AlarmCommand, applyCommand, applyFinding, type CommandOutcome, suppress, tick } from './state.ts'
import { type Place, type Surroundings, suppressionOf } from './suppress.ts'

/** Findings of one transaction. */
const BATCH = 500
/** Active alarms looked at for suppression at a time; in a storm beyond that the rest is looked at with the next news of the zone. */
const LOOKED_AT_MAX = 5_000
const DUE_MAX = 2_000

/** Folds findings in the order given. Returns how many alarms changed. */
export async function takeFindings(pool: Pool, findings: readonly Finding[]): Promise<number> {
  let changed = 0
  for (let i = 0; i < findings.length; i += BATCH) {
    const part = findings.slice(i, i + BATCH)
    changed += await tx(pool, (client) => fold(client, part))
  }
  return changed
}

async function fold(db: Queryable, findings: readonly Finding[]): Promise<number> {
  // An alarm's first row cannot be locked before it is there: those who fold findings do so one after the other.
  await db.query("SELECT pg_advisory_xact_lock(hashtext('meterstream_alarms'))")
  const policy = await currentPolicy(db)
  const before = await alarmsByKey(db, [...new Set(findings.map(alarmKey))], true)
  const steps = new Map<string, AlarmStep>()
  for (const f of findings) {
    const key = alarmKey(f)
    const step = applyFinding(steps.get(key)?.alarm ?? before.get(key) ?? null, f, policy)
    if (step !== undefined) steps.set(key, joined(steps.get(key), step))
  }
  await saveSteps(db, [...steps.values()], policy)
  const nowMs = Math.max(0, ...findings.map((f) => Date.parse(f.updatedAt)))
  const zones = [...new Set([...steps.values()].map((s) => s.alarm.zone))]
  const active = await activeAlarms(db, zones, LOOKED_AT_MAX)
  const judged = await judge(db, active, { policy, nowMs, zones })
  // Only now may they call: what something explains is quiet by now.
  const calls = active.map((a) => judged.get(a.key) ?? a).flatMap((a) => tick(a, a.updatedMs, policy) ?? [])
  await saveSteps(db, calls, policy)
  return steps.size
}

const joined = (first: AlarmStep | undefined, next: AlarmStep): AlarmStep => ({
  ...next,
  changes: [...(first?.changes ?? []), ...next.changes],
})

/** Suppresses what something explains now, and lets speak what nothing explains any more. */
async function judge(
  db: Queryable,
  alarms: readonly Alarm[],
  { policy, nowMs, zones }: { policy: Policy; nowMs: number; zones: readonly string[] },
): Promise<Map<string, Alarm>> {
  if (alarms.length === 0) return new Map()
  const around = await surroundings(db, alarms, { nowMs, zones })
  const steps = alarms.flatMap((a) => suppress(a, a.active ? suppressionOf(a, around) : null, nowMs) ?? [])
  await saveSteps(db, steps, policy)
  return new Map(steps.map((s) => [s.alarm.key, s.alarm]))
}

async function surroundings(
  db: Queryable,
  alarms: readonly Alarm[],
  { nowMs, zones }: { nowMs: number; zones: readonly string[] },
): Promise<Surroundings> {
  // Gateways and substations serve several zones: their alarms count wherever they are filed.
  const causes = await db.query<{ body: Alarm }>(
    `SELECT body FROM alarms WHERE active AND (zone = ANY($1) OR key LIKE 'comms_failure:gateway:%' OR key LIKE 'outage:substation:%') LIMIT $2`,
    [zones, LOOKED_AT_MAX],
  )
  const operations = await db.query<{ kind: Operation['kind']; scope_type: Operation['scopeType']; scope: string }>(
    `SELECT kind, scope_type, scope FROM operations
     WHERE known_at <= to_timestamp($1::float8 / 1000) AND start_at <= to_timestamp($1::float8 / 1000) AND end_at > to_timestamp($1::float8 / 1000) LIMIT 1000`,
    [nowMs],
  )
  const places = await db.query<{ id: string; place: Place }>(
    `SELECT id, jsonb_strip_nulls(jsonb_build_object('gateway', properties->'gateway', 'transformer', properties->'transformer', 'feeder', properties->'feeder',
       'substation', properties->'substation', 'dma', properties->'dma')) AS place FROM assets WHERE id = ANY($1)`,
    [[...new Set(alarms.map((a) => a.scope.id))]],
  )
  const parents = await db.query<{ id: string; parent: string }>(
    "SELECT id, body->>'parent' AS parent FROM findings WHERE id = ANY($1) AND body ? 'parent'",
    [alarms.map((a) => a.finding)],
  )
  return {
    active: new Map(causes.rows.map((r) => [r.body.key, r.body])),
    byFinding: new Map(causes.rows.flatMap((r) => r.body.open.map((id) => [id, r.body.key]))),
    parents: new Map(parents.rows.map((r) => [r.id, r.parent])),
    operations: operations.rows.map((o) => ({
      kind: o.kind,
      scopeType: o.scope_type,
      scope: o.scope,
      ...{ knownAtMs: nowMs, startMs: nowMs, endMs: nowMs, note: '' },
    })),
    places: new Map(places.rows.map((r) => [r.id, r.place])),
  }
}

/**
 * What the clock alone does: delays that passed, shelves that expired, causes that went. Suppressed alarms are looked at a page at a
 * time, beginning behind `after`; `next` is where to go on.
 */
export async function passTime(pool: Pool, nowMs: number, after = ''): Promise<{ changed: number; next: string }> {
  return tx(pool, async (client) => {
    const policy = await currentPolicy(client)
    const steps = (await dueAlarms(client, nowMs, DUE_MAX)).flatMap((a) => tick(a, nowMs, policy) ?? [])
    await saveSteps(client, steps, policy)
    const quiet = await suppressedAlarms(client, after, DUE_MAX)
    const freed = await judge(client, quiet, { policy, nowMs, zones: [...new Set(quiet.map((a) => a.zone))] })
    const next = quiet.length < DUE_MAX ? '' : (quiet.at(-1)?.key ?? '')
    return { changed: steps.length + freed.size, next }
  })
}

export type Acted =
  | CommandOutcome
  | { ok: false; code: 'not_found'; message: string }
  | { ok: true; step: { alarm: Alarm }; repeated: true }

/** One person's step on one alarm. The same Idempotency-Key again does nothing new. */
export async function act(pool: Pool, key: string, c: AlarmCommand & { command?: string }): Promise<Acted> {
  return tx(pool, async (client) => {
    const alarm = (await alarmsByKey(client, [key], true)).get(key)
    if (alarm === undefined) return { ok: false, code: 'not_found', message: `there is no alarm ${key}` }
    if (c.command !== undefined && (await commandDone(client, key, c.command))) return { ok: true, step: { alarm }, repeated: true }
    const policy = await currentPolicy(client)
    const outcome = applyCommand(alarm, c, policy)
    if (outcome.ok) await saveSteps(client, [{ ...outcome.step, ...(c.command === undefined ? {} : { command: c.command }) }], policy)
    return outcome
  })
}

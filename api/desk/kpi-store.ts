// Service figures from tickets, call-backs and estimates, grouped as asked. One pass over the tickets opened in the range.
import type { Queryable } from '#runtime/postgres.ts'
import type { Measure } from './scorecard.ts'
import { ScorecardModel } from './scorecard.ts'
import type { Rules } from './sla.ts'

export const GROUPS = ['all', 'class', 'segment', 'team', 'month', 'priority', 'team_month'] as const
export type Group = (typeof GROUPS)[number]

export interface Kpis {
  group: string
  tickets: number
  open: number
  reported: number
  respondedInTime: number | null
  resolvedInTime: number | null
  repliedInTime: number | null
  firstContact: number | null
  reopened: number | null
  escalated: number | null
  complaints: number
  repeatComplaints: number | null
  callbacks: number
  satisfaction: number | null
  expected: number | null
  estimatesKept: number | null
  medianRespondMin: number | null
  medianDispatchMin: number | null
  medianResolveMin: number | null
  p90ResolveMin: number | null
  workHours: number
  customersAffected: number
  waterLostM3: number
  energyNotSuppliedKwh: number
  cost: number
}

/** Mean demand of one customer, for energy not supplied: a household of about 3,500 kWh a year. */
const CUSTOMER_KW = 0.4
/** A complaint of the same customer within this long before makes it a repeat. */
const REPEAT_MS = 30 * 86_400_000

const KEY: Record<Group, string> = {
  all: "'all'",
  class: "class || CASE WHEN subtype = '' THEN '' ELSE '/' || subtype END",
  segment: "coalesce(nullif(segment, ''), 'unknown')",
  team: 'team',
  month: "to_char(month, 'YYYY-MM')",
  priority: 'priority::text',
  team_month: "team || ' ' || to_char(month, 'YYYY-MM')",
}

/** What counts, from a ticket's row: done and due of each step, duration, loss. `$3` is now, so what is open counts as far as it has come. */
const CASES = `
  SELECT no, class, subtype, priority, impact->>'segment' AS segment, (impact->>'customers')::int AS customers, (impact->>'lossM3h')::float8 AS loss,
    origin, account, reopened, reports, cardinality(escalation) > 0 AS escalated, opened_ms, clock_from_ms, etr_ms,
    coalesce($4::jsonb->>assignee, nullif(assignee, ''), 'desk') AS team,
    date_trunc('month', to_timestamp(opened_ms / 1000.0) AT TIME ZONE $5) AS month,
    coalesce(responded_ms, dispatched_ms, resolved_ms, closed_ms) AS responded, respond_due_ms, dispatched_ms,
    coalesce(resolved_ms, closed_ms) AS resolved, resolve_due_ms,
    CASE WHEN origin = 'report' THEN coalesce(replied_ms, closed_ms) END AS replied, reply_due_ms, telemetry_closed_ms,
    greatest(0, coalesce(telemetry_closed_ms, resolved_ms, closed_ms, $3::bigint) - started_ms) / 3600000.0 AS hours,
    CASE WHEN dispatched_ms IS NULL THEN 0 ELSE greatest(0, coalesce(resolved_ms, closed_ms, $3::bigint) - dispatched_ms) / 3600000.0 END AS work
  FROM tickets WHERE opened_ms >= $1 AND opened_ms < $2 AND state <> 'cancelled' AND merged_into = ''`

/** Share of those done, or overdue, that were done in time. */
const inTime = (done: string, due: string) =>
  `avg(CASE WHEN ${done} IS NOT NULL THEN (${done} <= ${due})::int WHEN $3::bigint > ${due} THEN 0 END)::float8`
/** The trend over a year goes without: sorting every step of every ticket is half of the work. */
const minutes = (q: number, done: string, by: Group) =>
  by === 'team_month'
    ? 'NULL::float8'
    : `(percentile_cont(${q}) WITHIN GROUP (ORDER BY (${done} - clock_from_ms) / 60000.0) FILTER (WHERE ${done} >= clock_from_ms))::float8`

export async function kpis(db: Queryable, q: { fromMs: number; toMs: number; nowMs: number; by: Group }, rules: Rules): Promise<Kpis[]> {
  const { costs, teams } = rules.settings
  const { rows } = await db.query<Kpis>(
    `WITH cases AS (${CASES})
     SELECT ${KEY[q.by]} AS "group", count(*) AS tickets, count(*) FILTER (WHERE resolved IS NULL) AS open, count(*) FILTER (WHERE origin = 'report') AS reported,
       ${inTime('responded', 'respond_due_ms')} AS "respondedInTime", ${inTime('resolved', 'resolve_due_ms')} AS "resolvedInTime",
       (avg(CASE WHEN origin <> 'report' THEN NULL WHEN replied IS NOT NULL THEN (replied <= reply_due_ms)::int WHEN $3::bigint > reply_due_ms THEN 0 END))::float8 AS "repliedInTime",
       (avg((dispatched_ms IS NULL AND reopened = 0 AND reports <= 1)::int) FILTER (WHERE origin = 'report' AND resolved IS NOT NULL))::float8 AS "firstContact",
       (avg((reopened > 0)::int) FILTER (WHERE resolved IS NOT NULL OR reopened > 0))::float8 AS reopened,
       (avg(escalated::int))::float8 AS escalated,
       count(*) FILTER (WHERE class = 'complaint') AS complaints,
       (avg((EXISTS (SELECT 1 FROM tickets p WHERE p.account = cases.account AND p.account <> '' AND p.class = 'complaint' AND p.no <> cases.no
          AND p.opened_ms >= cases.opened_ms - ${REPEAT_MS} AND p.opened_ms < cases.opened_ms))::int) FILTER (WHERE class = 'complaint' AND account <> ''))::float8 AS "repeatComplaints",
       count(c.score) AS callbacks, avg(c.score)::float8 AS satisfaction, avg(c.expected)::float8 AS expected,
       (avg((coalesce(telemetry_closed_ms, resolved) <= etr_ms)::int) FILTER (WHERE etr_ms IS NOT NULL AND coalesce(telemetry_closed_ms, resolved) IS NOT NULL))::float8 AS "estimatesKept",
       ${minutes(0.5, 'responded', q.by)} AS "medianRespondMin", ${minutes(0.5, 'dispatched_ms', q.by)} AS "medianDispatchMin",
       ${minutes(0.5, 'resolved', q.by)} AS "medianResolveMin", ${minutes(0.9, 'resolved', q.by)} AS "p90ResolveMin",
       sum(work)::float8 AS "workHours", sum(customers)::float8 AS "customersAffected",
       sum(loss * hours)::float8 AS "waterLostM3",
       coalesce(sum(customers * hours * ${CUSTOMER_KW}) FILTER (WHERE class = 'outage'), 0)::float8 AS "energyNotSuppliedKwh",
       (sum(work * $6::float8 + loss * hours * $7::float8)
         + coalesce(sum(customers * hours * ${CUSTOMER_KW} * $8::float8) FILTER (WHERE class = 'outage'), 0))::float8 AS cost
     FROM cases LEFT JOIN callbacks c ON c.ticket_no = cases.no AND c.state = 'reached'
     GROUP BY 1 ORDER BY 1 LIMIT 5000`,
    [q.fromMs, q.toMs, q.nowMs, JSON.stringify(teams), rules.calendar.timezone, costs.crewPerHour, costs.waterPerM3, costs.energyPerKwh],
  )
  return rows
}

const not = (x: number | null) => (x === null ? null : 1 - x)

/** The figures as measures of the scorecard, 0 to 1. */
export function measuresOf(k: Kpis, model: ScorecardModel): Record<Measure, number | null> {
  const perTicket = k.tickets === 0 ? null : k.cost / k.tickets
  return {
    responded_in_time: k.respondedInTime,
    resolved_in_time: k.resolvedInTime,
    replied_in_time: k.repliedInTime,
    first_contact: k.firstContact,
    not_escalated: not(k.escalated),
    satisfaction: k.satisfaction === null ? null : (k.satisfaction - 1) / 4,
    estimates_kept: k.estimatesKept,
    not_reopened: not(k.reopened),
    not_repeated: not(k.repeatComplaints),
    cost: perTicket === null ? null : perTicket <= model.costTarget ? 1 : model.costTarget / perTicket,
  }
}

export async function readModel(db: Queryable): Promise<{ model: ScorecardModel; version: number; by: string; at: string | null }> {
  const { rows } = await db.query<{ version: number; body: unknown; who: string; at: Date | null }>(
    'SELECT version, body, who, at FROM scorecard_model',
  )
  const row = rows[0]
  return {
    model: ScorecardModel.parse(row?.body ?? {}),
    version: row?.version ?? 0,
    by: row?.who ?? '',
    at: row?.at?.toISOString() ?? null,
  }
}

export async function writeModel(db: Queryable, model: ScorecardModel, who: string): Promise<void> {
  await db.query('UPDATE scorecard_model SET body = $1, who = $2, at = now(), version = version + 1', [JSON.stringify(model), who])
}

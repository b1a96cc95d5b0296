// What the reliability indices rest on: the newest revision of every outage finding, and how many customers each feeder serves.
import { AssetProperties } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import { toIso } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'
import type { OutageFacts } from '../../core/reliability/from-findings.ts'
import { Problem } from '../problem.ts'

/** Findings one report may rest on: five years of a utility with a hundred outages a day. */
const FACTS_MAX = 200_000

interface Row {
  scope_type: string
  scope_id: string
  zone: string
  started_ms: string
  cleared_ms: string | null
  momentary: boolean
  affected: number
  customers: number | null
  minutes: number | null
  planned: boolean
}

/** Outages of power that began in [fromMs, toMs); withdrawn ones left out. @throws Problem 400 when there are too many to count in one answer. */
export async function outageFacts(db: Queryable, fromMs: number, toMs: number): Promise<OutageFacts[]> {
  const { rows } = await db.query<Row>(
    `SELECT scope_type, scope_id, zone, (extract(epoch FROM started_at) * 1000)::bigint AS started_ms,
       (extract(epoch FROM cleared_at) * 1000)::bigint AS cleared_ms, coalesce((body->>'momentary')::boolean, false) AS momentary,
       coalesce(jsonb_array_length(body->'affected'), 0) AS affected, (body->'size'->>'customers')::float8 AS customers,
       (body->'size'->>'customerMinutes')::float8 AS minutes, body->'evidence' @> '[{"what":"planned-operation"}]' AS planned
     FROM findings WHERE kind = 'outage' AND NOT withdrawn AND scope_type = ANY($1)
       AND started_at >= to_timestamp($2::float8 / 1000) AND started_at < to_timestamp($3::float8 / 1000) LIMIT $4`,
    [['feeder', 'transformer', 'premise'], fromMs, toMs, FACTS_MAX + 1],
  )
  if (rows.length > FACTS_MAX)
    throw new Problem(400, 'range_too_long', `from and to hold more than ${FACTS_MAX} outages; ask for fewer months`)
  return rows.map((r) => ({
    kind: 'outage',
    scope: { type: r.scope_type as Finding['scope']['type'], id: r.scope_id },
    zone: r.zone,
    startedAt: toIso(Number(r.started_ms)),
    clearedAt: r.cleared_ms === null ? null : toIso(Number(r.cleared_ms)),
    momentary: r.momentary,
    affected: new Array<string>(r.affected).fill(''),
    size: { ...(r.customers === null ? {} : { customers: r.customers }), ...(r.minutes === null ? {} : { customerMinutes: r.minutes }) },
    planned: r.planned,
  }))
}

/** Feeder -> customers served, as the registry has them now. */
export async function customersServed(db: Queryable): Promise<Map<string, number>> {
  const { rows } = await db.query<{ feeder: string; n: string }>(
    `SELECT properties->>'feeder' AS feeder, count(*) AS n FROM assets
     WHERE kind = 'electric_meter' AND properties->>'role' = 'customer' AND properties->>'feeder' IS NOT NULL GROUP BY 1 ORDER BY 1`,
  )
  return new Map(rows.map((r) => [r.feeder, Number(r.n)]))
}

export async function timezoneOf(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ value: string }>("SELECT value FROM registry_meta WHERE key = 'timezone'")
  return rows[0]?.value ?? 'UTC'
}

/** Assets of the power network and gateways, in the order of their ids; entries that do not parse are left to the import's own list. */
export async function powerAssets(db: Queryable): Promise<AssetProperties[]> {
  const { rows } = await db.query<{ properties: unknown }>(
    "SELECT properties FROM assets WHERE kind = ANY('{substation,feeder,transformer,electric_meter,gateway}') ORDER BY id",
  )
  return rows.flatMap(({ properties }) => {
    const parsed = AssetProperties.safeParse(properties)
    return parsed.success ? [parsed.data] : []
  })
}

const HEALTH_MAX = 2_000

/** Open findings, and those detected since `sinceMs`, that say something of a meter's clock or its place in the network. */
export async function healthFindings(
  db: Queryable,
  sinceMs: number,
): Promise<{ finding: string; meter: string; reason: string; since: string; proposed: string | null }[]> {
  const { rows } = await db.query<{ id: string; scope_id: string; reason: string; since_ms: string; proposed: string | null }>(
    `SELECT id, scope_id, body->>'reason' AS reason, (extract(epoch FROM started_at) * 1000)::bigint AS since_ms,
       body->'candidates'->0->>'id' AS proposed
     FROM findings WHERE NOT withdrawn AND cleared_at IS NULL AND detected_at >= to_timestamp($1::float8 / 1000)
       AND (kind = 'clock_fault' OR (kind = 'line_loss' AND subtype = 'wrong_transformer')) ORDER BY started_at DESC, id LIMIT $2`,
    [sinceMs, HEALTH_MAX],
  )
  return rows.map((r) => ({
    finding: r.id,
    meter: r.scope_id,
    reason: r.reason,
    since: toIso(Number(r.since_ms)),
    proposed: r.proposed,
  }))
}

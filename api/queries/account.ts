// What the account page needs from the stores: the account, its meters, their days and intervals, its neighbours' sums, what concerns it.
import type { AssetProperties, Segment } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import { parseIso, toIso } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'
import type { Usage } from '#tariff/slices.ts'
import type { DayUse } from '../account/view.ts'
import { intervals, newestOnly, type SeriesStore } from './series.ts'

export interface AccountRow {
  account: string
  segment: Segment
  language: string
  tariffWater: string
  tariffPower: string
  persons: number
  linkSerial: number
}

export async function getAccount(db: Queryable, account: string): Promise<AccountRow | undefined> {
  const { rows } = await db.query<AccountRow>(
    `SELECT a.account, coalesce(p.segment, a.segment) AS segment, a.language, a.tariff_water AS "tariffWater", a.tariff_power AS "tariffPower",
       coalesce(p.persons, 1) AS persons, coalesce(p.link_serial, 1) AS "linkSerial"
     FROM accounts a LEFT JOIN account_profiles p USING (account) WHERE a.account = $1`,
    [account],
  )
  return rows[0]
}

export interface AccountMeter {
  id: string
  commodity: 'water' | 'power'
  /** District or feeder, transformer. */
  zone: string
  transformer: string
}

/** At most 200: a large customer with more looks at the API by meter. */
export async function metersOf(db: Queryable, account: string): Promise<AccountMeter[]> {
  const { rows } = await db.query<{ properties: AssetProperties }>(
    `SELECT properties FROM assets WHERE properties->>'account' = $1 AND kind IN ('water_meter', 'electric_meter') ORDER BY id LIMIT 200`,
    [account],
  )
  return rows.flatMap(({ properties: p }): AccountMeter[] => {
    if (p.kind === 'water_meter') return [{ id: p.id, commodity: 'water', zone: p.dma ?? '', transformer: '' }]
    if (p.kind === 'electric_meter') return [{ id: p.id, commodity: 'power', zone: p.feeder ?? '', transformer: p.transformer ?? '' }]
    return []
  })
}

export const QUANTITY_OF = { water: 'water_volume_m3', power: 'active_energy_import_kwh' } as const

/** Newest revision of each day from `from` on, in order. */
export async function daysOfMeter(db: Queryable, q: { meter: string; quantity: string; from: string }): Promise<DayUse[]> {
  const { rows } = await db.query<{ date: string; value: number; actual: number; estimated: number; missing: number }>(
    `SELECT DISTINCT ON (date) to_char(date, 'YYYY-MM-DD') AS date, value, actual, estimated, missing FROM meter_days
     WHERE meter = $1 AND quantity = $2 AND channel = '' AND date >= $3::date ORDER BY date, rev DESC LIMIT 800`,
    [q.meter, q.quantity, q.from],
  )
  return rows.map((r) => ({
    date: r.date,
    value: r.value,
    uncertain: r.estimated + r.missing,
    intervals: r.actual + r.estimated + r.missing,
  }))
}

const INTERVALS_MAX = 20_000

/** Newest revision of each interval with a value, in order. */
export async function usageOfMeter(
  store: SeriesStore,
  q: { meter: string; quantity: string; fromMs: number; toMs: number },
): Promise<Usage[]> {
  const rows = await intervals(store, { meter: q.meter, quantity: q.quantity, channel: '', range: q, limit: INTERVALS_MAX })
  return newestOnly(rows).flatMap((i) => (i.value === null ? [] : [{ startMs: parseIso(i.start), endMs: parseIso(i.end), value: i.value }]))
}

const NEIGHBOURS_MAX = 500

/** Use of the days by each neighbour of the same segment and commodity in the same district or on the same feeder; never the account's own. */
export async function neighbourSums(
  db: Queryable,
  q: { account: string; segment: Segment; commodity: 'water' | 'power'; zone: string; from: string; to: string },
): Promise<number[]> {
  const { rows } = await db.query<{ total: number }>(
    `WITH others AS (
       SELECT s.id FROM assets s JOIN accounts a ON a.account = s.properties->>'account' LEFT JOIN account_profiles p ON p.account = a.account
       WHERE s.kind = $1 AND coalesce(s.properties->>'dma', s.properties->>'feeder', s.properties->>'transformer') = $2
         AND coalesce(p.segment, a.segment) = $3 AND a.account <> $4
         AND coalesce(s.properties->>'role', 'customer') = 'customer'
       ORDER BY s.id LIMIT ${NEIGHBOURS_MAX})
     SELECT sum(value) AS total FROM (
       SELECT DISTINCT ON (meter, date) meter, date, value FROM meter_days
       WHERE meter IN (SELECT id FROM others) AND quantity = $5 AND channel = '' AND date >= $6::date AND date < $7::date
       ORDER BY meter, date, rev DESC) d
     GROUP BY meter`,
    [q.commodity === 'water' ? 'water_meter' : 'electric_meter', q.zone, q.segment, q.account, QUANTITY_OF[q.commodity], q.from, q.to],
  )
  return rows.map((r) => Number(r.total))
}

/** Findings about the account's meters, or about what feeds them, that last or ended after `sinceMs`. */
export async function findingsAbout(db: Queryable, q: { meters: readonly AccountMeter[]; sinceMs: number }): Promise<Finding[]> {
  const ids = q.meters.map((m) => m.id)
  const above = [...new Set(q.meters.flatMap((m) => [m.zone, m.transformer]).filter((id) => id !== ''))]
  const { rows } = await db.query<{ body: Finding }>(
    `SELECT body FROM findings
     WHERE NOT withdrawn AND (cleared_at IS NULL OR cleared_at >= $3)
       AND (scope_id = ANY($1) OR (scope_id = ANY($2) AND (kind = 'low_pressure' OR (kind = 'outage' AND body->'affected' ?| $1))))
     ORDER BY detected_at DESC LIMIT 50`,
    [ids, above, toIso(q.sinceMs)],
  )
  return rows.map((r) => r.body)
}

export async function plannedOutages(
  db: Queryable,
  q: { meters: readonly AccountMeter[]; nowMs: number; untilMs: number },
): Promise<{ kind: string; from: string; to: string; note: string }[]> {
  const scopes = [...new Set(q.meters.flatMap((m) => [m.id, m.zone, m.transformer]).filter((id) => id !== ''))]
  const { rows } = await db.query<{ kind: string; start_at: Date; end_at: Date; note: string }>(
    `SELECT kind, start_at, end_at, note FROM operations
     WHERE kind = 'planned_outage' AND scope = ANY($1) AND end_at > $2 AND start_at < $3 AND known_at <= $2 ORDER BY start_at LIMIT 10`,
    [scopes, toIso(q.nowMs), toIso(q.untilMs)],
  )
  return rows.map((r) => ({ kind: r.kind, from: r.start_at.toISOString(), to: r.end_at.toISOString(), note: r.note }))
}

/** Ends every link given out for the account; returns the serial of the next one. */
export async function raiseLinkSerial(db: Queryable, account: string, who: string): Promise<number> {
  const { rows } = await db.query<{ link_serial: number }>(
    `INSERT INTO account_profiles (account, link_serial, updated_by) VALUES ($1, 2, $2)
     ON CONFLICT (account) DO UPDATE SET link_serial = account_profiles.link_serial + 1, updated_at = now(), updated_by = excluded.updated_by
     RETURNING link_serial`,
    [account, who],
  )
  return rows[0]?.link_serial ?? 1
}

export async function setProfile(
  db: Queryable,
  q: { account: string; persons?: number | undefined; segment?: Segment | undefined; reason: string; who: string },
): Promise<void> {
  await db.query(
    `INSERT INTO account_profiles (account, persons, segment, segment_reason, updated_by) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (account) DO UPDATE SET persons = coalesce(excluded.persons, account_profiles.persons),
       segment = coalesce(excluded.segment, account_profiles.segment),
       segment_reason = CASE WHEN excluded.segment IS NULL THEN account_profiles.segment_reason ELSE excluded.segment_reason END,
       updated_at = now(), updated_by = excluded.updated_by`,
    [q.account, q.persons ?? null, q.segment ?? null, q.reason, q.who],
  )
}

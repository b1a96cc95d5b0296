// Findings of a time with the segment behind them, and what a unit is worth by the tariffs in force.
import type { Segment } from '#model/asset.ts'
import type { Severity } from '#model/finding.ts'
import { toIso } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { meanRateMicro } from '#tariff/rates.ts'
import type { Fact, Prices } from '../analytics/analyse.ts'
import type { Range } from './params.ts'
import { validTariffs } from './tariffs.ts'

export const FACTS_MAX = 50_000

/** Findings that were there at any moment of the range, newest detection first; at most FACTS_MAX. Withdrawn ones never were. */
export async function facts(db: Queryable, range: Range, zone?: string): Promise<Fact[]> {
  const { rows } = await db.query<{
    kind: string
    subtype: string
    zone: string
    scope_id: string
    severity: Severity
    segment: Segment | null
    started_ms: number
    detected_ms: number
    cleared_ms: number | null
    size: Record<string, number> | null
  }>(
    `SELECT f.kind, f.subtype, f.zone, f.scope_id, f.severity, coalesce(p.segment, a.segment) AS segment,
       (extract(epoch FROM f.started_at) * 1000)::bigint AS started_ms, (extract(epoch FROM f.detected_at) * 1000)::bigint AS detected_ms,
       (extract(epoch FROM f.cleared_at) * 1000)::bigint AS cleared_ms, f.body->'size' AS size
     FROM findings f
     LEFT JOIN assets s ON f.scope_type IN ('meter', 'premise') AND s.id = f.scope_id
     LEFT JOIN accounts a ON a.account = s.properties->>'account' LEFT JOIN account_profiles p ON p.account = a.account
     WHERE NOT f.withdrawn AND f.started_at < $2 AND (f.cleared_at IS NULL OR f.cleared_at >= $1) AND ($3::text IS NULL OR f.zone = $3)
     ORDER BY f.detected_at DESC, f.id LIMIT ${FACTS_MAX}`,
    [toIso(range.fromMs), toIso(range.toMs), zone ?? null],
  )
  return rows.map((r) => ({
    kind: r.kind,
    subtype: r.subtype,
    zone: r.zone,
    scopeId: r.scope_id,
    severity: r.severity,
    segment: r.segment ?? undefined,
    startedMs: r.started_ms,
    detectedMs: r.detected_ms,
    clearedMs: r.cleared_ms,
    size: r.size ?? {},
  }))
}

/** Mean price of a unit over the accounts, by the tariffs in force on the date; null where there is none, or where currencies differ. */
export async function meanPrices(db: Queryable, date: string): Promise<Prices & { currency: string | null }> {
  const { rows } = await db.query<{ commodity: 'water' | 'power'; code: string; n: number }>(
    `SELECT 'water' AS commodity, tariff_water AS code, count(*) AS n FROM accounts WHERE tariff_water <> '' GROUP BY tariff_water
     UNION ALL SELECT 'power', tariff_power, count(*) FROM accounts WHERE tariff_power <> '' GROUP BY tariff_power`,
  )
  const tariffs = await validTariffs(
    db,
    rows.map((r) => r.code),
  )
  const currencies = new Set([...tariffs.values()].map((t) => t.currency))
  const mean = (commodity: 'water' | 'power'): number | null => {
    let sum = 0
    let n = 0
    for (const r of rows) {
      const tariff = r.commodity === commodity ? tariffs.get(r.code) : undefined
      const rate = tariff === undefined ? undefined : meanRateMicro(tariff, date)
      if (rate === undefined) continue
      sum += (rate / 1e6) * r.n
      n += r.n
    }
    return n === 0 ? null : Math.round((sum / n) * 1e4) / 1e4
  }
  const one = currencies.size === 1
  return { kwh: one ? mean('power') : null, m3: one ? mean('water') : null, currency: one ? ([...currencies][0] ?? null) : null }
}

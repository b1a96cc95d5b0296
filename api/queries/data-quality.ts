// What does not fit together in the registry, the tariffs and the data: named, with the field, so that somebody can mend it.
import { HOUR_MS, toIso } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { timeLiteral } from '#runtime/questdb.ts'
import { parseTariff, versionOn } from '#tariff/tariff.ts'
import type { SeriesStore } from './series.ts'
import { listTariffs } from './tariffs.ts'

export const CHECKS = [
  'account_without_meter',
  'meter_without_account',
  'meter_account_unknown',
  'account_without_tariff',
  'account_tariff_unknown',
  'tariff_not_valid',
  'tariff_not_in_force',
  'meter_without_zone',
  'meter_transformer_unknown',
  'meter_gateway_unknown',
  'consumption_in_future',
  'meter_without_data',
] as const
export type Check = (typeof CHECKS)[number]

export interface QualityItem {
  check: Check
  /** `error`: something cannot be billed or priced; `warning`: it should be looked at. */
  severity: 'error' | 'warning'
  /** Account, meter or tariff. */
  subject: string
  field: string
  message: string
}

export interface QualityList {
  counts: Record<string, number>
  items: QualityItem[]
}

const SHOWN_MAX = 200
/** A read may be stamped by a clock that is a little fast. */
const FUTURE_MS = HOUR_MS
const SILENT_DAYS = 3

const CUSTOMER = `s.kind IN ('water_meter', 'electric_meter') AND coalesce(s.properties->>'role', 'customer') = 'customer'`

interface Rule {
  check: Check
  severity: QualityItem['severity']
  field: string
  /** Gives `subject` and `detail`, in order. `$1` is the local date, `$2` how many. */
  sql: string
  message(detail: string): string
}

const RULES: readonly Rule[] = [
  {
    check: 'account_without_meter',
    severity: 'warning',
    field: 'account',
    sql: `SELECT a.account AS subject, '' AS detail FROM accounts a WHERE NOT EXISTS (SELECT 1 FROM assets s WHERE s.properties->>'account' = a.account) AND $1::date IS NOT NULL`,
    message: () => 'no meter names this account: nothing can be billed to it',
  },
  {
    check: 'meter_without_account',
    severity: 'warning',
    field: 'account',
    sql: `SELECT s.id AS subject, '' AS detail FROM assets s WHERE ${CUSTOMER} AND coalesce(s.properties->>'account', '') = '' AND $1::date IS NOT NULL`,
    message: () => 'a customer meter without an account: its use cannot be billed to anybody',
  },
  {
    check: 'meter_account_unknown',
    severity: 'error',
    field: 'account',
    sql: `SELECT s.id AS subject, s.properties->>'account' AS detail FROM assets s WHERE ${CUSTOMER} AND coalesce(s.properties->>'account', '') <> ''
      AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.account = s.properties->>'account') AND $1::date IS NOT NULL`,
    message: (d) => `names the account ${d}, which does not exist`,
  },
  {
    check: 'account_without_tariff',
    severity: 'warning',
    field: 'tariff_water, tariff_power',
    sql: `SELECT DISTINCT a.account AS subject, CASE s.kind WHEN 'water_meter' THEN 'water' ELSE 'power' END AS detail FROM accounts a
      JOIN assets s ON s.properties->>'account' = a.account WHERE ${CUSTOMER} AND $1::date IS NOT NULL
      AND CASE s.kind WHEN 'water_meter' THEN a.tariff_water ELSE a.tariff_power END = ''`,
    message: (d) => `has a meter for ${d} and no tariff for it`,
  },
  {
    check: 'account_tariff_unknown',
    severity: 'error',
    field: 'tariff_water, tariff_power',
    sql: `SELECT a.account AS subject, c.code AS detail FROM accounts a CROSS JOIN LATERAL (VALUES (a.tariff_water), (a.tariff_power)) AS c(code)
      WHERE c.code <> '' AND NOT EXISTS (SELECT 1 FROM tariffs t WHERE t.code = c.code) AND $1::date IS NOT NULL`,
    message: (d) => `its tariff ${d} is not defined`,
  },
  {
    check: 'meter_without_zone',
    severity: 'warning',
    field: 'dma, feeder',
    sql: `SELECT s.id AS subject, s.kind AS detail FROM assets s WHERE ${CUSTOMER} AND s.properties->>'dma' IS NULL AND s.properties->>'feeder' IS NULL AND $1::date IS NOT NULL`,
    message: (d) => `a ${d.replace('_', ' ')} in no district and on no feeder: no balance counts it`,
  },
  {
    check: 'meter_transformer_unknown',
    severity: 'warning',
    field: 'transformer',
    sql: `SELECT s.id AS subject, s.properties->>'transformer' AS detail FROM assets s WHERE s.kind = 'electric_meter' AND s.properties->>'transformer' IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM assets t WHERE t.id = s.properties->>'transformer' AND t.kind = 'transformer') AND $1::date IS NOT NULL`,
    message: (d) => `names the transformer ${d}, which does not exist`,
  },
  {
    check: 'meter_gateway_unknown',
    severity: 'warning',
    field: 'gateway',
    sql: `SELECT s.id AS subject, coalesce(s.properties->>'gateway', '') AS detail FROM assets s WHERE ${CUSTOMER}
      AND NOT EXISTS (SELECT 1 FROM assets g WHERE g.id = s.properties->>'gateway' AND g.kind = 'gateway') AND $1::date IS NOT NULL`,
    message: (d) => `names the gateway ${d}, which does not exist`,
  },
  {
    check: 'consumption_in_future',
    severity: 'error',
    field: 'date',
    sql: `SELECT meter AS subject, to_char(max(date), 'YYYY-MM-DD') AS detail FROM meter_days WHERE date > $1::date GROUP BY meter`,
    message: (d) => `has consumption of ${d}, a day that has not come yet: its clock, or that of the log, was wrong`,
  },
  {
    check: 'meter_without_data',
    severity: 'warning',
    field: 'date',
    sql: `SELECT s.id AS subject, coalesce(to_char(m.last, 'YYYY-MM-DD'), '') AS detail FROM assets s
      LEFT JOIN LATERAL (SELECT max(date) AS last FROM meter_days d WHERE d.meter = s.id) m ON true
      WHERE ${CUSTOMER} AND (m.last IS NULL OR m.last < $1::date - ${SILENT_DAYS})`,
    message: (d) => (d === '' ? 'has never had a day of consumption' : `has had no day of consumption since ${d}`),
  },
]

/** All checks; at most 200 of each are listed, all are counted. */
export async function dataQuality(
  db: Queryable,
  store: SeriesStore,
  at: { today: string; nowMs: number; checks: readonly Check[] },
): Promise<QualityList> {
  const items: QualityItem[] = []
  const counts: Record<string, number> = {}
  const take = (check: Check, list: QualityItem[], count: number) => {
    if (!at.checks.includes(check)) return
    counts[check] = (counts[check] ?? 0) + count
    items.push(...list)
  }
  for (const r of RULES) {
    if (!at.checks.includes(r.check)) continue
    const { rows } = await db.query<{ subject: string; detail: string; total: number }>(
      `SELECT subject, detail, count(*) OVER () AS total FROM (${r.sql}) q ORDER BY subject, detail LIMIT $2`,
      [at.today, SHOWN_MAX],
    )
    const list = rows.map((x) => ({
      check: r.check,
      severity: r.severity,
      subject: x.subject,
      field: r.field,
      message: r.message(x.detail),
    }))
    take(r.check, list, rows[0]?.total ?? 0)
  }
  if (at.checks.includes('consumption_in_future')) {
    const future = await futureIntervals(store, at.nowMs)
    take('consumption_in_future', future, future.length)
  }
  const tariffs = await tariffItems(db, at.today)
  for (const check of ['tariff_not_valid', 'tariff_not_in_force'] as const) {
    const list = tariffs.filter((t) => t.check === check)
    take(check, list.slice(0, SHOWN_MAX), list.length)
  }
  return { counts, items }
}

async function futureIntervals({ questdb, prefix }: SeriesStore, nowMs: number): Promise<QualityItem[]> {
  const { dataset } = await questdb.exec(
    `SELECT meter, max("end") FROM '${prefix}intervals' WHERE start > ${timeLiteral(nowMs + FUTURE_MS)} GROUP BY meter ORDER BY meter LIMIT ${SHOWN_MAX}`,
  )
  return dataset.map(([meter, end]) => ({
    check: 'consumption_in_future',
    severity: 'error',
    subject: String(meter),
    field: 'end',
    message: `has an interval that ends at ${String(end)}; now it is ${toIso(nowMs)}`,
  }))
}

async function tariffItems(db: Queryable, today: string): Promise<QualityItem[]> {
  const out: QualityItem[] = []
  for (const t of await listTariffs(db)) {
    const parsed = parseTariff(t.body)
    if (!parsed.ok) {
      for (const e of parsed.errors)
        out.push({ check: 'tariff_not_valid', severity: 'error', subject: t.code, field: e.field, message: e.message })
    } else if (versionOn(parsed.tariff, today) === undefined) {
      out.push({
        check: 'tariff_not_in_force',
        severity: 'error',
        subject: t.code,
        field: 'versions',
        message: `no version holds on ${today}`,
      })
    }
  }
  return out
}

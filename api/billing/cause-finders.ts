// Looks for causes of billing tickets. Each finder answers for all of its kind, so that what it does not name any more is over. Bounded:
// at most CAUSES_MAX a kind; with more the rest follows when the first are dealt with.

import { startOfLocalDate } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { literal, timeLiteral } from '#runtime/questdb.ts'
import { addDays, daysBetween } from '#tariff/calendar.ts'
import type { SeriesStore } from '../queries/series.ts'
import { periodOf } from './calendar.ts'
import { readCalendar } from './calendar-store.ts'
import { type Cause, causeKey } from './causes.ts'
import { registerKey } from './period-model.ts'

export const CAUSES_MAX = 2_000

/** Half a billing month: with more the bill is mostly an estimate, and there is still time to read by hand. */
export const ESTIMATED_DAYS = 14
/** Twice the usual: alerts of utilities stand between 1.3 and 2 times; below that a cold week is enough. */
export const HIGH_BILL_RATIO = 2
/** Days of a period before its end is foretold: a week has each weekday once. */
const FORECAST_DAYS = 7
/** Days that the last period must have to be called usual. */
const USUAL_DAYS = 20
/** More than the usual by at least so much in a period, in the unit: twice nothing is no high bill. */
const HIGH_BILL_FLOOR: Record<string, number> = { water_volume_m3: 5, active_energy_import_kwh: 100 }
/** Exchanges are looked for as far back as late reads may still explain them. */
const EXCHANGE_DAYS = 40
/** The gap of an exchange may have begun so long before it was recognised. */
const GAP_DAYS = 7

export const unitOf = (quantity: string): string => (quantity.endsWith('_m3') ? 'm3' : quantity.endsWith('_kvarh') ? 'kvarh' : 'kWh')

/** SQL: where a meter belongs, and whose it is. */
const WHOSE = `coalesce(a.properties->>'account', '') AS account, coalesce(a.properties->>'dma', a.properties->>'feeder', '') AS zone`
const CUSTOMERS = `(a.kind = 'water_meter' OR a.kind = 'electric_meter' AND a.properties->>'role' = 'customer')`

interface RegisterRow {
  meter: string
  quantity: string
  channel: string
  account: string
  zone: string
}

/** Registers whose newest ESTIMATED_DAYS days are each more than half estimated or missing. */
export async function estimatedTooLong(db: Queryable, today: string): Promise<Cause[]> {
  const { rows } = await db.query<RegisterRow & { since: string; until: string; estimated: number }>(
    `WITH newest AS (
       SELECT DISTINCT ON (meter, quantity, channel, date) meter, quantity, channel, date, actual, estimated, missing, edited, estimated_value
       FROM meter_days WHERE date >= $1::date AND date < $2::date ORDER BY meter, quantity, channel, date, rev DESC),
     numbered AS (SELECT *, row_number() OVER (PARTITION BY meter, quantity, channel ORDER BY date DESC) AS k FROM newest)
     SELECT n.meter, n.quantity, n.channel, ${WHOSE}, to_char(min(n.date), 'YYYY-MM-DD') AS since, to_char(max(n.date), 'YYYY-MM-DD') AS until,
       sum(n.estimated_value) AS estimated
     FROM numbered n JOIN assets a ON a.id = n.meter AND ${CUSTOMERS} WHERE n.k <= $3
     GROUP BY n.meter, n.quantity, n.channel, a.properties
     HAVING count(*) = $3 AND bool_and(n.estimated + n.missing > n.actual + n.edited) ORDER BY n.meter, n.quantity, n.channel LIMIT $4`,
    [addDays(today, -ESTIMATED_DAYS - 4), today, ESTIMATED_DAYS, CAUSES_MAX],
  )
  return rows.map((r) => ({
    ...subject(r),
    key: causeKey('estimated_too_long', r.meter, r.quantity, r.channel),
    kind: 'estimated_too_long',
    evidence: {
      ...register(r),
      days: ESTIMATED_DAYS,
      since: r.since,
      until: r.until,
      estimatedValue: Math.round(r.estimated * 1000) / 1000,
      rule: `each of the last ${ESTIMATED_DAYS} days more than half estimated or missing`,
    },
  }))
}

/** Documents of the last two closed periods with days that are still not in the feed. */
export async function gateNotMet(db: Queryable): Promise<Cause[]> {
  const { rows } = await db.query<{ period: string; account: string; meters: string[]; commodity: string; zone: string; days: OpenDay[] }>(
    `SELECT p.period, p.account, p.meters, p.commodity, coalesce(a.properties->>'dma', a.properties->>'feeder', '') AS zone, u.days
     FROM billing_periods p JOIN billing_runs r ON r.period = p.period AND r.from_date >= (SELECT max(from_date) - 40 FROM billing_runs)
     LEFT JOIN assets a ON a.id = p.meters[1]
     CROSS JOIN LATERAL (SELECT json_agg(d ORDER BY d->>'date') AS days FROM json_array_elements(p.facts->'unbilled') d
       WHERE NOT EXISTS (SELECT 1 FROM meter_days m JOIN billing_feed f ON f.day_seq = m.feed_seq WHERE m.meter = d->>'meter'
         AND m.quantity = d->>'quantity' AND m.channel = d->>'channel' AND m.date = (d->>'date')::date)) u
     WHERE p.problems > 0 AND u.days IS NOT NULL ORDER BY p.no LIMIT $1`,
    [CAUSES_MAX],
  )
  return rows.map((r) => {
    const held = r.days.filter((d) => d.reason === 'held').length
    return {
      key: causeKey('gate_not_met', r.period, r.account === '' ? (r.meters[0] as string) : r.account, r.commodity),
      kind: 'gate_not_met',
      account: r.account,
      meter: r.days[0]?.meter ?? '',
      zone: r.zone,
      evidence: {
        period: r.period,
        commodity: r.commodity,
        days: r.days.length,
        held,
        notKnown: r.days.length - held,
        dates: [...new Set(r.days.map((d) => d.date))].slice(0, 31),
        reasons: [...new Set(r.days.map((d) => d.detail))].slice(0, 10),
        level: r.days.length,
      },
    }
  })
}
interface OpenDay {
  meter: string
  date: string
  reason: string
  detail: string
}

/** Documents of the last closed period without charges although there is something to charge for: one cause for each fault of a tariff. */
export async function tariffProblems(db: Queryable): Promise<Cause[]> {
  const { rows } = await db.query<{
    period: string
    commodity: string
    problems: string[]
    bills: number
    account: string
    meter: string
    zone: string
    accounts: string[]
  }>(
    `WITH unpriced AS (
       SELECT p.no, p.period, p.commodity, p.account, p.meters[1] AS meter, coalesce(a.properties->>'dma', a.properties->>'feeder', '') AS zone, t.problems
       FROM billing_periods p JOIN billing_runs r ON r.period = p.period AND r.from_date = (SELECT max(from_date) FROM billing_runs)
       LEFT JOIN assets a ON a.id = p.meters[1]
       CROSS JOIN LATERAL (SELECT array_agg(concat_ws(' ', d->>'kind', d->>'detail')) AS problems FROM json_array_elements(p.body::json->'problems') d
         WHERE d->>'kind' LIKE 'tariff%') t
       WHERE p.problems > 0 AND t.problems IS NOT NULL)
     SELECT period, commodity, problems, count(*) AS bills, (array_agg(account ORDER BY no))[1] AS account, (array_agg(meter ORDER BY no))[1] AS meter,
       (array_agg(zone ORDER BY no))[1] AS zone, (array_agg(account ORDER BY no))[1:10] AS accounts
     FROM unpriced GROUP BY period, commodity, problems ORDER BY min(no) LIMIT $1`,
    [CAUSES_MAX],
  )
  return rows.map(({ account, meter, zone, ...evidence }) => ({
    ...{ account, meter, zone },
    key: causeKey('tariff_problem', evidence.commodity, evidence.problems.join('; ')),
    kind: 'tariff_problem',
    evidence: { ...evidence, level: evidence.bills },
  }))
}

/** Registers that will cost at least HIGH_BILL_RATIO times what they did in the last closed period. */
export async function highBillAhead(db: Queryable, today: string): Promise<Cause[]> {
  const period = periodOf(await readCalendar(db), addDays(today, -1))
  const length = daysBetween(period.from, period.to)
  const { rows } = await db.query<RegisterRow & { used: number; days: number; usual: number; last: string }>(
    `WITH now AS (
       SELECT meter, quantity, channel, sum(value) AS used, count(*) AS days FROM (
         SELECT DISTINCT ON (meter, quantity, channel, date) meter, quantity, channel, value FROM meter_days
         WHERE date >= $1::date AND date < $2::date AND quantity = ANY($3) ORDER BY meter, quantity, channel, date, rev DESC) d
       GROUP BY meter, quantity, channel),
     run AS (SELECT period, from_date FROM billing_runs WHERE phase = 'done' AND to_date = $1::date),
     before AS (
       SELECT b.meter, b.quantity, b.channel, run.period AS last, sum(b.value) / count(*) AS mean, count(*) AS days
       FROM billing_billed_days b JOIN run ON run.period = b.period AND b.date >= run.from_date GROUP BY b.meter, b.quantity, b.channel, run.period)
     SELECT n.meter, n.quantity, n.channel, ${WHOSE}, n.used, n.days, b.mean * $4 AS usual, b.last
     FROM now n JOIN before b USING (meter, quantity, channel) JOIN assets a ON a.id = n.meter AND ${CUSTOMERS}
     JOIN unnest($3::text[], $5::float8[]) f(quantity, floor) ON f.quantity = n.quantity
     WHERE n.days >= $6 AND b.days >= $7 AND n.used / n.days >= $8 * b.mean AND (n.used / n.days - b.mean) * $4 >= f.floor
     ORDER BY n.meter, n.quantity, n.channel LIMIT $9`,
    [
      period.from,
      today,
      Object.keys(HIGH_BILL_FLOOR),
      length,
      Object.values(HIGH_BILL_FLOOR),
      FORECAST_DAYS,
      USUAL_DAYS,
      HIGH_BILL_RATIO,
      CAUSES_MAX,
    ],
  )
  return rows.map((r) => {
    const forecast = (r.used / r.days) * length
    return {
      ...subject(r),
      key: causeKey('high_bill_ahead', period.id, r.meter, r.quantity, r.channel),
      kind: 'high_bill_ahead',
      evidence: {
        ...register(r),
        period: period.id,
        used: exact(r.used),
        days: r.days,
        forecast: exact(forecast),
        usual: exact(r.usual),
        last: r.last,
        ratio: r.usual > 0 ? Math.round((forecast / r.usual) * 10) / 10 : null,
        rule: `forecast at least ${HIGH_BILL_RATIO} times the last period and ${HIGH_BILL_FLOOR[r.quantity]} ${unitOf(r.quantity)} more`,
      },
    }
  })
}

/** Silent exchanges that are still not announced: an announcement takes the reason away by a new revision of the interval. */
export async function exchangeUnrecorded(db: Queryable, store: SeriesStore, how: { today: string; timezone: string }): Promise<Cause[]> {
  const since = addDays(how.today, -EXCHANGE_DAYS)
  // Only zones in which the rule fired are asked for: the series of all would be read otherwise.
  const { rows: zones } = await db.query<{ zone: string; first: string }>(
    `SELECT zone, to_char(min(date), 'YYYY-MM-DD') AS first FROM rule_counts WHERE rule = 'silent_exchange' AND fired > 0 AND date >= $1::date
     GROUP BY zone ORDER BY zone LIMIT 1000`,
    [since],
  )
  if (zones.length === 0) return []
  const first = zones.map((z) => z.first).sort()[0] as string
  const { dataset } = await store.questdb.exec(
    `SELECT meter, quantity, channel, cast(start AS long), value, reasons, rev, zone FROM '${store.prefix}intervals'
     WHERE zone IN (${zones.map((z) => literal(z.zone)).join(', ')}) AND start >= ${timeLiteral(startOfLocalDate(how.timezone, addDays(first, -GAP_DAYS)))}
     AND reasons LIKE '%silent_exchange%' ORDER BY meter, quantity, channel, start, rev LIMIT 20000`,
  )
  const latest = new Map<string, { row: unknown[]; startMs: number }>()
  for (const row of dataset) {
    const [meter, quantity, channel, start] = row as [string, string, string | null, number]
    latest.set(registerKey({ meter, quantity, channel: channel ?? '' }), { row, startMs: start / 1000 })
  }
  const still = await withoutLaterRevision(store, [...latest.values()])
  const { rows: whose } = await db.query<{ id: string; account: string; zone: string }>(
    `SELECT a.id, ${WHOSE} FROM assets a WHERE a.id = ANY($1) AND ${CUSTOMERS}`,
    [still.map((s) => s.row[0])],
  )
  const of = new Map(whose.map((w) => [w.id, w]))
  return still.slice(0, CAUSES_MAX).flatMap(({ row, startMs }): Cause[] => {
    const [meter, quantity, channel] = row as [string, string, string | null]
    const w = of.get(meter)
    if (w === undefined) return []
    const at = new Date(startMs).toISOString()
    return [
      {
        key: causeKey('exchange_unrecorded', meter, quantity, channel ?? '', at),
        kind: 'exchange_unrecorded',
        account: w.account,
        meter,
        zone: w.zone,
        evidence: {
          quantity,
          channel: channel ?? '',
          unit: unitOf(quantity),
          at,
          estimated: row[4] as number | null,
          reasons: String(row[5]),
          rev: row[6] as number,
        },
      },
    ]
  })
}

/** Those whose interval has not been said again without the reason. */
async function withoutLaterRevision(
  store: SeriesStore,
  found: readonly { row: unknown[]; startMs: number }[],
): Promise<{ row: unknown[]; startMs: number }[]> {
  const out: { row: unknown[]; startMs: number }[] = []
  for (let i = 0; i < found.length; i += 200) {
    const part = found.slice(i, i + 200)
    const starts = [...new Set(part.map((p) => p.startMs))]
    const { dataset } = await store.questdb.exec(
      `SELECT meter, quantity, channel, cast(start AS long), max(rev) FROM '${store.prefix}intervals'
       WHERE meter IN (${part.map((p) => literal(String(p.row[0]))).join(', ')}) AND start IN (${starts.map((s) => timeLiteral(s)).join(', ')})`,
    )
    const newest = new Map(
      (dataset as [string, string, string | null, number, number][]).map((r) => [`${r[0]}|${r[1]}|${r[2] ?? ''}|${r[3] / 1000}`, r[4]]),
    )
    out.push(...part.filter((p) => newest.get(`${p.row[0]}|${p.row[1]}|${p.row[2] ?? ''}|${p.startMs}`) === p.row[6]))
  }
  return out
}

const exact = (v: number) => Math.round(v * 1000) / 1000
const subject = (r: RegisterRow) => ({ account: r.account, meter: r.meter, zone: r.zone })
const register = (r: RegisterRow) => ({ quantity: r.quantity, channel: r.channel, unit: unitOf(r.quantity) })

// Looks up what a batch of bills is made of: published days and their intervals, register reads at both borders, tariffs, and the days
// that are not there. Everything found goes into the facts and the billed days, so that nothing has to be looked up again later.
import { createHash } from 'node:crypto'
import { localDate, startOfLocalDate } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { addDays } from '#tariff/calendar.ts'
import { Tariff } from '#tariff/tariff.ts'
import type { SeriesStore } from '../queries/series.ts'
import { type BillingPeriod, datesOf } from './calendar.ts'
import { borderReads, intervalsOf } from './close-series.ts'
import type { Unit } from './close-units.ts'
import type { DayInterval } from './day-intervals.ts'
import {
  type BilledDay,
  type BorderRead,
  COMMODITIES,
  type Commodity,
  commodityOf,
  type PeriodFacts,
  type RegisterFacts,
  type RegisterId,
  registerKey,
  type TariffProblem,
  type UnbilledDay,
} from './period-model.ts'

/** Corrections of days further back are not looked for: later reads are refused long before, and a bill's basis must end somewhere. */
const LOOK_BACK_DAYS = 400
/** A register that has said nothing for so long before the period is not missed in it. */
const SILENT_DAYS = 40

interface DayRow extends RegisterId {
  date: string
  rev: number
  value: number
  actual: number
  estimated: number
  missing: number
}
type Gathered = {
  published: DayRow[]
  /** Register and date -> revision billed. */
  billed: Map<string, number>
  held: Map<string, UnbilledDay>
  intervals: Map<string, DayInterval[]>
  starts: Map<string, BorderRead>
  ends: Map<string, BorderRead>
  tariffs: Map<string, TariffChoice>
  /** First day that was ever billed. */
  since: string
}
interface TariffChoice {
  code: string
  revision: number
  sha256: string
  commodity: string
  valid: boolean
}
export interface ClosingUnit {
  facts: PeriodFacts
  days: BilledDay[]
}
interface Closing {
  run: BillingPeriod & { dueAt: Date }
  timezone: string
  units: readonly Unit[]
}

const dayKey = (r: RegisterId & { date: string }) => `${registerKey(r)}\n${r.date}`

export async function closingSources(db: Queryable, store: SeriesStore, q: Closing): Promise<ClosingUnit[]> {
  const meters = q.units.flatMap((u) => u.meters.map((m) => m.id))
  if (meters.length === 0) return []
  const { run, timezone } = q
  const published = await publishedDays(db, meters, run)
  const billed = await billedRevisions(db, meters, run)
  const { rows } = await db.query<{ since: string }>("SELECT to_char(min(from_date), 'YYYY-MM-DD') AS since FROM billing_runs")
  const since = rows[0]?.since ?? run.from
  const wanted = published.filter((d) => isWanted(d, run, since, billed))
  const gathered: Gathered = {
    published,
    billed,
    since,
    held: await heldDays(db, meters, run),
    intervals: await intervalsByDay(store, wanted, run, timezone),
    starts: new Map([
      ...(await borderReads(store, meters, startOfLocalDate(timezone, run.from))),
      // The end of the last bill is the start of this one, also when reads between came late.
      ...(await lastEnds(db, meters, run)),
    ]),
    ends: await borderReads(store, meters, startOfLocalDate(timezone, run.to)),
    tariffs: await tariffs(db, q.units),
  }
  return q.units.flatMap((u) => COMMODITIES.flatMap((c) => closingUnit(u, c, q, gathered) ?? []))
}

/** Days of the period, and days before it with a revision that was not billed yet. */
function isWanted(d: DayRow, run: BillingPeriod, since: string, billed: ReadonlyMap<string, number>): boolean {
  if (d.date >= run.from) return true
  return d.date >= since && d.rev > (billed.get(dayKey(d)) ?? 0)
}

function closingUnit(unit: Unit, commodity: Commodity, q: Closing, g: Gathered): ClosingUnit | undefined {
  const ids = new Map(unit.meters.map((m) => [m.id, m.multiplier]))
  const mine = (d: RegisterId) => ids.has(d.meter) && commodityOf(d.quantity) === commodity
  const published = g.published.filter(mine)
  const awaitedFrom = addDays(q.run.from, -SILENT_DAYS)
  const registers = new Map<string, RegisterFacts>()
  const heard = [...published.filter((d) => d.date >= awaitedFrom), ...[...g.held.values()].filter(mine)]
  const wanted = published.filter((d) => isWanted(d, q.run, g.since, g.billed))
  for (const d of [...heard, ...wanted]) {
    const key = registerKey(d)
    if (registers.has(key)) continue
    registers.set(key, {
      meter: d.meter,
      quantity: d.quantity,
      channel: d.channel,
      multiplier: ids.get(d.meter) ?? 1,
      start: g.starts.get(key) ?? null,
      end: g.ends.get(key) ?? null,
    })
  }
  if (registers.size === 0) return undefined
  const code = commodity === 'water' ? unit.tariffs.water : commodity === 'power' ? unit.tariffs.power : ''
  const tariff = g.tariffs.get(code)
  const { id, from, to } = q.run
  return {
    days: wanted.map((d) => ({ ...d, intervals: g.intervals.get(dayKey(d)) ?? [] })),
    facts: {
      period: { id, from, to },
      dueAt: q.run.dueAt.toISOString(),
      timezone: q.timezone,
      account: unit.account,
      meter: unit.meter,
      commodity,
      segment: unit.segment,
      persons: unit.persons,
      tariff: tariff === undefined ? null : { code, revision: tariff.revision },
      tariffCode: code,
      tariffSha256: tariff?.sha256 ?? '',
      tariffProblem: problemOf(code, tariff, commodity),
      registers: [...registers.values()],
      unbilled: [...registers.values()].flatMap((r) => unbilledDays(r, published, g, q.run)),
    },
  }
}

function problemOf(code: string, tariff: TariffChoice | undefined, commodity: Commodity): TariffProblem | null {
  if (code === '') return 'no_tariff'
  if (tariff === undefined) return 'tariff_unknown'
  if (!tariff.valid) return 'tariff_not_valid'
  return tariff.commodity === commodity ? null : 'tariff_other_commodity'
}

/** Dates of the period, from the register's first day on, that have nothing in the feed. */
function unbilledDays(r: RegisterFacts, published: readonly DayRow[], g: Gathered, run: BillingPeriod): UnbilledDay[] {
  const key = registerKey(r)
  const known = new Set(published.filter((d) => registerKey(d) === key).map((d) => d.date))
  const held = [...g.held.values()].filter((h) => registerKey(h) === key)
  const first = [...known, ...held.map((h) => h.date)].sort()[0] ?? run.to
  const { meter, quantity, channel } = r
  return datesOf(run)
    .filter((date) => date >= first && !known.has(date))
    .map(
      (date) =>
        g.held.get(dayKey({ ...r, date })) ?? {
          meter,
          quantity,
          channel,
          date,
          reason: 'not_known' as const,
          detail: 'no figure of this day yet',
        },
    )
}

async function publishedDays(db: Queryable, meters: readonly string[], run: BillingPeriod): Promise<DayRow[]> {
  const { rows } = await db.query<DayRow>(
    `SELECT DISTINCT ON (d.meter, d.quantity, d.channel, d.date) d.meter, d.quantity, d.channel, to_char(d.date, 'YYYY-MM-DD') AS date, d.rev,
       d.value, d.actual, d.estimated, d.missing
     FROM meter_days d JOIN billing_feed f ON f.day_seq = d.feed_seq
     WHERE d.meter = ANY($1) AND d.date >= $2::date AND d.date < $3::date
     ORDER BY d.meter, d.quantity, d.channel, d.date, d.rev DESC`,
    [meters, addDays(run.from, -LOOK_BACK_DAYS), run.to],
  )
  return rows
}

async function billedRevisions(db: Queryable, meters: readonly string[], run: BillingPeriod): Promise<Map<string, number>> {
  const { rows } = await db.query<RegisterId & { date: string; rev: number }>(
    `SELECT meter, quantity, channel, to_char(date, 'YYYY-MM-DD') AS date, max(rev) AS rev FROM billing_billed_days
     WHERE meter = ANY($1) AND date >= $2::date GROUP BY meter, quantity, channel, date`,
    [meters, addDays(run.from, -LOOK_BACK_DAYS)],
  )
  return new Map(rows.map((r) => [dayKey(r), r.rev]))
}

async function heldDays(db: Queryable, meters: readonly string[], run: BillingPeriod): Promise<Map<string, UnbilledDay>> {
  const { rows } = await db.query<RegisterId & { date: string; reason: string; pct: number; max: number }>(
    `SELECT DISTINCT ON (meter, quantity, channel, date) meter, quantity, channel, to_char(date, 'YYYY-MM-DD') AS date, reason,
       estimated_pct AS pct, limit_pct AS max
     FROM billing_held WHERE meter = ANY($1) AND date >= $2::date AND date < $3::date ORDER BY meter, quantity, channel, date, rev DESC`,
    [meters, run.from, run.to],
  )
  return new Map(
    rows.map(({ reason, pct, max, ...r }) => [
      dayKey(r),
      { ...r, reason: 'held', detail: `${reason}: ${Math.round(pct * 10) / 10} % of the intervals, the gate allows ${max} %` },
    ]),
  )
}

/** Intervals by register and local day: the whole period at once, corrected days of earlier periods one by one. */
async function intervalsByDay(
  store: SeriesStore,
  wanted: readonly DayRow[],
  run: BillingPeriod,
  timezone: string,
): Promise<Map<string, DayInterval[]>> {
  const out = new Map<string, DayInterval[]>()
  const load = async (days: readonly DayRow[], from: string, to: string) => {
    if (days.length === 0) return
    const meters = [...new Set(days.map((d) => d.meter))].sort()
    const rows = await intervalsOf(store, meters, { fromMs: startOfLocalDate(timezone, from), toMs: startOfLocalDate(timezone, to) })
    for (const { register, interval } of rows) {
      const key = dayKey({ ...register, date: localDate(timezone, interval.startMs) })
      const list = out.get(key)
      if (list === undefined) out.set(key, [interval])
      else list.push(interval)
    }
  }
  await load(
    wanted.filter((d) => d.date >= run.from),
    run.from,
    run.to,
  )
  const earlier = wanted.filter((d) => d.date < run.from)
  for (const date of [...new Set(earlier.map((d) => d.date))].sort()) {
    await load(
      earlier.filter((d) => d.date === date),
      date,
      addDays(date, 1),
    )
  }
  return out
}

/** Register reads with which the period before ended. */
async function lastEnds(db: Queryable, meters: readonly string[], run: BillingPeriod): Promise<Map<string, BorderRead>> {
  const { rows } = await db.query<{ registers: RegisterFacts[] }>(
    `SELECT p.facts->'registers' AS registers FROM billing_periods p JOIN billing_runs r ON r.period = p.period
     WHERE r.to_date = $1::date AND p.meters && $2 ORDER BY p.no`,
    [run.from, meters],
  )
  return new Map(rows.flatMap((r) => r.registers.flatMap((x) => (x.end === null ? [] : [[registerKey(x), x.end] as const]))))
}

/** Tariffs by code as they are now; what is used is kept. */
async function tariffs(db: Queryable, units: readonly Unit[]): Promise<Map<string, TariffChoice>> {
  const codes = [...new Set(units.flatMap((u) => [u.tariffs.water, u.tariffs.power]))].filter((c) => c !== '')
  const out = new Map<string, TariffChoice>()
  if (codes.length === 0) return out
  const { rows } = await db.query<{ code: string; revision: number; body: string; commodity: string }>(
    'SELECT code, revision, body::text AS body, commodity FROM tariffs WHERE code = ANY($1)',
    [codes],
  )
  for (const r of rows) {
    const sha256 = createHash('sha256').update(r.body).digest('hex')
    const valid = Tariff.safeParse(JSON.parse(r.body)).success
    if (valid) {
      await db.query('INSERT INTO billing_tariffs (sha256, code, revision, body) VALUES ($1, $2, $3, $4) ON CONFLICT (sha256) DO NOTHING', [
        sha256,
        r.code,
        r.revision,
        r.body,
      ])
    }
    out.set(r.code, { code: r.code, revision: r.revision, commodity: r.commodity, sha256, valid })
  }
  return out
}

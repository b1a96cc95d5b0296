// Closed periods in PostgreSQL: what a document is computed from, and the documents. Closing and checking use the same look-ups, so a
// document computed again is the same or a table was tampered with.

import type { Queryable } from '#runtime/postgres.ts'
import { countsFrom } from '#tariff/price.ts'
import { Tariff } from '#tariff/tariff.ts'
import type { BillingPeriod } from './calendar.ts'
import { decodeIntervals, encodeIntervals } from './day-intervals.ts'
import type { Correction, PeriodInput } from './determinants.ts'
import { type BilledDay, commodityOf, type PeriodFacts, registerKey } from './period-model.ts'

interface BilledRow extends Omit<BilledDay, 'intervals'> {
  intervals: Buffer
}
const dayOf = (r: BilledRow): BilledDay => ({ ...r, intervals: decodeIntervals(r.intervals) })
const BILLED = `b.meter, b.quantity, b.channel, to_char(b.date, 'YYYY-MM-DD') AS date, b.rev, b.value, b.actual, b.estimated, b.missing, b.intervals`

/** Newest revision of each day that was billed in periods beginning before (`with` = false) or up to (`with` = true) this one. */
async function billedUpTo(
  db: Queryable,
  q: { meters: readonly string[]; from: string; to: string; period: BillingPeriod; with: boolean },
): Promise<BilledDay[]> {
  if (q.from >= q.to) return []
  const { rows } = await db.query<BilledRow>(
    `SELECT DISTINCT ON (b.meter, b.quantity, b.channel, b.date) ${BILLED}
     FROM billing_billed_days b JOIN billing_runs r ON r.period = b.period
     WHERE b.meter = ANY($1) AND b.date >= $2::date AND b.date < $3::date AND (r.from_date < $4::date OR ($5 AND r.from_date = $4::date))
     ORDER BY b.meter, b.quantity, b.channel, b.date, b.rev DESC`,
    [q.meters, q.from, q.to, q.period.from, q.with],
  )
  return rows.map(dayOf)
}

/** Days that were billed in a period: its own, and corrections of earlier ones. */
async function billedIn(db: Queryable, meters: readonly string[], period: BillingPeriod): Promise<BilledDay[]> {
  const { rows } = await db.query<BilledRow>(
    `SELECT ${BILLED} FROM billing_billed_days b WHERE b.period = $1 AND b.meter = ANY($2) ORDER BY b.meter, b.quantity, b.channel, b.date`,
    [period.id, meters],
  )
  return rows.map(dayOf)
}

/** What a document was made of. */
export async function billedDaysOf(db: Queryable, facts: PeriodFacts): Promise<BilledDay[]> {
  const meters = [...new Set(facts.registers.map((r) => r.meter))].sort()
  return (await billedIn(db, meters, facts.period)).filter(ofCommodity(facts.commodity))
}

export async function saveBilled(db: Queryable, period: BillingPeriod, days: readonly BilledDay[]): Promise<void> {
  if (days.length === 0) return
  await db.query(
    `INSERT INTO billing_billed_days (period, meter, quantity, channel, date, rev, value, actual, estimated, missing, intervals)
     SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::date[], $6::int[], $7::float8[], $8::int[], $9::int[], $10::int[], $11::bytea[])`,
    [
      period.id,
      days.map((d) => d.meter),
      days.map((d) => d.quantity),
      days.map((d) => d.channel),
      days.map((d) => d.date),
      days.map((d) => d.rev),
      days.map((d) => d.value),
      days.map((d) => d.actual),
      days.map((d) => d.estimated),
      days.map((d) => d.missing),
      days.map((d) => encodeIntervals(d.intervals)),
    ],
  )
}

/** The tariff as it was when the period was closed; null when there was none that could be used. */
async function tariffAt(db: Queryable, of: PeriodFacts): Promise<Tariff | null> {
  if (of.tariffProblem !== null) return null
  const { rows } = await db.query<{ body: string }>('SELECT body FROM billing_tariffs WHERE sha256 = $1', [of.tariffSha256])
  return Tariff.parse(JSON.parse(rows[0]?.body ?? 'null'))
}

const ofCommodity = (commodity: string) => (d: BilledDay) => commodityOf(d.quantity) === commodity

/** Everything that a period's document is made of, from the facts and the billed days. */
export async function loadInput(db: Queryable, facts: PeriodFacts): Promise<PeriodInput> {
  const { period } = facts
  const meters = [...new Set(facts.registers.map((r) => r.meter))].sort()
  const mine = ofCommodity(facts.commodity)
  const tariff = await tariffAt(db, facts)
  const billed = await billedDaysOf(db, facts)
  const from = tariff === null ? period.from : countsFrom(tariff, period.from)
  const earlier = (await billedUpTo(db, { meters, from, to: period.from, period, with: true })).filter(mine)
  const changed = billed.filter((d) => d.date < period.from)
  return {
    facts,
    tariff,
    days: billed.filter((d) => d.date >= period.from),
    earlier,
    corrections: changed.length === 0 ? [] : await correctionsOf(db, facts, changed),
  }
}

async function correctionsOf(db: Queryable, facts: PeriodFacts, changed: readonly BilledDay[]): Promise<Correction[]> {
  const meters = [...new Set(changed.map((d) => d.meter))].sort()
  const dates = changed.map((d) => d.date).sort()
  const { rows: runs } = await db.query<BillingPeriod>(
    `SELECT period AS id, to_char(from_date, 'YYYY-MM-DD') AS from, to_char(to_date, 'YYYY-MM-DD') AS to FROM billing_runs
     WHERE to_date > $1::date AND from_date <= $2::date ORDER BY from_date`,
    [dates[0], dates.at(-1)],
  )
  const out: Correction[] = []
  for (const period of runs) {
    const here = changed.filter((d) => d.date >= period.from && d.date < period.to)
    if (here.length === 0) continue
    const { rows } = await db.query<{ facts: PeriodFacts; sha256: string }>(
      'SELECT facts, sha256 FROM billing_periods WHERE period = $1 AND commodity = $2 AND meters && $3 ORDER BY (account = $4) DESC, no LIMIT 1',
      [period.id, facts.commodity, meters, facts.account],
    )
    // Without a document of that period (the meter was not known then) it is priced as it would be today.
    const old = rows[0] ?? { sha256: '', facts: { ...facts, period, unbilled: [] } }
    const then = [...new Set([...old.facts.registers.map((r) => r.meter), ...meters])].sort()
    const tariff = await tariffAt(db, old.facts)
    const upTo = { meters: then, period: facts.period, with: false }
    const before = (await billedUpTo(db, { ...upTo, from: period.from, to: period.to })).filter(ofCommodity(facts.commodity))
    const from = tariff === null ? period.from : countsFrom(tariff, period.from)
    out.push({
      sha256: old.sha256,
      facts: old.facts,
      tariff,
      earlier: (await billedUpTo(db, { ...upTo, from, to: period.from })).filter(ofCommodity(facts.commodity)),
      before,
      after: overlay(before, here),
    })
  }
  return out
}

function overlay(before: readonly BilledDay[], changed: readonly BilledDay[]): BilledDay[] {
  const key = (d: BilledDay) => `${registerKey(d)}\n${d.date}`
  return [...new Map([...before, ...changed].map((d) => [key(d), d])).values()]
}

export interface StoredPeriod {
  no: number
  period: string
  account: string
  meter: string
  commodity: string
  meters: string[]
  body: string
  sha256: string
  facts: PeriodFacts
  closedAt: Date
}

const STORED = `no, period, account, meter, commodity, meters, body, sha256, facts, closed_at AS "closedAt"`

/** In order of closing; one more than `limit`. */
export async function listPeriods(
  db: Queryable,
  q: { account?: string | undefined; meter?: string | undefined; period?: string | undefined; after: number; limit: number },
): Promise<StoredPeriod[]> {
  const { rows } = await db.query<StoredPeriod>(
    `SELECT ${STORED} FROM billing_periods WHERE no > $1 AND ($2::text IS NULL OR account = $2) AND ($3::text IS NULL OR meters @> ARRAY[$3::text])
       AND ($4::text IS NULL OR period = $4) ORDER BY no LIMIT $5`,
    [q.after, q.account ?? null, q.meter ?? null, q.period ?? null, q.limit + 1],
  )
  return rows
}

export async function periodByNo(db: Queryable, no: number): Promise<StoredPeriod | undefined> {
  return (await db.query<StoredPeriod>(`SELECT ${STORED} FROM billing_periods WHERE no = $1`, [no])).rows[0]
}

// Closes billing periods that are due: one after the other, account by account, one process at a time (advisory lock), a bounded number
// a run. Each batch is one transaction that ends with the run's cursor, so a crash goes on where it was and closes nothing twice.
import { createHash } from 'node:crypto'
import { type Pool, type PoolClient, tx } from '#runtime/postgres.ts'
import { type SeriesStore, storageApplied } from '../queries/series.ts'
import { type BillingCalendar, type BillingPeriod, dueMs, newestDue, nextPeriod, periodOf } from './calendar.ts'
import { readCalendar } from './calendar-store.ts'
import { closingSources } from './close-sources.ts'
import { accountUnits, meterUnits, type Unit } from './close-units.ts'
import { documentText, periodDocument } from './determinants.ts'
import type { PeriodDocument, PeriodFacts } from './period-model.ts'
import { loadInput, saveBilled } from './period-store.ts'
import { publishPending } from './publisher.ts'

const CLOSE_LOCK = 0x4d53_0004
/** Accounts (or meters) of one transaction: a month of 15-minute intervals of so many meters is what QuestDB is asked for at once. */
const BATCH = 20

export interface CloserDeps extends SeriesStore {
  pool: Pool
  /** Time zone of the utility. */
  timezone(): Promise<string>
}

export interface CloseResult {
  /** Documents written. */
  closed: number
  /** Periods that are complete now. */
  done: string[]
  /** More is due: call again. */
  more: boolean
  /** Documents with problems, for the desk. */
  problems: { facts: PeriodFacts; document: PeriodDocument }[]
}

interface Run extends BillingPeriod {
  phase: 'accounts' | 'meters' | 'done'
  cursor: string
  dueAt: Date
}

/** Closes what is due at `nowMs` (the log's clock), at most `batches` batches. */
export async function closeDue(deps: CloserDeps, nowMs: number, batches = 50): Promise<CloseResult> {
  const result: CloseResult = { closed: 0, done: [], more: false, problems: [] }
  for (let i = 0; i < batches; i++) {
    // What was stored before the period was due belongs in the feed, and so in the bill.
    while ((await publishPending(deps.pool, { wait: true })).looked > 0);
    const step = await tx(deps.pool, (client) => closeBatch(client, deps, nowMs))
    result.closed += step.closed
    result.problems.push(...step.problems)
    if (step.done !== undefined) result.done.push(step.done)
    if (!step.more) return result
  }
  return { ...result, more: true }
}

interface Step {
  closed: number
  problems: CloseResult['problems']
  done?: string
  more: boolean
}

async function closeBatch(client: PoolClient, deps: CloserDeps, nowMs: number): Promise<Step> {
  const { rows } = await client.query<{ ok: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS ok', [CLOSE_LOCK])
  if (rows[0]?.ok !== true) return { closed: 0, problems: [], more: false }
  const timezone = await deps.timezone()
  const run = await dueRun(client, timezone, nowMs)
  if (run === undefined) return { closed: 0, problems: [], more: false }
  // A bill without intervals that are on their way would be right in its sum and wrong in its time of use.
  const storage = await storageApplied(deps, ['readings', 'intervals'])
  if (storage.state !== 'current') throw new Error(`period ${run.id} is not closed yet: ${storage.detail}`)
  const units = run.phase === 'accounts' ? await accountUnits(client, run.cursor, BATCH) : await meterUnits(client, run.cursor, BATCH)
  const documents = await closeUnits(client, deps, { run, timezone, units: units.units })
  const problems = documents.filter((d) => d.document.problems.length > 0)
  const last = units.last
  const phase = last !== undefined ? run.phase : run.phase === 'accounts' ? 'meters' : 'done'
  await client.query(
    `UPDATE billing_runs SET phase = $2, cursor = $3, closed = closed + $4, done_at = CASE WHEN $2 = 'done' THEN now() END WHERE period = $1`,
    [run.id, phase, last ?? '', documents.length],
  )
  return { closed: documents.length, problems, ...(phase === 'done' ? { done: run.id } : {}), more: true }
}

/** The run that is not done, or a new one for the next period when that is due. */
async function dueRun(client: PoolClient, timezone: string, nowMs: number): Promise<Run | undefined> {
  const { rows } = await client.query<Run>(
    `SELECT period AS id, to_char(from_date, 'YYYY-MM-DD') AS from, to_char(to_date, 'YYYY-MM-DD') AS to, phase, cursor, due_at AS "dueAt"
     FROM billing_runs ORDER BY from_date DESC LIMIT 1`,
  )
  const last = rows[0]
  if (last !== undefined && last.phase !== 'done') return last
  const calendar = await readCalendar(client)
  const period = last === undefined ? await firstPeriod(client, calendar, { timezone, nowMs }) : nextPeriod(calendar, last)
  if (period === undefined) return undefined
  const due = dueMs(calendar, period, timezone)
  if (due > nowMs) return undefined
  const dueAt = new Date(due)
  await client.query('INSERT INTO billing_runs (period, from_date, to_date, due_at) VALUES ($1, $2, $3, $4)', [
    period.id,
    period.from,
    period.to,
    dueAt,
  ])
  return { ...period, phase: 'accounts', cursor: '', dueAt }
}

/** The period of the first day that there is, if it can be due. Only days of such periods are looked through: the others are most of them. */
async function firstPeriod(
  client: PoolClient,
  calendar: BillingCalendar,
  now: { timezone: string; nowMs: number },
): Promise<BillingPeriod | undefined> {
  const newest = newestDue(calendar, now.timezone, now.nowMs)
  const { rows } = await client.query<{ date: string | null }>(
    "SELECT to_char(min(date), 'YYYY-MM-DD') AS date FROM meter_days WHERE date < $1::date",
    [newest.to],
  )
  return rows[0]?.date == null ? undefined : periodOf(calendar, rows[0].date)
}

async function closeUnits(
  client: PoolClient,
  deps: CloserDeps,
  q: { run: Run; timezone: string; units: readonly Unit[] },
): Promise<{ facts: PeriodFacts; document: PeriodDocument }[]> {
  const out: { facts: PeriodFacts; document: PeriodDocument }[] = []
  const sources = await closingSources(client, deps, q)
  for (const { facts, days } of sources) {
    await saveBilled(client, facts.period, days)
    const document = periodDocument(await loadInput(client, facts))
    const body = documentText(document)
    await client.query(
      `INSERT INTO billing_periods (period, account, meter, commodity, meters, body, sha256, facts, problems)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
      [
        facts.period.id,
        facts.account,
        facts.meter,
        facts.commodity,
        [...new Set(facts.registers.map((r) => r.meter))].sort(),
        body,
        sha256(body),
        JSON.stringify(facts),
        document.problems.length,
      ],
    )
    out.push({ facts, document })
  }
  return out
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

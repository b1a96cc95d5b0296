// Edits of intervals between PostgreSQL, QuestDB and the log: what folds ask to be calculated anew, what people wrote, and the stored
// revisions that both are made upon.
import { EDIT_INTERVALS, type Edit, type EditedDay, type EditedInterval, type Recalculation } from '#model/edit.ts'
import type { IntervalStatus } from '#model/interval.ts'
import type { Quantity } from '#model/quantity.ts'
import { localDate } from '#model/time.ts'
import { type Pool, type Queryable, tx } from '#runtime/postgres.ts'
import { literal, type QuestDb, timeLiteral } from '#runtime/questdb.ts'
import { QUESTDB_TABLES } from './questdb.ts'

export interface AskedEdit {
  id: string
  kind: 'manual' | 'multiplier'
  zone: string
  meter: string
  quantity: Quantity
  channel: string
  sinceMs: number
  untilMs: number
  newValues: [startMs: number, value: number][] | null
  factor: number | null
  askedAtMs: number
}

/** Stored with the checkpoint in which a fold asked: exactly once. */
export async function askRecalculations(client: Queryable, asked: readonly Recalculation[]): Promise<void> {
  for (const r of asked) {
    await client.query(
      `INSERT INTO interval_edits (id, kind, zone, meter, quantity, channel, since_at, until_at, factor, who, note, asked_at)
       VALUES ($1, 'multiplier', $2, $3, $4, $5, $6, $7, $8, 'registry', $9, $10) ON CONFLICT (id) DO NOTHING`,
      [
        ...[r.id, r.zone, r.meter, r.quantity, r.channel, iso(r.sinceMs), iso(r.untilMs), r.factor],
        `multiplier times ${r.factor} since ${iso(r.sinceMs)}`,
        iso(r.askedAtMs),
      ],
    )
  }
}

const iso = (ms: number): string => new Date(ms).toISOString()

/** Rows flushed before a checkpoint may become visible in QuestDB a moment later: asked edits rest this long. */
const REST_SECONDS = 3
/** The days of an edit are stored with a checkpoint, at the latest after two minutes: the next edit of a meter is made upon them. */
const SETTLE_SECONDS = 150

/**
 * Gives the oldest asked edit to `publish`, and marks it as published or, with a sentence, as failed. One process at a time has a row.
 * False when nothing is asked. A crash between the two publishes it again: folds know its id.
 */
export async function takeEdit(
  pool: Pool,
  publish: (asked: AskedEdit) => Promise<{ intervals: number; problem: string }>,
  { restSeconds, settleSeconds } = { restSeconds: REST_SECONDS, settleSeconds: SETTLE_SECONDS },
): Promise<boolean> {
  return tx(pool, async (client) => {
    const { rows } = await client.query<Omit<AskedEdit, 'sinceMs' | 'untilMs' | 'askedAtMs'> & { since: Date; until: Date; asked: Date }>(
      `SELECT id, kind, zone, meter, quantity, channel, since_at AS since, until_at AS until, new_values AS "newValues", factor, asked_at AS asked
       FROM interval_edits e WHERE state = 'asked' AND created_at < now() - make_interval(secs => $1)
         AND NOT EXISTS (SELECT 1 FROM interval_edits o WHERE o.meter = e.meter AND o.published_at > now() - make_interval(secs => $2))
       ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED`,
      [restSeconds, settleSeconds],
    )
    const [row] = rows
    if (row === undefined) return false
    const { since, until, asked, ...rest } = row
    const { intervals, problem } = await publish({
      ...rest,
      sinceMs: since.getTime(),
      untilMs: until.getTime(),
      askedAtMs: asked.getTime(),
    })
    await client.query(`UPDATE interval_edits SET state = $2, problem = $3, intervals = $4, published_at = now() WHERE id = $1`, [
      row.id,
      problem === '' ? 'published' : 'failed',
      problem,
      intervals,
    ])
    return true
  })
}

interface Stored {
  startMs: number
  endMs: number
  value: number | null
  status: IntervalStatus
  rev: number
}

/** At most so many stored revisions are read for one edit. */
const STORED_MAX = 200_000

async function storedIntervals(db: QuestDb, prefix: string, a: AskedEdit): Promise<Map<number, Stored>> {
  const channel = a.channel === '' ? "(channel = '' OR channel IS NULL)" : `channel = ${literal(a.channel)}`
  const { dataset } = await db.exec(
    `SELECT start, "end", value, status, rev FROM '${prefix}${QUESTDB_TABLES.intervals}'
     WHERE meter = ${literal(a.meter)} AND quantity = ${literal(a.quantity)} AND ${channel}
     AND start >= ${timeLiteral(a.sinceMs)} AND start < ${timeLiteral(a.untilMs)} ORDER BY start, rev LIMIT ${STORED_MAX + 1}`,
  )
  if (dataset.length > STORED_MAX) throw new Error(`more than ${STORED_MAX} stored revisions`)
  const newest = new Map<number, Stored>()
  for (const [start, end, value, status, rev] of dataset as [string, string, number | null, IntervalStatus, number][]) {
    const startMs = Date.parse(start)
    newest.set(startMs, { startMs, endMs: Date.parse(end), value, status, rev })
  }
  return newest
}

async function storedDays(pool: Pool, a: AskedEdit): Promise<EditedDay[]> {
  const { rows } = await pool.query<EditedDay & { tou: Record<string, number> | null }>(
    `SELECT DISTINCT ON (date) to_char(date, 'YYYY-MM-DD') AS date, value, estimated_value AS "estimatedValue", actual, estimated, missing, edited,
       tou, rev
     FROM meter_days WHERE meter = $1 AND quantity = $2 AND channel = $3 AND date >= $4::date - 1 AND date <= $5::date + 1
     ORDER BY date, rev DESC`,
    [a.meter, a.quantity, a.channel, iso(a.sinceMs), iso(a.untilMs)],
  )
  return rows.map((r) => ({ ...r, tou: r.tou ?? undefined }))
}

/** The intervals of an edit, upon their newest stored revisions, in parts that fit a record each. Why none could be made, or ''. */
export async function buildEdits(
  stores: { pool: Pool; questdb: QuestDb; prefix: string },
  a: AskedEdit,
): Promise<{ edits: Edit[]; problem: string }> {
  const stored = await storedIntervals(stores.questdb, stores.prefix, a)
  const wanted =
    a.newValues ??
    [...stored.values()]
      .filter((s) => s.value !== null && s.status !== 'edited')
      .map((s) => [s.startMs, (s.value as number) * (a.factor as number)] as const)
  const unknown = wanted.find(([startMs]) => !stored.has(startMs))
  if (unknown !== undefined) return { edits: [], problem: `there is no interval that begins at ${iso(unknown[0])}` }
  if (wanted.length === 0) return { edits: [], problem: 'there are no intervals in this time' }
  const intervals: EditedInterval[] = wanted
    .map(([startMs, value]) => {
      const s = stored.get(startMs) as Stored
      return { startMs, endMs: s.endMs, value, before: s.value, beforeStatus: s.status, rev: s.rev }
    })
    .sort((x, y) => x.startMs - y.startMs)
  const days = await storedDays(stores.pool, a)
  const parts = byDays(intervals, await timezone(stores.pool))
  const { kind, meter, quantity, channel } = a
  const edits = parts.map(({ dates, intervals: part }, i) => ({
    id: parts.length > 1 ? `${a.id}#${i}` : a.id,
    ...{ kind, meter, quantity, channel, intervals: part },
    days: days.filter((d) => dates.has(d.date)),
  }))
  return { edits, problem: '' }
}

async function timezone(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ value: string }>("SELECT value FROM registry_meta WHERE key = 'timezone'")
  return rows[0]?.value ?? 'UTC'
}

/** Parts of whole local days. */
function byDays(intervals: readonly EditedInterval[], zone: string): { dates: Set<string>; intervals: EditedInterval[] }[] {
  const parts: { dates: Set<string>; intervals: EditedInterval[] }[] = []
  for (const i of intervals) {
    const date = localDate(zone, i.startMs)
    let part = parts.at(-1)
    if (part === undefined || (part.intervals.length >= EDIT_INTERVALS && !part.dates.has(date))) {
      part = { dates: new Set(), intervals: [] }
      parts.push(part)
    }
    part.dates.add(date)
    part.intervals.push(i)
  }
  return parts
}

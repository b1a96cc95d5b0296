// From a billed figure back to what the field said: revisions of the day, intervals, raw reads with their message, events, refusals.
import { DAY_MS, HOUR_MS, localDay, MINUTE_MS, parseIso, startOfLocalDate, toIso } from '#model/time.ts'
import { VALIDATION_RULES } from '#model/validation-rules.ts'
import type { Queryable } from '#runtime/postgres.ts'
import { literal, timeLiteral } from '#runtime/questdb.ts'
import { type DayRevision, dayRevisions } from './consumption.ts'
import { intervals, readings, type SeriesStore, type StoredInterval, type StoredReading } from './series.ts'

/** Reads so long before and after the day are looked for: the ends of a gap that reaches beyond it. */
const AROUND_MS = 2 * DAY_MS
/** Refusals of the day's reads may come so much later. */
const REFUSED_AFTER_MS = 3 * DAY_MS
/** A day of readings every ten seconds in several registers is below it; beyond, the answer says that it was cut. */
const ROWS_MAX = 50_000
/** A read so much after a boundary counts as at it, as in validation. */
const AT_BORDER_MS = MINUTE_MS

export interface ExplainedRead extends Omit<StoredReading, 'gateway' | 'receivedAt' | 'seq'> {
  /** The message that brought it: gateway, time of receipt, the gateway's own number of it where it counts them. */
  message: { gateway: string | null; receivedAt: string; seq: number | null }
}
export interface ExplainedInterval extends StoredInterval {
  /** True for the revision that counts. */
  newest: boolean
  /** Times of the believed reads that it lies between: the last up to its start, the first from its end on; null when there is none near. */
  fromRead: string | null
  toRead: string | null
}
export interface DayExplanation {
  meter: string
  date: string
  timezone: string
  start: string
  end: string
  revisions: DayRevision[]
  /** Bills in which a revision of the day stands. */
  billed: { no: number | null; period: string; quantity: string; channel: string; rev: number; value: number }[]
  intervals: ExplainedInterval[]
  reads: ExplainedRead[]
  events: { ts: string; event: string; detail: string; receivedAt: string; gateway: string | null }[]
  refused: { id: string; reason: string; message: string; topic: string; receivedAt: string; state: string }[]
  operations: { kind: string; knownAt: string; start: string; end: string; note: string }[]
  /** Rules and methods that are named above, with what they mean and how often they stand there. */
  rules: { name: string; level: string; count: number; en: string; zh: string }[]
  /** True when there were more reads or intervals than an answer holds. */
  cut: boolean
}

export async function explainDay(
  db: Queryable,
  store: SeriesStore,
  q: { meter: string; date: string; timezone: string },
): Promise<DayExplanation | undefined> {
  const revisions = await dayRevisions(db, q.meter, q.date)
  const startMs = startOfLocalDate(q.timezone, q.date)
  const { endMs } = localDay(q.timezone, startMs + HOUR_MS)
  const range = { fromMs: startMs, toMs: endMs }
  const around = { fromMs: startMs - AROUND_MS, toMs: endMs + AROUND_MS }
  const [said, all, events, refused, operations, billed] = await Promise.all([
    intervals(store, { meter: q.meter, range, limit: ROWS_MAX }),
    readings(store, { device: q.meter, range: around, limit: ROWS_MAX }),
    eventsOf(store, q.meter, around),
    refusedOf(db, q.meter, { fromMs: startMs, toMs: endMs + REFUSED_AFTER_MS }),
    operationsOf(db, q.meter, range),
    billedOf(db, q.meter, q.date),
  ])
  if (revisions.length === 0 && said.length === 0) return undefined
  const quantities = new Set([...revisions.map((r) => r.quantity), ...said.map((i) => i.quantity)])
  const ours = all.filter((r) => quantities.has(r.quantity))
  const explained = explainIntervals(said.slice(0, ROWS_MAX), ours)
  const reads = readsAround(ours, explained, range)
  return {
    ...{ meter: q.meter, date: q.date, timezone: q.timezone, start: toIso(startMs), end: toIso(endMs) },
    revisions,
    billed,
    intervals: explained,
    reads: reads.map(({ gateway, receivedAt, seq, ...r }) => ({ ...r, message: { gateway, receivedAt, seq } })),
    ...{ events, refused, operations },
    rules: rulesOf(revisions, explained, reads),
    cut: said.length > ROWS_MAX || all.length > ROWS_MAX,
  }
}

/** Marks the newest revision of each interval and finds the reads that it is the difference of. */
function explainIntervals(said: readonly StoredInterval[], reads: readonly StoredReading[]): ExplainedInterval[] {
  const newest = new Map<string, number>()
  const key = (i: StoredInterval) => `${i.start}|${i.quantity}|${i.channel}`
  for (const i of said) newest.set(key(i), Math.max(newest.get(key(i)) ?? 0, i.rev))
  const series = new Map<string, number[]>()
  for (const r of reads) {
    if (r.quality === 'suspect') continue
    const of = `${r.quantity}|${r.channel}`
    const list = series.get(of)
    if (list === undefined) series.set(of, [parseIso(r.ts)])
    else list.push(parseIso(r.ts))
  }
  const iso = (ms: number | undefined) => (ms === undefined ? null : toIso(ms))
  return said.map((i) => {
    const times = series.get(`${i.quantity}|${i.channel}`) ?? []
    const from = times[countUpTo(times, parseIso(i.start) + AT_BORDER_MS) - 1]
    const to = times[countUpTo(times, parseIso(i.end) - 1)]
    return { ...i, newest: newest.get(key(i)) === i.rev, fromRead: iso(from), toRead: iso(to) }
  })
}

/** How many of ascending times are not after a border. */
function countUpTo(times: readonly number[], ms: number): number {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((times[middle] as number) <= ms) low = middle + 1
    else high = middle
  }
  return low
}

/** Reads of the day, those that its intervals stand on, and the next one after it: the other end of a gap. */
function readsAround(
  reads: readonly StoredReading[],
  explained: readonly ExplainedInterval[],
  day: { fromMs: number; toMs: number },
): StoredReading[] {
  const named = new Set(explained.flatMap((i) => [i.fromRead, i.toRead].map((t) => `${i.quantity}|${i.channel}|${t}`)))
  const after = new Set<string>()
  return reads.filter((r) => {
    const ms = parseIso(r.ts)
    const series = `${r.quantity}|${r.channel}`
    if ((ms >= day.fromMs && ms <= day.toMs) || named.has(`${series}|${toIso(ms)}`)) return true
    if (ms < day.toMs || after.has(series)) return false
    after.add(series)
    return true
  })
}

function rulesOf(
  revisions: readonly DayRevision[],
  said: readonly ExplainedInterval[],
  reads: readonly StoredReading[],
): DayExplanation['rules'] {
  const counts = new Map<string, number>()
  const names = [
    ...revisions.flatMap((r) => r.rules),
    ...said.filter((i) => i.newest).flatMap((i) => i.reasons),
    ...reads.flatMap((r) => r.rules),
  ]
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].sort().map(([name, count]) => {
    const text = VALIDATION_RULES[name as keyof typeof VALIDATION_RULES] as { level: string; en: string; zh: string } | undefined
    return { name, count, level: text?.level ?? '', en: text?.en ?? '', zh: text?.zh ?? '' }
  })
}

async function eventsOf(
  { questdb, prefix }: SeriesStore,
  meter: string,
  range: { fromMs: number; toMs: number },
): Promise<DayExplanation['events']> {
  const { dataset } = await questdb.exec(
    `SELECT ts, event, detail, received_at, gateway FROM '${prefix}events' WHERE device = ${literal(meter)}
     AND ts >= ${timeLiteral(range.fromMs)} AND ts < ${timeLiteral(range.toMs)} ORDER BY ts LIMIT 1000`,
  )
  const iso = (t: unknown) => toIso(Date.parse(String(t)))
  return dataset.map((r) => ({
    ts: iso(r[0]),
    event: String(r[1]),
    detail: String(r[2] ?? ''),
    receivedAt: iso(r[3]),
    gateway: r[4] as string | null,
  }))
}

async function refusedOf(db: Queryable, meter: string, range: { fromMs: number; toMs: number }): Promise<DayExplanation['refused']> {
  const { rows } = await db.query<Omit<DayExplanation['refused'][number], 'receivedAt'> & { received_at: Date }>(
    `SELECT id, reason, message, topic, received_at, state FROM quarantine
     WHERE device = $1 AND received_at >= to_timestamp($2::float8 / 1000) AND received_at < to_timestamp($3::float8 / 1000)
     ORDER BY received_at, id LIMIT 1000`,
    [meter, range.fromMs, range.toMs],
  )
  return rows.map(({ received_at, ...r }) => ({ ...r, receivedAt: received_at.toISOString() }))
}

/** Operations that concern the meter, the transformer, feeder or district it belongs to, or everything. */
async function operationsOf(db: Queryable, meter: string, range: { fromMs: number; toMs: number }): Promise<DayExplanation['operations']> {
  const { rows } = await db.query<{ kind: string; known_at: Date; start_at: Date; end_at: Date; note: string }>(
    `SELECT o.kind, o.known_at, o.start_at, o.end_at, o.note FROM operations o LEFT JOIN assets a ON a.id = $1
     WHERE o.start_at < to_timestamp($3::float8 / 1000) AND o.end_at >= to_timestamp($2::float8 / 1000)
       AND (o.scope_type = 'network' OR o.scope = $1 OR o.scope IN (a.properties->>'transformer', a.properties->>'feeder', a.properties->>'dma'))
     ORDER BY o.start_at, o.id LIMIT 200`,
    [meter, range.fromMs, range.toMs],
  )
  return rows.map((r) => ({
    kind: r.kind,
    knownAt: r.known_at.toISOString(),
    start: r.start_at.toISOString(),
    end: r.end_at.toISOString(),
    note: r.note,
  }))
}

async function billedOf(db: Queryable, meter: string, date: string): Promise<DayExplanation['billed']> {
  const { rows } = await db.query<DayExplanation['billed'][number]>(
    `SELECT p.no, b.period, b.quantity, b.channel, b.rev, b.value FROM billing_billed_days b
     LEFT JOIN billing_periods p ON p.period = b.period AND p.meters @> ARRAY[b.meter]
       AND p.commodity = CASE WHEN b.quantity LIKE 'water%' THEN 'water' WHEN b.quantity LIKE 'gas%' THEN 'gas' WHEN b.quantity LIKE 'heat%' THEN 'heat' ELSE 'power' END
     WHERE b.meter = $1 AND b.date = $2::date ORDER BY b.quantity, b.channel, b.rev`,
    [meter, date],
  )
  return rows
}

// Readings and intervals from QuestDB. Its HTTP endpoint takes no parameters, so every text goes through `literal` after the route has
// checked it, and every time and number through a form that can only be one.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Interval, IntervalStatus } from '#model/interval.ts'
import type { Quantity } from '#model/quantity.ts'
import { literal, type QuestDb, timeLiteral } from '#runtime/questdb.ts'
import type { Range } from './params.ts'

export interface SeriesStore {
  questdb: QuestDb
  /** METERSTREAM_PREFIX. */
  prefix: string
}

export interface StoredReading {
  ts: string
  quantity: string
  channel: string
  value: number
  receivedAt: string
  gateway: string | null
  zone: string
  quality: string
  rules: string[]
  seq: number | null
}

const iso = (text: unknown): string =>
  String(text)
    .replace(/\.000(?:000)?Z$/, 'Z')
    .replace(/(\.\d{3})000Z$/, '$1Z')
const list = (text: unknown): string[] => (typeof text === 'string' && text !== '' ? text.split(',') : [])
const where = (conditions: (string | undefined)[]): string => conditions.filter((c) => c !== undefined).join(' AND ')

/** In order of time. One more than `limit` rows are asked for, so that the caller sees whether it goes on. */
export async function readings(
  { questdb, prefix }: SeriesStore,
  q: { device: string; quantity?: string | undefined; channel?: string | undefined; range: Range; limit: number },
): Promise<StoredReading[]> {
  const { dataset } = await questdb.exec(
    `SELECT ts, quantity, channel, value, received_at, gateway, zone, quality, rules, seq FROM '${prefix}readings' WHERE ${where([
      `device = ${literal(q.device)}`,
      q.quantity === undefined ? undefined : `quantity = ${literal(q.quantity)}`,
      q.channel === undefined ? undefined : channelIs(q.channel),
      `ts >= ${timeLiteral(q.range.fromMs)}`,
      `ts < ${timeLiteral(q.range.toMs)}`,
    ])} ORDER BY ts, quantity, channel LIMIT ${Math.trunc(q.limit) + 1}`,
  )
  return dataset.map((r) => ({
    ts: iso(r[0]),
    quantity: String(r[1]),
    channel: (r[2] as string | null) ?? '',
    value: r[3] as number,
    receivedAt: iso(r[4]),
    gateway: r[5] as string | null,
    zone: (r[6] as string | null) ?? '',
    quality: String(r[7]),
    rules: list(r[8]),
    seq: (r[9] as number | null) ?? null,
  }))
}

/** An empty symbol may be stored as null. */
function channelIs(channel: string): string {
  return channel === '' ? "(channel = '' OR channel IS NULL)" : `channel = ${literal(channel)}`
}

export interface StoredInterval extends Omit<Interval, 'startMs' | 'endMs' | 'meter' | 'was'> {
  start: string
  end: string
  zone: string
  was: { value: number | null; status: IntervalStatus; why: string } | null
}

/** Every revision, in order of time and revision. */
export async function intervals(
  { questdb, prefix }: SeriesStore,
  q: { meter: string; quantity?: string | undefined; channel?: string | undefined; range: Range; limit: number },
): Promise<StoredInterval[]> {
  const { dataset } = await questdb.exec(
    `SELECT start, quantity, channel, "end", value, status, reasons, rev, zone, before, before_status, why FROM '${prefix}intervals' WHERE ${where(
      [
        `meter = ${literal(q.meter)}`,
        q.quantity === undefined ? undefined : `quantity = ${literal(q.quantity)}`,
        q.channel === undefined ? undefined : channelIs(q.channel),
        `start >= ${timeLiteral(q.range.fromMs)}`,
        `start < ${timeLiteral(q.range.toMs)}`,
      ],
    )} ORDER BY start, quantity, channel, rev LIMIT ${Math.trunc(q.limit) + 1}`,
  )
  return dataset.map((r) => ({
    start: iso(r[0]),
    quantity: r[1] as Quantity,
    channel: (r[2] as string | null) ?? '',
    end: iso(r[3]),
    value: r[4] as number | null,
    status: r[5] as IntervalStatus,
    reasons: list(r[6]),
    rev: r[7] as number,
    zone: (r[8] as string | null) ?? '',
    was: replaced(r[9], r[10], r[11]),
  }))
}

/** What a revision replaces; null for a first one. */
function replaced(value: unknown, status: unknown, why: unknown): StoredInterval['was'] {
  if (typeof why !== 'string' || why === '') return null
  return { value: (value as number | null) ?? null, status: status as IntervalStatus, why }
}

/** Only the newest revision of each interval, in the order given. */
export function newestOnly(all: readonly StoredInterval[]): StoredInterval[] {
  const newest = new Map<string, StoredInterval>()
  for (const i of all) {
    const key = `${i.start}|${i.quantity}|${i.channel}`
    const known = newest.get(key)
    if (known === undefined || known.rev < i.rev) newest.set(key, i)
  }
  return [...newest.values()]
}

/** Cuts to `limit` rows at a whole instant, so that the next request can begin at `next` without losing or repeating any. */
export function page<T>(rows: readonly T[], limit: number, at: (row: T) => string): { rows: readonly T[]; next: string | null } {
  if (rows.length <= limit) return { rows, next: null }
  const next = at(rows[limit] as T)
  const whole = rows.slice(0, limit).filter((r) => at(r) !== next)
  // More rows at one instant than the limit: then the cut is inside the instant and the client must ask for more or for one quantity.
  return whole.length === 0 ? { rows: rows.slice(0, limit), next: null } : { rows: whole, next }
}

export interface StoredCount {
  gateway: string
  hourMs: number
  stored: number
}

/** How far before and after its receipt a reading's own time may lie and still be counted: beyond is refused anyway. */
const TS_BEFORE_MS = 45 * 86_400_000
const TS_AFTER_MS = 2 * 86_400_000

export interface Storage {
  /** 'behind': rows are in QuestDB's log that queries do not show yet; 'suspended': QuestDB has stopped applying them. */
  state: 'current' | 'behind' | 'suspended'
  detail: string
}

const APPLIED_WITHIN_MS = 2_000
const APPLIED_EVERY_MS = 100

/** Waits, at most two seconds, until queries show every row that was written before the call. */
export async function storageApplied({ questdb, prefix }: SeriesStore, of: readonly string[] = ['readings', 'events']): Promise<Storage> {
  const tables = of.map((t) => literal(`${prefix}${t}`)).join(', ')
  const ask = async () => {
    const { dataset } = await questdb.exec(`SELECT name, suspended, writerTxn, sequencerTxn FROM wal_tables() WHERE name IN (${tables})`)
    return dataset as [string, boolean, number | string, number | string][]
  }
  const written = new Map((await ask()).map(([name, , , sequencer]) => [name, Number(sequencer)]))
  for (const untilMs = performance.now() + APPLIED_WITHIN_MS; ; ) {
    const now = await ask()
    const suspended = now.filter(([, stopped]) => stopped).map(([name]) => name)
    if (suspended.length > 0) return { state: 'suspended', detail: `QuestDB has suspended ${suspended.join(', ')}` }
    const behind = now.filter(([name, , writer]) => Number(writer) < (written.get(name) ?? 0))
    if (behind.length === 0) return { state: 'current', detail: '' }
    if (performance.now() > untilMs) return { state: 'behind', detail: `rows are on their way in ${behind.map(([n]) => n).join(', ')}` }
    await sleep(APPLIED_EVERY_MS)
  }
}

/** Stored readings and events by gateway and hour of receipt. Computed values have no gateway and are not counted. */
export async function storedCounts({ questdb, prefix }: SeriesStore, range: Range): Promise<StoredCount[]> {
  const count = (table: string) =>
    `SELECT gateway, timestamp_floor('h', received_at) AS hour, count() AS n FROM '${prefix}${table}'
     WHERE ts >= ${timeLiteral(range.fromMs - TS_BEFORE_MS)} AND ts < ${timeLiteral(range.toMs + TS_AFTER_MS)}
     AND received_at >= ${timeLiteral(range.fromMs)} AND received_at < ${timeLiteral(range.toMs)} AND gateway IS NOT NULL GROUP BY gateway, hour`
  const results = await Promise.all([questdb.exec(count('readings')), questdb.exec(count('events'))])
  const sums = new Map<string, StoredCount>()
  for (const { dataset } of results) {
    for (const [gateway, hour, n] of dataset as [string, string, number][]) {
      if (gateway === '') continue
      const hourMs = Date.parse(hour)
      const key = `${gateway}|${hourMs}`
      const sum = sums.get(key)
      if (sum === undefined) sums.set(key, { gateway, hourMs, stored: n })
      else sum.stored += n
    }
  }
  return [...sums.values()]
}

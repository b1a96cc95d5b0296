// Messages by gateway and hour: what came, and which numbers of a gateway's own counter did not.
import { countOf, hasNumber, unionOf } from '#model/ranges.ts'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import type { Queryable } from '#runtime/postgres.ts'
import type { Range } from './params.ts'

export interface MessageCounts {
  /** What the broker delivered, repetitions included. */
  deliveries: number
  redelivered: number
  refused: number
  /** Different messages: by number, and first deliveries of those without one. */
  present: number
  /** Numbers between the first and the last that did not come. */
  missing: number
  expected: number
  /** Missing numbers, first and last of each hole; the newest HOLES_MAX. */
  holes: [from: number, to: number][]
}

const HOLES_MAX = 20

interface Row {
  gateway: string
  hour_ms: number
  /** Log and run of the counter. */
  series: string
  deliveries: number
  redelivered: number
  unnumbered: number
  refused: number
  ranges: string[]
  joined: number
}

const NONE: MessageCounts = { deliveries: 0, redelivered: 0, refused: 0, present: 0, missing: 0, expected: 0, holes: [] }

/** By `gateway|hour`. Holes across the beginning of the range show, up to a day of silence before it. */
export async function messageCounts(db: Queryable, range: Range, gateway: string | undefined): Promise<Map<string, MessageCounts>> {
  const { rows } = await db.query<Row>(
    `SELECT gateway, (extract(epoch FROM hour) * 1000)::bigint AS hour_ms, cluster || '|' || run AS series, deliveries, redelivered, unnumbered, refused,
       ranges::text[] AS ranges, joined
     FROM message_ledger WHERE hour >= to_timestamp($1::float8 / 1000) AND hour < to_timestamp($2::float8 / 1000) AND ($3::text IS NULL OR gateway = $3)`,
    [range.fromMs - DAY_MS, range.toMs, gateway ?? null],
  )
  return countMessages(rows, range)
}

/** From the rows of all ingests: they share a gateway's messages. */
export function countMessages(rows: readonly Row[], range: Range): Map<string, MessageCounts> {
  const counts = new Map<string, MessageCounts>()
  const of = (gatewayId: string, hourMs: number): MessageCounts => {
    const key = `${gatewayId}|${hourMs}`
    const known = counts.get(key) ?? { ...NONE, holes: [] }
    counts.set(key, known)
    return known
  }
  const shown = (hourMs: number): boolean => hourMs >= range.fromMs - (range.fromMs % HOUR_MS) && hourMs < range.toMs
  const bySeries = new Map<string, Row[]>()
  for (const r of rows) {
    const key = `${r.gateway}\n${r.series}`
    bySeries.set(key, [...(bySeries.get(key) ?? []), r])
    if (!shown(r.hour_ms)) continue
    const c = of(r.gateway, r.hour_ms)
    c.deliveries += r.deliveries
    c.redelivered += r.redelivered
    c.refused += r.refused
    c.present += r.unnumbered
    c.missing += r.joined
  }
  for (const series of bySeries.values()) {
    const hours = hoursOf(series)
    const gatewayId = (series[0] as Row).gateway
    const whole = unionOf([...hours.values()])
    let before: number[] = []
    for (const [hourMs, ranges] of hours) {
      // A message that came again in a later hour is of its first.
      const until = unionOf([before, ranges])
      if (shown(hourMs)) of(gatewayId, hourMs).present += countOf(until) - countOf(before)
      before = until
    }
    for (let i = 1; i + 1 < whole.length; i += 2) {
      const from = (whole[i] as number) + 1
      const to = (whole[i + 1] as number) - 1
      const seenIn = [...hours].find(([, ranges]) => hasNumber(ranges, to + 1))?.[0] as number
      if (!shown(seenIn)) continue
      const c = of(gatewayId, seenIn)
      c.missing += to - from + 1
      c.holes.push([from, to])
    }
  }
  for (const c of counts.values()) {
    c.expected = c.present + c.missing
    c.holes = c.holes.slice(-HOLES_MAX)
  }
  return counts
}

function hoursOf(series: readonly Row[]): Map<number, number[]> {
  const hours = new Map<number, number[]>()
  for (const r of [...series].sort((a, b) => a.hour_ms - b.hour_ms))
    hours.set(r.hour_ms, unionOf([hours.get(r.hour_ms) ?? [], r.ranges.map(Number)]))
  return hours
}

export function sumMessages(all: Iterable<MessageCounts>): MessageCounts {
  const sum: MessageCounts = { ...NONE, holes: [] }
  for (const c of all) {
    for (const key of ['deliveries', 'redelivered', 'refused', 'present', 'missing', 'expected'] as const) sum[key] += c[key]
  }
  return sum
}

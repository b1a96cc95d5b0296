// The billing feed: every revision of every meter-day in the order in which it was stored. Processors insert under one advisory lock
// held to the end of the transaction (010_processors.sql), so a number never appears below one already seen: a reader that goes on
// after the last number it has read misses nothing and gets nothing twice, whatever is being written meanwhile.
import type { Queryable } from '#runtime/postgres.ts'

export interface FeedItem {
  seq: number
  meter: string
  quantity: string
  channel: string
  date: string
  value: number
  actual: number
  estimated: number
  missing: number
  rev: number
  decidedAt: string
}

export async function consumptionAfter(db: Queryable, afterSeq: number, limit: number): Promise<FeedItem[]> {
  const { rows } = await db.query<{
    feed_seq: number
    meter: string
    quantity: string
    channel: string
    date: string
    value: number
    actual: number
    estimated: number
    missing: number
    rev: number
    decided_at: Date
  }>(
    `SELECT feed_seq, meter, quantity, channel, to_char(date, 'YYYY-MM-DD') AS date, value, actual, estimated, missing, rev, decided_at
     FROM meter_days WHERE feed_seq > $1 ORDER BY feed_seq LIMIT $2`,
    [afterSeq, limit],
  )
  return rows.map((r) => ({
    seq: r.feed_seq,
    meter: r.meter,
    quantity: r.quantity,
    channel: r.channel,
    date: r.date,
    value: r.value,
    actual: r.actual,
    estimated: r.estimated,
    missing: r.missing,
    rev: r.rev,
    decidedAt: r.decided_at.toISOString(),
  }))
}

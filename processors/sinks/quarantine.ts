// The topic `quarantine` into its table. A repeat changes nothing: what a person did to an entry stays.
import type { QuarantineEntry } from '#model/outcome.ts'
import type { InRecord } from '#runtime/kafka.ts'
import type { Queryable } from '#runtime/postgres.ts'

const ROWS_PER_STATEMENT = 500

/** PostgreSQL's text has no U+0000. A payload that has one is kept as base64, elsewhere it is shown as U+FFFD. */
function clean(text: string): string {
  return text.includes('\u0000') ? text.replaceAll('\u0000', '\ufffd') : text
}

function row(e: QuarantineEntry): unknown[] {
  const binary = e.encoding === 'utf8' && e.payload.includes('\u0000')
  return [
    clean(e.id),
    e.reason,
    clean(e.field),
    clean(e.message),
    clean(e.gateway),
    clean(e.device),
    clean(e.topic),
    clean(e.format),
    new Date(e.receivedAtMs).toISOString(),
    e.entries,
    binary ? Buffer.from(e.payload).toString('base64') : e.payload,
    binary ? 'base64' : e.encoding,
    e.truncated,
    e.redelivered,
  ]
}

/** Entries of a batch; what is not an entry is counted, not stored (the topic has no other writers than ours). */
export function quarantineEntries(records: readonly InRecord[]): { entries: QuarantineEntry[]; unreadable: number } {
  const entries: QuarantineEntry[] = []
  let unreadable = 0
  for (const r of records) {
    let entry: Partial<QuarantineEntry> | null
    try {
      entry = JSON.parse(r.value.toString()) as Partial<QuarantineEntry> | null
    } catch {
      entry = null
    }
    if (typeof entry?.id === 'string' && typeof entry.payload === 'string' && typeof entry.receivedAtMs === 'number')
      entries.push(entry as QuarantineEntry)
    else unreadable += 1
  }
  return { entries, unreadable }
}

export async function storeQuarantine(db: Queryable, entries: readonly QuarantineEntry[]): Promise<void> {
  for (let i = 0; i < entries.length; i += ROWS_PER_STATEMENT) {
    const values = entries.slice(i, i + ROWS_PER_STATEMENT).map(row)
    const columns = Array.from({ length: 14 }, (_, c) => values.map((v) => v[c]))
    await db.query(
      `INSERT INTO quarantine (id, reason, field, message, gateway, device, topic, format, received_at, entries, payload, encoding, truncated, redelivered)
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[],
         $10::int[], $11::text[], $12::text[], $13::boolean[], $14::boolean[])
       ON CONFLICT (id) DO NOTHING`,
      columns,
    )
  }
}

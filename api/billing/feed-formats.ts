// The billing feed as lines of JSON, as CSV and as Parquet: one list of columns, made from pages so that memory stays that of a page.
import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import type { FeedItem } from '../queries/consumption.ts'

export type Pages = AsyncIterable<readonly FeedItem[]>

type Cell = string | number | null
interface Column {
  name: string
  /** Times are ISO 8601 text here; Parquet makes its own of DATE and TIMESTAMP. */
  type: 'STRING' | 'INT32' | 'INT64' | 'DOUBLE' | 'DATE' | 'TIMESTAMP'
  nullable?: true
  of(item: FeedItem): Cell
}

/** Columns of CSV and Parquet, in order. Only ever appended to. */
export const COLUMNS: readonly Column[] = [
  { name: 'seq', type: 'INT64', of: (i) => i.seq },
  { name: 'meter', type: 'STRING', of: (i) => i.meter },
  { name: 'quantity', type: 'STRING', of: (i) => i.quantity },
  { name: 'channel', type: 'STRING', of: (i) => i.channel },
  { name: 'date', type: 'DATE', of: (i) => i.date },
  { name: 'value', type: 'DOUBLE', of: (i) => i.value },
  { name: 'actual', type: 'INT32', of: (i) => i.actual },
  { name: 'estimated', type: 'INT32', of: (i) => i.estimated },
  { name: 'missing', type: 'INT32', of: (i) => i.missing },
  { name: 'rev', type: 'INT32', of: (i) => i.rev },
  { name: 'decided_at', type: 'TIMESTAMP', of: (i) => i.decidedAt },
  { name: 'supersedes_seq', type: 'INT64', nullable: true, of: (i) => i.supersedes?.seq ?? null },
  { name: 'supersedes_rev', type: 'INT32', nullable: true, of: (i) => i.supersedes?.rev ?? null },
  { name: 'supersedes_value', type: 'DOUBLE', nullable: true, of: (i) => i.supersedes?.value ?? null },
  { name: 'gate', type: 'STRING', of: (i) => i.gate },
  { name: 'edited', type: 'INT32', of: (i) => i.edited },
  { name: 'estimated_value', type: 'DOUBLE', of: (i) => i.estimatedValue },
  { name: 'tou', type: 'STRING', nullable: true, of: (i) => (i.tou === null ? null : JSON.stringify(i.tou)) },
  { name: 'rules', type: 'STRING', of: (i) => i.rules.join(' ') },
  { name: 'why', type: 'STRING', of: (i) => i.why },
]

/** One JSON object a line, as in the feed's pages. */
export async function* ndjson(pages: Pages): AsyncGenerator<string> {
  for await (const page of pages) if (page.length > 0) yield `${page.map((i) => JSON.stringify(i)).join('\n')}\n`
}

/** RFC 4180 with a header; times in ISO 8601, numbers with a point, nothing for null, `tou` as JSON. */
export async function* csv(pages: Pages): AsyncGenerator<string> {
  yield `${COLUMNS.map((c) => c.name).join(',')}\r\n`
  for await (const page of pages) if (page.length > 0) yield page.map(csvLine).join('')
}

function csvLine(item: FeedItem): string {
  return `${COLUMNS.map((c) => csvCell(c.of(item))).join(',')}\r\n`
}

/**
 * Text that a spreadsheet would take for a formula (ids may begin with = + - @) gets an apostrophe before it, as OWASP advises for
 * CSV; so does text that begins with one, so that whoever takes one away from the front has the text again. Numbers are left as they are.
 */
export function csvCell(cell: Cell): string {
  if (cell === null) return ''
  if (typeof cell === 'number') return String(cell)
  const text = /^['=+\-@\t\r]/.test(cell) ? `'${cell}` : cell
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

const PARQUET = {
  STRING: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  INT32: { type: 'INT32' },
  INT64: { type: 'INT64' },
  DOUBLE: { type: 'DOUBLE' },
  DATE: { type: 'INT32', converted_type: 'DATE' },
  TIMESTAMP: { type: 'INT64', converted_type: 'TIMESTAMP_MILLIS' },
} as const satisfies Record<Column['type'], object>

/** A Parquet file, one row group a page: SNAPPY, dates as DATE, `decided_at` as a timestamp in milliseconds (UTC). */
export async function* parquet(pages: Pages): AsyncGenerator<Uint8Array> {
  const bytes = new ByteWriter()
  // What is written leaves the buffer; `offset` goes on counting.
  const take = () => {
    const chunk = bytes.getBytes().slice()
    bytes.index = 0
    return chunk
  }
  const file = new ParquetWriter({
    writer: bytes,
    createdBy: 'meterstream',
    schema: [
      { name: 'root', num_children: COLUMNS.length },
      ...COLUMNS.map(
        (c) => ({ name: c.name, repetition_type: c.nullable === true ? 'OPTIONAL' : 'REQUIRED', ...PARQUET[c.type] }) as const,
      ),
    ],
  })
  for await (const page of pages) {
    if (page.length === 0) continue
    await file.write({
      columnData: COLUMNS.map((c) => ({ name: c.name, data: page.map((i) => parquetCell(c, i)) })),
      rowGroupSize: page.length,
    })
    yield take()
  }
  await file.finish()
  yield take()
}

function parquetCell(c: Column, item: FeedItem): string | number | bigint | Date | null {
  const cell = c.of(item)
  if (cell === null) return null
  if (c.type === 'INT64') return BigInt(cell)
  return c.type === 'DATE' || c.type === 'TIMESTAMP' ? new Date(cell) : cell
}

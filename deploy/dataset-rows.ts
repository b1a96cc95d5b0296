// The rows of readings*.csv.gz and events.csv.gz as one stream in order of arrival. Half a million rows take about a second, so
// fields are cut by hand; a row that is not one becomes a refusal with its file and line, and the stream goes on.
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { parseIso } from '#model/time.ts'

export interface ReadingRow {
  kind: 'reading'
  receivedAtMs: number
  gateway: string
  device: string
  quantity: string
  /** As in the file; may be no time at all. */
  ts: string
  /** NaN when the text is no number. */
  value: number
  valueText: string
}

export interface EventRow {
  kind: 'event'
  receivedAtMs: number
  gateway: string
  device: string
  event: string
  ts: string
  detail: Record<string, unknown> | undefined
}

export interface RefusedRow {
  kind: 'refused'
  /** Its own arrival time when that could be read, else that of the row before it in its file; 0 when it is the first. */
  receivedAtMs: number
  file: string
  line: number
  field: string
  message: string
  payload: string
}

export type Row = ReadingRow | EventRow | RefusedRow
export type RowBatch = Row[]

const BATCH = 4096
const LINE_LENGTH_MAX = 65_536

const COLUMNS = {
  reading: ['received_at', 'gateway', 'device', 'quantity', 'ts', 'value'],
  event: ['received_at', 'gateway', 'device', 'event', 'ts', 'detail'],
} as const

/**
 * All files as one stream: merged by received_at, on a tie in the order of `files`. A row that arrived before its predecessor in the
 * same file (files are in order of arrival) takes the predecessor's arrival time: the log's clock does not go back.
 */
export async function* mergedRows(dir: string, files: readonly string[]): AsyncGenerator<RowBatch> {
  const sources = files.map((file) => ({ batches: fileRows(dir, file), batch: [] as RowBatch, at: 0 }))
  const fill = async (s: (typeof sources)[number]): Promise<boolean> => {
    while (s.at >= s.batch.length) {
      const next = await s.batches.next()
      if (next.done === true) return false
      s.batch = next.value
      s.at = 0
    }
    return true
  }
  let open: typeof sources = []
  for (const s of sources) if (await fill(s)) open.push(s)
  let out: RowBatch = []
  while (open.length > 0) {
    // Few files: a linear look for the earliest head is cheaper than a heap.
    let first = open[0] as (typeof sources)[number]
    let until = Number.POSITIVE_INFINITY
    for (const s of open) {
      if (s === first) continue
      const head = (s.batch[s.at] as Row).receivedAtMs
      const best = (first.batch[first.at] as Row).receivedAtMs
      if (head < best) {
        until = best
        first = s
      } else if (head < until) until = head
    }
    // Take from the earliest file until another one's head comes first.
    const later = open.indexOf(first)
    do {
      out.push(first.batch[first.at++] as Row)
      if (out.length >= BATCH) {
        yield out
        out = []
      }
      if (first.at >= first.batch.length && !(await fill(first))) {
        open = open.filter((s) => s !== first)
        break
      }
    } while ((first.batch[first.at] as Row).receivedAtMs < until || (later === 0 && (first.batch[first.at] as Row).receivedAtMs === until))
  }
  if (out.length > 0) yield out
}

async function* fileRows(dir: string, file: string): AsyncGenerator<RowBatch> {
  let lineNumber = 0
  let lastMs = 0
  let order: number[] | undefined
  const kind = file.startsWith('events') ? 'event' : 'reading'
  const refuse = (line: string, field: string, message: string): RefusedRow => ({
    kind: 'refused',
    receivedAtMs: lastMs,
    file,
    line: lineNumber,
    field,
    message,
    payload: line.slice(0, LINE_LENGTH_MAX),
  })
  const toRow = (line: string): Row => {
    const fields = splitLine(line)
    if (fields === undefined) return refuse(line, '', 'a quote is not closed')
    if (fields.length !== COLUMNS[kind].length) return refuse(line, '', `${fields.length} fields instead of ${COLUMNS[kind].length}`)
    const [received, gateway, device, name, ts, last] = (order as number[]).map((i) => fields[i]) as [
      string,
      string,
      string,
      string,
      string,
      string,
    ]
    let receivedAtMs = parseIso(received)
    if (Number.isNaN(receivedAtMs)) return refuse(line, 'received_at', `not an ISO 8601 time with zone: ${received}`)
    if (receivedAtMs < lastMs) receivedAtMs = lastMs
    lastMs = receivedAtMs
    if (kind === 'reading') {
      const value = last === '' ? Number.NaN : Number(last)
      return { kind, receivedAtMs, gateway, device, quantity: name, ts, value, valueText: last }
    }
    const detail = parseDetail(last)
    if (detail === null) return refuse(line, 'detail', 'not a JSON object')
    return { kind, receivedAtMs, gateway, device, event: name, ts, detail }
  }
  for await (const lines of fileLines(join(dir, file))) {
    const batch: RowBatch = []
    for (const line of lines) {
      lineNumber += 1
      if (line === '') continue
      if (order === undefined) order = columnOrder(line, COLUMNS[kind], file)
      else batch.push(toRow(line))
    }
    if (batch.length > 0) yield batch
  }
}

/** Where each wanted column stands in the header. @throws Error when one is missing: then no row of the file can be read. */
function columnOrder(header: string, columns: readonly string[], file: string): number[] {
  const names = (splitLine(header.replace(/^\uFEFF/, '')) ?? []).map((n) => n.trim())
  return columns.map((c) => {
    const i = names.indexOf(c)
    if (i < 0) throw new Error(`${file}: line 1: no column ${c}`)
    return i
  })
}

function parseDetail(text: string): Record<string, unknown> | undefined | null {
  if (text === '') return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null
  } catch {
    // The caller refuses the row: null says so.
    return null
  }
}

/** Fields of a CSV line (RFC 4180 without line breaks in fields); undefined when a quote is not closed. */
export function splitLine(line: string): string[] | undefined {
  if (!line.includes('"')) return line.split(',')
  const fields: string[] = []
  let at = 0
  for (;;) {
    if (line[at] !== '"') {
      const comma = line.indexOf(',', at)
      if (comma < 0) {
        fields.push(line.slice(at))
        return fields
      }
      fields.push(line.slice(at, comma))
      at = comma + 1
      continue
    }
    let field = ''
    let from = at + 1
    for (;;) {
      const quote = line.indexOf('"', from)
      if (quote < 0) return undefined
      field += line.slice(from, quote)
      at = quote + 1
      if (line[at] !== '"') break
      field += '"'
      from = at + 1
    }
    fields.push(field)
    if (at >= line.length) return fields
    if (line[at] !== ',') return undefined
    at += 1
  }
}

/** Lines of a gzip file, in batches as the bytes come; a truncated or broken file is an Error that names it. */
async function* fileLines(path: string): AsyncGenerator<string[]> {
  const gunzip = createGunzip({ chunkSize: 256 * 1024 })
  const source = createReadStream(path)
  source.once('error', (error) => gunzip.destroy(error))
  source.pipe(gunzip)
  gunzip.setEncoding('utf8')
  let rest = ''
  try {
    for await (const chunk of gunzip) {
      const lines = (rest + (chunk as string)).split('\n')
      rest = lines.pop() as string
      if (rest.length > LINE_LENGTH_MAX * 4) throw new Error(`a line is longer than ${LINE_LENGTH_MAX * 4} characters`)
      yield lines.map((l) => (l.endsWith('\r') ? l.slice(0, -1) : l))
    }
    if (rest !== '') yield [rest.endsWith('\r') ? rest.slice(0, -1) : rest]
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error })
  } finally {
    source.destroy()
  }
}

// From rows to the messages that gateways would have sent. Within each window of 10 s of arrival time (aligned) the rows of a
// gateway form one message, in the order they stand in; its receipt time is that of its last row; the messages of a window are
// ordered by receipt time, then gateway. More than 5,000 entries or 900 kB make several messages with the same receipt time.
import { TICK_MS } from '#model/clock.ts'
import { toIso } from '#model/time.ts'
import type { EventRow, ReadingRow, RefusedRow, Row, RowBatch } from './dataset-rows.ts'

const ENTRIES_MAX = 5_000
/** Below the 1 MiB of the contract, measured in characters of the entries' ids plus a margin for the rest. */
const CHARACTERS_MAX = 900_000
const ENTRY_OVERHEAD = 90

export interface DataSetMessage {
  kind: 'message'
  receivedAtMs: number
  gateway: string
  /** Counts the gateway's messages from 1. */
  seq: number
  readings: ReadingRow[]
  events: EventRow[]
}

/** A row that is none: what live ingest would have put in quarantine had a gateway sent it. */
export type DataSetRefusal = RefusedRow

export type MessageOrRefusal = DataSetMessage | DataSetRefusal

/** Refused rows come before the messages of the window they stand in. */
export async function* messagesOf(rows: AsyncIterable<RowBatch>): AsyncGenerator<MessageOrRefusal> {
  const seqs = new Map<string, number>()
  let window = Number.NEGATIVE_INFINITY
  let groups = new Map<string, (ReadingRow | EventRow)[]>()
  for await (const batch of rows) {
    for (const row of batch) {
      if (row.kind === 'refused') {
        yield row
        continue
      }
      const at = Math.floor(row.receivedAtMs / TICK_MS)
      if (at !== window) {
        yield* windowMessages(groups, seqs)
        groups = new Map()
        window = at
      }
      const group = groups.get(row.gateway)
      if (group === undefined) groups.set(row.gateway, [row])
      else group.push(row)
    }
  }
  yield* windowMessages(groups, seqs)
}

function windowMessages(groups: ReadonlyMap<string, (ReadingRow | EventRow)[]>, seqs: Map<string, number>): DataSetMessage[] {
  const out: DataSetMessage[] = []
  for (const [gateway, rows] of groups) {
    const receivedAtMs = (rows[rows.length - 1] as Row).receivedAtMs
    for (const part of parts(rows)) {
      const seq = (seqs.get(gateway) ?? 0) + 1
      seqs.set(gateway, seq)
      out.push({ kind: 'message', receivedAtMs, gateway, seq, ...part })
    }
  }
  // Stable: parts of one gateway keep their order.
  return out.sort((a, b) => a.receivedAtMs - b.receivedAtMs || (a.gateway < b.gateway ? -1 : a.gateway > b.gateway ? 1 : 0))
}

function* parts(rows: readonly (ReadingRow | EventRow)[]): Generator<{ readings: ReadingRow[]; events: EventRow[] }> {
  let readings: ReadingRow[] = []
  let events: EventRow[] = []
  let characters = 0
  for (const row of rows) {
    const size =
      ENTRY_OVERHEAD + row.device.length + (row.kind === 'reading' ? row.valueText.length : JSON.stringify(row.detail ?? '').length)
    if (readings.length + events.length >= ENTRIES_MAX || (characters > 0 && characters + size > CHARACTERS_MAX)) {
      yield { readings, events }
      readings = []
      events = []
      characters = 0
    }
    characters += size
    if (row.kind === 'reading') readings.push(row)
    else events.push(row)
  }
  yield { readings, events }
}

/** The message as its gateway would publish it on `telemetry/v1/{gateway}/readings`. A value that is no number goes as the text it was. */
export function nativePayload(message: DataSetMessage): string {
  const readings = message.readings.map((r) => ({
    device: r.device,
    quantity: r.quantity,
    ts: r.ts,
    value: Number.isFinite(r.value) ? r.value : r.valueText,
  }))
  const events = message.events.map((e) => ({
    device: e.device,
    event: e.event,
    ts: e.ts,
    ...(e.detail === undefined ? {} : { detail: e.detail }),
  }))
  return JSON.stringify({ seq: message.seq, receivedAt: toIso(message.receivedAtMs), readings, events })
}

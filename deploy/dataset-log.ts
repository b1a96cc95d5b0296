// A data set as the log that ingest would write if its messages were published in order (METERSTREAM_CLOCK=messages): the very same
// decoding and routing, without servers. For backtests and for tests that compare them with the live system.
import type { Operation, ZoneDef } from '#model/asset.ts'
import { ticksBetween } from '#model/clock.ts'
import { operationRouter } from '#model/operations.ts'
import type { QuarantineEntry } from '#model/outcome.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import type { ControlRecord, GatewayRecord, LogRecord } from '#model/telemetry.ts'
import { zoneDefs } from '#model/zones.ts'
import { createDecoder } from '../ingest/decode.ts'
import { registryView } from '../ingest/registry-view.ts'
import { type RouteSink, route } from '../ingest/route.ts'
import type { Settings } from '../ingest/settings.ts'
import { type DataSet, nativePayload } from './dataset.ts'

export interface DataSetLog {
  defs: ZoneDef[]
  /** Filled while the log is read: rows that are no rows, and entries refused at the door, by reason. */
  refused: Record<string, number>
  messages: number
  records(): AsyncGenerator<LogRecord[]>
}

/** Log time of records at the very beginning, before anything was received. */
const BEFORE_ALL_MS = 0

/** `endMs`: the log's last tick, when it is after the last message. */
export function dataSetLog(dataSet: DataSet, settings: Settings): DataSetLog {
  const defs = zoneDefs(dataSet.features, dataSet.accounts, dataSet.meta)
  const log: DataSetLog = { defs, refused: {}, messages: 0, records: () => recordsOf(dataSet, settings, log) }
  return log
}

function settingsRecords(defs: readonly ZoneDef[], settings: Settings): ControlRecord[] {
  return defs.flatMap(({ zone }): ControlRecord[] => {
    const own = { ...settings.detectors, ...settings.zones[zone]?.detectors }
    return Object.keys(own).length === 0 ? [] : [{ kind: 'settings', zone, receivedAtMs: BEFORE_ALL_MS, settings: own }]
  })
}

/** The log's clock: what it says between its last time and the next message, operations as they become known and ticks. */
function logClock(dataSet: DataSet, defs: readonly ZoneDef[], gatewaysOnline: number) {
  const zonesOfOperation = operationRouter(defs)
  const operations = [...dataSet.operations].sort((a, b) => a.knownAtMs - b.knownAtMs)
  let next = 0
  let clockMs: number | undefined
  const known = (untilMs: number, beforeMs: number): LogRecord[] => {
    const out: LogRecord[] = []
    for (; next < operations.length && (operations[next] as Operation).knownAtMs <= untilMs; next++) {
      const operation = operations[next] as Operation
      const receivedAtMs = Math.max(operation.knownAtMs, beforeMs)
      for (const zone of zonesOfOperation(operation)) out.push({ kind: 'operation', zone, receivedAtMs, operation })
    }
    return out
  }
  return {
    upTo(toMs: number): LogRecord[] {
      const beforeMs = clockMs ?? BEFORE_ALL_MS
      const out: LogRecord[] = []
      for (const nowMs of ticksBetween(clockMs, toMs)) {
        out.push(...known(nowMs, beforeMs), { kind: 'tick', nowMs, ingest: 'ingest', brokerConnected: true, gatewaysOnline })
      }
      out.push(...known(toMs, beforeMs))
      clockMs = Math.max(beforeMs, toMs)
      return out
    },
  }
}

/** Where routed entries go: one record a zone and message, and a gateway's status at its place. */
class MessageRecords implements RouteSink {
  readonly records: LogRecord[]
  readonly #refuse: (reason: string, entries: number) => void
  readonly #zones = new Map<string, { readings: Reading[]; events: MeterEvent[] }>()

  constructor(records: LogRecord[], refuse: (reason: string, entries: number) => void) {
    this.records = records
    this.#refuse = refuse
  }

  #of(zone: string): { readings: Reading[]; events: MeterEvent[] } {
    let data = this.#zones.get(zone)
    if (data === undefined) {
      data = { readings: [], events: [] }
      this.#zones.set(zone, data)
    }
    return data
  }

  reading(zone: string, reading: Reading): void {
    this.#of(zone).readings.push(reading)
  }

  event(zone: string, event: MeterEvent): void {
    this.#of(zone).events.push(event)
  }

  gateway(record: GatewayRecord): void {
    this.#write(record.zone)
    this.records.push(record)
  }

  quarantine(entry: QuarantineEntry): void {
    this.#refuse(entry.reason, entry.entries)
  }

  position(): void {
    // A data set has no crews.
  }

  #write(zone: string): void {
    const data = this.#zones.get(zone)
    if (data === undefined) return
    this.#zones.delete(zone)
    this.records.push({ kind: 'data', zone, ...data })
  }

  finish(): LogRecord[] {
    for (const zone of [...this.#zones.keys()]) this.#write(zone)
    return this.records
  }
}

async function* recordsOf(dataSet: DataSet, settings: Settings, log: DataSetLog): AsyncGenerator<LogRecord[]> {
  const { defs, refused } = log
  yield defs.map((def): LogRecord => ({ kind: 'zone', zone: def.zone, receivedAtMs: BEFORE_ALL_MS, def }))
  yield settingsRecords(defs, settings)

  const decode = createDecoder(settings)
  const registry = registryView(dataSet.features.map((f) => f.properties))
  const clock = logClock(dataSet, defs, registry.gateways.size)
  const refuse = (reason: string, entries: number) => {
    refused[reason] = (refused[reason] ?? 0) + entries
  }
  let lastMs = Number.NEGATIVE_INFINITY
  for await (const m of dataSet.messages()) {
    if (m.kind === 'refused') {
      refuse('malformed', 1)
      continue
    }
    log.messages += 1
    lastMs = m.receivedAtMs
    const sink = new MessageRecords(clock.upTo(m.receivedAtMs), refuse)
    const topic = `telemetry/v1/${m.gateway}/readings`
    const message = { topic, payload: Buffer.from(nativePayload(m)), receivedAtMs: m.receivedAtMs, retained: false, redelivered: false }
    route({ ...message, ...decode(message) }, registry, sink)
    yield sink.finish()
  }
  const { endMs } = dataSet.meta
  if (endMs !== undefined && endMs > lastMs) yield clock.upTo(endMs)
}

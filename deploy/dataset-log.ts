// A data set as the log that ingest would write if its messages were published in order (METERSTREAM_CLOCK=messages): the very same
// decoding and routing, without servers. For backtests and for tests that compare them with the live system.
import type { Operation, ZoneDef } from '#model/asset.ts'
import { ticksBetween } from '#model/clock.ts'
import { operationRouter } from '#model/operations.ts'
import type { QuarantineEntry } from '#model/outcome.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import type { ControlRecord, LogRecord } from '#model/telemetry.ts'
import { zoneDefs } from '#model/zones.ts'
import { createDecoder } from '../ingest/decode.ts'
import { registryView } from '../ingest/registry-view.ts'
import { route } from '../ingest/route.ts'
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

async function* recordsOf(dataSet: DataSet, settings: Settings, log: DataSetLog): AsyncGenerator<LogRecord[]> {
  const { defs, refused } = log
  yield defs.map((def): LogRecord => ({ kind: 'zone', zone: def.zone, receivedAtMs: BEFORE_ALL_MS, def }))
  yield settingsRecords(defs, settings)

  const decode = createDecoder(settings)
  const registry = registryView(dataSet.features.map((f) => f.properties))
  const zonesOfOperation = operationRouter(defs)
  const operations = [...dataSet.operations].sort((a, b) => a.knownAtMs - b.knownAtMs)
  let clockMs: number | undefined
  const refuse = (reason: string, entries: number) => {
    refused[reason] = (refused[reason] ?? 0) + entries
  }

  /** What the log says between its last time and `toMs`: operations as they become known, and ticks. */
  const upTo = (toMs: number): LogRecord[] => {
    const out: LogRecord[] = []
    const known = (beforeMs: number) => {
      while (operations.length > 0 && (operations[0] as Operation).knownAtMs <= beforeMs) {
        const operation = operations.shift() as Operation
        const receivedAtMs = Math.max(operation.knownAtMs, clockMs ?? BEFORE_ALL_MS)
        for (const zone of zonesOfOperation(operation)) out.push({ kind: 'operation', zone, receivedAtMs, operation })
      }
    }
    for (const nowMs of ticksBetween(clockMs, toMs)) {
      known(nowMs)
      out.push({ kind: 'tick', nowMs, ingest: 'ingest', brokerConnected: true, gatewaysOnline: registry.gateways.size })
    }
    known(toMs)
    clockMs = Math.max(clockMs ?? BEFORE_ALL_MS, toMs)
    return out
  }

  for await (const m of dataSet.messages()) {
    if (m.kind === 'refused') {
      refuse('malformed', 1)
      continue
    }
    log.messages += 1
    const records = upTo(m.receivedAtMs)
    const data = new Map<string, { readings: Reading[]; events: MeterEvent[] }>()
    const of = (zone: string) => {
      let d = data.get(zone)
      if (d === undefined) {
        d = { readings: [], events: [] }
        data.set(zone, d)
      }
      return d
    }
    const control: LogRecord[] = []
    const topic = `telemetry/v1/${m.gateway}/readings`
    const message = { topic, payload: Buffer.from(nativePayload(m)), receivedAtMs: m.receivedAtMs, retained: false, redelivered: false }
    route({ ...message, ...decode(message) }, registry, {
      reading: (zone, reading) => void of(zone).readings.push(reading),
      event: (zone, event) => void of(zone).events.push(event),
      gateway: (record) => void control.push(record),
      quarantine: (entry: QuarantineEntry) => refuse(entry.reason, entry.entries),
      position: () => undefined,
    })
    for (const [zone, d] of data) records.push({ kind: 'data', zone, ...d })
    yield [...records, ...control]
  }
  const { endMs } = dataSet.meta
  if (endMs !== undefined && (clockMs === undefined || endMs > clockMs)) yield upTo(endMs)
}

// What `GET /v1/live` sends: server-sent events, each `event: <name>`, `id: <instance>-<number>`, `data: <JSON of the type below>`.
// The first event is always `snapshot`, except when Last-Event-ID names an event still in the server's buffer: then the
// client gets exactly the events after it. All times are the log's clock, which in a simulation runs faster than the browser's.
import type { AlarmLoad, AlarmView } from './alarm.ts'
import type { TicketView } from './desk.ts'
import type { Finding } from './finding.ts'

/** Latest value of one series: `quality` is good, late, suspect or computed; tsMs is when it was measured. */
export type LiveValue = [asset: string, quantity: string, channel: string, tsMs: number, value: number, quality: string]

export interface CrewView {
  crew: string
  skills: ('water' | 'power')[]
  lon: number
  lat: number
  /** When the device took the position, epoch ms. */
  tsMs: number
  accuracyM: number | null
  speedKmh: number | null
  batteryPct: number | null
  /** Older than ten minutes of log time: show it as a guess. */
  stale: boolean
}

export interface PartHealth {
  /** `kafka`, `questdb`, `postgres`, `ingest`, `processors`, `api` */
  part: string
  state: 'up' | 'degraded' | 'down' | 'unknown'
  /** One sentence for a person, '' when all is well. */
  detail: string
}

export interface LiveStatus {
  /** The log's clock, epoch ms; 0 before the first record. */
  nowMs: number
  /** Log seconds per second of wall time, measured over the last seconds: 1 in the field, 60 in the demo, 0 when the log stands still. */
  speed: number
  readingsPerSecond: number
  /** Records of `telemetry` not yet folded; null when not known. */
  lagRecords: number | null
  openFindings: number
  openTickets: number
  parts: PartHealth[]
  /** What the alarms ask of the shift; left out before it is known. */
  alarms?: AlarmLoad
}

/** Event `snapshot`: everything; replace all that the page knows. */
export interface LiveSnapshot {
  nowMs: number
  values: LiveValue[]
  /** Findings not cleared and not withdrawn, and those that ended in the last 24 hours of log time; newest first, at most 1,000. */
  findings: Finding[]
  /** Open tickets and those closed in the last 24 hours of log time; newest first, at most 1,000. */
  tickets: TicketView[]
  crews: CrewView[]
  /** Alarms that are not normal, and those that became normal in the last 24 hours; most urgent first, at most 1,000. */
  alarms: AlarmView[]
  status: LiveStatus
}

/** Event `values`: newer latest values; merge by asset, quantity and channel. */
export interface LiveValues {
  nowMs: number
  values: LiveValue[]
}

/** Event `clock`: every two seconds, also when nothing else happens. Its id is that of the event before it. */
export interface LiveClock {
  nowMs: number
  speed: number
}

/** Event `bye`: the server ends the stream and says why; reconnect (with Last-Event-ID, as EventSource does by itself). */
export interface LiveBye {
  reason: 'too_slow' | 'shutting_down' | 'token_expired'
}

/**
 * Event name -> type of its data. `finding`: replace by id when rev is higher. `ticket` and
 * `alarm`: replace by id or key when version is higher.
 */
export interface LiveEvents {
  snapshot: LiveSnapshot
  values: LiveValues
  finding: Finding
  ticket: TicketView
  crew: CrewView
  alarm: AlarmView
  status: LiveStatus
  clock: LiveClock
  bye: LiveBye
}
export type LiveEventName = keyof LiveEvents

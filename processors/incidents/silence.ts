// Third stage: incidents that are real and still need nobody.
import { HOUR_MS } from '#model/time.ts'
import type { Facts } from './incident.ts'

export const SILENCE_REASONS = [
  'planned_work', // the control room knew
  'momentary', // supply came back by itself within minutes
  'not_a_power_failure', // the detector says that only the word is missing
  'not_lasting_yet', // a silent gateway or meter gets time to come back
  'none',
] as const
export type SilenceReason = (typeof SILENCE_REASONS)[number]

export interface Silence {
  reason: SilenceReason
  /** When it ends, or ended, by itself: log time, 0 when it does not. */
  untilMs: number
}

/** A gateway stores and forwards, so four hours of silence lose nothing; after them somebody should look within the working day. */
export const GATEWAY_SILENT_MS = 4 * HOUR_MS
/** One meter misses a night's transfer now and then; after a day its bill is in question. */
export const METER_SILENT_MS = 24 * HOUR_MS

export function silence(f: Facts, nowMs: number): Silence {
  const speakers = f.active.length > 0 ? f.active : f.members
  if (speakers.length === 0) return { reason: 'none', untilMs: 0 }
  if (speakers.every((m) => m.planned)) return { reason: 'planned_work', untilMs: 0 }
  if (f.incident.family === 'outage') {
    if (speakers.every((m) => m.momentary)) return { reason: 'momentary', untilMs: 0 }
    if (speakers.every((m) => m.cause === 'comms')) return { reason: 'not_a_power_failure', untilMs: 0 }
  }
  if (f.incident.family === 'comms') {
    const untilMs = f.startedMs + (f.lead?.scope.type === 'gateway' ? GATEWAY_SILENT_MS : METER_SILENT_MS)
    const endMs = f.clearedMs ?? nowMs
    return { reason: endMs < untilMs ? 'not_lasting_yet' : 'none', untilMs }
  }
  return { reason: 'none', untilMs: 0 }
}

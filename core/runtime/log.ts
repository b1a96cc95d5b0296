// Structured logs: one JSON line an event on standard error, so that commands keep standard output for their results.
// Levels by who must act: warn = recovered, nothing lost; error = data lost or a person is needed. No personal data.
import pino from 'pino'

export type Log = pino.Logger

/** A logger whose lines carry the service's name; children add their part: `log.child({ part: 'mqtt' })`. */
export function createLog(service: string, level: string): Log {
  return pino(
    { level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    // Synchronous: the last line before a crash is the one that matters.
    pino.destination({ dest: 2, sync: true }),
  )
}

/** A logger that says nothing, for tests and for libraries that want one. */
export const silentLog: Log = pino({ level: 'silent' })

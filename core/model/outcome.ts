// Refusals are values with a reason from a closed list: the metric label, the quarantine column, the ledger column.

export const REFUSALS = [
  'malformed', // not parseable in its format
  'bad_schema', // parseable, a field is missing or has the wrong type
  'bad_checksum',
  'too_large', // over 1 MiB or 5,000 entries
  'unknown_format',
  'unknown_gateway',
  'wrong_gateway', // the gateway may not report for this device, or the topic is not its own
  'unknown_device',
  'unknown_quantity',
  'unknown_event',
  'impossible_value', // NaN, infinite, outside the physical range of the quantity
  'impossible_time', // unparseable, too old or in the future beyond the bound
  'beyond_dedup_window', // too late to tell a new reading from a repeated one
  'conflicting_value', // same series and time, another value, no higher rank
] as const

export type Refusal = (typeof REFUSALS)[number]

/** What could not be used, with the whole entry, so that it can be mended and released. */
export interface QuarantineEntry {
  /** Derived: the same refused entry of the same message has the same id. */
  id: string
  reason: Refusal
  /** The field that was wrong, as a path: `readings[3].ts`. */
  field: string
  /** One sentence a person can act on. */
  message: string
  gateway: string
  device: string
  topic: string
  format: string
  receivedAtMs: number
  /** How many readings or events this entry stands for (a whole unparseable message counts as 1). */
  entries: number
  /** The refused entry or payload: text, or base64 with `encoding: 'base64'`. Cut at 64 KiB, `truncated` says so. */
  payload: string
  encoding: 'utf8' | 'base64'
  truncated: boolean
  redelivered: boolean
}

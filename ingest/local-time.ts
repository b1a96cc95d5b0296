// Times as messages write them: with a zone, as a count of seconds or milliseconds, or local without a zone. A local time is
// worth something only where the integrator has told the zone; it is never taken for UTC.
import { HOUR_MS, isTimezone, offsetMs, parseIso } from '#model/time.ts'
import { numberOf } from './decoding.ts'

const LOCAL = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2})?(?:[.,]\d{1,9})?$/
/** 2001-09-09 in seconds and in milliseconds: counts below and above cannot be mistaken for one another. */
const SECONDS_MIN = 1e9
const MILLIS_MIN = 1e12
const MILLIS_MAX = 1e14

/** UTC of a local time in a zone. In the hour that comes twice the first is taken; in the one that is left out, what the clock would show. */
export function localToUtc(naiveMs: number, timezone: string): number {
  const candidates = [naiveMs - offsetMs(timezone, naiveMs - 24 * HOUR_MS), naiveMs - offsetMs(timezone, naiveMs + 24 * HOUR_MS)]
  const fitting = candidates.filter((ms) => ms + offsetMs(timezone, ms) === naiveMs)
  return Math.min(...(fitting.length > 0 ? fitting : candidates))
}

/** The zone of the settings, when it is one. */
export function zoneOf(settings: Record<string, unknown>): string | undefined {
  const { timezone } = settings
  return typeof timezone === 'string' && isTimezone(timezone) ? timezone : undefined
}

/**
 * Epoch ms from ISO 8601 with zone, epoch s or ms, or local time with the zone of the settings. `'local'` for a local time whose
 * zone is not known, undefined for anything else.
 */
export function readTime(v: unknown, timezone: string | undefined): number | 'local' | undefined {
  const n = numberOf(v)
  if (n !== undefined) {
    if (n >= MILLIS_MIN && n < MILLIS_MAX) return Math.trunc(n)
    return n >= SECONDS_MIN && n < MILLIS_MIN / 10 ? Math.round(n * 1000) : undefined
  }
  if (typeof v !== 'string' || v.length > 60) return undefined
  const text = v.trim()
  const withZone = parseIso(text.replace(/^(\d{4}-\d{2}-\d{2}) /, '$1T'))
  if (!Number.isNaN(withZone)) return withZone
  const m = LOCAL.exec(text)
  if (m === null) return undefined
  const naive = parseIso(`${m[1]}T${m[2]}${m[3] ?? ':00'}Z`)
  if (Number.isNaN(naive)) return undefined
  return timezone === undefined ? 'local' : localToUtc(naive, timezone)
}

/** Before it there was no LoRa, no smart meter: `0001-01-01T00:00:00Z` and 1970 are what a gateway without a clock writes. */
const NETWORKS_SINCE_MS = Date.UTC(2000, 0, 1)

/**
 * Time in the envelope of a network server, which is always written with its zone: epoch ms, undefined when there is none (absent, or
 * the zero of a gateway without clock), null when it is no time.
 */
export function envelopeTime(v: unknown): number | undefined | null {
  if (v === undefined || v === null || v === '') return undefined
  const t = readTime(v, undefined)
  if (typeof t !== 'number') return null
  return t < NETWORKS_SINCE_MS ? undefined : t
}

// Times: strict ISO 8601 in, epoch milliseconds inside, ISO 8601 UTC out; local days of the utility's time zone.

export const SECOND_MS = 1000
export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000

const ISO = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})$/

/**
 * Strict ISO 8601 with a zone (`Z` or an offset); anything else, also 30 February or a time without zone, is NaN.
 * Sub-millisecond digits are cut.
 */
export function parseIso(text: string): number {
  // The usual form, `2026-03-01T10:15:00Z`, without a regular expression: this runs once per reading.
  if (text.length === 20 && text.charCodeAt(19) === 90 && text.charCodeAt(10) === 84) {
    const y = digits(text, 0, 4)
    const mo = digits(text, 5, 2)
    const d = digits(text, 8, 2)
    const h = digits(text, 11, 2)
    const mi = digits(text, 14, 2)
    const s = digits(text, 17, 2)
    if (text.charCodeAt(4) === 45 && text.charCodeAt(7) === 45 && text.charCodeAt(13) === 58 && text.charCodeAt(16) === 58) {
      return fromParts(y, mo, d, h, mi, s, 0)
    }
    return Number.NaN
  }
  const m = ISO.exec(text)
  if (m === null) return Number.NaN
  const ms = m[7] === undefined ? 0 : Number(m[7].padEnd(3, '0').slice(0, 3))
  const local = fromParts(Number(m[1]), Number(m[2]), Number(m[3]), Number(m[4]), Number(m[5]), Number(m[6] ?? 0), ms)
  const zone = m[8] as string
  if (zone === 'Z') return local
  const sign = zone.startsWith('-') ? -1 : 1
  const zh = Number(zone.slice(1, 3))
  const zm = Number(zone.slice(-2))
  if (zh > 18 || zm > 59) return Number.NaN
  return local - sign * (zh * HOUR_MS + zm * MINUTE_MS)
}

function digits(text: string, at: number, n: number): number {
  let v = 0
  for (let i = at; i < at + n; i++) {
    const c = text.charCodeAt(i) - 48
    if (c < 0 || c > 9) return Number.NaN
    v = v * 10 + c
  }
  return v
}

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Days since 1970-01-01 of a proleptic Gregorian date (H. Hinnant, "chrono-compatible low-level date algorithms"). */
function daysFromCivil(y: number, m: number, d: number): number {
  const yy = m <= 2 ? y - 1 : y
  const era = Math.floor(yy / 400)
  const yoe = yy - era * 400
  const doy = Math.floor((153 * (m + (m > 2 ? -3 : 9)) + 2) / 5) + d - 1
  const doe = yoe * 365 + Math.floor(yoe / 4) - Math.floor(yoe / 100) + doy
  return era * 146_097 + doe - 719_468
}

function fromParts(y: number, mo: number, d: number, h: number, mi: number, s: number, ms: number): number {
  if (!(mo >= 1 && mo <= 12 && h <= 23 && mi <= 59 && s <= 59 && d >= 1 && y >= 0)) return Number.NaN
  const leap = mo === 2 && y % 4 === 0 && (y % 100 !== 0 || y % 400 === 0) ? 1 : 0
  if (d > (MONTH_DAYS[mo - 1] as number) + leap) return Number.NaN
  return daysFromCivil(y, mo, d) * DAY_MS + h * HOUR_MS + mi * MINUTE_MS + s * SECOND_MS + ms
}

/** `2026-03-01T10:15:00Z`; milliseconds only when there are some. */
export function toIso(ms: number): string {
  const text = new Date(ms).toISOString()
  return ms % SECOND_MS === 0 ? `${text.slice(0, 19)}Z` : text
}

interface Formatter {
  format: Intl.DateTimeFormat
  /** UTC hour -> offset in ms at its start and end, where both agree: offsets change rarely, formatting is slow. */
  offsets: Map<number, number>
}
const formatters = new Map<string, Formatter>()
const OFFSET_CACHE_MAX = 20_000

function formatter(timezone: string): Formatter {
  let f = formatters.get(timezone)
  if (f === undefined) {
    f = {
      format: new Intl.DateTimeFormat('en-US', {
        timeZone: timezone,
        hourCycle: 'h23',
        year: 'numeric',
        month: '2-digit',
        day: '2-digit',
        hour: '2-digit',
        minute: '2-digit',
        second: '2-digit',
      }),
      offsets: new Map(),
    }
    formatters.set(timezone, f)
  }
  return f
}

/** True when the platform knows this IANA time zone. */
export function isTimezone(timezone: string): boolean {
  try {
    formatter(timezone)
    return true
  } catch {
    return false
  }
}

/** Offset of local time from UTC in ms at an instant: +3,600,000 in Zurich in winter. */
export function offsetMs(timezone: string, ms: number): number {
  if (timezone === 'UTC') return 0
  const f = formatter(timezone)
  // Zone transitions fall on quarter hours, so an offset holds for the quarter hour it was computed in.
  const quarter = Math.floor(ms / 900_000)
  const known = f.offsets.get(quarter)
  if (known !== undefined) return known
  const at = quarter * 900_000
  const p: Record<string, number> = {}
  for (const part of f.format.formatToParts(at)) p[part.type] = Number(part.value)
  const local = Date.UTC(p.year as number, (p.month as number) - 1, p.day, p.hour, p.minute, p.second)
  const offset = local - at
  if (f.offsets.size >= OFFSET_CACHE_MAX) f.offsets.clear()
  f.offsets.set(quarter, offset)
  return offset
}

/** Local calendar date `YYYY-MM-DD` of an instant. */
export function localDate(timezone: string, ms: number): string {
  return new Date(ms + offsetMs(timezone, ms)).toISOString().slice(0, 10)
}

/** Local hour of day, 0 to 23, and weekday, 0 = Sunday to 6. */
export function localHour(timezone: string, ms: number): { hour: number; weekday: number; minuteOfDay: number } {
  const local = ms + offsetMs(timezone, ms)
  const minuteOfDay = Math.floor((((local % DAY_MS) + DAY_MS) % DAY_MS) / MINUTE_MS)
  return { hour: Math.floor(minuteOfDay / 60), weekday: (((Math.floor(local / DAY_MS) + 4) % 7) + 7) % 7, minuteOfDay }
}

/** UTC instant at which a local calendar date begins (DST aware: days have 23, 24 or 25 hours). */
export function startOfLocalDate(timezone: string, date: string): number {
  const naive = Date.parse(`${date}T00:00:00Z`)
  let at = naive - offsetMs(timezone, naive)
  at = naive - offsetMs(timezone, at)
  return at
}

/** Begin and end (UTC ms) of the local day that contains an instant. */
export function localDay(timezone: string, ms: number): { date: string; startMs: number; endMs: number } {
  const date = localDate(timezone, ms)
  const startMs = startOfLocalDate(timezone, date)
  const next = new Date(Date.parse(`${date}T00:00:00Z`) + DAY_MS).toISOString().slice(0, 10)
  return { date, startMs, endMs: startOfLocalDate(timezone, next) }
}

// Telegrams of IEC 62056-21 mode D as meters print them: `/IDENT`, lines `CODE(value*unit)(..)`, `!CRC`. DSMR and ESMR (P1), the
// Belgian, Luxembourg, Swedish, Hungarian and other companion standards, and plain D0. Pure.
import { MINUTE_MS } from '#model/time.ts'
import { localToUtc } from './local-time.ts'
import { type Obis, parseObis } from './obis.ts'

export interface TelegramLine {
  /** The code as written, `1-0:1.8.0*255`. */
  code: string
  obis: Obis | undefined
  /** What stands in the brackets, in order. */
  groups: string[]
}

export interface Telegram {
  ident: string
  lines: TelegramLine[]
  crc: 'right' | 'wrong' | 'none'
}

const LINES_MAX = 2_000
const GROUPS_MAX = 200
/** Bounded, so that no line takes long to try. */
const LINE = /^([0-9A-FLCP][0-9A-F.\-:*&/]{0,30})\(/
const GROUP = /\(([^()]*)\)/g

/** A telegram, or a sentence saying why there is none. Several lines may be left out or unknown; the CRC covers all of them. */
export function parseTelegram(text: string): Telegram | { problem: string } {
  const begin = text.indexOf('/')
  if (begin < 0) return { problem: 'no line begins with /' }
  const end = text.indexOf('!', begin)
  if (end < 0) return { problem: 'the telegram has no end (!)' }
  const body = text.slice(begin, end + 1)
  const crc = /^![ \t]*([0-9A-Fa-f]{1,4})[ \t]*(?:$|[\r\n])/.exec(text.slice(end, end + 12))
  const rows = body.slice(1, -1).split(/\r\n|\r|\n/)
  if (rows.length > LINES_MAX) return { problem: `more than ${LINES_MAX} lines` }
  const lines: TelegramLine[] = []
  for (const row of rows.slice(1)) {
    const line = row.trim()
    const code = LINE.exec(line)?.[1]
    const groups = [...line.matchAll(GROUP)].slice(0, GROUPS_MAX).map((g) => (g[1] as string).trim())
    // Gas of DSMR 2 and 3: the value stands alone on the next line.
    if (code === undefined && line.startsWith('(')) lines.at(-1)?.groups.push(...groups)
    // Heat meters write several codes in one line: 6.8(..)6.26(..).
    else if (code !== undefined) for (const part of splitCodes(line)) lines.push(part)
  }
  return { ident: (rows[0] ?? '').trim(), lines, crc: crc === null ? 'none' : check(body, Number.parseInt(crc[1] as string, 16)) }
}

function splitCodes(line: string): TelegramLine[] {
  const parts: TelegramLine[] = []
  const one = /([0-9A-FLCP][0-9A-F.\-:*&/]{0,30})((?:\([^()]*\))+)/g
  for (const m of line.matchAll(one)) {
    const code = m[1] as string
    parts.push({
      code,
      obis: parseObis(code),
      groups: [...(m[2] as string).matchAll(GROUP)].slice(0, GROUPS_MAX).map((g) => (g[1] as string).trim()),
    })
  }
  return parts
}

/** Forwarders change line ends; the meter's are CR LF. */
function check(body: string, crc: number): 'right' | 'wrong' {
  const asSent = Buffer.from(body, 'latin1')
  if (crc16(asSent) === crc) return 'right'
  return crc16(Buffer.from(body.replace(/\r\n|\r|\n/g, '\r\n'), 'latin1')) === crc ? 'right' : 'wrong'
}

/** CRC-16/ARC: x16+x15+x2+1, bits reversed, start 0 (DSMR 5.0.2, 6.2). */
export function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (const b of bytes) {
    crc ^= b
    for (let i = 0; i < 8; i++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0xa001 : crc >>> 1
  }
  return crc
}

const P1_TIME = /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?([WS])?$/
const CENTRAL_EUROPE_MIN = 60

/**
 * UTC of YYMMDDhhmmss with W (winter) or S (summer): Central European time, or that of the zone. `'local'` without the letter and
 * without a zone; undefined for anything that is no time (632525252525W).
 */
export function telegramTime(text: string, timezone: string | undefined): number | 'local' | undefined {
  const m = P1_TIME.exec(text)
  if (m === null) return undefined
  const [yy, mo, d, h, mi, s] = [m[1], m[2], m[3], m[4], m[5], m[6] ?? '00'].map(Number) as [number, number, number, number, number, number]
  const year = yy >= 70 ? 1900 + yy : 2000 + yy
  const naive = Date.UTC(year, mo - 1, d, h, mi, s)
  const back = new Date(naive)
  if (back.getUTCMonth() !== mo - 1 || back.getUTCDate() !== d || h > 23 || mi > 59 || s > 59) return undefined
  const letter = m[7]
  if (letter === undefined) return timezone === undefined ? 'local' : localToUtc(naive, timezone)
  const winterMin = timezone === undefined ? CENTRAL_EUROPE_MIN : winterOffsetMin(timezone, year)
  return naive - (winterMin + (letter === 'S' ? 60 : 0)) * MINUTE_MS
}

/** The zone's offset without summer time: the smaller one of January and July. */
function winterOffsetMin(timezone: string, year: number): number {
  const at = (month: number): number => {
    const naive = Date.UTC(year, month, 15, 12)
    return (naive - localToUtc(naive, timezone)) / MINUTE_MS
  }
  return Math.min(at(0), at(6))
}

/** `000004.426*kWh`: number and unit; undefined when it is no number. */
export function telegramValue(group: string): { value: number; unit: string } | undefined {
  const m = /^([+-]?\d{1,18}(?:\.\d{1,12})?)(?:\*([A-Za-z0-9³/]{1,10}))?$/.exec(group)
  return m === null ? undefined : { value: Number(m[1]), unit: m[2] ?? '' }
}

/** Ids are hex of their characters (DSMR 5.0.2, 6.12); what does not read as letters and digits is taken as it stands. */
export function telegramId(group: string): string {
  if (!/^([0-9A-Fa-f]{2}){4,48}$/.test(group)) return group
  const text = Buffer.from(group, 'hex').toString('latin1').replace(/ +$/, '')
  return /^[A-Za-z0-9][A-Za-z0-9 ._-]*$/.test(text) ? text : group
}

// DLMS/COSEM push lists of the customer port (Norway and Sweden: HAN lists of Aidon, Kaifa, Kamstrup; others alike), forwarded as they are.
// Topic: free, ams/GATEWAY/raw here; BASE/data of the AMS reader. Payload: bytes, hexadecimal text, or {"data": "hex"}; with HDLC or M-Bus frames,
// with LLC (E6 E7 00), or the bare data-notification (0F).
// Identity: 1-1:0.0.5 or 0-0:96.1.0 of the list; list 1 has power only: then the topic's last telling level, which the settings' `devices` map.
// Time: the clock of the list, else of the message, when its deviation is given; without (8000) only with a zone of the settings.
// Units: scaler and unit of the frame (Aidon). Kamstrup: W, V, 0.01 A (0.001 A for transformer meters, type 685), 10 Wh. Kaifa: W, 0.1 V, 0.001 A,
// Wh, its older lists by position. Meters that give neither are read as raw counts; {"profile": "kaifa"} or "kamstrup" of the settings names them.
// Pitfalls: holes are nulls; greatest numbers of a type mean no value; 0 V of a phase that an IT network does not have; enciphered frames (DB) must
// be deciphered by the gateway; a wrong frame check refuses the message.

import { MINUTE_MS } from '#model/time.ts'
import { field, idOf, isObject, Outcome, parseJson, passed, refused, textOf, tidy } from '../decoding.ts'
import {
  DlmsError,
  type DlmsItem,
  type DlmsTime,
  type DlmsValue,
  dateTime,
  decodeNotification,
  isNoValue,
  itemsOf,
  textOfValue,
} from '../dlms.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { bytesOfHex } from '../hex.ts'
import { localToUtc, zoneOf } from '../local-time.ts'
import { deviceOfTopic, idRank, meaningOfObis, type Obis, ObisValues, ofSomebody, parseObis, shortCode, UNIT_OF_NUMBER } from '../obis.ts'

const TOPIC = /^(ams|han|dlms)\/[^/]+\/(raw|data|frame)$/
const HEX_START = /^\s*(?:\{\s*"data"\s*:\s*")?(?:e6e[67]00|7ea|68[0-9a-f]{4}68|0f[0-9a-f]{8}(?:00|0c|090c)0|db08)/i

export const dlmsPush: GatewayFormat = {
  name: 'dlms-push',
  topics: ['ams/+/raw', 'ams/+/data', 'han/+/raw', 'dlms/+/raw'],
  matches: (topic, payload) => TOPIC.test(topic) || isFrame(payload) || HEX_START.test(payload.subarray(0, 64).toString('latin1')),
  gatewayOf: (topic) => deviceOfTopic(topic),
  decode(payload, context): Decoded {
    const bytes = bytesOf(payload)
    if (typeof bytes === 'string') return refused('malformed', bytes, payload)
    if (context.retained) return passed('duplicate', 'retained_duplicate')
    try {
      const { time, body } = decodeNotification(bytes)
      return ofSomebody(readList(time, body, context), payload)
    } catch (error) {
      if (error instanceof DlmsError) return refused(error.reason, error.message, payload)
      throw error
    }
  },
}

function isFrame(b: Buffer): boolean {
  if (b[0] === 0xe6 && (b[1] === 0xe7 || b[1] === 0xe6) && b[2] === 0) return true
  if (b[0] === 0x7e && ((b[1] ?? 0) & 0xf0) === 0xa0) return true
  if (b[0] === 0x68 && b[3] === 0x68 && b[1] === b[2]) return true
  return b[0] === 0x0f && (b[5] === 0x00 || b[5] === 0x0c || (b[5] === 0x09 && b[6] === 0x0c))
}

/** The frame's bytes, or a sentence saying why there are none. */
function bytesOf(payload: Buffer): Buffer | string {
  if (isFrame(payload)) return payload
  const text = textOf(payload)?.trim()
  if (text === undefined) return payload
  if (text.startsWith('{')) {
    const parsed = parseJson(payload)
    if ('problem' in parsed) return parsed.problem
    const data = isObject(parsed.value) ? (field(parsed.value, 'data') ?? field(parsed.value, 'frame')) : undefined
    if (typeof data !== 'string') return 'no hexadecimal frame in data'
    return bytesOfHex(data) ?? 'data is not hexadecimal with an even number of digits'
  }
  return bytesOfHex(text) ?? 'neither a frame nor hexadecimal text'
}

/** Powers of ten of a maker's lists, by group C and D; units are those of the standard. */
interface Profile {
  energy: number
  current: number
  voltage: number
}
const KAMSTRUP: Profile = { energy: 1, current: -2, voltage: 0 }
const KAMSTRUP_TRANSFORMER: Profile = { ...KAMSTRUP, current: -3 }
const KAIFA: Profile = { energy: 0, current: -3, voltage: -1 }

/** Kaifa's lists by position; a single-phase meter leaves out L2 and L3. */
const KAIFA_HEAD = ['0.2.129', '0-0:96.1.0', '0-0:96.1.7']
const KAIFA_POWERS = ['1.7.0', '2.7.0', '3.7.0', '4.7.0']
const KAIFA_REGISTERS = ['0-0:1.0.0', '1.8.0', '2.8.0', '3.8.0', '4.8.0']
const ONE_PHASE = [...KAIFA_HEAD, ...KAIFA_POWERS, '31.7.0', '32.7.0']
const THREE_PHASES = [...KAIFA_HEAD, ...KAIFA_POWERS, '31.7.0', '51.7.0', '71.7.0', '32.7.0', '52.7.0', '72.7.0']
const KAIFA_LISTS = new Map(
  [['1.7.0'], ONE_PHASE, THREE_PHASES, [...ONE_PHASE, ...KAIFA_REGISTERS], [...THREE_PHASES, ...KAIFA_REGISTERS]].map((l) => [l.length, l]),
)

function readList(time: DlmsTime | undefined, body: DlmsValue, context: MessageContext): Decoded {
  const positional = byPosition(body)
  const items = positional ?? itemsOf(body)
  const texts = body.kind === 'list' ? body.items.map(textOfValue) : []
  const profile = profileOf([...texts, ...items.map((i) => textOfValue(i.value))], positional !== undefined, context.settings)
  const out = new Outcome()
  const device = idOf(idOfItems(items)) ?? deviceOfTopic(context.topic)
  const clock = items.find(({ obis }) => obis.a === 0 && obis.c === 1 && obis.d === 0)?.value
  const tsMs = toUtc((clock?.kind === 'bytes' ? dateTime(clock.bytes) : undefined) ?? time, zoneOf(context.settings))
  const values = new ObisValues()
  for (const item of items) add(out, values, item, { profile, device, tsMs })
  values.give(out, device)
  return out.done()
}

function add(
  out: Outcome,
  values: ObisValues,
  { obis, value, scaler, unit }: DlmsItem,
  of: { profile: Profile | undefined; device: string; tsMs: number | undefined },
): void {
  const { profile, device, tsMs } = of
  const meaning = meaningOfObis(obis)
  if (meaning === undefined || value.kind !== 'number') return
  const shown = `${shortCode(obis)}=${value.value}`
  if (isNoValue(value)) {
    out.refuse('impossible_value', shortCode(obis), `${value.value} stands for no value`, device, shown)
    return
  }
  const declared = unit === undefined ? undefined : UNIT_OF_NUMBER.get(unit)
  const known = declared === undefined && profile !== undefined && unit === undefined ? byProfile(obis, profile) : undefined
  const exponent = scaler ?? known?.exponent ?? 0
  const added = values.add(obis, tidy(value.value * 10 ** exponent), declared ?? known?.unit ?? '', tsMs)
  if (added === 'no_unit' || added === 'wrong_unit')
    out.refuse(
      'unknown_quantity',
      shortCode(obis),
      `the frame declares no unit of ${shortCode(obis)} and its maker is not known`,
      device,
      shown,
    )
}

function byProfile({ c, d }: Obis, p: Profile): { exponent: number; unit: string } | undefined {
  const base = c > 20 && c < 80 ? c % 20 : c
  if (d === 8) return { exponent: p.energy, unit: base === 3 || base === 4 ? 'varh' : 'Wh' }
  if (base === 11) return { exponent: p.current, unit: 'A' }
  if (base === 12) return { exponent: p.voltage, unit: 'V' }
  return base <= 2 || base === 16 ? { exponent: 0, unit: 'W' } : undefined
}

/** Values without codes: Kaifa's lists, known by their length; longer ones name their version (KFM_001) first. */
function byPosition(body: DlmsValue): DlmsItem[] | undefined {
  if (body.kind !== 'list' || body.type !== 2) return undefined
  const codes = KAIFA_LISTS.get(body.items.length)
  if (codes === undefined) return undefined
  const first = body.items[0]
  if (codes.length === 1 ? first?.kind !== 'number' : !/^KFM/.test(textOfValue(first) ?? '')) return undefined
  return codes.map((code, i) => ({ obis: parseObis(code) as Obis, value: body.items[i] as DlmsValue, scaler: undefined, unit: undefined }))
}

function profileOf(texts: readonly (string | undefined)[], positional: boolean, settings: Record<string, unknown>): Profile | undefined {
  const has = (r: RegExp): boolean => texts.some((t) => t !== undefined && r.test(t))
  if (has(/^Kamstrup/i) || settings.profile === 'kamstrup') return has(/^685/) ? KAMSTRUP_TRANSFORMER : KAMSTRUP
  return positional || has(/^KFM|^KAIFA/i) || settings.profile === 'kaifa' ? KAIFA : undefined
}

function idOfItems(items: readonly DlmsItem[]): string | undefined {
  let best: { rank: number; id: string } | undefined
  for (const { obis, value } of items) {
    const rank = idRank(obis)
    const id = rank > 1 ? textOfValue(value) : undefined
    if (id !== undefined && (best === undefined || rank > best.rank)) best = { rank, id }
  }
  return best?.id
}

/** UTC is the clock's digits plus its deviation (IEC 62056-6-2, 4.1.6.1). */
function toUtc(time: DlmsTime | undefined, zone: string | undefined): number | undefined {
  if (time === undefined) return undefined
  if (time.deviationMin !== undefined) return time.naiveMs + time.deviationMin * MINUTE_MS
  return zone === undefined ? undefined : localToUtc(time.naiveMs, zone)
}

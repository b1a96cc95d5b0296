// Values keyed by OBIS codes (IEC 62056-61), as many readers publish them; there is no standard for the JSON around them.
// Topics: vzlogger/../CHANNEL/{id,uuid,raw,agg} (vzlogger); PREFIX/obis/CODE[/255]/value (SMLReader); SHRDZM/ID/../sensor; any topic with
// JSON that has OBIS codes as keys, or a list of {"obis", "value", "unit"}.
// Identity: 0-0:96.1.0 and its kin, else serial, meterId, meter, id, else the last telling level of the topic; vzlogger: the settings.
// Time: `timestamp`, `time`, `ts` with zone, epoch, or local with the zone of the settings; `UTC`; else none.
// Units: beside the value ({"value", "unit"}, "123.4*kWh", "123.4 kWh", DLMS unit number and scaler), by the reader's documentation (SHRDZM: Wh,
// W, V, A), or by the settings: {"units": {"1.8.0": "Wh"}}. Registers without unit are raw counts; other values without unit are refused.
// vzlogger's channels need {"channels": {"vzlogger/data/chn0": {"device": "E-1", "obis": "1-0:1.8.0", "unit": "Wh"}}}; `obis` may be left out
// once chn0/id has told it.
// Pitfalls: *01 to *99 are values of earlier months; 15.8.0 is a sum of both directions; the same code is in Wh on one meter and kWh on the next.
import { field, idOf, isObject, type Json, numberOf, Outcome, parseJson, passed, refused, textOf, unitOf } from '../decoding.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { readTime, zoneOf } from '../local-time.ts'
import { deviceOfTopic, idRank, type Obis, ObisValues, ofSomebody, parseObis, shortCode, shown, UNIT_OF_NUMBER } from '../obis.ts'
import { telegramTime } from '../p1-telegram.ts'

const KEY = /"(?:\d{1,3}-\d{1,3}:)?\d{1,3}[._]\d{1,3}[._]\d{1,3}(?:[*/]\d{1,3})?"\s*:|"0[0-9a-f]{9}ff"\s*:|"obis(?:_?code)?"\s*:\s*"/i
const LOOKED_AT = 4_096
const SINGLE = /^(.*)\/obis\/([^/]+)(?:\/(\d{1,3}))?\/value$/
const CHANNEL = /^((?:.*\/)?vzlogger\/.+)\/(id|uuid|raw|agg)$/
const CHANNELS_MAX = 10_000
const ENTRIES = 2_000

export const obisJson: GatewayFormat = {
  name: 'obis-json',
  topics: ['vzlogger/#', 'SHRDZM/#', '+/obis', 'obis/#'],
  matches: (topic, payload) =>
    channelOf(topic) !== null ||
    singleOf(topic) !== null ||
    topic.startsWith('SHRDZM/') ||
    (/^\s*[[{]/.test(payload.subarray(0, 8).toString('latin1')) && KEY.test(payload.subarray(0, LOOKED_AT).toString('latin1'))),
  gatewayOf: (topic) => topic.split('/')[0] ?? '',
  decode: (payload, context) => ofSomebody(decodeAny(payload, context), payload),
}

function decodeAny(payload: Buffer, context: MessageContext): Decoded {
  const channel = channelOf(context.topic)
  if (channel !== null) return vzlogger(channel[1] as string, channel[2] as string, payload, context)
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  const single = singleOf(context.topic)
  if (single !== null) return oneValue(single, payload, context)
  const parsed = parseJson(payload)
  if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
  const { value } = parsed
  if (!isObject(value) && !Array.isArray(value)) return refused('bad_schema', 'a message must be an object or a list', payload)
  return objectOf(value, payload, context)
}

/** Longer topics are nobody's; the patterns must not be tried on them. */
const TOPIC_MAX = 1_000
const channelOf = (topic: string): RegExpExecArray | null => (topic.length > TOPIC_MAX ? null : CHANNEL.exec(topic))
const singleOf = (topic: string): RegExpExecArray | null => (topic.length > TOPIC_MAX ? null : SINGLE.exec(topic))

// vzlogger

function vzlogger(prefix: string, kind: string, payload: Buffer, context: MessageContext): Decoded {
  const text = textOf(payload)?.trim()
  if (text === undefined) return refused('malformed', 'not valid UTF-8', payload)
  if (kind === 'uuid') return passed('metadata', 'channel_uuid')
  if (kind === 'id') {
    if (context.state.size >= CHANNELS_MAX) context.state.clear()
    const fresh = context.state.get(prefix) !== text.slice(0, 60)
    context.state.set(prefix, text.slice(0, 60))
    return { ...passed('metadata', 'channel_identifier'), ...(fresh ? { learned: prefix } : {}) }
  }
  const rule = channelRule(context.settings, prefix)
  const device = idOf(rule?.device)
  const learned = context.state.get(prefix)
  const code = rule === undefined ? undefined : typeof rule.obis === 'string' ? rule.obis : typeof learned === 'string' ? learned : ''
  const obis = code === undefined ? undefined : parseObis(code)
  if (rule === undefined || device === undefined || obis === undefined) {
    const told = typeof learned === 'string' ? ` (it measures ${learned})` : ''
    return refused('unknown_quantity', `the settings name no device and code for channel ${prefix}${told}`, payload, 'channels')
  }
  const value = text.startsWith('{') ? parseJson(payload) : { value: { value: text } }
  if ('problem' in value || !isObject(value.value))
    return refused('malformed', 'neither a number nor an object with timestamp and value', payload)
  const number = numberOf(field(value.value, 'value'))
  const tsMs = readTime(field(value.value, 'timestamp'), zoneOf(context.settings))
  if (context.retained && typeof tsMs !== 'number') return passed('duplicate', 'retained_duplicate')
  if (number === undefined) return refused('bad_schema', 'not a number', payload)
  return one(
    { device, obis, number, unit: typeof rule.unit === 'string' ? rule.unit : '', tsMs: tsMs === 'local' ? undefined : tsMs },
    payload,
  )
}

function channelRule(settings: Record<string, unknown>, prefix: string): Json | undefined {
  const { channels } = settings
  if (!isObject(channels)) return undefined
  const rule = field(channels, prefix) ?? field(channels, prefix.slice(prefix.lastIndexOf('/') + 1))
  return isObject(rule) ? rule : undefined
}

// One value per topic

function oneValue(m: RegExpExecArray, payload: Buffer, context: MessageContext): Decoded {
  const [, prefix = '', code = '', period] = m
  const obis = parseObis(period === undefined || code.includes('*') ? code : `${code}*${period}`)
  if (obis === undefined) return passed('accept_other', 'no_core_reading')
  if (idRank(obis) > 0) return passed('metadata', 'meter_id')
  const parsed = valueOfText(textOf(payload)?.trim() ?? '')
  if (parsed === undefined) return passed('accept_other', 'text')
  const unit = parsed.unit === '' ? unitOfSettings(context.settings, obis) : parsed.unit
  return one({ device: idOf(prefix) ?? '', obis, number: parsed.value, unit, tsMs: undefined }, payload)
}

function one(r: { device: string; obis: Obis; number: number; unit: string; tsMs: number | undefined }, payload: Buffer): Decoded {
  const out = new Outcome()
  const values = new ObisValues()
  const added = values.add(r.obis, r.number, r.unit, r.tsMs)
  if (added === 'no_unit' || added === 'wrong_unit') return refused('unknown_quantity', noUnit(r.obis, r.unit), payload)
  values.give(out, r.device)
  return out.done()
}

function noUnit(obis: Obis, unit: string): string {
  return unit === '' ? `${shortCode(obis)} has no unit: name it in the settings (units)` : `${unit} is not a unit of ${shortCode(obis)}`
}

// Objects

interface Entry {
  code: string
  obis: Obis
  raw: unknown
  unit: string
  tsMs: number | undefined
}

const LISTS = ['data', 'values', 'readings', 'obis', 'measurements', 'registers', 'payload', 'sensors']
const ID_KEYS = [
  'serial',
  'serial_number',
  'serialNumber',
  'meterId',
  'meter_id',
  'meterid',
  'meter',
  'server_id',
  'serverId',
  'device',
  'deviceId',
  'id',
]
const TIME_KEYS = ['timestamp', 'time', 'ts', 'datetime', 'dateTime', 'date']

function objectOf(value: Json | unknown[], payload: Buffer, context: MessageContext): Decoded {
  const zone = zoneOf(context.settings)
  const heads: Json[] = []
  const entries = entriesOf(value, heads, zone)
  if (entries.length === 0) return passed('accept_other', 'no_obis_code')
  const time = timeOfHeads(heads, entries, zone)
  if (time === null) return refused('impossible_time', 'the time of the message is none', payload, 'timestamp')
  const out = new Outcome()
  const device = deviceOf(heads, entries) ?? deviceOfTopic(context.topic)
  const profile = context.topic.startsWith('SHRDZM/') ? SHRDZM : undefined
  const values = new ObisValues()
  for (const entry of entries) {
    const { obis, code, raw } = entry
    if (raw === null || raw === undefined || raw === '' || idRank(obis) > 0) continue
    const parsed = typeof raw === 'number' ? { value: raw, unit: '' } : typeof raw === 'string' ? valueOfText(raw) : undefined
    if (parsed === undefined) {
      const probe = new ObisValues()
      if (probe.add(obis, 0, '', undefined) !== 'other') out.refuse('bad_schema', code, `${code} is not a number`, device, shown(raw))
      continue
    }
    const declared = entry.unit === '' ? parsed.unit : entry.unit
    const unit =
      declared !== '' ? declared : unitOfSettings(context.settings, obis) || (profile?.[obis.d === 8 ? 'energy' : shortCode(obis)] ?? '')
    if (profile !== undefined && unit === '') continue
    const added = values.add(obis, parsed.value, unit, entry.tsMs ?? time)
    if (added === 'no_unit' || added === 'wrong_unit') out.refuse('unknown_quantity', code, noUnit(obis, unit), device, shown(raw))
  }
  values.give(out, device)
  return out.done()
}

/** Documented units of the Austrian reader SHRDZM, by code; registers in Wh. Its power factor is a percentage and is left out. */
const SHRDZM: Readonly<Record<string, string>> = Object.fromEntries([
  ['energy', 'Wh'],
  ...['1.7.0', '2.7.0', '16.7.0'].map((c) => [c, 'W']),
  ...['32.7.0', '52.7.0', '72.7.0'].map((c) => [c, 'V']),
  ...['31.7.0', '51.7.0', '71.7.0'].map((c) => [c, 'A']),
])

/** Entries of the object, or of the object or list inside it; objects on the way are heads: they hold id and time. */
function entriesOf(value: unknown, heads: Json[], zone: string | undefined): Entry[] {
  if (Array.isArray(value)) {
    return value.slice(0, ENTRIES).flatMap((item) => (isObject(item) ? (entryOfItem(item, zone) ?? []) : []))
  }
  if (!isObject(value)) return []
  heads.push(value)
  const own = Object.entries(value)
    .slice(0, ENTRIES)
    .flatMap(([code, raw]) => {
      const dotted = /^\d{1,3}(_\d{1,3}){2}$/.test(code) ? code.replaceAll('_', '.') : code
      const obis = parseObis(dotted)
      // A bare number such as "1.8" is as likely a version as a code.
      if (obis === undefined || !/[.:].*\.|^[0-9a-fA-F]{12}$/.test(dotted)) return []
      return [entryOf(code, obis, raw, zone)]
    })
  const nested = heads.length > 3 ? [] : LISTS.flatMap((name) => entriesOf(field(value, name), heads, zone))
  return [...own, ...nested]
}

function entryOf(code: string, obis: Obis, raw: unknown, zone: string | undefined): Entry {
  if (Array.isArray(raw)) return { code, obis, raw: raw[0], unit: unitText(raw[1]), tsMs: undefined }
  if (!isObject(raw)) return { code, obis, raw, unit: '', tsMs: undefined }
  const unit = unitText(field(raw, 'unit') ?? field(raw, 'units') ?? field(raw, 'u'))
  const time = readTime(
    TIME_KEYS.map((k) => field(raw, k)).find((v) => v !== undefined && v !== null),
    zone,
  )
  return {
    code,
    obis,
    raw: scaled(field(raw, 'value') ?? field(raw, 'val') ?? field(raw, 'v'), field(raw, 'scaler')),
    unit,
    tsMs: typeof time === 'number' ? time : undefined,
  }
}

function entryOfItem(item: Json, zone: string | undefined): Entry | undefined {
  const code = ['obis', 'obis_code', 'obisCode', 'code', 'id', 'key'].map((k) => field(item, k)).find((v) => typeof v === 'string')
  const obis = typeof code === 'string' ? parseObis(code) : undefined
  return obis === undefined ? undefined : entryOf(code as string, obis, item, zone)
}

/** DLMS and SML give an integer and a power of ten. */
function scaled(value: unknown, scaler: unknown): unknown {
  const n = numberOf(value)
  const s = numberOf(scaler)
  return n === undefined || s === undefined || !Number.isInteger(s) || Math.abs(s) > 12 ? value : Number((n * 10 ** s).toPrecision(15))
}

function unitText(unit: unknown): string {
  if (typeof unit === 'number') return UNIT_OF_NUMBER.get(unit) ?? ''
  return typeof unit === 'string' && unit.length <= 20 ? unit.trim() : ''
}

/** `123.4`, `000123.4*kWh` or `123.4 kWh`. */
function valueOfText(text: string): { value: number; unit: string } | undefined {
  const m = /^([+-]?\d{1,18}(?:\.\d{1,12})?)(?:\s*\*\s*|\s+)?([A-Za-z°³²/0-9]{1,10})?$/.exec(text.trim().slice(0, 60))
  if (m === null) return undefined
  const unit = m[2] ?? ''
  if (unit !== '' && unitOf(unit) === undefined) return undefined
  return { value: Number(m[1]), unit }
}

function unitOfSettings(settings: Record<string, unknown>, obis: Obis): string {
  const { units } = settings
  if (!isObject(units)) return ''
  for (const [code, unit] of Object.entries(units)) {
    const named = parseObis(code)
    if (named !== undefined && typeof unit === 'string' && shortCode(named) === shortCode(obis)) return unit
  }
  return ''
}

/** Undefined without a usable time, null when what is there is no time. */
function timeOfHeads(heads: readonly Json[], entries: readonly Entry[], zone: string | undefined): number | undefined | null {
  for (const head of heads) {
    const utc = field(head, 'UTC') ?? field(head, 'utc')
    const known = typeof utc === 'string' ? readTime(/[zZ]$/.test(utc) ? utc : `${utc}Z`, undefined) : undefined
    if (typeof known === 'number') return known
  }
  const clock = entries.find(({ obis }) => (obis.a ?? 0) === 0 && obis.c === 1 && obis.d === 0 && obis.e === 0)?.raw
  const given = [...heads.flatMap((head) => TIME_KEYS.map((k) => field(head, k))), clock].filter(
    (v) => v !== undefined && v !== null && v !== '',
  )
  for (const v of given) {
    const time = typeof v === 'string' && /^\d{12}[WS]?$/.test(v) ? telegramTime(v, zone) : readTime(v, zone)
    if (typeof time === 'number') return time
    if (time === undefined && typeof v === 'string' && /\d/.test(v)) return null
  }
  return undefined
}

function deviceOf(heads: readonly Json[], entries: readonly Entry[]): string | undefined {
  const ids = entries.map((e) => ({ rank: idRank(e.obis), id: idOf(e.raw) })).filter((e) => e.rank > 0 && e.id !== undefined)
  const best = ids.sort((x, y) => y.rank - x.rank)[0]?.id
  if (best !== undefined) return best
  for (const key of ID_KEYS) {
    for (const head of heads) {
      const id = idOf(field(head, key))
      if (id !== undefined) return id
    }
  }
  return undefined
}

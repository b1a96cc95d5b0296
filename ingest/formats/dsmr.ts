// Smart meters with a P1 port, and the projects that forward them (DSMR 2.2 to 5.0.2 P1 companion standards; dsmr-reader; dsmr2mqtt).
// Topics: dsmr/raw (telegram), dsmr/json and dsmr/reading/FIELD (dsmr-reader), dsmr/consumption/gas/..; dsmr/el, dsmr/gas, dsmr/wt
// (dsmr2mqtt); DSMR-API/FIELD (P1 dongles). A telegram is known by its first bytes on every topic.
// Identity: 0-0:96.1.1 of the telegram and 0-n:96.1.x of each M-Bus meter (hex of ASCII); `serial` of dsmr2mqtt; else the first topic level.
// Time: of the meter (W is UTC+1, S is UTC+2; zone of the settings for countries elsewhere); the M-Bus meters have their own. DSMR 2 and 3
// have no zone: used only with a zone of the settings.
// Units: declared in telegrams (kWh or Wh, kW or W); by field in the JSON: kWh, kW, V, A, m3 (dsmr-reader), Wh, W, V, litres (dsmr2mqtt).
// Pitfalls: decimals are strings; a value that did not change is not sent again; a telegram whose CRC is wrong is refused whole; 1.4.0, 1.6.0
// and 98.1.0 are demand; an M-Bus time of 632525252525W means no reading; topics are retained by design, so a retained message is taken when
// it has a time of its own and held back from billing otherwise.
import type { Phase, Quantity } from '#model/quantity.ts'
import {
  convert,
  field,
  gatewayStatus,
  idOf,
  isObject,
  type Json,
  numberOf,
  Outcome,
  PAYLOAD_BYTES_MAX,
  parseJson,
  passed,
  refused,
  textOf,
  tidy,
} from '../decoding.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { readTime, zoneOf } from '../local-time.ts'
import { idRank, netOf, type Obis, ObisValues, ofSomebody, shown } from '../obis.ts'
import { parseTelegram, type Telegram, type TelegramLine, telegramId, telegramTime, telegramValue } from '../p1-telegram.ts'

const TELEGRAM_START = /^\s*\/[A-Za-z]{3}[\x20-\x7e]/
const FIELD_TOPICS_MAX = 1_000

export const dsmr: GatewayFormat = {
  name: 'dsmr',
  topics: ['dsmr/#', 'DSMR-API/#', 'p1/#'],
  matches: (topic, payload) => /^(dsmr|DSMR-API)\//.test(topic) || isTelegram(payload),
  gatewayOf: (topic) => topic.split('/')[0] ?? '',
  decode(payload, context): Decoded {
    const decoded = ofSomebody(decodeAny(payload, context), payload)
    // The last value of a topic, of unknown age, sent because we subscribed: kept, but not for billing or alarms.
    if (context.retained && decoded.readings.some((r) => r.tsMs === undefined)) decoded.disposition = 'accept_flagged'
    return decoded
  },
}

function isTelegram(payload: Buffer): boolean {
  return TELEGRAM_START.test(payload.subarray(0, 16).toString('latin1'))
}

function decodeAny(payload: Buffer, context: MessageContext): Decoded {
  const rest = context.topic.slice(context.topic.indexOf('/') + 1)
  if (isTelegram(payload)) return telegram(payload, context)
  if (rest === 'raw') return refused('malformed', 'not a telegram: it begins with / and an identification', payload)
  const text = textOf(payload)?.trim()
  if (text === undefined) return refused('malformed', 'not valid UTF-8', payload)
  if (rest === 'status' || rest === 'LWT') {
    const state = text.replace(/"/g, '').toLowerCase()
    return state === 'online' || state === 'offline' ? gatewayStatus(state === 'online') : passed('status', 'gateway_status')
  }
  if (/^(system|sw-version|meter-stats\/|information)/.test(rest)) return passed('metadata', 'gateway_information')
  if (
    /^(day-totals|day-consumption|day-statistics|current-month|current-year|current-period|period-totals|consumption\/(quarter|electricity))/.test(
      rest,
    )
  )
    return passed('accept_other', 'derived_total')
  if (text.startsWith('{') || text.startsWith('[')) {
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (Array.isArray(parsed.value)) return refused('bad_schema', 'a message must be an object', payload)
    return json(parsed.value as Json, rest, payload, context)
  }
  return fieldOfTopic(text, rest, payload, context)
}

// Telegrams

const M_BUS: Readonly<Record<number, Quantity>> = {
  2: 'active_energy_import_kwh',
  3: 'gas_volume_m3',
  4: 'heat_energy_kwh',
  6: 'water_volume_m3',
  7: 'water_volume_m3',
  12: 'heat_energy_kwh',
  21: 'water_volume_m3',
  22: 'water_volume_m3',
}

function telegram(payload: Buffer, context: MessageContext): Decoded {
  if (payload.length > PAYLOAD_BYTES_MAX) return refused('too_large', `telegram of ${payload.length} bytes`, payload)
  const t = parseTelegram(payload.toString('latin1'))
  if ('problem' in t) return refused('malformed', t.problem, payload)
  if (t.crc === 'wrong') return refused('bad_checksum', 'the CRC after ! does not fit the telegram', payload)
  const out = new Outcome()
  const zone = zoneOf(context.settings)
  const device = idOfTelegram(t) ?? context.topic.split('/')[0] ?? ''
  const tsMs = timeOfTelegram(t, zone)
  if (tsMs === null) out.refuse('impossible_time', '0-0:1.0.0', 'the time of the telegram is none', device, '')
  const values = new ObisValues()
  for (const line of t.lines) {
    const { obis, groups, code } = line
    // 0-n is an M-Bus meter or the head of the telegram.
    if (obis === undefined || obis.a === 0 || groups.length !== 1) continue
    const v = telegramValue(groups[0] as string)
    if (v === undefined) continue
    const added = values.add(obis, v.value, v.unit, tsMs ?? undefined)
    if (added === 'wrong_unit' || (added === 'no_unit' && v.unit !== ''))
      out.refuse('bad_schema', code, `${v.unit} is not a unit of ${code}`, device, `${code}(${groups[0]})`)
  }
  values.give(out, device)
  mBus(out, t, device, zone)
  return out.done()
}

/** Undefined when the telegram has none or its zone is not known, null when it is no time. */
function timeOfTelegram(t: Telegram, zone: string | undefined): number | undefined | null {
  const group = t.lines.find((l) => l.obis !== undefined && l.obis.a === 0 && l.obis.c === 1 && l.obis.d === 0 && l.obis.e === 0)?.groups[0]
  if (group === undefined || group === '') return undefined
  const time = telegramTime(group, zone)
  return time === 'local' ? undefined : (time ?? null)
}

function idOfTelegram(t: Telegram): string | undefined {
  let best: { rank: number; id: string } | undefined
  for (const { obis, code, groups } of t.lines) {
    const id = idOf(telegramId(groups[0] ?? ''))
    if (id === undefined) continue
    const rank = telegramIdRank(obis, code)
    if (rank > 0 && (best === undefined || rank > best.rank)) best = { rank, id }
  }
  return best?.id
}

/** In P1 96.1.1 is the meter and stands before 96.1.0; plain D0 has C.1.0 (factory number). */
function telegramIdRank(obis: Obis | undefined, code: string): number {
  if (obis === undefined) return /^C\.1(\.0)?$/.test(code) ? 2 : 0
  if ((obis.b ?? 0) !== 0) return 0
  return obis.a === 0 && obis.c === 96 && obis.d === 1 && obis.e === 1 ? 10 : idRank(obis)
}

/** Gas, water, heat and other meters behind the electricity meter: their own id, time and value, by channel. */
function mBus(out: Outcome, t: Telegram, main: string, zone: string | undefined): void {
  for (let channel = 1; channel <= 9; channel++) {
    const lines = t.lines.filter((l): l is TelegramLine & { obis: Obis } => l.obis !== undefined && l.obis.a === 0 && l.obis.b === channel)
    const of = (c: number, d: number, e?: number) =>
      lines.find((l) => l.obis.c === c && l.obis.d === d && (e === undefined || l.obis.e === e))
    const reading = of(24, 2, 1) ?? of(24, 2, 3) ?? of(24, 2, 2) ?? of(24, 3, 0)
    if (reading === undefined) continue
    const id = lines.filter((l) => l.obis.c === 96 && l.obis.d === 1 && l.obis.e <= 1).map((l) => idOf(telegramId(l.groups[0] ?? '')))
    const device = id.find((i) => i !== undefined) ?? `${main}-${channel}`
    const type = numberOf(of(24, 1, 0)?.groups[0])
    readMBus(out, reading, { device, type, zone })
  }
}

function readMBus(out: Outcome, line: TelegramLine, meter: { device: string; type: number | undefined; zone: string | undefined }): void {
  const { device, type, zone } = meter
  const { groups, code } = line
  const quantity = type === undefined ? undefined : M_BUS[type]
  const text = `${code}(${groups.join(')(')})`
  // DSMR 2 and 3: (time)(status)(..)(..)(code)(unit) and the value on the next line.
  const unitApart = line.obis?.d === 3 ? groups[5] : undefined
  const v = telegramValue(groups.at(-1) ?? '')
  if (v === undefined || quantity === undefined || groups.length < 2) return
  const time = telegramTime(groups[0] as string, zone)
  if (time === undefined) {
    out.refuse('impossible_time', code, `${groups[0]} is no time: the meter has not been read`, device, text)
    return
  }
  const unit = v.unit === '' ? (unitApart ?? '') : v.unit
  const tsMs = time === 'local' ? undefined : time
  if (unit === '') {
    out.reading(device, 'register_count', v.value, { tsMs })
    return
  }
  const value = convert(v.value, unit, quantity)
  if (value === undefined) out.refuse('bad_schema', code, `${unit} is not a unit of ${quantity}`, device, text)
  else out.reading(device, quantity, value, { tsMs })
}

// JSON and split topics

interface FieldMeaning {
  quantity: Quantity
  unit: string
  phase?: Phase
  tariff?: number
  direction?: 'in' | 'out'
  /** Its own time: the M-Bus meter's. */
  extra?: boolean
}

/** Fields of dsmr-reader, of the P1 dongles' library, and of dsmr2mqtt. Units are those of each project's documentation. */
function meaningOf(name: string): FieldMeaning | undefined {
  let m = /^electricity_(delivered|returned)_([12])$/.exec(name)
  if (m !== null) return energy(m[1] === 'delivered', 'kWh', Number(m[2]))
  m = /^(?:electricity_|phase_)currently_(delivered|returned)(?:_l([123]))?$/.exec(name)
  if (m !== null) return power(m[1] === 'delivered', 'kW', m[2])
  m = /^(?:phase_)?(voltage|power_current|current)_l([123])$/.exec(name)
  if (m !== null) return { quantity: m[1] === 'voltage' ? 'voltage_v' : 'current_a', unit: m[1] === 'voltage' ? 'V' : 'A', ...phase(m[2]) }
  if (name === 'extra_device_delivered' || name === 'gas_delivered') return { quantity: 'gas_volume_m3', unit: 'm3', extra: true }
  m = /^energy_(delivered|returned)_tariff([1-4])$/.exec(name)
  if (m !== null) return energy(m[1] === 'delivered', 'kWh', Number(m[2]))
  m = /^power_(delivered|returned)(?:_l([123]))?$/.exec(name)
  if (m !== null) return power(m[1] === 'delivered', 'kW', m[2])
  m = /^el_(consumed|returned)([12])?$/.exec(name)
  if (m !== null) return energy(m[1] === 'consumed', 'Wh', m[2] === undefined ? 0 : Number(m[2]))
  m = /^[pP]([123])?_(consumed|generated)$/.exec(name)
  if (m !== null) return power(m[2] === 'consumed', 'W', m[1])
  m = /^([VI])([123])$/.exec(name)
  if (m !== null) return { quantity: m[1] === 'V' ? 'voltage_v' : 'current_a', unit: m[1] as string, ...phase(m[2]) }
  if (name === 'gas_consumed') return { quantity: 'gas_volume_m3', unit: 'L' }
  if (name === 'water_consumed') return { quantity: 'water_volume_m3', unit: 'L' }
  return undefined
}

function energy(imported: boolean, unit: string, tariff: number): FieldMeaning {
  const quantity = imported ? 'active_energy_import_kwh' : 'active_energy_export_kwh'
  return { quantity, unit, ...(tariff === 0 ? {} : { tariff }) }
}

function power(imported: boolean, unit: string, line: string | undefined): FieldMeaning {
  return { quantity: 'power_kw', unit, direction: imported ? 'in' : 'out', ...phase(line) }
}

function phase(line: string | undefined): { phase?: Phase } {
  return line === undefined ? {} : { phase: `L${line}` as Phase }
}

function json(o: Json, rest: string, payload: Buffer, context: MessageContext): Decoded {
  const zone = zoneOf(context.settings)
  const device = idOf(field(o, 'serial')) ?? idOf(field(o, 'equipment_id')) ?? context.topic.split('/')[0] ?? ''
  const out = new Outcome()
  const gas = rest.startsWith('consumption/gas')
  const tsMs = timeField(out, gas ? 'read_at' : 'timestamp', o, zone, device)
  if (tsMs === null) return refused('impossible_time', 'timestamp is no time', payload, 'timestamp')
  const extraMs = timeField(out, 'extra_device_timestamp', o, zone, device)
  const powers = new Map<string, { in?: number; out?: number }>()
  for (const [name, raw] of Object.entries(o)) {
    const meaning = gas && name === 'delivered' ? ({ quantity: 'gas_volume_m3', unit: 'm3' } as const) : meaningOf(name)
    // P1 dongles: {"power_delivered":[{"value":0.24,"unit":"kW"}]}.
    const inner = Array.isArray(raw) ? raw[0] : raw
    const given = isObject(inner) ? field(inner, 'value') : inner
    if (meaning === undefined || given === null || given === undefined) continue
    const declared = isObject(inner) ? field(inner, 'unit') : undefined
    const n = numberOf(given)
    const value = n === undefined ? undefined : convert(n, typeof declared === 'string' ? declared : meaning.unit, meaning.quantity)
    if (value === undefined) {
      out.refuse('bad_schema', name, `${name} is not a number in ${meaning.unit}`, device, shown(given))
      continue
    }
    const m: FieldMeaning = meaning
    if (m.direction !== undefined) {
      const both = powers.get(m.phase ?? '') ?? {}
      both[m.direction] = value
      powers.set(m.phase ?? '', both)
    } else if (m.extra !== true || extraMs !== null) {
      const own = m.extra === true ? extraMs : undefined
      out.reading(device, m.quantity, value, { tsMs: own ?? tsMs ?? undefined, phase: m.phase, tariff: m.tariff })
    }
  }
  for (const [line, both] of powers)
    out.reading(device, 'power_kw', netOf(both.in, both.out), { tsMs: tsMs ?? undefined, phase: line as Phase })
  return out.done()
}

/** Undefined when absent or of unknown zone, null (and a refusal) when it is no time. */
function timeField(out: Outcome, name: string, o: Json, zone: string | undefined, device: string): number | undefined | null {
  const raw = field(o, name)
  if (raw === undefined || raw === null || raw === '') return undefined
  const time = typeof raw === 'string' && /^\d{12}[WS]?$/.test(raw) ? telegramTime(raw, zone) : readTime(raw, zone)
  if (time === undefined) out.refuse('impossible_time', name, `${name} is no time`, device, shown(raw))
  return time === 'local' ? undefined : (time ?? null)
}

interface Fields {
  tsMs: number | undefined
  extraMs: number | undefined
  /** Last import and export by phase, kW: each arrives on its own topic, and only when it has changed. */
  powers: Record<string, { in?: number; out?: number }>
}

/** One field per topic: dsmr-reader sends the time first, then the fields that have changed. */
function fieldOfTopic(text: string, rest: string, payload: Buffer, context: MessageContext): Decoded {
  const cut = context.topic.lastIndexOf('/')
  const name = context.topic.slice(cut + 1)
  const device = context.topic.split('/')[0] ?? ''
  const fields = fieldsOf(context, context.topic.slice(0, cut))
  const gas = rest.startsWith('consumption/gas/')
  if (name === 'timestamp' || name === 'read_at' || name === 'extra_device_timestamp') {
    const time = /^\d{12}[WS]$/.test(text) ? telegramTime(text, zoneOf(context.settings)) : readTime(text, zoneOf(context.settings))
    if (time === undefined && text !== '' && text !== 'null') return refused('impossible_time', `${name} is no time`, payload)
    const ms = time === 'local' ? undefined : time
    if (name === 'extra_device_timestamp') fields.extraMs = ms
    else fields.tsMs = ms
    return passed('metadata', 'time_of_readings')
  }
  const meaning = gas && name === 'delivered' ? ({ quantity: 'gas_volume_m3', unit: 'm3' } satisfies FieldMeaning) : meaningOf(name)
  if (meaning === undefined) return passed('accept_other', 'no_core_reading')
  if (text === '' || text === 'null' || text === 'None') return passed('ignore', 'no_value')
  const n = numberOf(text)
  const value = n === undefined ? undefined : convert(n, meaning.unit, meaning.quantity)
  if (value === undefined) return refused('bad_schema', `${name} is not a number`, payload)
  const m: FieldMeaning = meaning
  const out = new Outcome()
  // A time that was retained is that of the last telegram; so is the value.
  const tsMs = m.extra === true ? fields.extraMs : fields.tsMs
  if (m.direction === undefined) return out.reading(device, m.quantity, value, { tsMs, phase: m.phase, tariff: m.tariff }).done()
  const line = m.phase ?? ''
  const both = { ...fields.powers[line], [m.direction]: value }
  fields.powers[line] = both
  // A meter has at most one of the two above zero: zero of one direction says nothing while the other is not known.
  if (value === 0 && (both.in === undefined || both.out === undefined)) return passed('accept_other', 'one_direction_is_zero')
  if (value > 0) both[m.direction === 'in' ? 'out' : 'in'] = 0
  return out.reading(device, 'power_kw', tidy(netOf(both.in, both.out)), { tsMs, phase: m.phase }).done()
}

function fieldsOf(context: MessageContext, prefix: string): Fields {
  const known = context.state.get(prefix) as Fields | undefined
  if (known !== undefined) return known
  if (context.state.size >= FIELD_TOPICS_MAX) context.state.clear()
  const fresh: Fields = { tsMs: undefined, extraMs: undefined, powers: {} }
  context.state.set(prefix, fresh)
  return fresh
}

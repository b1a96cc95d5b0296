// What gateway formats share: careful parsing, units, and the outcome of a message built up step by step. Pure.
import { isUtf8 } from 'node:buffer'
import type { Refusal } from '#model/outcome.ts'
import type { EventName, Phase, Quantity } from '#model/quantity.ts'
import type { Decoded, DecodedReading, Disposition } from './format.ts'

export type Json = Record<string, unknown>

/** Bytes of a message beyond which no format looks into it. */
export const PAYLOAD_BYTES_MAX = 1_048_576
/** Entries a message may give. */
export const ENTRIES_MAX = 5_000
const PAYLOAD_KEPT = 65_536
const ID_LENGTH_MAX = 200

export function isObject(v: unknown): v is Json {
  return typeof v === 'object' && v !== null && !Array.isArray(v)
}

/** An own property: `__proto__` and its kin in a message are only names. */
export function field(object: Json, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** Text of a payload, or undefined when it is not UTF-8. */
export function textOf(payload: Buffer): string | undefined {
  return isUtf8(payload) ? payload.toString('utf8') : undefined
}

/** Parsed JSON, or a sentence saying why there is none. */
export function parseJson(payload: Buffer): { value: unknown } | { problem: string } {
  if (payload.length > PAYLOAD_BYTES_MAX)
    return { problem: `message has ${payload.length} bytes, at most ${PAYLOAD_BYTES_MAX} are allowed` }
  const text = textOf(payload)
  if (text === undefined) return { problem: 'not valid UTF-8' }
  try {
    return { value: JSON.parse(text) }
  } catch (error) {
    return { problem: `not valid JSON: ${(error as Error).message.slice(0, 120)}` }
  }
}

const DECIMAL = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$/

/**
 * A finite number from a JSON number or a decimal string; anything else (null, true, '', '12 m3', arrays) is undefined: JavaScript's
 * own conversion makes numbers of all of them.
 */
export function numberOf(v: unknown): number | undefined {
  if (typeof v === 'number') return Number.isFinite(v) ? v : undefined
  if (typeof v !== 'string') return undefined
  const text = v.trim()
  if (text.length === 0 || text.length > 40 || !DECIMAL.test(text)) return undefined
  const n = Number(text)
  return Number.isFinite(n) ? n : undefined
}

/** Text of any value for a message or a quarantine entry. Never throws: `String` calls an object's own toString, JSON has a stack. */
export function shown(v: unknown, max = 2_000): string {
  if (typeof v === 'string') return v.slice(0, max)
  try {
    return (JSON.stringify(v) ?? '').slice(0, max)
  } catch {
    return 'nested too deep to be written out'
  }
}

/** A usable id from a string or an integer; undefined when empty, too long, or with control characters. */
export function idOf(v: unknown): string | undefined {
  const text = typeof v === 'number' && Number.isSafeInteger(v) ? String(v) : typeof v === 'string' ? v.trim() : ''
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.length === 0 || text.length > ID_LENGTH_MAX || /[\u0000-\u001f\u007f]/.test(text) ? undefined : text
}

/** Dimension of a unit and the factor to the unit of our quantities: m3, m3/h, bar, kWh, kW, V, A, kvarh, degrees C, Hz. */
export type Dimension =
  | 'volume'
  | 'flow'
  | 'pressure'
  | 'energy'
  | 'power'
  | 'voltage'
  | 'current'
  | 'reactive_energy'
  | 'temperature'
  | 'frequency'
  | 'length'

const US_GALLON_M3 = 0.003785411784
const IMPERIAL_GALLON_M3 = 0.00454609
const CUBIC_FOOT_M3 = 0.028316846592
const PSI_BAR = 0.0689475729317831

const UNITS = new Map<string, [Dimension, number]>(
  Object.entries({
    m3: ['volume', 1],
    l: ['volume', 0.001],
    dl: ['volume', 0.0001],
    ml: ['volume', 1e-6],
    hl: ['volume', 0.1],
    dal: ['volume', 0.01],
    dm3: ['volume', 0.001],
    litre: ['volume', 0.001],
    liter: ['volume', 0.001],
    litres: ['volume', 0.001],
    liters: ['volume', 0.001],
    ltr: ['volume', 0.001],
    gal: ['volume', US_GALLON_M3],
    gallon: ['volume', US_GALLON_M3],
    gallons: ['volume', US_GALLON_M3],
    usgal: ['volume', US_GALLON_M3],
    kgal: ['volume', US_GALLON_M3 * 1000],
    impgal: ['volume', IMPERIAL_GALLON_M3],
    ft3: ['volume', CUBIC_FOOT_M3],
    cf: ['volume', CUBIC_FOOT_M3],
    cuft: ['volume', CUBIC_FOOT_M3],
    ccf: ['volume', CUBIC_FOOT_M3 * 100],
    'm3/h': ['flow', 1],
    m3h: ['flow', 1],
    'm3/hr': ['flow', 1],
    'm3/s': ['flow', 3600],
    'm3/min': ['flow', 60],
    'l/h': ['flow', 0.001],
    lph: ['flow', 0.001],
    lh: ['flow', 0.001],
    'l/hr': ['flow', 0.001],
    'l/min': ['flow', 0.06],
    lpm: ['flow', 0.06],
    'l/m': ['flow', 0.06],
    'l/s': ['flow', 3.6],
    lps: ['flow', 3.6],
    ls: ['flow', 3.6],
    'ml/s': ['flow', 0.0036],
    'gal/min': ['flow', US_GALLON_M3 * 60],
    gpm: ['flow', US_GALLON_M3 * 60],
    'gal/h': ['flow', US_GALLON_M3],
    gph: ['flow', US_GALLON_M3],
    bar: ['pressure', 1],
    mbar: ['pressure', 0.001],
    hpa: ['pressure', 0.001],
    kpa: ['pressure', 0.01],
    pa: ['pressure', 1e-5],
    psi: ['pressure', PSI_BAR],
    mh2o: ['pressure', 0.0980665],
    mwc: ['pressure', 0.0980665],
    mws: ['pressure', 0.0980665],
    cmh2o: ['pressure', 0.000980665],
    atm: ['pressure', 1.01325],
    v: ['voltage', 1],
    mv: ['voltage', 0.001],
    kv: ['voltage', 1000],
    a: ['current', 1],
    ma: ['current', 0.001],
    ka: ['current', 1000],
    kvarh: ['reactive_energy', 1],
    varh: ['reactive_energy', 0.001],
    c: ['temperature', 1],
    '°c': ['temperature', 1],
    celsius: ['temperature', 1],
    cel: ['temperature', 1],
    hz: ['frequency', 1],
    m: ['length', 1],
    cm: ['length', 0.01],
    mm: ['length', 0.001],
    wh: ['energy', 0.001],
    kwh: ['energy', 1],
    gwh: ['energy', 1e6],
    j: ['energy', 1 / 3.6e6],
    kj: ['energy', 1 / 3600],
    gj: ['energy', 1000 / 3.6],
    w: ['power', 0.001],
    kw: ['power', 1],
    gw: ['power', 1e6],
  } satisfies Record<string, [Dimension, number]>),
)

/** Units whose meaning hangs on the case of their first letter: mW and MW differ by a thousand million. */
const CASED = new Map<string, [Dimension, number]>(
  Object.entries({
    MWh: ['energy', 1000],
    mWh: ['energy', 1e-6],
    MJ: ['energy', 1 / 3.6],
    mJ: ['energy', 1 / 3.6e9],
    MW: ['power', 1000],
    mW: ['power', 1e-6],
    MPa: ['pressure', 10],
    mPa: ['pressure', 1e-8],
    mV: ['voltage', 0.001],
    MV: ['voltage', 1e6],
    mA: ['current', 0.001],
    Mvarh: ['reactive_energy', 1000],
  } satisfies Record<string, [Dimension, number]>),
)

/** What a unit measures and by what to multiply; undefined for one that is not known. */
export function unitOf(unit: string): { dimension: Dimension; factor: number } | undefined {
  const text = unit.trim().replaceAll('³', '3').replaceAll('^', '').replaceAll(' ', '').replace('per', '/')
  const found = CASED.get(text) ?? UNITS.get(text.toLowerCase())
  return found === undefined ? undefined : { dimension: found[0], factor: found[1] }
}

const DIMENSIONS: Partial<Record<Quantity, Dimension>> = {
  water_volume_m3: 'volume',
  water_volume_reverse_m3: 'volume',
  gas_volume_m3: 'volume',
  active_energy_import_kwh: 'energy',
  active_energy_export_kwh: 'energy',
  reactive_energy_import_kvarh: 'reactive_energy',
  reactive_energy_export_kvarh: 'reactive_energy',
  heat_energy_kwh: 'energy',
  flow_m3h: 'flow',
  pressure_bar: 'pressure',
  level_m: 'length',
  temperature_c: 'temperature',
  power_kw: 'power',
  voltage_v: 'voltage',
  current_a: 'current',
  frequency_hz: 'frequency',
  battery_v: 'voltage',
}

/** A value in the unit of a quantity; undefined when the unit is unknown or measures something else. */
export function convert(value: number, unit: string, quantity: Quantity): number | undefined {
  const u = unitOf(unit)
  if (u === undefined || u.dimension !== DIMENSIONS[quantity]) return undefined
  return u.factor === 1 ? value : tidy(value * u.factor)
}

/** Takes away the noise of binary multiplication, 0.000 1 % of the last of 15 digits. */
export function tidy(value: number): number {
  return Number(value.toPrecision(15))
}

/** Alarms that formats report, and the event of the contract that each becomes. Those without one are kept as flags only. */
export const ALARMS: Readonly<Record<string, EventName | undefined>> = {
  leak: 'leak_alarm',
  burst: 'burst_alarm',
  backflow: 'reverse_flow',
  tamper: 'tamper',
  cover_open: 'cover_open',
  dry: 'dry',
  battery_low: 'battery_low',
  power_lost: 'power_lost',
  power_restored: 'power_restored',
  register_reset: 'register_reset',
  clock_set: 'clock_set',
  meter_replaced: 'meter_replaced',
}

export interface Series {
  tsMs?: number | undefined
  phase?: Phase | undefined
  tariff?: number | undefined
  channel?: string | undefined
  flags?: string[] | undefined
}

/** Builds the outcome of one message. */
export class Outcome {
  readonly decoded: Decoded = { disposition: 'accept', reason: '', readings: [], events: [], flags: [], refusals: [], seq: -1 }

  /** Adds a reading. Beyond ENTRIES_MAX nothing is added and one refusal says so. */
  reading(device: string, quantity: Quantity, value: number, series: Series = {}): this {
    const { readings, refusals } = this.decoded
    // 1e308 MWh is a number only until it is converted.
    if (!Number.isFinite(value))
      return this.refuse('impossible_value', quantity, `${quantity} is not a finite number`, device, String(value))
    if (readings.length >= ENTRIES_MAX) {
      if (!refusals.some((r) => r.reason === 'too_large'))
        this.refuse('too_large', '', `more than ${ENTRIES_MAX} readings in one message`, device, '')
      return this
    }
    const r: DecodedReading = { device, quantity, value, tsMs: series.tsMs }
    if (series.phase !== undefined && series.phase !== '') r.phase = series.phase
    if (series.tariff !== undefined && series.tariff !== 0) r.tariff = series.tariff
    if (series.channel !== undefined && series.channel !== '') r.channel = series.channel
    if (series.flags !== undefined && series.flags.length > 0) r.flags = series.flags
    readings.push(r)
    return this
  }

  event(device: string, event: EventName, tsMs?: number | undefined, detail?: Record<string, unknown>): this {
    this.decoded.events.push(detail === undefined ? { device, event, tsMs } : { device, event, tsMs, detail })
    return this
  }

  /** An alarm of a device: a flag of the message, and an event when the contract has one. */
  alarm(name: string, device: string, tsMs?: number | undefined): this {
    if (!this.decoded.flags.includes(name)) {
      this.decoded.flags.push(name)
      const event = ALARMS[name]
      if (event !== undefined) this.event(device, event, tsMs)
    }
    return this
  }

  flag(name: string): this {
    if (!this.decoded.flags.includes(name)) this.decoded.flags.push(name)
    return this
  }

  /** An entry that cannot be used. */
  refuse(reason: Refusal, path: string, message: string, device: string, payload: string): this {
    this.decoded.refusals.push({ reason, field: path, message, device, payload: payload.slice(0, PAYLOAD_KEPT) })
    return this
  }

  /** The outcome: kept when there is something to keep, refused when all of it was bad, else passed over for `nothing`. */
  done(nothing: Disposition = 'accept_other', reason = 'no_core_reading'): Decoded {
    const d = this.decoded
    if (d.readings.length > 0) d.disposition = d.refusals.length > 0 ? 'accept_partial' : 'accept'
    else if (d.refusals.length > 0) {
      d.disposition = 'quarantine'
      d.reason = d.refusals[0]?.reason ?? 'bad_schema'
    } else if (d.events.length > 0) d.disposition = 'event'
    else {
      d.disposition = nothing
      d.reason = reason
    }
    return d
  }
}

/** A message that is understood and carries nothing to keep. */
export function passed(disposition: Disposition, reason: string): Decoded {
  return { disposition, reason, readings: [], events: [], flags: [], refusals: [], seq: -1 }
}

/** A whole message that is refused. */
export function refused(
  reason: Refusal,
  message: string,
  payload: Buffer,
  path = '',
  disposition: 'quarantine' | 'reject' = 'quarantine',
): Decoded {
  const kept = payload.subarray(0, PAYLOAD_KEPT)
  return {
    ...passed(disposition, reason),
    refusals: [{ reason, field: path, message, device: '', payload: isUtf8(kept) ? kept.toString('utf8') : kept.toString('base64') }],
  }
}

/** A gateway came or went. */
export function gatewayStatus(online: boolean): Decoded {
  return {
    ...passed('status', online ? 'gateway_online' : 'gateway_offline'),
    flags: [online ? 'gateway_online' : 'gateway_offline'],
    gatewayOnline: online,
  }
}

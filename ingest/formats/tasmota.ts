// Tasmota: energy monitors (ENERGY) and the smart meter interface (SML, OBIS, Modbus by script). tasmota.github.io docs: MQTT, Commands, Smart-Meter-Interface.
// Topic: FullTopic, by default %prefix%/%topic%/: tele/TOPIC/SENSOR, stat/TOPIC/STATUS8 and STATUS10 (answers), tele/TOPIC/LWT; or TOPIC/tele/SENSOR.
// Payload: {"Time", GROUP: {NAME: value}, ..., "TempUnit"}; STATUS8/10 wrap it in StatusSNS; LWT is the text Online or Offline, retained.
// Identity: the topic. A meter's own number is a free field of the script, not there in every message.
// Time: `Time`, the device's local clock without zone: used with the settings' `timezone`; 1970 until the clock is set, which is no time.
// Units: ENERGY has kWh, W, V, A, Hz. Names under other groups are free text of the meter script. Known are those of the documentation's and evcc's
// scripts (kWh, W, V, A: Total_in, Power_curr, voltage_l1, 1_8_0 ...), names that end in a unit, and the settings' {"keys": {"SML.Zaehler": {"quantity", "unit"}}}.
// Counters (COUNTER.C1, Gas.Count) are raw counts. Yesterday and Today are no registers.
// Pitfalls: lists in ENERGY are phases when the voltage is a list of three, else channels of one supply; right after a boot a script publishes zeros with a
// clock of 1970 (such registers are held); INA219, ADS1115, ANALOG measure batteries, not mains.
import type { Phase, Quantity } from '#model/quantity.ts'
import { normal } from '../alarms.ts'
import {
  convert,
  field,
  gatewayStatus,
  idOf,
  isObject,
  type Json,
  numberOf,
  Outcome,
  parseJson,
  passed,
  refused,
  shown,
  textOf,
  tidy,
} from '../decoding.ts'
import { inOurUnit, type Meaning, meaningOf, unitInName } from '../fields.ts'
import type { Decoded, Disposition, GatewayFormat, MessageContext } from '../format.ts'
import { rulesOf } from '../free-values.ts'
import { readTime, zoneOf } from '../local-time.ts'

const PREFIX_FIRST = /^(tele|stat)\/(.+)\/([A-Z0-9_]+)$/
const PREFIX_LAST = /^(.+)\/(tele|stat)\/([A-Z0-9_]+)$/
const CLOCK_SET_MS = Date.UTC(2000, 0, 1)

interface Topic {
  device: string
  kind: string
}

function parse(topic: string): Topic | undefined {
  const first = PREFIX_FIRST.exec(topic)
  if (first !== null) return { device: first[2] as string, kind: first[3] as string }
  const last = PREFIX_LAST.exec(topic)
  return last === null ? undefined : { device: last[1] as string, kind: last[3] as string }
}

const OTHERS: readonly (readonly [RegExp, Disposition, string])[] = [
  [/^(STATE|UPTIME|HASS_STATE|STATUS|STATUS11)$/, 'status', 'device_state'],
  [/^(INFO\d*|STATUS\d+)$/, 'metadata', 'device_information'],
  [/^(RESULT|POWER\d*|WAKEUP|LOGGING|EVENT|SSERIALRECEIVED|SERIALRECEIVED)$/, 'ignore', 'command_result'],
]

export const tasmota: GatewayFormat = {
  name: 'tasmota',
  topics: ['tele/#', 'stat/#', '+/tele/#', '+/stat/#', 'tasmota/discovery/#'],
  matches: (topic) => parse(topic) !== undefined || topic.startsWith('tasmota/discovery/'),
  gatewayOf: (topic) => parse(topic)?.device ?? '',
  decode(payload, context): Decoded {
    if (context.topic.startsWith('tasmota/discovery/')) return passed('metadata', 'discovery')
    const topic = parse(context.topic) ?? { device: context.topic, kind: 'SENSOR' }
    if (topic.kind === 'LWT') return will(payload)
    const other = topic.kind === 'STATUS8' || topic.kind === 'STATUS10' ? undefined : OTHERS.find(([k]) => k.test(topic.kind))
    if (other !== undefined) return passed(other[1], other[2])
    const device = idOf(topic.device)
    if (device === undefined) return refused('bad_schema', 'the topic has no usable name', payload)
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (!isObject(parsed.value)) return refused('bad_schema', 'a sensor message must be an object', payload)
    const inner = field(parsed.value, 'StatusSNS')
    return sensor(isObject(inner) ? inner : parsed.value, device, payload, context)
  },
}

function will(payload: Buffer): Decoded {
  const text = (textOf(payload) ?? '').trim().toLowerCase()
  if (text === '') return passed('ignore', 'empty')
  return text === 'online' || text === 'offline'
    ? gatewayStatus(text === 'online')
    : refused('bad_schema', 'LWT must be Online or Offline', payload)
}

function sensor(o: Json, device: string, payload: Buffer, context: MessageContext): Decoded {
  const time = field(o, 'Time') ?? field(o, 'Epoch')
  const read = readTime(time, zoneOf(context.settings))
  const small = numberOf(time)
  if (read === undefined && time !== undefined && time !== null && time !== '' && (small === undefined || small < 0 || small >= 1e9))
    return refused('impossible_time', `Time ${shown(time, 40)} is not a time`, payload, 'Time')
  const unset = clockIsUnset(time)
  const tsMs = typeof read === 'number' && read >= CLOCK_SET_MS ? read : undefined
  // A repeat from the broker says what was known when it was first sent.
  if (context.retained && tsMs === undefined) return passed('duplicate', 'retained_duplicate')
  const reader = new Reader(device, tsMs, context.settings)
  for (const [name, group] of Object.entries(o).slice(0, 200)) {
    if (!isObject(group)) continue
    if (name === 'ENERGY') reader.energy(group)
    else reader.group(name, group)
  }
  const decoded = reader.out.done('accept_other', reader.undeclared ? 'unit_not_declared' : 'no_core_reading')
  if (unset && decoded.disposition === 'accept' && decoded.readings.some((r) => r.value === 0 && /_kwh$|_m3$/.test(r.quantity))) {
    decoded.disposition = 'accept_flagged'
    decoded.reason = 'zero_after_boot'
  }
  return decoded
}

function clockIsUnset(time: unknown): boolean {
  return (typeof time === 'string' && /^(19|0)\d/.test(time)) || (typeof time === 'number' && time < CLOCK_SET_MS / 1000)
}

const ENERGY: Readonly<Record<string, readonly [Quantity, unit: string]>> = {
  Total: ['active_energy_import_kwh', 'kWh'],
  ExportActive: ['active_energy_export_kwh', 'kWh'],
  ImportActive: ['active_energy_import_kwh', 'kWh'],
  Power: ['power_kw', 'W'],
  Voltage: ['voltage_v', 'V'],
  Current: ['current_a', 'A'],
  Frequency: ['frequency_hz', 'Hz'],
}
const TARIFFS: Readonly<Record<string, Quantity>> = {
  TotalTariff: 'active_energy_import_kwh',
  ExportTariff: 'active_energy_export_kwh',
}
const ITEMS_MAX = 16

class Reader {
  readonly out = new Outcome()
  readonly device: string
  readonly tsMs: number | undefined
  readonly rules: ReadonlyMap<string, Meaning>
  undeclared = false

  constructor(device: string, tsMs: number | undefined, settings: Record<string, unknown>) {
    this.device = device
    this.tsMs = tsMs
    this.rules = rulesOf(settings)
  }

  energy(o: Json): void {
    const voltage = field(o, 'Voltage')
    const threePhase = Array.isArray(voltage) && voltage.length === 3
    for (const [name, value] of Object.entries(o)) {
      const known = Object.hasOwn(ENERGY, name) ? ENERGY[name] : undefined
      const tariff = Object.hasOwn(TARIFFS, name) ? TARIFFS[name] : undefined
      const path = `ENERGY.${name}`
      // `Total` is what the meter adds up; ImportActive is the same where a meter tells both directions.
      if (name === 'ImportActive' && field(o, 'Total') !== undefined) continue
      if (known !== undefined) this.listed(path, known, value, threePhase)
      else if (tariff !== undefined && Array.isArray(value))
        for (const [i, v] of value.slice(0, 4).entries()) this.number(`${path}[${i}]`, { quantity: tariff, unit: 'kWh', tariff: i + 1 }, v)
    }
  }

  /** A number, or one for each phase or channel. Registers of phases add up to the meter's. */
  listed(path: string, [quantity, unit]: readonly [Quantity, string], value: unknown, threePhase: boolean): void {
    if (!Array.isArray(value)) {
      this.number(path, { quantity, unit }, value)
      return
    }
    const items = value.slice(0, ITEMS_MAX)
    const phased = threePhase && items.length === 3
    for (const [i, v] of items.entries())
      this.number(`${path}[${i}]`, { quantity, unit, ...(phased ? { phase: `L${i + 1}` as Phase } : { channel: String(i + 1) }) }, v)
    const numbers = items.map(numberOf)
    if (phased && unit === 'kWh' && numbers.every((n) => n !== undefined))
      this.number(path, { quantity, unit }, tidy(numbers.reduce((a: number, n) => a + (n as number), 0)))
  }

  number(path: string, meaning: Meaning, value: unknown): void {
    if (value === null || value === '') return
    const n = numberOf(value)
    const converted = n === undefined ? undefined : inOurUnit(meaning, n)
    if (converted === undefined)
      this.out.refuse('bad_schema', path, `${path.slice(0, 100)} is not a number`, this.device, shown(value, 200))
    else if (n === -32768 || n === -2147483648)
      this.out.refuse('impossible_value', path, `${n} is a sign for no value`, this.device, String(n))
    else {
      const { quantity, phase, tariff, channel } = meaning
      this.out.reading(this.device, quantity, converted, { tsMs: this.tsMs, phase, tariff, channel })
    }
  }

  group(group: string, o: Json): void {
    const entries = Object.entries(o).slice(0, 200)
    const rest = entries.filter(([name, value]) => {
      const rule = this.rules.get(`${group}.${name}`) ?? this.rules.get(name)
      if (rule !== undefined) this.number(`${group}.${name}`, rule, value)
      return rule === undefined
    })
    if (group === 'COUNTER' || /^(gas|wasser|water|counter)/i.test(group)) this.counters(group, rest)
    else if (isMeter(group, rest)) this.meter(group, rest)
  }

  counters(group: string, entries: readonly (readonly [string, unknown])[]): void {
    const medium = /^gas/i.test(group) ? 'gas_volume_m3' : /^wa/i.test(group) ? 'water_volume_m3' : undefined
    for (const [name, value] of entries) {
      const unit = unitInName(normal(name))?.unit ?? (/^m3$/i.test(name) ? 'm3' : undefined)
      if (medium !== undefined && unit !== undefined && convert(0, unit, medium) !== undefined)
        this.number(`${group}.${name}`, { quantity: medium, unit }, value)
      else if (/^(C\d+|count(er)?|total|zaehler(stand)?|stand|value|pulses?)$/i.test(name) && numberOf(value) !== undefined)
        this.number(`${group}.${name}`, { quantity: 'register_count', channel: `${group}.${name}`.slice(0, 60) }, value)
    }
  }

  meter(group: string, entries: readonly (readonly [string, unknown])[]): void {
    const flows: Partial<Record<Direction, number>> = {}
    const heat = HEAT_GROUP.test(group)
    // The documentation's script of the ISKRA MT175 calls powers by the phase alone, beside P.
    const bare = entries.some(([name]) => name === 'P')
    for (const [raw, value] of entries) {
      const path = `${group}.${raw}`
      const phase = bare ? /^L([123])$/.exec(raw) : null
      const meaning = phase !== null ? { ...WATTS, phase: `L${phase[1]}` as Phase } : heat ? thermal(raw) : nameOf(raw)
      if (meaning === undefined) {
        if (typeof value === 'number') this.undeclared = true
      } else if (meaning === 'power_in' || meaning === 'power_out') {
        const n = numberOf(value)
        if (n === undefined) this.number(path, { quantity: 'power_kw', unit: 'W' }, value)
        else flows[meaning] = n
      } else this.number(path, meaning, value)
    }
    const { power_in: inward, power_out: outward } = flows
    if (inward !== undefined || outward !== undefined)
      this.number(`${group}.power`, { quantity: 'power_kw', unit: 'W' }, tidy((inward ?? 0) - Math.abs(outward ?? 0)))
  }
}

const METER_GROUP =
  /^(sml|obis|smart_?meter|strom|meter|zaehler|grid|power|energy|haus|netz|mt\d|ehz|ebz|dd3|lk13|e\d{3}|sgm|itron|iskra|dtz|norax|easy|q3|pafal|hager|emh|logarex|landis|isk|apator|elster|as\d{4}|sdm|dds?u?\d|ws74|z1|eb\d)/i
/** Sensors of small direct voltages, weather and the module itself. */
const NO_METER = /^(ina\d|ads\d|analog|axp|max1704|esp32|am23|ds18|bme|bmp|htu|sht|dht|sds|wifi|berry|ble)/i

function isMeter(group: string, entries: readonly (readonly [string, unknown])[]): boolean {
  if (NO_METER.test(group)) return false
  if (METER_GROUP.test(group)) return true
  return entries.some(([name]) => {
    const m = nameOf(name)
    return typeof m === 'object' && /energy/.test(m.quantity)
  })
}

const HEAT_GROUP = /^(w(ae|ä)?rme|heat|wmz)/i
const WATTS: Meaning = { quantity: 'power_kw', unit: 'W' }

/** In a group of a heat meter units say what is meant: its energy is heat, its volume the carrier's. */
function thermal(raw: string): Meaning | undefined {
  const declared = unitInName(normal(raw))
  return declared === undefined ? undefined : meaningOf(declared.stem, declared.unit, { electric: false, gas: false, heat: true })
}

type Direction = 'power_in' | 'power_out'

const kwh = (quantity: Quantity): Meaning => ({ quantity, unit: 'kWh' })

/** Names of the meter scripts in the documentation and of evcc, in lower case. `#` stands for phase or tariff. */
const NAMES: readonly (readonly [RegExp, (n: number) => Meaning | Direction])[] = [
  [
    /^(total_?in|total_?import(ed)?|total_?consum(ed|ption)|total_?kwh|total|e_?in|energy_?in|energy_?import(ed)?|tot_?ene(rgy)?_?imp(ort)?|total_?energy(_?imp(ort)?)?|import(_total)?|bezug(_total)?|verbrauch(_total)?|(total_)?1_8_0|zaehlerstand(_bezug)?|counter_in)$/,
    () => kwh('active_energy_import_kwh'),
  ],
  [
    /^(total_?out|total_?export(ed)?|total_?prod(uced|uction)?|e_?out|energy_?out|energy_?export(ed)?|tot_?ene(rgy)?_?exp(ort)?|total_?energy_?exp(ort)?|export(_total)?|(netz)?einspeisung(_total)?|lieferung|(total_)?2_8_0|zaehlerstand_(einspeisung|lieferung)|counter_out)$/,
    () => kwh('active_energy_export_kwh'),
  ],
  [
    /^(?:total_?in|total|e_?in|import|bezug|verbrauch|tot_?ene(?:rgy)?)_?(?:t|tarif|tariff_?)([1-4])(?:_in)?$|^(?:total_)?1_8_([1-4])$/,
    (n) => ({ ...kwh('active_energy_import_kwh'), tariff: n }),
  ],
  [
    /^(?:total_?out|e_?out|export|einspeisung)_?(?:t|tarif|tariff_?)([1-4])(?:_out)?$|^(?:total_)?2_8_([1-4])$/,
    (n) => ({ ...kwh('active_energy_export_kwh'), tariff: n }),
  ],
  [
    /^(power(_?(curr?|current|total|sum|now|act(ual)?|cur))?|act_?pow(er)?|active_?power|actual_power|leistung(_(gesamt|aktuell))?|aktuelle_leistung|momentan(e_?)?leistung|curr_?w|watt|p|p_?sum|16_7_0|15_7_0)$/,
    () => ({ quantity: 'power_kw', unit: 'W' }),
  ],
  [/^(power_?in|act_?pow_?imp|power_?import|bezugsleistung|1_7_0)$/, () => 'power_in'],
  [/^(power_?out|act_?pow_?exp|power_?export|einspeiseleistung|2_7_0)$/, () => 'power_out'],
  [
    /^(?:power|p|leistung|act_?pow|active_?power|curr_?w|watt)_?(?:l|p|ph|phase_?)([123])$/,
    (n) => ({ quantity: 'power_kw', unit: 'W', phase: `L${n}` as Phase }),
  ],
  [
    /^(?:voltage|volt|vol|u|v|spannung)_?(?:l|p|ph|phase_?)([123])$/,
    (n) => ({ quantity: 'voltage_v', unit: 'V', phase: `L${n}` as Phase }),
  ],
  [/^(voltage|volt|spannung)$/, () => ({ quantity: 'voltage_v', unit: 'V' })],
  [
    /^(?:current|curr?|i|amp|ampere|strom)_?(?:l|p|ph|phase_?)([123])$/,
    (n) => ({ quantity: 'current_a', unit: 'A', phase: `L${n}` as Phase }),
  ],
  [/^(current|strom|ampere)$/, () => ({ quantity: 'current_a', unit: 'A' })],
  [/^(freq(uency)?|hz|frequenz|14_7_0)$/, () => ({ quantity: 'frequency_hz', unit: 'Hz' })],
]
const OBIS_PHASES: Readonly<Record<string, readonly [Quantity, unit: string, phase: Phase]>> = {
  '32_7_0': ['voltage_v', 'V', 'L1'],
  '52_7_0': ['voltage_v', 'V', 'L2'],
  '72_7_0': ['voltage_v', 'V', 'L3'],
  '31_7_0': ['current_a', 'A', 'L1'],
  '51_7_0': ['current_a', 'A', 'L2'],
  '71_7_0': ['current_a', 'A', 'L3'],
  '36_7_0': ['power_kw', 'W', 'L1'],
  '56_7_0': ['power_kw', 'W', 'L2'],
  '76_7_0': ['power_kw', 'W', 'L3'],
}

const known = new Map<string, Meaning | Direction | undefined>()
const KNOWN_MAX = 5_000

/** What a name of a meter script means; remembered, since the same names come again with every message. */
function nameOf(raw: string): Meaning | Direction | undefined {
  if (raw.length > 60) return undefined
  if (known.has(raw)) return known.get(raw)
  if (known.size >= KNOWN_MAX) known.clear()
  const meaning = readName(raw)
  known.set(raw, meaning)
  return meaning
}

function readName(raw: string): Meaning | Direction | undefined {
  const name = normal(raw.replaceAll('ä', 'ae').replace(/^1-[01]:/, '')).replace(/^_+|_+$/g, '')
  const obis = Object.hasOwn(OBIS_PHASES, name) ? OBIS_PHASES[name] : undefined
  if (obis !== undefined) return { quantity: obis[0], unit: obis[1], phase: obis[2] }
  for (const [pattern, of] of NAMES) {
    const m = pattern.exec(name)
    if (m !== null) return of(Number(m[1] ?? m[2]))
  }
  const declared = unitInName(name)
  return declared === undefined ? undefined : meaningOf(declared.stem, declared.unit, { electric: true, gas: false, heat: false })
}

// OBIS codes (IEC 62056-61): which of our quantities a code names, and a collector that gives the readings of one meter. Shared by
// P1 telegrams, OBIS-keyed JSON and DLMS push frames. The code does not fix the unit: it must be declared beside the value. Pure.
import type { Phase, Quantity } from '#model/quantity.ts'
import { convert, type Outcome, refused, tidy, unitOf } from './decoding.ts'
import type { Decoded } from './format.ts'

/** A-B:C.D.E*F. A is the medium, F the billing period: 255 or absent is the present value. */
export interface Obis {
  a: number | undefined
  b: number | undefined
  c: number
  d: number
  e: number
  f: number | undefined
}

const WRITTEN = /^(?:(\d{1,3})-(\d{1,3}):)?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:[*&/](\d{1,3}))?$/
const DOTTED = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/
const HEX = /^[0-9a-fA-F]{12}$/

/** `1-0:1.8.0*255`, `1.8.0`, `1.0.1.8.0.255` or `0100010800FF`; undefined for anything else. */
export function parseObis(text: string): Obis | undefined {
  if (text.length > 24) return undefined
  if (HEX.test(text)) return obisOfBytes(Buffer.from(text, 'hex'))
  const six = DOTTED.exec(text)
  if (six !== null) return inBytes(six.slice(1, 7).map(Number))
  const m = WRITTEN.exec(text)
  if (m === null) return undefined
  const n = (g: string | undefined): number | undefined => (g === undefined ? undefined : Number(g))
  return inBytes([n(m[1]), n(m[2]), n(m[3]), n(m[4]), n(m[5]) ?? 0, n(m[6])])
}

export function obisOfBytes(bytes: Uint8Array): Obis | undefined {
  return bytes.length === 6 ? inBytes([...bytes]) : undefined
}

function inBytes(parts: readonly (number | undefined)[]): Obis | undefined {
  if (parts.some((p) => p !== undefined && p > 255)) return undefined
  const [a, b, c, d, e, f] = parts
  return { a, b, c: c as number, d: d as number, e: e as number, f }
}

/** `1.8.0`: how a value without a unit is told apart. */
export function shortCode({ c, d, e }: Obis): string {
  return `${c}.${d}.${e}`
}

/** `in` and `out` are the two directions of one power; `net` has a sign, import is positive. */
export interface ObisMeaning {
  quantity: Quantity
  phase?: Phase
  tariff?: number
  direction?: 'in' | 'out' | 'net'
}

const ELECTRICITY = 1
const HEAT = 6
const GAS = 7
const COLD_WATER = 8
const HOT_WATER = 9
const ENERGY = new Map<number, Quantity>([
  [1, 'active_energy_import_kwh'],
  [2, 'active_energy_export_kwh'],
  [3, 'reactive_energy_import_kvarh'],
  [4, 'reactive_energy_export_kvarh'],
])
const POWER = new Map<number, 'in' | 'out' | 'net'>([
  [1, 'in'],
  [2, 'out'],
  [16, 'net'],
])
const ACROSS = new Map<number, Quantity>([
  [11, 'current_a'],
  [12, 'voltage_v'],
  [13, 'power_factor'],
])
/** Group C of the phases: 20, 40 and 60 more than that of all phases together. */
const PHASES: readonly Phase[] = ['L1', 'L2', 'L3']

/** True for 1.8.0*01 and the like: the value of an earlier billing period. */
export function isHistory({ f }: Obis): boolean {
  return f !== undefined && f !== 255
}

/** What the present value of a code measures; undefined for history, demand, counters, texts and everything that is none of ours. */
export function meaningOfObis(o: Obis): ObisMeaning | undefined {
  if (isHistory(o)) return undefined
  switch (o.a) {
    case undefined:
    case ELECTRICITY:
      return electric(o)
    case HEAT:
      return o.c === 1 && o.e === 0 && (o.d === 0 || o.d === 8) ? { quantity: 'heat_energy_kwh' } : undefined
    case GAS:
      return o.c === 3 && o.e === 0 && o.d <= 2 ? { quantity: 'gas_volume_m3' } : undefined
    case COLD_WATER:
    case HOT_WATER:
      return o.c === 1 && o.e === 0 && (o.d === 0 || o.d === 8) ? { quantity: 'water_volume_m3' } : undefined
    default:
      return undefined
  }
}

function electric({ a, c, d, e }: Obis): ObisMeaning | undefined {
  // Heat meters with an optical head write 6.8 and nothing before it.
  if (a === undefined && c === 6 && d === 8 && e === 0) return { quantity: 'heat_energy_kwh' }
  const band = c > 20 && c < 80 ? Math.floor(c / 20) : 0
  const phase = PHASES[band - 1]
  const base = c - 20 * band
  if (d === 8) {
    const quantity = ENERGY.get(base)
    if (quantity === undefined || e > 4) return undefined
    return { quantity, ...(phase === undefined ? {} : { phase }), ...(e === 0 ? {} : { tariff: e }) }
  }
  if (d !== 7 || e !== 0) return undefined
  if (c === 14) return { quantity: 'frequency_hz' }
  const direction = POWER.get(base)
  if (direction !== undefined) return { quantity: 'power_kw', direction, ...(phase === undefined ? {} : { phase }) }
  const quantity = ACROSS.get(base)
  return quantity === undefined ? undefined : { quantity, ...(phase === undefined ? {} : { phase }) }
}

/** Units of DLMS and SML by their number (IEC 62056-62, table of physical units). */
export const UNIT_OF_NUMBER: ReadonlyMap<number, string> = new Map([
  [9, 'C'],
  [11, 'm'],
  [13, 'm3'],
  [14, 'm3'],
  [15, 'm3/h'],
  [16, 'm3/h'],
  [19, 'l'],
  [23, 'Pa'],
  [24, 'bar'],
  [25, 'J'],
  [27, 'W'],
  [28, 'VA'],
  [29, 'var'],
  [30, 'Wh'],
  [31, 'VAh'],
  [32, 'varh'],
  [33, 'A'],
  [35, 'V'],
  [44, 'Hz'],
])

/** How good a code is as the meter's id: higher is better, 0 for codes that are none. */
export function idRank({ a, c, d, e }: Obis): number {
  if (a !== undefined && a !== 0 && a !== 1) return 0
  if (c === 96 && d === 1 && (e === 0 || e === 1)) return a === 1 && e === 1 ? 1 : 5 - e
  if (c === 0 && d === 0 && (e === 0 || e === 5)) return 3
  if (c === 0 && d === 0 && e === 9) return 2
  if ((c === 42 && d === 0 && e === 0) || (c === 96 && d === 1 && e === 255)) return 2
  return 0
}

export type Added = 'added' | 'other' | 'no_unit' | 'wrong_unit'

interface Kept {
  meaning: ObisMeaning
  value: number
  tsMs: number | undefined
}

/** Values of one meter. Power is kept per direction until the end, since a reading is import minus export. */
export class ObisValues {
  readonly #kept: Kept[] = []
  readonly #counts: { code: string; value: number; tsMs: number | undefined }[] = []

  get size(): number {
    return this.#kept.length + this.#counts.length
  }

  /** Adds a value. A register without a unit becomes a raw count; anything else without one is not taken (`no_unit`). */
  add(o: Obis, value: number, unit: string, tsMs: number | undefined): Added {
    const meaning = meaningOfObis(o)
    if (meaning === undefined) return 'other'
    if (meaning.quantity === 'power_factor') {
      this.#kept.push({ meaning, value, tsMs })
      return 'added'
    }
    if (unit === '') {
      if (o.d > 2 && o.d !== 8) return 'no_unit'
      if (value >= 0) this.#counts.push({ code: shortCode(o), value, tsMs })
      return 'added'
    }
    const converted = convert(value, unit, meaning.quantity)
    if (converted === undefined) return unitOf(unit) === undefined ? 'no_unit' : 'wrong_unit'
    this.#kept.push({ meaning, value: converted, tsMs })
    return 'added'
  }

  /** Gives the readings of the meter. */
  give(out: Outcome, device: string): void {
    const absent = this.#absentPhases()
    for (const { meaning, value, tsMs } of this.#kept) {
      if (meaning.direction !== undefined || (meaning.quantity === 'voltage_v' && absent.has(meaning.phase))) continue
      out.reading(device, meaning.quantity, value, { tsMs, phase: meaning.phase, tariff: meaning.tariff })
    }
    for (const phase of [undefined, ...PHASES]) this.#givePower(out, device, phase)
    for (const { code, value, tsMs } of this.#counts) out.reading(device, 'register_count', value, { tsMs, channel: code })
  }

  #givePower(out: Outcome, device: string, phase: Phase | undefined): void {
    const of = (d: 'in' | 'out' | 'net'): Kept | undefined => this.#kept.find((k) => k.meaning.direction === d && k.meaning.phase === phase)
    const into = of('in')
    const outOf = of('out')
    const first = into ?? outOf
    if (first !== undefined) out.reading(device, 'power_kw', netOf(into?.value, outOf?.value), { tsMs: first.tsMs, phase })
    else {
      const net = of('net')
      if (net !== undefined) out.reading(device, 'power_kw', net.value, { tsMs: net.tsMs, phase })
    }
  }

  /**
   * Meters on networks without neutral (IT, delta) report 0 V for a phase that is not connected to them. While another phase has
   * voltage that is not a measurement but an empty field: a meter that loses a phase shows what the load lets back, not 0.0.
   */
  #absentPhases(): ReadonlySet<Phase | undefined> {
    const volts = this.#kept.filter((k) => k.meaning.quantity === 'voltage_v' && k.meaning.phase !== undefined)
    if (!volts.some((k) => k.value > 0)) return new Set()
    return new Set(volts.filter((k) => k.value === 0).map((k) => k.meaning.phase))
  }
}

/** What was refused, as text; nested values by their kind, since writing out deep ones exhausts the stack. */
export function shown(v: unknown): string {
  return typeof v === 'object' && v !== null ? (Array.isArray(v) ? '[list]' : '{object}') : String(v).slice(0, 200)
}

/** The outcome, unless it has readings of nobody. */
export function ofSomebody(decoded: Decoded, payload: Buffer): Decoded {
  if (decoded.readings.every((r) => r.device !== '')) return decoded
  return refused('bad_schema', 'neither the message nor its topic names a meter', payload)
}

/** Import minus export. */
export function netOf(into: number | undefined, out: number | undefined): number {
  return tidy((into ?? 0) - (out ?? 0))
}

const GENERAL = /^(obis|sensor|sensors|raw|json|value|values|data|state|telemetry|readings?|status|meter|tele|up|frame|frames)$/i

/** Who reports when the message does not say: the last level of a topic that is not a word for its contents. */
export function deviceOfTopic(topic: string): string {
  const levels = topic.split('/').filter((l) => l !== '')
  return levels.findLast((l) => !GENERAL.test(l)) ?? levels[0] ?? ''
}

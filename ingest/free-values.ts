// Values under free keys, as cloud platforms and bridges carry them: what each key means, by settings, canonical name or the unit in its
// name; alarms by name; raw counters; and what nobody can tell. Pure.
import { isQuantity, type Quantity } from '#model/quantity.ts'
import { alarmOfName, alarmsInText, isRaised, normal } from './alarms.ts'
import { field, isObject, type Json, numberOf, type Outcome, shown, unitOf } from './decoding.ts'
import {
  canonicalOf,
  ELECTRIC,
  inOurUnit,
  isImpossiblePressure,
  isRawRegister,
  type Meaning,
  meaningOf,
  type Surroundings,
  unitInName,
} from './fields.ts'

/** Keys of one entry; more are refused. */
const KEYS_MAX = 2_000
/** Objects within objects; deeper ones are not looked into. */
const DEPTH_MAX = 4

interface Entry {
  key: string
  value: unknown
  tsMs: number | undefined
  path: string
}

/** Reads the values of entries into one outcome. */
export class FreeValues {
  readonly out: Outcome
  readonly rules: ReadonlyMap<string, Meaning>
  /** A number was left out because nobody declares its unit. */
  undeclared = false

  constructor(out: Outcome, settings: Record<string, unknown>) {
    this.out = out
    this.rules = rulesOf(settings)
  }

  values(device: string, values: Json, tsMs: number | undefined, path: string): void {
    const entries = Object.entries(values)
    const around = surroundingsOf(entries)
    for (const [key, value] of entries.slice(0, KEYS_MAX))
      this.value(device, { key, value, tsMs, path: path === '' ? key : `${path}.${key}` }, around)
    if (entries.length > KEYS_MAX) this.out.refuse('too_large', path, `more than ${KEYS_MAX} keys in one entry`, device, '')
  }

  /** The same with objects within: `{"value","unit"}` is one value, any other object a group of values. `timeOf` may know a time for a path. */
  tree(device: string, values: Json, timeOf: (path: readonly string[]) => number | undefined, path: readonly string[] = []): void {
    const entries = Object.entries(values)
    const around = surroundingsOf(entries)
    for (const [key, value] of entries.slice(0, KEYS_MAX)) {
      const at = [...path, key]
      if (!isObject(value)) this.value(device, { key, value, tsMs: timeOf(at), path: at.join('.') }, around)
      else if (!this.withUnit(device, key, value, timeOf(at), at.join('.'), around) && at.length < DEPTH_MAX)
        this.tree(device, value, timeOf, at)
    }
    if (entries.length > KEYS_MAX) this.out.refuse('too_large', path.join('.'), `more than ${KEYS_MAX} keys in one entry`, device, '')
  }

  /** False when the object is no value with a unit. */
  private withUnit(device: string, key: string, o: Json, tsMs: number | undefined, path: string, around: Surroundings): boolean {
    const value = field(o, 'value')
    if (value === undefined || isObject(value)) return false
    const unit = field(o, 'unit') ?? field(o, 'units')
    const rule = this.rules.get(key)
    const declared = typeof unit === 'string' && rule === undefined ? meaningOf(key, unit, around) : undefined
    // A canonical name says what it is, the unit beside it in what it is given.
    const canonical = typeof unit === 'string' && unitOf(unit) !== undefined ? canonicalOf(key) : undefined
    const meaning = canonical === undefined ? declared : { ...canonical, unit: unit as string }
    if (meaning === undefined) this.value(device, { key, value, tsMs, path }, around)
    else this.number(device, { key, value, tsMs, path }, meaning)
    return true
  }

  value(device: string, entry: Entry, around: Surroundings): void {
    const { key, value } = entry
    if (value === null || value === '') return
    const meaning = this.rules.get(key) ?? canonicalOf(key) ?? declaredIn(key, around)
    if (meaning === undefined) this.other(device, entry)
    else this.number(device, entry, meaning)
  }

  private number(device: string, { value, tsMs, path }: Entry, meaning: Meaning): void {
    if (value === null || value === '') return
    const n = numberOf(value)
    const converted = n === undefined ? undefined : inOurUnit(meaning, n)
    if (converted === undefined) this.out.refuse('bad_schema', path, `${path.slice(-100)} is not a number`, device, shown(value))
    else
      this.out.reading(device, meaning.quantity, converted, {
        tsMs,
        phase: meaning.phase,
        tariff: meaning.tariff,
        channel: meaning.channel,
      })
  }

  /** Alarms, raw counts, and what nobody can tell. */
  private other(device: string, { key, value, tsMs, path }: Entry): void {
    const alarm = alarmOfName(key)
    if (alarm !== undefined) {
      if (isRaised(value)) this.out.alarm(alarm, device, tsMs)
      return
    }
    if (typeof value === 'string' && /alarm|status|event|error/i.test(key)) {
      for (const name of alarmsInText(value)) this.out.alarm(name, device, tsMs)
      return
    }
    const n = numberOf(value)
    if (n === undefined) return
    if (isImpossiblePressure(key, n))
      this.out.refuse('impossible_value', path, `${n} is below a vacuum in every unit of pipe pressure`, device, String(n))
    else if (isRawRegister(key) && n >= 0) this.out.reading(device, 'register_count', n, { tsMs, channel: key.slice(0, 60) })
    else this.undeclared = true
  }
}

function declaredIn(key: string, around: Surroundings): Meaning | undefined {
  const found = unitInName(normal(key))
  return found === undefined ? undefined : meaningOf(found.stem, found.unit, around)
}

function surroundingsOf(entries: readonly (readonly [string, unknown])[]): Surroundings {
  let electric = false
  let heat = false
  for (const [key, value] of entries.slice(0, KEYS_MAX)) {
    const name = normal(key)
    const beside = isObject(value) ? (field(value, 'unit') ?? field(value, 'units')) : undefined
    const unit = unitInName(name)?.unit ?? (typeof beside === 'string' ? beside : undefined)
    const dimension = unit === undefined ? undefined : unitOf(unit)?.dimension
    if ((dimension !== undefined && ELECTRIC.has(dimension)) || /active_(energy|power)/.test(name)) electric = true
    if (/(^|_)heat/.test(name)) heat = true
  }
  return { electric, heat, gas: false }
}

/** The settings' map of keys: {"keys": {"totalVol": {"quantity": "water_volume_m3", "unit": "L", "phase", "tariff", "channel"}}}. */
export function rulesOf(settings: Record<string, unknown>): Map<string, Meaning> {
  const rules = new Map<string, Meaning>()
  if (!isObject(settings.keys)) return rules
  for (const [key, rule] of Object.entries(settings.keys)) {
    if (!isObject(rule) || typeof rule.quantity !== 'string' || !isQuantity(rule.quantity)) continue
    const meaning: Meaning = { quantity: rule.quantity as Quantity }
    if (typeof rule.unit === 'string') meaning.unit = rule.unit
    if (rule.phase === 'L1' || rule.phase === 'L2' || rule.phase === 'L3') meaning.phase = rule.phase
    if (rule.tariff === 1 || rule.tariff === 2 || rule.tariff === 3 || rule.tariff === 4) meaning.tariff = rule.tariff
    if (typeof rule.channel === 'string') meaning.channel = rule.channel.slice(0, 60)
    rules.set(key, meaning)
  }
  return rules
}

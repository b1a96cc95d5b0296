// The decoded object of a LoRaWAN uplink, however the network server wraps it. In order: the normalised payload of The Things
// Stack; the settings' field map; the field map of a known device; units that the object itself declares. Pure.
import { isQuantity, type Phase, type Quantity } from '#model/quantity.ts'
import { DAY_MS } from '#model/time.ts'
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
import { readTime, zoneOf } from './local-time.ts'
import { type DeviceRule, KNOWN_DEVICES } from './lorawan-devices.ts'
import { inRange } from './ranges.ts'

export interface Uplink {
  device: string
  /** When the network heard it; undefined when the message does not say. */
  networkMs: number | undefined
  /** What the codec made of the payload. */
  object: Json
  /** The Things Stack: measurements in the units of the device repository's schema. */
  normalized: unknown
  /** Names under which the integrator may have filed the device's profile: profile, model, application, device. */
  profiles: readonly string[]
  settings: Record<string, unknown>
}

interface Leaf {
  /** `decoded.totalVolume` */
  path: string
  name: string
  value: unknown
  unit: string
  tsMs: number | undefined
}

const LEAVES_MAX = 4_000
const DEPTH_MAX = 8
/** A device clock further off than this is not believed: 1970 after a reset, 2106 by an overflow. Meters may report late. */
const CLOCK_AHEAD_MS = DAY_MS
const CLOCK_BEHIND_MS = 400 * DAY_MS

/** Adds what an uplink says to the outcome. */
export function readUplink(out: Outcome, uplink: Uplink): void {
  const found = new Set<Quantity>()
  readNormalized(out, uplink, found)
  const leaves = leavesOf(uplink.object, zoneOf(uplink.settings))
  const tsMs = deviceTime(uplink.object, uplink) ?? uplink.networkMs
  const rules = rulesOf(uplink, leaves)
  const around = surroundingsOf(uplink, leaves)
  const pending: Leaf[] = []
  const measured = found.size
  for (const leaf of leaves) {
    const rule = rules.get(leaf.path) ?? rules.get(leaf.name)
    if (rule === null) continue
    if (readAlarm(out, uplink, leaf, rule, tsMs)) continue
    const meaning = rule?.meaning ?? declared(leaf, around)
    if (meaning === undefined) pending.push(leaf)
    else if (measured === 0 || !found.has(meaning.quantity)) addReading(out, uplink.device, leaf, meaning, leaf.tsMs ?? tsMs)
  }
  for (const leaf of pending) readUndeclared(out, uplink.device, leaf, tsMs, measured > 0)
  dropSideValues(out)
}

/** What a meter tells of itself, beside what it measures. */
const SIDE: ReadonlySet<Quantity> = new Set(['temperature_c', 'battery_v', 'battery_pct', 'rssi_dbm'])

/** A message whose measurement is refused is not accepted for the sake of its battery voltage. */
function dropSideValues(out: Outcome): void {
  const d = out.decoded
  const good = d.readings.filter((r) => !SIDE.has(r.quantity) && inRange(r.quantity, r.value))
  const bad = d.refusals.length > 0 || d.readings.some((r) => !SIDE.has(r.quantity) && !inRange(r.quantity, r.value))
  if (good.length === 0 && bad) d.readings = d.readings.filter((r) => !SIDE.has(r.quantity))
}

function addReading(out: Outcome, device: string, leaf: Leaf, meaning: Meaning, tsMs: number | undefined): void {
  if (leaf.value === null || leaf.value === '' || typeof leaf.value === 'boolean') return
  const n = numberOf(leaf.value)
  const value = n === undefined ? undefined : inOurUnit(meaning, n)
  if (value === undefined) {
    out.refuse('bad_schema', leaf.path, `${leaf.path} is not a number in ${meaning.unit ?? meaning.quantity}`, device, shown(leaf.value))
    return
  }
  const same = out.decoded.readings.some((r) => sameSeries(r, meaning) && r.device === device && r.tsMs === tsMs)
  // Two fields of one quantity: the first is the reading, the second is told apart by its name.
  const channel = meaning.channel ?? (same ? leaf.name.slice(0, 60) : undefined)
  if (
    same &&
    out.decoded.readings.some((r) => sameSeries(r, { ...meaning, ...(channel === undefined ? {} : { channel }) }) && r.tsMs === tsMs)
  )
    return
  out.reading(device, meaning.quantity, value, { tsMs, phase: meaning.phase, tariff: meaning.tariff, channel })
}

function sameSeries(r: { quantity: string; phase?: string; tariff?: number; channel?: string }, m: Meaning): boolean {
  return r.quantity === m.quantity && r.phase === m.phase && r.tariff === m.tariff && r.channel === m.channel
}

/** A name that is a quantity, a unit beside the value, or a unit at the end of the name. */
function declared(leaf: Leaf, around: Surroundings): Meaning | undefined {
  const canonical = canonicalOf(leaf.name)
  if (canonical !== undefined) return canonical
  if (numberOf(leaf.value) === undefined && leaf.unit === '') return undefined
  if (leaf.unit !== '') return meaningOf(leaf.name, leaf.unit, around)
  const inName = unitInName(normal(leaf.name))
  return inName === undefined ? undefined : meaningOf(inName.stem, inName.unit, around)
}

/** Registers without a unit are kept as counts; a pressure that no unit makes possible is refused. */
function readUndeclared(out: Outcome, device: string, leaf: Leaf, tsMs: number | undefined, normalized: boolean): void {
  const value = numberOf(leaf.value)
  if (value === undefined || leaf.unit !== '' || unitInName(normal(leaf.name)) !== undefined) return
  if (isImpossiblePressure(leaf.name, value)) {
    out.refuse('impossible_value', leaf.path, `${value} is below a vacuum in every unit of pipe pressure`, device, String(value))
    return
  }
  const has = out.decoded.readings.some((r) => r.quantity.endsWith('_m3') || r.quantity.endsWith('_kwh'))
  if (normalized || has || !isRawRegister(leaf.name) || value < 0) return
  const others = out.decoded.readings.some((r) => r.quantity === 'register_count' && r.tsMs === (leaf.tsMs ?? tsMs))
  out.reading(device, 'register_count', value, { tsMs: leaf.tsMs ?? tsMs, channel: others ? leaf.name.slice(0, 60) : undefined })
}

function readAlarm(out: Outcome, { device }: Uplink, leaf: Leaf, rule: Rule | undefined, tsMs: number | undefined): boolean {
  if (rule?.alarm !== undefined) {
    const raised = rule.raisedFrom === undefined ? isRaised(leaf.value) : (numberOf(leaf.value) ?? -1) >= rule.raisedFrom
    if (raised) out.alarm(rule.alarm, device, leaf.tsMs ?? tsMs)
    return true
  }
  if (rule !== undefined) return false
  const alarm = alarmOfName(leaf.name)
  if (alarm !== undefined && leaf.unit === '' && (typeof leaf.value !== 'number' || !/state|status|code|mode/i.test(leaf.name))) {
    if (isRaised(leaf.value)) out.alarm(alarm, device, leaf.tsMs ?? tsMs)
    return true
  }
  if (typeof leaf.value !== 'string' || !/alarm|status|state|error|warning|event|flag|alert|cause/i.test(leaf.path)) return false
  if (/previous|history|last/i.test(leaf.path)) return true
  for (const name of alarmsInText(leaf.value)) out.alarm(name, device, leaf.tsMs ?? tsMs)
  return true
}

/** The schema of the device repository (lib/payload.json): litres, degrees Celsius, volts; air pressure is not pipe pressure. */
function readNormalized(out: Outcome, uplink: Uplink, found: Set<Quantity>): void {
  const { device, normalized, networkMs, settings } = uplink
  const list = Array.isArray(normalized) ? normalized : isObject(normalized) ? [normalized] : []
  for (const [i, m] of list.slice(0, 1_000).entries()) {
    if (!isObject(m)) continue
    const time = m.time === undefined || m.time === null ? networkMs : readTime(m.time, zoneOf(settings))
    if (time === 'local' || (m.time !== undefined && m.time !== null && time === undefined)) {
      out.refuse('impossible_time', `normalized_payload[${i}].time`, 'time must be an RFC 3339 time', device, shown(m))
      continue
    }
    const at = (path: string, quantity: Quantity, unit: string, channel?: string): void => {
      const value = path.split('.').reduce<unknown>((v, key) => (isObject(v) ? field(v, key) : undefined), m)
      if (value === undefined || value === null) return
      found.add(quantity)
      const leaf: Leaf = { path: `normalized_payload[${i}].${path}`, name: path, value, unit, tsMs: time }
      addReading(out, device, leaf, channel === undefined ? { quantity, unit } : { quantity, unit, channel }, time)
    }
    at('metering.water.total', 'water_volume_m3', 'L')
    at('water.temperature.current', 'temperature_c', 'C', 'water')
    at('air.temperature', 'temperature_c', 'C', 'air')
    at('battery', 'battery_v', 'V')
    const water = field(m, 'water')
    if (isObject(water) && isRaised(field(water, 'leak'))) out.alarm('leak', device, time)
  }
}

/** Named values of an object, with units and times that stand beside them. Bounded in number and depth. */
function leavesOf(object: Json, timezone: string | undefined): Leaf[] {
  const leaves: Leaf[] = []
  const walk = (o: Json, prefix: string, tsMs: number | undefined, depth: number): void => {
    for (const [key, value] of Object.entries(o)) {
      if (leaves.length >= LEAVES_MAX) return
      const path = `${prefix}${key}`
      const own = unitBeside(o, key)
      if (Array.isArray(value)) walkArray(value, path, key, depth)
      else if (!isObject(value)) leaves.push({ path, name: key, value, unit: own, tsMs })
      else if (Object.hasOwn(value, 'value') && !isObject(value.value)) {
        leaves.push({ path, name: key, value: value.value, unit: unitOfObject(value), tsMs: timeBeside(value, timezone) ?? tsMs })
      } else if (depth < DEPTH_MAX) walk(value, `${path}.`, tsMs, depth + 1)
    }
  }
  const walkArray = (list: unknown[], path: string, key: string, depth: number): void => {
    for (const [i, item] of list.slice(0, 1_000).entries()) {
      if (leaves.length >= LEAVES_MAX) return
      if (typeof item === 'string') leaves.push({ path: `${path}[${i}]`, name: `${key}Text`, value: item, unit: '', tsMs: undefined })
      if (!isObject(item)) continue
      const name = item.variable ?? item.name ?? item.measurement ?? item.displayName
      const tsMs = timeBeside(item, timezone)
      if (typeof name === 'string' && Object.hasOwn(item, 'value')) {
        leaves.push({ path: `${path}[${i}]`, name: name.slice(0, 200), value: item.value, unit: unitOfObject(item), tsMs })
      } else if (tsMs !== undefined && depth < DEPTH_MAX) walk(item, `${path}[${i}].`, tsMs, depth + 1)
    }
  }
  walk(object, '', undefined, 0)
  return withoutRepeats(leaves)
}

/** Codecs that give `samples` repeat them as plain fields: the sample, which has a time, is the one kept. */
function withoutRepeats(leaves: Leaf[]): Leaf[] {
  const timed = new Set(leaves.filter((l) => l.tsMs !== undefined).map((l) => `${l.name}\n${shown(l.value)}`))
  return timed.size === 0 ? leaves : leaves.filter((l) => l.tsMs !== undefined || !timed.has(`${l.name}\n${shown(l.value)}`))
}

function unitOfObject(o: Json): string {
  for (const key of ['unit', 'units', 'uom']) {
    const u = field(o, key)
    if (typeof u === 'string') return u.slice(0, 20)
  }
  return ''
}

/** `volume_unit` or `volumeUnit` beside `volume`. */
function unitBeside(o: Json, key: string): string {
  for (const name of [`${key}_unit`, `${key}Unit`, `${key}_units`, `unit_${key}`]) {
    const u = field(o, name)
    if (typeof u === 'string') return u.slice(0, 20)
  }
  return ''
}

function timeBeside(o: Json, timezone: string | undefined): number | undefined {
  for (const key of ['time', 'timestamp', 'date', 'ts', 'datetime']) {
    const t = readTime(field(o, key), timezone)
    if (typeof t === 'number') return t
  }
  return undefined
}

const DEVICE_TIME = /^(device|meter|measure(ment)?|current|sample|reading)?_?(time_?stamp|date_?time|time|date|ts)(_?(utc|unix|iso|s|ms))?$/

/** The time that the device gave, when its zone is known and its clock can be believed. */
function deviceTime(object: Json, { networkMs, settings }: Uplink): number | undefined {
  for (const [key, raw] of Object.entries(object)) {
    if (!DEVICE_TIME.test(normal(key))) continue
    const value = isObject(raw) ? raw.value : raw
    const t = readTime(value, zoneOf(settings))
    if (typeof t !== 'number') continue
    if (networkMs === undefined || (t <= networkMs + CLOCK_AHEAD_MS && t >= networkMs - CLOCK_BEHIND_MS)) return t
  }
  return undefined
}

function surroundingsOf(uplink: Uplink, leaves: readonly Leaf[]): Surroundings {
  const named = uplink.profiles.map(normal).join(' ')
  const medium = leaves.find((l) => /^(medium|media|meter_?type|fluid|commodity)(\.desc)?$/i.test(l.path))?.value
  const kind = `${named} ${typeof medium === 'string' ? normal(medium) : ''}`
  const electric = leaves.some((l) => {
    const unit = l.unit === '' ? unitInName(normal(l.name))?.unit : l.unit
    const dimension = unit === undefined ? undefined : unitOf(unit)?.dimension
    return (dimension !== undefined && ELECTRIC.has(dimension)) || /(active|reactive)_?(energy|power)/i.test(l.name)
  })
  return { electric, gas: /(^|[_ ])gas([_ ]|$)/.test(kind), heat: /(^|[_ ])(heat|thermal)/.test(kind) }
}

interface Rule {
  meaning?: Meaning
  alarm?: string
  raisedFrom?: number
}

/**
 * Rules by path or name; null for a field to be left out. Settings win over what is known of devices:
 * `{"fields": {"totalVolume": {"quantity": "water_volume_m3", "unit": "L"}}, "profiles": {"EM500-PP": {"pressure": {"quantity": "pressure_bar", "unit": "kPa"}, "leakState": {"alarm": "leak"}, "spare": {"ignore": true}}}}`
 */
function rulesOf(uplink: Uplink, leaves: readonly Leaf[]): Map<string, Rule | null> {
  const rules = new Map<string, Rule | null>()
  const names = new Set(leaves.map((l) => l.name))
  for (const known of KNOWN_DEVICES) {
    if (!uplink.profiles.some((p) => known.profile.test(p)) && !(known.shape?.every((n) => names.has(n)) ?? false)) continue
    for (const leaf of leaves) {
      const rule = known.field(leaf.name)
      if (rule !== undefined) rules.set(leaf.path, toRule(rule))
    }
  }
  const { fields, profiles } = uplink.settings
  const maps = [fields]
  if (isObject(profiles)) {
    for (const [name, map] of Object.entries(profiles)) {
      if (uplink.profiles.some((p) => p.toLowerCase() === name.toLowerCase())) maps.push(map)
    }
  }
  for (const map of maps)
    if (isObject(map)) for (const [name, rule] of Object.entries(map)) if (isObject(rule)) setRule(rules, leaves, name, rule)
  return rules
}

function setRule(rules: Map<string, Rule | null>, leaves: readonly Leaf[], name: string, rule: Json): void {
  const { quantity, unit, phase, tariff, channel, alarm, ignore, raisedFrom } = rule
  const made: DeviceRule = {}
  if (ignore === true) made.ignore = true
  if (typeof quantity === 'string' && isQuantity(quantity)) made.quantity = quantity
  if (typeof unit === 'string') made.unit = unit
  if (phase === 'L1' || phase === 'L2' || phase === 'L3') made.phase = phase satisfies Phase
  if (tariff === 1 || tariff === 2 || tariff === 3 || tariff === 4) made.tariff = tariff
  if (typeof channel === 'string' && channel.length <= 60) made.channel = channel
  if (typeof alarm === 'string' && alarm.length <= 60) made.alarm = alarm
  if (typeof raisedFrom === 'number') made.raisedFrom = raisedFrom
  for (const leaf of leaves) if (leaf.path === name || leaf.name === name) rules.set(leaf.path, toRule(made))
}

function toRule(rule: DeviceRule): Rule | null {
  if (rule.ignore === true || (rule.quantity === undefined && rule.alarm === undefined)) return null
  if (rule.alarm !== undefined)
    return rule.raisedFrom === undefined ? { alarm: rule.alarm } : { alarm: rule.alarm, raisedFrom: rule.raisedFrom }
  const { quantity, unit, phase, tariff, channel, negative } = rule
  const meaning: Meaning = { quantity: quantity as Quantity }
  if (unit !== undefined) meaning.unit = unit
  if (phase !== undefined) meaning.phase = phase
  if (tariff !== undefined) meaning.tariff = tariff
  if (channel !== undefined) meaning.channel = channel
  if (negative !== undefined) meaning.negative = negative
  return { meaning }
}

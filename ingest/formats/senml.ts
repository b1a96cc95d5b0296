// SenML packs (RFC 8428; secondary units RFC 8798), JSON or CBOR.
// Topic: none is standard; senml/... here, elsewhere the payload's first record tells.
// Payload: a list of records; base fields (bn, bt, bu, bv, bs) hold until the next.
// Identity: the base name without its closing separator; without one, the full name up to its last separator (a name that ends in an id is all device).
// Time: bt + t, epoch s with fraction; below 2^28 it is relative to now, and 0 is now: then there is no time in the message.
// Units: `u` or `bu`, from the registry (others are converted when known). `s` is the value's integral over seconds: of W it is an energy, of m3/s a volume.
// Pitfalls: "C" is coulomb, "Cel" degrees; hPa is weather; a version above 10 or an unknown label ending in "_" forbids reading the pack; a record without unit is
// a raw count when its name says so, else left out; V and A without any power beside them are taken as mains only when their names say voltage and current.
import { alarmOfName, isRaised, normal } from '../alarms.ts'
import { idOf, Outcome, passed, refused, tidy, unitOf } from '../decoding.ts'
import { canonicalOf, ELECTRIC, inOurUnit, isRawRegister, meaningOf, type Surroundings } from '../fields.ts'
import type { Decoded, GatewayFormat } from '../format.ts'
import { readPack, type SenmlRecord } from '../senml-pack.ts'

/** Registered units that our table reads as something else, or that measure nothing of ours. */
const OTHER_UNITS = new Set([
  'C',
  'T',
  'H',
  'F',
  'S',
  'g',
  'm/s',
  'K',
  'N',
  'J/m',
  'VA',
  'VAs',
  'var',
  'vars',
  'kVA',
  'kvar',
  'Ah',
  'hPa',
  'mm',
  'cm',
  'm',
])

export const senml: GatewayFormat = {
  name: 'senml',
  topics: ['senml/#'],
  matches: (topic, payload) =>
    topic.startsWith('senml/') || /^\s*\[\s*\{\s*"(bn|bt|bu|bver)"\s*:/.test(payload.subarray(0, 120).toString('latin1')),
  gatewayOf: () => '',
  decode(payload, context): Decoded {
    const pack = readPack(payload, context.receivedAtMs)
    if ('problem' in pack) return refused(pack.malformed ? 'malformed' : 'bad_schema', pack.problem, payload)
    if (context.retained) return passed('duplicate', 'retained_duplicate')
    const out = new Outcome()
    const around = surroundingsOf(pack.records)
    let undeclared = false
    for (const r of pack.records) if (!add(out, r, around)) undeclared = true
    for (const p of pack.problems)
      out.refuse(p.field === 't' || p.field === 'bt' ? 'impossible_time' : 'bad_schema', `[${p.index}].${p.field}`, p.message, '', '')
    if (pack.records.length === 0 && pack.problems.length === 0) return passed('ignore', 'empty')
    return out.done('accept_other', undeclared ? 'unit_not_declared' : 'no_core_reading')
  },
}

/** Device and measured name. `urn:dev:ow:10e2073a01080063:` + `voltage`. */
export function splitName(base: string, name: string): { device: string | undefined; measured: string } {
  if (base !== '' && name !== '') return { device: idOf(base.replace(/[:/\-._;]+$/, '')) ?? idOf(base), measured: name }
  const full = base + name
  const at = Math.max(full.lastIndexOf('/'), full.lastIndexOf(':'), full.lastIndexOf(';'))
  const tail = full.slice(at + 1)
  // A name that ends in an id (digits, hexadecimal) has no measured part.
  if (at <= 0 || tail === '' || /^[0-9a-f]{4,}$/i.test(tail) || /^\d+$/.test(tail))
    return { device: idOf(full.replace(/[:/;]+$/, '')), measured: '' }
  return { device: idOf(full.slice(0, at)), measured: tail }
}

function surroundingsOf(records: readonly SenmlRecord[]): Surroundings {
  const electric = records.some((r) => {
    const dimension = OTHER_UNITS.has(r.unit) ? undefined : unitOf(r.unit)?.dimension
    return (dimension !== undefined && (ELECTRIC.has(dimension) || dimension === 'energy')) || /^(VA|var|kVA|kvar)$/.test(r.unit)
  })
  const heat = records.some((r) => /(^|_)(heat|thermal)/.test(normal(r.base + r.name)))
  return { electric, heat, gas: false }
}

/** False when a number was left out for want of a unit. */
function add(out: Outcome, r: SenmlRecord, around: Surroundings): boolean {
  const { device, measured } = splitName(r.base, r.name)
  const path = `[${r.index}]`
  if (device === undefined) {
    out.refuse('bad_schema', `${path}.n`, 'the name gives no usable device', '', (r.base + r.name).slice(0, 200))
    return true
  }
  const alarm = alarmOfName(measured)
  if (alarm !== undefined) {
    if (isRaised(r.bool ?? r.text ?? r.value)) out.alarm(alarm, device, r.tsMs)
    return true
  }
  if (r.sum !== undefined) sum(out, device, r, measured)
  if (r.value === undefined) return true
  const canonical = canonicalOf(measured)
  if (canonical !== undefined && (r.unit === '' || unitOf(r.unit) !== undefined)) {
    const value = inOurUnit(r.unit === '' ? canonical : { ...canonical, unit: r.unit }, r.value)
    if (value === undefined) out.refuse('bad_schema', `${path}.u`, `${r.unit} is no unit of ${canonical.quantity}`, device, r.unit)
    else out.reading(device, canonical.quantity, value, { ...canonical, tsMs: r.tsMs })
    return true
  }
  if (r.unit === '') {
    if (!isRawRegister(measured) || r.value < 0) return false
    out.reading(device, 'register_count', r.value, { tsMs: r.tsMs, channel: measured.slice(0, 60) })
    return true
  }
  if (r.unit === 'count') {
    if (isRawRegister(measured)) out.reading(device, 'register_count', r.value, { tsMs: r.tsMs, channel: measured.slice(0, 60) })
    return true
  }
  if (OTHER_UNITS.has(r.unit)) return true
  const named = /volt|current|amp|mains|line/i.test(measured)
  const meaning = meaningOf(measured === '' ? device : measured, r.unit, named ? { ...around, electric: true } : around)
  const value = meaning === undefined ? undefined : inOurUnit(meaning, r.value)
  if (meaning !== undefined && value !== undefined)
    out.reading(device, meaning.quantity, value, { tsMs: r.tsMs, phase: meaning.phase, tariff: meaning.tariff, channel: meaning.channel })
  return true
}

/** Integrals over seconds. */
function sum(out: Outcome, device: string, r: SenmlRecord, measured: string): void {
  const s = r.sum as number
  if (r.unit === 'W' || r.unit === 'kW')
    out.reading(
      device,
      /export|generat|produc/i.test(measured) ? 'active_energy_export_kwh' : 'active_energy_import_kwh',
      tidy(s / (r.unit === 'W' ? 3.6e6 : 3600)),
      {
        tsMs: r.tsMs,
      },
    )
  else if (r.unit === 'm3/s' || r.unit === 'l/s')
    out.reading(device, 'water_volume_m3', r.unit === 'l/s' ? tidy(s / 1000) : s, { tsMs: r.tsMs })
}

// LwM2M objects behind a bridge to MQTT: SenML JSON or CBOR, or the JSON of LwM2M 1.0 ({"bn","e":[...]}). OMA LwM2M core and registry.
// Topic: none is standard; lwm2m/ENDPOINT/... here. register, update, deregister and bootstrap are sessions.
// Payload: records whose full name is a path /OBJECT/INSTANCE/RESOURCE.
// Identity: the endpoint of the topic, else what stands before the path in the base name. Instances above 0 are channels.
// Time: bt + t of the record, else resource 5518 (with 6050 as its fraction) of the same instance, else none.
// Units: of the resource by the registry (ingest/lwm2m-objects.ts); of IPSO sensors by resource 5701 or the record's `u`. One that is nowhere declared is left out,
// save a counter, which is a raw count.
// Pitfalls: quality 6042 of 1 or 2 means rejected; flow extremes (3424/7, /8) are no flow; SenML's `u` goes before the registry's unit.
import { convert, idOf, Outcome, passed, refused, tidy } from '../decoding.ts'
import type { Decoded, GatewayFormat } from '../format.ts'
import { ALARM_RESOURCES, RESOURCES, type Resource } from '../lwm2m-objects.ts'
import { readPack, type SenmlRecord } from '../senml-pack.ts'

const TOPIC = /^lwm2m\/([^/]+)(?:\/(.+))?$/
const PATH = /^(.*?)\/?(\d{1,5})\/(\d{1,5})\/(\d{1,5})(?:\/\d{1,5})?$/
const TIME = 5518
const FRACTION = 6050
const UNIT = 5701
const QUALITY = 6042

export const lwm2m: GatewayFormat = {
  name: 'lwm2m',
  topics: ['lwm2m/#'],
  matches: (topic, payload) =>
    topic.startsWith('lwm2m/') || /^\s*[[{]\s*\{?\s*"bn"\s*:\s*"\/\d+\/\d/.test(payload.subarray(0, 120).toString('latin1')),
  gatewayOf: (topic) => TOPIC.exec(topic)?.[1] ?? '',
  decode(payload, context): Decoded {
    const [, endpoint, kind = ''] = TOPIC.exec(context.topic) ?? []
    if (/^(register|registration|update|deregister|bootstrap|bs)(\/|$)/.test(kind)) return passed('session', 'registration')
    if (/^(command|cmd|execute|write)(\/|$)/.test(kind)) return passed('ignore', 'command')
    const pack = readPack(payload, context.receivedAtMs)
    if ('problem' in pack) return refused(pack.malformed ? 'malformed' : 'bad_schema', pack.problem, payload)
    if (context.retained) return passed('duplicate', 'retained_duplicate')
    const out = new Outcome()
    const reader = new Reader(out)
    for (const r of pack.records) reader.take(r, endpoint)
    reader.read()
    for (const p of pack.problems) out.refuse('bad_schema', `[${p.index}].${p.field}`, p.message, endpoint ?? '', '')
    if (pack.records.length === 0 && pack.problems.length === 0) return passed('ignore', 'empty')
    return out.done('accept_other', reader.undeclared ? 'unit_not_declared' : 'no_core_reading')
  },
}

interface Instance {
  device: string
  object: number
  instance: number
  /** Records by resource; several when the pack has several times. */
  records: Map<number, SenmlRecord[]>
}

class Reader {
  readonly out: Outcome
  readonly instances = new Map<string, Instance>()
  undeclared = false

  constructor(out: Outcome) {
    this.out = out
  }

  take(r: SenmlRecord, endpoint: string | undefined): void {
    const m = PATH.exec(r.base + r.name)
    const device = idOf(endpoint) ?? idOf(m?.[1]?.replace(/[/:]+$/, ''))
    if (m === null || device === undefined) {
      this.out.refuse(
        'bad_schema',
        `[${r.index}].n`,
        'the name is no path of object, instance and resource',
        device ?? '',
        (r.base + r.name).slice(0, 200),
      )
      return
    }
    const [object, instance, resource] = [Number(m[2]), Number(m[3]), Number(m[4])]
    const key = `${device}\n${object}/${instance}`
    let found = this.instances.get(key)
    if (found === undefined) {
      found = { device, object, instance, records: new Map() }
      this.instances.set(key, found)
    }
    const list = found.records.get(resource)
    if (list === undefined) found.records.set(resource, [r])
    else list.push(r)
  }

  read(): void {
    for (const instance of this.instances.values()) this.instance(instance)
  }

  instance(at: Instance): void {
    const { device, object, records } = at
    const quality = records.get(QUALITY)?.[0]?.value
    if (quality === 1 || quality === 2) {
      this.out.refuse(
        'impossible_value',
        `/${object}/${at.instance}`,
        'the sensor itself rejects its measurement (6042)',
        device,
        String(quality),
      )
      return
    }
    const ownMs = timeOf(records)
    for (const [resource, list] of records) {
      const alarm = ALARM_RESOURCES[object]?.[resource]
      if (alarm !== undefined && list.some((r) => r.bool === true || r.value === 1)) this.out.alarm(alarm, device, list[0]?.tsMs ?? ownMs)
      const meaning = RESOURCES[object]?.[resource]
      if (meaning === undefined || (meaning.unless !== undefined && records.has(meaning.unless))) continue
      for (const r of list) this.value(at, resource, meaning, r, ownMs)
    }
  }

  value(at: Instance, resource: number, meaning: Resource, r: SenmlRecord, ownMs: number | undefined): void {
    const { device, object, instance, records } = at
    const path = `/${object}/${instance}/${resource}`
    if (r.value === undefined) {
      this.out.refuse('bad_schema', path, `${path} is not a number`, device, r.text ?? String(r.bool ?? ''))
      return
    }
    const minus = meaning.minus === undefined ? undefined : records.get(meaning.minus)?.find((o) => o.tsMs === r.tsMs)?.value
    const unit = r.unit !== '' ? r.unit : (meaning.unit ?? records.get(UNIT)?.[0]?.text ?? '')
    const n = minus === undefined ? r.value : tidy(r.value - Math.abs(minus))
    const channel = instance > 0 ? `${object}/${instance}` : undefined
    const series = { tsMs: r.tsMs ?? ownMs, phase: meaning.phase, channel }
    if (meaning.quantity === 'register_count') this.out.reading(device, 'register_count', n, { ...series, channel: channel ?? 'pulses' })
    else if (unit === '') {
      if (meaning.quantity === 'active_energy_import_kwh')
        this.out.reading(device, 'register_count', n, { ...series, channel: channel ?? String(object) })
      else this.undeclared = true
    } else {
      const value = convert(n, unit === 'W*h' || unit === 'ucum:W*h' ? 'Wh' : unit.replace(/^ucum:/, ''), meaning.quantity)
      if (value === undefined)
        this.out.refuse('bad_schema', path, `${unit.slice(0, 40)} is no unit of ${meaning.quantity}`, device, String(n))
      else this.out.reading(device, meaning.quantity, value, series)
    }
  }
}

/** When the measurement was made, by the object itself. */
function timeOf(records: Instance['records']): number | undefined {
  const seconds = records.get(TIME)?.[0]?.value
  if (seconds === undefined || seconds < 1e9 || seconds > 1e11) return undefined
  return Math.round((seconds + (records.get(FRACTION)?.[0]?.value ?? 0)) * 1000)
}

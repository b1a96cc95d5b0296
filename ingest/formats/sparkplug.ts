// Eclipse Sparkplug B (specification 3.0; tahu, sparkplug_b.proto).
// Topic: spBv1.0/GROUP/{NBIRTH,NDATA,NDEATH,DBIRTH,DDATA,DDEATH,NCMD,DCMD}/NODE[/DEVICE]; spBv1.0/STATE/HOST (JSON) or STATE/HOST (text).
// Payload: protobuf. Births give each metric's name, type, unit and alias with its present value; DATA has aliases only, so births are
// kept: per node, forgotten with its next NBIRTH. DATA whose alias is not known is quarantined: the node must be asked for a rebirth.
// Identity: the device of the topic, or the node where it reports for itself. The gateway is the node. Node ids are unique within a
// group; where two groups use one id, the settings' sources tell their gateways apart.
// Time: of the metric, else of the payload, epoch ms. `is_historical` marks stored values: they are readings of their own time.
// Units: property `engUnit` of the birth; else as the name ends; else the settings' map {"metrics": {"Tank/Level": {"quantity":
// "level_m", "unit": "cm"}}}. Registers without unit are raw counts.
// Pitfalls: seq runs to 255 and begins again with each birth, so it is no message counter for the ledger; an NDEATH whose bdSeq is not that
// of the last birth belongs to an old session; signed types lie in unsigned fields; is_null is no zero; quality 0 (bad) and 500 (stale).
import type { Phase } from '#model/quantity.ts'
import { isQuantity } from '#model/quantity.ts'
import { alarmOfName, alarmsInText, isRaised, normal } from '../alarms.ts'
import { field, idOf, isObject, Outcome, passed, refused, unitOf } from '../decoding.ts'
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
} from '../fields.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { WireError } from '../protobuf.ts'
import { decodeSparkplug, metricValue, type SparkplugMetric, type SparkplugPayload } from '../sparkplug-payload.ts'

const NAMESPACE = 'spBv1.0'
const TOPIC = /^spBv1\.0\/([^/]+)\/([ND])(BIRTH|DATA|DEATH|CMD)\/([^/]+)(?:\/(.+))?$/
const NODES_MAX = 5_000
const DEFINITIONS_MAX = 500_000
/** Metrics of the node itself that control or describe it. */
const CONTROL = /^(bdSeq$|(Node|Device) (Control|Info)\/|Properties\/|Node Properties\/|_types_\/)/

interface Definition {
  name: string
  datatype: number
  unit: string
}

interface Node {
  /** Of the last NBIRTH; undefined when that was not seen. */
  bdSeq: string | undefined
  /** Device ('' for the node itself) -> alias or name -> what the birth said of it. */
  births: Map<string, Map<string, Definition>>
}

interface Address {
  key: string
  node: string
  device: string
}

export const sparkplug: GatewayFormat = {
  name: 'sparkplug',
  topics: [`${NAMESPACE}/#`, 'STATE/+'],
  matches: (topic) => topic.startsWith(`${NAMESPACE}/`) || /^STATE\/[^/]+$/.test(topic),
  gatewayOf: (topic) => TOPIC.exec(topic)?.[4] ?? '',
  decode(payload, context): Decoded {
    if (/^(spBv1\.0\/)?STATE\/[^/]+$/.test(context.topic)) return passed('status', 'host_state')
    const m = TOPIC.exec(context.topic)
    if (m === null) return refused('unknown_format', 'the topic is not one of Sparkplug B', payload)
    const [, group, kind, verb, node = '', device] = m
    if (verb === 'CMD') return passed('ignore', 'command')
    if ((kind === 'D') !== (device !== undefined))
      return refused('bad_schema', `${kind}${verb} ${kind === 'D' ? 'needs a' : 'has no'} device in its topic`, payload)
    const at: Address = { key: `${group}/${node}`, node, device: device ?? '' }
    let message: SparkplugPayload
    try {
      message = decodeSparkplug(payload)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      return refused(
        /more than|at most/.test(error.message) ? 'too_large' : 'malformed',
        `not a Sparkplug B payload: ${error.message}`,
        payload,
      )
    }
    if (verb === 'DEATH') return death(at, message, context)
    if (verb === 'BIRTH') {
      const decoded = birth(at, message, payload, context)
      return context.retained ? { ...passed('duplicate', 'retained_duplicate'), learned: decoded.learned as string } : decoded
    }
    return context.retained ? passed('duplicate', 'retained_duplicate') : data(at, message, payload, context, false)
  },
}

function death(at: Address, message: SparkplugPayload, context: MessageContext): Decoded {
  // Births are kept beyond a death: what comes next is a birth, and until then aliases mean what they meant.
  const node = nodes(context).get(at.key)
  if (at.device !== '') return passed('session', 'device_death')
  const bdSeq = bdSeqOf(message)
  if (node?.bdSeq !== undefined && bdSeq !== undefined && bdSeq !== node.bdSeq) return passed('ignore_stale', 'death_of_old_session')
  return { ...passed('session', 'node_death'), flags: ['gateway_offline'], gatewayOnline: false }
}

function birth(at: Address, message: SparkplugPayload, payload: Buffer, context: MessageContext): Decoded {
  const known = nodes(context)
  let node = known.get(at.key)
  // A node's birth ends the session of its devices too: their aliases may mean something else now.
  if (at.device === '' || node === undefined) node = { bdSeq: at.device === '' ? bdSeqOf(message) : undefined, births: new Map() }
  known.delete(at.key)
  known.set(at.key, node)
  const definitions = new Map<string, Definition>()
  const learn = (m: SparkplugMetric): void => {
    if (m.name === undefined) return
    const definition = { name: m.name.slice(0, 300), datatype: m.datatype, unit: unitOfMetric(m) }
    definitions.set(nameKey(m.name), definition)
    if (m.alias !== undefined) definitions.set(aliasKey(m.alias), definition)
    for (const member of m.members ?? []) learn({ ...member, name: `${m.name}/${member.name ?? ''}` })
  }
  for (const m of message.metrics) learn(m)
  node.births.set(at.device, definitions)
  bound(known)
  const decoded = data(at, message, payload, context, true)
  if (at.device === '') decoded.gatewayOnline = true
  decoded.learned = `${at.key}/${at.device}`
  return decoded
}

/** Births are forgotten from the node that was born longest ago. */
function bound(known: Map<string, Node>): void {
  const sizeOf = (n: Node): number => [...n.births.values()].reduce((sum, b) => sum + b.size + 1, 0)
  let total = 0
  if (known.size <= NODES_MAX) {
    for (const n of known.values()) total += sizeOf(n)
    if (total <= DEFINITIONS_MAX) return
  }
  for (const [key, n] of known) {
    if (known.size <= NODES_MAX && total <= DEFINITIONS_MAX) return
    total -= sizeOf(n)
    known.delete(key)
  }
}

function nodes(context: MessageContext): Map<string, Node> {
  let known = context.state.get('nodes') as Map<string, Node> | undefined
  if (known === undefined) {
    known = new Map()
    context.state.set('nodes', known)
  }
  return known
}

function bdSeqOf(message: SparkplugPayload): string | undefined {
  const m = message.metrics.find((x) => x.name === 'bdSeq')
  const value = m?.raw === undefined ? undefined : metricValue(m.raw, m.datatype)
  return value === undefined ? undefined : String(value)
}

const aliasKey = (alias: string): string => `#${alias}`
const nameKey = (name: string): string => `=${name.slice(0, 300)}`

const UNIT_KEYS: ReadonlySet<string> = new Set(['engunit', 'engunits', 'engineeringunit', 'engineeringunits', 'unit', 'units', 'uom'])

function unitOfMetric(m: SparkplugMetric): string {
  for (const [key, value] of m.properties) {
    if (typeof value === 'string' && UNIT_KEYS.has(key.toLowerCase().replace(/[^a-z]/g, ''))) return value.slice(0, 20)
  }
  return ''
}

/** A metric with what its birth said, and its place in the message. */
interface Resolved {
  name: string
  unit: string
  value: number | string | boolean | undefined
  metric: SparkplugMetric
  tsMs: number | undefined
  path: string
}

function data(at: Address, message: SparkplugPayload, payload: Buffer, context: MessageContext, isBirth: boolean): Decoded {
  const out = new Outcome()
  const device = idOf(at.device === '' ? at.node : at.device)
  if (device === undefined) return refused('bad_schema', 'the topic has no usable device id', payload)
  const node = nodes(context).get(at.key)
  const births = [node?.births.get(at.device), node?.births.get('')].filter((b) => b !== undefined)
  const resolved: Resolved[] = []
  let unknown = 0
  const resolve = (m: SparkplugMetric, prefix: string, path: string): void => {
    const key = m.name !== undefined ? nameKey(prefix + m.name) : m.alias !== undefined ? aliasKey(m.alias) : ''
    const definition = births.find((b) => b.has(key))?.get(key)
    const name = m.name !== undefined ? prefix + m.name : definition?.name
    if (name === undefined) {
      unknown++
      out.refuse('bad_schema', path, `alias ${m.alias ?? '(none)'} is in no birth seen: ask the node for a rebirth`, device, shown(m))
      return
    }
    if (m.members !== undefined) {
      for (const [i, member] of m.members.entries()) resolve(member, `${name}/`, `${path}.metrics[${i}]`)
      return
    }
    const value =
      m.raw === undefined || m.isNull ? undefined : metricValue(m.raw, m.datatype === 0 ? (definition?.datatype ?? 0) : m.datatype)
    const unit = unitOfMetric(m)
    resolved.push({
      name,
      unit: unit === '' ? (definition?.unit ?? '') : unit,
      value,
      metric: m,
      tsMs: m.tsMs ?? message.tsMs,
      path,
    })
  }
  for (const [i, m] of message.metrics.entries()) resolve(m, '', `metrics[${i}]`)
  const rules = rulesOf(context.settings)
  const around = surroundingsOf(resolved, births)
  for (const r of resolved) if (!CONTROL.test(r.name)) read(out, device, r, rules, around)
  if (isBirth) return out.done('session', at.device === '' ? 'node_birth' : 'device_birth')
  return out.done(
    unknown === 0 && message.metrics.length === 0 ? 'ignore' : 'accept_other',
    message.metrics.length === 0 ? 'empty' : 'no_core_reading',
  )
}

const QUALITY_BAD = 0
const QUALITY_STALE = 500

function read(out: Outcome, device: string, r: Resolved, rules: ReadonlyMap<string, Meaning>, around: Surroundings): void {
  const { name, unit, value, metric, tsMs, path } = r
  if (value === undefined || value === '') return
  const last = name.slice(name.lastIndexOf('/') + 1)
  const quality = metric.properties.get('Quality') ?? metric.properties.get('quality')
  const untrue = quality === QUALITY_BAD || quality === QUALITY_STALE
  const alarm = unit === '' ? (alarmOfName(last) ?? alarmOfName(name)) : undefined
  if (alarm !== undefined && (typeof value !== 'number' || Number.isInteger(value))) {
    if (!untrue && isRaised(value)) out.alarm(alarm, device, tsMs)
    return
  }
  if (typeof value === 'string') {
    if (!untrue && /alarm|status|state|error|warning|event/i.test(last)) for (const a of alarmsInText(value)) out.alarm(a, device, tsMs)
    return
  }
  const meaning = rules.get(name) ?? meaningOfName(name, last, unit, around)
  if (meaning === undefined) return
  if (untrue) {
    out.refuse(
      'impossible_value',
      path,
      `${name} has quality ${String(quality)}: the node itself does not vouch for it`,
      device,
      shown(metric),
    )
    return
  }
  const number = typeof value === 'boolean' ? (meaning.quantity === 'pump_running' ? Number(value) : Number.NaN) : value
  const converted = Number.isFinite(number) ? inOurUnit(meaning, number) : undefined
  if (converted === undefined) {
    out.refuse('impossible_value', path, `${name} is not a number in ${meaning.unit ?? meaning.quantity}`, device, shown(metric))
    return
  }
  const flags = metric.historical ? ['historical'] : undefined
  out.reading(device, meaning.quantity, converted, { tsMs, phase: meaning.phase, tariff: meaning.tariff, channel: meaning.channel, flags })
}

/** A quantity's own name, a declared unit, a unit at the end of the name, or a register without one. */
function meaningOfName(name: string, last: string, unit: string, around: Surroundings): Meaning | undefined {
  const canonical = canonicalOf(last)
  if (canonical !== undefined) return unit === '' ? canonical : { ...canonical, unit }
  if (unit !== '') return meaningOf(name, unit, around)
  const ending = unitInName(normal(name))
  if (ending !== undefined) return meaningOf(ending.stem, ending.unit, around)
  if (isImpossiblePressure(name, 0) || !isRawRegister(name)) return undefined
  return { quantity: 'register_count', channel: name.slice(0, 60) }
}

function surroundingsOf(resolved: readonly Resolved[], births: readonly ReadonlyMap<string, Definition>[]): Surroundings {
  const named: { name: string; unit: string }[] = [...resolved, ...births.flatMap((b) => [...b.values()])]
  const electric = named.some(({ name, unit }) => {
    const u = unit === '' ? (unitInName(normal(name))?.unit ?? '') : unit
    const dimension = unitOf(u)?.dimension
    return dimension !== undefined && ELECTRIC.has(dimension)
  })
  const word = (w: RegExp): boolean => named.some(({ name }) => w.test(normal(name)))
  return { electric, gas: false, heat: word(/(^|_)heat_?meter(_|$)/) }
}

function rulesOf(settings: Record<string, unknown>): Map<string, Meaning> {
  const rules = new Map<string, Meaning>()
  if (!isObject(settings.metrics)) return rules
  for (const [name, rule] of Object.entries(settings.metrics)) {
    if (!isObject(rule)) continue
    const quantity = field(rule, 'quantity')
    if (typeof quantity !== 'string' || !isQuantity(quantity)) continue
    const { unit, phase, tariff, channel } = rule
    rules.set(name, {
      quantity,
      ...(typeof unit === 'string' ? { unit } : {}),
      ...(phase === 'L1' || phase === 'L2' || phase === 'L3' ? { phase: phase satisfies Phase } : {}),
      ...(typeof tariff === 'number' ? { tariff } : {}),
      ...(typeof channel === 'string' ? { channel } : {}),
    })
  }
  return rules
}

/** A metric as text, for the quarantine. */
function shown(m: SparkplugMetric): string {
  const value = m.raw === undefined ? null : metricValue(m.raw, m.datatype)
  return JSON.stringify({ name: m.name, alias: m.alias, timestamp: m.tsMs, value: typeof value === 'number' ? String(value) : value })
}

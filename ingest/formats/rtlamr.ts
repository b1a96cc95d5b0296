// rtlamr (github.com/bemasher/rtlamr): ERT meters of North America heard by radio, one JSON object a packet, piped to MQTT by the operator.
// Topic: the operator's; usual are rtlamr/ID/raw and rtlamr/raw. A message may hold several lines.
// Payload: {"Time","Offset","Length","Type": SCM | SCM+ | IDM | NetIDM | R900 | R900BCD, "Message": {...}}; older versions lack Type.
// Identity: Message.ID, EndpointID or ERTSerialNumber. Broadcast radio: the meter is the identity, there is no gateway in the message.
// Time: `Time`, the receiver's clock, RFC 3339 with zone and up to nine digits of fraction.
// Units: none. A count is whatever the meter's dial shows (10 Wh, kWh, 0.1 gal, cubic feet ...): register_count, whose multiplier the registry has.
// Pitfalls: the differential intervals of an IDM are repeated in each packet and are never summed here; a wrong count with a good checksum comes (issue 92),
// for validation to hold; an IDM with a wrong fixed header is damaged and held at once; NetIDM is the same packet read another way, so its counts
// have channels of their own; SCM+ tamper bits have no published meaning: a flag only.
import { field, idOf, isObject, type Json, numberOf, Outcome, parseJson, passed, refused, shown, textOf } from '../decoding.ts'
import { hasBits, isDamagedIdm, neptuneAlarms, raise, scmAlarms } from '../ert.ts'
import type { Decoded, GatewayFormat, MessageContext } from '../format.ts'
import { envelopeTime } from '../local-time.ts'

const TOPIC = /^rtlamr(?:\/([^/]+))?(?:\/(raw|json|packet))?$/
const START = /^\s*\{\s*"Time"\s*:\s*"[^"]{0,60}"\s*,\s*"Offset"/
const LINES_MAX = 1_000

export const rtlamr: GatewayFormat = {
  name: 'rtlamr',
  broadcast: true,
  topics: ['rtlamr/#', 'rtlamr'],
  matches: (topic, payload) =>
    /^rtlamr\/([^/]+\/)?(raw|json|packet)$/.test(topic) || START.test(payload.subarray(0, 200).toString('latin1')),
  gatewayOf: () => '',
  decode(payload, context): Decoded {
    const out = new Outcome()
    const parsed = parseJson(payload)
    if ('value' in parsed) return packet(out, parsed.value, payload, context) ?? finish(out)
    const lines = (textOf(payload) ?? '').split('\n').filter((l) => l.trim() !== '')
    if (lines.length < 2) return lines.length === 0 ? passed('ignore', 'empty') : refused('malformed', parsed.problem, payload)
    return several(out, lines, context)
  },
}

/** Lines of JSON; a bad one does not harm the others. */
function several(out: Outcome, lines: readonly string[], context: MessageContext): Decoded {
  for (const [i, line] of lines.slice(0, LINES_MAX).entries()) {
    const bytes = Buffer.from(line)
    const parsed = parseJson(bytes)
    const bad = 'problem' in parsed ? refused('malformed', parsed.problem, bytes) : packet(out, parsed.value, bytes, context)
    for (const r of bad?.refusals ?? []) out.refuse(r.reason, `[${i}]${r.field === '' ? '' : `.${r.field}`}`, r.message, r.device, line)
  }
  if (lines.length > LINES_MAX) out.refuse('too_large', '', `more than ${LINES_MAX} lines in one message`, '', '')
  return finish(out)
}

function finish(out: Outcome): Decoded {
  const doubtful = out.decoded.reason
  const decoded = out.done()
  if (doubtful !== '' && decoded.disposition === 'accept') decoded.disposition = 'accept_flagged'
  if (decoded.disposition === 'accept_flagged') decoded.reason = doubtful
  return decoded
}

/** Adds a packet to the outcome; a refusal of the whole packet otherwise. */
function packet(out: Outcome, value: unknown, payload: Buffer, context: MessageContext): Decoded | undefined {
  if (!isObject(value)) return refused('bad_schema', 'a packet must be an object', payload)
  const message = field(value, 'Message')
  if (!isObject(message)) return refused('bad_schema', 'Message must be an object', payload, 'Message')
  const device = idOf(field(message, 'EndpointID') ?? field(message, 'ERTSerialNumber') ?? field(message, 'ID'))
  if (device === undefined || /^0+$/.test(device)) return refused('bad_schema', 'the packet has no meter id', payload, 'Message')
  const named = TOPIC.exec(context.topic)?.[1]
  if (named !== undefined && /^\d+$/.test(named) && BigInt(named.slice(0, 20)) !== asBigInt(device))
    return refused('wrong_gateway', `meter ${device} came on the topic of ${named}`, payload, 'Message')
  if (context.retained) return passed('duplicate', 'retained_duplicate')
  const tsMs = envelopeTime(field(value, 'Time'))
  if (tsMs === null) return refused('impossible_time', `Time ${shown(field(value, 'Time'), 40)} is not a time with a zone`, payload, 'Time')
  const kind = kindOf(value, message)
  const count = field(message, 'Consumption') ?? field(message, 'LastConsumptionCount') ?? field(message, 'LastConsumption')
  const net = kind === 'NetIDM'
  add(out, device, count, 'Message.Consumption', { tsMs, channel: net ? 'net' : undefined })
  const generated = field(message, 'LastGeneration') ?? field(message, 'LastGenerationCount')
  if (net && generated !== undefined && generated !== null)
    add(out, device, generated, 'Message.LastGeneration', { tsMs, channel: 'net_generation' })
  const type = field(message, 'PacketTypeID') ?? field(message, 'ProtocolID')
  if ((kind === 'IDM' || net) && isDamagedIdm(type, field(message, 'PacketLength'))) out.decoded.reason = 'damaged_packet'
  // Other packets of the same meter carry no flags: their silence clears nothing.
  if (kind === 'SCM' || kind.startsWith('R900'))
    raise(out, alarmsOf(kind, message), { device, tsMs, nowMs: context.receivedAtMs, state: context.state })
  if (kind === 'SCM+' && (numberOf(field(message, 'Tamper')) ?? 0) > 0) out.flag('tamper')
  if (kind === 'IDM' && hasBits(field(message, 'PowerOutageFlags'))) out.flag('power_outage_history')
  return undefined
}

function add(
  out: Outcome,
  device: string,
  v: unknown,
  path: string,
  series: { tsMs: number | undefined; channel: string | undefined },
): void {
  const n = numberOf(v)
  if (n === undefined) out.refuse('bad_schema', path, `${path} is not a number`, device, shown(v, 200))
  else if (n < 0) out.refuse('impossible_value', path, `a count cannot be ${n}`, device, String(n))
  else out.reading(device, 'register_count', n, series)
}

function kindOf(packet: Json, message: Json): string {
  const type = field(packet, 'Type')
  if (typeof type === 'string') return type === 'SCMPlus' ? 'SCM+' : type
  if (field(message, 'EndpointID') !== undefined) return 'SCM+'
  if (field(message, 'ERTSerialNumber') !== undefined) return field(message, 'LastGeneration') === undefined ? 'IDM' : 'NetIDM'
  return field(message, 'LeakNow') === undefined ? 'SCM' : 'R900'
}

function alarmsOf(kind: string, m: Json): string[] {
  if (kind.startsWith('R900')) return neptuneAlarms(field(m, 'Leak'), field(m, 'LeakNow'), field(m, 'BackFlow'))
  return kind === 'SCM' ? scmAlarms(field(m, 'TamperPhy'), field(m, 'TamperEnc')) : []
}

function asBigInt(id: string): bigint | undefined {
  return /^\d{1,20}$/.test(id) ? BigInt(id) : undefined
}

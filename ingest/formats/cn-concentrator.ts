// Chinese meters behind a transparent concentrator: frames of DL/T 645 (1997, 2007), CJ/T 188 (2004, 2018) and DL/T 698.45 in JSON.
// Topic: none is common; cn/GATEWAY/up here. Payload: {"gw", "proto", "frame": "hex", "ts"}; `frame` may be `data`, `hex`, `raw` or a list `frames`,
// wake-up bytes FE before a frame are skipped, several frames may follow one another.
// Identity: the address in the frame, 12 digits (DL/T) or 14 (CJ/T). The gateway is `gw`, else the topic's second level.
// Time: `ts` of the gateway. The clock of CJ/T 188 meters is local and is used only with a zone of the settings.
// Units: of the standards: kWh with two decimals, V, A, kW; CJ/T 188 has a unit byte behind each value.
// Pitfalls: every frame has a checksum, and is refused when it is wrong; FF in decimal numbers means no value; registers of earlier settlements share
// the identification but for its last byte; combined energy (0000, OI 0000) is the sum of both directions and not billed; `proto` may be wrong or
// missing, so the frame's own form decides.

import { cjt188Length, isCjt188, readCjt188 } from '../cjt188.ts'
import { field, idOf, isObject, type Json, Outcome, parseJson, passed, refused } from '../decoding.ts'
import { dlt645Length, type FrameContext, type FrameResult, isDlt645, readDlt645 } from '../dlt645.ts'
import { dlt698Length, isDlt698, readDlt698 } from '../dlt698.ts'
import type { Decoded, GatewayFormat } from '../format.ts'
import { bytesOfHex } from '../hex.ts'
import { readTime, zoneOf } from '../local-time.ts'

const TOPIC = /^cn\/[^/]+\//
const FRAME = /"(?:frame|frames|hex)"\s*:\s*\[?\s*"(?:fe|[\s])*68/i
const LOOKED_AT = 1_024
const FRAMES_MAX = 500

export const cnConcentrator: GatewayFormat = {
  name: 'cn-concentrator',
  topics: ['cn/#'],
  matches: (topic, payload) => TOPIC.test(topic) || FRAME.test(payload.subarray(0, LOOKED_AT).toString('latin1')),
  gatewayOf(topic, payload) {
    const gw = /"gw"\s*:\s*"([^"]{1,100})"/.exec(payload.subarray(0, LOOKED_AT).toString('latin1'))?.[1]
    return gw ?? topic.split('/')[1] ?? ''
  },
  decode(payload, context): Decoded {
    const parsed = parseJson(payload)
    if ('problem' in parsed) return refused('malformed', parsed.problem, payload)
    if (!isObject(parsed.value)) return refused('bad_schema', 'a message must be an object', payload)
    const o = parsed.value
    const named = idOf(field(o, 'gw'))
    const level = TOPIC.test(context.topic) ? context.topic.split('/')[1] : undefined
    if (named !== undefined && level !== undefined && named !== level)
      return refused('wrong_gateway', `gateway ${named} wrote on the topic of ${level}`, payload, 'gw')
    const frames = framesOf(o)
    if (frames === undefined) return withoutFrame(o, payload)
    if (context.retained) return passed('duplicate', 'retained_duplicate')
    const ts = field(o, 'ts') ?? field(o, 'time') ?? field(o, 'timestamp')
    const time = ts === undefined || ts === null ? undefined : readTime(ts, zoneOf(context.settings))
    if (ts !== undefined && ts !== null && time === undefined) return refused('impossible_time', 'ts is no time', payload, 'ts')
    return readFrames(frames, { tsMs: time === 'local' ? undefined : time, zone: zoneOf(context.settings) }, payload)
  },
}

function framesOf(o: Json): unknown[] | undefined {
  const frames = field(o, 'frames')
  if (Array.isArray(frames)) return frames.slice(0, FRAMES_MAX)
  const one = ['frame', 'hex', 'raw', 'data', 'payload'].map((k) => field(o, k)).find((v) => typeof v === 'string')
  return one === undefined ? undefined : [one]
}

function withoutFrame(o: Json, payload: Buffer): Decoded {
  const kind = ['type', 'cmd', 'event', 'msg'].map((k) => field(o, k)).find((v) => typeof v === 'string') as string | undefined
  if (kind !== undefined && /heart|beat|login|logon|online|offline|status|alive|register/i.test(kind))
    return passed('status', 'gateway_status')
  return refused('bad_schema', 'no frame', payload, 'frame')
}

function readFrames(frames: readonly unknown[], context: FrameContext, payload: Buffer): Decoded {
  const out = new Outcome()
  let last: FrameResult
  for (const [i, text] of frames.entries()) {
    const bytes = typeof text === 'string' ? bytesOfHex(text) : undefined
    if (bytes === undefined) last = { refused: ['malformed', 'the frame is not hexadecimal with an even number of digits'] }
    else last = readBytes(out, bytes, context) ?? last
    if (last !== undefined && 'refused' in last && frames.length > 1) {
      out.refuse(last.refused[0], `frames[${i}]`, last.refused[1], '', String(text))
      last = undefined
    }
  }
  const { readings, events, refusals } = out.decoded
  if (readings.length + events.length + refusals.length > 0) return out.done()
  if (last !== undefined && 'refused' in last) return refused(last.refused[0], last.refused[1], payload, 'frame')
  return last === undefined ? out.done() : passed(...last.passed)
}

/** The frames in a run of bytes, one after another. */
function readBytes(out: Outcome, bytes: Buffer, context: FrameContext): FrameResult {
  let last: FrameResult
  let rest = bytes
  for (let n = 0; n < FRAMES_MAX; n++) {
    while (rest[0] === 0xfe) rest = rest.subarray(1)
    if (rest.length === 0) break
    const kind = kindOf(rest)
    if (kind === undefined) {
      last = { refused: ['malformed', 'neither a frame of DL/T 645, DL/T 698.45 nor CJ/T 188'] }
      break
    }
    const result = kind.read(out, rest, context)
    if (result !== undefined) last = result
    if (result !== undefined && 'refused' in result) break
    rest = rest.subarray(kind.length(rest))
  }
  return last
}

interface Protocol {
  is(frame: Buffer): boolean
  read(out: Outcome, frame: Buffer, context: FrameContext): FrameResult
  length(frame: Buffer): number
}

const PROTOCOLS: readonly Protocol[] = [
  { is: isDlt645, read: readDlt645, length: dlt645Length },
  { is: isDlt698, read: readDlt698, length: dlt698Length },
  { is: isCjt188, read: readCjt188, length: cjt188Length },
]
const END = 0x16

/** By form; where an address makes a frame look like two protocols, the one whose frame ends where it says. */
function kindOf(bytes: Buffer): Protocol | undefined {
  const possible = PROTOCOLS.filter((p) => p.is(bytes))
  return possible.find((p) => bytes[p.length(bytes) - 1] === END) ?? possible[0]
}

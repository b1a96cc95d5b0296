// SenML (RFC 8428) packs resolved: base fields applied, names and times made absolute. JSON and CBOR. Shared by SenML and LwM2M. Pure.
import { type Cbor, decodeCbor } from './cbor.ts'
import { isObject, type Json, numberOf, parseJson } from './decoding.ts'

export interface SenmlRecord {
  /** Base name and name as they were; together the full name. */
  base: string
  name: string
  unit: string
  value: number | undefined
  /** Integral over time, in unit times second. */
  sum: number | undefined
  text: string | undefined
  bool: boolean | undefined
  /** Epoch ms; undefined when the record says "now". */
  tsMs: number | undefined
  index: number
}

export interface SenmlProblem {
  index: number
  field: string
  message: string
}

export type Pack = { records: SenmlRecord[]; problems: SenmlProblem[] } | { problem: string; malformed: boolean }

/** Versions above are unknown and must not be read (RFC 8428, 4.4). */
const VERSION_MAX = 10
/** Times below are relative to now (RFC 8428, 4.5.3). */
const RELATIVE_S = 2 ** 28
const TIME_S_MAX = 1e11
const RECORDS_MAX = 5_000

/** CBOR labels of RFC 8428, table 4. */
const LABELS: readonly (readonly [number, string])[] = [
  [-1, 'bver'],
  [-2, 'bn'],
  [-3, 'bt'],
  [-4, 'bu'],
  [-5, 'bv'],
  [-6, 'bs'],
  [0, 'n'],
  [1, 'u'],
  [2, 'v'],
  [3, 'vs'],
  [4, 'vb'],
  [5, 's'],
  [6, 't'],
  [7, 'ut'],
  [8, 'vd'],
]
const NAMES = new Map<Cbor, string>(LABELS)

/** The records of a payload, JSON or CBOR by its first byte, or why there are none. */
export function readPack(payload: Buffer, nowMs: number): Pack {
  // CBOR lists begin with 0x80 to 0x9f, which no JSON text does.
  const first = payload[0] ?? 0
  if (first >= 0x80 && first <= 0x9f) return fromCbor(payload, nowMs)
  const parsed = parseJson(payload)
  if ('problem' in parsed) return { problem: parsed.problem, malformed: true }
  const list = asList(parsed.value)
  return list === undefined ? { problem: 'a pack must be a list of records', malformed: false } : resolve(list, nowMs)
}

/** LwM2M 1.0 JSON has the records in `e` below the base fields. */
function asList(value: unknown): unknown[] | undefined {
  if (Array.isArray(value)) return value
  if (!isObject(value) || !Array.isArray(value.e)) return undefined
  const { e, bn, bt } = value
  const base: Json = {}
  if (bn !== undefined) base.bn = bn
  if (bt !== undefined) base.bt = bt
  return (e as unknown[]).map((r, i) =>
    isObject(r)
      ? {
          ...(i === 0 ? base : {}),
          ...r,
          ...(r.sv === undefined ? {} : { vs: r.sv }),
          ...(r.bv === undefined ? {} : { vb: r.bv, bv: undefined }),
        }
      : r,
  )
}

function fromCbor(payload: Buffer, nowMs: number): Pack {
  let value: Cbor
  try {
    value = decodeCbor(payload)
  } catch (error) {
    return { problem: `not valid CBOR: ${(error as Error).message}`, malformed: true }
  }
  if (!Array.isArray(value)) return { problem: 'a pack must be a list of records', malformed: false }
  return resolve(
    value.map((r) => (r instanceof Map ? Object.fromEntries([...r].map(([k, v]) => [NAMES.get(k) ?? String(k), v])) : r)),
    nowMs,
  )
}

interface Base {
  bn: string
  bt: number
  bu: string
  bv: number | undefined
  bs: number | undefined
}

function resolve(list: readonly unknown[], nowMs: number): Pack {
  const base: Base = { bn: '', bt: 0, bu: '', bv: undefined, bs: undefined }
  const records: SenmlRecord[] = []
  const problems: SenmlProblem[] = []
  if (list.length > RECORDS_MAX) return { problem: `more than ${RECORDS_MAX} records`, malformed: false }
  for (const [index, r] of list.entries()) {
    if (!isObject(r)) {
      problems.push({ index, field: '', message: 'a record must be an object' })
      continue
    }
    const version = r.bver === undefined ? undefined : numberOf(r.bver)
    if (r.bver !== undefined && (version === undefined || version > VERSION_MAX))
      return { problem: `version ${String(r.bver).slice(0, 20)} is not known`, malformed: false }
    // A label that ends in an underscore must be understood or the pack be left alone (RFC 8428, 4.4).
    const must = Object.keys(r).find((k) => k.endsWith('_'))
    if (must !== undefined) return { problem: `the field ${must.slice(0, 40)} must be understood and is not`, malformed: false }
    const wrong = rebase(base, r)
    if (wrong !== undefined) problems.push({ index, field: wrong, message: `${wrong} has the wrong type` })
    record(r, base, { index, nowMs, records, problems })
  }
  return { records, problems }
}

/** Takes over base fields; the name of one with a wrong type. */
function rebase(base: Base, r: Json): string | undefined {
  let wrong: string | undefined
  for (const name of ['bn', 'bu'] as const) {
    const v = r[name]
    if (typeof v === 'string') base[name] = v.slice(0, 300)
    else if (v !== undefined) wrong = name
  }
  for (const name of ['bt', 'bv', 'bs'] as const) {
    const v = r[name]
    if (typeof v === 'number' && Number.isFinite(v)) base[name] = v
    else if (v !== undefined) wrong = name
  }
  return wrong
}

function record(
  r: Json,
  base: Base,
  { index, nowMs, records, problems }: { index: number; nowMs: number; records: SenmlRecord[]; problems: SenmlProblem[] },
): void {
  const values = [r.v, r.vs, r.vb, r.vd].filter((v) => v !== undefined).length
  if (values === 0 && r.s === undefined && base.bv === undefined && base.bs === undefined) return
  const bad = (field: string, message: string) => problems.push({ index, field, message })
  if (r.n !== undefined && typeof r.n !== 'string') return void bad('n', 'n must be text')
  if (values > 1) return void bad('v', 'a record has one value')
  if (r.v !== undefined && typeof r.v !== 'number') return void bad('v', 'v must be a number')
  if (r.u !== undefined && typeof r.u !== 'string') return void bad('u', 'u must be text')
  const t = r.t === undefined ? 0 : r.t
  if (typeof t !== 'number' || !Number.isFinite(t) || Math.abs(base.bt + t) > TIME_S_MAX) return void bad('t', 't must be seconds')
  const seconds = base.bt + t
  const name = typeof r.n === 'string' ? r.n : ''
  if (base.bn + name === '') return void bad('n', 'a record needs a name')
  records.push({
    base: base.bn,
    name,
    unit: typeof r.u === 'string' ? r.u : base.bu,
    // One of base value and value alone stands for both (RFC 8428, 4.1).
    value: r.v !== undefined ? (base.bv ?? 0) + (r.v as number) : values === 0 ? base.bv : undefined,
    sum: typeof r.s === 'number' ? (base.bs ?? 0) + r.s : r.s === undefined ? base.bs : undefined,
    text: typeof r.vs === 'string' ? r.vs : undefined,
    bool: typeof r.vb === 'boolean' ? r.vb : undefined,
    tsMs: seconds >= RELATIVE_S ? Math.round(seconds * 1000) : seconds === 0 ? undefined : Math.round(nowMs + seconds * 1000),
    index,
  })
}

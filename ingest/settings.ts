// The integrator's settings (METERSTREAM_SETTINGS, `decode --settings`): which topics are read in which format, what a format
// must be told (time zones, field maps, multipliers), how strictly a gateway's identity is taken, and detector settings.
import { z } from 'zod'
import { isTimezone } from '#model/time.ts'
import { MQTT_CREWS_FILTER } from '#model/topics.ts'
import { FORMATS } from './formats/index.ts'
import { filterCovers, filterProblem } from './topic-filter.ts'

const FORMAT_NAMES = FORMATS.map((f) => f.name)
const format = z.string().refine((n) => n === 'auto' || FORMAT_NAMES.includes(n), {
  error: (i) => `${String(i.input)} is not a format; there are: auto, ${FORMAT_NAMES.join(', ')}`,
})
const timezone = z.string().refine(isTimezone, 'not an IANA time zone')

/**
 * `gateway`: a device's readings are taken from the gateway it is registered under, only. `device`: from any known gateway, or from none: radio
 * that several receivers hear, network servers that vouch for the device.
 */
const identity = z.enum(['gateway', 'device'])
export type Identity = z.infer<typeof identity>

export const SourceSettings = z.strictObject({
  topic: z.string().superRefine((t, c) => {
    const problem = filterProblem(t)
    if (problem !== undefined) c.addIssue({ code: 'custom', message: problem })
  }),
  format: format.default('auto'),
  /** The gateway of everything that arrives here; left out, the format takes it from topic or payload. */
  gateway: z.string().min(1).max(200).optional(),
  identity: identity.optional(),
})
export type SourceSettings = z.infer<typeof SourceSettings>

const GatewaySettings = z.looseObject({ format: format.optional(), timezone: timezone.optional(), identity: identity.optional() })
type ByDetector = Record<string, Record<string, unknown>>

const Known = z.looseObject({
  /** Zone of local times in messages, unless a gateway has its own. */
  timezone: timezone.optional(),
  sources: z.array(SourceSettings).max(500).optional(),
  /** By gateway id: a pinned format, its own time zone, how its identity is taken, settings for its format. */
  gateways: z.record(z.string(), GatewaySettings).default({}),
  /** By format: what that format must be told. */
  formats: z
    .record(z.string(), z.record(z.string(), z.unknown()))
    .default({})
    .superRefine((f, c) => {
      for (const name of Object.keys(f)) {
        if (!FORMAT_NAMES.includes(name))
          c.addIssue({ code: 'custom', path: [name], message: `not a format; there are: ${FORMAT_NAMES.join(', ')}` })
      }
    }),
  /** Id in messages -> id in the registry. */
  devices: z.record(z.string(), z.string().min(1).max(200)).default({}),
  /** Detector -> its settings, for all zones. */
  detectors: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  /** Zone -> detector -> its settings there, instead of the general ones. */
  zones: z.record(z.string(), z.strictObject({ detectors: z.record(z.string(), z.record(z.string(), z.unknown())) })).default({}),
})

export interface Settings {
  timezone?: string | undefined
  sources: SourceSettings[]
  gateways: Record<string, z.infer<typeof GatewaySettings>>
  formats: Record<string, Record<string, unknown>>
  devices: Record<string, string>
  detectors: ByDetector
  zones: Record<string, { detectors: ByDetector }>
  /** Top-level keys that are not ours: handed to every format as they are. */
  common: Record<string, unknown>
}

/** Native gateways and crews, and each other format on its usual topics. A filter that another one covers is left out. */
export function defaultSources(): SourceSettings[] {
  const all = FORMATS.flatMap((f) => f.topics.map((topic): SourceSettings => ({ topic, format: f.name === 'native' ? 'native' : 'auto' })))
  if (FORMATS.some((f) => f.name === 'owntracks')) all.push({ topic: MQTT_CREWS_FILTER, format: 'owntracks' })
  return all.filter((s, i) => !all.some((o, k) => k !== i && filterCovers(o.topic, s.topic) && (o.topic !== s.topic || k < i)))
}

/**
 * Settings from the text of the file; '' gives the defaults.
 * @throws Error with one line per problem: line number in the file, path, reason.
 */
export function parseSettings(text: string): Settings {
  let json: unknown = {}
  if (text.trim() !== '') {
    try {
      json = JSON.parse(text)
    } catch (error) {
      throw new Error(`settings: not valid JSON: ${(error as Error).message}`)
    }
  }
  const parsed = Known.safeParse(json)
  if (!parsed.success) {
    const lines = parsed.error.issues.map((i) => `settings, line ${lineOf(text, i.path)}: ${i.path.join('.')}: ${i.message}`)
    throw new Error(lines.join('\n'))
  }
  const common = Object.fromEntries(Object.entries(parsed.data).filter(([k]) => !(k in Known.shape) || k === 'timezone'))
  const { timezone, sources = defaultSources(), gateways, formats, devices, detectors, zones } = parsed.data
  return { timezone, sources, gateways, formats, devices, detectors, zones, common }
}

/** Line, from 1, on which the value at a path begins (or the innermost part of the path that exists). */
export function lineOf(text: string, path: readonly PropertyKey[]): number {
  let at = 0
  for (const key of path) {
    const next = childAt(text, at, key)
    if (next === undefined) break
    at = next
  }
  return text.slice(0, at).split('\n').length
}

/** Position of the value under `key` in the valid JSON value that begins at or after `start`. */
function childAt(text: string, start: number, key: PropertyKey): number | undefined {
  const open = skipSpace(text, start)
  if (text[open] !== '{' && text[open] !== '[') return undefined
  let at = skipSpace(text, open + 1)
  for (let index = 0; at < text.length && text[at] !== '}' && text[at] !== ']'; index++) {
    let name: PropertyKey = index
    if (text[open] === '{') {
      const end = endOfValue(text, at)
      name = JSON.parse(text.slice(at, end)) as string
      at = skipSpace(text, skipSpace(text, end) + 1)
    }
    if (name === key) return at
    at = skipSpace(text, endOfValue(text, at))
    if (text[at] === ',') at = skipSpace(text, at + 1)
  }
  return undefined
}

function skipSpace(text: string, at: number): number {
  let i = at
  while (i < text.length && ' \t\r\n'.includes(text[i] as string)) i++
  return i
}

function endOfValue(text: string, start: number): number {
  let depth = 0
  for (let i = start; i < text.length; i++) {
    const c = text[i] as string
    if (c === '"') {
      for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++
      if (depth === 0) return i + 1
    } else if (c === '{' || c === '[') depth++
    else if (c === '}' || c === ']') {
      if (depth === 0) return i
      depth--
      if (depth === 0) return i + 1
    } else if (depth === 0 && (c === ',' || ' \t\r\n'.includes(c))) return i
  }
  return text.length
}

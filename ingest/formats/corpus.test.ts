// Every sample message gives what its expected.json says: the shared corpus of gateway messages when it lies beside the project, and
// our own samples. A folder is decoded in sending order with one decoder, since some formats learn from earlier messages.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseIso } from '#model/time.ts'
import { createDecoder, type DecodedMessage } from '../decode.ts'
import { type MessageFile, readMessageFile, sendOrder } from '../message-files.ts'
import { parseSettings } from '../settings.ts'
import { FORMATS } from './index.ts'

const CORPUS = join(import.meta.dirname, '../../../shared/data/gateways')
const OWN = join(import.meta.dirname, 'samples')

interface ExpectedReading {
  device: string
  quantity: string
  value: number
  timestamp: string | null
  timestamp_alternatives?: string[]
  phase?: string
  tariff?: number | string
  tolerance?: number
}
interface Expected {
  disposition: string
  readings: ExpectedReading[]
  flags?: string[]
  alternatives?: (string | { disposition?: string; readings?: ExpectedReading[] })[]
  alt_devices?: string[]
  forbidden_quantities?: string[]
}

/** Outcomes that come to the same for the rest of the system. */
const GROUPS: Record<string, string> = Object.fromEntries(
  Object.entries({
    kept: 'accept accept_partial accept_other accept_flagged event position',
    refused: 'quarantine reject',
    passed: 'ignore ignore_stale duplicate status session metadata',
  }).flatMap(([group, names]) => names.split(' ').map((n) => [n, group])),
)

function readFolder(dir: string): { files: MessageFile[]; expected: Map<string, Expected>; results: Map<string, DecodedMessage> } {
  const names = readdirSync(dir).filter((n) => n.endsWith('.json') && !n.endsWith('.expected.json') && n !== 'settings.json')
  const files = names.flatMap((n) => readMessageFile(n.slice(0, -5), readFileSync(join(dir, n), 'utf8')) ?? [])
  const expected = new Map(
    files.map((f) => [f.name, JSON.parse(readFileSync(join(dir, `${f.name}.expected.json`), 'utf8')) as Expected] as const),
  )
  const settings = join(dir, 'settings.json')
  const decode = createDecoder(parseSettings(existsSync(settings) ? readFileSync(settings, 'utf8') : ''))
  const results = new Map(sendOrder(files).map((f) => [f.name, decode(f)] as const))
  return { files, expected, results }
}

function matches(e: ExpectedReading, g: DecodedMessage['decoded']['readings'][number], devices: readonly string[]): boolean {
  if (e.quantity !== g.quantity || (e.phase ?? '') !== (g.phase ?? '') || String(e.tariff ?? '') !== String(g.tariff ?? '')) return false
  if (g.device !== e.device && !devices.includes(g.device)) return false
  if (Math.abs(g.value - e.value) > (e.tolerance ?? 1e-9 * Math.max(1, Math.abs(e.value)))) return false
  if (e.timestamp === null) return true
  const times = [e.timestamp, ...(e.timestamp_alternatives ?? [])].map(parseIso)
  return g.tsMs !== undefined && times.some((t) => Math.abs(t - (g.tsMs as number)) <= 1)
}

function check(expected: Expected, { decoded }: DecodedMessage): void {
  const alternatives = (expected.alternatives ?? []).map((a) => (typeof a === 'string' ? { disposition: a } : a))
  const allowed = [expected.disposition, ...alternatives.map((a) => a.disposition ?? expected.disposition)].map((d) => GROUPS[d] ?? d)
  expect(allowed, `${decoded.disposition} (${decoded.reason})`).toContain(GROUPS[decoded.disposition])
  if (GROUPS[decoded.disposition] !== GROUPS[expected.disposition]) return
  const rest = [...decoded.readings]
  for (const e of expected.readings) {
    const at = rest.findIndex((g) => matches(e, g, expected.alt_devices ?? []))
    expect(at, `${JSON.stringify(e)} in ${JSON.stringify(rest)}`).toBeGreaterThanOrEqual(0)
    rest.splice(at, 1)
  }
  expect(rest.filter((g) => expected.forbidden_quantities?.includes(g.quantity))).toEqual([])
  for (const flag of expected.flags ?? []) expect(decoded.flags).toContain(flag)
  for (const r of decoded.readings) expect(Number.isFinite(r.value), JSON.stringify(r)).toBe(true)
}

function suite(root: string): void {
  const names = new Set(FORMATS.map((f) => f.name))
  for (const folder of readdirSync(root, { withFileTypes: true })) {
    if (!folder.isDirectory() || !names.has(folder.name)) continue
    const { files, expected, results } = readFolder(join(root, folder.name))
    describe(folder.name, () => {
      test.each(files.map((f) => f.name))('%s', (name) => {
        const result = results.get(name) as DecodedMessage
        expect(result.format).toBe(folder.name)
        check(expected.get(name) as Expected, result)
      })
    })
  }
}

describe('our own samples', () => suite(OWN))

if (existsSync(CORPUS)) describe('the shared corpus', () => suite(CORPUS))
else test.skip(`the shared corpus is not there: ${CORPUS}`, () => {})

test('every format has samples of its own, at least three', () => {
  for (const { name } of FORMATS) {
    const dir = join(OWN, name)
    const count = existsSync(dir) ? readdirSync(dir).filter((n) => n.endsWith('.expected.json')).length : 0
    expect(count, name).toBeGreaterThanOrEqual(3)
  }
})

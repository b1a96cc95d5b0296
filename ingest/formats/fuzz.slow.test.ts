// Every format takes whatever comes: samples with bytes changed, cut or doubled, with fields replaced by hostile values, on other topics.
// None may throw, give a value that is no finite number, an empty device, or a refusal without reason.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DISPOSITIONS, type GatewayFormat } from '../format.ts'
import { type MessageFile, readMessageFile } from '../message-files.ts'
import { FORMATS } from './index.ts'

const OWN = join(import.meta.dirname, 'samples')
const RUNS = Number(process.env.FUZZ_RUNS ?? 300)

function samplesOf(name: string): MessageFile[] {
  const dir = join(OWN, name)
  if (!existsSync(dir)) return []
  const files = readdirSync(dir).filter((n) => n.endsWith('.json') && !n.endsWith('.expected.json') && n !== 'settings.json')
  return files.flatMap((n) => readMessageFile(n, readFileSync(join(dir, n), 'utf8')) ?? [])
}

const hostile = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    'n/a',
    1e308,
    -1e308,
    -32768,
    4294967295,
    true,
    [],
    {},
    [7],
    { value: Number.MAX_VALUE },
    '1e999',
    '__proto__',
    'a'.repeat(5_000),
    '2099-13-45T99:99:99Z',
    -1,
  ),
  fc.json().map((t) => JSON.parse(t) as unknown),
)

/** One value somewhere in a JSON document replaced. */
function replaceAt(value: unknown, path: readonly number[], by: unknown): unknown {
  const [first, ...rest] = path
  if (first === undefined || typeof value !== 'object' || value === null) return by
  const keys = Object.keys(value)
  if (keys.length === 0) return by
  const key = keys[first % keys.length] as string
  const changed = replaceAt((value as Record<string, unknown>)[key], rest, by)
  if (Array.isArray(value)) return value.map((v, i) => (String(i) === key ? changed : v))
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, k === key ? changed : v]))
}

function mutated(samples: readonly MessageFile[]): fc.Arbitrary<{ topic: string; payload: Buffer }> {
  const sample = fc.constantFrom(...samples)
  const inJson = fc.tuple(sample, fc.array(fc.nat(40), { maxLength: 6 }), hostile).map(([s, path, by]) => {
    try {
      return { topic: s.topic, payload: Buffer.from(JSON.stringify(replaceAt(JSON.parse(s.payload.toString('utf8')), path, by))) }
    } catch {
      return { topic: s.topic, payload: Buffer.concat([s.payload, Buffer.from(JSON.stringify(by) ?? '')]) }
    }
  })
  const inBytes = fc.tuple(sample, fc.nat(), fc.uint8Array({ maxLength: 8 }), fc.nat(8)).map(([s, at, bytes, cut]) => {
    const from = s.payload.length === 0 ? 0 : at % s.payload.length
    return { topic: s.topic, payload: Buffer.concat([s.payload.subarray(0, from), Buffer.from(bytes), s.payload.subarray(from + cut)]) }
  })
  const elsewhere = fc.tuple(sample, fc.string({ maxLength: 30 })).map(([s, topic]) => ({ topic, payload: s.payload }))
  const anything = fc
    .tuple(sample, fc.uint8Array({ maxLength: 200 }))
    .map(([s, bytes]) => ({ topic: s.topic, payload: Buffer.from(bytes) }))
  return fc.oneof({ weight: 5, arbitrary: inJson }, { weight: 3, arbitrary: inBytes }, elsewhere, anything)
}

function checkOne(format: GatewayFormat, topic: string, payload: Buffer, state: Map<string, unknown>): void {
  format.matches(topic, payload)
  expect(typeof format.gatewayOf(topic, payload)).toBe('string')
  const d = format.decode(payload, { topic, receivedAtMs: 1_772_360_130_000, retained: false, settings: {}, state })
  expect(DISPOSITIONS).toContain(d.disposition)
  for (const r of d.readings) {
    expect(Number.isFinite(r.value), `${r.quantity} ${r.value}`).toBe(true)
    expect(r.tsMs === undefined || Number.isFinite(r.tsMs), String(r.tsMs)).toBe(true)
    expect(r.device).not.toBe('')
  }
  if (d.disposition === 'quarantine' || d.disposition === 'reject') expect(d.refusals.length).toBeGreaterThan(0)
  for (const refusal of d.refusals) expect(refusal.message).not.toBe('')
}

describe('no bytes make a format throw', () => {
  for (const format of FORMATS) {
    const samples = samplesOf(format.name)
    test.skipIf(samples.length === 0)(format.name, () => {
      const state = new Map<string, unknown>()
      fc.assert(
        fc.property(mutated(samples), ({ topic, payload }) => checkOne(format, topic, payload, state)),
        { numRuns: RUNS },
      )
    })
  }
})

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readMessageFile, sendOrder } from './message-files.ts'

const root = join(import.meta.dirname, '..')
const dir = mkdtempSync(join(tmpdir(), 'decode-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

type Line = Record<string, unknown> & { message: string; readings: Record<string, unknown>[] }

function run(args: string[], input = ''): { lines: Line[]; code: number | null; err: string } {
  const r = spawnSync(process.execPath, [join(root, 'ingest/decode-cli.ts'), ...args], { input, encoding: 'utf8' })
  return {
    lines: r.stdout
      .split('\n')
      .filter((l) => l !== '')
      .map((l) => JSON.parse(l) as Line),
    code: r.status,
    err: r.stderr,
  }
}

const READING = '{"readings":[{"device":"W-1","quantity":"water_volume_m3","ts":"2026-03-01T11:15:00+01:00","value":12.5,"flags":["x"]}]}'

test('one message from standard input gives one outcome line', () => {
  const { lines, code } = run(
    ['--format', 'auto', '--topic', 'telemetry/v1/G-1/readings', '--received-at', '2026-03-01T10:15:05Z'],
    READING,
  )
  expect(code).toBe(0)
  expect(lines).toEqual([
    {
      type: 'outcome',
      message: 'stdin',
      format: 'native',
      gateway: 'G-1',
      disposition: 'accept',
      reason: '',
      events: [],
      flags: [],
      readings: [{ device: 'W-1', quantity: 'water_volume_m3', value: 12.5, ts: '2026-03-01T10:15:00Z', flags: ['x'] }],
    },
  ])
})

test('a pinned format is used whatever the topic', () => {
  expect(run(['--format', 'native', '--topic', 'x'], READING).lines[0]).toMatchObject({
    format: 'native',
    disposition: 'quarantine',
    reason: 'unknown_format',
  })
})

test.each<[string, string[], RegExp]>([
  ['no topic', [], /--topic is missing/],
  ['an unknown format', ['--topic', 'x', '--format', 'nope'], /nope is not a format/],
  ['a wrong time', ['--topic', 'x', '--received-at', 'noon'], /--received-at must be/],
  ['an unknown option', ['--tpoic', 'x'], /Unknown option/],
])('%s is told, with exit code 1', (_name, args, message) => {
  const { code, err, lines } = run(args)
  expect([code, lines]).toEqual([1, []])
  expect(err).toMatch(message)
})

test('a folder is decoded in order; what cannot be read costs the exit code, not the others', () => {
  const write = (name: string, body: object | string) =>
    writeFileSync(join(dir, name), typeof body === 'string' ? body : JSON.stringify(body))
  const topic = 'telemetry/v1/G/readings'
  write('a.json', { topic, payload_base64: Buffer.from(READING).toString('base64'), send_after: ['c'] })
  write('b.json', { topic, payload_hex: '7b' })
  write('c.json', { topic, payload_utf8: READING })
  write('d.json', '{')
  write('e.json', { topic })
  write('a.expected.json', {})
  write('INDEX.json', ['a'])
  const { lines, code, err } = run(['--messages', dir])
  expect(lines.map((l) => [l.message, l.disposition])).toEqual([
    ['c', 'accept'],
    ['a', 'accept'],
    ['b', 'quarantine'],
  ])
  expect(code).toBe(1)
  expect(err).toMatch(/d\.json.*\n.*e\.json: exactly one of payload_utf8/)
})

test('a circle of send_after is cut', () => {
  const file = (name: string, after: string[]) => readMessageFile(name, JSON.stringify({ topic: 't', payload_utf8: '', send_after: after }))
  const files = [file('a', ['b.json']), file('b', ['a']), file('c', ['nowhere'])].filter((f) => f !== undefined)
  expect(sendOrder(files).map((f) => f.name)).toEqual(['b', 'a', 'c'])
})

test('every sample of the native format gives what it must', () => {
  const folder = join(root, 'ingest/formats/samples/native')
  const names = readdirSync(folder)
    .filter((n) => n.endsWith('.expected.json'))
    .map((n) => n.slice(0, -'.expected.json'.length))
  const { lines, code } = run(['--messages', folder])
  expect(code).toBe(0)
  expect(lines).toHaveLength(names.length)
  for (const name of names) {
    const expected = JSON.parse(readFileSync(join(folder, `${name}.expected.json`), 'utf8')) as Record<string, unknown>
    const got = lines.find((l) => l.message === name)
    expect(got, name).toMatchObject({ format: 'native', ...sampleAsOutcome(expected) })
    expect(got?.readings, name).toHaveLength((expected.readings as unknown[]).length)
  }
})

/** An expected file in the words of an outcome line. */
function sampleAsOutcome(e: Record<string, unknown>): Record<string, unknown> {
  const time = (t: unknown) => (typeof t === 'string' ? t.replace('.000Z', 'Z') : t)
  const entries = (list: unknown) =>
    (list as Record<string, unknown>[]).map(({ unit: _unit, timestamp, ...rest }) => ({ ...rest, ts: time(timestamp) }))
  const { disposition, readings, events, flags, refusals } = e
  return {
    disposition,
    flags,
    readings: entries(readings),
    ...(events === undefined ? {} : { events: entries(events) }),
    ...(refusals === undefined ? {} : { refusals }),
  }
}

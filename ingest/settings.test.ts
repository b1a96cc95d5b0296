import { expect, test } from 'vitest'
import { defaultSources, lineOf, parseSettings } from './settings.ts'
import { filterCovers } from './topic-filter.ts'

test('nothing given: every format on its usual topics, native pinned', () => {
  const s = parseSettings('')
  expect(s.sources).toContainEqual({ topic: 'telemetry/v1/+/readings', format: 'native' })
  expect(s).toMatchObject({ devices: {}, formats: {}, detectors: {}, gateways: {} })
})

test('no default source covers another: messages would come twice', () => {
  const topics = defaultSources().map((s) => s.topic)
  for (const a of topics) for (const b of topics) if (a !== b) expect(filterCovers(a, b), `${a} covers ${b}`).toBe(false)
  expect(new Set(topics).size).toBe(topics.length)
})

test('errors name the line, the path and the reason', () => {
  const text = `{
  "timezone": "Europe/Zurich",
  "sources": [
    { "topic": "a/+", "format": "native" },
    { "topic": "b/#/c",
      "format": "nativ" }
  ],
  "gateways": { "G-1": { "timezone": "Mars/Olympus" } }
}`
  expect(() => parseSettings(text)).toThrowError(
    /line 5: sources\.1\.topic: # must be the whole last level[\s\S]*line 6: sources\.1\.format: nativ is not a format[\s\S]*line 8: gateways\.G-1\.timezone: not an IANA time zone/,
  )
})

test('keys that are not ours are handed to the formats', () => {
  expect(parseSettings('{"timezone":"UTC","multipliers":{"123":0.01}}').common).toEqual({ timezone: 'UTC', multipliers: { 123: 0.01 } })
})

test('text that is no JSON is told', () => {
  expect(() => parseSettings('{"a":')).toThrowError(/settings: not valid JSON/)
})

test.each([
  [['a'], 2],
  [['b', 1, 'c'], 5],
  [['b', 0], 4],
  [['d'], 1],
])('line of %j', (path, line) => {
  expect(lineOf('{\n"a": "}\\"",\n"b": [\n  1,\n  {"x": [2, {}], "c": 3}]}', path)).toBe(line)
})

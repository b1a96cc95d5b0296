import { describe, expect, test } from 'vitest'
import { DAY_MS } from '#model/time.ts'
import { makeTown } from '../town.ts'
import { describe as describeEffect } from './describe.ts'
import { during, growth, type Leak } from './effect.ts'
import { SCENARIOS, scenarioNamed } from './index.ts'
import { plannedEffects, plannedOperations } from './planned.ts'
import { advanceSequence, beginSequence, historyEffects, planScenario } from './sequence.ts'

const town = makeTown(1)
const START = Date.parse('2026-03-02T00:00:00Z')
const LIVE = START + 14 * DAY_MS
const span = { startMs: START, endMs: LIVE, timezone: 'Asia/Shanghai' }
const planned = plannedEffects(town, span)

test.each(SCENARIOS.map((s) => [s.name, s] as const))('%s finds a place and ends', (name, scenario) => {
  const effects = planScenario(town, name, 1, LIVE, planned)
  expect(effects.length).toBeGreaterThan(0)
  for (const e of effects) {
    expect(e.startMs).toBeGreaterThanOrEqual(LIVE)
    expect(e.endMs).toBeGreaterThan(e.startMs)
    expect(Number.isFinite(e.endMs)).toBe(true)
    expect(Object.keys(describeEffect(town, e)).length).toBeGreaterThan(3)
  }
  expect(scenario.expects.note).not.toBe('')
})

test('names are unique, aliases lead somewhere, an unknown name is told with the known ones', () => {
  expect(new Set(SCENARIOS.map((s) => s.name)).size).toBe(SCENARIOS.length)
  expect(scenarioNamed('outage').name).toBe('transformer-outage')
  expect(scenarioNamed('gateway').name).toBe('gateway-failure')
  expect(() => scenarioNamed('flood')).toThrow(/burst/)
})

describe('the history', () => {
  const effects = historyEffects(town, START, planned)

  test('begins after the warm-up and leaves a customer leak and a bypass that go on', () => {
    for (const e of effects) expect(e.startMs).toBeGreaterThan(START + 7 * DAY_MS)
    const open = effects.filter((e) => e.endMs > LIVE + DAY_MS).map((e) => e.type)
    expect(open).toContain('customer_leak')
    expect(open).toContain('bypass')
  })

  test('is the same each time', () => {
    expect(historyEffects(town, START, planned)).toEqual(effects)
  })
})

test('the sequence goes on for weeks, the same whatever the steps, and never twice at one place', () => {
  const all = (stepMs: number) => {
    const state = beginSequence(LIVE)
    const out = [...planned]
    const added = []
    for (let at = LIVE; at < LIVE + 20 * DAY_MS; at += stepMs) {
      const found = advanceSequence(town, state, { liveMs: LIVE, fromMs: at, untilMs: at + stepMs, factor: 60, effects: out })
      out.push(...(found as typeof planned))
      added.push(...found)
    }
    return added
  }
  const effects = all(300_000)
  expect(effects.length).toBeGreaterThan(60)
  expect(all(3_600_000)).toEqual(effects)
  expect(new Set(effects.map((e) => e.type)).size).toBeGreaterThan(5)
  for (const o of during(effects, 'outage', LIVE, LIVE + 20 * DAY_MS)) {
    const same = during(effects, 'outage', o.startMs, o.endMs).filter((p) => p !== o && p.meters.some((m) => o.meters.includes(m)))
    expect(same).toEqual([])
  }
})

test('every planned effect has its row, known beforehand', () => {
  const rows = plannedOperations(town, span)
  expect(rows).toHaveLength(planned.length)
  rows.forEach((row, i) => {
    expect(row.knownAtMs).toBeLessThan(row.startMs)
    expect(planned[i]?.startMs).toBe(row.startMs)
    expect(planned[i]?.endMs).toBeLessThanOrEqual(row.endMs)
  })
})

test('leaks grow as their kind does', () => {
  const leak: Leak = {
    type: 'leak',
    id: 'l',
    kind: 'incipient',
    node: 0,
    link: 0,
    coefficient: 1,
    startMs: 0,
    fullMs: 4 * DAY_MS,
    endMs: 6 * DAY_MS,
  }
  expect(growth(leak, -1)).toBe(0)
  expect(growth(leak, DAY_MS)).toBeCloseTo(0.125)
  expect(growth(leak, 5 * DAY_MS)).toBe(1)
  expect(growth(leak, 6 * DAY_MS)).toBe(0)
  expect(growth({ ...leak, kind: 'burst' }, 1)).toBe(1)
  expect(growth({ ...leak, kind: 'background' }, DAY_MS)).toBeCloseTo(0.25)
})

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import type { Leak } from '../scenarios/effect.ts'
import { coefficientFor, leakPlaces } from '../scenarios/scenario.ts'
import { makeTown } from '../town.ts'
import { drawFaults } from './faults.ts'
import { waterLabels } from './labels.ts'
import { drawPowerFaults } from './power-faults.ts'
import { PowerTruth } from './power-labels.ts'
import { simulate } from './simulate.ts'

// Hydraulics of hours take a second or two, more on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const START = Date.parse('2025-09-01T00:00:00Z')
const town = makeTown(3)
const dir = mkdtempSync(join(tmpdir(), 'dataset-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const table = (name: string): string[][] =>
  gunzipSync(readFileSync(join(dir, name)))
    .toString()
    .trim()
    .split('\n')
    .slice(1)
    .map((l) => l.split(','))
const base = { town, timezone: 'UTC', startMs: START, dir, say: () => undefined }

describe('drawn faults', () => {
  const o = {
    seed: 9,
    timezone: 'UTC',
    startMs: START,
    warmupUntilMs: START + 7 * DAY_MS,
    endMs: START + 28 * DAY_MS,
    leaksPerMonth: 3,
    customerLeaks: 12,
    confounders: true,
  }
  const faults = drawFaults(town, o)

  test('are the same for the same seed, and others for another', () => {
    expect(drawFaults(town, o)).toEqual(faults)
    expect(drawFaults(town, { ...o, seed: 10 }).effects).not.toEqual(faults.effects)
    expect(drawPowerFaults(town, o)).toEqual(drawPowerFaults(town, o))
  })

  test('begin after the warm-up, and leaks of one district do not overlap', () => {
    for (const e of faults.effects) expect(e.startMs, e.id).toBeGreaterThanOrEqual(o.warmupUntilMs)
    const leaks = faults.effects.filter((e): e is Leak => e.type === 'leak')
    expect(leaks.length).toBeGreaterThan(3)
    for (const a of leaks) {
      const same = leaks.filter((b) => b !== a && town.water.nodes[b.node]?.district === town.water.nodes[a.node]?.district)
      expect(same.filter((b) => b.startMs < a.endMs && b.endMs > a.startMs)).toEqual([])
    }
  })

  test('what is announced is known beforehand', () => {
    expect(faults.operations.length).toBeGreaterThan(3)
    for (const op of faults.operations) expect(op.knownAtMs).toBeLessThan(op.startMs)
  })

  test('can be nothing at all', () => {
    expect(drawFaults(town, { ...o, leaksPerMonth: 0, customerLeaks: 0, confounders: false }).effects).toEqual([])
  })
})

test('labels say what a leak let out, and near which sensors', async () => {
  const place = leakPlaces(town, 0)[5] as { node: number; link: number }
  const leak: Leak = {
    type: 'leak',
    id: 'L01',
    kind: 'burst',
    ...place,
    coefficient: coefficientFor(9),
    startMs: START + HOUR_MS,
    fullMs: START + HOUR_MS,
    endMs: START + 3 * HOUR_MS,
  }
  const endMs = START + 4 * HOUR_MS
  const faults = { effects: [leak], confounders: [], operations: [] }
  const out = await simulate({ ...base, parts: { water: true, power: false }, effects: faults.effects, endMs, powerTruth: undefined })
  const labels = waterLabels(town, faults, out.losses, {
    scenario: 'x',
    seed: 1,
    startMs: START,
    endMs,
    warmupUntilMs: START,
    rows: { sensors: 0, meters: 0 },
  }) as { leaks: Record<string, unknown>[]; sensorDma: Record<string, string | null> }
  const label = labels.leaks[0] as { lostM3: number; nearestSensors: string[]; dailyMeanM3h: number[]; dma: string }
  expect(label.lostM3).toBeGreaterThan(2 * 7)
  expect(label.lostM3).toBeLessThan(2 * 11)
  expect((label.dailyMeanM3h[0] as number) * 24).toBeCloseTo(label.lostM3, 1)
  expect(label.nearestSensors).toHaveLength(4)
  for (const s of label.nearestSensors) expect(labels.sensorDma[s]).toBe(label.dma)
  const received = table('readings.csv.gz').map((r) => r[0] as string)
  expect(received).toEqual([...received].sort())
  expect(received).toHaveLength(out.rows.readings)
})

test('the truth of a day is what the registers turned', async () => {
  const endMs = START + DAY_MS
  const truth = new PowerTruth(town, {
    scenario: 'x',
    seed: 1,
    timezone: 'UTC',
    startMs: START,
    endMs,
    warmupUntilMs: START,
    intervalMs: 900_000,
    moved: [],
    homeless: [],
  })
  await simulate({ ...base, parts: { water: false, power: true }, effects: [], endMs, powerTruth: truth })
  await truth.write(dir, [])
  const reads = new Map<string, number>()
  for (const [, , device, quantity, ts, value] of table('readings.csv.gz')) {
    if (quantity === 'active_energy_import_kwh') reads.set(`${device}|${ts}`, Number(value))
  }
  let checked = 0
  for (const [id, , kwh, , , resolution] of table('truth-daily.csv.gz')) {
    const from = reads.get(`${id}|2025-09-01T00:00:00Z`)
    const to = reads.get(`${id}|2025-09-02T00:00:00Z`)
    if (from === undefined || to === undefined) continue
    const meter = town.power.meters.find((m) => m.id === id) as { multiplier: number }
    const turned = ((to - from + 100_000) % 100_000) * meter.multiplier
    expect(Math.abs(turned - Number(kwh))).toBeLessThanOrEqual(Number(resolution) + 0.002)
    checked++
  }
  expect(checked).toBeGreaterThan(950)
  const missing = table('truth-status.csv.gz').filter((r) => r[2] === 'estimated')
  expect(missing.length).toBeGreaterThan(100)
})

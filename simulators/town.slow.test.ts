import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { AssetFeature, isDevice } from '#model/asset.ts'
import { readRegistryFiles } from '../deploy/dataset.ts'
import { planTown } from './town/plan.ts'
import { makeTown, townDataSet, townFeatures } from './town.ts'

// Hydraulics of hours take a second or two, more on a busy machine.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const town = makeTown(1)
const features = townFeatures(town).features
const of = (kind: string) => features.filter((f) => f.properties.kind === kind).map((f) => f.properties as Record<string, unknown>)
const dirs: string[] = []
afterAll(() => {
  for (const d of dirs) rmSync(d, { recursive: true, force: true })
})

describe('the demo town', () => {
  test('is the same for the same seed and another for another', () => {
    expect(JSON.stringify(makeTown(1))).toBe(JSON.stringify(town))
    expect(JSON.stringify(makeTown(5))).toBe(JSON.stringify(makeTown(5)))
    expect(makeTown(5).water.nodes.length).not.toBe(town.water.nodes.length)
  })

  test('has what the demo needs', () => {
    expect(of('junction').length).toBeGreaterThanOrEqual(500)
    expect(of('dma')).toHaveLength(3)
    expect(of('pressure_sensor')).toHaveLength(60)
    expect(of('water_meter')).toHaveLength(1000)
    expect(of('electric_meter').filter((m) => m.role === 'customer')).toHaveLength(1000)
    expect(of('feeder').length).toBeGreaterThanOrEqual(4)
    expect(of('transformer').length).toBeGreaterThanOrEqual(40)
    expect(of('gateway')).toHaveLength(40)
    expect(of('tank').length + of('reservoir').length).toBeGreaterThanOrEqual(2)
    expect(of('valve').length).toBeGreaterThanOrEqual(2)
    expect(of('electric_meter').filter((m) => m.registered_generation_kwp !== undefined).length).toBeGreaterThan(20)
    expect(new Set(town.accounts.map((a) => a.segment))).toEqual(new Set(['general', 'large', 'special', 'vulnerable']))
    expect(new Set(town.accounts.map((a) => a.language))).toEqual(new Set(['en', 'zh']))
  })

  test('a few large customers use about two fifths of the metered water', () => {
    const large = town.premises.filter((p) => p.waterM3d >= 50)
    const all = town.premises.reduce((s, p) => s + p.waterM3d, 0)
    expect(large.length / town.premises.length).toBeLessThan(0.01)
    const share = large.reduce((s, p) => s + p.waterM3d, 0) / all
    expect(share).toBeGreaterThan(0.3)
    expect(share).toBeLessThan(0.55)
  })

  test('every feature is valid, named once, and names only what is there', () => {
    const ids = new Set(features.map((f) => f.properties.id))
    expect(ids.size).toBe(features.length)
    const wrong: string[] = []
    for (const f of features) {
      const p = f.properties as Record<string, unknown>
      if (!AssetFeature.safeParse(f).success) wrong.push(`${p.id}`)
      for (const field of ['gateway', 'dma', 'feeder', 'transformer', 'substation', 'node', 'link', 'from', 'to']) {
        if (p[field] !== undefined && p[field] !== null && !ids.has(p[field] as string)) wrong.push(`${p.id}.${field}`)
      }
    }
    expect(wrong).toEqual([])
  })

  test('every gateway hears devices, and some power gateways serve two feeders', () => {
    const zones = new Map<string, Set<string>>()
    for (const f of features) {
      const p = f.properties as { gateway?: string; feeder?: string; id: string }
      if (!isDevice(f.properties) || p.gateway === undefined) continue
      zones.set(p.gateway, (zones.get(p.gateway) ?? new Set()).add(p.feeder ?? ''))
    }
    expect(zones.size).toBe(40)
    expect([...zones.values()].some((z) => z.size > 1)).toBe(true)
  })

  test('streets are as long as streets and junctions keep their distance', () => {
    const long = town.streets.streets.filter((s) => s.district >= 0 && s.length > 320)
    expect(long.length).toBe(0)
    const { nodes } = town.streets
    let close = 0
    for (let i = 0; i < nodes.length; i++) {
      for (let j = i + 1; j < nodes.length; j++) {
        const [p, q] = [nodes[i], nodes[j]] as [{ x: number; y: number }, { x: number; y: number }]
        if (Math.hypot(p.x - q.x, p.y - q.y) < 12) close++
      }
    }
    expect(close).toBeLessThan(nodes.length / 50)
  })
})

test.each([2, 3, 4, 5, 6, 7, 8])('town %i is a town too', (seed) => {
  const t = makeTown(seed)
  expect(t.plan.districts.length).toBe(planTown(seed).districts.length)
  expect(t.water.nodes.length).toBeGreaterThan(300)
  expect(t.water.tanks).toHaveLength(1)
  expect(t.gateways).toHaveLength(t.plan.gateways.sensors + 34)
  for (const d of t.plan.districts.keys())
    expect(t.water.flowMeters.some((f) => f.flows.some((x) => x.district === d && x.sign === 1))).toBe(true)
})

test('the folder can be imported, and is left alone when it is there', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'town-'))
  dirs.push(dir)
  const meta = await townDataSet(dir, 1, { nowMs: Date.parse('2026-03-15T10:20:30Z') })
  expect(meta.end).toBe('2026-03-15T10:00:00Z')
  expect(meta.start).toBe('2026-03-01T10:00:00Z')
  const files = await readRegistryFiles(dir)
  expect(files.warnings).toEqual([])
  expect(files.features).toHaveLength(features.length)
  expect(files.operations.length).toBeGreaterThan(4)
  const before = readFileSync(join(dir, 'assets.geojson'), 'utf8')
  expect(await townDataSet(dir, 1, { nowMs: Date.parse('2026-06-01T00:00:00Z') })).toEqual(meta)
  expect(readFileSync(join(dir, 'assets.geojson'), 'utf8')).toBe(before)
})

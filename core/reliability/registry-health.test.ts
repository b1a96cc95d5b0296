import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AssetProperties } from '#model/asset.ts'
import { registryHealth } from './registry-health.ts'

const of = (...assets: Record<string, unknown>[]) => registryHealth(assets.map((a) => AssetProperties.parse(a)))
const sound = [
  { id: 'S', kind: 'substation' },
  { id: 'F', kind: 'feeder', substation: 'S' },
  { id: 'T', kind: 'transformer', feeder: 'F' },
  { id: 'G', kind: 'gateway' },
]
const meter = (more: Record<string, unknown>) => ({
  id: 'E',
  kind: 'electric_meter',
  role: 'customer',
  transformer: 'T',
  feeder: 'F',
  gateway: 'G',
  ...more,
})

describe('the registry of a power network', () => {
  test('a sound one has no problems', () => expect(of(...sound, meter({}))).toEqual([]))
  test.each([
    ['a meter without transformer', meter({ transformer: null }), 'meter-without-transformer', 'F'],
    ['a transformer nobody knows', meter({ transformer: 'T9' }), 'unknown-transformer', 'T9'],
    ['a feeder nobody knows', meter({ feeder: 'F9' }), 'unknown-feeder', 'F9'],
    ['a gateway nobody knows', meter({ gateway: 'G9' }), 'unknown-gateway', 'G9'],
  ])('%s is named', (_name, asset, problem, detail) => {
    expect(of(...sound, asset)).toContainEqual({ problem, asset: 'E', detail })
  })
  test('a meter and its transformer on two feeders', () => {
    const r = of(...sound, { id: 'F2', kind: 'feeder', substation: 'S' }, meter({ feeder: 'F2' }))
    expect(r).toEqual([{ problem: 'feeder-differs', asset: 'E', detail: 'F2, F' }])
  })
  test('two totalising meters of one transformer', () => {
    const r = of(...sound, meter({ id: 'C1', role: 'transformer' }), meter({ id: 'C2', role: 'transformer' }))
    expect(r).toEqual([{ problem: 'two-totalising-meters', asset: 'T', detail: 'C1, C2' }])
  })
  test('a ring of references is named once, wherever one begins', () => {
    const ring = [
      { id: 'F1', kind: 'feeder', substation: 'S1' },
      { id: 'S1', kind: 'substation', parent: 'F1' },
    ]
    const want = [{ problem: 'loop', asset: 'F1', detail: 'F1 > S1 > F1' }]
    expect(of(...ring)).toEqual(want)
    expect(of(...ring.reverse())).toEqual(want)
  })
  test('an asset that feeds itself', () => {
    expect(of({ id: 'T1', kind: 'transformer', feeder: 'F1' }, { id: 'F1', kind: 'feeder', parent: 'F1' })).toEqual([
      { problem: 'loop', asset: 'F1', detail: 'F1 > F1' },
    ])
  })
  test('any tangle ends', () => {
    const id = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    fc.assert(
      fc.property(fc.array(fc.record({ id, parent: id, substation: id }), { maxLength: 8 }), (rows) => {
        expect(() => of(...rows.map((r) => ({ ...r, kind: 'feeder' })))).not.toThrow()
      }),
    )
  })
})

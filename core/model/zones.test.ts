import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { AssetFeature } from './asset.ts'
import { zoneDefs } from './zones.ts'

const meta = { timezone: 'UTC', warmupUntilMs: 0 }
const point = (lon: number, lat: number) => ({ type: 'Point', coordinates: [lon, lat] })
const feature = (properties: object, geometry: object | null = null) => AssetFeature.parse({ type: 'Feature', geometry, properties })

const town = [
  feature({ id: 'D1', kind: 'dma', name: 'North' }),
  feature({ id: 'D2', kind: 'dma' }),
  feature({ id: 'j1', kind: 'junction', dma: 'D1' }, point(8.5, 47.3)),
  feature({ id: 'j2', kind: 'junction', dma: 'D2' }, point(8.6, 47.4)),
  feature(
    { id: 'p1', kind: 'pipe', from: 'j1', to: 'j2' },
    {
      type: 'LineString',
      coordinates: [
        [8.5, 47.3],
        [8.55, 47.35],
        [8.6, 47.4],
      ],
    },
  ),
  feature({ id: 'p2', kind: 'pipe', from: 'T1', to: 'j2' }),
  feature({ id: 'T1', kind: 'tank' }, point(8.7, 47.5)),
  feature({
    id: 'F12',
    kind: 'flow_meter',
    link: 'p1',
    gateway: 'G1',
    flows: [
      { dma: 'D2', sign: 1 },
      { dma: 'D1', sign: -1 },
    ],
  }),
  feature({ id: 'W1', kind: 'water_meter', node: 'j1', dma: 'D1', gateway: 'G1', account: 'A1' }),
  feature({ id: 'L1', kind: 'level_sensor', node: 'T1', gateway: 'G2' }),
  feature({ id: 'S', kind: 'substation' }),
  feature({ id: 'FD', kind: 'feeder', substation: 'S' }),
  feature({ id: 'TX', kind: 'transformer', feeder: 'FD', rating_kva: 100 }, point(8.8, 47.6)),
  feature({ id: 'E1', kind: 'electric_meter', feeder: 'FD', transformer: 'TX', gateway: 'G2', role: 'customer', account: 'A2' }),
  feature({ id: 'G1', kind: 'gateway' }),
  feature({ id: 'G2', kind: 'gateway' }),
  feature({ id: 'G3', kind: 'gateway', zone: 'D1' }),
  feature({ id: 'G4', kind: 'gateway', zone: 'attic' }),
  feature({ id: 'C1', kind: 'crew', skills: ['water'] }),
]
const accounts = [{ account: 'A1', segment: 'vulnerable' as const }]

describe('zones of a small town', () => {
  const defs = zoneDefs(town, accounts, meta)
  const zone = (id: string) => defs.find((d) => d.zone === id)
  const ids = (list: { asset: { id: string } }[] | undefined) => list?.map((e) => e.asset.id)

  test('are its districts, its feeder and the network, in order', () => {
    expect(defs.map((d) => [d.zone, d.kind, d.area?.id])).toEqual([
      ['D1', 'dma', 'D1'],
      ['D2', 'dma', 'D2'],
      ['FD', 'feeder', 'FD'],
      ['network', 'network', undefined],
    ])
  })

  test('a flow meter between two districts is in both, primary in the first that it names', () => {
    expect(zone('D1')?.devices.map((d) => [d.asset.id, d.primary])).toEqual([
      ['F12', false],
      ['W1', true],
    ])
    expect(zone('D2')?.devices.map((d) => [d.asset.id, d.primary])).toEqual([['F12', true]])
  })

  test('a pipe without district takes that of its first end that has one', () => {
    expect(ids(zone('D1')?.network)).toEqual(['j1', 'p1'])
    expect(ids(zone('D2')?.network)).toEqual(['j2', 'p2'])
    expect(ids(zone('network')?.network)).toEqual(['T1'])
    expect(zone('D1')?.network[1]?.at).toEqual([8.5, 47.3, 8.55, 47.35, 8.6, 47.4])
  })

  test('a device without a point stands where its node, link or transformer does', () => {
    expect(zone('D1')?.devices.map((d) => [d.lon, d.lat])).toEqual([
      [8.55, 47.35],
      [8.5, 47.3],
    ])
    expect(zone('FD')?.devices.map((d) => [d.lon, d.lat])).toEqual([[8.8, 47.6]])
    expect(zone('network')?.devices.map((d) => [d.lon, d.lat])).toEqual([[8.7, 47.5]])
  })

  test('the account gives the segment and nothing personal', () => {
    expect(zone('D1')?.devices.map((d) => d.segment)).toEqual([undefined, 'vulnerable'])
    expect(zone('FD')?.devices.map((d) => d.segment)).toEqual([undefined])
  })

  test('gateways know every zone they serve; one that names no zone of ours serves none', () => {
    expect(zone('D1')?.gateways).toEqual([
      { id: 'G1', zones: ['D1', 'D2'] },
      { id: 'G3', zones: ['D1'] },
    ])
    expect(zone('FD')?.gateways).toEqual([{ id: 'G2', zones: ['FD', 'network'] }])
    expect(zone('network')?.gateways).toEqual([{ id: 'G2', zones: ['FD', 'network'] }])
  })

  test('a feeder has its transformers', () => {
    expect(ids(zone('FD')?.transformers)).toEqual(['TX'])
  })
})

test('order of features, and of keys within them, changes nothing', () => {
  const defs = zoneDefs(town, accounts, meta)
  fc.assert(
    fc.property(fc.shuffledSubarray(town, { minLength: town.length }), (shuffled) => {
      const turned = shuffled.map((f) => ({
        ...f,
        properties: Object.fromEntries(Object.entries(f.properties).reverse()) as typeof f.properties,
      }))
      expect(JSON.stringify(zoneDefs(turned, accounts, meta))).toBe(JSON.stringify(defs))
    }),
    { numRuns: 50 },
  )
})

test('a change shows in the version of the zones it concerns only', () => {
  const before = new Map(zoneDefs(town, accounts, meta).map((d) => [d.zone, d.version]))
  const changed = [
    ...town.filter((f) => f.properties.id !== 'TX'),
    feature({ id: 'TX', kind: 'transformer', feeder: 'FD', rating_kva: 160 }, point(8.8, 47.6)),
  ]
  const after = zoneDefs(changed, accounts, meta)
  expect(after.filter((d) => d.version !== before.get(d.zone)).map((d) => d.zone)).toEqual(['FD'])
  expect(
    zoneDefs(town, [], meta)
      .filter((d) => d.version !== before.get(d.zone))
      .map((d) => d.zone),
  ).toEqual(['D1'])
})

test('a district that only its meters name is a zone without area', () => {
  const defs = zoneDefs([feature({ id: 'W', kind: 'water_meter', dma: 'ghost', gateway: 'G' })], [], meta)
  expect(defs).toMatchObject([{ zone: 'ghost', kind: 'dma', area: undefined, gateways: [{ id: 'G', zones: ['ghost'] }] }])
})

test('an empty registry has no zones', () => {
  expect(zoneDefs([], [], meta)).toEqual([])
})

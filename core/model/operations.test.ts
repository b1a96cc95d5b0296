import { expect, test } from 'vitest'
import type { AssetFeature } from './asset.ts'
import { operationRouter } from './operations.ts'
import { zoneDefs } from './zones.ts'

const feature = (properties: object): AssetFeature => ({
  type: 'Feature',
  geometry: null,
  properties: properties as AssetFeature['properties'],
})
const defs = zoneDefs(
  [
    feature({ id: 'A', kind: 'dma' }),
    feature({ id: 'B', kind: 'dma' }),
    feature({ id: 'F1', kind: 'feeder', substation: 'S' }),
    feature({ id: 'F2', kind: 'feeder', substation: 'S' }),
    feature({ id: 'T1', kind: 'transformer', feeder: 'F1' }),
    feature({ id: 'E1', kind: 'electric_meter', feeder: 'F1', transformer: 'T1', gateway: 'G', role: 'customer' }),
    feature({
      id: 'Q1',
      kind: 'flow_meter',
      gateway: 'G',
      flows: [
        { dma: 'A', sign: 1 },
        { dma: 'B', sign: -1 },
      ],
    }),
    feature({ id: 'P1', kind: 'pipe', from: 'x', to: 'y', dma: 'B' }),
    feature({ id: 'T0', kind: 'tank' }),
  ],
  [],
  { timezone: 'UTC', warmupUntilMs: 0 },
)
const zones = operationRouter(defs)

test.each([
  ['network', '', ['A', 'B', 'F1', 'F2', 'network']],
  ['dma', 'A', ['A']],
  ['feeder', 'F2', ['F2']],
  ['transformer', 'T1', ['F1']],
  ['meter', 'E1', ['F1']],
  ['asset', 'Q1', ['A', 'B']],
  ['asset', 'P1', ['B']],
  ['asset', 'S', ['F1', 'F2']],
  ['asset', 'T0', ['network']],
  ['meter', 'unheard of', ['network']],
] as const)('%s %s', (scopeType, scope, expected) => {
  expect(zones({ scopeType, scope })).toEqual(expected)
})

import { describe, expect, it } from 'vitest'
import type { AssetProperties } from '#model/asset.ts'
import type { LiveValue } from '#model/live-events.ts'
import { badValues, isStale, mergeValues, nowMs, onValues, values } from './store.ts'

const value = (tsMs: number, v: number): LiveValue => ['P', 'pressure_bar', '', tsMs, v, 'good']
const shown = () => values.get('P')?.get('pressure_bar')?.value

describe('values', () => {
  it('never go back, and what is no number is counted and left out', () => {
    const changed: string[][] = []
    onValues((ids) => void changed.push([...ids]))
    mergeValues([value(10, 3)], true)
    mergeValues([value(5, 9)], false)
    expect(shown()).toBe(3)
    // JSON has no NaN: it arrives as null.
    mergeValues([value(20, null as unknown as number), value(20, Number.NaN), value(30, 4)], false)
    expect([shown(), badValues.value, changed]).toEqual([4, 2, [['P'], [], ['P']]])
  })

  it('are stale after three of their own intervals', () => {
    nowMs.value = 10_000_000
    const sensor = { id: 'P', kind: 'pressure_sensor', gateway: 'G', interval_s: 300 } as AssetProperties
    expect([isStale(sensor, 10_000_000 - 900_000), isStale(sensor, 10_000_000 - 900_001)]).toEqual([false, true])
  })
})

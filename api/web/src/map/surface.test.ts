import { describe, expect, it } from 'vitest'
import { gridOf, isolineFeatures, surfaceFeatures } from './surface.ts'

// Nine sensors on a slope from 3 to 5 bar.
const gauges = [0, 1, 2].flatMap((x) => [0, 1, 2].map((y) => ({ lon: 8 + x / 200, lat: 47 + y / 200, value: 3 + (x + y) / 2 })))

describe('the pressure surface', () => {
  it('stays between what was measured, and says nothing far from sensors', () => {
    const grid = gridOf(gauges)
    const known = [...(grid?.values ?? [])].filter(Number.isFinite)
    expect([Math.min(...known) >= 3, Math.max(...known) <= 5, known.length < (grid?.values.length ?? 0)]).toEqual([true, true, true])
    expect(surfaceFeatures(grid as never).length).toBeGreaterThan(100)
  })

  it('needs three sensors, and leaves out what is no number', () => {
    expect(gridOf(gauges.slice(0, 2))).toBeUndefined()
    expect(gridOf([...gauges.slice(0, 2), { lon: 8, lat: 47.01, value: Number.NaN }])).toBeUndefined()
  })

  it('draws lines where the value is that of the line', () => {
    const lines = isolineFeatures(gridOf(gauges) as never, 0.5)
    expect(lines.map((f) => f.properties?.value)).toEqual([3.5, 4, 4.5])
  })
})

// Pressure between the sensors: inverse distance weighting on a grid (Shepard, 1968), and lines of equal pressure by marching squares.
// A picture to look at, not a hydraulic model: it knows no pipes and no heights. Pure.
import type { Feature } from 'geojson'

export interface Gauge {
  lon: number
  lat: number
  value: number
}

export interface Grid {
  west: number
  south: number
  cellLon: number
  cellLat: number
  columns: number
  rows: number
  /** Row by row from the south-west; NaN where no sensor is near. */
  values: Float64Array
}

const COLUMNS = 72
const POWER = 2
/** Sensors that count at a point: the nearest ones. */
const NEAREST = 6
/** Farther from any sensor than this share of the extent nothing is said. */
const REACH = 0.14

export function gridOf(gauges: readonly Gauge[]): Grid | undefined {
  const sound = gauges.filter((g) => [g.lon, g.lat, g.value].every(Number.isFinite))
  if (sound.length < 3) return undefined
  const shrink = Math.cos(((sound[0] as Gauge).lat * Math.PI) / 180)
  const xs = sound.map((g) => g.lon)
  const ys = sound.map((g) => g.lat)
  const margin = 0.05 * Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys), 1e-4)
  const west = Math.min(...xs) - margin
  const south = Math.min(...ys) - margin
  const width = Math.max(...xs) + margin - west
  const height = Math.max(...ys) + margin - south
  const cellLon = width / COLUMNS
  const cellLat = cellLon * shrink
  const rows = Math.max(2, Math.min(4 * COLUMNS, Math.ceil(height / cellLat)))
  const reach = REACH * Math.max(width * shrink, height)
  const values = new Float64Array((COLUMNS + 1) * (rows + 1))
  for (let r = 0; r <= rows; r++)
    for (let c = 0; c <= COLUMNS; c++)
      values[r * (COLUMNS + 1) + c] = valueAt(sound, west + c * cellLon, south + r * cellLat, { shrink, reach })
  return { west, south, cellLon, cellLat, columns: COLUMNS, rows, values }
}

function valueAt(gauges: readonly Gauge[], lon: number, lat: number, { shrink, reach }: { shrink: number; reach: number }): number {
  const near: { d: number; value: number }[] = []
  for (const g of gauges) {
    const d = Math.hypot((g.lon - lon) * shrink, g.lat - lat)
    if (d < 1e-9) return g.value
    if (near.length < NEAREST || d < (near.at(-1) as { d: number }).d) {
      near.push({ d, value: g.value })
      near.sort((a, b) => a.d - b.d)
      if (near.length > NEAREST) near.pop()
    }
  }
  if ((near[0]?.d ?? Number.POSITIVE_INFINITY) > reach) return Number.NaN
  let sum = 0
  let weights = 0
  for (const n of near) {
    const w = 1 / n.d ** POWER
    sum += w * n.value
    weights += w
  }
  return sum / weights
}

/** Cells as squares with their mean. */
export function surfaceFeatures(g: Grid): Feature[] {
  const out: Feature[] = []
  for (let r = 0; r < g.rows; r++) {
    for (let c = 0; c < g.columns; c++) {
      const [a, b, d, e] = corners(g, r, c)
      const mean = (a + b + d + e) / 4
      if (!Number.isFinite(mean)) continue
      const [x, y] = [g.west + c * g.cellLon, g.south + r * g.cellLat]
      const ring = [
        [x, y],
        [x + g.cellLon, y],
        [x + g.cellLon, y + g.cellLat],
        [x, y + g.cellLat],
        [x, y],
      ]
      out.push({ type: 'Feature', geometry: { type: 'Polygon', coordinates: [ring] }, properties: { kind: 'cell', value: mean } })
    }
  }
  return out
}

/** South-west, south-east, north-east, north-west. */
function corners(g: Grid, r: number, c: number): [number, number, number, number] {
  const at = (row: number, column: number) => g.values[row * (g.columns + 1) + column] as number
  return [at(r, c), at(r, c + 1), at(r + 1, c + 1), at(r + 1, c)]
}

/** Lines of equal value each `step`, one feature a level. */
export function isolineFeatures(g: Grid, step: number): Feature[] {
  const finite = [...g.values].filter(Number.isFinite)
  if (finite.length === 0) return []
  const out: Feature[] = []
  for (let level = Math.ceil(Math.min(...finite) / step) * step; level <= Math.max(...finite); level += step) {
    const lines: number[][][] = []
    for (let r = 0; r < g.rows; r++) for (let c = 0; c < g.columns; c++) lines.push(...segments(g, { r, c, level }))
    if (lines.length === 0) continue
    const value = Math.round(level * 100) / 100
    out.push({
      type: 'Feature',
      geometry: { type: 'MultiLineString', coordinates: lines },
      properties: { kind: 'isoline', value, label: `${value} bar` },
    })
  }
  return out
}

/** The pieces of a level's line within a cell: it crosses two edges, or all four at a saddle. */
function segments(g: Grid, { r, c, level }: { r: number; c: number; level: number }): number[][][] {
  const v = corners(g, r, c)
  if (!v.every(Number.isFinite)) return []
  const [x, y] = [g.west + c * g.cellLon, g.south + r * g.cellLat]
  const at = [
    [x, y],
    [x + g.cellLon, y],
    [x + g.cellLon, y + g.cellLat],
    [x, y + g.cellLat],
  ]
  const crossings: number[][] = []
  for (let i = 0; i < 4; i++) {
    const [a, b] = [v[i] as number, v[(i + 1) % 4] as number]
    if (a >= level === b >= level) continue
    const share = (level - a) / (b - a)
    const [p, q] = [at[i] as number[], at[(i + 1) % 4] as number[]]
    crossings.push([
      (p[0] as number) + share * ((q[0] as number) - (p[0] as number)),
      (p[1] as number) + share * ((q[1] as number) - (p[1] as number)),
    ])
  }
  const out: number[][][] = []
  for (let i = 0; i + 1 < crossings.length; i += 2) out.push([crossings[i] as number[], crossings[i + 1] as number[]])
  return out
}

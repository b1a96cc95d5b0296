// From what the store knows to what the map shows: pure functions, one per kind of asset.
import type { Feature } from 'geojson'
import type { AssetFeature } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import type { CrewView } from '#model/live-events.ts'
import { formatValue } from '../format.ts'
import { tData } from '../i18n.ts'
import { isStale, PRESSURE_HIGH_BAR, PRESSURE_LOW_BAR, PRESSURE_VERY_LOW_BAR, type Value } from '../store.ts'
import type { SourceName } from './style.ts'

export type Props = Record<string, string | number | boolean>

const KIND_SOURCE: Record<string, SourceName> = {
  dma: 'zones',
  junction: 'network',
  tank: 'network',
  reservoir: 'network',
  pipe: 'network',
  valve: 'network',
  pump: 'network',
  substation: 'network',
  feeder: 'network',
  pressure_sensor: 'sensors',
  level_sensor: 'sensors',
  pump_sensor: 'sensors',
  flow_meter: 'sensors',
  transformer: 'transformers',
  water_meter: 'meters',
  electric_meter: 'meters',
}

/** The source an asset is drawn from; undefined when it is not drawn (gateways, plain junctions, things without a place). */
export function sourceOf(f: AssetFeature): SourceName | undefined {
  if (f.geometry === null || f.properties.kind === 'junction') return undefined
  return KIND_SOURCE[f.properties.kind]
}

/** Properties that never change. */
export function fixedProps(f: AssetFeature): Props {
  const p: Props = { id: f.properties.id, kind: f.properties.kind, state: 'normal', label: '' }
  if ('diameter_mm' in f.properties && typeof f.properties.diameter_mm === 'number') p.diameter_mm = f.properties.diameter_mm
  if (f.properties.kind === 'transformer') p.icon = 'tx-normal-0'
  return p
}

function severest(list: readonly Finding[]): Finding | undefined {
  const rank = { critical: 0, major: 1, minor: 2, warning: 3 }
  return [...list].sort((a, b) => rank[a.severity] - rank[b.severity])[0]
}

/** Properties that follow values and findings. `now` are the open findings whose scope or affected list names the asset. */
export function liveProps(f: AssetFeature, values: ReadonlyMap<string, Value> | undefined, now: readonly Finding[]): Props {
  const kind = f.properties.kind
  const worst = severest(now)
  if (kind === 'pressure_sensor') {
    const v = values?.get('pressure_bar')
    if (v === undefined) return { state: 'stale', label: '' }
    const state = isStale(f.properties, v.tsMs)
      ? 'stale'
      : v.value < PRESSURE_VERY_LOW_BAR
        ? 'critical'
        : v.value < PRESSURE_LOW_BAR
          ? 'major'
          : v.value > PRESSURE_HIGH_BAR
            ? 'minor'
            : (worst?.severity ?? 'normal')
    return { state, share: Math.max(0, Math.min(1, v.value / PRESSURE_HIGH_BAR)), label: v.value.toFixed(2) }
  }
  if (kind === 'flow_meter' || kind === 'level_sensor' || kind === 'pump_sensor') {
    const quantity = kind === 'flow_meter' ? 'flow_m3h' : kind === 'level_sensor' ? 'level_m' : 'pump_running'
    const v = values?.get(quantity)
    if (v === undefined) return { state: 'stale', label: '' }
    return { state: isStale(f.properties, v.tsMs) ? 'stale' : (worst?.severity ?? 'normal'), label: formatValue(quantity, v.value) }
  }
  if (kind === 'transformer') return transformerProps(f, values, worst)
  if (worst !== undefined) return { state: worst.severity, severity: worst.severity }
  return { state: 'normal' }
}

function transformerProps(f: AssetFeature, values: ReadonlyMap<string, Value> | undefined, worst: Finding | undefined): Props {
  const rating = 'rating_kva' in f.properties ? (f.properties.rating_kva as number | undefined) : undefined
  const v = values?.get('power_kw')
  const share = v !== undefined && rating !== undefined && rating > 0 ? Math.abs(v.value) / rating : 0
  const tenths = Math.max(0, Math.min(10, Math.round(share * 10)))
  const dark = worst?.kind === 'outage'
  const state = dark ? 'dark' : share > 1 ? 'over' : share > 0.8 ? 'high' : 'normal'
  const label =
    v === undefined
      ? ''
      : rating === undefined
        ? formatValue('power_kw', v.value)
        : `${formatValue('power_kw', v.value)} · ${Math.round(share * 100)} %`
  return { state: worst?.severity ?? 'normal', icon: `tx-${state}-${dark ? 10 : tenths}`, label }
}

/** More marked meters than that are a stain, not marks. */
const ABNORMAL_MAX = 20_000

/**
 * Meters that a finding concerns. They have a source of their own: the hundred thousand normal ones are looked at from nearby only, and
 * must cost nothing before.
 */
export function abnormalMeters(findingsOf: ReadonlyMap<string, readonly Finding[]>, assets: ReadonlyMap<string, AssetFeature>): Feature[] {
  const out: Feature[] = []
  for (const [id, list] of findingsOf) {
    const f = assets.get(id)
    if (f === undefined || f.geometry === null || KIND_SOURCE[f.properties.kind] !== 'meters') continue
    const severity = severest(list)?.severity ?? 'warning'
    out.push({ type: 'Feature', geometry: f.geometry as Feature['geometry'], properties: { id, severity, state: severity } })
    if (out.length === ABNORMAL_MAX) break
  }
  return out
}

/** The ids on the map that a finding concerns. */
export function concerned(f: Finding): string[] {
  return [f.scope.id, ...(f.affected ?? [])]
}

/** Where to put a finding's mark: its scope's place, the middle of its first candidate, or nowhere. */
export function placeOf(f: Finding, assets: ReadonlyMap<string, AssetFeature>): [number, number] | undefined {
  const first = f.candidates?.[0]
  const ids = first === undefined ? [f.scope.id] : [first.id, f.scope.id]
  for (const id of [...ids, ...(f.affected ?? [])]) {
    const at = centre(assets.get(id))
    if (at !== undefined) return at
  }
  return undefined
}

/** Middle of a geometry: a point itself, the middle vertex pair of a line, the mean of a polygon's outer ring. */
export function centre(f: AssetFeature | undefined): [number, number] | undefined {
  const g = f?.geometry
  if (g === null || g === undefined) return undefined
  if (g.type === 'Point') return g.coordinates as [number, number]
  const ring = (
    g.type === 'LineString'
      ? g.coordinates
      : g.type === 'Polygon' || g.type === 'MultiLineString'
        ? g.coordinates[0]
        : g.coordinates[0]?.[0]
  ) as [number, number][]
  if (ring === undefined || ring.length === 0) return undefined
  const [first, second] = ring
  if (g.type === 'LineString' && ring.length === 2 && first !== undefined && second !== undefined) {
    return [(first[0] + second[0]) / 2, (first[1] + second[1]) / 2]
  }
  if (g.type === 'LineString') return ring[Math.floor(ring.length / 2)]
  const [x, y] = ring.reduce(([sx, sy], [px, py]) => [sx + px, sy + py], [0, 0])
  return [x / ring.length, y / ring.length]
}

const RANK = { critical: 3, major: 2, minor: 1, warning: 0 }

/** More marks than that cover the map; what they are about keeps its colour. */
const MARKS_MAX = 400

/** @param findings most severe first */
export function incidentFeatures(findings: readonly Finding[], assets: ReadonlyMap<string, AssetFeature>): Feature[] {
  return findings.slice(0, MARKS_MAX).flatMap((f) => {
    const at = placeOf(f, assets)
    if (at === undefined) return []
    const label = f.scope.type === 'meter' || f.severity === 'warning' ? '' : `${tData('kind', f.kind)} ${f.scope.id}`
    return [
      {
        type: 'Feature' as const,
        geometry: { type: 'Point' as const, coordinates: at },
        properties: { id: f.id, severity: f.severity, rank: RANK[f.severity], label, asset: f.scope.id },
      },
    ]
  })
}

export function crewFeatures(crews: readonly CrewView[]): Feature[] {
  return crews.map((c) => ({
    type: 'Feature',
    geometry: { type: 'Point', coordinates: [c.lon, c.lat] },
    properties: { id: c.crew, label: c.crew, icon: c.stale ? 'crew-stale' : 'crew' },
  }))
}

// The one writer of map state. The registry is loaded once as a snapshot; after that only changed assets are sent to the map,
// collected over a quarter of a second, so that a storm of values costs the same as a trickle.
import { effect } from '@preact/signals'
import type { Feature, Geometry } from 'geojson'
import { type GeoJSONSource, type GeoJSONSourceDiff, Map as MapLibreMap, setWorkerUrl } from 'maplibre-gl'
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url'
import type { AssetFeature } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import type { CrewView } from '#model/live-events.ts'
import { route } from '../router.ts'
import {
  added,
  assets,
  crews,
  isStale,
  mapPlace,
  onValues,
  playback,
  selected,
  shownFindings,
  shownValues,
  staleSensors,
  traced,
  trail,
} from '../store.ts'
import { colours } from '../theme.ts'
import { hiddenLayers, LAYER_GROUPS, LAYERS_OF, type LayerGroup, surface } from './choices.ts'
import {
  abnormalMeters,
  centre,
  concerned,
  crewFeatures,
  fixedProps,
  incidentFeatures,
  liveProps,
  type Props,
  sourceOf,
} from './features.ts'
import { crewIcon, flowMeterIcon, ICON_RATIO, incidentIcon, transformerIcon } from './icons.ts'
import { CLICKABLE, type SourceName, styleOf } from './style.ts'
import { type Gauge, gridOf, isolineFeatures, surfaceFeatures } from './surface.ts'

setWorkerUrl(new URL(workerUrl, location.href).href)

const FLUSH_MS = 250
/** From here on figures stand beside sensors and transformers. */
const READABLE_ZOOM = 12.5
/** A small network is drawn anew as a whole without anybody noticing. */
const FEW = 5_000
/** Properties that say what something is, not how much. */
const STATES = new Set(['state', 'severity', 'candidate'])
/** Assets added to the map in one turn. */
const PIECE = 2_000
const STALE_SWEEP_MS = 5000
const SURFACE_MS = 5000
/** Between lines of equal pressure. */
const ISOLINE_BAR = 0.25

export class MapWriter {
  readonly map: MapLibreMap
  private readonly dirty = new Set<string>()
  private findingsOf = new Map<string, Finding[]>()
  private readonly shown = new Map<string, Props>()
  private candidates = new Map<string, number>()
  private ready = false
  private fitted = false
  private surfaceDue = false
  /** Assets whose newest figure is not on the map yet. */
  private readonly unread = new Set<string>()
  private extent: [number, number, number, number] = [180, 90, -180, -90]
  private readonly timers: ReturnType<typeof setInterval>[] = []
  private readonly stops: (() => void)[] = []

  constructor(container: HTMLElement) {
    this.map = new MapLibreMap({
      container,
      style: styleOf(colours.value),
      center: [0, 0],
      zoom: 12,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      fadeDuration: 0,
      maxZoom: 20,
    })
    this.map.touchZoomRotate.disableRotation()
    this.map.on('load', () => this.begin())
    this.map.on('moveend', () => {
      const { lng, lat } = this.map.getCenter()
      // What came into sight says what it says now.
      this.readAgain()
      mapPlace.value = `${lng.toFixed(5)},${lat.toFixed(5)},${this.map.getZoom().toFixed(2)}`
    })
    this.map.on('click', (event) => {
      const hit = this.map.queryRenderedFeatures(event.point, { layers: CLICKABLE.filter((l) => this.map.getLayer(l) !== undefined) })[0]
      const id = hit?.properties.asset ?? hit?.properties.id
      selected.value = typeof id === 'string' ? id : null
    })
  }

  close(): void {
    for (const timer of this.timers) clearInterval(timer)
    for (const stop of this.stops) stop()
    this.map.remove()
  }

  private begin(): void {
    this.ready = true
    onValues((changed) => {
      for (const id of changed) this.dirty.add(id)
    })
    this.drawIcons()
    let themed = colours.peek()
    this.stops.push(
      effect(() => {
        const c = colours.value
        if (c === themed) return
        themed = c
        // A new style begins with empty sources and without images: everything is shown again.
        this.map.setStyle(styleOf(c), { diff: false })
        this.map.once('style.load', () => {
          this.drawIcons()
          this.shown.clear()
          this.addAssets([...assets.peek().values()])
          this.showFindings(shownFindings.peek())
          this.showCrews([...crews.peek().values()])
          this.showSelection(selected.peek())
          this.showTrace(traced.peek(), trail.peek())
          this.showSurface()
          for (const group of LAYER_GROUPS) this.showLayers(group, !hiddenLayers.peek().has(group))
        })
      }),
      effect(() => this.addAssets(added.value)),
      effect(() => {
        // What a finding concerns may come with a later part of the registry.
        void added.value
        this.showFindings(shownFindings.value)
      }),
      effect(() => {
        // Another time: everything that has values is looked at anew.
        void (playback.value === null)
        for (const [id, f] of assets.peek()) if (sourceOf(f) === 'sensors' || sourceOf(f) === 'transformers') this.dirty.add(id)
        this.surfaceDue = true
      }),
      effect(() => {
        for (const group of LAYER_GROUPS) this.showLayers(group, !hiddenLayers.value.has(group))
      }),
      effect(() => {
        void surface.value
        this.showSurface()
      }),
      effect(() => this.showCrews([...crews.value.values()])),
      effect(() => this.showSelection(selected.value)),
      effect(() => this.showTrace(traced.value, trail.value)),
    )
    this.timers.push(
      setInterval(() => this.flush(), FLUSH_MS),
      setInterval(() => {
        if (surface.peek() !== 'none' || this.surfaceDue) this.showSurface()
      }, SURFACE_MS),
      setInterval(() => this.sweep(), STALE_SWEEP_MS),
    )
  }

  private readAgain(): void {
    if (this.map.getZoom() < READABLE_ZOOM) return
    const view = this.map.getBounds()
    for (const id of this.unread) {
      const at = centre(assets.peek().get(id))
      if (at !== undefined && view.contains(at)) this.dirty.add(id)
    }
  }

  /** What grows old does so without news: all sensors are looked at now and then. */
  private sweep(): void {
    const count = { stale: 0, of: 0 }
    for (const [id, f] of assets.peek()) {
      if (sourceOf(f) !== 'sensors') continue
      count.of += 1
      let newest = 0
      for (const v of shownValues().get(id)?.values() ?? []) if (v.tsMs > newest) newest = v.tsMs
      const stale = isStale(f.properties, newest)
      if (stale) count.stale += 1
      if (stale !== (this.shown.get(id)?.state === 'stale')) this.dirty.add(id)
    }
    staleSensors.value = count
  }

  private source(name: SourceName | 'selection' | 'trace' | 'surface' | 'abnormal'): GeoJSONSource | undefined {
    return this.ready ? (this.map.getSource(name) as GeoJSONSource | undefined) : undefined
  }

  private drawIcons(): void {
    const c = colours.value
    const put = (name: string, data: ImageData): void => {
      if (this.map.hasImage(name)) this.map.updateImage(name, data)
      else this.map.addImage(name, data, { pixelRatio: ICON_RATIO })
    }
    for (let tenths = 0; tenths <= 10; tenths++) {
      put(`tx-normal-${tenths}`, transformerIcon(tenths, c.normal, c.normal, c.ground, false))
      put(`tx-high-${tenths}`, transformerIcon(tenths, c.minor, c.minor, c.ground, false))
      put(`tx-over-${tenths}`, transformerIcon(tenths, c.major, c.major, c.ground, false))
    }
    put('tx-dark-10', transformerIcon(0, c.critical, c.critical, c.ground, true))
    put('flow-meter', flowMeterIcon(c.normal, c.ground))
    put('crew', crewIcon(c.crew, c.ground, false))
    put('crew-stale', crewIcon(c.crew, c.ground, true))
    for (const s of ['critical', 'major', 'minor', 'warning'] as const) put(`incident-${s}`, incidentIcon(s, c[s], c.ground))
  }

  /** Adds assets in pieces, a piece a turn, so that a registry of any size never holds up the page. */
  private addAssets(list: readonly AssetFeature[]): void {
    if (this.shown.size === 0) this.addPiece([...assets.peek().values()], 0)
    else this.addPiece(list, 0)
  }

  private addPiece(list: readonly AssetFeature[], from: number): void {
    const by = new Map<SourceName, Feature[]>()
    for (const f of list.slice(from, from + PIECE)) {
      const { id } = f.properties
      const source = sourceOf(f)
      if (source === undefined || this.shown.has(id)) continue
      const props = { ...fixedProps(f), ...this.propsOf(id, f) }
      this.shown.set(id, props)
      const features = by.get(source) ?? []
      features.push({ type: 'Feature', geometry: f.geometry as Geometry, properties: props })
      by.set(source, features)
      this.extend(centre(f))
    }
    for (const [name, add] of by) this.update(name, { add })
    if (from + PIECE < list.length) setTimeout(() => this.addPiece(list, from + PIECE), 0)
    else {
      this.fit()
      this.sweep()
    }
  }

  private extend(at: [number, number] | undefined): void {
    if (at === undefined) return
    const e = this.extent
    this.extent = [Math.min(e[0], at[0]), Math.min(e[1], at[1]), Math.max(e[2], at[0]), Math.max(e[3], at[1])]
  }

  /** Once: where the link says, else the whole network. */
  private fit(): void {
    const [west, south, east, north] = this.extent
    if (this.fitted || east < west) return
    this.fitted = true
    const place = placeOfLink()
    if (place !== undefined) this.map.jumpTo(place)
    else this.map.fitBounds([west, south, east, north], { padding: 48, animate: false })
  }

  private update(name: SourceName, diff: GeoJSONSourceDiff): void {
    this.source(name)
      ?.updateData(diff)
      .catch((error: unknown) => console.error(`map source ${name}:`, error))
  }

  private propsOf(id: string, f: AssetFeature): Props {
    const props = liveProps(f, shownValues().get(id), this.findingsOf.get(id) ?? [])
    if (f.properties.kind === 'pipe' || f.properties.kind === 'valve') props.candidate = this.candidates.get(id) ?? 0
    return props
  }

  private showFindings(open: readonly Finding[]): void {
    const next = new Map<string, Finding[]>()
    const candidates = new Map<string, number>()
    for (const f of open) {
      for (const id of concerned(f)) {
        const list = next.get(id)
        if (list === undefined) next.set(id, [f])
        else list.push(f)
      }
      const best = f.candidates?.[0]?.score ?? 1
      for (const c of f.candidates ?? []) candidates.set(c.id, Math.max(candidates.get(c.id) ?? 0, best > 0 ? c.score / best : 1))
    }
    for (const id of this.findingsOf.keys()) this.dirty.add(id)
    for (const id of next.keys()) this.dirty.add(id)
    for (const id of this.candidates.keys()) this.dirty.add(id)
    for (const id of candidates.keys()) this.dirty.add(id)
    this.findingsOf = next
    this.candidates = candidates
    this.source('incidents')?.setData({ type: 'FeatureCollection', features: incidentFeatures(open, assets.value) })
    this.source('abnormal')?.setData({ type: 'FeatureCollection', features: abnormalMeters(next, assets.value) })
  }

  private showCrews(list: readonly CrewView[]): void {
    void this.source('crews')?.setData({ type: 'FeatureCollection', features: crewFeatures(list) })
  }

  private showSelection(id: string | null): void {
    const at = id === null ? undefined : centre(assets.peek().get(id))
    this.source('selection')?.setData({
      type: 'FeatureCollection',
      features: at === undefined ? [] : [{ type: 'Feature', geometry: { type: 'Point', coordinates: at }, properties: { id } }],
    })
    // The detail covers the lower part of the map: what is selected moves out from under it.
    const point = at === undefined ? undefined : this.map.project(at)
    const { clientWidth, clientHeight } = this.map.getContainer()
    if (at !== undefined && point !== undefined && (point.x < 0 || point.x > clientWidth || point.y < 0 || point.y > clientHeight * 0.5)) {
      this.map.easeTo({ center: at, offset: [0, -clientHeight * 0.22], duration: 400 })
    }
  }

  private showLayers(group: LayerGroup, visible: boolean): void {
    for (const layer of LAYERS_OF[group])
      if (this.map.getLayer(layer) !== undefined) this.map.setLayoutProperty(layer, 'visibility', visible ? 'visible' : 'none')
  }

  /** Pressure between the sensors that are not stale. */
  private showSurface(): void {
    this.surfaceDue = false
    const kind = surface.peek()
    const gauges: Gauge[] = []
    if (kind !== 'none')
      for (const f of assets.peek().values()) {
        const at = f.properties.kind === 'pressure_sensor' ? centre(f) : undefined
        const v = at === undefined ? undefined : shownValues().get(f.properties.id)?.get('pressure_bar')
        if (at !== undefined && v !== undefined && !isStale(f.properties, v.tsMs)) gauges.push({ lon: at[0], lat: at[1], value: v.value })
      }
    const grid = kind === 'none' ? undefined : gridOf(gauges)
    const features = grid === undefined ? [] : kind === 'surface' ? surfaceFeatures(grid) : isolineFeatures(grid, ISOLINE_BAR)
    this.source('surface')?.setData({ type: 'FeatureCollection', features })
  }

  private showTrace(trace: typeof traced.value, positions: typeof trail.value): void {
    const feature =
      (way: 'up' | 'down') =>
      (id: string): Feature[] => {
        const f = assets.peek().get(id)
        return f === undefined || f.geometry === null
          ? []
          : [{ type: 'Feature', geometry: f.geometry as Geometry, properties: { id, way } }]
      }
    const features = trace === null ? [] : [...trace.downstream.flatMap(feature('down')), ...trace.upstream.flatMap(feature('up'))]
    if (positions.length > 1)
      features.push({
        type: 'Feature',
        geometry: { type: 'LineString', coordinates: positions as [number, number][] },
        properties: { way: 'trail' },
      })
    this.source('trace')?.setData({ type: 'FeatureCollection', features })
  }

  /**
   * Sends the properties that really changed. A change of state is sent wherever it is; a new figure only where it can be read: of what
   * is out of sight or too small it waits in `unread`, because each change makes the map draw its tiles anew.
   */
  private flush(): void {
    if (this.dirty.size === 0 || !this.ready) return
    const diffs = new Map<SourceName, GeoJSONSourceDiff>()
    const readable = this.map.getZoom() >= READABLE_ZOOM
    const view = this.map.getBounds()
    for (const id of this.dirty) {
      const f = assets.peek().get(id)
      const source = f === undefined ? undefined : sourceOf(f)
      if (f === undefined || source === undefined) continue
      const next = this.propsOf(id, f)
      const old = this.shown.get(id)
      // Added with what it says now when its piece comes.
      if (old === undefined) continue
      const changes = Object.entries(next)
        .filter(([k, v]) => old[k] !== v)
        .map(([key, value]) => ({ key, value }))
      if (changes.length === 0) continue
      const at = centre(f)
      if (this.shown.size > FEW && !changes.some((c) => STATES.has(c.key)) && (!readable || at === undefined || !view.contains(at))) {
        this.unread.add(id)
        continue
      }
      this.unread.delete(id)
      this.shown.set(id, { ...old, ...next })
      let diff = diffs.get(source)
      if (diff === undefined) {
        diff = { update: [] }
        diffs.set(source, diff)
      }
      diff.update?.push({ id, addOrUpdateProperties: changes })
    }
    this.dirty.clear()
    for (const [name, diff] of diffs) this.update(name, diff)
  }
}

/** Place in the address: `c=lon,lat,zoom`. */
function placeOfLink(): { center: [number, number]; zoom: number } | undefined {
  const [lon, lat, zoom] = (route.peek().params.get('c') ?? '').split(',').map(Number)
  if (lon === undefined || lat === undefined || zoom === undefined || ![lon, lat, zoom].every(Number.isFinite)) return undefined
  return { center: [lon, lat], zoom }
}

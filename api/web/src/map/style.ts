// The map's layers, from bottom to top, in the colours of a theme. No base map is fetched: the network is the map.
import type { LayerSpecification, StyleSpecification } from 'maplibre-gl'

export type Colours = Record<
  | 'ground'
  | 'zone'
  | 'zoneLine'
  | 'pipe'
  | 'feeder'
  | 'normal'
  | 'normalDeep'
  | 'text'
  | 'halo'
  | 'critical'
  | 'major'
  | 'minor'
  | 'warning'
  | 'crew',
  string
>

export const SOURCES = ['zones', 'network', 'sensors', 'transformers', 'meters', 'incidents', 'crews'] as const
export type SourceName = (typeof SOURCES)[number]

const FONT = ['Noto Sans Regular', 'Noto Sans CJK SC Regular']

/** Colour of a state; `normal` follows the value between two greys. */
function stateColour(c: Colours): unknown[] {
  return [
    'match',
    ['get', 'state'],
    'critical',
    c.critical,
    'major',
    c.major,
    'minor',
    c.minor,
    'warning',
    c.warning,
    ['interpolate', ['linear'], ['coalesce', ['get', 'share'], 0.5], 0, c.normalDeep, 1, c.normal],
  ]
}

function layers(c: Colours): LayerSpecification[] {
  const severity = ['match', ['get', 'severity'], 'critical', c.critical, 'major', c.major, 'minor', c.minor, c.warning]
  const list: unknown[] = [
    { id: 'ground', type: 'background', paint: { 'background-color': c.ground } },
    {
      id: 'zone-fill',
      type: 'fill',
      source: 'zones',
      paint: {
        'fill-color': ['match', ['get', 'state'], 'normal', c.zone, severity],
        'fill-opacity': ['match', ['get', 'state'], 'normal', 1, 0.16],
      },
    },
    {
      id: 'surface',
      type: 'fill',
      source: 'surface',
      filter: ['==', ['get', 'kind'], 'cell'],
      paint: {
        // Grey while pressure is as it should be; the colours of the sensors where it is not.
        'fill-color': [
          'interpolate',
          ['linear'],
          ['get', 'value'],
          0.5,
          c.critical,
          1.5,
          c.major,
          2,
          c.ground,
          5,
          c.normalDeep,
          7.5,
          c.normal,
          8,
          c.minor,
        ],
        'fill-opacity': 0.75,
        'fill-antialias': false,
      },
    },
    {
      id: 'isolines',
      type: 'line',
      source: 'surface',
      filter: ['==', ['get', 'kind'], 'isoline'],
      paint: { 'line-color': ['step', ['get', 'value'], c.critical, 0.5, c.major, 1.5, c.normal, 8, c.minor], 'line-width': 1 },
    },
    {
      id: 'isoline-labels',
      type: 'symbol',
      source: 'surface',
      filter: ['==', ['get', 'kind'], 'isoline'],
      layout: { 'symbol-placement': 'line', 'symbol-spacing': 220, 'text-field': ['get', 'label'], 'text-font': FONT, 'text-size': 11 },
      paint: { 'text-color': c.text, 'text-halo-color': c.halo, 'text-halo-width': 1.5 },
    },
    {
      id: 'zone-line',
      type: 'line',
      source: 'zones',
      paint: {
        'line-color': ['match', ['get', 'state'], 'normal', c.zoneLine, severity],
        'line-width': ['match', ['get', 'state'], 'normal', 1, 2.5],
      },
    },
    {
      id: 'pipes',
      type: 'line',
      source: 'network',
      filter: ['in', ['get', 'kind'], ['literal', ['pipe', 'valve', 'pump']]],
      paint: {
        'line-color': c.pipe,
        'line-width': [
          'interpolate',
          ['linear'],
          ['zoom'],
          12,
          ['max', 0.4, ['/', ['coalesce', ['get', 'diameter_mm'], 100], 250]],
          17,
          ['max', 1, ['/', ['coalesce', ['get', 'diameter_mm'], 100], 50]],
        ],
      },
    },
    {
      id: 'feeders',
      type: 'line',
      source: 'network',
      filter: ['==', ['get', 'kind'], 'feeder'],
      paint: { 'line-color': c.feeder, 'line-width': 1.5, 'line-dasharray': [4, 2] },
    },
    {
      id: 'candidates',
      type: 'line',
      source: 'network',
      filter: ['>', ['coalesce', ['get', 'candidate'], 0], 0],
      layout: { 'line-cap': 'round' },
      paint: {
        'line-color': c.major,
        'line-opacity': ['interpolate', ['linear'], ['get', 'candidate'], 0, 0.35, 1, 0.95],
        'line-width': 6,
      },
    },
    {
      id: 'trace-lines',
      type: 'line',
      source: 'trace',
      filter: ['==', ['geometry-type'], 'LineString'],
      layout: { 'line-cap': 'round' },
      paint: {
        'line-color': ['match', ['get', 'way'], 'trail', c.crew, c.text],
        'line-width': ['match', ['get', 'way'], 'up', 4, 2.5],
        'line-opacity': 0.9,
      },
    },
    {
      id: 'trace-points',
      type: 'circle',
      source: 'trace',
      filter: ['==', ['geometry-type'], 'Point'],
      paint: { 'circle-radius': 3, 'circle-color': c.text, 'circle-stroke-color': c.halo, 'circle-stroke-width': 1 },
    },
    {
      id: 'nodes',
      type: 'circle',
      source: 'network',
      filter: ['in', ['get', 'kind'], ['literal', ['tank', 'reservoir', 'substation']]],
      paint: { 'circle-radius': 6, 'circle-color': c.zone, 'circle-stroke-color': c.normal, 'circle-stroke-width': 2 },
    },
    {
      id: 'meters',
      type: 'circle',
      source: 'meters',
      minzoom: 14.5,
      paint: {
        'circle-radius': ['interpolate', ['linear'], ['zoom'], 14.5, 1.2, 17, 3.5],
        'circle-color': ['match', ['get', 'state'], 'normal', c.normalDeep, severity],
      },
    },
    {
      id: 'meters-abnormal',
      type: 'circle',
      source: 'abnormal',
      paint: { 'circle-radius': 5, 'circle-color': severity, 'circle-stroke-color': c.halo, 'circle-stroke-width': 1.5 },
    },
    {
      // From afar a square of its load is a dot; what is abnormal keeps its colour and size.
      id: 'transformers-far',
      type: 'circle',
      source: 'transformers',
      maxzoom: 12.5,
      paint: {
        'circle-radius': ['match', ['get', 'state'], 'normal', 1.5, 5],
        'circle-color': ['match', ['get', 'state'], 'normal', c.normalDeep, stateColour(c)],
      },
    },
    {
      id: 'transformers',
      type: 'symbol',
      source: 'transformers',
      minzoom: 12.5,
      layout: {
        'icon-image': ['get', 'icon'],
        'icon-allow-overlap': true,
        'icon-size': ['interpolate', ['linear'], ['zoom'], 12, 0.7, 16, 1.1],
        'text-field': ['step', ['zoom'], '', 14.6, ['get', 'label']],
        'text-font': FONT,
        'text-size': 11,
        'text-offset': [0, 1.1],
        'text-anchor': 'top',
        'text-optional': true,
      },
      paint: { 'text-color': c.text, 'text-halo-color': c.halo, 'text-halo-width': 1.5 },
    },
    {
      id: 'flow-meters',
      type: 'symbol',
      source: 'sensors',
      filter: ['==', ['get', 'kind'], 'flow_meter'],
      layout: {
        'icon-image': 'flow-meter',
        'icon-allow-overlap': true,
        'text-field': ['step', ['zoom'], '', 12.5, ['get', 'label']],
        'text-font': FONT,
        'text-size': 12,
        'text-offset': [0, 0.9],
        'text-anchor': 'top',
        'text-optional': true,
      },
      paint: { 'text-color': c.text, 'text-halo-color': c.halo, 'text-halo-width': 1.5 },
    },
    {
      id: 'sensors',
      type: 'circle',
      source: 'sensors',
      filter: ['!=', ['get', 'kind'], 'flow_meter'],
      paint: {
        'circle-radius': ['interpolate', ['linear'], ['zoom'], 10, ['match', ['get', 'state'], 'normal', 1.5, 4.5], 12, 4.5, 16, 8],
        'circle-color': ['match', ['get', 'state'], 'stale', c.ground, stateColour(c)],
        'circle-stroke-color': ['match', ['get', 'state'], 'stale', c.normal, c.halo],
        'circle-stroke-width': 1.5,
      },
    },
    {
      id: 'sensor-labels',
      type: 'symbol',
      source: 'sensors',
      filter: ['!=', ['get', 'kind'], 'flow_meter'],
      minzoom: 13,
      layout: { 'text-field': ['get', 'label'], 'text-font': FONT, 'text-size': 12, 'text-offset': [0.8, 0], 'text-anchor': 'left' },
      paint: { 'text-color': c.text, 'text-halo-color': c.halo, 'text-halo-width': 1.5 },
    },
    {
      id: 'crews',
      type: 'symbol',
      source: 'crews',
      layout: {
        'icon-image': ['get', 'icon'],
        'icon-allow-overlap': true,
        'text-field': ['get', 'label'],
        'text-font': FONT,
        'text-size': 11,
        'text-offset': [0, 1.2],
        'text-anchor': 'top',
        'text-optional': true,
      },
      paint: { 'text-color': c.crew, 'text-halo-color': c.halo, 'text-halo-width': 1.5 },
    },
    {
      id: 'incidents',
      type: 'symbol',
      source: 'incidents',
      layout: {
        'icon-image': ['concat', 'incident-', ['get', 'severity']],
        'icon-allow-overlap': true,
        'symbol-sort-key': ['get', 'rank'],
        'text-field': ['get', 'label'],
        'text-font': FONT,
        'text-size': 12,
        'text-offset': [1.2, 0],
        'text-anchor': 'left',
        'text-optional': true,
      },
      paint: { 'text-color': c.text, 'text-halo-color': c.halo, 'text-halo-width': 2 },
    },
    {
      id: 'selection',
      type: 'circle',
      source: 'selection',
      paint: { 'circle-radius': 14, 'circle-color': 'transparent', 'circle-stroke-color': c.text, 'circle-stroke-width': 2 },
    },
  ]
  return list as LayerSpecification[]
}

export function styleOf(c: Colours): StyleSpecification {
  const empty = { type: 'FeatureCollection' as const, features: [] }
  return {
    version: 8,
    sources: Object.fromEntries(
      [...SOURCES, 'trace', 'surface', 'abnormal', 'selection'].map((name) => [
        name,
        { type: 'geojson' as const, data: empty, promoteId: 'id' },
      ]),
    ),
    layers: layers(c),
  }
}

/** Layers that answer a click, topmost first. */
export const CLICKABLE = [
  'incidents',
  'crews',
  'sensors',
  'flow-meters',
  'transformers',
  'transformers-far',
  'meters-abnormal',
  'meters',
  'zone-fill',
]

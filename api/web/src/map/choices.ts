// What a person chose to see on the map.
import { signal } from '@preact/signals'

export const LAYER_GROUPS = ['network', 'meters', 'sensors', 'transformers', 'crews', 'incidents'] as const
export type LayerGroup = (typeof LAYER_GROUPS)[number]

/** Layers of the style by group. */
export const LAYERS_OF: Record<LayerGroup, readonly string[]> = {
  network: ['pipes', 'feeders', 'nodes'],
  meters: ['meters'],
  sensors: ['sensors', 'sensor-labels', 'flow-meters'],
  transformers: ['transformers', 'transformers-far'],
  crews: ['crews'],
  incidents: ['incidents'],
}

export const hiddenLayers = signal<ReadonlySet<LayerGroup>>(new Set())
export const surface = signal<'none' | 'surface' | 'isolines'>('none')

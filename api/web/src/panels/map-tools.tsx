// What the map shows beside the network: layers, the pressure between sensors, another time, a wall screen.
import { t } from '../i18n.ts'
import { hiddenLayers, LAYER_GROUPS, type LayerGroup, surface } from '../map/choices.ts'
import { seek } from '../playback.ts'
import { nowMs, playback } from '../store.ts'
import { setWall } from '../wall.ts'

const HOUR_MS = 3_600_000

export function MapTools() {
  const toggle = (name: LayerGroup) => {
    const next = new Set(hiddenLayers.value)
    if (!next.delete(name)) next.add(name)
    hiddenLayers.value = next
  }
  return (
    <div class="map-tools">
      <button
        type="button"
        aria-pressed={surface.value === 'surface'}
        onClick={() => {
          surface.value = surface.value === 'surface' ? 'none' : 'surface'
        }}
      >
        {t('map.pressureSurface')}
      </button>
      <button
        type="button"
        aria-pressed={surface.value === 'isolines'}
        onClick={() => {
          surface.value = surface.value === 'isolines' ? 'none' : 'isolines'
        }}
      >
        {t('map.isolines')}
      </button>
      {playback.value === null && (
        <button type="button" onClick={() => void seek(nowMs.peek() - HOUR_MS)}>
          {t('play.title')}
        </button>
      )}
      <button type="button" onClick={() => setWall(true)}>
        {t('view.wall')}
      </button>
      <details>
        <summary>{t('map.layers')}</summary>
        {LAYER_GROUPS.map((name) => (
          <label key={name}>
            <input type="checkbox" checked={!hiddenLayers.value.has(name)} onChange={() => toggle(name)} />
            {t(`map.layer.${name}`)}
          </label>
        ))}
      </details>
    </div>
  )
}

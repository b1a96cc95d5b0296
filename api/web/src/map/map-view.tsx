// The map as a component: it mounts the writer and leaves everything else to it.
import { useEffect, useRef } from 'preact/hooks'
import { t } from '../i18n.ts'
import { assets } from '../store.ts'
import { MapWriter } from './writer.ts'

export function MapView() {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (box.current === null) return
    const writer = new MapWriter(box.current)
    // For tests and for people who debug: the map can be asked what it shows.
    Object.assign(globalThis, { meterstreamMap: writer.map, meterstreamAssets: () => assets.peek().size })
    return () => writer.close()
  }, [])
  return <div class="map" ref={box} role="application" aria-label={t('app.title')} />
}

// The wall screen: the whole display, larger, without anything to press.
import { go } from './router.ts'
import { selected, sideTab, wall } from './store.ts'

export function setWall(on: boolean): void {
  wall.value = on
  if (on) {
    selected.value = null
    sideTab.value = 'alarms'
    go('map')
    // Not every browser or frame allows it; the page is as useful in its window.
    document.documentElement.requestFullscreen?.().catch((error: Error) => console.info('no full screen:', error.message))
  } else if (document.fullscreenElement !== null) document.exitFullscreen().catch((error: Error) => console.info(error.message))
}

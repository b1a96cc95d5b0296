// A shared link: the moment and the thing it names are shown as soon as the log's clock is known.
import { effect } from '@preact/signals'
import { parseIso } from '#model/time.ts'
import { seek } from './playback.ts'
import { route } from './router.ts'
import { nowMs, selected } from './store.ts'

export function followLinks(): void {
  let followed: URLSearchParams | undefined
  effect(() => {
    const { params } = route.value
    if (nowMs.value === 0 || params === followed) return
    followed = params
    const at = parseIso(params.get('at') ?? '')
    const id = params.get('sel')
    if (id !== null) selected.value = id
    if (!Number.isNaN(at)) void seek(at, params.get('mode') === 'corrected' ? 'corrected' : 'known')
  })
}

// The page: a fixed frame (top bar, stage, side panel) in which nothing jumps when data arrives. Views beside the map are loaded when
// they are first opened.
import { useState } from 'preact/hooks'
import { resume, signIn } from './connection.ts'
import { t } from './i18n.ts'
import { KeyHelp } from './keys.tsx'
import { MapView } from './map/map-view.tsx'
import { Detail } from './panels/detail.tsx'
import { Legend } from './panels/legend.tsx'
import { MapTools } from './panels/map-tools.tsx'
import { Notes } from './panels/notes.tsx'
import { PlaybackBar } from './panels/playback-bar.tsx'
import { SidePanel } from './panels/side-panel.tsx'
import { TopBar } from './panels/top-bar.tsx'
import { route } from './router.ts'
import { connection, wall } from './store.ts'
import { Wide } from './views/wide.tsx'
import { setWall } from './wall.ts'

export function App() {
  if (connection.value === 'signed_out') return <SignIn />
  const { view } = route.value
  return (
    <div class={`frame${wall.value ? ' wall' : ''}`}>
      <TopBar />
      <Notes />
      <main class="stage">
        {/* The map stays alive behind the other views: coming back costs nothing. */}
        <div class="map-view" hidden={view !== 'map'}>
          <MapView />
          <Legend />
          <MapTools />
          <PlaybackBar />
          <Detail />
        </div>
        {view !== 'map' && <Wide view={view} />}
      </main>
      <SidePanel />
      <KeyHelp />
      {wall.value && (
        <button type="button" class="wall-leave" onClick={() => setWall(false)}>
          {t('view.wallLeave')}
        </button>
      )}
    </div>
  )
}

function SignIn() {
  const [wrong, setWrong] = useState(false)
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const token = new FormData(event.currentTarget as HTMLFormElement).get('token')
    if (typeof token === 'string' && (await signIn(token))) await resume()
    else setWrong(true)
  }
  return (
    <main>
      <form class="sign-in" onSubmit={submit}>
        <h1>Meterstream · {t('login.title')}</h1>
        <label>
          {t('login.token')}
          <input name="token" type="password" autocomplete="current-password" required />
        </label>
        <p class="hint" role={wrong ? 'alert' : undefined}>
          {wrong ? t('login.wrong') : t('login.hint')}
        </p>
        <button type="submit">{t('login.submit')}</button>
      </form>
    </main>
  )
}

// The page: a fixed frame (top bar, map, side panel, detail) in which nothing jumps when data arrives.
import { useState } from 'preact/hooks'
import { resume, signIn } from './connection.ts'
import { t } from './i18n.ts'
import { MapView } from './map/map-view.tsx'
import { Detail } from './panels/detail.tsx'
import { Legend } from './panels/legend.tsx'
import { SidePanel } from './panels/side-panel.tsx'
import { TopBar } from './panels/top-bar.tsx'
import { connection, lostSinceMs } from './store.ts'

export function App() {
  if (connection.value === 'signed_out') return <SignIn />
  return (
    <div class="frame">
      <TopBar />
      <main class="stage">
        <MapView />
        <Legend />
        <Detail />
        {connection.value === 'lost' && (
          <div class="banner" role="alert">
            {t('conn.lost', { s: Math.round(lostSinceMs.value / 1000) })}
          </div>
        )}
      </main>
      <SidePanel />
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
    <form class="sign-in" onSubmit={submit}>
      <h1>Meterstream · {t('login.title')}</h1>
      <label>
        {t('login.token')}
        <input name="token" type="password" autocomplete="current-password" required />
      </label>
      <p class="hint">{wrong ? t('login.wrong') : t('login.hint')}</p>
      <button type="submit">{t('login.submit')}</button>
    </form>
  )
}

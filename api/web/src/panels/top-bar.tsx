// One line: the log's clock, how the stream is, the four numbers that a shift looks at, search, language, theme.
import { useRef, useState } from 'preact/hooks'
import { TO_ANSWER } from '../alarms/groups.ts'
import { get } from '../connection.ts'
import { formatClock } from '../format.ts'
import { LANGUAGES, language, setLanguage, t } from '../i18n.ts'
import { go, hrefOf, route, VIEWS } from '../router.ts'
import { alarms, assets, connection, nowMs, selected, speed, status, timezone } from '../store.ts'
import { theme, toggleTheme } from '../theme.ts'
import { PriorityMark } from './alarm-row.tsx'

export function TopBar() {
  return (
    <header class="top">
      <strong class="brand">Meterstream</strong>
      <span class={`conn ${connection.value}`} role="status">
        {connection.value === 'live' ? t('conn.live') : connection.value === 'lost' ? '!' : t('conn.connecting')}
      </span>
      <time class="clock" title={t('top.logTime')}>
        {nowMs.value === 0 ? '—' : formatClock(nowMs.value, timezone.value)}
        {speed.value > 1.5 && <em> ×{Math.round(speed.value)}</em>}
      </time>
      <AlarmFigures />
      <Views />
      <Search />
      <span class="choices">
        {LANGUAGES.map((l) => (
          <button type="button" key={l} aria-pressed={language.value === l} onClick={() => setLanguage(l)}>
            {l === 'en' ? 'EN' : '中文'}
          </button>
        ))}
        <button type="button" onClick={toggleTheme}>
          {t(theme.value === 'dark' ? 'theme.light' : 'theme.dark')}
        </button>
      </span>
    </header>
  )
}

/** How many alarms wait for an answer, by priority, and how fast they come. */
function AlarmFigures() {
  const waiting = [...alarms.value.values()].filter((a) => TO_ANSWER.includes(a.state))
  const load = status.value?.alarms
  const flood = load !== undefined && load.floodSinceMs !== null
  return (
    <span class="figures" title={t('top.alarms')}>
      {([1, 2, 3] as const).map((p) => {
        const n = waiting.filter((a) => a.priority === p).length
        return (
          <span key={p} class={`figure${n === 0 ? ' none' : ''}`} title={t(`alarm.priority.${p}`)}>
            <PriorityMark priority={p} /> <b>{n}</b>
          </span>
        )
      })}
      <span class={`rate${flood ? ' flooded' : ''}`}>
        {flood ? t('top.flood', { n: load.last10Min }) : t('top.rate', { n: load?.lastHour ?? 0 })}
      </span>
    </span>
  )
}

function Views() {
  return (
    <nav class="views" aria-label={t('view.menu')}>
      {VIEWS.map((view) => (
        <a key={view} href={hrefOf(view)} aria-current={route.value.view === view ? 'page' : undefined}>
          {t(`view.${view}`)}
        </a>
      ))}
    </nav>
  )
}

interface Found {
  id: string
  kind: string
  label: string
}

/** Looks while one types; Enter takes what is typed when it is an id, else the first that was found. */
function Search() {
  const [found, setFound] = useState<Found[]>([])
  const [missing, setMissing] = useState(false)
  const latest = useRef('')
  const look = async (text: string): Promise<Found[]> => {
    latest.current = text
    setMissing(false)
    if (text.trim().length < 2) {
      setFound([])
      return []
    }
    const answer = await get<{ found: Found[] }>(`/v1/search?q=${encodeURIComponent(text.trim())}`)
    if (latest.current === text) setFound(answer.found)
    return answer.found
  }
  const take = (id: string) => {
    // An answer still on its way is no longer asked for.
    latest.current = ''
    selected.value = id
    setFound([])
    if (route.value.view !== 'map') go('map')
  }
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const text = String(new FormData(event.currentTarget as HTMLFormElement).get('id') ?? '').trim()
    const id = [...assets.value.keys()].find((k) => k.toLowerCase() === text.toLowerCase())
    if (id !== undefined) return take(id)
    const [first] = await look(text).catch(() => [])
    if (first !== undefined) take(first.id)
    else setMissing(text !== '')
  }
  return (
    <search class="search">
      <form onSubmit={submit}>
        <input
          name="id"
          type="search"
          autocomplete="off"
          aria-label={t('search.label')}
          placeholder={t('search.placeholder')}
          onInput={(event) => {
            // A search that fails while one types is no news; Enter says so.
            look(event.currentTarget.value).catch(() => setFound([]))
          }}
        />
        {missing && (
          <span class="missing" role="alert">
            {t('search.none')}
          </span>
        )}
      </form>
      {found.length > 0 && (
        <ul class="missing found" aria-label={t('search.results')}>
          {found.map((f) => (
            <li key={f.id}>
              <button type="button" class="link" onClick={() => take(f.id)}>
                {f.id} <small>{`${f.kind.replaceAll('_', ' ')} ${f.label}`}</small>
              </button>
            </li>
          ))}
        </ul>
      )}
    </search>
  )
}

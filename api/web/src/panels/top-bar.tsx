// One line: the log's clock, how the stream is, the four numbers that a shift looks at, search, language, theme.
import { useState } from 'preact/hooks'
import { TO_ANSWER } from '../alarms/groups.ts'
import { formatClock } from '../format.ts'
import { LANGUAGES, language, setLanguage, t } from '../i18n.ts'
import { hrefOf, route, VIEWS } from '../router.ts'
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

function Search() {
  const [missing, setMissing] = useState(false)
  const find = (event: SubmitEvent) => {
    event.preventDefault()
    const text = String(new FormData(event.currentTarget as HTMLFormElement).get('id') ?? '')
      .trim()
      .toLowerCase()
    const id = [...assets.value.keys()].find((k) => k.toLowerCase() === text)
    setMissing(id === undefined && text !== '')
    if (id !== undefined) selected.value = id
  }
  return (
    <search class="search">
      <form onSubmit={find}>
        <input name="id" type="search" aria-label={t('search.label')} placeholder={t('search.label')} onInput={() => setMissing(false)} />
        {missing && (
          <span class="missing" role="alert">
            {t('search.none')}
          </span>
        )}
      </form>
    </search>
  )
}

// One line: the log's clock, how the stream is, the four numbers that a shift looks at, search, language, theme.
import { useState } from 'preact/hooks'
import { formatClock } from '../format.ts'
import { LANGUAGES, language, setLanguage, t } from '../i18n.ts'
import { assets, connection, nowMs, openFindings, selected, speed, status, tickets, timezone } from '../store.ts'
import { theme, toggleTheme } from '../theme.ts'

export function TopBar() {
  const s = status.value
  const open = [...tickets.value.values()].filter((x) => x.closedAt === null && x.state !== 'cancelled').length
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
      <Figure label={t('top.readings')} value={s === null ? '—' : Math.round(s.readingsPerSecond).toLocaleString()} />
      <Figure label={t('top.lag')} value={s?.lagRecords == null ? '—' : s.lagRecords.toLocaleString()} />
      <Figure label={t('top.findings')} value={String(openFindings.value.length)} />
      <Figure label={t('top.tickets')} value={String(open)} />
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

function Figure(props: { label: string; value: string }) {
  return (
    <span class="figure">
      <b>{props.value}</b> {props.label}
    </span>
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

// Open tickets by urgency, as the desk orders them; a click shows the place, a link opens the ticket.
import type { TicketView } from '#model/desk.ts'
import { formatAge, formatTime } from '../format.ts'
import { t, tData } from '../i18n.ts'
import { hrefOf } from '../router.ts'
import { nowMs, selected, tickets, timezone } from '../store.ts'
import { byUrgency, ENDED, nextClock } from '../views/urgency.ts'

const OPEN_MAX = 200
const ENDED_MAX = 30

export function TicketList() {
  const all = [...tickets.value.values()]
  const open = all.filter((x) => !ENDED.includes(x.state)).sort(byUrgency)
  const ended = all.filter((x) => ENDED.includes(x.state)).sort((a, b) => b.updatedAt.localeCompare(a.updatedAt))
  return (
    <>
      {open.length === 0 && <p class="empty">{t('tickets.none')}</p>}
      <ul class="list" data-testid="open-tickets">
        {open.slice(0, OPEN_MAX).map((x) => (
          <TicketRow key={x.id} ticket={x} />
        ))}
      </ul>
      {open.length > OPEN_MAX && <p class="empty">+ {open.length - OPEN_MAX}</p>}
      {ended.length > 0 && <h3>{t('alarms.recent')}</h3>}
      <ul class="list ended">
        {ended.slice(0, ENDED_MAX).map((x) => (
          <TicketRow key={x.id} ticket={x} />
        ))}
      </ul>
    </>
  )
}

export function TicketRow(props: { ticket: TicketView }) {
  const x = props.ticket
  const ended = ENDED.includes(x.state)
  const clock = ended ? undefined : nextClock(x)
  const late = clock?.state === 'breached'
  return (
    <li class={`row ${x.severity}${ended ? ' ended' : ''}`} data-ticket={x.id} data-class={x.class}>
      <button
        type="button"
        class="row-main"
        onClick={() => {
          selected.value = x.scope.id
        }}
      >
        <span class={`mark ${x.severity}`} aria-hidden="true" />
        <span class="title">{x.title}</span>
        <span class="scope">{x.id}</span>
        <span class="meta">
          {tData('class', x.class)} · P{x.priority} · {tData('state', x.state)}
        </span>
        <span class={`age${late ? ' overdue' : ''}`}>
          {ended
            ? formatTime(Date.parse(x.updatedAt), timezone.value)
            : clock === undefined
              ? ''
              : clock.state === 'paused'
                ? t('desk.clock.paused')
                : `${t(late ? 'tickets.overdue' : 'tickets.due')} ${formatAge(Math.abs(clock.dueMs - nowMs.value))}`}
        </span>
        <span class="facts">
          <span>
            {t('col.opened')} {formatTime(Date.parse(x.openedAt), timezone.value)}
          </span>
          {x.affectedCount > 0 && (
            <span>
              {t('col.affected')}: {x.affectedCount}
            </span>
          )}
        </span>
      </button>
      <details>
        <summary>{t('col.evidence')}</summary>
        <p class="description">{x.description}</p>
        <a href={hrefOf('desk', { ticket: x.id })}>{t('tickets.open')}</a>
      </details>
    </li>
  )
}

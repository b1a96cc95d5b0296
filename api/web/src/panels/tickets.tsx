// Open tickets by urgency: what is overdue first, then by priority, then by the next limit.
import type { TicketView } from '#model/desk.ts'
import { formatAge, formatTime } from '../format.ts'
import { t, tData } from '../i18n.ts'
import { nowMs, selected, tickets, timezone } from '../store.ts'

function nextLimitMs(x: TicketView): number {
  if (x.state === 'received') return x.sla.respondMs
  if (x.state === 'reviewed') return x.sla.dispatchMs
  return x.sla.resolveMs
}

export function TicketList() {
  const all = [...tickets.value.values()]
  const open = all
    .filter((x) => x.closedAt === null && x.state !== 'cancelled')
    .sort(
      (a, b) =>
        Number(nextLimitMs(b) < nowMs.value) - Number(nextLimitMs(a) < nowMs.value) ||
        a.priority - b.priority ||
        nextLimitMs(a) - nextLimitMs(b),
    )
  const ended = all
    .filter((x) => x.closedAt !== null || x.state === 'cancelled')
    .sort((a, b) => b.updatedAt.localeCompare(a.updatedAt))
    .slice(0, 30)
  return (
    <>
      {open.length === 0 && <p class="empty">{t('tickets.none')}</p>}
      <ul class="list" data-testid="open-tickets">
        {open.map((x) => (
          <TicketRow key={x.id} ticket={x} />
        ))}
      </ul>
      {ended.length > 0 && <h3>{t('alarms.recent')}</h3>}
      <ul class="list ended">
        {ended.map((x) => (
          <TicketRow key={x.id} ticket={x} />
        ))}
      </ul>
    </>
  )
}

export function TicketRow(props: { ticket: TicketView }) {
  const x = props.ticket
  const left = nextLimitMs(x) - nowMs.value
  const ended = x.closedAt !== null || x.state === 'cancelled'
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
          {tData('class', x.class)} · P{x.priority} · {x.state.replaceAll('_', ' ')}
        </span>
        <span class={`age${left < 0 && !ended ? ' overdue' : ''}`}>
          {ended
            ? formatTime(Date.parse(x.updatedAt), timezone.value)
            : left < 0
              ? `${t('tickets.overdue')} ${formatAge(-left)}`
              : `${t('tickets.due')} ${formatAge(left)}`}
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
      </details>
    </li>
  )
}

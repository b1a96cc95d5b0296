// The desk: the queue by urgency on the left, one ticket with all that belongs to it on the right. Every step by one key.
import { useEffect, useState } from 'preact/hooks'
import type { TicketView } from '#model/desk.ts'
import { TICKET_CLASSES } from '#model/ticket.ts'
import { formatAge } from '../format.ts'
import { t, tData } from '../i18n.ts'
import { go, route } from '../router.ts'
import { nowMs, tickets } from '../store.ts'
import { TicketPane } from './ticket.tsx'
import { byUrgency, ENDED, nextClock } from './urgency.ts'

const ROWS_MAX = 200

export function View() {
  const [cls, setClass] = useState('')
  const id = route.value.params.get('ticket')
  const open = [...tickets.value.values()].filter((x) => !ENDED.includes(x.state) && (cls === '' || x.class === cls)).sort(byUrgency)
  const shown = id === null ? undefined : tickets.value.get(id)
  useEffect(() => {
    const leave = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && document.querySelector('dialog[open]') === null)
        document.querySelector<HTMLElement>('.queue [aria-current=true], .queue .row-main')?.focus()
    }
    addEventListener('keydown', leave)
    return () => removeEventListener('keydown', leave)
  }, [])
  return (
    <div class="desk">
      <nav class="queue" aria-label={t('desk.queue')}>
        <h2>
          {t('desk.queue')} <span class="count">{open.length}</span>{' '}
          <select aria-label={t('desk.filter')} value={cls} onChange={(event) => setClass(event.currentTarget.value)}>
            <option value="">{t('desk.all')}</option>
            {TICKET_CLASSES.map((c) => (
              <option key={c} value={c}>
                {tData('class', c)}
              </option>
            ))}
          </select>
        </h2>
        {open.length === 0 && <p class="empty">{t('tickets.none')}</p>}
        <ul class="list" data-testid="queue">
          {open.slice(0, ROWS_MAX).map((x) => (
            <QueueRow key={x.id} ticket={x} current={x.id === id} />
          ))}
        </ul>
        {open.length > ROWS_MAX && <p class="empty">+ {open.length - ROWS_MAX}</p>}
      </nav>
      {shown === undefined ? <p class="empty">{t('desk.pick')}</p> : <TicketPane key={shown.id} ticket={shown} />}
    </div>
  )
}

function onKey(event: KeyboardEvent): void {
  const step = event.key === 'ArrowDown' || event.key === 'j' ? 1 : event.key === 'ArrowUp' || event.key === 'k' ? -1 : 0
  if (step === 0) return
  event.preventDefault()
  const rows = [...document.querySelectorAll<HTMLElement>('.queue .row-main')]
  rows[rows.indexOf(event.currentTarget as HTMLElement) + step]?.focus()
}

function QueueRow(props: { ticket: TicketView; current: boolean }) {
  const x = props.ticket
  const clock = nextClock(x)
  return (
    <li class={`row${clock?.state === 'breached' ? ' unanswered p1' : ''}`} data-ticket={x.id} data-class={x.class}>
      <button
        type="button"
        class="row-main"
        aria-current={props.current}
        onKeyDown={onKey}
        onClick={() => {
          go('desk', { ticket: x.id })
          requestAnimationFrame(() => document.querySelector<HTMLElement>('.ticket')?.focus())
        }}
      >
        <span class={`prio p${x.priority}`}>{x.priority}</span>
        <span class="title">{x.title}</span>
        <span class="scope">{x.id}</span>
        <span class="meta">
          {tData('class', x.class)} · {tData('state', x.state)}
          {x.assignee !== '' && ` · ${x.assignee}`}
        </span>
        <span class={`age${clock?.state === 'breached' ? ' overdue' : ''}`}>
          {clock !== undefined && (
            <>
              {t(`desk.step.${clock.step}`)}{' '}
              {clock.state === 'paused'
                ? t('desk.clock.paused')
                : t(clock.state === 'breached' ? 'desk.clock.breached' : 'desk.clock.running', {
                    age: formatAge(Math.abs(clock.dueMs - nowMs.value)),
                  })}
            </>
          )}
        </span>
        {x.impact.customers > 0 && <span class="facts">{t('desk.impact', { n: x.impact.customers })}</span>}
      </button>
    </li>
  )
}

// One ticket: its clocks, what to do next, why it is there, whom it concerns, who can go, what was said.
import { useEffect, useRef, useState } from 'preact/hooks'
import type { TicketAction, TicketChange, TicketView } from '#model/desk.ts'
import type { Finding } from '#model/finding.ts'
import { offsetMs, toIso } from '#model/time.ts'
import { ApiError, get, send } from '../connection.ts'
import { formatAge, formatTime } from '../format.ts'
import { t, tData } from '../i18n.ts'
import { FindingRow } from '../panels/evidence.tsx'
import { go } from '../router.ts'
import { mergeTicket, nowMs, selected, timezone } from '../store.ts'
import { MiniMap } from './mini-map.tsx'

interface Crew {
  crew: string
  distanceKm: number | null
  stale: boolean
  skills: string[]
  free: boolean
  onShift: boolean
  reason: string
}
interface Belongings {
  crews: Crew[]
  notices: { id: number; stage: string; channel: string; state: string; createdAt: string; text: string }[]
  reports: { id: number; kind: string; description: string; reportedAt: string; match: string }[]
}
interface Customers {
  customers: { account: string; meter: string; segment: string; care: string; name: string; phone: string }[]
  total: number
  masked: boolean
}
interface Whole {
  changes: TicketChange[]
  findings: Finding[]
}

/** The letter of each step; it is underlined in its button. */
const LETTERS: Record<TicketAction, string> = {
  review: 'v',
  dispatch: 'd',
  start: 'w',
  done: 'e',
  confirm: 'c',
  close: 'l',
  archive: 'a',
  reopen: 'o',
  cancel: 'x',
  reply: 'r',
  hold: 'h',
  resume: 'u',
  etr: 'i',
  note: 'n',
}
const WITH_NOTE: readonly TicketAction[] = ['note', 'reply', 'hold', 'cancel', 'reopen']
const time = (iso: string) => formatTime(Date.parse(iso), timezone.value)

/** Loads again when the ticket's version changes. */
function useLoaded<T>(path: string, version: number): T | string | null {
  const [data, setData] = useState<T | string | null>(null)
  // A new version is what makes the old answer wrong.
  useEffect(() => {
    let current = true
    get<T>(path).then(
      (d) => {
        if (current) setData(d)
      },
      (error: Error) => {
        if (current) setData(error.message)
      },
    )
    return () => {
      current = false
    }
  }, [path, version])
  return data
}

export function TicketPane(props: { ticket: TicketView }) {
  const x = props.ticket
  const path = `/v1/tickets/${x.id}`
  const whole = useLoaded<Whole>(path, x.version)
  const more = useLoaded<Belongings>(`${path}/desk`, x.version)
  const [asking, setAsking] = useState<TicketAction | null>(null)
  const [problem, setProblem] = useState('')

  const act = async (action: TicketAction, body: { note?: string; assignee?: string; etr?: string } = {}) => {
    try {
      const { ticket } = await send<{ ticket: TicketView }>('POST', `${path}/${action}`, { ...body, version: x.version })
      mergeTicket(ticket)
      setProblem('')
      setAsking(null)
    } catch (error) {
      setProblem(error instanceof ApiError && error.status === 412 ? t('desk.conflict') : (error as Error).message)
    }
  }
  const press = (action: TicketAction) => {
    setProblem('')
    const best = typeof more === 'object' ? more?.crews[0]?.crew : undefined
    if (action === 'etr' || WITH_NOTE.includes(action) || (action === 'confirm' && x.state === 'verify')) setAsking(action)
    else void act(action, action === 'dispatch' && best !== undefined ? { assignee: best } : {})
  }
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test((event.target as HTMLElement).tagName)) return
    const action = x.actions.find((a) => LETTERS[a] === event.key.toLowerCase())
    if (action === undefined) return
    event.preventDefault()
    event.stopPropagation()
    press(action)
  }
  return (
    // The pane itself takes the focus, so that its keys work at once.
    <article class="ticket" tabIndex={-1} onKeyDown={onKey} aria-label={`${x.id} ${x.title}`} data-testid="ticket">
      <header>
        <h2>
          <span class={`prio p${x.priority}`}>{x.priority}</span> {x.id} {x.title}
        </h2>
        <p class="facts">
          <b>{tData('state', x.state)}</b>
          <span>{tData('class', x.class)}</span>
          {x.assignee !== '' && <span>{t('desk.assignee', { who: x.assignee })}</span>}
          {x.etrAt !== null && <span>{t('desk.etrAt', { time: time(x.etrAt) })}</span>}
          <Impact ticket={x} />
        </p>
      </header>
      <div class="steps" role="toolbar" aria-label={t('desk.steps')}>
        {x.actions.map((action, i) => (
          <button
            type="button"
            key={action}
            class={i === 0 ? 'primary' : ''}
            aria-keyshortcuts={LETTERS[action]}
            onClick={() => press(action)}
          >
            {tData('desk.do', action)} <u>{LETTERS[action].toUpperCase()}</u>
          </button>
        ))}
      </div>
      {problem !== '' && asking === null && (
        <p class="problem" role="alert">
          {t('dialog.failed', { why: problem })}
        </p>
      )}
      <Clocks ticket={x} />
      <div class="ticket-body">
        <div>
          <h3>{t('desk.evidence')}</h3>
          <p class="description">{x.description}</p>
          {typeof whole === 'string' && <p class="empty">{t('detail.unavailable', { why: whole })}</p>}
          <ul class="list">{typeof whole === 'object' && whole?.findings.map((f) => <FindingRow key={f.id} finding={f} />)}</ul>
          <Customers id={x.id} version={x.version} />
          {typeof more === 'object' && more !== null && <Said more={more} />}
        </div>
        <div>
          <h3>{t('desk.map')}</h3>
          <MiniMap ticket={x} />
          <button
            type="button"
            onClick={() => {
              selected.value = x.scope.id
              go('map')
            }}
          >
            {t('desk.onMap')}
          </button>
          {typeof more === 'object' && more !== null && (
            <Crews crews={more.crews} may={x.actions.includes('dispatch')} onSend={(crew) => void act('dispatch', { assignee: crew })} />
          )}
          <h3>{t('desk.timeline')}</h3>
          <ol class="timeline">
            {typeof whole === 'object' &&
              [...(whole?.changes ?? [])].reverse().map((c) => (
                <li key={c.version}>
                  <time>{time(c.at)}</time> <b>{tData('desk.do', c.action)}</b> {c.who}
                  <small>
                    {' '}
                    {c.reason.replaceAll('_', ' ')}
                    {c.note !== '' && `: ${c.note}`}
                  </small>
                </li>
              ))}
          </ol>
        </div>
      </div>
      <p class="hint keys">{t('desk.keys')}</p>
      {asking !== null && (
        <Ask action={asking} problem={problem} onClose={() => setAsking(null)} onDone={(body) => void act(asking, body)} />
      )}
    </article>
  )
}

function Impact(props: { ticket: TicketView }) {
  const i = props.ticket.impact
  const parts = (['lifeSupport', 'vulnerable', 'hospitals', 'schools'] as const).filter((k) => i[k] > 0)
  return (
    <>
      {i.customers > 0 && <span>{t('desk.impact', { n: i.customers })}</span>}
      {parts.map((k) => (
        <b key={k}>{t(`desk.impact.${k}`, { n: i[k] })}</b>
      ))}
      {i.lossM3h > 0 && <span>{t('desk.impact.lossM3h', { n: Number(i.lossM3h.toPrecision(3)) })}</span>}
    </>
  )
}

function Clocks(props: { ticket: TicketView }) {
  return (
    <ul class="clocks" aria-label={t('desk.clocks')}>
      {props.ticket.clocks.map((c) => (
        <li key={c.step} class={c.state}>
          <span>{t(`desk.step.${c.step}`)}</span>
          <b>
            {c.state === 'running' || c.state === 'breached'
              ? t(`desk.clock.${c.state}`, { age: formatAge(Math.abs(c.dueMs - nowMs.value)) })
              : t(`desk.clock.${c.state}`)}
          </b>
          <meter min={0} max={100} high={80} value={Math.min(100, c.usedPct)} aria-label={`${Math.round(c.usedPct)} %`} />
          <small>
            {formatTime(c.dueMs, timezone.value)}
            {c.forecastMs !== null && ` · ${t('desk.forecast', { time: formatTime(c.forecastMs, timezone.value) })}`}
            {c.risk && c.state === 'running' && ` · ${t('desk.risk')}`}
          </small>
        </li>
      ))}
    </ul>
  )
}

function Crews(props: { crews: Crew[]; may: boolean; onSend: (crew: string) => void }) {
  return (
    <>
      <h3>{t('desk.crews')}</h3>
      <ul class="crew-list">
        {props.crews.slice(0, 5).map((c, i) => (
          <li key={c.crew}>
            <span>
              <b>{c.crew}</b> {c.distanceKm !== null && `${c.distanceKm.toFixed(1)} km`}{' '}
              {i === 0 && <span class="tag">{t('desk.crewBest')}</span>}
              <small> {c.reason}</small>
            </span>
            {props.may && (
              <button type="button" onClick={() => props.onSend(c.crew)}>
                {t('desk.send')}
              </button>
            )}
          </li>
        ))}
      </ul>
    </>
  )
}

function Customers(props: { id: string; version: number }) {
  const list = useLoaded<Customers>(`/v1/tickets/${props.id}/customers?limit=50`, props.version)
  if (list === null) return null
  if (typeof list === 'string') return <p class="empty">{t('detail.unavailable', { why: list })}</p>
  return (
    <>
      <h3>
        {t('desk.customers')} <span class="count">{list.total}</span>
      </h3>
      {list.masked && <p class="hint pad">{t('desk.customersMasked')}</p>}
      <ul class="customers">
        {list.customers.map((c) => (
          <li key={`${c.account} ${c.meter}`}>
            {c.name || c.account || c.meter}{' '}
            <small>
              {[c.phone, c.segment, c.care, c.name === '' && c.account === '' ? '' : c.meter].filter((s) => s !== '').join(' · ')}
            </small>
          </li>
        ))}
      </ul>
    </>
  )
}

function Said(props: { more: Belongings }) {
  const { notices, reports } = props.more
  return (
    <>
      {notices.length > 0 && <h3>{t('desk.notices')}</h3>}
      <ul class="customers">
        {notices.slice(0, 30).map((n) => (
          <li key={n.id}>
            {time(n.createdAt)} {n.stage} · {n.channel} · {n.state}
            <small> {n.text}</small>
          </li>
        ))}
      </ul>
      {reports.length > 0 && <h3>{t('desk.reports')}</h3>}
      <ul class="customers">
        {reports.slice(0, 30).map((r) => (
          <li key={r.id}>
            {time(r.reportedAt)} {r.kind}: {r.description}
          </li>
        ))}
      </ul>
    </>
  )
}

function Ask(props: {
  action: TicketAction
  problem: string
  onClose: () => void
  onDone: (body: { note: string; etr?: string }) => void
}) {
  const box = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    box.current?.showModal()
  }, [])
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const data = new FormData(event.currentTarget as HTMLFormElement)
    const local = String(data.get('etr') ?? '')
    const naive = Date.parse(`${local}:00Z`)
    const etr = Number.isFinite(naive) ? { etr: toIso(naive - offsetMs(timezone.value, naive)) } : {}
    props.onDone({ note: String(data.get('note') ?? ''), ...etr })
  }
  return (
    <dialog ref={box} class="ask" onClose={props.onClose} aria-labelledby="ask-title">
      <form onSubmit={submit}>
        <h2 id="ask-title">{tData('desk.do', props.action)}</h2>
        {props.action === 'etr' && (
          <label>
            {t('desk.etr')} ({timezone.value})
            <input type="datetime-local" name="etr" required />
          </label>
        )}
        <label>
          {t('desk.note')}
          <textarea name="note" rows={3} maxLength={4000} required={props.action !== 'etr'} />
        </label>
        {props.problem !== '' && (
          <p class="problem" role="alert">
            {t('dialog.failed', { why: props.problem })}
          </p>
        )}
        <div class="buttons">
          <button type="button" onClick={props.onClose}>
            {t('dialog.cancel')}
          </button>
          <button type="submit" class="primary">
            {tData('desk.do', props.action)}
          </button>
        </div>
      </form>
    </dialog>
  )
}

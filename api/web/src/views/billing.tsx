// Billing: closed periods, days that a gate holds, causes of tickets. What is open is in the address, so that a figure can be linked.
import { useState } from 'preact/hooks'
import { send } from '../connection.ts'
import { formatTime } from '../format.ts'
import { t } from '../i18n.ts'
import { go, route } from '../router.ts'
import { timezone } from '../store.ts'
import type { TextKey } from '../texts.ts'
import { DayExplained, money, number, PeriodExplained, type PeriodItem, share, Table, word } from './billing-explain.tsx'
import { usePolled } from './polled.ts'

const PARTS = ['periods', 'held', 'causes'] as const

interface Calendar {
  runs: { period: string; dueAt: string; phase: string; closed: number }[]
}

export function View() {
  const { params } = route.value
  const [meter, date, no] = [params.get('meter'), params.get('date'), params.get('no')]
  if (meter !== null && date !== null) return <DayExplained meter={meter} date={date} />
  if (no !== null) return <PeriodExplained no={no} />
  const part = PARTS.find((p) => p === params.get('part')) ?? 'periods'
  return (
    <div class="board billing">
      <h2>
        {t('view.billing')}{' '}
        <span class="choices">
          {PARTS.map((p) => (
            <button type="button" key={p} aria-pressed={p === part} onClick={() => go('billing', { part: p })}>
              {t(`bill.${p}`)}
            </button>
          ))}
        </span>
      </h2>
      {part === 'periods' && <Periods />}
      {part === 'held' && <Held />}
      {part === 'causes' && <Causes />}
    </div>
  )
}

function Periods() {
  const [find, setFind] = useState('')
  const calendar = usePolled<Calendar>('/v1/billing/calendar')
  const by = find === '' ? '' : `&${/^(W|E|M)/i.test(find) ? 'meter' : 'account'}=${encodeURIComponent(find)}`
  const list = usePolled<{ items: PeriodItem[] }>(`/v1/billing/periods?limit=200${by}`)
  const run = typeof calendar === 'object' ? calendar?.runs[0] : undefined
  const due = run === undefined ? '' : formatTime(Date.parse(run.dueAt), timezone.value)
  return (
    <>
      <p class="hint">
        {run === undefined ? t('bill.noRun') : t('bill.run', { period: run.period, phase: run.phase, n: run.closed, due })}
      </p>
      <label>
        {t('bill.find')} <input value={find} onChange={(e) => setFind((e.currentTarget as HTMLInputElement).value.trim())} />
      </label>
      <Table
        of={list}
        rows={(l) => [...l.items].reverse()}
        heads={['bill.period', 'bill.who', 'bill.commodity', 'bill.consumption', 'bill.estimated', 'bill.total', 'bill.problems']}
        row={({ no, document: d }) => [
          <button type="button" class="link" key="open" onClick={() => go('billing', { no: String(no) })}>
            {d.period}
          </button>,
          d.account ?? d.meter ?? '',
          word(d.commodity),
          number(d.consumption.import),
          share(d.registers),
          d.charges === null ? t('bill.noPrice') : money(d.totalMinor ?? 0, d.charges),
          d.problems.length === 0 ? '' : String(d.problems.length),
        ]}
      />
    </>
  )
}

interface HeldItem {
  meter: string
  quantity: string
  channel: string
  date: string
  rev: number
  class: string
  reason: string
  estimatedPct: number
  limitPct: number
}

function Held() {
  const [open, setOpen] = useState('')
  const [problem, setProblem] = useState('')
  const list = usePolled<{ items: HeldItem[] }>('/v1/billing/held?limit=500', 5_000)
  const release = async (event: SubmitEvent, h: HeldItem) => {
    event.preventDefault()
    const note = String(new FormData(event.currentTarget as HTMLFormElement).get('note'))
    const { meter, quantity, channel, date } = h
    try {
      await send('POST', '/v1/billing/held/release', { meter, quantity, channel, date, note })
      setOpen('')
      setProblem('')
    } catch (error) {
      setProblem((error as Error).message)
    }
  }
  const key = (h: HeldItem) => `${h.meter} ${h.quantity} ${h.channel} ${h.date} ${h.rev}`
  return (
    <>
      {problem !== '' && <p class="problem">{problem}</p>}
      <Table
        of={list}
        rows={(l) => l.items}
        heads={['bill.day', 'bill.who', 'bill.rev', 'bill.reason', 'bill.limit', 'bill.release']}
        row={(h) => [
          <button type="button" class="link" key="open" onClick={() => go('billing', { meter: h.meter, date: h.date })}>
            {h.date}
          </button>,
          `${h.meter} ${h.quantity}${h.channel === '' ? '' : ` ${h.channel}`}`,
          String(h.rev),
          t('bill.share', { pct: Math.round(h.estimatedPct) }),
          `${h.class} ${t('bill.atMost', { pct: h.limitPct })}`,
          open === key(h) ? (
            <form key="form" onSubmit={(e) => void release(e, h)}>
              <input name="note" required minLength={3} maxLength={1000} placeholder={t('bill.note')} aria-label={t('bill.note')} />{' '}
              <button type="submit">{t('bill.release')}</button>
            </form>
          ) : (
            <button type="button" key="release" onClick={() => setOpen(key(h))}>
              {t('bill.release')}
            </button>
          ),
        ]}
      />
    </>
  )
}

interface CauseItem {
  key: string
  kind: string
  account: string
  meter: string
  evidence: Record<string, unknown>
  openedAt: string
  ticket: string | null
}

function Causes() {
  const list = usePolled<{ causes: CauseItem[] }>('/v1/billing/causes?open=true&limit=500')
  return (
    <Table
      of={list}
      rows={(l) => l.causes}
      heads={['bill.since', 'bill.reason', 'bill.who', 'bill.ticket', 'bill.evidence']}
      row={(c) => [
        formatTime(Date.parse(c.openedAt), timezone.value),
        t(`bill.cause.${c.kind}` as TextKey),
        c.meter === '' ? c.account : c.meter,
        c.ticket ?? '',
        <span key="evidence" class="wrap">
          {Object.entries(c.evidence)
            .filter(([name, v]) => name !== 'level' && v !== '')
            .map(([name, v]) => `${name}: ${Array.isArray(v) ? v.join(', ') : String(v)}`)
            .join(' · ')}
        </span>,
      ]}
    />
  )
}

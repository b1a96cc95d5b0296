// From a bill to its days, from a day to its intervals, to raw reads with their message, to the rules that fired.
import type { ComponentChildren } from 'preact'
import { formatTime } from '../format.ts'
import { language, t, tData } from '../i18n.ts'
import { go } from '../router.ts'
import { timezone } from '../store.ts'
import { TEXTS, type TextKey } from '../texts.ts'
import { usePolled } from './polled.ts'

interface Read {
  ts: string
  value: number
}
interface Register {
  meter: string
  quantity: string
  channel: string
  start: Read | null
  end: Read | null
  difference: number | null
  consumption: number
  quality: { intervals: Record<string, number> }
}
interface Charges {
  currency: string
  minorDigits: number
  lines: { label: { en: string; zh?: string }; quantity: number; unit: string; rate: string; tier?: number; amountMinor: number }[]
}
export interface PeriodItem {
  no: number
  sha256: string
  document: {
    period: string
    account: string | null
    meter: string | null
    commodity: string
    consumption: { import: number; export: number }
    registers: Register[]
    timeOfUse: { register: string; season: string; period: string; value: number }[]
    charges: Charges | null
    adjustments: {
      period: string
      totalMinor: number | null
      days: { meter: string; date: string; before: number; after: number; fromRev: number | null; toRev: number }[]
    }[]
    totalMinor: number | null
    problems: { kind: string; meter?: string; date?: string; detail: string }[]
  }
}
interface Day {
  meter: string
  quantity: string
  date: string
  rev: number
  value: number
  mix: Record<string, number>
}

export const number = (v: number) => String(Math.round(v * 1000) / 1000)
export const money = (minor: number, c: { currency: string; minorDigits: number }) =>
  `${(minor / 10 ** c.minorDigits).toFixed(c.minorDigits)} ${c.currency}`
/** A status or commodity in words. */
export const word = (name: string) => (`bill.is.${name}` in TEXTS.en ? t(`bill.is.${name}` as TextKey) : name)
const mixText = (mix: Record<string, number>) =>
  Object.entries(mix)
    .map(([status, n]) => `${word(status)} ${n}`)
    .join(' · ')

/** Share of intervals that are no actual or edited ones. */
export function share(registers: readonly Register[]): string {
  let all = 0
  let known = 0
  for (const r of registers) {
    for (const [status, n] of Object.entries(r.quality.intervals)) {
      all += n
      if (status === 'actual' || status === 'edited') known += n
    }
  }
  return all === 0 ? '' : `${Math.round((1 - known / all) * 1000) / 10} %`
}

/** A table of a polled answer; says so when there is nothing or it cannot be had. */
export function Table<A, R>(props: {
  of: A | string | null
  rows(answer: A): readonly R[]
  heads: readonly TextKey[]
  row(r: R): readonly ComponentChildren[]
}) {
  if (props.of === null) return <p class="empty">{t('detail.loading')}</p>
  if (typeof props.of === 'string') return <p class="problem">{t('detail.unavailable', { why: props.of })}</p>
  const rows = props.rows(props.of as A)
  if (rows.length === 0) return <p class="empty">{t('bill.none')}</p>
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            {props.heads.map((h) => (
              <th key={h}>{t(h)}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((r, i) => (
            <tr key={String(i)}>
              {props.row(r).map((cell, k) => (
                <td key={String(k)}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const Back = () => (
  <button type="button" onClick={() => history.back()}>
    ← {t('bill.back')}
  </button>
)
const readText = (r: Read | null) => (r === null ? '–' : `${number(r.value)} (${formatTime(Date.parse(r.ts), timezone.value)})`)

export function PeriodExplained(props: { no: string }) {
  const found = usePolled<PeriodItem>(`/v1/billing/periods/${encodeURIComponent(props.no)}`, 60_000)
  const days = usePolled<{ days: Day[]; corrections: Day[] }>(`/v1/billing/periods/${encodeURIComponent(props.no)}/explain`, 60_000)
  if (found === null || typeof found === 'string') {
    return (
      <div class="board billing">
        <Back />
        <p class="empty">{found === null ? t('detail.loading') : t('detail.unavailable', { why: found })}</p>
      </div>
    )
  }
  const d = found.document
  return (
    <div class="board billing">
      <h2>
        <Back /> {d.account ?? d.meter} · {d.period} · {word(d.commodity)}{' '}
        <strong>{d.charges === null ? t('bill.noPrice') : money(d.totalMinor ?? 0, d.charges)}</strong>
      </h2>
      {d.problems.map((p) => (
        <p class="problem" key={`${p.kind} ${p.meter} ${p.date}`}>
          {p.kind.replaceAll('_', ' ')} {p.meter} {p.date} {p.detail}
        </p>
      ))}
      <h3>{t('bill.registers')}</h3>
      <Table
        of={d.registers}
        rows={(r) => r}
        heads={['bill.who', 'bill.start', 'bill.end', 'bill.difference', 'bill.consumption', 'bill.quality']}
        row={(r) => [
          `${r.meter} ${tData('quantity', r.quantity)} ${r.channel}`,
          readText(r.start),
          readText(r.end),
          r.difference === null ? '–' : number(r.difference),
          number(r.consumption),
          mixText(r.quality.intervals),
        ]}
      />
      {d.charges !== null && <Lines charges={d.charges} />}
      {d.timeOfUse.length > 1 && (
        <>
          <h3>{t('bill.tou')}</h3>
          <p>{d.timeOfUse.map((u) => `${u.season} ${u.period}: ${number(u.value)}`.trim()).join(' · ')}</p>
        </>
      )}
      {d.adjustments.length > 0 && <h3>{t('bill.adjustments')}</h3>}
      {d.adjustments.map((a) => (
        <p key={a.period}>
          <b>{a.period}</b> {a.totalMinor !== null && d.charges !== null && money(a.totalMinor, d.charges)}{' '}
          {a.days
            .map((x) =>
              t('bill.adjustment', {
                meter: x.meter,
                date: x.date,
                before: number(x.before),
                after: number(x.after),
                from: x.fromRev ?? '–',
                to: x.toRev,
              }),
            )
            .join('; ')}
        </p>
      ))}
      <h3>{t('bill.days')}</h3>
      <Table
        of={days}
        rows={(e) => [...e.corrections, ...e.days]}
        heads={['bill.day', 'bill.who', 'bill.value', 'bill.rev', 'bill.mix']}
        row={(x) => [
          <button type="button" class="link" key="open" onClick={() => go('billing', { meter: x.meter, date: x.date })}>
            {x.date}
          </button>,
          `${x.meter} ${tData('quantity', x.quantity)}`,
          number(x.value),
          String(x.rev),
          mixText(x.mix),
        ]}
      />
      <p class="hint">
        {t('bill.hash')}: <code>{found.sha256}</code>
      </p>
    </div>
  )
}

function Lines(props: { charges: Charges }) {
  const c = props.charges
  return (
    <>
      <h3>{t('bill.charges')}</h3>
      <table>
        <tbody>
          {c.lines.map((l, i) => (
            <tr key={String(i)}>
              <td>
                {(language.value === 'zh' ? l.label.zh : undefined) ?? l.label.en} {l.tier !== undefined && t('bill.tier', { n: l.tier })}
              </td>
              <td>
                {number(l.quantity)} {l.unit}
              </td>
              <td>{l.rate === '' ? '' : `× ${l.rate}`}</td>
              <td>{money(l.amountMinor, c)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  )
}

interface Explanation {
  start: string
  revisions: {
    quantity: string
    channel: string
    rev: number
    value: number
    why: string
    seq: number | null
    gate: string | null
    held: { reason: string } | null
  }[]
  billed: { no: number | null; period: string; quantity: string; rev: number }[]
  intervals: {
    start: string
    end: string
    quantity: string
    channel: string
    value: number | null
    status: string
    reasons: string[]
    rev: number
    newest: boolean
    fromRead: string | null
    toRead: string | null
  }[]
  reads: {
    ts: string
    quantity: string
    channel: string
    value: number
    quality: string
    rules: string[]
    message: { gateway: string | null; receivedAt: string; seq: number | null }
  }[]
  events: { ts: string; event: string; detail: string }[]
  operations: { kind: string; start: string; note: string }[]
  refused: { id: string; reason: string; message: string; receivedAt: string }[]
  rules: { name: string; count: number; en: string; zh: string }[]
}

export function DayExplained(props: { meter: string; date: string }) {
  const { meter, date } = props
  const e = usePolled<Explanation>(`/v1/billing/consumption/${encodeURIComponent(meter)}/${date}/explain`, 60_000)
  const time = (iso: string | null) => (iso === null ? '–' : formatTime(Date.parse(iso), timezone.value))
  return (
    <div class="board billing">
      <h2>
        <Back /> {t('bill.explain', { meter, date })}
      </h2>
      {(e === null || typeof e === 'string') && (
        <p class="empty">{e === null ? t('detail.loading') : t('detail.unavailable', { why: e })}</p>
      )}
      {typeof e === 'object' && e !== null && (
        <>
          <h3>{t('bill.revisions')}</h3>
          <Table
            of={e}
            rows={(x) => x.revisions}
            heads={['bill.who', 'bill.rev', 'bill.value', 'bill.reason', 'bill.feed']}
            row={(r) => [
              `${tData('quantity', r.quantity)} ${r.channel}`,
              String(r.rev),
              number(r.value),
              r.why.replaceAll('_', ' '),
              r.held !== null ? t('bill.isHeld', { reason: r.held.reason.replaceAll('_', ' ') }) : feedText(e, r),
            ]}
          />
          {e.rules.length > 0 && <h3>{t('bill.rules')}</h3>}
          <ul>
            {e.rules.map((r) => (
              <li key={r.name}>
                <b>{r.name}</b> × {r.count} — {language.value === 'zh' ? r.zh : r.en}
              </li>
            ))}
          </ul>
          <h3>{t('bill.intervals')}</h3>
          <Table
            of={e}
            rows={(x) => x.intervals.filter((i) => i.newest)}
            heads={['bill.interval', 'bill.who', 'bill.value', 'bill.status', 'bill.reason', 'bill.fromTo']}
            row={(i) => [
              time(i.start),
              `${tData('quantity', i.quantity)} ${i.channel}`,
              i.value === null ? '–' : number(i.value),
              <span key="status" class={`status-${i.status}`}>
                {word(i.status)}
                {i.rev > 1 ? ` (${i.rev})` : ''}
              </span>,
              i.reasons.join(', '),
              `${time(i.fromRead)} → ${time(i.toRead)}`,
            ]}
          />
          <h3>{t('bill.reads')}</h3>
          <Table
            of={e}
            rows={(x) => x.reads}
            heads={['bill.read', 'bill.who', 'bill.value', 'bill.status', 'bill.message']}
            row={(r) => [
              time(r.ts),
              `${tData('quantity', r.quantity)} ${r.channel}`,
              number(r.value),
              `${r.quality} ${r.rules.join(', ')}`,
              `${r.message.gateway ?? '–'} · ${time(r.message.receivedAt)} · ${r.message.seq ?? '–'}`,
            ]}
          />
          {e.events.length + e.operations.length > 0 && <h3>{t('bill.events')}</h3>}
          <ul>
            {e.events.map((v) => (
              <li key={`${v.ts} ${v.event}`}>
                {time(v.ts)} {v.event.replaceAll('_', ' ')} {v.detail}
              </li>
            ))}
            {e.operations.map((o) => (
              <li key={`${o.start} ${o.kind}`}>
                {time(o.start)} {o.kind.replaceAll('_', ' ')} {o.note}
              </li>
            ))}
          </ul>
          {e.refused.length > 0 && <h3>{t('bill.refused')}</h3>}
          <ul>
            {e.refused.map((q) => (
              <li key={q.id}>
                {time(q.receivedAt)} {q.reason.replaceAll('_', ' ')}: {q.message}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  )
}

function feedText(e: Explanation, r: Explanation['revisions'][number]): string {
  const billed = e.billed.find((b) => b.quantity === r.quantity && b.rev === r.rev)
  const place = r.seq === null ? '' : `#${r.seq} ${(r.gate ?? '').replaceAll('_', ' ')}`
  return billed === undefined ? place : `${place} · ${t('bill.billedIn', { period: billed.period })}`
}

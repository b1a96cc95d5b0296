// What the alarms asked of the shift, by the measures of ISA-18.2 and EEMUA 191, and what people did.
import { useState } from 'preact/hooks'
import { DAY_MS, HOUR_MS, toIso } from '#model/time.ts'
import { formatAge, formatTime } from '../format.ts'
import { t, tData } from '../i18n.ts'
import { PriorityMark } from '../panels/alarm-row.tsx'
import { nowMs, status, timezone } from '../store.ts'
import { csvText, download } from '../trends.ts'
import { usePolled } from './polled.ts'

interface Report {
  from: string
  to: string
  operators: number
  annunciations: number
  perOperatorHour: { mean: number; most: number; hoursAboveSix: number; hoursAboveTwelve: number }
  per10MinMost: number
  floods: { fromMs: number; toMs: number | null; alarms: number; peak: number }[]
  floodSharePct: number
  priorities: { priority: 1 | 2 | 3; count: number; sharePct: number; targetPct: number }[]
  worst: { key: string; count: number; sharePct: number }[]
  answers: { who: string; count: number; medianS: number; p90S: number }[]
  hours: { atMs: number; count: number }[]
}
interface Journal {
  entries: { seq: number; key: string; at: string; who: string; action: string; reason: string }[]
}
const RANGES = [1, 7, 30] as const

export function View() {
  const [days, setDays] = useState<number>(7)
  // Asked for by the hour, so that the address stays the same between.
  const hour = Math.ceil((nowMs.value || Date.now()) / HOUR_MS) * HOUR_MS
  const report = usePolled<Report>(`/v1/alarms/report?from=${toIso(hour - days * DAY_MS)}&to=${toIso(hour)}`, 30_000)
  const journal = usePolled<Journal>('/v1/alarms/journal?people=true&limit=50')
  return (
    <div class="board">
      <h2>
        {t('report.title')}{' '}
        <span class="choices">
          {RANGES.map((d) => (
            <button type="button" key={d} aria-pressed={days === d} onClick={() => setDays(d)}>
              {t('report.days', { n: d })}
            </button>
          ))}
          {typeof report === 'object' && report !== null && (
            <button type="button" onClick={() => download('alarms.csv', new Blob([csvOfReport(report)], { type: 'text/csv' }))}>
              {t('detail.csv')}
            </button>
          )}
        </span>
      </h2>
      {typeof report === 'string' && <p class="problem">{t('board.none', { why: report })}</p>}
      {typeof report === 'object' && report !== null && <Figures report={report} />}
      <h3>{t('report.journal')}</h3>
      <ul class="timeline">
        {typeof journal === 'object' &&
          journal?.entries.map((e) => (
            <li key={e.seq}>
              <time>{formatTime(Date.parse(e.at), timezone.value)}</time> <b>{e.who}</b> {e.action.replaceAll('_', ' ')} {e.key}
              <small> {e.reason}</small>
            </li>
          ))}
      </ul>
    </div>
  )
}

function csvOfReport(r: Report): string {
  return csvText([['hour', 'alarms'], ...r.hours.map((h) => [toIso(h.atMs), String(h.count)])])
}

function Figures(props: { report: Report }) {
  const r = props.report
  const load = status.value?.alarms
  const rows: [string, string, string, boolean][] = [
    [t('report.calls'), String(r.annunciations), '', false],
    [t('report.perHour'), String(r.perOperatorHour.mean), '≤ 6', r.perOperatorHour.mean > 6],
    [t('report.mostHour'), r.perOperatorHour.most.toFixed(1), '≤ 12', r.perOperatorHour.most > 12],
    [
      t('report.hoursAbove'),
      `${r.perOperatorHour.hoursAboveSix} · ${r.perOperatorHour.hoursAboveTwelve}`,
      '0',
      r.perOperatorHour.hoursAboveTwelve > 0,
    ],
    [t('report.most10'), String(r.per10MinMost), '< 10', r.per10MinMost >= 10],
    [t('report.floods'), `${r.floods.length} · ${r.floodSharePct} %`, '< 1 %', r.floodSharePct >= 1],
    [t('report.stale'), String(load?.stale ?? '—'), '< 5', (load?.stale ?? 0) >= 5],
    [t('report.chattering'), String(load?.chattering ?? '—'), '0', (load?.chattering ?? 0) > 0],
  ]
  return (
    <>
      <p class="hint">
        {t('report.range', {
          from: formatTime(Date.parse(r.from), timezone.value),
          to: formatTime(Date.parse(r.to), timezone.value),
          n: r.operators,
        })}
      </p>
      <div class="columns">
        <table data-testid="alarm-report">
          <thead>
            <tr>
              <th scope="col">{t('report.measure')}</th>
              <th scope="col">{t('report.value')}</th>
              <th scope="col">{t('report.limit')}</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, value, limit, bad]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class={bad ? 'odd' : ''}>
                  {bad && <span aria-hidden="true">▲ </span>}
                  {value}
                </td>
                <td>{limit}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <div>
          <h3>{t('report.priorities')}</h3>
          <table>
            <tbody>
              {r.priorities.map((p) => (
                <tr key={p.priority}>
                  <th scope="row">
                    <PriorityMark priority={p.priority} /> {t(`alarm.priority.${p.priority}`)}
                  </th>
                  <td>{p.count}</td>
                  <td>{p.sharePct} %</td>
                  <td>
                    {t('report.target')} {p.targetPct} %
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          <h3>{t('report.answers')}</h3>
          <table>
            <tbody>
              {r.answers.map((a) => (
                <tr key={a.who}>
                  <th scope="row">{a.who}</th>
                  <td>{a.count}</td>
                  <td>
                    {t('report.median')} {formatAge(a.medianS * 1000)}
                  </td>
                  <td>
                    {t('report.p90')} {formatAge(a.p90S * 1000)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <div>
          <h3>{t('report.worst')}</h3>
          <table>
            <tbody>
              {r.worst.map((w) => (
                <tr key={w.key}>
                  <th scope="row">
                    {tData('kind', w.key.split(/[.:]/)[0] ?? w.key)} <small>{w.key.split(':').slice(1).join(' ')}</small>
                  </th>
                  <td>{w.count}</td>
                  <td>{w.sharePct} %</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </div>
      <Hours hours={r.hours} operators={r.operators} />
    </>
  )
}

function Hours(props: { hours: Report['hours']; operators: number }) {
  const { hours } = props
  const most = Math.max(12 * props.operators, ...hours.map((h) => h.count))
  const width = 100 / hours.length
  return (
    <>
      <h3>{t('report.perHourChart')}</h3>
      <svg class="hours" viewBox="0 0 100 30" preserveAspectRatio="none" role="img" aria-label={t('report.perHourChart')}>
        <line x1="0" x2="100" y1={30 - (30 * 6 * props.operators) / most} y2={30 - (30 * 6 * props.operators) / most} />
        {hours.map((h, i) => (
          <rect
            key={h.atMs}
            class={h.count > 12 * props.operators ? 'odd' : ''}
            x={i * width}
            width={width * 0.8}
            y={30 - (30 * h.count) / most}
            height={(30 * h.count) / most}
          >
            <title>{`${formatTime(h.atMs, timezone.value)}: ${h.count}`}</title>
          </rect>
        ))}
      </svg>
    </>
  )
}

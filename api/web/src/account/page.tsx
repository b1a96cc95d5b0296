// What a customer wants to know, in this order: is something wrong, how much, what does it cost, when.
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks'
import { Bars } from './charts.tsx'
import {
  type Commodity,
  type Cost,
  type Curve,
  download,
  hasAccess,
  type Label,
  loadCurves,
  loadView,
  type Notice,
  type View,
} from './data.ts'
import { choose, fallback, type Language, language, locale, t } from './texts.ts'

const UNITS = { m3: 'm³', kWh: 'kWh' }
const number = (v: number) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: Math.abs(v) >= 100 ? 0 : Math.abs(v) >= 10 ? 1 : 2 }).format(v)
const label = (l: Label) => (language() === 'zh' ? (l.zh ?? l.en) : l.en)

function money(minor: number, c: { currency: string; minorDigits: number }): string {
  return new Intl.NumberFormat(locale(), {
    style: 'currency',
    currency: c.currency,
    currencyDisplay: 'narrowSymbol',
    minimumFractionDigits: c.minorDigits,
    maximumFractionDigits: c.minorDigits,
  }).format(minor / 10 ** c.minorDigits)
}

/** A price of one unit, with all its places. */
function price(rate: string, currency: string): string {
  return new Intl.NumberFormat(locale(), { style: 'currency', currency, currencyDisplay: 'narrowSymbol', maximumFractionDigits: 6 }).format(
    Number(rate),
  )
}

function time(iso: string, timezone: string, withDate = true): string {
  const date = withDate ? ({ month: 'short', day: 'numeric' } as const) : {}
  return new Intl.DateTimeFormat(locale(), { timeZone: timezone, ...date, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(
    new Date(iso),
  )
}

function dayName(date: string, weekday = true): string {
  const format: Intl.DateTimeFormatOptions = { timeZone: 'UTC', day: 'numeric', month: weekday ? 'short' : 'numeric' }
  if (weekday) format.weekday = 'short'
  return new Intl.DateTimeFormat(locale(), format).format(new Date(`${date}T00:00:00Z`))
}

export function Page() {
  const [view, setView] = useState<View | null>(null)
  const [error, setError] = useState('')
  const load = useCallback(() => {
    setError('')
    loadView().then(
      (v) => {
        if (v.language === 'zh' || v.language === 'en') fallback.value = v.language
        setView(v)
      },
      (e: Error) => setError(e.message),
    )
  }, [])
  useEffect(() => {
    if (hasAccess) load()
  }, [load])
  document.documentElement.lang = language()
  document.title = t('title')
  return (
    <main>
      <header>
        <div>
          <h1>{t('title')}</h1>
          {view !== null && <p class="dim">{t('account', { id: view.account })}</p>}
        </div>
        <Languages />
      </header>
      {!hasAccess && <p class="card">{t('noLink')}</p>}
      {error !== '' && (
        <p class="card" role="alert">
          {t('failed', { reason: error })}{' '}
          <button type="button" onClick={load}>
            {t('again')}
          </button>
        </p>
      )}
      {hasAccess && view === null && error === '' && <p class="dim">{t('loading')}</p>}
      {view !== null && <Content view={view} />}
    </main>
  )
}

function Languages() {
  const names: Record<Language, string> = { en: 'English', zh: '中文' }
  return (
    <div class="languages">
      {(['en', 'zh'] as const).map((l) => (
        <button type="button" key={l} lang={l} aria-pressed={language() === l} onClick={() => choose(l)}>
          {names[l]}
        </button>
      ))}
    </div>
  )
}

function Content({ view }: { view: View }) {
  const [failed, setFailed] = useState('')
  return (
    <>
      <Notices notices={view.notices} timezone={view.timezone} />
      {view.commodities.length === 0 && <p class="card">{t('noMeters')}</p>}
      {view.commodities.map((c) => (
        <Section key={c.commodity} c={c} timezone={view.timezone} />
      ))}
      <button
        type="button"
        class="wide"
        onClick={() =>
          download().then(
            () => setFailed(''),
            (e: Error) => setFailed(e.message),
          )
        }
      >
        {t('download')}
      </button>
      {failed !== '' && <p role="alert">{t('downloadFailed', { reason: failed })}</p>}
    </>
  )
}

function Notices({ notices, timezone }: { notices: readonly Notice[]; timezone: string }) {
  if (notices.length === 0) return <p class="card well">{t('allWell')}</p>
  return (
    <section aria-label={t('notices')}>
      {notices.map((n) => (
        <div key={`${n.kind}${n.from}`} class={n.urgent ? 'card notice urgent' : 'card notice'} role={n.urgent ? 'alert' : undefined}>
          <p>{n.text[language()]}</p>
          <p class="dim">
            {n.to === null
              ? t('since', { time: time(n.from, timezone) })
              : t('between', { from: time(n.from, timezone), to: time(n.to, timezone, n.to.slice(0, 10) !== n.from.slice(0, 10)) })}
          </p>
        </div>
      ))}
    </section>
  )
}

function Section({ c, timezone }: { c: Commodity; timezone: string }) {
  const { month, today } = c.usage
  const unit = UNITS[c.unit]
  return (
    <section class="card">
      <h2>{t(c.commodity)}</h2>
      <div class="figures">
        <Figure name={t('thisMonth')} value={number(month.value)} unit={unit} />
        <Figure name={t('today')} value={number(today.value)} unit={unit} />
      </div>
      {month.changePct !== null && (
        <p>
          <strong>
            {month.changePct > 0 ? '+' : month.changePct < 0 ? '−' : '±'}
            {Math.abs(month.changePct)} %
          </strong>{' '}
          {t('change')}
        </p>
      )}
      {today.uncertainPct > 0 && <p class="dim">{t('uncertain', { pct: today.uncertainPct })}</p>}
      <Compared c={c} unit={unit} />
      {c.cost === null ? <p class="dim">{t('noCost')}</p> : <Costs cost={c.cost} unit={unit} />}
      <Days c={c} unit={unit} timezone={timezone} />
      {today.until !== null && <p class="dim">{t('asOf', { time: time(today.until, timezone) })}</p>}
    </section>
  )
}

function Figure(props: { name: string; value: string; unit?: string }) {
  return (
    <div class="figure">
      <span class="dim">{props.name}</span>
      <span class="big">
        {props.value} {props.unit !== undefined && <small>{props.unit}</small>}
      </span>
    </div>
  )
}

/** The same whole days: mine, last month's, the neighbours'. */
function Compared({ c, unit }: { c: Commodity; unit: string }) {
  const { days, month, today } = { ...c.usage, today: c.usage.days.at(-1)?.date ?? '' }
  const mine = days.filter((d) => d.date >= month.from && d.date < today).reduce((n, d) => n + d.value, 0)
  const rows: [string, number, string][] = [[t('you'), mine, 'bar me']]
  if (month.lastMonthSameDays !== null) rows.push([t('lastMonth'), month.lastMonthSameDays, 'bar'])
  if (c.neighbours !== null) rows.push([t('neighbours'), c.neighbours.median, 'bar'])
  const most = Math.max(...rows.map((r) => r[1]), 1e-9)
  return (
    <>
      {rows.length > 1 && (
        <div class="compared">
          <h3>{t('compare')}</h3>
          {rows.map(([name, value, kind]) => (
            <div key={name} class="row">
              <span>{name}</span>
              <span>
                {number(value)} {unit}
              </span>
              <div class={kind} style={{ width: `${Math.max(1, (100 * value) / most)}%` }} />
            </div>
          ))}
        </div>
      )}
      <p class="dim">
        {c.neighbours === null
          ? t('neighboursFew')
          : t('neighboursNote', { pct: Math.round(c.neighbours.moreThanYou * 100), count: c.neighbours.count })}
      </p>
    </>
  )
}

function Costs({ cost, unit }: { cost: Cost; unit: string }) {
  const { soFar } = cost
  const share = cost.forecastMinor > 0 ? Math.min(100, (100 * soFar.totalMinor) / cost.forecastMinor) : 0
  return (
    <div class="costs">
      <div class="figures">
        <Figure name={t('cost')} value={money(soFar.totalMinor, cost)} />
        <Figure name={t('forecast')} value={money(cost.forecastMinor, cost)} />
      </div>
      <div class="progress">
        <div style={{ width: `${share}%` }} />
      </div>
      {cost.forecastHighMinor > cost.forecastLowMinor && (
        <p class="dim">{t('range', { low: money(cost.forecastLowMinor, cost), high: money(cost.forecastHighMinor, cost) })}</p>
      )}
      {soFar.tiers.slice(0, 1).map((tier) => (
        <p key={tier.tier}>
          {t('tier', { tier: tier.tier, tiers: tier.tiers, rate: price(tier.rate, cost.currency) })}
          <br />
          <span class="dim">
            {tier.upTo === null || tier.nextRate === null
              ? t('tierLast')
              : t('tierLeft', { left: number(tier.upTo - tier.used), unit, rate: price(tier.nextRate, cost.currency) })}
          </span>
        </p>
      ))}
      {soFar.uncovered.length > 0 && <p class="dim">{t('uncovered')}</p>}
      {soFar.warnings.length > 0 && <p class="dim">{t('timeEstimate')}</p>}
      <details>
        <summary>{t('detail')}</summary>
        <p class="dim">{label(cost.tariff.label)}</p>
        <table>
          <tbody>
            {soFar.lines.map((l, k) => (
              <tr key={k}>
                <td>
                  {label(l.label)}
                  {l.tier !== undefined && `, ${t('block', { tier: l.tier })}`}
                  <br />
                  <span class="dim">
                    {number(l.quantity)} {l.unit === 'm3' ? 'm³' : l.unit}
                    {l.rate !== '' && ` × ${price(l.rate, cost.currency)}`}
                    {l.included === true && `, ${t('included')}`}
                  </span>
                </td>
                <td class="amount">{money(l.amountMinor, cost)}</td>
              </tr>
            ))}
            <tr>
              <th>{t('total')}</th>
              <th class="amount">{money(soFar.totalMinor, cost)}</th>
            </tr>
          </tbody>
        </table>
      </details>
    </div>
  )
}

function Days({ c, unit, timezone }: { c: Commodity; unit: string; timezone: string }) {
  const { days, meters } = c.usage
  const [chosen, setChosen] = useState<number | undefined>(undefined)
  // Names of days are in the language.
  const lang = language()
  const bars = useMemo(
    () =>
      days.map((d, k) => ({
        label: dayName(d.date),
        value: d.value,
        unsure: d.uncertain > 0,
        tick: (days.length - 1 - k) % 7 === 0 ? dayName(d.date, false) : '',
      })),
    [days, lang],
  )
  const day = chosen === undefined ? undefined : days[chosen]
  return (
    <>
      <h3>{t('days')}</h3>
      <Bars bars={bars} unit={unit} label={t('days')} {...(chosen === undefined ? {} : { chosen })} onPick={setChosen} />
      {day === undefined ? (
        <p class="dim">{t('tapDay')}</p>
      ) : (
        <>
          <h3>
            {t('hours', { date: dayName(day.date) })} · {number(day.value)} {unit}
          </h3>
          <Hours meters={meters} date={day.date} unit={unit} timezone={timezone} />
        </>
      )}
    </>
  )
}

function Hours(props: { meters: readonly string[]; date: string; unit: string; timezone: string }) {
  const { meters, date, unit, timezone } = props
  const [curves, setCurves] = useState<Curve[] | null>(null)
  const [error, setError] = useState('')
  useEffect(() => {
    let current = true
    setCurves(null)
    loadCurves(meters, date).then(
      (c) => current && setCurves(c),
      (e: Error) => current && setError(e.message),
    )
    return () => {
      current = false
    }
  }, [meters, date])
  const bars = useMemo(() => (curves === null ? [] : hourBars(curves, timezone)), [curves, timezone])
  if (error !== '') return <p role="alert">{t('failed', { reason: error })}</p>
  if (curves === null) return <p class="dim">{t('loading')}</p>
  if (bars.length === 0) return <p class="dim">{t('noData')}</p>
  return (
    <>
      <Bars bars={bars} unit={unit} label={date} />
      {bars.some((b) => b.unsure) && (
        <p class="dim">
          <span class="key" /> {t('estimated')}
        </p>
      )}
    </>
  )
}

/** Intervals of all meters added by hour; 23 or 25 of them when the clock changes. */
function hourBars(curves: readonly Curve[], timezone: string) {
  const hours = new Map<number, { value: number; unsure: boolean }>()
  for (const { intervals } of curves) {
    for (const i of intervals) {
      const hour = Math.floor(Date.parse(i.start) / 3_600_000)
      const h = hours.get(hour) ?? { value: 0, unsure: false }
      h.value += i.value ?? 0
      h.unsure ||= i.status !== 'actual' && i.status !== 'edited'
      hours.set(hour, h)
    }
  }
  return [...hours]
    .sort(([a], [b]) => a - b)
    .map(([hour, h], k) => {
      const clock = time(new Date(hour * 3_600_000).toISOString(), timezone, false)
      return { label: clock, ...h, tick: k % 6 === 0 ? clock : '' }
    })
}

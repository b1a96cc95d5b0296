// One asset: what it says now and how old that is, its curve with what is usual, what is found about it, what it hangs on.
import { useEffect, useRef, useState } from 'preact/hooks'
import type { CrewView } from '#model/live-events.ts'
import { DAY_MS } from '#model/time.ts'
import { Chart, type ChartHandle, type Curve } from '../chart.tsx'
import { get } from '../connection.ts'
import { formatAge, formatValue } from '../format.ts'
import { t, tData } from '../i18n.ts'
import {
  alarms,
  assets,
  crews,
  findings,
  isOpen,
  isStale,
  nowMs,
  propertiesOf,
  selected,
  selectedTick,
  shownNowMs,
  shownValues,
  tickets,
  timezone,
  traced,
  trail,
} from '../store.ts'
import { csvOf, download, loadCurve, QUANTITY_OF, SPANS } from '../trends.ts'
import { AlarmRow } from './alarm-row.tsx'
import { FindingRow } from './evidence.tsx'
import { TicketRow } from './tickets.tsx'

const REFRESH_MS = 10_000
const COMPARED_MAX = 3

export function Detail() {
  const id = selected.value
  const [tab, setTab] = useState<'chart' | 'alarms' | 'network'>('chart')
  if (id === null) return null
  void selectedTick.value
  const asset = propertiesOf(id)
  const kind = asset?.kind ?? ''
  const crew = crews.value.get(id)
  const name = asset !== undefined && 'name' in asset && typeof asset.name === 'string' ? asset.name : ''
  const about = [...findings.value.values()].filter(
    (f) => isOpen(f) && (f.scope.id === id || f.affected?.includes(id) === true || f.candidates?.some((c) => c.id === id) === true),
  )
  const tabs = [
    ['chart', 'detail.tabChart'],
    ['alarms', 'detail.tabAlarms'],
    ['network', 'detail.tabNetwork'],
  ] as const
  return (
    <section class="detail" aria-label={id} data-testid="detail">
      <header>
        <h2>
          {id}{' '}
          <small>
            {kind.replaceAll('_', ' ')} {name}
          </small>
        </h2>
        <Now id={id} />
        <span class="choices">
          {tabs.map(([key, text]) => (
            <button type="button" key={key} aria-pressed={tab === key} onClick={() => setTab(key)}>
              {t(text)}
              {key === 'alarms' && about.length > 0 && ` ${about.length}`}
            </button>
          ))}
          <button
            type="button"
            aria-label={t('detail.close')}
            onClick={() => {
              selected.value = null
            }}
          >
            ✕
          </button>
        </span>
      </header>
      {crew !== undefined ? <CrewFacts crew={crew} /> : tab === 'chart' && <Curves id={id} kind={kind} />}
      {tab === 'alarms' && <About id={id} />}
      {tab === 'network' && <Surroundings id={id} />}
    </section>
  )
}

function Now(props: { id: string }) {
  const asset = propertiesOf(props.id)
  return (
    <span class="now">
      {[...(shownValues().get(props.id) ?? [])].map(([key, v]) => (
        <span key={key} class={isStale(asset, v.tsMs) ? 'stale' : ''}>
          <b>{formatValue(key.split('/')[0] ?? key, v.value)}</b>{' '}
          <small>
            {t('detail.age', { age: formatAge(shownNowMs.value - v.tsMs) })}
            {isStale(asset, v.tsMs) ? ` · ${t('detail.stale')}` : ''}
            {v.quality !== 'good' && v.quality !== 'computed' ? ` · ${t('detail.quality', { q: v.quality })}` : ''}
          </small>
        </span>
      ))}
    </span>
  )
}

function Curves(props: { id: string; kind: string }) {
  const { id, kind } = props
  const quantity = QUANTITY_OF[kind]
  const [days, setDays] = useState<number>(1)
  const [compared, setCompared] = useState<readonly string[]>([])
  const [curves, setCurves] = useState<readonly Curve[] | string | null>(null)
  const [until, setUntil] = useState(0)
  const handle = useRef<ChartHandle | null>(null)
  useEffect(() => setCompared([]), [id])

  useEffect(() => {
    if (quantity === undefined) return
    let current = true
    const load = async () => {
      const untilMs = nowMs.peek() || Date.now()
      try {
        const loaded = await Promise.all([
          loadCurve(id, quantity, days, untilMs, true),
          ...compared.map((other) => loadCurve(other, QUANTITY_OF[propertiesOf(other)?.kind ?? ''] ?? quantity, days, untilMs, false)),
        ])
        if (!current) return
        setUntil(untilMs)
        setCurves(loaded)
      } catch (error) {
        if (current) setCurves((error as Error).message)
      }
    }
    setCurves(null)
    void load()
    const timer = setInterval(load, REFRESH_MS)
    return () => {
      current = false
      clearInterval(timer)
    }
  }, [id, quantity, days, compared])

  if (quantity === undefined) return <Facts id={id} />
  const ready = curves !== null && typeof curves !== 'string'
  return (
    <>
      <div class="chart-tools">
        <span class="choices">
          {SPANS.map(([key, d]) => (
            <button type="button" key={key} aria-pressed={days === d} onClick={() => setDays(d)}>
              {t(key)}
            </button>
          ))}
        </span>
        <Compare id={id} onAdd={(other) => setCompared([...compared.filter((x) => x !== other), other].slice(-COMPARED_MAX))} />
        {compared.map((other) => (
          <button type="button" key={other} onClick={() => setCompared(compared.filter((x) => x !== other))}>
            {other} ✕
          </button>
        ))}
        <span class="choices right">
          <button
            type="button"
            disabled={!ready}
            onClick={() => ready && download(`${id}.csv`, new Blob([csvOf(curves)], { type: 'text/csv' }))}
          >
            {t('detail.csv')}
          </button>
          <button
            type="button"
            disabled={!ready}
            onClick={async () => {
              const blob = await handle.current?.png()
              if (blob !== undefined && blob !== null) download(`${id}.png`, blob)
            }}
          >
            {t('detail.png')}
          </button>
        </span>
      </div>
      <div class="chart-box">
        {curves === null ? (
          <p class="empty">{t('detail.loading')}</p>
        ) : typeof curves === 'string' ? (
          <p class="empty">{t('detail.unavailable', { why: curves })}</p>
        ) : curves.every((c) => c.points.length === 0) ? (
          <p class="empty">{t('detail.noData')}</p>
        ) : (
          <Chart
            curves={curves}
            label={`${id} · ${tData('quantity', quantity)}`}
            timezone={timezone.value}
            range={[until - days * DAY_MS, until]}
            onReady={(h) => {
              handle.current = h
            }}
          />
        )}
      </div>
    </>
  )
}

function Compare(props: { id: string; onAdd: (id: string) => void }) {
  const [missing, setMissing] = useState(false)
  const add = (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const text = String(new FormData(form).get('other') ?? '').trim()
    const id = [...assets.value.keys()].find((k) => k.toLowerCase() === text.toLowerCase())
    const good = id !== undefined && id !== props.id && QUANTITY_OF[propertiesOf(id)?.kind ?? ''] !== undefined
    setMissing(!good)
    if (!good) return
    props.onAdd(id)
    form.reset()
  }
  const alike = [...assets.value.values()].filter((f) => f.properties.kind === propertiesOf(props.id)?.kind).slice(0, 500)
  return (
    <form class="compare" onSubmit={add}>
      <label>
        {t('detail.compare')}{' '}
        <input name="other" type="text" list="alike" size={10} aria-invalid={missing} onInput={() => setMissing(false)} />
      </label>
      <datalist id="alike">
        {alike.map((f) => (
          <option key={f.properties.id} value={f.properties.id} />
        ))}
      </datalist>
      <button type="submit">{t('detail.compareAdd')}</button>
      {missing && <span role="alert">{t('search.none')}</span>}
    </form>
  )
}

function About(props: { id: string }) {
  const { id } = props
  const mine = [...alarms.value.values()].filter((a) => a.scope.id === id && a.state !== 'normal')
  const findingsHere = [...findings.value.values()].filter(
    (f) => f.scope.id === id || f.affected?.includes(id) === true || f.candidates?.some((c) => c.id === id) === true,
  )
  const known = new Set(mine.map((a) => a.finding))
  const others = findingsHere.filter((f) => !known.has(f.id)).sort((a, b) => b.updatedAt.localeCompare(a.updatedAt))
  const ids = new Set(findingsHere.map((f) => f.id))
  const about = [...tickets.value.values()].filter((x) => x.scope.id === id || x.findings.some((f) => ids.has(f)))
  if (mine.length + others.length + about.length === 0) return <p class="empty">{t('alarm.none')}</p>
  return (
    <div class="about">
      <ul class="list">
        {mine.map((a) => (
          <AlarmRow key={a.key} alarm={a} />
        ))}
        {others.slice(0, 50).map((f) => (
          <FindingRow key={f.id} finding={f} />
        ))}
      </ul>
      {about.length > 0 && <h3>{t('detail.tickets')}</h3>}
      <ul class="list">
        {about.slice(0, 50).map((x) => (
          <TicketRow key={x.id} ticket={x} />
        ))}
      </ul>
    </div>
  )
}

interface Trace {
  upstream: string[]
  downstream: string[]
  meters: number
  customers: number
  neighbours: string[]
}

function Surroundings(props: { id: string }) {
  const { id } = props
  const [trace, setTrace] = useState<Trace | string | null>(null)
  useEffect(() => {
    let current = true
    setTrace(null)
    get<Trace>(`/v1/assets/${encodeURIComponent(id)}/trace`).then(
      (found) => {
        if (current) setTrace(found)
      },
      (error: Error) => {
        if (current) setTrace(error.message)
      },
    )
    return () => {
      current = false
      traced.value = null
    }
  }, [id])
  if (trace === null) return <p class="empty">{t('detail.loading')}</p>
  if (typeof trace === 'string') return <p class="empty">{t('detail.unavailable', { why: trace })}</p>
  const on = traced.value !== null
  const list = (ids: readonly string[]) => (
    <dd>
      {ids.slice(0, 12).map((other) => (
        <button
          type="button"
          class="link"
          key={other}
          onClick={() => {
            selected.value = other
          }}
        >
          {other}
        </button>
      ))}
      {ids.length > 12 && `+ ${ids.length - 12}`}
    </dd>
  )
  return (
    <div class="about pad">
      <p>
        <b>{t('detail.customers', { n: trace.customers })}</b> · {t('detail.meters', { n: trace.meters })}{' '}
        <button
          type="button"
          aria-pressed={on}
          onClick={() => {
            traced.value = on ? null : { upstream: trace.upstream, downstream: trace.downstream }
          }}
        >
          {t(on ? 'detail.traceOff' : 'detail.traceOn')}
        </button>{' '}
        <small>{t('detail.traceHow')}</small>
      </p>
      <dl class="evidence">
        <dt>{t('detail.upstream')}</dt>
        {list(trace.upstream)}
        <dt>{t('detail.downstream')}</dt>
        {list(trace.downstream)}
        <dt>{t('detail.neighbours')}</dt>
        {list(trace.neighbours)}
      </dl>
      <Facts id={id} />
    </div>
  )
}

function Facts(props: { id: string }) {
  const asset = propertiesOf(props.id)
  if (asset === undefined) return null
  return (
    <dl class="evidence pad">
      {Object.entries(asset)
        .filter(([k, v]) => !['id', 'kind'].includes(k) && v !== undefined && v !== null)
        .map(([k, v]) => (
          <>
            <dt key={k}>{k.replaceAll('_', ' ')}</dt>
            <dd>{typeof v === 'object' ? JSON.stringify(v) : String(v)}</dd>
          </>
        ))}
    </dl>
  )
}

/** A crew: how old its position is, and where it has been in the last eight hours, drawn on the map. */
function CrewFacts(props: { crew: CrewView }) {
  const { crew, tsMs, skills, speedKmh, batteryPct, stale } = props.crew
  useEffect(() => {
    let current = true
    get<{ positions: { lon: number; lat: number }[] }>(`/v1/crews/${encodeURIComponent(crew)}/trail?hours=8`).then(
      ({ positions }) => {
        if (current) trail.value = positions.map((p): [number, number] => [p.lon, p.lat])
      },
      (error: Error) => console.warn('no trail:', error.message),
    )
    return () => {
      current = false
      trail.value = []
    }
  }, [crew])
  return (
    <dl class="evidence pad">
      <dt>{t('crew.position')}</dt>
      <dd>
        {t('detail.age', { age: formatAge(nowMs.value - tsMs) })}
        {stale && ` · ${t('detail.stale')}`}
      </dd>
      <dt>{t('crew.skills')}</dt>
      <dd>{skills.join(', ') || '—'}</dd>
      <dt>{t('crew.speed')}</dt>
      <dd>{speedKmh === null ? '—' : `${speedKmh} km/h`}</dd>
      <dt>{t('crew.battery')}</dt>
      <dd>{batteryPct === null ? '—' : `${batteryPct} %`}</dd>
    </dl>
  )
}

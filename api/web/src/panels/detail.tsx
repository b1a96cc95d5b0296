// One asset: what it says now and how old that is, its last day as a curve, what is found about it.
import { useEffect, useState } from 'preact/hooks'
import { HOUR_MS, toIso } from '#model/time.ts'
import { Chart, type Series } from '../chart.tsx'
import { get } from '../connection.ts'
import { formatAge, formatValue } from '../format.ts'
import { t, tData } from '../i18n.ts'
import { findings, isOpen, isStale, nowMs, propertiesOf, selected, selectedTick, timezone, values } from '../store.ts'
import { FindingRow } from './evidence.tsx'

const QUANTITY_OF: Record<string, string> = {
  pressure_sensor: 'pressure_bar',
  flow_meter: 'flow_m3h',
  level_sensor: 'level_m',
  pump_sensor: 'pump_running',
  transformer: 'power_kw',
  feeder: 'power_kw',
  dma: 'flow_m3h',
  water_meter: 'water_volume_m3',
  electric_meter: 'active_energy_import_kwh',
}
const SPANS = [
  ['detail.lastDay', 24],
  ['detail.lastWeek', 168],
] as const
const REFRESH_MS = 10_000

interface ReadingsPage {
  readings: { ts: string; value: number; quality: string }[]
}
interface IntervalsPage {
  intervals: { start: string; value: number | null; status: string }[]
}

async function loadSeries(id: string, kind: string, quantity: string, hours: number, until: number): Promise<Series> {
  const range = `from=${toIso(until - hours * HOUR_MS)}&to=${toIso(until)}`
  if (kind === 'water_meter' || kind === 'electric_meter') {
    const page = await get<IntervalsPage>(`/v1/intervals?meter=${encodeURIComponent(id)}&quantity=${quantity}&${range}`)
    return { quantity, points: page.intervals.map((i) => [Date.parse(i.start) / 1000, i.value]), steps: true }
  }
  const page = await get<ReadingsPage>(`/v1/readings?device=${encodeURIComponent(id)}&quantity=${quantity}&${range}`)
  return { quantity, points: page.readings.map((r) => [Date.parse(r.ts) / 1000, r.value]), steps: false }
}

export function Detail() {
  const id = selected.value
  const [hours, setHours] = useState<number>(24)
  const [series, setSeries] = useState<Series | string | null>(null)
  const asset = id === null ? undefined : propertiesOf(id)
  const kind = asset?.kind ?? ''
  const quantity = QUANTITY_OF[kind]

  useEffect(() => {
    if (id === null || quantity === undefined) return
    let current = true
    const load = () =>
      loadSeries(id, kind, quantity, hours, nowMs.peek() || Date.now()).then(
        (s) => {
          if (current) setSeries(s)
        },
        (error: Error) => {
          if (current) setSeries(error.message)
        },
      )
    setSeries(null)
    void load()
    const timer = setInterval(load, REFRESH_MS)
    return () => {
      current = false
      clearInterval(timer)
    }
  }, [id, quantity, kind, hours])

  if (id === null) return null
  void selectedTick.value
  const about = [...findings.value.values()].filter(
    (f) => isOpen(f) && (f.scope.id === id || f.affected?.includes(id) === true || f.candidates?.some((c) => c.id === id) === true),
  )
  const name = asset !== undefined && 'name' in asset && typeof asset.name === 'string' ? asset.name : ''
  return (
    <section class="detail" aria-label={id} data-testid="detail">
      <header>
        <h2>
          {id}{' '}
          <small>
            {kind.replaceAll('_', ' ')} {name}
          </small>
        </h2>
        <span class="now">
          {[...(values.get(id) ?? [])].map(([key, v]) => (
            <span key={key} class={isStale(asset, v.tsMs) ? 'stale' : ''}>
              <b>{formatValue(key.split('/')[0] ?? key, v.value)}</b>{' '}
              <small>
                {t('detail.age', { age: formatAge(nowMs.value - v.tsMs) })}
                {isStale(asset, v.tsMs) ? ` · ${t('detail.stale')}` : ''}
              </small>
            </span>
          ))}
        </span>
        <span class="choices">
          {SPANS.map(([key, h]) => (
            <button type="button" key={key} aria-pressed={hours === h} onClick={() => setHours(h)}>
              {t(key)}
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
      {quantity !== undefined && (
        <div class="chart-box">
          {series === null ? (
            <p class="empty">{t('detail.loading')}</p>
          ) : typeof series === 'string' ? (
            <p class="empty">{t('detail.unavailable', { why: series })}</p>
          ) : series.points.length === 0 ? (
            <p class="empty">{t('detail.noData')}</p>
          ) : (
            <Chart series={series} label={tData('quantity', quantity)} timezone={timezone.value} />
          )}
        </div>
      )}
      {about.length > 0 && (
        <div class="about">
          <h3>{t('detail.findings')}</h3>
          <ul class="list">
            {about.map((f) => (
              <FindingRow key={f.id} finding={f} />
            ))}
          </ul>
        </div>
      )}
    </section>
  )
}

// Boards: districts, feeders, reliability. Grey figures; what is out of the ordinary is marked by a sign and a colour.
import type { ComponentChildren } from 'preact'
import { formatTime } from '../format.ts'
import { t } from '../i18n.ts'
import { go } from '../router.ts'
import { selected, timezone } from '../store.ts'
import { usePolled } from './polled.ts'

interface DmaRow {
  id: string
  name: string
  fullyMetered: boolean
  inletM3h: number | null
  nightM3h: number | null
  nightUsualM3h: number | null
  yesterday: { date: string; inflowM3: number | null; meteredM3: number | null; balanceM3: number | null }
  leakM3h: number | null
  pressureBar: { min: number | null; avg: number | null; max: number | null; sensors: number }
  openFindings: number
}
interface FeederRow {
  id: string
  substation: string
  customers: number
  ratingKva: number | null
  loadKw: number | null
  peakKw: number | null
  voltageV: { min: number | null; avg: number | null; max: number | null; outsidePct: number | null }
  dark: number
  overloaded: number
  openFindings: number
}

const fig = (v: number | null, digits = 1): string => (v === null ? '—' : v.toFixed(digits))
/** A night flow a fifth above its usual is worth a look; small districts need at least half a cubic metre. */
const NIGHT_SHARE = 1.2
const NIGHT_LEAST_M3H = 0.5
const PRESSURE_LOW_BAR = 1.5

export function View() {
  return (
    <div class="board">
      <DmaBoard />
      <FeederBoard />
      <Indices />
    </div>
  )
}

function Cell(props: { bad?: boolean; children: ComponentChildren }) {
  return (
    <td class={props.bad === true ? 'odd' : ''}>
      {props.bad === true && <span aria-hidden="true">▲ </span>}
      {props.children}
    </td>
  )
}

function IdCell(props: { id: string; name?: string }) {
  return (
    <th scope="row">
      <button
        type="button"
        class="link"
        onClick={() => {
          selected.value = props.id
          go('map')
        }}
      >
        {props.id}
      </button>{' '}
      <small>{props.name}</small>
    </th>
  )
}

function DmaBoard() {
  const data = usePolled<{ at: string; rows: DmaRow[] }>('/v1/boards/dma')
  return (
    <section>
      <h2>{t('board.dma')}</h2>
      {typeof data === 'string' && <p class="problem">{t('board.none', { why: data })}</p>}
      {typeof data === 'object' && data !== null && (
        <div class="table-box">
          <table data-testid="dma-board">
            <caption>{formatTime(Date.parse(data.at), timezone.value)}</caption>
            <thead>
              <tr>
                {(['id', 'inlet', 'night', 'inflow', 'metered', 'balance', 'leak', 'pressure', 'findings'] as const).map((k) => (
                  <th key={k} scope="col">
                    {t(`board.${k}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {data.rows.map((r) => {
                const highNight =
                  r.nightM3h !== null &&
                  r.nightUsualM3h !== null &&
                  r.nightM3h > r.nightUsualM3h * NIGHT_SHARE &&
                  r.nightM3h > r.nightUsualM3h + NIGHT_LEAST_M3H
                const p = r.pressureBar
                return (
                  <tr key={r.id}>
                    <IdCell id={r.id} name={r.name} />
                    <Cell>{fig(r.inletM3h)}</Cell>
                    <Cell bad={highNight}>
                      {fig(r.nightM3h)}{' '}
                      <small>
                        {t('board.nightUsual')} {fig(r.nightUsualM3h)}
                      </small>
                    </Cell>
                    <Cell>{fig(r.yesterday.inflowM3, 0)}</Cell>
                    <Cell>{fig(r.yesterday.meteredM3, 0)}</Cell>
                    <Cell>
                      {fig(r.yesterday.balanceM3, 0)} {!r.fullyMetered && <small title={t('board.notFull')}>*</small>}
                    </Cell>
                    <Cell bad={(r.leakM3h ?? 0) > 0}>{fig(r.leakM3h)}</Cell>
                    <Cell bad={p.min !== null && p.min < PRESSURE_LOW_BAR}>
                      {fig(p.min, 2)} · {fig(p.avg, 2)} · {fig(p.max, 2)}
                    </Cell>
                    <Cell bad={r.openFindings > 0}>{r.openFindings}</Cell>
                  </tr>
                )
              })}
            </tbody>
          </table>
          <p class="hint">* {t('board.notFull')}</p>
        </div>
      )}
    </section>
  )
}

function FeederBoard() {
  const data = usePolled<{ at: string; rows: FeederRow[] }>('/v1/boards/feeder')
  return (
    <section>
      <h2>{t('board.feeder')}</h2>
      {typeof data === 'string' && <p class="problem">{t('board.none', { why: data })}</p>}
      {typeof data === 'object' && data !== null && (
        <div class="table-box">
          <table data-testid="feeder-board">
            <caption>{formatTime(Date.parse(data.at), timezone.value)}</caption>
            <thead>
              <tr>
                {(['id', 'customers', 'load', 'share', 'peak', 'voltage', 'outside', 'dark', 'findings'] as const).map((k) => (
                  <th key={k} scope="col">
                    {t(`board.${k}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {data.rows.map((r) => {
                const share = r.loadKw === null || r.ratingKva === null || r.ratingKva === 0 ? null : (100 * r.loadKw) / r.ratingKva
                const v = r.voltageV
                return (
                  <tr key={r.id}>
                    <IdCell id={r.id} name={r.substation} />
                    <Cell>{r.customers}</Cell>
                    <Cell>{fig(r.loadKw, 0)}</Cell>
                    <Cell bad={share !== null && share > 80}>
                      {fig(share, 0)} %{' '}
                      <meter min={0} max={100} high={80} value={Math.min(100, share ?? 0)} aria-label={`${fig(share, 0)} %`} />
                    </Cell>
                    <Cell>{fig(r.peakKw, 0)}</Cell>
                    <Cell>
                      {fig(v.min, 0)} · {fig(v.avg, 0)} · {fig(v.max, 0)}
                    </Cell>
                    <Cell bad={(v.outsidePct ?? 0) > 5}>{v.outsidePct === null ? '—' : `${fig(v.outsidePct)} %`}</Cell>
                    <Cell bad={r.dark > 0}>{r.dark}</Cell>
                    <Cell bad={r.openFindings > 0}>{r.openFindings}</Cell>
                  </tr>
                )
              })}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

interface Figures {
  saidiMinutes: number
  saifi: number
  caidiMinutes: number | null
  maifi: number
}
interface Period {
  period: string
  all: Figures
  withoutMajorEvents: Figures
}
interface Place {
  months: Period[]
  rollingYears: Period[]
}
interface Reliability {
  majorEvents: { thresholdMinutes: number | null; days: string[] }
  system: Place
  feeders: ({ feeder: string } & Place)[]
}
const INDICES = [
  ['SAIDI min', 'saidiMinutes', 2],
  ['SAIFI', 'saifi', 3],
  ['CAIDI min', 'caidiMinutes', 1],
  ['MAIFI', 'maifi', 3],
] as const

function Indices() {
  const data = usePolled<Reliability>('/v1/reliability', 60_000)
  return (
    <section>
      <h2>{t('board.indices')}</h2>
      {typeof data === 'string' && <p class="problem">{t('board.none', { why: data })}</p>}
      {typeof data === 'object' && data !== null && (
        <div class="table-box">
          <table data-testid="indices">
            <caption>
              {data.majorEvents.thresholdMinutes === null
                ? t('board.noThreshold')
                : t('board.threshold', { n: data.majorEvents.thresholdMinutes.toFixed(2), days: data.majorEvents.days.length })}
            </caption>
            <thead>
              <tr>
                <th scope="col">{t('board.id')}</th>
                <th scope="col">{t('board.period')}</th>
                {INDICES.map(([name]) => (
                  <th key={name} scope="col">
                    {name}
                    <br />
                    <small>
                      {t('board.with')} · {t('board.without')}
                    </small>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              <PlaceRows id={t('board.system')} place={data.system} />
              {data.feeders.map((f) => (
                <PlaceRows key={f.feeder} id={f.feeder} place={f} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

/** The newest month and the newest rolling year. */
function PlaceRows(props: { id: string; place: Place }) {
  const rows = [props.place.months.at(-1), props.place.rollingYears.at(-1)].filter((p) => p !== undefined)
  return (
    <>
      {rows.map((p, i) => (
        <tr key={p.period}>
          <th scope="row">{i === 0 ? props.id : ''}</th>
          <td>{i === 0 ? p.period : t('board.year', { to: p.period })}</td>
          {INDICES.map(([name, key, digits]) => (
            <td key={name}>
              {fig(p.all[key], digits)} · {fig(p.withoutMajorEvents[key], digits)}
            </td>
          ))}
        </tr>
      ))}
    </>
  )
}

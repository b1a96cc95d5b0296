// The neighbourhood of a ticket as a drawing: pipes and feeders, likely places, sensors by their state, crews. Live, and cheap.
import { useMemo } from 'preact/hooks'
import type { AssetFeature } from '#model/asset.ts'
import type { TicketView } from '#model/desk.ts'
import { t } from '../i18n.ts'
import { centre, liveProps } from '../map/features.ts'
import { added, assets, crews, findings, nowMs, values } from '../store.ts'

const WIDTH = 300
const HEIGHT = 200
/** Half the width in degrees of latitude: about 500 m. */
const REACH = 0.0045
const LINES = ['pipe', 'valve', 'pump', 'feeder']
const DRAWN_MAX = 1500

export function MiniMap(props: { ticket: TicketView }) {
  const { ticket } = props
  void nowMs.value
  const at = ticket.at ?? centre(assets.value.get(ticket.scope.id)) ?? null
  // Looked up once: what lies where does not change with the values.
  const near = useMemo(() => (at === null ? [] : nearTo(at)), [at?.[0], at?.[1], added.value])
  if (at === null) return <p class="empty">{t('alarm.none')}</p>
  const shrink = Math.cos((at[1] * Math.PI) / 180)
  const x = (lon: number) => WIDTH / 2 + (((lon - at[0]) * shrink) / REACH) * (WIDTH / 2)
  const y = (lat: number) => HEIGHT / 2 - ((lat - at[1]) / REACH) * (WIDTH / 2)
  const inside = (p: readonly [number, number]) => Math.abs(x(p[0]) - WIDTH / 2) < WIDTH && Math.abs(y(p[1]) - HEIGHT / 2) < HEIGHT
  const about = ticket.findings.flatMap((id) => findings.value.get(id) ?? [])
  const likely = new Set(about.flatMap((f) => f.candidates?.map((c) => c.id) ?? []))
  const lines = near.filter((f) => LINES.includes(f.properties.kind) && f.geometry?.type === 'LineString').slice(0, DRAWN_MAX)
  const points = near.filter((f) => f.properties.kind === 'pressure_sensor' || f.properties.kind === 'transformer').slice(0, DRAWN_MAX)
  return (
    <svg class="mini" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={t('desk.map')}>
      {lines.map((f) => (
        <polyline
          key={f.properties.id}
          class={likely.has(f.properties.id) ? 'likely' : f.properties.kind}
          points={((f.geometry?.coordinates ?? []) as [number, number][])
            .map((p) => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`)
            .join(' ')}
        />
      ))}
      {points.map((f) => {
        const [lon, lat] = centre(f) as [number, number]
        const state = String(
          liveProps(
            f,
            values.get(f.properties.id),
            about.filter((a) => a.scope.id === f.properties.id),
          ).state,
        )
        return f.properties.kind === 'transformer' ? (
          <rect key={f.properties.id} class={`dot ${state}`} x={x(lon) - 4} y={y(lat) - 4} width={8} height={8} />
        ) : (
          <circle key={f.properties.id} class={`dot ${state}`} cx={x(lon)} cy={y(lat)} r={4} />
        )
      })}
      {[...crews.value.values()]
        .filter((c) => inside([c.lon, c.lat]))
        .map((c) => (
          <g key={c.crew} class="crew">
            <circle cx={x(c.lon)} cy={y(c.lat)} r={5} />
            <text x={x(c.lon) + 7} y={y(c.lat) + 4}>
              {c.crew}
            </text>
          </g>
        ))}
      <circle class="here" cx={WIDTH / 2} cy={HEIGHT / 2} r={12} />
    </svg>
  )
}

/** Assets whose middle is within the drawing. */
function nearTo(at: readonly [number, number]): AssetFeature[] {
  const lon = (2 * REACH) / Math.cos((at[1] * Math.PI) / 180)
  return [...assets.peek().values()].filter((f) => {
    const c = centre(f)
    return c !== undefined && Math.abs(c[0] - at[0]) < lon && Math.abs(c[1] - at[1]) < 2 * REACH
  })
}

// Curves over time (uPlot), in the utility's time zone and the theme's colours, with the usual band behind the first.
import { useEffect, useMemo, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { unitOf } from './format.ts'
import { language, t } from './i18n.ts'
import { colours } from './theme.ts'

export interface Curve {
  label: string
  quantity: string
  /** [epoch ms, least, mean, greatest] in order of time. */
  points: readonly [number, number, number, number][]
  /** [epoch ms, 10 %, 50 %, 90 %]. */
  band: readonly [number, number, number, number][]
  stepMs: number
  /** Consumption per step. */
  bars: boolean
}

export type ChartHandle = { png(): Promise<Blob | null> }

/** Hours and minutes; the date at midnight, or always when asked. */
function timeLabels(splits: number[], timezone: string, withDate = false): string[] {
  const locale = language.peek() === 'zh' ? 'zh-CN' : 'en-GB'
  const time = new Intl.DateTimeFormat(locale, { timeZone: timezone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
  const date = new Intl.DateTimeFormat(locale, { timeZone: timezone, month: 'short', day: 'numeric' })
  return splits.map((s) => {
    const clock = time.format(s * 1000)
    return withDate ? `${date.format(s * 1000)} ${clock}` : clock === '00:00' ? date.format(s * 1000) : clock
  })
}

/** A hole longer than three of the usual distances between points is a hole in the curve too. */
function withGaps(points: Curve['points'], stepMs: number): [number[], (number | null)[]] {
  const distances = points.slice(1).map((p, i) => p[0] - (points[i] as Curve['points'][number])[0])
  const usual = distances.sort((a, b) => a - b)[Math.floor(distances.length / 2)] ?? stepMs
  const holeMs = 3 * Math.max(stepMs, usual)
  const xs: number[] = []
  const ys: (number | null)[] = []
  let last = Number.NaN
  for (const [ms, , mean] of points) {
    if (ms - last > holeMs) {
      xs.push((last + stepMs) / 1000)
      ys.push(null)
    }
    xs.push(ms / 1000)
    ys.push(mean)
    last = ms
  }
  return [xs, ys]
}

/** Columns for uPlot: time, low, high of the band, then a curve each. */
function columnsOf(curves: readonly Curve[]): uPlot.AlignedData {
  const [first] = curves
  const tables: uPlot.AlignedData[] = []
  const band = first?.band ?? []
  tables.push([band.map((b) => b[0] / 1000), band.map((b) => b[1]), band.map((b) => b[3])])
  for (const c of curves) tables.push(withGaps(c.points, c.stepMs))
  // Points of other curves must not tear a curve apart: only its own holes are holes.
  return uPlot.join(
    tables,
    tables.map((table) => table.slice(1).map(() => 2)),
  )
}

export function Chart(props: {
  curves: readonly Curve[]
  label: string
  timezone: string
  range: [number, number]
  onReady?: (handle: ChartHandle) => void
}) {
  const { curves, timezone, label } = props
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const c = colours.value
  const shape = JSON.stringify(curves.map((x) => [x.label, x.quantity, x.bars]))
  const data = useMemo(() => columnsOf(curves), [curves])
  const [fromMs, toMs] = props.range
  const plotRange = useRef({ fromMs, toMs }).current

  // New data of the same curves is set below, without a new plot.
  useEffect(() => {
    const host = box.current
    if (host === null) return
    const axis = { stroke: c.text, grid: { stroke: c.zoneLine, width: 1 }, ticks: { stroke: c.zoneLine, width: 1 } }
    const strokes = [c.text, c.warning, c.crew, c.minor]
    const quantities = [...new Set(curves.map((x) => x.quantity))]
    const number = (_: uPlot, v: number | null) => (v == null ? '—' : String(Number(v.toPrecision(4))))
    const stepped = uPlot.paths.stepped?.({ align: 1 })
    const made = new uPlot(
      {
        width: host.clientWidth,
        height: host.clientHeight - 28,
        tzDate: (s) => uPlot.tzDate(new Date(s * 1000), timezone),
        scales: {
          x: { range: () => [plotRange.fromMs / 1000, plotRange.toMs / 1000] },
          ...Object.fromEntries(quantities.map((q) => [q, {}])),
        },
        axes: [
          { ...axis, values: (_, splits) => timeLabels(splits, timezone) },
          ...quantities.slice(0, 2).map((q, i) => ({
            ...axis,
            scale: q,
            side: (i === 0 ? 3 : 1) as 1 | 3,
            size: 54,
            label: unitOf(q),
            labelSize: 18,
            ...(i === 0 ? {} : { grid: { show: false } }),
          })),
        ],
        bands: [{ series: [2, 1] as [number, number], fill: `${c.normal}2e` }],
        series: [
          { value: (_, s) => (s == null ? '—' : (timeLabels([s], timezone, true)[0] ?? '')) },
          ...[t('detail.low'), t('detail.high')].map((text) => ({
            label: text,
            scale: quantities[0] ?? '',
            stroke: `${c.normal}66`,
            width: 1,
            points: { show: false },
            value: number,
          })),
          ...curves.map((x, i) => ({
            label: `${x.label}${unitOf(x.quantity) === '' ? '' : ` (${unitOf(x.quantity)})`}`,
            scale: x.quantity,
            stroke: strokes[i % strokes.length] as string,
            // A second one is told apart without its colour too.
            ...(i === 0 ? {} : { dash: [6, 2 + 2 * i] }),
            width: 1.5,
            points: { show: false },
            value: number,
            ...(x.bars && stepped !== undefined ? { paths: stepped } : {}),
          })),
        ],
        legend: { live: true },
      },
      data,
      host,
    )
    plot.current = made
    const png = () =>
      new Promise<Blob | null>((done) => {
        const from = made.ctx.canvas
        const canvas = document.createElement('canvas')
        canvas.width = from.width
        canvas.height = from.height + 40
        const ctx = canvas.getContext('2d')
        if (ctx === null) return done(null)
        ctx.fillStyle = c.ground
        ctx.fillRect(0, 0, canvas.width, canvas.height)
        ctx.fillStyle = c.text
        ctx.font = '20px sans-serif'
        ctx.fillText(`${label} · ${timeLabels([fromMs / 1000, toMs / 1000], timezone, true).join(' – ')} (${timezone})`, 12, 26)
        ctx.drawImage(from, 0, 40)
        canvas.toBlob(done, 'image/png')
      })
    props.onReady?.({ png })
    const watch = new ResizeObserver(() => made.setSize({ width: host.clientWidth, height: host.clientHeight - 28 }))
    watch.observe(host)
    return () => {
      watch.disconnect()
      made.destroy()
    }
  }, [shape, timezone, label, c, language.value])

  useEffect(() => {
    plotRange.fromMs = fromMs
    plotRange.toMs = toMs
    plot.current?.setData(data)
  }, [data, fromMs, toMs, plotRange])

  return <div class="chart" ref={box} role="img" aria-label={label} />
}

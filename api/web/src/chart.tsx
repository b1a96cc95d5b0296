// A curve over time (uPlot), in the utility's time zone and the theme's colours.
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { unitOf } from './format.ts'
import { language } from './i18n.ts'
import { colours } from './theme.ts'

export interface Series {
  quantity: string
  /** [epoch seconds, value or null for a gap] in order of time. */
  points: [number, number | null][]
  /** Draw as steps: consumption per interval. */
  steps: boolean
}

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

export function Chart(props: { series: Series; label: string; timezone: string }) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  const c = colours.value
  const { quantity, steps, points } = props.series

  useEffect(() => {
    const host = box.current
    if (host === null) return
    const axis = { stroke: c.text, grid: { stroke: c.zoneLine, width: 1 }, ticks: { stroke: c.zoneLine, width: 1 } }
    const unit = unitOf(quantity)
    const made = new uPlot(
      {
        width: host.clientWidth,
        height: host.clientHeight - 32,
        tzDate: (s) => uPlot.tzDate(new Date(s * 1000), props.timezone),
        axes: [
          { ...axis, values: (_, splits) => timeLabels(splits, props.timezone) },
          { ...axis, size: 56, label: unit, labelSize: 18 },
        ],
        series: [
          { value: (_, s) => (s == null ? '—' : (timeLabels([s], props.timezone, true)[0] ?? '')) },
          {
            label: `${props.label}${unit === '' ? '' : ` (${unit})`}`,
            stroke: c.warning,
            width: 1.5,
            points: { show: false },
            spanGaps: false,
            ...(steps && uPlot.paths.stepped !== undefined ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
          },
        ],
        legend: { live: true },
      },
      [points.map((p) => p[0]), points.map((p) => p[1])],
      host,
    )
    plot.current = made
    const watch = new ResizeObserver(() => made.setSize({ width: host.clientWidth, height: host.clientHeight - 32 }))
    watch.observe(host)
    return () => {
      watch.disconnect()
      made.destroy()
    }
    // The data of the same series is replaced below without a new plot.
  }, [quantity, steps, props.timezone, props.label, c])

  useEffect(() => {
    plot.current?.setData([points.map((p) => p[0]), points.map((p) => p[1])])
  }, [points])

  return <div class="chart" ref={box} role="img" aria-label={props.label} />
}

// Two small charts (uPlot): days as bars, one of which can be chosen, and the hours of a day.
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import { locale } from './texts.ts'

const HEIGHT = 150

function colours() {
  const style = getComputedStyle(document.documentElement)
  const of = (name: string) => style.getPropertyValue(name).trim()
  return { text: of('--dim'), line: of('--line'), bar: of('--bar'), chosen: of('--accent'), unsure: of('--unsure') }
}

interface Bar {
  label: string
  value: number | null
  /** Estimated, in part at least. */
  unsure: boolean
  /** Shown below the axis; '' for most. */
  tick: string
}

/** Bars side by side. `onPick` gets the index of a tapped bar. */
export function Bars(props: { bars: readonly Bar[]; unit: string; label: string; chosen?: number; onPick?: (index: number) => void }) {
  const box = useRef<HTMLDivElement>(null)
  const { bars, unit, label, chosen, onPick } = props
  useEffect(() => {
    const host = box.current
    if (host === null) return
    const c = colours()
    const axis = { stroke: c.text, grid: { stroke: c.line, width: 1 }, ticks: { show: false }, font: '12px system-ui' }
    const part = (want: (b: Bar, k: number) => boolean) => bars.map((b, k) => (want(b, k) ? b.value : null))
    const paths = uPlot.paths.bars?.({ size: [0.78, 40, 1] })
    const bar = (fill: string) => ({ fill, stroke: fill, width: 0, points: { show: false }, ...(paths === undefined ? {} : { paths }) })
    const plot = new uPlot(
      {
        width: host.clientWidth,
        height: HEIGHT,
        padding: [8, 24, 0, 0],
        cursor: { show: false },
        legend: { show: false },
        scales: { x: { time: false, range: [-0.6, bars.length - 0.4] }, y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.05 : 1] } },
        axes: [
          {
            ...axis,
            size: 28,
            grid: { show: false },
            splits: () => bars.flatMap((b, k) => (b.tick === '' ? [] : [k])),
            values: (_u, s) => s.map((k) => bars[k]?.tick ?? ''),
          },
          {
            ...axis,
            size: 44,
            values: (_u, s) => s.map((v) => new Intl.NumberFormat(locale(), { maximumSignificantDigits: 3 }).format(v)),
          },
        ],
        series: [{}, bar(c.bar), bar(c.unsure), bar(c.chosen)],
      },
      [
        bars.map((_, k) => k),
        part((b, k) => k !== chosen && !b.unsure),
        part((b, k) => k !== chosen && b.unsure),
        part((_b, k) => k === chosen),
      ],
      host,
    )
    const pick = (event: MouseEvent) => {
      const at = Math.round(plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, 'x'))
      if (at >= 0 && at < bars.length) onPick?.(at)
    }
    if (onPick !== undefined) plot.over.addEventListener('click', pick)
    const watch = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: HEIGHT }))
    watch.observe(host)
    return () => {
      watch.disconnect()
      plot.destroy()
    }
  }, [bars, chosen, onPick])
  const sum = bars.reduce((n, b) => n + (b.value ?? 0), 0)
  return (
    <div
      class="bars"
      ref={box}
      role="img"
      aria-label={`${label}: ${new Intl.NumberFormat(locale()).format(Math.round(sum * 100) / 100)} ${unit}`}
    />
  )
}

// Playback: the map at each step of a stretch of time, from rows as they were stored. Pure.

export interface Row {
  asset: string
  quantity: string
  channel: string
  tsMs: number
  receivedMs: number
  value: number
  quality: string
}

/** One change: index of the series, time of measurement, value, quality. */
export type FrameChange = [series: number, tsMs: number, value: number, quality: string]

export interface Frames {
  /** [asset, quantity, channel] by index. */
  series: [string, string, string][]
  /** Times of the frames, ascending; the first holds everything known at its time, the others what changed since. */
  times: number[]
  changes: FrameChange[][]
}

/**
 * `as known`: a value shows from the moment it was received, and a late one never replaces a newer. `as corrected`: from the moment
 * it was measured, whenever it came.
 */
export function framesOf(
  rows: readonly Row[],
  { fromMs, toMs, stepMs, mode }: { fromMs: number; toMs: number; stepMs: number; mode: 'known' | 'corrected' },
): Frames {
  const index = new Map<string, number>()
  const series: Frames['series'] = []
  const times: number[] = []
  for (let t = fromMs; t <= toMs; t += stepMs) times.push(t)
  const changes: FrameChange[][] = times.map(() => [])
  const shownMs = (r: Row) => (mode === 'known' ? Math.max(r.receivedMs, r.tsMs) : r.tsMs)
  const newest = new Map<number, number>()
  for (const r of [...rows].sort((a, b) => shownMs(a) - shownMs(b) || a.tsMs - b.tsMs)) {
    const key = `${r.asset}\u0000${r.quantity}\u0000${r.channel}`
    let i = index.get(key)
    if (i === undefined) {
      i = series.length
      index.set(key, i)
      series.push([r.asset, r.quantity, r.channel])
    }
    const frame = Math.max(0, Math.ceil((shownMs(r) - fromMs) / stepMs))
    const list = changes[frame]
    if (list === undefined || (newest.get(i) ?? Number.NEGATIVE_INFINITY) > r.tsMs) continue
    newest.set(i, r.tsMs)
    list.push([i, r.tsMs, r.value, r.quality])
  }
  return { series, times, changes: changes.map(lastOfEach) }
}

function lastOfEach(list: readonly FrameChange[]): FrameChange[] {
  return [...new Map(list.map((c) => [c[0], c])).values()]
}

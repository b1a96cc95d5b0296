// Plays the last 30 days: stretches of frames from the api, put together to the picture of one moment.
import { effect, signal } from '@preact/signals'
import type { Finding } from '#model/finding.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, toIso } from '#model/time.ts'
import { get } from './connection.ts'
import { announce, nowMs, type Playback, playback, playedValues } from './store.ts'

export const STEP_MS = 5 * MINUTE_MS
const STRETCH_MS = 6 * HOUR_MS
export const BACK_MS = 30 * DAY_MS
/** Stretches kept; the oldest used goes first. */
const KEPT = 8
/** Log seconds in a second. */
export const SPEEDS = [60, 300, 900, 1800, 3600] as const

interface Stretch {
  times: number[]
  series: [string, string, string][]
  changes: [number, number, number, string][][]
  findings: { shownMs: number; finding: Finding }[]
}

export const playing = signal(false)
export const playSpeed = signal<number>(300)
export const playProblem = signal('')
export const playLoading = signal(false)

const stretches = new Map<string, Promise<Stretch>>()

function stretchAt(atMs: number, mode: Playback['mode']): Promise<Stretch> {
  const from = Math.floor(atMs / STRETCH_MS) * STRETCH_MS
  const key = `${mode} ${from}`
  const known = stretches.get(key)
  if (known !== undefined) {
    stretches.delete(key)
    stretches.set(key, known)
    return known
  }
  const query = new URLSearchParams({ from: toIso(from), to: toIso(from + STRETCH_MS), step: String(STEP_MS / 1000), mode })
  const loading = get<Stretch>(`/v1/playback?${query}`)
  stretches.set(key, loading)
  // What is not over yet goes on: it is asked for again.
  loading.then(
    () => {
      if (from + STRETCH_MS > nowMs.peek()) stretches.delete(key)
    },
    () => stretches.delete(key),
  )
  for (const oldest of stretches.keys()) {
    if (stretches.size <= KEPT) break
    stretches.delete(oldest)
  }
  return loading
}

/** Findings that were open at a moment. */
export function findingsAt(list: Stretch['findings'], atMs: number, mode: Playback['mode']): Finding[] {
  const newest = new Map<string, Finding>()
  for (const { shownMs, finding } of list) if (shownMs <= atMs) newest.set(finding.id, finding)
  return [...newest.values()].filter(
    (f) => f.withdrawn !== true && (f.clearedAt === null || (mode === 'corrected' && Date.parse(f.clearedAt) > atMs)),
  )
}

let asked = 0

/** Shows a moment; before the answer is there the old picture stays. */
export async function seek(atMs: number, mode: Playback['mode'] = playback.peek()?.mode ?? 'known'): Promise<void> {
  const wanted = Math.min(Math.max(atMs, nowMs.peek() - BACK_MS), nowMs.peek())
  const mine = ++asked
  playLoading.value = true
  try {
    const stretch = await stretchAt(wanted, mode)
    if (mine !== asked) return
    playProblem.value = ''
    const before = new Set(playedValues.keys())
    playedValues.clear()
    stretch.times.forEach((t, i) => {
      if (t > wanted) return
      for (const [index, tsMs, value, quality] of stretch.changes[i] ?? []) {
        const [asset, quantity, channel] = stretch.series[index] as [string, string, string]
        const key = channel === '' ? quantity : `${quantity}/${channel}`
        const of = playedValues.get(asset) ?? new Map()
        playedValues.set(asset, of.set(key, { tsMs, value, quality }))
      }
    })
    playback.value = { atMs: wanted, mode, findings: findingsAt(stretch.findings, wanted, mode) }
    announce(new Set([...before, ...playedValues.keys()]))
  } catch (error) {
    if (mine === asked) {
      playProblem.value = (error as Error).message
      playing.value = false
    }
  } finally {
    if (mine === asked) playLoading.value = false
  }
}

/** Back to now. */
export function leavePlayback(): void {
  asked += 1
  playing.value = false
  const shown = new Set(playedValues.keys())
  playedValues.clear()
  playback.value = null
  announce(shown)
}

// The player: as many frames a second as the speed asks for, at most ten; the next stretch is fetched before it is needed.
effect(() => {
  if (!playing.value) return
  const perSecond = Math.min(10, Math.max(1, (playSpeed.value * 1000) / STEP_MS))
  const timer = setInterval(() => {
    const p = playback.peek()
    if (p === null || playLoading.peek()) return
    const next = p.atMs + (playSpeed.peek() * 1000) / perSecond
    if (next >= nowMs.peek()) leavePlayback()
    else {
      void seek(next)
      if (next % STRETCH_MS > STRETCH_MS - 4 * playSpeed.peek() * 1000)
        // Fetched ahead only: a failure shows when it is needed.
        stretchAt(next + STRETCH_MS / 2, p.mode).catch(() => undefined)
    }
  }, 1000 / perSecond)
  return () => clearInterval(timer)
})

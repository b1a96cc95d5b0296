// How much the alarms ask of the shift, by the measures of ISA-18.2 and EEMUA 191. Pure.
import { type AlarmLoad, type AlarmPriority, type AlarmState, type Flood, floodsOf, STALE_MS } from '#model/alarm.ts'
import { HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { isChattering } from './state.ts'

/** What the load of an alarm depends on. */
export interface Weight {
  priority: AlarmPriority
  state: AlarmState
  activeSinceMs: number
  calls: readonly number[]
}

/** Loads as of now. `calls`: times of annunciations of the last hours, ascending. */
export function loadOf(alarms: readonly Weight[], calls: readonly number[], nowMs: number): AlarmLoad {
  const load: AlarmLoad = {
    last10Min: calls.filter((t) => t > nowMs - 10 * MINUTE_MS).length,
    lastHour: calls.filter((t) => t > nowMs - HOUR_MS).length,
    floodSinceMs: floodsOf(calls, nowMs).find((f) => f.toMs === null)?.fromMs ?? null,
    ...{ standing: 0, unacknowledged: 0, shelved: 0, suppressed: 0, outOfService: 0, stale: 0, chattering: 0 },
  }
  for (const a of alarms) {
    if (a.priority === 4) continue
    const { state } = a
    if (state === 'unacknowledged' || state === 'acknowledged') {
      load.standing += 1
      if (nowMs - a.activeSinceMs > STALE_MS) load.stale += 1
    }
    if (['unacknowledged', 'returned', 'latched_unacknowledged'].includes(state)) load.unacknowledged += 1
    if (state === 'shelved') load.shelved += 1
    if (state === 'suppressed') load.suppressed += 1
    if (state === 'out_of_service') load.outOfService += 1
    if (isChattering(a.calls, nowMs)) load.chattering += 1
  }
  return load
}

export interface JournalCall {
  key: string
  atMs: number
  priority: AlarmPriority
}
export interface Answer {
  who: string
  atMs: number
  /** From the call to the answer. */
  afterMs: number
}

export interface AlarmReport {
  annunciations: number
  perOperatorHour: { mean: number; most: number; hoursAboveSix: number; hoursAboveTwelve: number }
  per10MinMost: number
  floods: Flood[]
  floodSharePct: number
  priorities: { priority: AlarmPriority; count: number; sharePct: number; targetPct: number }[]
  worst: { key: string; count: number; sharePct: number }[]
  answers: { who: string; count: number; medianS: number; p90S: number }[]
  hours: { atMs: number; count: number }[]
}

/** Shares that ISA-18.2 recommends, by priority. */
const TARGET_PCT: Record<1 | 2 | 3, number> = { 1: 5, 2: 15, 3: 80 }
const WORST = 10

const share = (n: number, of: number): number => (of === 0 ? 0 : Math.round((n / of) * 1000) / 10)

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}

/** Of a whole range of log time. `calls` and `answers` ascending by time. */
export function reportOf(
  calls: readonly JournalCall[],
  answers: readonly Answer[],
  range: { fromMs: number; toMs: number; nowMs: number; operators: number },
): AlarmReport {
  const toMs = Math.min(range.toMs, Math.max(range.nowMs, range.fromMs))
  const times = calls.map((c) => c.atMs)
  const first = Math.floor(range.fromMs / HOUR_MS)
  const hours = Array.from({ length: Math.max(1, Math.ceil(toMs / HOUR_MS) - first) }, (_, i) => ({
    atMs: (first + i) * HOUR_MS,
    count: 0,
  }))
  for (const t of times) {
    const hour = hours[Math.floor(t / HOUR_MS) - first]
    if (hour !== undefined) hour.count += 1
  }
  const each = hours.map((h) => h.count / range.operators)
  const floods = floodsOf(times, toMs)
  const floodMs = floods.reduce((sum, f) => sum + ((f.toMs ?? toMs) - f.fromMs), 0)
  const byKey = new Map<string, number>()
  for (const c of calls) byKey.set(c.key, (byKey.get(c.key) ?? 0) + 1)
  return {
    annunciations: calls.length,
    perOperatorHour: {
      mean: Math.round((each.reduce((a, b) => a + b, 0) / each.length) * 100) / 100,
      most: Math.max(...each),
      hoursAboveSix: each.filter((n) => n > 6).length,
      hoursAboveTwelve: each.filter((n) => n > 12).length,
    },
    per10MinMost: most10Min(times),
    floods,
    floodSharePct: share(floodMs, Math.max(1, toMs - range.fromMs)),
    priorities: ([1, 2, 3] as const).map((priority) => {
      const count = calls.filter((c) => c.priority === priority).length
      return { priority, count, sharePct: share(count, calls.length), targetPct: TARGET_PCT[priority] }
    }),
    worst: [...byKey]
      .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
      .slice(0, WORST)
      .map(([key, count]) => ({ key, count, sharePct: share(count, calls.length) })),
    answers: answersBy(answers),
    hours,
  }
}

function most10Min(times: readonly number[]): number {
  let most = 0
  let first = 0
  for (let i = 0; i < times.length; i++) {
    while ((times[first] as number) <= (times[i] as number) - 10 * MINUTE_MS) first++
    most = Math.max(most, i - first + 1)
  }
  return most
}

function answersBy(answers: readonly Answer[]): AlarmReport['answers'] {
  const by = new Map<string, number[]>()
  for (const a of answers) {
    const list = by.get(a.who)
    if (list === undefined) by.set(a.who, [a.afterMs])
    else list.push(a.afterMs)
  }
  return [...by]
    .map(([who, list]) => {
      const sorted = list.sort((a, b) => a - b)
      return {
        who,
        count: list.length,
        medianS: Math.round(quantile(sorted, 0.5) / 1000),
        p90S: Math.round(quantile(sorted, 0.9) / 1000),
      }
    })
    .sort((a, b) => b.count - a.count)
}

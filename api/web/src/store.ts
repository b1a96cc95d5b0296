// All that the page knows, in signals. The stream writes here, panels read here, and the map is told of changed assets only.
import { computed, type Signal, signal } from '@preact/signals'
import type { AlarmView } from '#model/alarm.ts'
import type { AssetFeature, AssetProperties } from '#model/asset.ts'
import type { TicketView } from '#model/desk.ts'
import type { Finding } from '#model/finding.ts'
import type { CrewView, LiveStatus, LiveValue } from '#model/live-events.ts'

export interface Value {
  tsMs: number
  value: number
  quality: string
}

export type Connection = 'connecting' | 'live' | 'lost' | 'signed_out'

export const connection = signal<Connection>('connecting')
export const lostSinceMs = signal(0)
export const nowMs = signal(0)
export const speed = signal(1)
export const status = signal<LiveStatus | null>(null)
export const timezone = signal('UTC')
export const findings = signal<ReadonlyMap<string, Finding>>(new Map())
export const tickets = signal<ReadonlyMap<string, TicketView>>(new Map())
export const alarms = signal<ReadonlyMap<string, AlarmView>>(new Map())
export const crews = signal<ReadonlyMap<string, CrewView>>(new Map())
export const selected = signal<string | null>(null)
/** What feeds the selected asset and what it feeds, while that is shown on the map. */
export const traced = signal<{ upstream: readonly string[]; downstream: readonly string[] } | null>(null)
/** Where the selected crew has been, oldest first. */
export const trail = signal<readonly [number, number][]>([])
/** Sensors on the map without a fresh value, and how many there are. */
export const staleSensors = signal({ stale: 0, of: 0 })
/** Nothing to press, all to read: for a screen on the wall. */
export const wall = signal(false)
export const SIDE_TABS = ['alarms', 'tickets', 'system'] as const
/** Which list the side panel shows. */
export const sideTab = signal<(typeof SIDE_TABS)[number]>('alarms')

/** The log's clock has not moved for so long while the connection is live. */
export const logStillMs = signal(0)
/** How far this computer's clock is from the log's when the log runs at the pace of life; 0 in a simulation. */
export const clockOffMs = signal(0)
/** Assets that cannot be drawn and ids that came twice. */
export const registryProblems = signal({ noPlace: 0, twice: 0 })
/** Values that were no numbers. */
export const badValues = signal(0)
/** Said for a moment after the connection came back: with nothing missed, or loaded anew. */
export const resumed = signal<'' | 'conn.resumed' | 'conn.resumedAnew'>('')

/** Registry features by id. The same map grows while parts of the registry arrive; `added` tells of each part. */
export const assets = signal<ReadonlyMap<string, AssetFeature>>(new Map())
export const added = signal<readonly AssetFeature[]>([])

/** Latest values: asset -> `quantity` or `quantity/channel` -> value. Not a signal: 5,000 changes a second would re-render panels. */
export const values = new Map<string, Map<string, Value>>()
/** Counts up when values of the selected asset changed, so that the detail panel alone re-renders. */
export const selectedTick = signal(0)

const listeners = new Set<(changed: ReadonlySet<string>) => void>()

/** Calls back with the ids of assets whose values changed. */
export function onValues(listener: (changed: ReadonlySet<string>) => void): void {
  listeners.add(listener)
}

export function mergeValues(list: readonly LiveValue[], replace: boolean): void {
  if (replace) values.clear()
  const changed = new Set<string>()
  let bad = 0
  for (const [asset, quantity, channel, tsMs, value, quality] of list) {
    // JSON has no NaN: a server that met one sends null.
    if (!Number.isFinite(value) || !Number.isFinite(tsMs)) {
      bad += 1
      continue
    }
    let of = values.get(asset)
    if (of === undefined) {
      of = new Map()
      values.set(asset, of)
    }
    const key = channel === '' ? quantity : `${quantity}/${channel}`
    const old = of.get(key)
    // A late value never moves "now".
    if (old !== undefined && old.tsMs > tsMs) continue
    of.set(key, { tsMs, value, quality })
    changed.add(asset)
  }
  if (bad > 0) badValues.value += bad
  announce(changed)
  if (selected.value !== null && changed.has(selected.value)) selectedTick.value++
}

/**
 * News of findings, tickets and alarms is gathered and shown together: 5,000 alarms in a minute are a few renderings a second.
 * `newer` says whether the second replaces the first.
 */
function gathered<T>(target: Signal<ReadonlyMap<string, T>>, keyOf: (x: T) => string, newer: (old: T, x: T) => boolean): (x: T) => void {
  const waiting = new Map<string, T>()
  return (x) => {
    const key = keyOf(x)
    const old = waiting.get(key) ?? target.peek().get(key)
    if (old !== undefined && !newer(old, x)) return
    waiting.set(key, x)
    if (waiting.size > 1) return
    setTimeout(
      () => {
        const next = new Map(target.peek())
        for (const [k, v] of waiting) next.set(k, v)
        waiting.clear()
        target.value = next
      },
      target.peek().size > MANY ? GATHER_MANY_MS : GATHER_MS,
    )
  }
}
const GATHER_MS = 150
/** In a storm a list is drawn anew once a second: nobody reads faster, and the page stays at hand. */
const MANY = 500
const GATHER_MANY_MS = 1000

export const mergeFinding = gathered(
  findings,
  (f) => f.id,
  (old, f) => f.rev > old.rev,
)
export const mergeTicket = gathered(
  tickets,
  (x) => x.id,
  (old, x) => x.version > old.version,
)
export const mergeAlarm = gathered(
  alarms,
  (a) => a.key,
  (old, a) => a.version > old.version,
)

export function isOpen(f: Finding): boolean {
  return f.clearedAt === null && f.withdrawn !== true
}

/** The later of two ISO times first; they sort as plain text. */
const later = (a: string, b: string): number => (a < b ? 1 : a > b ? -1 : 0)

const RANK = { critical: 0, major: 1, minor: 2, warning: 3 }

/** Open findings, most severe first, newest first within a severity. */
export const openFindings = computed(() =>
  [...findings.value.values()].filter(isOpen).sort((a, b) => RANK[a.severity] - RANK[b.severity] || later(a.detectedAt, b.detectedAt)),
)

export const closedFindings = computed(() =>
  [...findings.value.values()]
    .filter((f) => !isOpen(f))
    .sort((a, b) => later(a.updatedAt, b.updatedAt))
    .slice(0, 50),
)

/** The map of another moment; the lists beside it stay live, because a shift must not miss what happens now. */
export interface Playback {
  atMs: number
  mode: 'known' | 'corrected'
  findings: readonly Finding[]
}
export const playback = signal<Playback | null>(null)
/** Values of the moment that is played; asset -> series -> value, as `values`. */
export const playedValues = new Map<string, Map<string, Value>>()

/** Where the map looks: `lon,lat,zoom`, for links. */
export const mapPlace = signal('')

export const shownNowMs = computed(() => playback.value?.atMs ?? nowMs.value)
export const shownFindings = computed(() => playback.value?.findings ?? openFindings.value)
export function shownValues(): ReadonlyMap<string, ReadonlyMap<string, Value>> {
  return playback.peek() === null ? values : playedValues
}
/** Tells who draws that values of these assets changed. */
export function announce(changed: ReadonlySet<string>): void {
  for (const listener of listeners) listener(changed)
}

export function propertiesOf(id: string): AssetProperties | undefined {
  return assets.value.get(id)?.properties
}

/** Pressure limits in bar. 1.5 bar is the usual least service pressure at the tap connection, 8 bar the usual rating of house installations. */
export const PRESSURE_LOW_BAR = 1.5
export const PRESSURE_VERY_LOW_BAR = 0.5
export const PRESSURE_HIGH_BAR = 8

/** Older than three of its own intervals is stale. */
export function isStale(asset: AssetProperties | undefined, tsMs: number): boolean {
  const intervalS = asset !== undefined && 'interval_s' in asset && typeof asset.interval_s === 'number' ? asset.interval_s : 900
  return shownNowMs.value - tsMs > 3 * intervalS * 1000
}

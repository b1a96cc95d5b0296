// All that the page knows, in signals. The stream writes here, panels read here, and the map is told of changed assets only.
import { computed, signal } from '@preact/signals'
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
export const crews = signal<ReadonlyMap<string, CrewView>>(new Map())
export const selected = signal<string | null>(null)

/** Registry features by id. */
export const assets = signal<ReadonlyMap<string, AssetFeature>>(new Map())

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
  for (const [asset, quantity, channel, tsMs, value, quality] of list) {
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
  for (const listener of listeners) listener(changed)
  if (selected.value !== null && changed.has(selected.value)) selectedTick.value++
}

export function mergeFinding(f: Finding): void {
  const old = findings.value.get(f.id)
  if (old !== undefined && old.rev >= f.rev) return
  findings.value = new Map(findings.value).set(f.id, f)
}

export function mergeTicket(ticket: TicketView): void {
  const old = tickets.value.get(ticket.id)
  if (old !== undefined && old.version >= ticket.version) return
  tickets.value = new Map(tickets.value).set(ticket.id, ticket)
}

export function isOpen(f: Finding): boolean {
  return f.clearedAt === null && f.withdrawn !== true
}

const RANK = { critical: 0, major: 1, minor: 2, warning: 3 }

/** Open findings, most severe first, newest first within a severity. */
export const openFindings = computed(() =>
  [...findings.value.values()]
    .filter(isOpen)
    .sort((a, b) => RANK[a.severity] - RANK[b.severity] || b.detectedAt.localeCompare(a.detectedAt)),
)

export const closedFindings = computed(() =>
  [...findings.value.values()]
    .filter((f) => !isOpen(f))
    .sort((a, b) => b.updatedAt.localeCompare(a.updatedAt))
    .slice(0, 50),
)

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
  return nowMs.value - tsMs > 3 * intervalS * 1000
}

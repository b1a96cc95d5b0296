// Alarms by what caused them: the incident whose ticket names their finding, else the zone. Pure.
import type { AlarmView } from '#model/alarm.ts'
import type { TicketView } from '#model/desk.ts'

export interface AlarmGroup {
  /** Id of the ticket, or `zone <id>`. */
  id: string
  ticket: TicketView | undefined
  zone: string
  /** Most urgent first, then the newest. */
  alarms: AlarmView[]
  /** The one that came first: where to look for the cause. */
  firstOut: AlarmView
}

export function byUrgency(a: AlarmView, b: AlarmView): number {
  return (
    a.priority - b.priority ||
    Number(a.state !== 'unacknowledged') - Number(b.state !== 'unacknowledged') ||
    b.activeSinceMs - a.activeSinceMs
  )
}

/** Most urgent group first. */
export function groupAlarms(alarms: readonly AlarmView[], tickets: Iterable<TicketView>): AlarmGroup[] {
  const ticketOf = new Map<string, TicketView>()
  for (const ticket of tickets) for (const finding of ticket.findings) ticketOf.set(finding, ticket)
  const groups = new Map<string, AlarmView[]>()
  for (const a of alarms) {
    const id = ticketOf.get(a.finding)?.id ?? `zone ${a.zone}`
    const list = groups.get(id)
    if (list === undefined) groups.set(id, [a])
    else list.push(a)
  }
  return [...groups]
    .map(([id, list]) => {
      const sorted = list.sort(byUrgency)
      const [first] = sorted as [AlarmView]
      const firstOut = sorted.reduce((best, a) => (a.activeSinceMs < best.activeSinceMs ? a : best), first)
      return { id, ticket: ticketOf.get(first.finding), zone: first.zone, alarms: sorted, firstOut }
    })
    .sort((a, b) => byUrgency(a.alarms[0] as AlarmView, b.alarms[0] as AlarmView))
}

export const ALARM_LISTS = ['standing', 'alerts', 'quiet', 'suppressed', 'oos', 'stale', 'chattering', 'recent'] as const
export type AlarmList = (typeof ALARM_LISTS)[number]

const STANDING = ['unacknowledged', 'acknowledged', 'returned', 'latched_unacknowledged', 'latched']
export const TO_ANSWER = ['unacknowledged', 'returned', 'latched_unacknowledged']
const STALE_MS = 86_400_000

export function inList(list: AlarmList, a: AlarmView, nowMs: number): boolean {
  switch (list) {
    case 'standing':
      return STANDING.includes(a.state)
    case 'alerts':
      return a.state === 'alert' || a.state === 'pending'
    case 'quiet':
      return a.state === 'shelved'
    case 'suppressed':
      return a.state === 'suppressed'
    case 'oos':
      return a.state === 'out_of_service'
    case 'stale':
      return (a.state === 'unacknowledged' || a.state === 'acknowledged') && nowMs - a.activeSinceMs > STALE_MS
    case 'chattering':
      return a.chattering
    case 'recent':
      return a.state === 'normal' && a.annunciatedMs > 0
  }
}

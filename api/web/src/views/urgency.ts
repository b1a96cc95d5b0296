// In which order tickets are worked on, and the clock that counts now. Pure.
import type { SlaClock, TicketView } from '#model/desk.ts'

export const ENDED = ['closed', 'archived', 'cancelled']

/** The clock that runs out first among those not done; undefined when all are. */
export function nextClock(x: TicketView): SlaClock | undefined {
  return x.clocks
    .filter((c) => c.state === 'running' || c.state === 'breached' || c.state === 'paused')
    .sort((a, b) => a.dueMs - b.dueMs)[0]
}

/** Too late first, then by priority, then by the next limit; a stopped clock waits behind those that run. */
export function byUrgency(a: TicketView, b: TicketView): number {
  const late = (x: TicketView) => Number(x.clocks.some((c) => c.state === 'breached'))
  const held = (x: TicketView) => Number(x.heldSince !== null)
  const due = (x: TicketView) => nextClock(x)?.dueMs ?? Number.MAX_SAFE_INTEGER
  return held(a) - held(b) || late(b) - late(a) || a.priority - b.priority || due(a) - due(b) || a.id.localeCompare(b.id)
}

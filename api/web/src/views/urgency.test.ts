import { describe, expect, it } from 'vitest'
import type { SlaClock, TicketView } from '#model/desk.ts'
import { byUrgency, nextClock } from './urgency.ts'

const clock = (state: SlaClock['state'], dueMs: number): SlaClock => ({
  step: 'respond',
  state,
  dueMs,
  usedPct: 0,
  forecastMs: null,
  risk: false,
})
const ticket = (id: string, priority: number, clocks: SlaClock[], heldSince: string | null = null) =>
  ({ id, priority, clocks, heldSince }) as TicketView

describe('urgency', () => {
  it('puts what is too late first, then priority, then the next limit; what is held last', () => {
    const list = [
      ticket('held', 1, [clock('paused', 1)], '2026-01-01T00:00:00Z'),
      ticket('later', 2, [clock('running', 20)]),
      ticket('soon', 2, [clock('running', 10)]),
      ticket('first', 1, [clock('running', 99)]),
      ticket('late', 3, [clock('breached', 5)]),
    ]
    expect(list.sort(byUrgency).map((x) => x.id)).toEqual(['late', 'first', 'soon', 'later', 'held'])
  })

  it('looks at the clock that runs out first', () => {
    expect(nextClock(ticket('x', 1, [clock('met', 1), clock('running', 9), clock('running', 5)]))?.dueMs).toBe(5)
    expect(nextClock(ticket('x', 1, [clock('late', 1)]))).toBeUndefined()
  })
})

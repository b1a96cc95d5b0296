import { describe, expect, it } from 'vitest'
import type { AlarmView } from '#model/alarm.ts'
import type { TicketView } from '#model/desk.ts'
import { groupAlarms, inList } from './groups.ts'

const alarm = (key: string, given: Partial<AlarmView> = {}): AlarmView =>
  ({
    key,
    finding: `f-${key}`,
    zone: 'Z',
    priority: 2,
    state: 'unacknowledged',
    activeSinceMs: 1000,
    chattering: false,
    ...given,
  }) as AlarmView
const ticket = { id: 'T-1', findings: ['f-a', 'f-b'] } as TicketView

describe('groups of alarms', () => {
  it('puts alarms of one incident together and names the first', () => {
    const groups = groupAlarms([alarm('a', { activeSinceMs: 2000 }), alarm('b'), alarm('c', { priority: 1 })], [ticket])
    expect(groups.map((g) => [g.id, g.firstOut.key, g.alarms.map((a) => a.key)])).toEqual([
      ['zone Z', 'c', ['c']],
      ['T-1', 'b', ['a', 'b']],
    ])
    expect(groups[1]?.ticket?.id).toBe('T-1')
  })

  it('knows what stands and what is stale', () => {
    const a = alarm('a')
    expect([inList('standing', a, 2000), inList('stale', a, 2000), inList('stale', a, 1e9)]).toEqual([true, false, true])
    expect(inList('standing', alarm('s', { state: 'shelved' }), 0)).toBe(false)
  })
})

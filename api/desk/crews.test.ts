import { describe, expect, it } from 'vitest'
import { HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { type CrewStatus, onShift, proposeCrews } from './crews.ts'
import { statusKind } from './outage-feed.ts'
import { DEFAULTS } from './settings.ts'

const NOW = Date.parse('2026-03-01T10:00:00Z')
const crew = (name: string, lon: number | null, ageMin = 1, skills: ('water' | 'power')[] = ['power']) => ({
  crew: name,
  skills,
  position: lon === null ? undefined : { lon, lat: 47, tsMs: NOW - ageMin * MINUTE_MS },
})
const status = (name: string, given: Partial<CrewStatus> = {}): [string, CrewStatus] => [
  name,
  { crew: name, status: 'free', shiftFromMs: null, shiftToMs: null, tickets: [], ...given },
]
const ask = (crews: ReturnType<typeof crew>[], statuses: [string, CrewStatus][] = [], at: [number, number] | null = [8, 47]) =>
  proposeCrews({ class: 'outage', power: true, at, nowMs: NOW }, crews, new Map(statuses), DEFAULTS.crews)
const order = (...args: Parameters<typeof ask>) => ask(...args).map((c) => c.crew)

describe('crews are ranked', () => {
  it.each([
    ['by distance', [crew('far', 8.2), crew('near', 8.01)], [], ['near', 'far']],
    ['by skill before distance', [crew('near', 8, 1, ['water']), crew('far', 8.5)], [], ['far', 'near']],
    ['by freedom before distance', [crew('near', 8), crew('far', 8.5)], [status('near', { tickets: [7] })], ['far', 'near']],
    [
      'by shift before freedom',
      [crew('home', 8), crew('busy', 8.5)],
      [status('home', { status: 'off' }), status('busy', { status: 'busy' })],
      ['busy', 'home'],
    ],
    ['the known before the unknown', [crew('gone', 8, 300), crew('silent', null), crew('here', 8.5)], [], ['here', 'gone', 'silent']],
  ] as [string, ReturnType<typeof crew>[], [string, CrewStatus][], string[]][])('%s', (_, crews, statuses, wanted) => {
    expect(order(crews, statuses)).toEqual(wanted)
  })

  it('with the reason, and a stale position marked', () => {
    const [best, other] = ask([crew('a', 8.013), crew('b', 8.5, 20)])
    expect(best).toMatchObject({
      distanceKm: 0.99,
      reasons: ['nearest', 'skilled', 'free'],
      reason: 'nearest free crew, skilled for power, 1.0 km as the crow flies, about 2 min',
    })
    expect(other).toMatchObject({
      stale: true,
      reasons: ['skilled', 'free', 'position_stale'],
      reason: expect.stringContaining('position 20 min old'),
    })
    expect(ask([crew('a', 8)], [], null)[0]).toMatchObject({ distanceKm: null, reasons: ['skilled', 'free', 'place_unknown'] })
  })

  it('knowing when a shift is', () => {
    const shift = status('a', { shiftFromMs: NOW - HOUR_MS, shiftToMs: NOW + HOUR_MS })[1]
    expect([
      onShift(undefined, NOW),
      onShift(shift, NOW),
      onShift(shift, NOW + HOUR_MS),
      onShift({ ...shift, status: 'off' }, NOW),
    ]).toEqual([true, true, false, false])
  })
})

describe('an outage', () => {
  it('has the status that other systems know', () => {
    const of = (state: Parameters<typeof statusKind>[0]['state'], ended = false) =>
      statusKind({ state, telemetryClosedMs: ended ? NOW : null })
    expect([of('received'), of('reviewed'), of('dispatched'), of('verify'), of('cancelled'), of('dispatched', true)]).toEqual([
      'received',
      'assessing',
      'crewAssigned',
      'crewOnsite',
      'cancelled',
      'restored',
    ])
  })
})

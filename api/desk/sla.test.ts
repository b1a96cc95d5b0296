import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { TicketImpact } from '#model/desk.ts'
import { HOUR_MS, MINUTE_MS } from '#model/time.ts'
import { addWorking, calendarOf, instantOf, workingMs } from './calendar.ts'
import { NOBODY, segmentOf, urgencyOf } from './priority.ts'
import { DEFAULTS, DeskSettings } from './settings.ts'
import { clocksOf, escalationsDue, limitsFor, rulesOf, slaDue } from './sla.ts'

const ms = (iso: string) => Date.parse(iso)
const zurich = calendarOf({ ...DEFAULTS.calendar, holidays: ['2026-04-03', '2026-04-06'] }, 'Europe/Zurich')

describe('working time', () => {
  it.each([
    ['within a day', '2026-03-02T09:00+01:00', '2026-03-02T11:30+01:00', 2.5],
    ['over a night', '2026-03-02T17:00+01:00', '2026-03-03T09:00+01:00', 2],
    ['over a weekend', '2026-03-06T17:00+01:00', '2026-03-09T09:00+01:00', 2],
    ['over Good Friday to Easter Monday', '2026-04-02T17:00+02:00', '2026-04-07T09:00+02:00', 2],
    ['over the weekend of the change to summer time', '2026-03-27T17:00+01:00', '2026-03-30T09:00+02:00', 2],
    ['backwards', '2026-03-03T09:00+01:00', '2026-03-02T09:00+01:00', 0],
  ])('counts %s', (_, from, to, hours) => {
    expect(workingMs(zurich, ms(from), ms(to)) / HOUR_MS).toBe(hours)
  })

  it('counts a night shift over the hour that is skipped, and over the hour that comes twice', () => {
    const nights = calendarOf({ ...DEFAULTS.calendar, saturday: [], sunday: [['00:00', '06:00']], monday: [] }, 'Europe/Zurich')
    expect(workingMs(nights, ms('2026-03-28T12:00Z'), ms('2026-03-29T12:00Z'))).toBe(5 * HOUR_MS)
    expect(workingMs(nights, ms('2026-10-24T12:00Z'), ms('2026-10-25T12:00Z'))).toBe(7 * HOUR_MS)
    expect(addWorking(nights, ms('2026-03-28T23:30Z'), HOUR_MS)).toBe(ms('2026-03-29T00:30Z'))
    // 02:30 does not exist on that day.
    expect(instantOf('Europe/Zurich', '2026-03-29', 150)).toBe(ms('2026-03-29T01:30Z'))
  })

  it('waits for the desk to open', () => {
    expect(addWorking(zurich, ms('2026-03-07T12:00+01:00'), 0)).toBe(ms('2026-03-09T08:00+01:00'))
    expect(addWorking(zurich, ms('2026-03-06T17:30+01:00'), HOUR_MS)).toBe(ms('2026-03-09T08:30+01:00'))
  })

  it('adding what was counted comes out where it began, for any instants', () => {
    const start = ms('2026-01-01T00:00Z')
    fc.assert(
      fc.property(fc.nat(300 * 24 * 60), fc.nat(40 * 60), (a, b) => {
        const from = start + a * MINUTE_MS
        const to = addWorking(zurich, from, b * MINUTE_MS)
        expect(workingMs(zurich, from, to)).toBe(b * MINUTE_MS)
      }),
      { numRuns: 50 },
    )
  })
})

describe('limits', () => {
  const rules = rulesOf(DEFAULTS, 'Europe/Zurich')
  it('are those of the rule that names most', () => {
    const own = {
      class: 'outage',
      segment: 'life_support',
      clock: 'always',
      respondMin: 5,
      dispatchMin: 20,
      resolveMin: 60,
      replyMin: 90,
    } as const
    const strict = rulesOf(DeskSettings.parse({ limits: [...DEFAULTS.limits, own] }), 'UTC')
    expect(limitsFor(strict, { class: 'outage', priority: 1, segment: 'life_support' }).resolveMs).toBe(HOUR_MS)
    expect(limitsFor(strict, { class: 'outage', priority: 1, segment: 'general' }).resolveMs).toBe(4 * HOUR_MS)
    expect(limitsFor(strict, { class: 'leak', priority: 1, segment: 'life_support' }).resolveMs).toBe(4 * HOUR_MS)
  })

  it('run around the clock for field work and in working hours for the desk', () => {
    const saturday = ms('2026-03-07T12:00+01:00')
    expect(slaDue(rules, limitsFor(rules, { class: 'outage', priority: 2, segment: '' }), saturday, 0).respondMs).toBe(
      saturday + 15 * MINUTE_MS,
    )
    const desk = limitsFor(rules, { class: 'complaint', priority: 3, segment: '' })
    expect(slaDue(rules, desk, saturday, 0).respondMs).toBe(ms('2026-03-09T18:00+01:00'))
    expect(slaDue(rules, desk, saturday, HOUR_MS).respondMs).toBe(ms('2026-03-10T09:00+01:00'))
  })

  it.each([
    ['a class without limits', { limits: [] }, /no limits for outage/],
    ['falling limits', { limits: DEFAULTS.limits.map((l) => ({ ...l, replyMin: 0 })) }, /must not fall/],
    ['a time zone that is none', { calendar: { timezone: 'Mars/Base' } }, /time zone/],
    ['hours that end before they begin', { calendar: { monday: [['18:00', '08:00']] } }, /ends before/],
    [
      'hours that overlap',
      {
        calendar: {
          monday: [
            ['08:00', '12:00'],
            ['11:00', '18:00'],
          ],
        },
      },
      /begins before/,
    ],
    [
      'a desk that never opens',
      { calendar: Object.fromEntries(['monday', 'tuesday', 'wednesday', 'thursday', 'friday'].map((d) => [d, []])) },
      /open at some time/,
    ],
    ['30 February', { calendar: { holidays: ['2026-02-30'] } }, /date/],
  ])('are refused: %s', (_, given, message) => {
    const r = DeskSettings.safeParse(given)
    expect(r.success).toBe(false)
    expect(r.error?.message).toMatch(message)
  })
})

describe('clocks', () => {
  const rules = rulesOf(DEFAULTS, 'UTC')
  const from = ms('2026-03-02T10:00Z')
  const limits = limitsFor(rules, { class: 'outage', priority: 2, segment: '' })
  const ticket = {
    clockFromMs: from,
    limits,
    sla: slaDue(rules, limits, from, 0),
    heldSinceMs: null,
    heldMs: 0,
    respondedMs: null,
    dispatchedMs: null,
    resolvedMs: null,
    repliedMs: null,
    closedMs: null,
  }
  const at = (minutes: number, given = {}, pace = {}) => clocksOf({ ...ticket, ...given }, rules, from + minutes * MINUTE_MS, pace)

  it('tell what is met, late, at risk and breached', () => {
    expect(at(13).map((c) => [c.state, c.risk])).toEqual([
      ['running', true],
      ['running', false],
      ['running', false],
      ['running', false],
    ])
    expect(at(16)[0]).toMatchObject({ state: 'breached', usedPct: 107, risk: false })
    expect(at(60, { respondedMs: from + 5 * MINUTE_MS })[0]).toMatchObject({ state: 'met', usedPct: 33 })
    expect(at(60, { respondedMs: from + 30 * MINUTE_MS })[0]).toMatchObject({ state: 'late' })
  })

  it('forecast a breach before it happens, from how long such tickets take', () => {
    const clock = at(60, { respondedMs: from, dispatchedMs: from }, { resolve: 9 * HOUR_MS })[2]
    expect(clock).toMatchObject({ state: 'running', usedPct: 13, risk: true, forecastMs: from + 9 * HOUR_MS })
  })

  it('escalate each step once', () => {
    const due = escalationsDue(rules, at(16), [])
    expect(due).toEqual(['respond:80:dispatcher', 'respond:100:supervisor'])
    expect(escalationsDue(rules, at(16), due)).toEqual([])
    expect(escalationsDue(rules, at(200, { respondedMs: from }), [])).toEqual(['dispatch:100:supervisor'])
    expect(escalationsDue(rules, at(2000, { heldSinceMs: from }), [])).toEqual([])
  })
})

describe('priority', () => {
  const of = (given: Partial<TicketImpact>, more = {}) => {
    const i = { ...NOBODY, ...given }
    return urgencyOf(
      { class: 'outage', severity: 'minor', base: 4, impact: { ...i, segment: segmentOf(i) }, openMs: 0, ...more },
      DEFAULTS.priority,
    )
  }
  it.each([
    ['life support comes first', { customers: 1, lifeSupport: 1 }, {}, 1, 'life_support'],
    ['a hospital', { customers: 1, hospitals: 1 }, {}, 2, 'hospital'],
    ['a vulnerable customer', { customers: 1, vulnerable: 1 }, {}, 3, 'vulnerable_customers'],
    ['one customer', { customers: 1 }, {}, 4, 'severity'],
    ['a thousand', { customers: 1200 }, {}, 2, 'many_customers'],
    ['one for a day', { customers: 1 }, { openMs: 30 * HOUR_MS }, 2, 'lasting'],
    ['a burst of 60 m³/h', { lossM3h: 60 }, { class: 'leak' }, 1, 'water_lost'],
    ['never less than its incident', { customers: 1 }, { base: 1 }, 1, 'as_its_incident'],
  ])('%s', (_, impact, more, priority, reason) => {
    expect(of(impact, more)).toMatchObject({ priority, reasons: expect.arrayContaining([reason]) })
    expect(of(impact, more).reasons[0]).toBe(reason)
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Scope } from '#model/finding.ts'
import { toIso } from '#model/time.ts'
import { interruptionsOf, type OutageFacts } from './from-findings.ts'
import { dailySaidi, type Interruption, indicesOf, majorEventDays, thresholdOf } from './indices.ts'
import { monthBefore, monthsBetween, reportOf } from './report.ts'

const one = (customers: number, minutes: number, more: Partial<Interruption> = {}): Interruption => ({
  feeder: 'F',
  date: '2026-03-01',
  customers,
  customerMinutes: customers * minutes,
  momentary: minutes <= 5,
  ...more,
})

describe('IEEE 1366, annex: one circuit of 2,000 customers in a year', () => {
  // Customers and minutes of the sustained interruptions as the guide lists them, and two momentary ones.
  const year = [
    one(200, 8.17),
    one(400, 0.5),
    one(600, 71.3),
    one(25, 30.3),
    one(2000, 1),
    one(90, 267.2),
    one(700, 120),
    one(1500, 10),
    one(100, 40),
  ]
  const r = indicesOf(year, 2000)
  test('SAIFI 1.61', () => expect(r.saifi).toBeCloseTo(1.6075, 4))
  test('SAIDI 86.11 minutes', () => expect(r.saidiMinutes).toBeCloseTo(86.11, 2))
  test('CAIDI 53.57 minutes', () => expect(r.caidiMinutes).toBeCloseTo(53.57, 2))
  test('MAIFI counts the momentary ones alone', () => expect(r.maifi).toBeCloseTo(1.2, 6))
  test('nobody served is an error that says so', () => expect(() => indicesOf(year, 0)).toThrow('customersServed must be above 0'))
})

describe('major event days, 2.5 beta', () => {
  test('alpha -3.30 and beta 1.90 give 4.26 minutes, as in the guide', () => {
    // Two values that lie a standard deviation on either side of alpha.
    const d = 1.9 / Math.SQRT2
    const { alpha, beta, thresholdMinutes } = thresholdOf([Math.exp(-3.3 - d), Math.exp(-3.3 + d)])
    expect([alpha, beta]).toEqual([expect.closeTo(-3.3, 9), expect.closeTo(1.9, 9)])
    expect(thresholdMinutes).toBeCloseTo(4.26, 2)
  })

  const history = (days: number, saidi: (k: number) => number): [string, number][] =>
    Array.from({ length: days }, (_, k) => [toIso(Date.UTC(2025, 0, 1 + k)).slice(0, 10), saidi(k)])

  test('a storm day in the period is found from the history before it, and does not raise its own threshold', () => {
    const days = new Map([...history(200, (k) => 0.5 + (k % 7) / 10), ['2026-03-04', 300] as [string, number]])
    const r = majorEventDays(days, '2026-03-01')
    expect(r.days).toEqual(['2026-03-04'])
    expect(r.basisDays).toBe(200)
    expect(r.thresholdMinutes).toBeLessThan(5)
  })
  test('days without interruption are not part of the basis', () => {
    const some = majorEventDays(new Map(history(200, (k) => (k % 2 === 0 ? 1 + (k % 3) : 0))), '2026-03-01')
    expect(some.basisDays).toBe(100)
  })
  test('too little history names no day', () => {
    expect(majorEventDays(new Map(history(4, () => 1)), '2026-03-01')).toMatchObject({ thresholdMinutes: null, days: [], basisDays: 4 })
  })
})

describe('findings', () => {
  const at = Date.parse('2026-03-31T23:30:00Z')
  const fact = (more: Partial<OutageFacts> & { scope?: Scope } = {}): OutageFacts => ({
    kind: 'outage',
    scope: { type: 'transformer', id: 'T1' },
    zone: 'F',
    startedAt: toIso(at),
    clearedAt: toIso(at + 3_600_000),
    affected: ['A', 'B'],
    size: { customers: 2, customerMinutes: 110 },
    planned: false,
    ...more,
  })
  const of = (...facts: OutageFacts[]) => interruptionsOf(facts, { timezone: 'UTC', nowMs: at + 600_000 })

  test('belong to the local day of their beginning', () => {
    const [i] = interruptionsOf([fact()], { timezone: 'Asia/Shanghai', nowMs: at }).unplanned
    expect(i).toMatchObject({ date: '2026-04-01', customers: 2, customerMinutes: 110, feeder: 'F' })
  })
  test('what was withdrawn, and what only gathers others, does not count', () => {
    const { unplanned, planned } = of(fact({ withdrawn: true }), fact({ scope: { type: 'substation', id: 'S' } }))
    expect([unplanned, planned]).toEqual([[], []])
  })
  test('planned work is apart', () => {
    const r = of(fact({ planned: true }))
    expect([r.unplanned.length, r.planned.length]).toEqual([0, 1])
  })
  test('what goes on counts up to now, with what is already back', () => {
    const open = fact({ clearedAt: null, affected: ['A'], size: { customers: 3, customerMinutes: 12 } })
    expect(of(open).unplanned[0]).toMatchObject({ customers: 3, customerMinutes: 22 })
  })
  test('an older finding without customer minutes counts by its ends', () => {
    expect(of(fact({ size: {} })).unplanned[0]).toMatchObject({ customers: 2, customerMinutes: 120 })
  })
})

describe('the report', () => {
  const served = new Map([
    ['F', 100],
    ['G', 300],
  ])
  test('months', () => {
    expect(monthsBetween('2025-11', '2026-02')).toEqual(['2025-11', '2025-12', '2026-01', '2026-02'])
    expect(monthBefore('2026-02', 11)).toBe('2025-03')
    expect(monthBefore('2026-12', 12)).toBe('2025-12')
  })
  test('per feeder and system, per month and rolling year', () => {
    const list = [one(50, 60), one(30, 100, { feeder: 'G', date: '2026-02-10' }), one(10, 30, { date: '2025-03-31' })]
    const r = reportOf(list, { fromMonth: '2026-02', toMonth: '2026-03', customersServed: served })
    expect(r.system.months.map((m) => [m.period, m.all.saidiMinutes])).toEqual([
      ['2026-02', 7.5],
      ['2026-03', 7.5],
    ])
    // The twelve months to February hold what was in March of the year before; those to March do not.
    expect(r.system.rollingYears.map((m) => [m.period, m.all.saidiMinutes])).toEqual([
      ['2025-03/2026-02', 8.25],
      ['2025-04/2026-03', 15],
    ])
    expect(r.feeders.get('F')?.months[1]?.all).toMatchObject({ saidiMinutes: 30, saifi: 0.5, caidiMinutes: 60 })
    expect(r.feeders.get('G')?.months[1]?.all.caidiMinutes).toBeNull()
  })
  test('without major event days leaves those days out everywhere', () => {
    const quiet = Array.from({ length: 60 }, (_, k) => one(4, 20 + (k % 5), { date: toIso(Date.UTC(2026, 0, 1 + k)).slice(0, 10) }))
    const storm = one(100, 900, { date: '2026-03-05' })
    const r = reportOf([...quiet, storm], { fromMonth: '2026-03', toMonth: '2026-03', customersServed: served })
    expect(r.majorEvents.days).toEqual(['2026-03-05'])
    const march = r.feeders.get('F')?.months[0]
    expect(march?.all.saidiMinutes).toBeGreaterThan(900)
    expect(march?.withoutMajorEvents.saidiMinutes).toBeLessThan(2)
  })
  test('the system is the customer-weighted mean of its feeders', () => {
    const list = fc.array(fc.record({ feeder: fc.constantFrom('F', 'G'), n: fc.nat(100), minutes: fc.integer({ min: 1, max: 900 }) }))
    fc.assert(
      fc.property(list, (rows) => {
        const events = rows.map((x) => one(x.n, x.minutes, { feeder: x.feeder }))
        const r = reportOf(events, { fromMonth: '2026-03', toMonth: '2026-03', customersServed: served })
        const of = (f: string) => r.feeders.get(f)?.months[0]?.all.saidiMinutes as number
        expect(r.system.months[0]?.all.saidiMinutes).toBeCloseTo((100 * of('F') + 300 * of('G')) / 400, 6)
        const days = [...dailySaidi(events, 400).values()].reduce((s, v) => s + v, 0)
        expect(days).toBeCloseTo(r.system.months[0]?.all.saidiMinutes as number, 6)
      }),
    )
  })
})

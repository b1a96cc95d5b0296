import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HOUR_MS, startOfLocalDate } from '#model/time.ts'
import { addDays } from '#tariff/calendar.ts'
import { Tariff } from '#tariff/tariff.ts'
import { datesOf, dueMs, newestDue, nextPeriod, periodOf, USUAL_CALENDAR } from './calendar.ts'
import { type DayInterval, decodeIntervals, encodeIntervals } from './day-intervals.ts'
import { dayUsage, documentText, periodDocument } from './determinants.ts'
import type { BilledDay, PeriodFacts } from './period-model.ts'

const ZONE = 'Europe/Zurich'
const POWER = 'active_energy_import_kwh'

function hoursOf(date: string, values: (i: number) => number | null): DayInterval[] {
  const startMs = startOfLocalDate(ZONE, date)
  const endMs = startOfLocalDate(ZONE, addDays(date, 1))
  return Array.from({ length: (endMs - startMs) / HOUR_MS }, (_, i) => ({
    startMs: startMs + i * HOUR_MS,
    endMs: startMs + (i + 1) * HOUR_MS,
    value: values(i),
    status: values(i) === null ? 'missing' : 'actual',
  }))
}
function aDay(date: string, given: Partial<BilledDay> = {}): BilledDay {
  const intervals = given.intervals ?? hoursOf(date, () => 1)
  const value = intervals.reduce((n, i) => n + (i.value ?? 0), 0)
  return {
    meter: 'E1',
    quantity: POWER,
    channel: '',
    date,
    rev: 1,
    value,
    actual: intervals.length,
    estimated: 0,
    missing: 0,
    ...given,
    intervals,
  }
}
const facts = (given: Partial<PeriodFacts> = {}): PeriodFacts => ({
  period: { id: '2026-03', from: '2026-03-01', to: '2026-04-01' },
  dueAt: '2026-04-04T00:00:00.000Z',
  timezone: ZONE,
  account: 'C1',
  meter: '',
  commodity: 'power',
  segment: 'general',
  persons: 1,
  tariff: { code: 'P1', revision: 1 },
  tariffCode: 'P1',
  tariffSha256: '',
  tariffProblem: null,
  registers: [{ meter: 'E1', quantity: POWER, channel: '', multiplier: 1, start: null, end: null }],
  unbilled: [],
  ...given,
})
const label = { en: 'x' }
/** Blocks of 300 kWh, night cheaper, a price in winter and another in summer. */
const TARIFF = Tariff.parse({
  ...{ code: 'P1', commodity: 'power', label, currency: 'CHF' },
  versions: [
    {
      validFrom: '2025-01-01',
      seasons: [
        { id: 'winter', label, from: ['10-01'] },
        { id: 'summer', label, from: ['03-15'] },
      ],
      periods: [
        { id: 'night', label, spans: [{ from: '21:00', to: '07:00' }] },
        { id: 'day', label, rest: true },
      ],
      charges: [
        {
          ...{ id: 'e', type: 'energy', label },
          tiers: {
            accumulate: 'period',
            blocks: [
              { upTo: 300, rate: '0.10' },
              { upTo: null, rate: '0.20' },
            ],
          },
        },
        { id: 's', type: 'standing', label, perMonth: '5.00' },
      ],
    },
  ],
})
const march = () => datesOf(facts().period).map((d) => aDay(d))
const base = { facts: facts(), tariff: TARIFF, earlier: [], corrections: [] }

describe('calendar', () => {
  it('every day is in exactly one period, periods follow each other', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 28 }), fc.integer({ min: 0, max: 4000 }), (startDay, n) => {
        const calendar = { ...USUAL_CALENDAR, startDay }
        const date = addDays('2020-01-01', n)
        const p = periodOf(calendar, date)
        expect(p.from <= date && date < p.to).toBe(true)
        const next = nextPeriod(calendar, p)
        expect([next.from, periodOf(calendar, addDays(p.to, -1))]).toEqual([p.to, p])
      }),
    )
  })

  it('the newest due period is due and the one after it is not', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 28 }),
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 0, max: 20_000 }),
        (startDay, closeAfterDays, hours) => {
          const calendar = { startDay, closeAfterDays, closeTime: '23:45' }
          const nowMs = Date.parse('2026-01-01T00:00:00Z') + hours * HOUR_MS
          const p = newestDue(calendar, ZONE, nowMs)
          expect(dueMs(calendar, p, ZONE) <= nowMs && dueMs(calendar, nextPeriod(calendar, p), ZONE) > nowMs).toBe(true)
        },
      ),
    )
  })

  it('is due at the local time, summer and winter', () => {
    const of = (id: string) => new Date(dueMs(USUAL_CALENDAR, periodOf(USUAL_CALENDAR, `${id}-01`), ZONE)).toISOString()
    expect([of('2026-01'), of('2026-06')]).toEqual(['2026-02-04T01:00:00.000Z', '2026-07-04T00:00:00.000Z'])
  })
})

describe('intervals of a billed day', () => {
  it('come back as they were, in few bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 3_600_000 }), fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }))), {
          maxLength: 100,
        }),
        (list) => {
          let at = 1_770_000_000_000
          const intervals = list.map(([length, value]): DayInterval => {
            const startMs = at
            at += length
            return { startMs, endMs: at, value: value === null ? null : value + 0, status: value === null ? 'missing' : 'edited' }
          })
          expect(decodeIntervals(encodeIntervals(intervals))).toEqual(intervals)
        },
      ),
      { numRuns: 50 },
    )
    const day = Array.from(
      { length: 96 },
      (_, i): DayInterval => ({
        startMs: 1.7e12 + i * 900_000,
        endMs: 1.7e12 + (i + 1) * 900_000,
        value: ((i * 37) % 100) / 1000,
        status: 'actual',
      }),
    )
    expect(encodeIntervals(day).length).toBeLessThan(400)
  })
})

describe('document of a period', () => {
  it('use by season and time of use, blocks and quality add up to the consumption', () => {
    const d = periodDocument({ ...base, days: march() })
    expect(d.consumption).toEqual({ import: 743, export: 0 })
    expect(d.timeOfUse).toEqual([
      { register: 'import', season: 'summer', period: 'day', value: 17 * 14 },
      { register: 'import', season: 'summer', period: 'night', value: 17 * 10 - 1 },
      { register: 'import', season: 'winter', period: 'day', value: 14 * 14 },
      { register: 'import', season: 'winter', period: 'night', value: 14 * 10 },
    ])
    expect(d.charges?.lines.map((l) => [l.tier, l.quantity, l.amountMinor])).toEqual([
      [1, 300, 3000],
      [2, 443, 8860],
      [undefined, 1, 500],
    ])
    expect(d.tiers).toMatchObject([{ tier: 2, used: 743 }])
  })

  it('is the same text whatever the order of its parts', () => {
    const days = march().slice(0, 8)
    const text = documentText(periodDocument({ ...base, days }))
    fc.assert(
      fc.property(fc.shuffledSubarray(days, { minLength: days.length }), (shuffled) => {
        expect(documentText(periodDocument({ ...base, days: shuffled }))).toBe(text)
      }),
      { numRuns: 5 },
    )
  })

  it('the figure of the feed counts: intervals of another sum keep their shape, a day without any is one slice', () => {
    const scaled = aDay('2026-03-02', { value: 48 })
    expect(dayUsage(scaled, ZONE).map((u) => u.value)).toEqual(Array.from({ length: 24 }, () => 2))
    const alone = aDay('2026-03-29', { intervals: [], value: 7 })
    expect(dayUsage(alone, ZONE)).toEqual([
      { startMs: Date.parse('2026-03-28T23:00:00Z'), endMs: Date.parse('2026-03-29T22:00:00Z'), value: 7, register: 'import' },
    ])
    const d = periodDocument({ ...base, days: [scaled, alone] })
    expect(d.consumption.import).toBe(55)
    expect(d.timeOfUse.reduce((n, t) => n + t.value, 0)).toBeCloseTo(55, 9)
  })

  it('missing intervals are in the mix, not in the sum', () => {
    const d = periodDocument({ ...base, days: [aDay('2026-03-02', { intervals: hoursOf('2026-03-02', (i) => (i < 6 ? null : 1)) })] })
    expect(d.registers[0]?.quality).toEqual({ intervals: { actual: 18, missing: 6 }, volume: { actual: 18, missing: 0 } })
    expect(d.consumption.import).toBe(18)
  })

  it('tariff registers beside a total are shown and not charged again; without a total they are the charge', () => {
    const registers = ['', 't1', 't2'].map((channel) => ({ meter: 'E1', quantity: POWER, channel, multiplier: 1, start: null, end: null }))
    const days = [
      aDay('2026-03-02'),
      aDay('2026-03-02', { channel: 't1', value: 14, intervals: [] }),
      aDay('2026-03-02', { channel: 't2', value: 10, intervals: [] }),
    ]
    const both = periodDocument({ ...base, facts: facts({ registers }), days })
    expect([both.consumption.import, both.registers.map((r) => r.billed)]).toEqual([24, [true, false, false]])
    const split = periodDocument({ ...base, facts: facts({ registers: registers.slice(1) }), days: days.slice(1) })
    expect([split.consumption.import, split.registers.map((r) => r.billed)]).toEqual([24, [true, true]])
  })

  it('a register that was exchanged or rolled over has no difference; the consumption stands', () => {
    const read = (value: number) => ({ ts: '', value, receivedAt: '', gateway: 'G', quality: 'good' })
    const registers = [{ meter: 'E1', quantity: POWER, channel: '', multiplier: 40, start: read(99_990), end: read(15) }]
    const d = periodDocument({ ...base, facts: facts({ registers }), days: march() })
    expect(d.registers[0]).toMatchObject({ difference: null, consumption: 743 })
  })

  it('a gap of the tariff leaves the determinants and takes the charges away', () => {
    const [version] = TARIFF.versions
    const tariff = { ...TARIFF, versions: [{ ...version, validUntil: '2026-03-20' }] } as typeof TARIFF
    const d = periodDocument({ ...base, tariff, days: march() })
    expect(d).toMatchObject({ consumption: { import: 743 }, charges: null, totalMinor: null, tiers: [] })
    expect(d.problems).toEqual([
      { kind: 'tariff_gap', date: '2026-03-20', detail: 'no version of tariff P1 holds from 2026-03-20 to 2026-04-01' },
    ])
  })

  it('corrections of corrections add up to what the period would have cost with the last figures', () => {
    const week = facts({ period: { id: '2026-03', from: '2026-03-01', to: '2026-03-08' } })
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(6), fc.integer({ min: 0, max: 100 })), { minLength: 1, maxLength: 4 }), (changes) => {
        // A week of whole days: the sums are what is tested here.
        const days = march()
          .slice(0, 7)
          .map((d) => ({ ...d, intervals: [] }))
        let before = days
        let total = periodDocument({ ...base, facts: week, days }).charges?.totalMinor ?? 0
        changes.forEach(([k, value], n) => {
          const after = before.map((d, i) => (i === k ? { ...d, rev: n + 2, value } : d))
          const april = facts({ period: { id: '2026-04', from: '2026-04-01', to: '2026-05-01' } })
          const doc = periodDocument({
            ...base,
            facts: april,
            days: [],
            corrections: [{ sha256: 'a', facts: week, tariff: TARIFF, earlier: [], before, after }],
          })
          total += doc.adjustments[0]?.totalMinor ?? Number.NaN
          before = after
        })
        expect(total).toBe(periodDocument({ ...base, facts: week, days: before }).charges?.totalMinor)
      }),
      { numRuns: 10 },
    )
  })
})

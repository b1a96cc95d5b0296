import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HOUR_MS } from '#model/time.ts'
import { addDays, daysBetween, startOf } from './calendar.ts'
import { amountMinor, includedMinor, majorText, percentMinor } from './money.ts'
import { countsFrom, priceConsumption } from './price.ts'
import { BEIJING_WATER } from './published/beijing-water.ts'
import { ONTARIO_POWER } from './published/ontario-power.ts'
import type { Usage } from './slices.ts'
import { Tariff, type TariffInput } from './tariff.ts'

/** Use of local days, the same every day. */
function days(timezone: string, from: string, to: string, value: number): Usage[] {
  return Array.from({ length: daysBetween(from, to) }, (_, k) => {
    const date = addDays(from, k)
    return { startMs: startOf(timezone, date), endMs: startOf(timezone, addDays(date, 1)), value }
  })
}

/** Use of every hour. */
function hours(timezone: string, from: string, to: string, kwh: number): Usage[] {
  const out: Usage[] = []
  for (let at = startOf(timezone, from); at < startOf(timezone, to); at += HOUR_MS)
    out.push({ startMs: at, endMs: at + HOUR_MS, value: kwh })
  return out
}

const short = (p: ReturnType<typeof priceConsumption>) => p.lines.map((l) => [l.charge, l.tier ?? 0, l.quantity, l.amountMinor])
const label = { en: 'x' }
const aTariff = (version: object, more: object = {}) =>
  Tariff.parse({
    code: 'T',
    commodity: 'power',
    label,
    currency: 'EUR',
    ...more,
    versions: [{ validFrom: '2020-01-01', ...version }],
  } as TariffInput)
const flat = { id: 'e', type: 'energy', label, rate: '0.20' }

describe('published tariffs, by hand', () => {
  const beijing = Tariff.parse(BEIJING_WATER)
  const zone = 'Asia/Shanghai'

  test('Beijing: 300 m3 in a year are 180 at 5, 80 at 7 and 40 at 9 yuan: 1,820 yuan', () => {
    const usage = [{ startMs: startOf(zone, '2025-01-01'), endMs: startOf(zone, '2026-01-01'), value: 300 }]
    const bill = priceConsumption({ tariff: beijing, timezone: zone, from: '2025-01-01', to: '2026-01-01', usage })
    expect(bill.totalMinor).toBe(182_000)
    expect(short(bill)).toEqual([
      ['water', 1, 180, 37_260],
      ['water', 2, 80, 32_560],
      ['water', 3, 40, 24_280],
      ['resource', 0, 300, 47_100],
      ['sewage', 0, 300, 40_800],
    ])
  })

  test('Beijing: a bill of two months in autumn begins in the block that the year has reached', () => {
    const before = days(zone, '2025-01-01', '2025-09-01', 170 / 243)
    const bill = priceConsumption({
      tariff: beijing,
      timezone: zone,
      from: '2025-09-01',
      to: '2025-11-01',
      usage: days(zone, '2025-09-01', '2025-11-01', 0.5),
      before,
    })
    // 10 of the 30.5 m3 are left in the first block.
    expect(short(bill).slice(0, 2)).toEqual([
      ['water', 1, 10, 2_070],
      ['water', 2, 20.5, 8_344],
    ])
    expect(bill.tiers).toMatchObject([
      { charge: 'water', tier: 2, tiers: 3, used: 200.5, upTo: 260, rate: '4.07', nextRate: '6.07', from: '2025-01-01', to: '2026-01-01' },
    ])
    expect(countsFrom(beijing, '2025-09-01')).toBe('2025-01-01')
  })

  test('Beijing: a household of seven has 60 m3 more in each block', () => {
    const usage = days(zone, '2025-01-01', '2026-01-01', 300 / 365)
    const bill = priceConsumption({ tariff: beijing, timezone: zone, from: '2025-01-01', to: '2026-01-01', usage, persons: 7 })
    expect(bill.totalMinor).toBe(240 * 500 + 60 * 700)
  })

  test('Ontario: 1 kW for a winter week of five working days', () => {
    const tariff = Tariff.parse(ONTARIO_POWER)
    const from = '2023-01-09'
    const bill = priceConsumption({
      tariff,
      timezone: 'America/Toronto',
      from,
      to: '2023-01-16',
      usage: hours('America/Toronto', from, '2023-01-16', 1),
    })
    // Weekdays 6 h on-peak, 6 h mid-peak, 12 h off-peak; the weekend off-peak.
    expect(short(bill)).toEqual([
      ['off-peak', 0, 108, 799],
      ['mid-peak', 0, 30, 306],
      ['on-peak', 0, 30, 453],
      ['hst', 0, 13, 203],
    ])
    expect([bill.netMinor, bill.taxMinor, bill.totalMinor]).toEqual([1558, 203, 1761])
  })

  test('Ontario: in summer the noon is on-peak; Labour Day is a Sunday; the clock change loses no hour', () => {
    const tariff = Tariff.parse(ONTARIO_POWER)
    const zoned = (from: string, to: string) =>
      priceConsumption({ tariff, timezone: 'America/Toronto', from, to, usage: hours('America/Toronto', from, to, 1) })
    expect(short(zoned('2023-07-05', '2023-07-06')).slice(0, 3)).toEqual([
      ['off-peak', 0, 12, 89],
      ['mid-peak', 0, 6, 61],
      ['on-peak', 0, 6, 91],
    ])
    expect(short(zoned('2023-09-04', '2023-09-05')).slice(0, 1)).toEqual([['off-peak', 0, 24, 178]])
    expect(short(zoned('2023-03-12', '2023-03-13'))[0]?.[2]).toBe(23)
    expect(short(zoned('2022-11-06', '2022-11-07'))[0]?.[2]).toBe(25)
  })
})

describe('charges', () => {
  const month = { timezone: 'UTC', from: '2026-03-01', to: '2026-04-01' }
  const kwh = (n: number) => days('UTC', '2026-03-01', '2026-04-01', n / 31)

  test.each<[string, object, number, unknown[]]>([
    [
      'a standing charge a day',
      { charges: [flat, { id: 's', type: 'standing', label, perDay: '0.6010' }] },
      100,
      [
        ['e', 0, 100, 2000],
        ['s', 0, 31, 1863],
      ],
    ],
    [
      'a standing charge a month',
      { charges: [flat, { id: 's', type: 'standing', label, perMonth: '12.5' }] },
      100,
      [
        ['e', 0, 100, 2000],
        ['s', 0, 1, 1250],
      ],
    ],
    [
      'a minimum not reached',
      { charges: [flat, { id: 'm', type: 'minimum', label, perMonth: '25' }] },
      100,
      [
        ['e', 0, 100, 2000],
        ['m', 0, 1, 500],
      ],
    ],
    ['a minimum reached', { charges: [flat, { id: 'm', type: 'minimum', label, perMonth: '15' }] }, 100, [['e', 0, 100, 2000]]],
    [
      'blocks of a bill',
      {
        charges: [
          {
            id: 'e',
            type: 'energy',
            label,
            tiers: {
              accumulate: 'period',
              blocks: [
                { upTo: 60, rate: '0.1' },
                { upTo: null, rate: '0.3' },
              ],
            },
          },
        ],
      },
      100,
      [
        ['e', 1, 60, 600],
        ['e', 2, 40, 1200],
      ],
    ],
    [
      'a baseline by day',
      {
        charges: [
          {
            id: 'e',
            type: 'energy',
            label,
            tiers: {
              accumulate: 'period_days',
              blocks: [
                { upTo: 2, rate: '0.1' },
                { upTo: null, rate: '0.3' },
              ],
            },
          },
        ],
      },
      100,
      [
        ['e', 1, 62, 620],
        ['e', 2, 38, 1140],
      ],
    ],
    [
      'a free allowance by person',
      {
        charges: [
          {
            id: 'e',
            type: 'energy',
            label,
            tiers: {
              accumulate: 'month',
              blocks: [
                { upTo: 0.001, upToPerPerson: 20, rate: '0' },
                { upTo: null, rate: '0.3' },
              ],
            },
          },
        ],
      },
      100,
      [
        ['e', 1, 20.001, 0],
        ['e', 2, 79.999, 2400],
      ],
    ],
    ['a share of the quantity', { charges: [{ ...flat, share: 0.9 }] }, 100, [['e', 0, 90, 1800]]],
    [
      'tax added',
      { charges: [flat], taxes: [{ id: 't', label, percent: '19' }] },
      100,
      [
        ['e', 0, 100, 2000],
        ['t', 0, 19, 380],
      ],
    ],
  ])('%s', (_name, version, n, lines) => {
    expect(short(priceConsumption({ ...month, tariff: aTariff(version), usage: kwh(n), persons: 1 }))).toEqual(lines)
  })

  test('a tax within the prices is shown and not added', () => {
    const bill = priceConsumption({
      ...month,
      tariff: aTariff({ charges: [flat], taxes: [{ id: 't', label, percent: '25', included: true }] }),
      usage: kwh(100),
    })
    expect([bill.lines[1]?.amountMinor, bill.taxMinor, bill.totalMinor]).toEqual([400, 0, 2000])
  })

  test('a discount is for its segments only', () => {
    const tariff = aTariff({ charges: [flat, { id: 'social', type: 'discount', label, percent: '25', segments: ['vulnerable'] }] })
    expect(priceConsumption({ ...month, tariff, usage: kwh(100), segment: 'vulnerable' }).totalMinor).toBe(1500)
    expect(priceConsumption({ ...month, tariff, usage: kwh(100) }).totalMinor).toBe(2000)
  })

  test('wet and dry season each have their price, divided on the day', () => {
    const seasons = [
      { id: 'wet', label, from: ['05-01'] },
      { id: 'dry', label, from: ['11-01'] },
    ]
    const tariff = aTariff({
      seasons,
      charges: [
        { ...flat, id: 'wet', seasons: ['wet'], rate: '0.1' },
        { ...flat, id: 'dry', seasons: ['dry'], rate: '0.4' },
      ],
    })
    const bill = priceConsumption({
      tariff,
      timezone: 'UTC',
      from: '2026-04-16',
      to: '2026-05-16',
      usage: days('UTC', '2026-04-16', '2026-05-16', 10),
    })
    expect(short(bill)).toEqual([
      ['wet', 0, 150, 1500],
      ['dry', 0, 150, 6000],
    ])
  })

  test('peak and valley in yearly blocks: all use moves the block, whatever its hour', () => {
    const tiers = (low: string, high: string) => ({
      accumulate: 'year',
      counts: 'all',
      blocks: [
        { upTo: 48, rate: low },
        { upTo: null, rate: high },
      ],
    })
    const tariff = aTariff({
      periods: [
        { id: 'peak', label, spans: [{ from: '06:00', to: '22:00' }] },
        { id: 'valley', label, rest: true },
      ],
      charges: [
        { id: 'peak', type: 'energy', label, periods: ['peak'], tiers: tiers('0.6', '0.9') },
        { id: 'valley', type: 'energy', label, periods: ['valley'], tiers: tiers('0.3', '0.5') },
      ],
    })
    const bill = priceConsumption({
      tariff,
      timezone: 'UTC',
      from: '2026-01-01',
      to: '2026-01-04',
      usage: hours('UTC', '2026-01-01', '2026-01-04', 1),
    })
    expect(short(bill)).toEqual([
      ['peak', 1, 32, 1920],
      ['peak', 2, 16, 1440],
      ['valley', 1, 16, 480],
      ['valley', 2, 8, 400],
    ])
  })

  test('the highest quarter hour is the demand; energy fed back is a credit', () => {
    const tariff = aTariff({
      charges: [
        flat,
        { id: 'd', type: 'demand', label, perKwMonth: '8.5' },
        { id: 'x', type: 'energy', register: 'export', label, rate: '-0.08' },
      ],
    })
    const at = startOf('UTC', '2026-03-05')
    const usage: Usage[] = [
      { startMs: at, endMs: at + HOUR_MS / 4, value: 2.5 },
      { startMs: at + HOUR_MS, endMs: at + 2 * HOUR_MS, value: 6 },
      { startMs: at, endMs: at + HOUR_MS, value: 5, register: 'export' },
    ]
    expect(short(priceConsumption({ ...month, tariff, usage }))).toEqual([
      ['e', 0, 8.5, 170],
      ['x', 0, 5, -40],
      ['d', 0, 10, 8500],
    ])
  })

  test('a new version within the bill divides it; days without a version are named, not priced', () => {
    const tariff = Tariff.parse({
      code: 'T',
      commodity: 'power',
      label,
      currency: 'EUR',
      versions: [
        { validFrom: '2026-03-11', validUntil: '2026-03-21', charges: [flat] },
        { validFrom: '2026-03-21', charges: [{ ...flat, rate: '0.30' }] },
      ],
    })
    const bill = priceConsumption({ ...month, tariff, usage: kwh(310) })
    expect(bill.uncovered).toEqual([{ from: '2026-03-01', to: '2026-03-11' }])
    expect(bill.lines.map((l) => [l.from, l.to, l.quantity, l.amountMinor])).toEqual([
      ['2026-03-11', '2026-03-21', 100, 2000],
      ['2026-03-21', '2026-04-01', 110, 3300],
    ])
  })

  test('days where hours are needed are priced by time, and said to be', () => {
    const bill = priceConsumption({
      tariff: Tariff.parse(ONTARIO_POWER),
      timezone: 'America/Toronto',
      from: '2023-01-09',
      to: '2023-01-10',
      usage: days('America/Toronto', '2023-01-09', '2023-01-10', 24),
    })
    expect(bill.warnings).toEqual(['time_of_use_from_long_slices'])
    expect(
      short(bill)
        .slice(0, 3)
        .map((l) => l[2]),
    ).toEqual([12, 6, 6])
  })

  test('a bill of no days is a mistake of the caller', () => {
    expect(() => priceConsumption({ ...month, to: '2026-03-01', tariff: aTariff({ charges: [flat] }), usage: [] })).toThrow(
      'to: must be after from 2026-03-01',
    )
  })
})

describe('properties', () => {
  const block = aTariff({
    charges: [
      {
        id: 'e',
        type: 'energy',
        label,
        tiers: {
          accumulate: 'month',
          blocks: [
            { upTo: 50, rate: '0.11' },
            { upTo: 90, rate: '0.23' },
            { upTo: null, rate: '0.37' },
          ],
        },
      },
    ],
  })
  const usages = fc.array(fc.record({ hour: fc.integer({ min: 0, max: 27 * 24 }), kwh: fc.double({ min: 0, max: 9, noNaN: true }) }), {
    maxLength: 40,
  })
  const slices = (list: { hour: number; kwh: number }[]) =>
    list.map((u) => ({
      startMs: startOf('UTC', '2026-02-01') + u.hour * HOUR_MS,
      endMs: startOf('UTC', '2026-02-01') + (u.hour + 1) * HOUR_MS,
      value: u.kwh,
    }))
  const bill = (usage: Usage[]) => priceConsumption({ tariff: block, timezone: 'UTC', from: '2026-02-01', to: '2026-03-01', usage })

  test('lines add up to the use and to the total; the order of slices changes nothing', () => {
    fc.assert(
      fc.property(usages, (list) => {
        const usage = slices(list)
        const a = bill(usage)
        const sum = usage.reduce((n, u) => n + u.value, 0)
        expect(Math.abs(a.lines.reduce((n, l) => n + l.quantity, 0) - sum)).toBeLessThan(0.0011)
        expect(a.lines.reduce((n, l) => n + l.amountMinor, 0)).toBe(a.totalMinor)
        expect(bill([...usage].reverse()).totalMinor).toBe(a.totalMinor)
      }),
      { numRuns: 60 },
    )
  })

  test('more use never costs less', () => {
    fc.assert(
      fc.property(usages, fc.integer({ min: 0, max: 600 }), fc.double({ min: 0, max: 50, noNaN: true }), (list, hour, kwh) => {
        expect(bill(slices([...list, { hour, kwh }])).totalMinor).toBeGreaterThanOrEqual(bill(slices(list)).totalMinor - 1)
      }),
      { numRuns: 60 },
    )
  })
})

test.each([
  ['half a cent up', amountMinor(1000, 5_000, 2), 1],
  ['half a cent down, for credits', amountMinor(1000, -5_000, 2), -1],
  ['a yen has no places', amountMinor(1500, 21_000_000, 0), 32],
  ['20 % of 99 cents', percentMinor(99, '20'), 20],
  ['the tax in 120 at 20 %', includedMinor(12_000, '20'), 2000],
])('rounds %s', (_name, got, want) => {
  expect(got).toBe(want)
})

test('money as text', () => {
  expect([majorText(12345, 2), majorText(-5, 2), majorText(7, 0), majorText(0, 3)]).toEqual(['123.45', '-0.05', '7', '0.000'])
})

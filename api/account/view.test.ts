import { describe, expect, test } from 'vitest'
import { HOUR_MS, startOfLocalDate } from '#model/time.ts'
import { addDays, daysBetween } from '#tariff/calendar.ts'
import { ONTARIO_POWER } from '#tariff/published/ontario-power.ts'
import { Tariff, type TariffInput } from '#tariff/tariff.ts'
import { advise } from './advice.ts'
import { noticeOf } from './notices.ts'
import { costView, type MeterUse, neighboursOf, usageView } from './view.ts'

const ZONE = 'America/Toronto'
const at = (date: string, hour = 0) => startOfLocalDate(ZONE, date) + hour * HOUR_MS
/** 1 kWh every hour from `from` to the instant; days up to the day before. */
function use(from: string, nowMs: number, kwh = 1): MeterUse {
  const today = new Date(nowMs + (startOfLocalDate('UTC', '2023-06-16') - at('2023-06-16'))).toISOString().slice(0, 10)
  const days = Array.from({ length: daysBetween(from, today) }, (_, k) => ({
    date: addDays(from, k),
    value: 24 * kwh,
    uncertain: 0,
    intervals: 24,
  }))
  const intervals = []
  for (let ms = at('2023-06-01'); ms < nowMs; ms += HOUR_MS) intervals.push({ startMs: ms, endMs: ms + HOUR_MS, value: kwh })
  return { meter: 'E1', days, intervals, exported: [] }
}

describe('the account page', () => {
  const nowMs = at('2023-06-16', 10)
  const uses = [use('2023-04-20', nowMs)]

  test('says today, the month, and the same days of last month', () => {
    const v = usageView(uses, nowMs, ZONE)
    expect(v.today).toMatchObject({ value: 10, uncertainPct: 0, until: '2023-06-16T14:00:00.000Z' })
    expect(v.month).toEqual({ from: '2023-06-01', value: 370, lastMonthSameDays: 360, lastMonth: 744, changePct: 0 })
    expect(v.days.at(-1)).toMatchObject({ date: '2023-06-16', value: 10 })
  })

  test('says what it costs so far and what the bill will come to', () => {
    const tariff = Tariff.parse(ONTARIO_POWER)
    const cost = costView({ tariff, uses, nowMs, timezone: ZONE, segment: 'general', persons: 2 })
    expect(cost?.soFar.lines.map((l) => [l.charge, l.quantity])).toEqual([
      ['off-peak', 235],
      ['mid-peak', 69],
      ['on-peak', 66],
      ['hst', 13],
    ])
    // 22 working days of 6 h on-peak, 6 h mid-peak, in 720 h.
    const whole = Math.round((456 * 7.4 + 132 * 10.2 + 132 * 15.1) * 1.13)
    expect(Math.abs((cost?.forecastMinor ?? 0) - whole)).toBeLessThan(20)
    expect([cost?.forecastLowMinor, cost?.forecastHighMinor]).toEqual([cost?.forecastMinor, cost?.forecastMinor])
  })

  test('gives a range as wide as the days differ', () => {
    const tariff = Tariff.parse(ONTARIO_POWER)
    const noisy = { ...uses[0], days: (uses[0] as MeterUse).days.map((d, k) => ({ ...d, value: d.value + (k % 5) * 6 })) } as MeterUse
    const cost = costView({ tariff, uses: [noisy], nowMs, timezone: ZONE, segment: 'general', persons: 1 })
    expect(cost?.forecastLowMinor).toBeLessThan(cost?.forecastMinor ?? 0)
    expect(cost?.forecastHighMinor).toBeGreaterThan(cost?.forecastMinor ?? 0)
  })

  test('has no cost where no version holds', () => {
    const input = { ...ONTARIO_POWER, versions: [{ ...ONTARIO_POWER.versions[0], validUntil: '2023-01-01' }] } as TariffInput
    expect(costView({ tariff: Tariff.parse(input), uses, nowMs, timezone: ZONE, segment: 'general', persons: 1 })).toBeNull()
  })

  test('says nothing of neighbours when there are too few to hide in', () => {
    expect(neighboursOf(5, [1, 2, 3, 4])).toBeNull()
    expect(neighboursOf(5, [1, 2, 3, 4, 9, 10])).toEqual({ count: 6, median: 3.5, moreThanYou: 0.333 })
  })
})

describe('advice', () => {
  test('prices a day at each tariff and says what shifting saves', () => {
    const flat = Tariff.parse({
      code: 'flat',
      commodity: 'power',
      label: { en: 'Flat' },
      currency: 'CAD',
      versions: [{ validFrom: '2020-01-01', charges: [{ id: 'e', type: 'energy', label: { en: 'e' }, rate: '0.08' }] }],
    })
    const date = '2023-06-14'
    const usage = Array.from({ length: 24 }, (_, h) => ({
      startMs: at(date, h),
      endMs: at(date, h + 1),
      value: h >= 11 && h < 17 ? 100 : 10,
    }))
    const advice = advise({
      date,
      timezone: ZONE,
      usage,
      tariffs: [Tariff.parse(ONTARIO_POWER), flat],
      current: 'ontario-power-tou',
      segment: 'large',
      sharePct: 50,
    })
    expect(advice.tariffs.map((t) => [t.code, t.totalMinor, t.differenceMinor, t.current])).toEqual([
      ['flat', 6240, -5693, false],
      ['ontario-power-tou', 11_933, 0, true],
    ])
    // 300 kWh from 15.1 to 7.4 cents, with 13 % tax.
    expect(advice.shift).toEqual({
      sharePct: 50,
      quantity: 300,
      from: { period: 'on-peak', spans: ['11:00-17:00'] },
      to: { period: 'off-peak', spans: ['00:00-07:00', '19:00-24:00'] },
      savedMinorDay: 2610,
    })
    expect(advice.highestHour).toEqual({ hour: '11:00', power: 100 })
    const night = advise({
      date: '2023-06-17',
      timezone: ZONE,
      usage: [],
      tariffs: [Tariff.parse(ONTARIO_POWER)],
      current: 'ontario-power-tou',
      segment: 'large',
      sharePct: 50,
    })
    expect(night.shift).toBeNull()
  })
})

describe('notices', () => {
  const f = { startedAt: '2026-03-01T10:00:00Z', clearedAt: null }
  test.each([
    [
      'a leak with its size',
      { ...f, kind: 'customer_leak' as const, size: { flowM3h: 0.024 } },
      'Water has been running without a break, about 24 litres an hour. Please check toilets, taps and pipes.',
    ],
    [
      'an outage that is over',
      { ...f, kind: 'outage' as const, clearedAt: '2026-03-01T10:42:00Z' },
      'The power was out for 42 minutes; it is back.',
    ],
    [
      'high use',
      { ...f, kind: 'abnormal_usage' as const, subtype: 'high_usage', size: { timesUsual: 2.34 } },
      'Your use is much higher than usual (2.3 times). Something may be running that you do not know of.',
    ],
  ])('%s', (_name, finding, text) => {
    expect(noticeOf(finding)?.text.en).toBe(text)
    expect(noticeOf(finding)?.text.zh).toMatch(/[\u4e00-\u9fff]/)
  })

  test('never a suspicion about the customer', () => {
    for (const subtype of ['bypass', 'stuck_register', 'reverse_flow', 'zero_usage', 'usage_on_inactive', 'tamper']) {
      expect(noticeOf({ ...f, kind: 'abnormal_usage', subtype })).toBeUndefined()
    }
    expect(noticeOf({ ...f, kind: 'outage', momentary: true })).toBeUndefined()
  })
})

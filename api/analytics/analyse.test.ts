import { expect, test } from 'vitest'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import { analyse, type Fact, tail } from './analyse.ts'

const FROM = Date.UTC(2026, 2, 1)
const TO = FROM + 28 * DAY_MS
const options = { fromMs: FROM, toMs: TO, bucketMs: 7 * DAY_MS, prices: { kwh: 0.3, m3: 4 } }
const aFact = (f: Partial<Fact> = {}): Fact => ({
  kind: 'abnormal_usage',
  subtype: 'bypass',
  zone: 'F1',
  segment: 'general',
  scopeId: 'E1',
  severity: 'major',
  startedMs: FROM,
  detectedMs: FROM + DAY_MS,
  clearedMs: null,
  size: { kwhYear: 3650, moneyYear: 900 },
  ...f,
})

test('a loss counts for the time that it lasted, at the tariff, once a meter', () => {
  const a = analyse(
    [
      aFact(),
      aFact({ subtype: 'tamper', size: { kwhYear: 1000 } }),
      aFact({ kind: 'line_loss', subtype: '', scopeId: 'T1', segment: undefined }),
      aFact({ kind: 'leak', subtype: '', zone: 'A', scopeId: 'A', segment: undefined, size: { flowM3h: 2 }, startedMs: TO - 10 * HOUR_MS }),
    ],
    options,
  )
  expect(a.total).toEqual({ key: 'total', count: 4, open: 4, kwh: 280, m3: 20, money: 164 })
  expect(a.byDistrict).toMatchObject([
    { key: 'F1', kwh: 280, money: 84 },
    { key: 'A', m3: 20, money: 80 },
  ])
  expect(a.bySegment).toMatchObject([{ key: 'general', count: 2, kwh: 280 }])
  expect(a.byCause.map((g) => [g.key, g.kwh])).toContainEqual(['line_loss', 280])
  expect(a.earlyWarning).toMatchObject([{ key: 'leak', zone: 'A', open: 1 }])
})

test('without a tariff the price in the finding counts', () => {
  expect(analyse([aFact()], { ...options, prices: { kwh: null, m3: null } }).total.money).toBe(Math.round((900 * 28) / 365))
})

test('what grows is told when chance hardly explains it', () => {
  const at = (day: number, zone = 'F1') => aFact({ kind: 'overload', subtype: '', detectedMs: FROM + day * DAY_MS, zone, size: {} })
  const even = [1, 5, 9, 13, 15, 18, 22, 26].map((d) => at(d, 'F2'))
  const a = analyse([...[20, 21, 22, 23, 24, 25].map((d) => at(d)), ...even], options)
  expect(a.growing).toEqual([{ kind: 'overload', subtype: '', zone: 'F1', before: 0, now: 6, p: 0.0156 }])
  expect(a.series.map((s) => s.counts.overload ?? 0)).toEqual([2, 2, 3, 7])
  expect(a.mostCommon[0]).toMatchObject({ key: 'overload', count: 14 })
})

test('the tail of fair coins', () => {
  expect([tail(0, 5), tail(5, 5), tail(3, 4)]).toEqual([1, 1 / 32, 5 / 16])
  expect(tail(1500, 2000)).toBe(0)
})

// What becomes of registers that lie, break or are exchanged: read by read, as it happens in the field.
import { describe, expect, it } from 'vitest'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import { aMeter, aWaterMeter, Bench, MIDNIGHT, QUARTER } from './validation.fixture.ts'

/** Values and statuses of the last revisions. */
const told = (b: Bench) => b.last().map((i) => [i.value, i.status])
const settle = (b: Bench) => b.wait(b.nowMs + HOUR_MS)
const sum = (b: Bench) => b.last().reduce((s, i) => s + (i.value ?? 0), 0)
const A = 'actual'
const E = 'estimated'
const R = 'rejected'

describe('false values', () => {
  it.each([
    ['zero', 0],
    ['all nines', 99_999.99],
    ['a digit too many', 5922.6],
    ['beyond the connection', 1212.6],
  ])('%s for one read is refused as an interval end, and the register goes on', (_name, wrong) => {
    const b = settle(new Bench([aMeter()]).run(MIDNIGHT, [992, 992.3, 992.6, wrong, 993.2, 993.5]))
    expect(told(b)).toEqual([
      [0.3, A],
      [0.3, A],
      [0.3, R],
      [0.3, E],
      [0.3, A],
    ])
    expect(b.accepted[3]).toMatchObject({ quality: 'suspect' })
    expect(b.last()[2]?.reasons).toEqual(['transient_spike', 'linear'])
  })

  it('a small one that was believed is taken back when the reads after it agree without it', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [853.4, 853.5, 853.6, 858.9, 853.8, 853.9])
    expect(told(b)).toEqual([
      [0.1, A],
      [0.1, A],
      [5.3, A],
    ])
    settle(b.run(MIDNIGHT + 6 * QUARTER, [854, 854.1]))
    expect(told(b)).toEqual([
      [0.1, A],
      [0.1, A],
      [0.1, R],
      [0.1, E],
      [0.1, A],
      [0.1, A],
      [0.1, A],
    ])
    expect(b.last()[2]).toMatchObject({ rev: 2 })
    expect(b.last()[3]).toMatchObject({ rev: 1 })
  })

  it('two small ones in a row are taken back together', () => {
    const b = settle(new Bench([aMeter()]).run(MIDNIGHT, [54.8, 54.9, 57.6, 57.7, 55.2, 55.3, 55.4, 55.5]))
    expect(told(b)).toEqual([
      [0.1, A],
      [0.1, R],
      [0.1, R],
      [0.1, E],
      [0.1, A],
      [0.1, A],
      [0.1, A],
    ])
    expect(sum(b)).toBeCloseTo(0.7, 6)
  })

  it('zeros after a restart of the reader are not an exchange, even several', () => {
    const b = settle(new Bench([aMeter()]).run(MIDNIGHT, [992, 992.3, 0, 0, 0, 0, 993.8, 994.1]))
    expect(sum(b)).toBeCloseTo(2.1, 6)
    expect(told(b).map(([, s]) => s)).toEqual([A, R, R, R, R, E, A])
  })
})

describe('jumps', () => {
  it('a jump that stays is confirmed and never billed', () => {
    const b = settle(new Bench([aMeter()]).run(MIDNIGHT, [17_744, 17_744.3, 20_799.7, 20_799.9, 20_800.1, 20_800.3]))
    expect(told(b)).toEqual([
      [0.3, A],
      [0.25, E],
      [0.2, A],
      [0.2, A],
      [0.2, A],
    ])
    expect(b.last()[1]?.reasons).toEqual(['step', 'linear'])
  })

  it('says nothing of the intervals before it is confirmed', () => {
    const b = settle(new Bench([aMeter()]).run(MIDNIGHT, [17_744, 17_744.3, 20_799.7, 20_799.9]))
    expect(told(b)).toEqual([[0.3, A]])
  })

  it('a jump after long silence is not taken for consumption when the reads after it contradict', () => {
    const b = settle(new Bench([aMeter()]).run(MIDNIGHT, [100, 100.1, 2100, 2100.1, 2100.2, 2100.3]))
    expect(sum(b)).toBeLessThan(1)
  })
})

describe('exchanges', () => {
  it('an announced one with indices is exact', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [27_758.3, 27_758.38, 27_758.46])
    b.event('meter_replaced', MIDNIGHT + 2 * QUARTER + 360_000, { oldFinal: 27_758.49, newInitial: 11.76 })
    settle(b.run(MIDNIGHT + 3 * QUARTER, [11.8, 11.87]))
    expect(told(b)).toEqual([
      [0.08, A],
      [0.08, A],
      [0.07, A],
      [0.07, A],
    ])
    expect(b.last()[2]?.reasons).toEqual(['meter_exchange'])
  })

  it('one that is told while the new reads wait is exact at once', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [27_758.38, 27_758.46, 11.8])
    expect(b.accepted[2]).toMatchObject({ quality: 'suspect', rules: ['negative'] })
    b.event('meter_replaced', MIDNIGHT + QUARTER + 360_000, { oldFinal: 27_758.49, newInitial: 11.76 })
    settle(b)
    expect(told(b)).toEqual([
      [0.08, A],
      [0.07, A],
    ])
  })

  it('a silent one is recognised, its interval estimated, and corrected when someone tells', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [40_121.4, 40_121.6, 40_121.8, 16.6, 16.8, 17, 17.2])
    settle(b)
    expect(told(b)).toEqual([
      [0.2, A],
      [0.2, A],
      [0.2, E],
      [0.2, A],
      [0.2, A],
      [0.2, A],
    ])
    expect(b.last()[2]?.reasons).toEqual(['silent_exchange', 'linear'])
    b.event('meter_replaced', MIDNIGHT + 2 * QUARTER + 60_000, { oldFinal: 40_121.9, newInitial: 16.2 })
    settle(b)
    expect(b.last()[2]).toMatchObject({ value: 0.5, status: 'actual', rev: 2, reasons: ['meter_exchange'] })
  })

  it('indices that cannot be are not believed', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [40_121.4, 40_121.6])
    b.event('meter_replaced', MIDNIGHT + QUARTER + 60_000, { oldFinal: 50_121.9, newInitial: 0 })
    settle(b.run(MIDNIGHT + 2 * QUARTER, [16.6, 16.8, 17]))
    expect(told(b)).toEqual([
      [0.2, A],
      [0.2, E],
      [0.2, A],
      [0.2, A],
    ])
  })

  it('a water meter that restarts near zero gives no negative and no lifetime-sized interval', () => {
    const values = [703.1, 703.13, 703.163, 0.002, 0.034, 0.06, 0.09]
    const b = new Bench([aWaterMeter()]).run(MIDNIGHT, values, HOUR_MS)
    settle(b)
    for (const i of b.last()) expect(i.value).toBeLessThan(0.1)
    expect(told(b).map(([, s]) => s)).toEqual([A, A, E, A, A, A])
  })

  it('a register reset that was announced is believed at once', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [500, 500.2])
    b.event('register_reset', MIDNIGHT + QUARTER + 60_000)
    settle(b.run(MIDNIGHT + 2 * QUARTER, [0.1, 0.3]))
    expect(told(b)).toEqual([
      [0.2, A],
      [0.2, E],
      [0.2, A],
    ])
  })

  it('both registers of a meter restart, only the main one has indices', () => {
    const b = new Bench([aMeter()])
    const both = (k: number, i: number, e: number) =>
      b.read({ ts: MIDNIGHT + k * QUARTER, value: i }).read({ quantity: 'active_energy_export_kwh', ts: MIDNIGHT + k * QUARTER, value: e })
    both(0, 100, 50)
    both(1, 100.2, 50.4)
    b.event('meter_replaced', MIDNIGHT + QUARTER + 60_000, { oldFinal: 100.3, newInitial: 5 })
    both(2, 5.1, 0.2)
    both(3, 5.3, 0.6)
    settle(b)
    const of = (q: string) =>
      b
        .last()
        .filter((i) => i.quantity === q)
        .map((i) => [i.value, i.status])
    expect(of('active_energy_import_kwh')).toEqual([
      [0.2, A],
      [0.2, A],
      [0.2, A],
    ])
    expect(of('active_energy_export_kwh')).toEqual([
      [0.4, A],
      [0.4, E],
      [0.4, A],
    ])
  })
})

describe('gaps', () => {
  it('are estimated when the next read comes, and replaced read by read when the late ones do', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [10, 10.1, Number.NaN, Number.NaN, 11, 11.1])
    settle(b)
    expect(told(b).slice(1, 4)).toEqual([
      [0.3, E],
      [0.3, E],
      [0.3, E],
    ])
    b.read({ ts: MIDNIGHT + 2 * QUARTER, value: 10.6, at: b.nowMs })
    settle(b)
    expect(told(b).slice(1, 4)).toEqual([
      [0.5, A],
      [0.2, E],
      [0.2, E],
    ])
    b.read({ ts: MIDNIGHT + 3 * QUARTER, value: 10.7, at: b.nowMs })
    settle(b)
    expect(told(b).slice(1, 4)).toEqual([
      [0.5, A],
      [0.1, A],
      [0.3, A],
    ])
    expect(b.last().map((i) => i.rev)).toEqual([1, 2, 3, 3, 1])
  })

  it('a late read that does not fit between its neighbours is refused as an interval end', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [10, 10.1, Number.NaN, 10.5])
    b.read({ ts: MIDNIGHT + 2 * QUARTER, value: 99, at: b.nowMs + 60_000 })
    settle(b)
    expect(told(b)).toEqual([
      [0.1, A],
      [0.2, R],
      [0.2, E],
    ])
    expect(b.accepted.at(-1)).toMatchObject({ quality: 'suspect', rules: ['late', 'out_of_line'] })
  })

  it('with supply lost inside are zero where it was lost', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [10, 10.3])
    b.event('power_lost', MIDNIGHT + QUARTER + 1000)
    b.event('power_restored', MIDNIGHT + 4 * QUARTER - 1000)
    settle(b.run(MIDNIGHT + 4 * QUARTER, [10.3, 10.6]))
    expect(told(b)).toEqual([
      [0.3, A],
      [0, E],
      [0, A],
      [0, E],
      [0.3, A],
    ])
    expect(b.last()[2]?.reasons).toEqual(['outage'])
  })

  it('during a known outage are zero, not missing', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [10, 10.3])
    b.event('power_lost', MIDNIGHT + QUARTER)
    b.wait(MIDNIGHT + 30 * HOUR_MS)
    expect(b.last()[1]).toMatchObject({ value: 0, status: 'estimated', reasons: ['gap', 'outage'] })
  })

  it('without an event and without a step of the register are zero', () => {
    const b = settle(new Bench([aMeter()]).run(MIDNIGHT, [10, 10.3, Number.NaN, Number.NaN, 10.3]))
    expect(told(b)).toEqual([
      [0.3, A],
      [0, E],
      [0, E],
      [0, E],
    ])
  })

  it('follow the meter’s own days when long', () => {
    const day = (h: number) => (h >= 6 && h < 22 ? 0.5 : 0.1)
    const values: number[] = []
    let v = 100
    for (let i = 0; i <= 96 * 9; i++) {
      values.push(Math.round(v * 100) / 100)
      v += day(((i / 4) | 0) % 24)
    }
    const b = new Bench([aMeter()]).run(
      MIDNIGHT,
      values.map((x, i) => (i > 96 * 8 && i < 96 * 8 + 60 ? Number.NaN : x)),
    )
    settle(b)
    const night = b.last().find((i) => i.startMs === MIDNIGHT + 8 * DAY_MS + HOUR_MS)
    const noon = b.last().find((i) => i.startMs === MIDNIGHT + 8 * DAY_MS + 12 * HOUR_MS)
    expect(night).toMatchObject({ status: 'estimated', reasons: ['gap', 'like_day'] })
    expect((noon?.value ?? 0) / (night?.value ?? 1)).toBeCloseTo(5, 1)
  })
})

describe('a register that stands still', () => {
  const busy = (n: number, from: number) => Array.from({ length: n }, (_, i) => Math.round((from + i * 0.25) * 100) / 100)

  it('is estimated from like days when the meter never rested before, until it moves', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, busy(96 * 10 + 1, 100))
    const stood = 100 + 96 * 10 * 0.25
    b.run(MIDNIGHT + 10 * DAY_MS + QUARTER, Array(96 * 2).fill(stood))
    settle(b.run(MIDNIGHT + 12 * DAY_MS + QUARTER, busy(5, stood + 0.25)))
    const during = b.last().filter((i) => i.startMs >= MIDNIGHT + 10 * DAY_MS && i.endMs <= MIDNIGHT + 12 * DAY_MS)
    expect(during.every((i) => i.status === 'rejected' && i.reasons[0] === 'stuck_register')).toBe(true)
    expect(during.reduce((s, i) => s + (i.value ?? 0), 0)).toBeCloseTo(48, 0)
    const after = b.last().filter((i) => i.startMs >= MIDNIGHT + 12 * DAY_MS)
    expect(after.map((i) => [i.value, i.status])).toEqual(Array(5).fill([0.25, 'actual']))
  })

  it('that catches up in one step is scaled to what it then shows', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, busy(96 * 10 + 1, 100))
    const stood = 100 + 96 * 10 * 0.25
    b.run(MIDNIGHT + 10 * DAY_MS + QUARTER, Array(96 * 2).fill(stood))
    settle(b.run(MIDNIGHT + 12 * DAY_MS + QUARTER, busy(5, stood + 50)))
    expect(b.last().reduce((s, i) => s + (i.value ?? 0), 0)).toBeCloseTo(stood + 51 - 100, 6)
  })

  it('is left alone when the meter rests by nature, feeds in, or is a water meter', () => {
    const resting = Array.from({ length: 96 * 10 }, (_, i) => 100 + ((i / 48) | 0))
    const b = new Bench([aMeter()]).run(MIDNIGHT, resting)
    settle(b.run(MIDNIGHT + 10 * DAY_MS, Array(96).fill(resting.at(-1))))
    expect(b.last().every((i) => i.status === 'actual')).toBe(true)

    const w = new Bench([aWaterMeter()]).run(MIDNIGHT, busy(24 * 14, 100), HOUR_MS)
    settle(w.run(MIDNIGHT + 14 * DAY_MS, Array(72).fill(100 + (24 * 14 - 1) * 0.25), HOUR_MS))
    expect(w.last().every((i) => i.status === 'actual')).toBe(true)
  })
})

describe('reads off the grid', () => {
  it('give the intervals of the grid by interpolation, adding up exactly', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT + 7 * 60_000, [10, 10.15, 10.3, 10.9, 11.5])
    expect(b.last().map((i) => i.status)).toEqual([A, A, A])
    expect(b.last()[0]).toMatchObject({ startMs: MIDNIGHT + QUARTER, value: 0.15, reasons: ['interpolated'] })
    expect(b.last()[1]?.value).toBeCloseTo(0.15 * (7 / 15) + 0.6 * (8 / 15), 6)
  })

  it('a few seconds off count as on the grid', () => {
    const b = new Bench([aMeter()])
      .run(
        MIDNIGHT,
        [10, 10.1, 10.3].map((v) => v),
      )
      .run(MIDNIGHT + 3 * QUARTER + 12_000, [10.4, 10.6])
    expect(b.last().map((i) => i.value)).toEqual([0.1, 0.2, 0.1, 0.2])
    expect(b.last().every((i) => i.reasons.length === 0)).toBe(true)
  })

  it('many reads within an interval make one', () => {
    const b = new Bench([aMeter()])
    for (let i = 0; i <= 180; i++) b.read({ ts: MIDNIGHT + i * 10_000, value: Math.round((10 + i * 0.01) * 100) / 100 })
    expect(b.last().map((i) => [i.value, i.status])).toEqual([
      [0.9, A],
      [0.9, A],
    ])
  })

  it('a jump between reads of every minute is estimated from a rate over half an interval at least', () => {
    const b = new Bench([aMeter()])
    const minute = (i: number, value: number) => b.read({ ts: MIDNIGHT + i * 60_000, value })
    for (let i = 0; i < 15; i++) minute(i, 100 + i)
    for (let i = 15; i <= 45; i++) minute(i, 5000 + i)
    settle(b)
    expect(b.last()[0]?.value).toBeGreaterThan(10)
    expect(b.last()[0]?.value).toBeLessThan(20)
  })

  it('a clock that is wrong by minutes is named', () => {
    const b = new Bench([aMeter()])
    for (let i = 0; i < 60; i++) b.read({ ts: MIDNIGHT + i * QUARTER, value: i, at: MIDNIGHT + i * QUARTER - 8 * 60_000 })
    expect(b.accepted.at(-1)?.rules).toContain('clock_drift')
    b.event('clock_set', b.nowMs + 1)
    b.read({ ts: MIDNIGHT + 60 * QUARTER, value: 60 })
    expect(b.accepted.at(-1)?.rules).toEqual([])
  })
})

describe('the registry', () => {
  it('gives energy by the multiplier', () => {
    const b = new Bench([aMeter({ multiplier: 60, max_kw: 180 })]).run(MIDNIGHT, [100, 100.07, 100.15])
    expect(b.last().map((i) => i.value)).toEqual([4.2, 4.8])
  })

  it('may change the interval: the series begins anew and takes no reading twice', () => {
    const b = new Bench([aMeter()]).run(MIDNIGHT, [1, 2, 3, 4, 5])
    b.rezone(aMeter({ interval_s: 1800 }))
    b.read({ ts: MIDNIGHT + 2 * QUARTER, value: 3, at: b.nowMs })
    expect(b.refused.map((r) => r.reason)).toEqual(['beyond_dedup_window'])
    b.run(MIDNIGHT + 6 * QUARTER, [6, 7, 8], 2 * QUARTER)
    expect(
      b
        .last()
        .slice(-2)
        .map((i) => [i.value, i.endMs - i.startMs]),
    ).toEqual([
      [1, 2 * QUARTER],
      [1, 2 * QUARTER],
    ])
  })
})

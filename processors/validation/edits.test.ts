// Edits by people and by another multiplier: what is said, what stands, and that days follow.
import { describe, expect, it } from 'vitest'
import type { Edit } from '#model/edit.ts'
import { DAY_MS, HOUR_MS, toIso } from '#model/time.ts'
import { aMeter, Bench, MIDNIGHT } from './validation.fixture.ts'

const round = (v: number) => Math.round(v * 100) / 100
const MAIN = 'active_energy_import_kwh'

/** Hourly reads of one unit an hour, some left out. */
function lived(days: number, options: { without?: (h: number) => boolean; asset?: object } = {}): Bench {
  const b = new Bench([aMeter({ interval_s: 3600, account: 'A', ...options.asset })])
  for (let h = 0; h <= days * 24; h++) if (options.without?.(h) !== true) b.read({ ts: MIDNIGHT + h * HOUR_MS, value: 100 + h })
  return b
}

/** An edit upon what was said last, as the store would make it. */
function edit(b: Bench, hours: readonly number[], value: (before: number) => number, more: Partial<Edit> = {}): Edit {
  const last = new Map(b.last().map((i) => [i.startMs, i]))
  const intervals = hours.map((h) => {
    const i = last.get(MIDNIGHT + h * HOUR_MS)
    if (i === undefined) throw new Error(`no interval at hour ${h}`)
    const { startMs, endMs } = i
    return { startMs, endMs, value: value(i.value ?? 0), before: i.value, beforeStatus: i.status, rev: i.rev }
  })
  const dates = new Set(intervals.map((i) => toIso(i.startMs).slice(0, 10)))
  const days = b.lastDays().filter((d) => dates.has(d.date))
  return { id: 'e1', kind: 'manual', meter: 'E-1', quantity: MAIN, channel: '', intervals, days, ...more }
}

describe('an edit by a person', () => {
  it('is a revision with its reason, its edit and what it replaces, and its day follows', () => {
    const b = lived(3)
    b.edit(edit(b, [30, 31], () => 5))
    expect(b.intervals.slice(-2)).toEqual([
      expect.objectContaining({
        value: 5,
        status: 'edited',
        rev: 2,
        reasons: ['manual_edit', 'edit:e1'],
        was: { value: 1, status: 'actual', why: 'manual_edit' },
      }),
      expect.objectContaining({ value: 5, status: 'edited', rev: 2 }),
    ])
    expect(b.lastDays()[1]).toMatchObject({
      ...{ value: 32, actual: 22, edited: 2, estimated: 0, rev: 2 },
      was: { value: 24, why: 'manual_edit' },
      // It does not add up to the register: shown, not hidden.
      rules: ['sum_check'],
    })
  })

  it('is made once, though the log holds it twice', () => {
    const b = lived(3)
    const e = edit(b, [30], () => 5)
    b.edit(e).edit(e)
    expect(b.intervals.filter((i) => i.status === 'edited')).toHaveLength(1)
    expect(b.lastDays()[1]).toMatchObject({ value: 28, rev: 2 })
  })

  it('reaches a day long forgotten, with its bands and its mix', () => {
    const b = lived(20)
    b.edit(edit(b, [10, 2], () => 3))
    expect(b.lastDays()[0]).toMatchObject({ date: '2025-11-03', value: 28, actual: 22, edited: 2, rev: 2, tou: { valley: 12, peak: 16 } })
    b.restart().edit(edit(b, [11], () => 3, { id: 'e2' }))
    expect(b.lastDays()[0]).toMatchObject({ value: 30, actual: 21, edited: 3, rev: 3, was: { value: 28, why: 'manual_edit' } })
  })

  it('stands against late reads, which go on to correct its neighbours', () => {
    const b = lived(3, { without: (h) => h >= 30 && h < 40 })
    b.wait(b.nowMs + HOUR_MS)
    b.edit(edit(b, [33, 34], () => 7))
    for (let h = 30; h < 40; h++) b.read({ ts: MIDNIGHT + h * HOUR_MS, value: 100 + h, at: b.nowMs + 1000 })
    b.wait(b.nowMs + 8 * HOUR_MS)
    const of = (h: number) => b.last().find((i) => i.startMs === MIDNIGHT + h * HOUR_MS)
    expect(of(33)).toMatchObject({ value: 7, status: 'edited' })
    expect(of(35)).toMatchObject({ value: 1, status: 'actual', was: { status: 'estimated', why: 'late_read' } })
    expect(b.lastDays()[1]).toMatchObject({ value: 36, edited: 2, actual: 22, estimated: 0 })
  })

  it('stands against false reads found out later', () => {
    const b = new Bench([aMeter({ interval_s: 3600, account: 'A', max_kw: 44 })])
    for (const [h, v] of [100, 101, 102, 103, 110, 105].entries()) b.read({ ts: MIDNIGHT + h * HOUR_MS, value: v })
    b.edit(edit(b, [3], () => 2))
    for (const [k, v] of [106, 107, 108].entries()) b.read({ ts: MIDNIGHT + (6 + k) * HOUR_MS, value: v })
    b.wait(b.nowMs + HOUR_MS)
    expect(
      b
        .last()
        .map((i) => [i.value, i.status])
        .slice(3, 5),
    ).toEqual([
      [2, 'edited'],
      [1, 'estimated'],
    ])
    const revs = b.intervals.filter((i) => i.startMs === MIDNIGHT + 3 * HOUR_MS).map((i) => i.rev)
    expect(revs).toEqual([1, 2])
  })

  it('of a device that is gone does nothing', () => {
    const b = lived(2)
    const e = edit(b, [3], () => 5)
    const n = b.intervals.length
    b.rezone(undefined, 'E-1').edit(e)
    expect(b.intervals).toHaveLength(n)
  })
})

describe('another multiplier', () => {
  it('without a time counts from then on; what was said stands', () => {
    const b = lived(2, { without: (h) => h === 20 })
    b.wait(b.nowMs + HOUR_MS)
    const before = b.last().map((i) => i.value)
    b.rezone(aMeter({ interval_s: 3600, account: 'A', multiplier: 20 }))
    b.read({ ts: MIDNIGHT + 49 * HOUR_MS, value: 149 })
    b.read({ ts: MIDNIGHT + 20 * HOUR_MS, value: 120, at: b.nowMs + 1000 }).wait(b.nowMs + HOUR_MS)
    expect(b.last().map((i) => i.value)).toEqual([...before, 20])
    expect(b.recalculations).toEqual([])
  })

  it('since a time is asked of the store, and every interval and day since then is said anew', () => {
    const since = MIDNIGHT + DAY_MS
    const b = lived(4, { without: (h) => h >= 50 && h < 60 })
    b.wait(b.nowMs + HOUR_MS)
    b.rezone(aMeter({ interval_s: 3600, account: 'A', multiplier: 20, multiplier_since: toIso(since) }))
    expect(b.recalculations).toEqual([
      expect.objectContaining({ meter: 'E-1', quantity: MAIN, factor: 20, sinceMs: since, untilMs: MIDNIGHT + 4 * DAY_MS }),
    ])
    b.read({ ts: MIDNIGHT + 97 * HOUR_MS, value: 197 })
    const hours = Array.from({ length: 72 }, (_, k) => 24 + k)
    b.edit(edit(b, hours, (v) => v * 20, { kind: 'multiplier' }))
    b.wait(b.nowMs + HOUR_MS)
    const last = b.last()
    expect(last.slice(0, 24).every((i) => i.value === 1 && i.rev === 1)).toBe(true)
    expect(last.slice(24, 97).map((i) => round(i.value ?? 0))).toEqual(Array.from({ length: 73 }, () => 20))
    expect(last[30]).toMatchObject({ status: 'actual', rev: 2, was: { value: 1, status: 'actual', why: 'multiplier' } })
    expect(last[52]).toMatchObject({ status: 'estimated', rev: 2, was: { why: 'multiplier' } })
    expect(b.lastDays().map((d) => [round(d.value), d.actual, d.estimated])).toEqual([
      [24, 24, 0],
      [480, 24, 0],
      [480, 13, 11],
      [480, 24, 0],
    ])
    expect(b.lastDays()[1]).toMatchObject({ was: { value: 24, why: 'multiplier' } })
    const seen = new Map<number, number>()
    for (const i of b.intervals) {
      expect(i.rev).toBe((seen.get(i.startMs) ?? 0) + 1)
      seen.set(i.startMs, i.rev)
    }
  })
})

describe('an exchange told late', () => {
  const exchanged = () => {
    const b = new Bench([aMeter({ interval_s: 3600, account: 'A' })])
    for (let h = 0; h <= 72; h++) b.read({ ts: MIDNIGHT + h * HOUR_MS, value: h < 30 ? 100 + h : h - 27 })
    return b.wait(b.nowMs + 8 * HOUR_MS)
  }

  it('with its indices makes the energy exact, as a revision of the interval and its day', () => {
    const b = exchanged()
    b.nowMs += 5 * DAY_MS
    b.event('meter_replaced', MIDNIGHT + 29.5 * HOUR_MS, { oldFinal: 129.4, newInitial: 2.1 }).wait(b.nowMs + HOUR_MS)
    const [interval] = b.last().filter((i) => i.startMs === MIDNIGHT + 29 * HOUR_MS)
    expect(interval).toMatchObject({ value: 1.3, status: 'actual', reasons: ['meter_exchange'], rev: 2, was: { why: 'exchange_told' } })
    expect(b.lastDays()[1]).toMatchObject({ value: 24.3, estimated: 0, rev: 2, was: { why: 'exchange_told' } })
  })

  it('by the control room, without indices, changes no figure: the energy across it is as unknown as before', () => {
    const b = exchanged()
    const before = b.last()
    const at = { startMs: MIDNIGHT + 29 * HOUR_MS, endMs: MIDNIGHT + 31 * HOUR_MS }
    b.operation({ knownAtMs: b.nowMs, kind: 'meter_exchange', scopeType: 'meter', scope: 'E-1', ...at, note: '' }).wait(b.nowMs + HOUR_MS)
    expect(b.last()).toEqual(before)
  })
})

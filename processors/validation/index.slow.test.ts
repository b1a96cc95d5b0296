// The validator as a whole: whatever arrives, in whatever order, the books add up.
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { DAY_MS, HOUR_MS, localDate } from '#model/time.ts'
import { aMeter, aWaterMeter, Bench, MIDNIGHT, QUARTER, type Read } from './validation.fixture.ts'

const round = (v: number) => Math.round(v * 100) / 100

/** Reads of a register that never goes wrong, some lost, some repeated, some late. */
const arrivals = fc
  .record({
    steps: fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 20, maxLength: 160 }),
    start: fc.integer({ min: 0, max: 9_999_999 }),
    jitter: fc.constantFrom(0, 0, 7_000, 200_000, 420_000),
    fates: fc.array(
      fc.record({
        kind: fc.constantFrom('ok', 'ok', 'ok', 'ok', 'lost', 'late', 'twice', 'very_late'),
        delay: fc.integer({ min: 1, max: 120 }),
      }),
      {
        minLength: 160,
        maxLength: 160,
      },
    ),
  })
  .map(({ steps, start, jitter, fates }) => {
    const reads: Required<Pick<Read, 'ts' | 'value' | 'at'>>[] = []
    let register = start
    steps.forEach((step, i) => {
      const fate = fates[i] as { kind: string; delay: number }
      const ts = MIDNIGHT + i * QUARTER + jitter
      const value = round((register % 10_000_000) / 100)
      register += step
      const at = ts + 30_000
      if (fate.kind === 'lost' && i > 0) return
      const wait = i === 0 ? 0 : fate.kind === 'late' ? fate.delay * 60_000 : fate.kind === 'very_late' ? fate.delay * HOUR_MS : 0
      reads.push({ ts, value, at: at + wait })
      if (fate.kind === 'twice') reads.push({ ts, value, at: at + fate.delay * 60_000 })
    })
    return { reads: reads.sort((a, b) => a.at - b.at), steps }
  })

// Many random histories: generous on a busy machine.
vi.setConfig({ testTimeout: 60_000 })

describe('a register whose reads are lost, late, repeated and out of order', () => {
  it('accounts for every reading exactly once', () => {
    fc.assert(
      fc.property(arrivals, ({ reads }) => {
        const b = new Bench([aMeter()])
        for (const r of reads) b.read(r)
        expect(b.accepted.length + b.duplicates.length + b.refused.length).toBe(reads.length)
        expect(new Set(b.accepted.map((r) => r.tsMs)).size).toBe(b.accepted.length)
        expect(b.accepted.length).toBe(new Set(reads.map((r) => r.ts)).size)
      }),
      { numRuns: 60 },
    )
  })

  it('gives intervals that are never negative, add up to the register, and have revisions without holes', () => {
    fc.assert(
      fc.property(arrivals, ({ reads }) => {
        const b = new Bench([aMeter()])
        for (const r of reads) b.read(r)
        b.wait(b.nowMs + 2 * HOUR_MS)
        const revs = new Map<number, number>()
        for (const i of b.intervals) {
          expect(i.rev).toBe((revs.get(i.endMs) ?? 0) + 1)
          revs.set(i.endMs, i.rev)
          if (i.value !== null) expect(i.value).toBeGreaterThanOrEqual(0)
        }
        const last = b.last()
        last.slice(1).forEach((x, i) => {
          expect(x.startMs).toBe(last[i]?.endMs)
        })
        const onGrid = (reads[0]?.ts ?? 0) % QUARTER < 30_000
        const sorted = [...reads].sort((x, y) => x.ts - y.ts)
        const first = sorted[0]
        const newest = sorted[sorted.length - 1]
        if (!onGrid || first === undefined || newest === undefined) return
        const sum = last.reduce((s, x) => s + (x.value ?? 0), 0)
        const difference = newest.value - first.value + (newest.value < first.value ? 100_000 : 0)
        expect(Math.abs(sum - difference)).toBeLessThan(0.005)
      }),
      { numRuns: 60 },
    )
  })

  it('gives days that are the sums of their intervals, with the right counts', () => {
    fc.assert(
      fc.property(arrivals, fc.constantFrom('UTC', 'Europe/Zurich', 'Asia/Kolkata'), ({ reads }, timezone) => {
        const b = new Bench([aMeter()], { timezone })
        for (const r of reads) b.read(r)
        b.wait(b.nowMs + 3 * DAY_MS)
        const last = b.last()
        for (const d of b.lastDays()) {
          const own = last.filter((i) => localDate(timezone, i.startMs) === d.date)
          expect(own.reduce((s, i) => s + (i.value ?? 0), 0)).toBeCloseTo(d.value, 5)
          expect(own.filter((i) => i.status === 'actual').length).toBe(d.actual)
          expect(own.filter((i) => i.status === 'estimated' || i.status === 'rejected').length).toBe(d.estimated)
          expect(own.filter((i) => i.status === 'missing').length).toBe(d.missing)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('says the same after its state went through storage', () => {
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 1, max: 100 }), ({ reads }, every) => {
        const a = new Bench([aMeter()])
        const b = new Bench([aMeter()])
        reads.forEach((r, i) => {
          a.read(r)
          b.read(r)
          if (i % every === 0) b.restart()
        })
        a.wait(a.nowMs + HOUR_MS)
        b.wait(b.nowMs + HOUR_MS)
        expect(b.intervals).toEqual(a.intervals)
        expect(b.days).toEqual(a.days)
      }),
      { numRuns: 60 },
    )
  })

  it('ends with the same intervals however the late ones come', () => {
    const values = Array.from({ length: 40 }, (_, i) => round(100 + i * 0.31))
    const expected = new Bench([aMeter()]).run(MIDNIGHT, values).last()
    fc.assert(
      fc.property(
        fc.shuffledSubarray(
          [...Array(30).keys()].map((i) => i + 5),
          { minLength: 30, maxLength: 30 },
        ),
        (order) => {
          const b = new Bench([aMeter()])
          values.forEach((value, i) => {
            if (i < 5 || i > 34) b.read({ ts: MIDNIGHT + i * QUARTER, value })
          })
          const at = b.nowMs + 60_000
          for (const [k, i] of order.entries()) b.read({ ts: MIDNIGHT + i * QUARTER, value: values[i] as number, at: at + k * 1000 })
          b.wait(b.nowMs + 2 * HOUR_MS)
          expect(b.last().map((i) => [i.endMs, i.value, i.status])).toEqual(expected.map((i) => [i.endMs, i.value, i.status]))
        },
      ),
      { numRuns: 60 },
    )
  })
})

/** A register with false values, jumps and exchanges thrown in. */
const troubled = fc
  .array(
    fc.record({
      step: fc.integer({ min: 0, max: 500 }),
      trouble: fc.integer({ min: 0, max: 40 }),
      size: fc.integer({ min: 0, max: 9_999_999 }),
    }),
    {
      minLength: 30,
      maxLength: 200,
    },
  )
  .map((parts) => {
    let register = 1_234_567
    return parts.map(({ step, trouble, size }, i): Read => {
      register = (register + step) % 10_000_000
      if (trouble === 1) register = size // exchanged, or jumped
      const shown = trouble === 0 ? size : register
      return { ts: MIDNIGHT + i * QUARTER, value: round(shown / 100) }
    })
  })

describe('a register that lies', () => {
  it('never gives a negative or a physically impossible interval, and accounts for everything', () => {
    fc.assert(
      fc.property(troubled, (reads) => {
        const b = new Bench([aMeter()])
        for (const r of reads) b.read(r)
        b.wait(b.nowMs + 3 * DAY_MS)
        expect(b.accepted.length).toBe(reads.length)
        const perInterval = (44 * 2 * QUARTER) / HOUR_MS + 0.02
        const revs = new Map<number, number>()
        for (const i of b.intervals) {
          expect(i.rev).toBe((revs.get(i.endMs) ?? 0) + 1)
          revs.set(i.endMs, i.rev)
          if (i.value === null) continue
          expect(i.value).toBeGreaterThanOrEqual(0)
          if (i.status === 'actual') expect(i.value).toBeLessThanOrEqual(perInterval)
        }
        const last = b.last()
        last.slice(1).forEach((x, i) => {
          expect(x.startMs).toBe(last[i]?.endMs)
        })
        for (const d of b.lastDays()) {
          const own = last.filter((i) => localDate('UTC', i.startMs) === d.date)
          expect(own.reduce((s, i) => s + (i.value ?? 0), 0)).toBeCloseTo(d.value, 5)
        }
      }),
      { numRuns: 60 },
    )
  })
})

describe('memory', () => {
  it('stays within 1.5 KiB a meter with two registers, so that detectors have room below 2 KiB', async () => {
    const { serialize } = await import('node:v8')
    const meters = Array.from({ length: 200 }, (_, i) => aMeter({ id: `E-${i}` }))
    const b = new Bench(meters)
    for (let k = 0; k < 200; k++) {
      for (const [i, m] of meters.entries()) {
        if ((k * 7 + i) % 331 === 0) continue
        b.read({ device: m.id, ts: MIDNIGHT + k * QUARTER, value: round(10 + k * 0.2) })
        b.read({ device: m.id, quantity: 'active_energy_export_kwh', ts: MIDNIGHT + k * QUARTER, value: 0 })
      }
    }
    expect(serialize(b.state).length / meters.length).toBeLessThan(1.5 * 1024)
  })

  it('forgets a device that left the registry', () => {
    const b = new Bench([aMeter(), aWaterMeter({ id: 'W-1' })])
    b.run(MIDNIGHT, [1, 2, 3])
    b.rezone(undefined, 'E-1')
    expect(b.state.table.first.size).toBe(0)
  })
})

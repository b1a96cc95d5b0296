import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { admit, BEYOND, CONFLICT, DUPLICATE, isTaken, LATE_OLD, NEW } from './dedupe.ts'
import { addRow, createTable, PRINTS, RING } from './series.ts'

const QUARTER = 900_000
const DAY = 86_400_000
const START = Date.UTC(2026, 2, 1)

function aSeries() {
  const t = createTable(1)
  const row = addRow(t, 'E-1', 3, '', 0)
  return { t, row, put: (ts: number, value: number) => admit(t, row, ts, value, QUARTER, 40 * DAY) }
}

describe('admission of a reading', () => {
  it('agrees with a memory of everything while it can tell, and refuses when it cannot', () => {
    const history = fc.array(
      fc.record({
        slot: fc.integer({ min: 0, max: 300 }),
        off: fc.constantFrom(0, 0, 0, 1000, 61_000),
        value: fc.integer({ min: 0, max: 3 }),
      }),
      { minLength: 1, maxLength: 300 },
    )
    fc.assert(
      fc.property(history, (reads) => {
        const s = aSeries()
        const seen = new Map<number, number>()
        let newest = Number.NEGATIVE_INFINITY
        for (const r of reads) {
          const ts = START + r.slot * QUARTER + r.off
          const v = s.put(ts, r.value)
          if (v >= LATE_OLD) {
            // Never admitted twice: the store's keys and our count agree.
            expect(seen.has(ts)).toBe(false)
            expect(v === NEW).toBe(ts > newest)
            seen.set(ts, r.value)
            newest = Math.max(newest, ts)
          } else if (v === DUPLICATE) {
            // A repeat is claimed only of a time that was seen.
            expect(seen.has(ts)).toBe(true)
          } else if (v === CONFLICT) expect(seen.get(ts)).not.toBe(r.value)
          else expect(v).toBe(BEYOND)
        }
      }),
    )
  })

  it('knows the newest readings exactly, on the grid or not', () => {
    const s = aSeries()
    for (let i = 0; i < RING; i++) expect(s.put(START + i * 1000, i)).toBe(NEW)
    expect(s.put(START + 3000, 3)).toBe(DUPLICATE)
    expect(s.put(START + 3000, 4)).toBe(CONFLICT)
    expect(s.put(START + 3500, 4)).toBeGreaterThanOrEqual(0)
  })

  it('finds a whole day sent twice with other values', () => {
    const s = aSeries()
    for (let i = 0; i < 96; i++) s.put(START + i * QUARTER, 100 + i)
    let conflicts = 0
    for (let i = 0; i < 96; i++) if (s.put(START + i * QUARTER, 100.5 + i) === CONFLICT) conflicts++
    // One in 256 looks like the first.
    expect(conflicts).toBeGreaterThanOrEqual(94)
    for (let i = 0; i < 96; i++) expect(s.put(START + i * QUARTER, 100 + i)).toBe(DUPLICATE)
  })

  it('admits a backlog of days in any order, once', () => {
    const s = aSeries()
    s.put(START, 1)
    s.put(START + 20 * DAY, 2)
    for (let i = 20 * 96 - 1; i > 0; i--) expect(s.put(START + i * QUARTER, i)).not.toBeLessThan(LATE_OLD)
    for (let i = 1; i < 20 * 96; i += 7) expect(s.put(START + i * QUARTER, i)).toBe(DUPLICATE)
  })

  it('refuses what is older than the window', () => {
    const s = aSeries()
    for (let i = 0; i < RING + 2; i++) s.put(START + 50 * DAY + i * QUARTER, i)
    expect(s.put(START, 1)).toBe(BEYOND)
    expect(s.put(START + 49 * DAY, 1)).toBe(LATE_OLD)
  })

  it('refuses an old time off the grid whose slot is taken: it may have come before', () => {
    const s = aSeries()
    for (let i = 0; i < PRINTS * 2; i++) s.put(START + i * QUARTER + 60_000, i)
    expect(s.put(START + 5 * QUARTER + 60_000, 5)).toBe(BEYOND)
    expect(s.put(START + 5 * QUARTER, 5)).toBe(BEYOND)
  })

  it('says which slots hold a reading', () => {
    const s = aSeries()
    s.put(START, 1)
    s.put(START + 4 * QUARTER, 2)
    s.put(START + 2 * QUARTER, 2)
    const slot = START / QUARTER
    expect([-1, 0, 1, 2, 3, 4, 5].map((i) => isTaken(s.t, s.row, slot + i, QUARTER))).toEqual([
      false,
      true,
      false,
      true,
      false,
      true,
      false,
    ])
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addHole, forgetBefore, HOLES_MAX, type Holes, isFree, take } from './slots.ts'

describe('free slots', () => {
  it('agree with a plain set, whatever is skipped and filled', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 60 }),
        fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 80 }),
        (steps, fills) => {
          const holes: Holes = []
          const free = new Set<number>()
          let head = 0
          for (const s of steps) {
            const next = head + s
            if (s > 1) addHole(holes, head + 1, next - 1)
            for (let i = head + 1; i < next; i++) free.add(i)
            head = next
          }
          for (const f of fills) {
            take(holes, f)
            free.delete(f)
          }
          for (let i = 0; i <= head; i++) expect(isFree(holes, i)).toBe(free.has(i))
        },
      ),
    )
  })

  it('give up the oldest range, and say so, rather than grow without bound', () => {
    const holes: Holes = []
    let low = Number.NEGATIVE_INFINITY
    for (let i = 0; i <= HOLES_MAX; i++) low = Math.max(low, addHole(holes, i * 10, i * 10 + 3))
    expect(holes.length / 2).toBe(HOLES_MAX)
    expect(low).toBe(4)
    expect(take(holes, 12)).toBe(12)
    expect(holes.length / 2).toBe(HOLES_MAX)
  })

  it('forget what is before a slot', () => {
    const holes: Holes = [1, 2, 5, 9, 20, 21]
    forgetBefore(holes, 9)
    expect(holes).toEqual([5, 9, 20, 21])
  })
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addNumber, countOf, hasNumber, unionOf } from './ranges.ts'

const numbers = fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 60 })

test('any order of numbers gives the ranges of the set', () => {
  fc.assert(
    fc.property(numbers, (list) => {
      const ranges: number[] = []
      const seen = new Set<number>()
      for (const n of list) {
        expect(addNumber(ranges, n)).toBe(!seen.has(n))
        seen.add(n)
      }
      expect(countOf(ranges)).toBe(seen.size)
      for (let n = 0; n <= 61; n++) expect(hasNumber(ranges, n)).toBe(seen.has(n))
      for (let i = 2; i < ranges.length; i += 2) expect(ranges[i]).toBeGreaterThan((ranges[i - 1] as number) + 1)
    }),
  )
})

test('a union has the numbers of all', () => {
  fc.assert(
    fc.property(numbers, numbers, (a, b) => {
      const of = (list: number[]) => {
        const r: number[] = []
        for (const n of list) addNumber(r, n)
        return r
      }
      expect(unionOf([of(a), of(b)])).toEqual(of([...a, ...b]))
    }),
  )
})

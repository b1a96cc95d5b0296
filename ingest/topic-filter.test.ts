import fc from 'fast-check'
import { expect, test } from 'vitest'
import { filterCovers, filterMatches, filterProblem, filtersOverlap } from './topic-filter.ts'

test.each([
  ['a/+/c', 'a/b/c', true],
  ['a/+/c', 'a/b/d', false],
  ['a/+', 'a/b/c', false],
  ['a/#', 'a', true],
  ['a/#', 'a/b/c', true],
  ['#', 'a/b', true],
  ['#', '$SYS/x', false],
  ['+/x', '$SYS/x', false],
  ['$SYS/#', '$SYS/x', true],
  ['a/+', 'a/', true],
])('%s against %s', (filter, topic, expected) => {
  expect(filterMatches(filter, topic)).toBe(expected)
})

test.each([
  ['a/#', 'a/+/c', true],
  ['a/+/c', 'a/#', false],
  ['a/+', 'a/b', true],
  ['a/b', 'a/+', false],
  ['#', 'x', true],
  ['#', '$SYS/x', false],
])('%s covers %s', (outer, inner, expected) => {
  expect(filterCovers(outer, inner)).toBe(expected)
})

test.each([['$share/g/a'], [''], ['a/#/b'], ['a/b#'], ['a+/b']])('%s is no filter', (filter) => {
  expect(filterProblem(filter)).toBeDefined()
})

const level = fc.constantFrom('a', 'b', '+')
const filter = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([l, rest]) => [...l, ...(rest ? ['#'] : [])].join('/'))
const topic = fc.array(fc.constantFrom('a', 'b'), { minLength: 1, maxLength: 4 }).map((l) => l.join('/'))

test('covering and overlapping mean what they say', () => {
  fc.assert(
    fc.property(filter, filter, topic, (a, b, t) => {
      expect(filterProblem(a)).toBeUndefined()
      if (filterCovers(a, b) && filterMatches(b, t)) expect(filterMatches(a, t)).toBe(true)
      if (filterMatches(a, t) && filterMatches(b, t)) expect(filtersOverlap(a, b)).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})

import { expect, test } from 'vitest'
import { HOUR_MS } from '#model/time.ts'
import { countMessages, sumMessages } from './messages.ts'

const T0 = Date.UTC(2026, 2, 1)
const row = (hour: number, ranges: number[], more: object = {}) => ({
  gateway: 'G',
  hour_ms: T0 + hour * HOUR_MS,
  series: 'c|0',
  deliveries: 10,
  redelivered: 1,
  unnumbered: 0,
  refused: 0,
  ranges: ranges.map(String),
  joined: 0,
  ...more,
})
const range = { fromMs: T0, toMs: T0 + 3 * HOUR_MS }
const counted = (rows: ReturnType<typeof row>[]) =>
  [...countMessages(rows, range)].map(([key, c]) => [Number(key.split('|')[1]) - T0, c.present, c.missing, c.holes])

test('a hole within an hour, between hours and before the range', () => {
  expect(counted([row(-1, [1, 10]), row(0, [12, 20, 22, 30]), row(1, [33, 40])])).toEqual([
    [
      0,
      18,
      2,
      [
        [11, 11],
        [21, 21],
      ],
    ],
    [HOUR_MS, 8, 2, [[31, 32]]],
  ])
})

test('several ingests share the messages; a late one fills the hole, a repeated one counts once', () => {
  expect(counted([row(0, [1, 3, 5, 9]), row(0, [4, 4]), row(1, [9, 12])])).toEqual([
    [0, 9, 0, []],
    [HOUR_MS, 3, 0, []],
  ])
})

test('a counter that began again leaves no hole; messages without number count', () => {
  const [[, present, missing]] = counted([row(0, [100, 110]), row(0, [0, 4], { series: 'c|1', unnumbered: 7 })]) as [
    [number, number, number],
  ]
  expect([present, missing]).toEqual([11 + 5 + 7, 0])
  expect(sumMessages(countMessages([row(0, [1, 2, 4, 5])], range).values())).toMatchObject({ present: 4, missing: 1, expected: 5 })
})

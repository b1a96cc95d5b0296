import { expect, test } from 'vitest'
import { HOUR_MS } from '#model/time.ts'
import { type BookEntry, MessageBook } from './message-book.ts'

const T0 = Date.UTC(2026, 2, 1)
const deliver = (book: MessageBook, seq: number, more: { at?: number; again?: boolean; refused?: boolean; gateway?: string } = {}) =>
  book.count({
    gateway: more.gateway ?? 'G',
    receivedAtMs: T0 + (more.at ?? 0),
    seq,
    redelivered: more.again ?? false,
    refused: more.refused ?? false,
  })
const shown = (entries: BookEntry[] | undefined) => entries?.map((e) => [(e.hourMs - T0) / HOUR_MS, e.run, e.ranges])

test('a hole is a gap between ranges; redelivery and late messages fill, never double', () => {
  const book = new MessageBook()
  for (const seq of [1, 2, 3, 5, 6]) deliver(book, seq)
  deliver(book, 3, { again: true })
  const [entry] = book.take() as [BookEntry]
  expect(entry).toMatchObject({ gateway: 'G', deliveries: 6, redelivered: 1, ranges: [1, 3, 5, 6] })
  deliver(book, 4)
  expect(shown(book.take())).toEqual([[0, 0, [1, 6]]])
  expect(book.take()).toBeUndefined()
})

test('hours follow each other; a message that comes late is of the newest hour', () => {
  const book = new MessageBook()
  deliver(book, 1)
  deliver(book, 2, { at: HOUR_MS })
  deliver(book, 3, { at: HOUR_MS - 1 })
  expect(shown(book.take())).toEqual([
    [0, 0, [1, 1]],
    [1, 0, [2, 3]],
  ])
})

test('a counter that begins again begins a run; a repetition of its first message does not', () => {
  const book = new MessageBook()
  for (const seq of [0, 1, 2]) deliver(book, seq)
  deliver(book, 0, { again: true })
  deliver(book, 0)
  deliver(book, 1)
  expect(shown(book.take())).toEqual([
    [0, 0, [0, 2]],
    [0, 1, [0, 1]],
  ])
  deliver(book, 5_000_000)
  expect(shown(book.take())).toEqual([[0, 2, [5_000_000, 5_000_000]]])
})

test('messages without a number are counted once each', () => {
  const book = new MessageBook()
  deliver(book, -1)
  deliver(book, -1, { again: true })
  deliver(book, -1, { refused: true })
  expect(book.take()).toMatchObject([{ deliveries: 3, redelivered: 1, unnumbered: 2, refused: 1, ranges: [] }])
})

test('a restart goes on where it was', () => {
  const before = new MessageBook()
  for (const seq of [1, 2, 3]) deliver(before, seq)
  const after = new MessageBook()
  after.restore(structuredClone(before.take() as BookEntry[]))
  deliver(after, 3, { again: true })
  deliver(after, 5)
  expect(after.take()).toMatchObject([{ run: 0, deliveries: 5, ranges: [1, 3, 5, 5] }])
})

test('every second number missing keeps the memory bounded and the count of the missing', () => {
  const book = new MessageBook()
  for (let seq = 0; seq < 2_000; seq += 2) deliver(book, seq)
  const [entry] = book.take() as [BookEntry]
  expect(entry.ranges.length).toBe(400)
  let missing = entry.joined
  for (let i = 1; i + 1 < entry.ranges.length; i += 2) missing += (entry.ranges[i + 1] as number) - (entry.ranges[i] as number) - 1
  expect(missing).toBe(999)
})

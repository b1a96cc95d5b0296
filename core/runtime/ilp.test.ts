import { SenderBufferV2, SenderOptions } from '@questdb/nodejs-client'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { doubleColumn, IlpRows, longColumn, rowHead, rowPrefix, rowTail, textColumn, timeColumn } from './ilp.ts'

const V = doubleColumn('value')
const R = timeColumn('received_at')
const S = longColumn('seq')
const T = textColumn('rules')

const row = fc.record({
  device: fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }),
  zone: fc.constantFrom('', 'A', 'with space', 'a,b=c\\d', 'line\nbreak'),
  value: fc.double({ noNaN: true }),
  receivedAtMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  seq: fc.maxSafeInteger(),
  rules: fc.option(fc.string({ minLength: 1, maxLength: 300, unit: 'grapheme' })),
  tsMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
})

describe('rows in line protocol', () => {
  test('are byte for byte those of the official client', () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (list) => {
        const theirs = new SenderBufferV2(new SenderOptions('http::addr=127.0.0.1:9000;protocol_version=2;'))
        const ours = new IlpRows()
        for (const r of list) {
          theirs.table('readings').symbol('device', r.device)
          if (r.zone !== '') theirs.symbol('zone', r.zone)
          theirs.floatColumn('value', r.value).timestampColumn('received_at', r.receivedAtMs, 'ms').intColumn('seq', r.seq)
          if (r.rules !== null) theirs.stringColumn('rules', r.rules)
          theirs.at(r.tsMs, 'ms')
          if (r.seq % 2 === 0) ours.begin(rowPrefix('readings', { device: r.device, zone: r.zone }))
          else ours.start(rowHead('readings', 'device'), r.device, rowTail({ zone: r.zone }))
          ours.double(V, r.value)
          ours.time(R, r.receivedAtMs)
          ours.long(S, r.seq)
          if (r.rules !== null) ours.text(T, r.rules)
          ours.end(r.tsMs)
        }
        expect(ours.rows).toBe(list.length)
        expect(ours.view().equals(theirs.toBufferView() as Buffer)).toBe(true)
        const middle = list.length >> 1
        expect(Buffer.concat([ours.slice(0, middle), ours.slice(middle, list.length)]).equals(ours.view())).toBe(true)
      }),
    )
  })

  test('refuse what is not a name, an integer or a time', () => {
    expect(() => rowPrefix('a b', {})).toThrow(/not a name/)
    expect(() => rowPrefix('readings', { 'Bad-Name': 'x' })).toThrow(/not a name/)
    const rows = new IlpRows()
    rows.begin(rowPrefix('readings', { a: 'b' }))
    expect(() => rows.long(S, 1.5)).toThrow(/not an integer/)
    expect(rows.bytes).toBe(0)
    rows.begin(rowPrefix('readings', { a: 'b' }))
    rows.double(V, 1)
    expect(() => rows.end(Number.NaN)).toThrow(/not a time/)
    expect([rows.bytes, rows.rows]).toEqual([0, 0])
  })
})

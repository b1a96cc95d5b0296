import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { parquetReadObjects } from 'hyparquet'
import { describe, expect, it } from 'vitest'
import type { FeedItem } from '../queries/consumption.ts'
import { COLUMNS, csv, csvCell, ndjson, parquet } from './feed-formats.ts'

const item = fc.record({
  seq: fc.integer({ min: 1, max: 2 ** 50 }),
  meter: fc.string({ minLength: 1, maxLength: 20 }),
  quantity: fc.constantFrom('water_volume_m3', 'active_energy_import_kwh'),
  channel: fc.constantFrom('', 't1', 'L1/t2/a"b,c'),
  date: fc.constantFrom('2026-03-29', '2024-02-29', '1999-12-31'),
  value: fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }),
  actual: fc.nat(100),
  estimated: fc.nat(100),
  missing: fc.nat(100),
  edited: fc.nat(100),
  estimatedValue: fc.double({ noNaN: true, noDefaultInfinity: true, min: 0, max: 1e6 }),
  tou: fc.option(fc.record({ peak: fc.nat(50), off: fc.nat(50) })),
  rules: fc.subarray(['spike', 'sum_check']),
  why: fc.constantFrom('', 'late_read'),
  rev: fc.integer({ min: 1, max: 1000 }),
  decidedAt: fc.constantFrom('2026-03-30T00:00:10.000Z', '2026-03-30T00:00:10.123Z'),
  supersedes: fc.option(fc.record({ seq: fc.nat(), rev: fc.nat(1000), value: fc.double({ noNaN: true, noDefaultInfinity: true }) })),
  gate: fc.constantFrom('met' as const, 'correction' as const),
}) satisfies fc.Arbitrary<FeedItem>
const pages = fc.array(fc.array(item, { maxLength: 8 }), { maxLength: 4 })

async function* from(list: readonly (readonly FeedItem[])[]): AsyncGenerator<readonly FeedItem[]> {
  yield* list
}
async function text(of: AsyncIterable<string>): Promise<string> {
  let out = ''
  for await (const part of of) out += part
  return out
}

describe('formats of the feed', () => {
  it('lines of JSON give back every entry', async () => {
    await fc.assert(
      fc.asyncProperty(pages, async (list) => {
        const lines = (await text(ndjson(from(list)))).split('\n').filter((l) => l !== '')
        expect(lines.map((l) => JSON.parse(l))).toEqual(JSON.parse(JSON.stringify(list.flat())))
      }),
      { numRuns: 50 },
    )
  })

  it('CSV gives back every entry, whatever the ids hold', async () => {
    await fc.assert(
      fc.asyncProperty(pages, async (list) => {
        const rows = parse(await text(csv(from(list))), { columns: true, record_delimiter: '\r\n' }) as Record<string, string>[]
        const all = list.flat()
        expect(rows).toHaveLength(all.length)
        rows.forEach((row, i) => {
          const of = all[i] as FeedItem
          expect(Number(row.seq)).toBe(of.seq)
          expect(Number(row.value)).toBe(of.value + 0)
          expect(row.channel).toBe(of.channel)
          expect(row.meter?.replace(/^'/, '')).toBe(of.meter)
          expect(row.supersedes_rev).toBe(of.supersedes === null ? '' : String(of.supersedes.rev))
        })
      }),
      { numRuns: 50 },
    )
  })

  it('text that a spreadsheet would run gets an apostrophe, numbers do not', () => {
    expect([csvCell('=1+1'), csvCell('-W1'), csvCell("'x"), csvCell(-1.5), csvCell('a,b'), csvCell(null)]).toEqual([
      "'=1+1",
      "'-W1",
      "''x",
      '-1.5',
      '"a,b"',
      '',
    ])
  })

  it('a Parquet file read by another library gives back every entry', async () => {
    await fc.assert(
      fc.asyncProperty(pages, async (list) => {
        const parts: Uint8Array[] = []
        for await (const part of parquet(from(list))) parts.push(part)
        const bytes = new Uint8Array(Buffer.concat(parts))
        const rows = await parquetReadObjects({ file: bytes.buffer })
        expect(rows).toEqual(
          list.flat().map((i) => ({
            seq: BigInt(i.seq),
            meter: i.meter,
            quantity: i.quantity,
            channel: i.channel,
            date: new Date(i.date),
            value: i.value,
            actual: i.actual,
            estimated: i.estimated,
            missing: i.missing,
            rev: i.rev,
            decided_at: new Date(i.decidedAt),
            supersedes_seq: i.supersedes === null ? null : BigInt(i.supersedes.seq),
            supersedes_rev: i.supersedes?.rev ?? null,
            supersedes_value: i.supersedes?.value ?? null,
            gate: i.gate,
            edited: i.edited,
            estimated_value: i.estimatedValue,
            tou: i.tou === null ? null : JSON.stringify(i.tou),
            rules: i.rules.join(' '),
            why: i.why,
          })),
        )
      }),
      { numRuns: 25 },
    )
  })

  it('columns keep their names and order', () => {
    expect(COLUMNS.map((c) => c.name).join(' ')).toBe(
      'seq meter quantity channel date value actual estimated missing rev decided_at supersedes_seq supersedes_rev supersedes_value gate edited estimated_value tou rules why',
    )
  })
})

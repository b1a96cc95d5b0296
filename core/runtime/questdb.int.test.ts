import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Isolated, startTestServers } from '../../deploy/local/test-servers.ts'
import { doubleColumn, IlpRows, longColumn, rowHead, rowPrefix, rowTail, textColumn, timeColumn } from './ilp.ts'
import { silentLog } from './log.ts'
import { createQuestDb, literal, type QuestDb, timeLiteral } from './questdb.ts'

let space: Isolated
let db: QuestDb
let table: string

const VALUE = doubleColumn('value')
const SEQ = longColumn('seq')
const NOTE = textColumn('note')
const AT = timeColumn('at')

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  db = await createQuestDb({ url: space.config.QUESTDB_URL, log: silentLog })
  table = `${space.prefix}t`
  await db.exec(`CREATE TABLE '${table}' (ts TIMESTAMP, device SYMBOL, zone SYMBOL, value DOUBLE, seq LONG, note VARCHAR, at TIMESTAMP)
    TIMESTAMP(ts) PARTITION BY DAY WAL DEDUP UPSERT KEYS(ts, device)`)
})
afterAll(() => db?.close())

async function eventually(sql: string, check: (rows: unknown[][]) => boolean): Promise<unknown[][]> {
  for (let i = 0; ; i++) {
    const { dataset } = await db.exec(sql)
    if (check(dataset) || i >= 100) return dataset
    await new Promise((r) => setTimeout(r, 100))
  }
}

const MS = Date.UTC(2026, 2, 1)

describe('QuestDB', () => {
  test('stores every kind of column, odd characters included, and the same row once', async () => {
    const rows = new IlpRows()
    const odd = 'a b,c=d\\e"f\'g\nü€'
    for (let twice = 0; twice < 2; twice++) {
      rows.start(rowHead(table, 'device'), odd, rowTail({ zone: 'Zürich, Nord' }))
      rows.double(VALUE, 0.1)
      rows.long(SEQ, -42)
      rows.text(NOTE, odd)
      rows.time(AT, MS + 1)
      rows.end(MS)
      rows.begin(rowPrefix(table, { device: 'plain', zone: '' }))
      rows.double(VALUE, 1e300)
      rows.end(MS)
    }
    expect(await db.write([rows])).toEqual({ refused: 0 })
    const got = await eventually(
      `SELECT device, zone, value, seq, note, at FROM '${table}' WHERE ts = ${timeLiteral(MS)} ORDER BY value`,
      (r) => r.length === 2,
    )
    expect(got).toEqual([
      [odd, 'Zürich, Nord', 0.1, -42, odd, '2026-03-01T00:00:00.001000Z'],
      ['plain', null, 1e300, null, null, null],
    ])
    const one = await db.exec(`SELECT count() FROM '${table}' WHERE device = ${literal(odd)}`)
    expect(one.dataset).toEqual([[1]])
  })

  test('refuses only the rows at fault', async () => {
    const rows = new IlpRows()
    for (let i = 0; i < 100; i++) {
      rows.start(rowHead(table, 'device'), `d${i}`, rowTail({ zone: 'A' }))
      // A text where a number belongs.
      if (i === 17 || i === 60) rows.text(VALUE_AS_TEXT, 'many')
      else rows.double(VALUE, i)
      rows.end(MS + 86_400_000)
    }
    expect(await db.write([new IlpRows(), rows])).toEqual({ refused: 2 })
    const sql = `SELECT count() FROM '${table}' WHERE ts = ${timeLiteral(MS + 86_400_000)}`
    expect(await eventually(sql, (r) => r[0]?.[0] === 98)).toEqual([[98]])
  })

  test('says what is wrong with a statement', async () => {
    await expect(db.exec('SELECT nothing FROM nowhere')).rejects.toThrow(/QuestDB: .*nowhere/)
  })
})

const VALUE_AS_TEXT = textColumn('value')

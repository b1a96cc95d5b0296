// QuestDB's rows as CSV of its own making: /exp writes it, /imp reads it; rows that are there already deduplicate.
import { createReadStream, createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { type QuestDb, type QuestDbEndpoint, timeLiteral } from '#runtime/questdb.ts'

const DAY_MS = 86_400_000

export interface SeriesDump {
  table: string
  rows: number
  /** One file a day. */
  days: string[]
}

/** `table` is ours without the prefix, `time` its designated timestamp. */
export async function dumpSeries(
  db: QuestDb,
  at: QuestDbEndpoint,
  o: { table: string; prefix: string; time: string; dir: string },
): Promise<SeriesDump> {
  const source = `'${o.prefix}${o.table}'`
  const span = await db.exec(`SELECT count(), min("${o.time}"), max("${o.time}") FROM ${source}`)
  const [count, min, max] = span.dataset[0] as [number, string | null, string | null]
  const days: string[] = []
  if (count === 0 || min === null || max === null) return { table: o.table, rows: 0, days }
  let rows = 0
  for (let dayMs = Math.floor(Date.parse(min) / DAY_MS) * DAY_MS; dayMs <= Date.parse(max); dayMs += DAY_MS) {
    const where = `"${o.time}" >= ${timeLiteral(dayMs)} AND "${o.time}" < ${timeLiteral(dayMs + DAY_MS)}`
    const n = Number((await db.exec(`SELECT count() FROM ${source} WHERE ${where}`)).dataset[0]?.[0])
    if (n === 0) continue
    const day = new Date(dayMs).toISOString().slice(0, 10)
    const response = await fetch(`${at.origin}/exp?query=${encodeURIComponent(`SELECT * FROM ${source} WHERE ${where}`)}`, {
      headers: at.headers,
    })
    if (!response.ok || response.body === null) throw new Error(`QuestDB: ${response.status} ${(await response.text()).slice(0, 300)}`)
    await pipeline(
      Readable.fromWeb(response.body as never),
      createGzip({ level: 4 }),
      createWriteStream(join(o.dir, `${o.table}-${day}.csv.gz`), { mode: 0o600 }),
    )
    days.push(day)
    rows += n
  }
  return { table: o.table, rows, days }
}

/** @throws Error when QuestDB rejects a row */
export async function loadSeries(at: QuestDbEndpoint, o: { dump: SeriesDump; prefix: string; time: string; dir: string }): Promise<void> {
  const query = new URLSearchParams({
    name: `${o.prefix}${o.dump.table}`,
    timestamp: o.time,
    fmt: 'json',
    atomicity: 'abort',
    forceHeader: 'true',
  })
  for (const day of o.dump.days) {
    const form = new FormData()
    const chunks: Buffer[] = []
    for await (const chunk of createReadStream(join(o.dir, `${o.dump.table}-${day}.csv.gz`)).pipe(createGunzip()))
      chunks.push(chunk as Buffer)
    form.set('data', new Blob(chunks as never, { type: 'text/csv' }))
    const response = await fetch(`${at.origin}/imp?${query}`, { method: 'POST', headers: at.headers, body: form })
    const answer = (await response.json().catch(() => ({}))) as { status?: string; rowsRejected?: number }
    if (!response.ok || answer.status !== 'OK' || (answer.rowsRejected ?? 0) > 0)
      throw new Error(`QuestDB did not take ${o.dump.table} of ${day}: ${JSON.stringify(answer).slice(0, 500)}`)
  }
}

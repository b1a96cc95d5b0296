// Whether what was published is what is stored: counts, distinct keys and sums, compared exactly.
import { QUANTITIES } from '#model/quantity.ts'
import { decodeRecord } from '#model/telemetry.ts'
import { consume, createKafka, topicOffsets } from '#runtime/kafka.ts'
import { silentLog } from '#runtime/log.ts'
import type { Totals } from './fleet.ts'

export interface Verdict {
  /** Readings found, repeated ones included. */
  found: number
  distinct: number
  sumThousandths: number
  lost: number
  /** In the log a repetition is allowed (a redelivery); in the store it is not. */
  repeated: number
  ok: boolean
}

function verdict(expected: Totals, got: { found: number; distinct: number; sumThousandths: number }, repeatsAllowed: boolean): Verdict {
  const lost = expected.readings - got.distinct
  const repeated = got.found - got.distinct
  const ok = lost === 0 && got.sumThousandths === expected.sumThousandths && (repeatsAllowed || repeated === 0)
  return { ...got, lost, repeated, ok }
}

/** Reads the whole telemetry topic. Each distinct reading must be there at least once. */
export async function verifyLog(brokers: string, topic: string, expected: Totals): Promise<Verdict> {
  const kafka = createKafka({ KAFKA_BROKERS: brokers }, silentLog, 'bench-verify')
  const ends = new Map((await topicOffsets(kafka, topic)).filter((o) => o.high > o.low).map((o) => [o.partition, o.high]))
  const seen = new Set<string>()
  let found = 0
  let sumThousandths = 0
  const all = Promise.withResolvers<void>()
  if (ends.size === 0) all.resolve()
  const consumer = await consume(kafka, {
    group: `bench-verify-${process.pid}`,
    topics: [topic],
    log: silentLog,
    from: 'beginning',
    commit: 'manual',
    async onBatch({ partition, records }) {
      for (const r of records) {
        const record = decodeRecord(r.key, r.value)
        if (record.kind !== 'data') continue
        for (const { device, tsMs, quantity, value } of record.readings) {
          found += 1
          const key = `${device} ${tsMs / 1000} ${QUANTITIES.indexOf(quantity)}`
          if (seen.has(key)) continue
          seen.add(key)
          sumThousandths += Math.round(value * 1000)
        }
      }
      const last = records.at(-1)
      if (last !== undefined && last.offset + 1 >= (ends.get(partition) ?? 0)) ends.delete(partition)
      if (ends.size === 0) all.resolve()
    },
  })
  await all.promise
  await consumer.stop()
  return verdict(expected, { found, distinct: seen.size, sumThousandths }, true)
}

async function query(url: string, sql: string): Promise<(string | number)[]> {
  const response = await fetch(`${url}/exec?query=${encodeURIComponent(sql)}`)
  const body = (await response.json()) as { dataset?: (string | number)[][]; error?: string }
  if (body.dataset === undefined) throw new Error(`QuestDB: ${body.error ?? response.status}: ${sql}`)
  return body.dataset[0] ?? []
}

export async function storedCount(url: string, table: string): Promise<number> {
  return Number((await query(url, `SELECT count() FROM ${table}`))[0])
}

/** Asks QuestDB. Each distinct reading must be there exactly once. */
export async function verifyStore(url: string, table: string, expected: Totals): Promise<Verdict> {
  const [found, sum] = await query(url, `SELECT count(), sum(round(value * 1000)::long) FROM ${table}`)
  const [distinct] = await query(url, `SELECT count() FROM (SELECT DISTINCT device, quantity, channel, ts FROM ${table})`)
  return verdict(expected, { found: Number(found), distinct: Number(distinct), sumThousandths: Number(sum) }, false)
}

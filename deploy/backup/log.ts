// The part of Kafka that the other stores do not hold yet: what came after the checkpoints, and the small topics whole.
import { join } from 'node:path'
import { TOPICS } from '#model/topics.ts'
import type { Config } from '#runtime/config.ts'
import { consume, createProducer, type Kafka, type RecordConsumer, topicName, topicOffsets } from '#runtime/kafka.ts'
import { silentLog } from '#runtime/log.ts'
import { grouped, openLines, readLines } from './files.ts'

export interface TopicDump {
  topic: string
  records: number
}
interface SavedRecord {
  partition: number
  key: string
  value: string
}

/** Consumers of these take a repeat for what it is. `live` and `crews` are of the moment. */
const WHOLE = [TOPICS.findings, TOPICS.tickets, TOPICS.quarantine] as const
const SEND_MOST = 1_000
const SEND_BYTES = 4 * 1024 * 1024

/** `from`: offset of each partition that the checkpoint holds; a partition without one is saved from its beginning. */
async function dumpTopic(kafka: Kafka, config: Config, topic: string, from: ReadonlyMap<number, number>, dir: string): Promise<TopicDump> {
  const full = topicName(config, topic)
  const out = openLines(join(dir, `${topic}.ndjson.gz`))
  const ends = new Map<number, number>()
  const starts = new Map<number, number>()
  for (const { partition, low, high } of await topicOffsets(kafka, full)) {
    const start = Math.max(low, from.get(partition) ?? low)
    starts.set(partition, start)
    if (high > start) ends.set(partition, high)
  }
  let records = 0
  const all = Promise.withResolvers<void>()
  if (ends.size === 0) all.resolve()
  let consumer: RecordConsumer | undefined
  const seek = (): void => {
    for (const [partition, start] of starts) consumer?.seek(full, partition, start)
  }
  consumer = await consume(kafka, {
    group: `backup-${process.pid}-${topic}-${Date.now()}`,
    ...{ topics: [full], log: silentLog, from: 'beginning', commit: 'manual' },
    async onBatch(batch) {
      const end = ends.get(batch.partition)
      const start = starts.get(batch.partition) ?? 0
      for (const r of batch.records) {
        if (end === undefined || r.offset >= end || r.offset < start) continue
        const saved: SavedRecord = { partition: batch.partition, key: r.key, value: r.value.toString('base64') }
        await out.write(saved)
        records += 1
      }
      const last = batch.records.at(-1)
      if (end !== undefined && last !== undefined && last.offset + 1 >= end) ends.delete(batch.partition)
      if (ends.size === 0) all.resolve()
    },
    onAssign: seek,
  })
  seek()
  await all.promise
  await consumer.stop()
  await out.close()
  return { topic, records }
}

export interface Offsets {
  zones: ReadonlyMap<number, number>
  network: ReadonlyMap<number, number>
}

export async function dumpLog(kafka: Kafka, config: Config, offsets: Offsets, dir: string): Promise<TopicDump[]> {
  const dumps = [
    await dumpTopic(kafka, config, TOPICS.telemetry, offsets.zones, dir),
    await dumpTopic(kafka, config, TOPICS.summaries, offsets.network, dir),
  ]
  for (const topic of WHOLE) dumps.push(await dumpTopic(kafka, config, topic, new Map(), dir))
  return dumps
}

/** Into topics that are there and empty, with as many partitions as before. */
export async function loadLog(kafka: Kafka, config: Config, dumps: readonly TopicDump[], dir: string): Promise<void> {
  const producer = await createProducer(kafka)
  try {
    for (const { topic } of dumps) {
      const full = topicName(config, topic)
      const saved = readLines<SavedRecord>(join(dir, `${topic}.ndjson.gz`))
      for await (const group of grouped(saved, SEND_MOST, (r) => r.value.length, SEND_BYTES))
        await producer.send(group.map((r) => ({ topic: full, key: r.key, value: Buffer.from(r.value, 'base64'), partition: r.partition })))
    }
  } finally {
    await producer.close()
  }
}

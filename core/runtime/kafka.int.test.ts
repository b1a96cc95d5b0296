import { beforeAll, describe, expect, test } from 'vitest'
import { TOPICS } from '#model/topics.ts'
import { type Isolated, startTestServers } from '../../deploy/local/test-servers.ts'
import {
  consume,
  createKafka,
  createProducer,
  ensureTopics,
  type InRecord,
  type Kafka,
  partitionOf,
  topicName,
  topicOffsets,
} from './kafka.ts'
import { silentLog } from './log.ts'

let space: Isolated
let kafka: Kafka
let telemetry: string

beforeAll(async () => {
  space = await (await startTestServers()).isolate()
  const config = { ...space.config, KAFKA_TELEMETRY_PARTITIONS: 3 }
  kafka = createKafka(config, silentLog, 'test')
  expect((await ensureTopics(kafka, config)).telemetryPartitions).toBe(3)
  // What exists stays as it is.
  expect((await ensureTopics(kafka, { ...config, KAFKA_TELEMETRY_PARTITIONS: 9 })).telemetryPartitions).toBe(3)
  telemetry = topicName(config, TOPICS.telemetry)
})

async function read(group: string, n: number, from: 'beginning' | 'end' = 'beginning'): Promise<Map<number, InRecord[]>> {
  const seen = new Map<number, InRecord[]>()
  let count = 0
  let done: () => void = () => undefined
  const finished = new Promise<void>((r) => {
    done = r
  })
  const consumer = await consume(kafka, {
    group: `${space.prefix}${group}`,
    topics: [telemetry],
    log: silentLog,
    from,
    commit: 'after-batch',
    onBatch: async (batch) => {
      seen.set(batch.partition, [...(seen.get(batch.partition) ?? []), ...batch.records])
      count += batch.records.length
      if (count >= n) done()
    },
  })
  await finished
  await consumer.stop()
  return seen
}

describe('Kafka', () => {
  test('records arrive in order where partitionOf says, in requests of any size', async () => {
    const producer = await createProducer(kafka)
    const keys = Array.from({ length: 12 }, (_, i) => `zone-${i}`)
    // 24 MB in one call, split into requests; and one record above the size of a request.
    const big = Buffer.alloc(1024 * 1024, 1)
    const records = Array.from({ length: 24 }, (_, i) => ({
      topic: telemetry,
      key: keys[i % 12] as string,
      value: Buffer.concat([Buffer.from([i]), big]),
    }))
    const huge = { topic: telemetry, key: 'zone-0', value: Buffer.alloc(9 * 1024 * 1024, 2) }
    await Promise.all([producer.send(records), producer.send([huge]), producer.send([])])
    await producer.close()
    await expect(producer.send(records)).rejects.toThrow(/closed/)
    const seen = await read('order', 25)
    for (const [partition, list] of seen) {
      for (const r of list) expect(partitionOf(r.key, 3)).toBe(partition)
      const numbers = list.filter((r) => r.value.length < 2_000_000).map((r) => r.value[0] as number)
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    }
    expect([...seen.values()].flat().filter((r) => r.value.length > 9_000_000)).toHaveLength(1)
  })

  test('a group goes on after the batches it has finished', async () => {
    const producer = await createProducer(kafka)
    const before = (await topicOffsets(kafka, telemetry)).reduce((n, o) => n + o.high - o.low, 0)
    await read('goes-on', before)
    await producer.send(Array.from({ length: 5 }, (_, i) => ({ topic: telemetry, key: `new-${i}`, value: 'x' })))
    const seen = await read('goes-on', 5)
    expect(
      [...seen.values()]
        .flat()
        .map((r) => r.key)
        .sort(),
    ).toEqual(['new-0', 'new-1', 'new-2', 'new-3', 'new-4'])
    await producer.close()
  })

  test('a batch whose handler throws comes again; seek goes anywhere', async () => {
    const producer = await createProducer(kafka)
    await producer.send([{ topic: telemetry, key: 'again', value: 'y', partition: 0 }])
    await producer.close()
    const high = (await topicOffsets(kafka, telemetry)).find((o) => o.partition === 0)?.high ?? 0
    let attempts = 0
    const offsets: number[] = []
    let done: () => void = () => undefined
    const finished = new Promise<void>((r) => {
      done = r
    })
    const consumer = await consume(kafka, {
      group: `${space.prefix}again`,
      topics: [telemetry],
      log: silentLog,
      from: 'beginning',
      commit: 'manual',
      onBatch: async (batch) => {
        if (batch.partition !== 0) return
        attempts += 1
        if (attempts === 1) throw new Error('not yet')
        if (attempts === 2) {
          consumer.seek(telemetry, 0, high - 1)
          return
        }
        offsets.push(...batch.records.map((r) => r.offset))
        done()
      },
    })
    await finished
    await consumer.stop()
    expect(offsets).toEqual([high - 1])
  })
})

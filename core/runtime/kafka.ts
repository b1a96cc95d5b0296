// Kafka behind one thin file: kafkajs is unmaintained, so nothing else in the project knows its name. Batches in, batches out:
// one message a send costs forty times as much as a batch.
import {
  type Admin,
  type Consumer,
  Kafka,
  type KafkaConfig as KafkaClientConfig,
  logLevel,
  Partitioners,
  type PartitionMetadata,
  type Producer,
  type RetryOptions,
  type SASLOptions,
} from 'kafkajs'
import { TOPICS } from '#model/topics.ts'
import type { Config } from './config.ts'

/** The part of a logger that is used here; pino's loggers fit. */
export interface KafkaLog {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

/** kafkajs has other defaults when NODE_ENV is test, so every client states its own. About 20 s in all. */
const RETRY: RetryOptions = { initialRetryTime: 100, retries: 10, maxRetryTime: 5_000, factor: 0.2, multiplier: 2 }
/** One request at most, in bytes; a larger batch is split, a single larger record travels alone. */
const REQUEST_BYTES_MAX = 8 * 1024 * 1024
/** Bytes of a record beside key and value, generously. */
const RECORD_OVERHEAD = 80
/** `max.message.bytes` of our topics: all records of one request and partition form one Kafka batch. */
const TOPIC_BATCH_BYTES_MAX = 16 * 1024 * 1024

export type { Kafka }

/** Our topic's name on this cluster: METERSTREAM_PREFIX in front. */
export function topicName(config: Pick<Config, 'METERSTREAM_PREFIX'>, name: string): string {
  return `${config.METERSTREAM_PREFIX}${name}`
}

export type KafkaConfig = Pick<Config, 'KAFKA_BROKERS'> &
  Partial<Pick<Config, 'KAFKA_TLS' | 'KAFKA_SASL' | 'KAFKA_USERNAME' | 'KAFKA_PASSWORD'>>

function security(config: KafkaConfig): Pick<KafkaClientConfig, 'ssl' | 'sasl'> {
  const { KAFKA_SASL: mechanism = '', KAFKA_USERNAME: username = '', KAFKA_PASSWORD: password = '' } = config
  const sasl = mechanism === '' ? {} : { sasl: { mechanism, username, password } as SASLOptions }
  return { ssl: config.KAFKA_TLS === 'on', ...sasl }
}

/** A client. kafkajs tells every retry as an error: its messages are logged as debug, its own warnings and errors as warn. */
export function createKafka(config: KafkaConfig, log: KafkaLog, clientId = 'meterstream'): Kafka {
  return new Kafka({
    clientId,
    brokers: config.KAFKA_BROKERS.split(',')
      .map((b) => b.trim())
      .filter((b) => b !== ''),
    ...security(config),
    connectionTimeout: 5_000,
    requestTimeout: 30_000,
    retry: RETRY,
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ namespace, level, log: entry }) => {
        const { message, timestamp: _at, logger: _logger, stack: _stack, ...fields } = entry
        // A rebalance and a dropped connection are ordinary life, and the bounded retries of the producer are intended.
        const ordinary =
          /rebalanc|re-joining|Crash|Restarting|Limiting retries|Connection (error|timeout)|ECONNREFUSED|Response|Failed to connect/i.test(
            message,
          )
        const write = level <= logLevel.WARN && !ordinary ? log.warn : log.debug
        write.call(log, { kafka: namespace, ...fields }, message)
      },
  })
}

const NO_METADATA: PartitionMetadata = { partitionErrorCode: 0, partitionId: 0, leader: -1, replicas: [], isr: [] }
const partitioner = Partitioners.DefaultPartitioner()

/** The partition of a key, by the default partitioner of Kafka's Java client (murmur2). */
export function partitionOf(key: string, partitions: number): number {
  // With a key, the partitioner looks at nothing but the key and the number of partitions.
  const partitionMetadata: PartitionMetadata[] = new Array(partitions).fill(NO_METADATA)
  return partitioner({ topic: '', partitionMetadata, message: { key, value: null } })
}

export interface OutRecord {
  /** Full name, prefix included. */
  topic: string
  key: string
  value: Buffer | string | null
  /** Left out: by key. */
  partition?: number
  headers?: Record<string, string>
}

export interface RecordProducer {
  /**
   * Resolves when all in-sync replicas have the records. Calls queue up: one request is in flight at a time, in call order.
   * @throws when the bounded retries are used up: the caller still owns the records and may send them again (consumers
   * deduplicate, so a record that got through after all does no harm).
   */
  send(records: readonly OutRecord[]): Promise<void>
  close(): Promise<void>
}

const bytesOf = (r: OutRecord): number => (r.value === null ? 0 : Buffer.byteLength(r.value)) + r.key.length + RECORD_OVERHEAD

function split(records: readonly OutRecord[]): OutRecord[][] {
  const chunks: OutRecord[][] = []
  let chunk: OutRecord[] = []
  let bytes = 0
  for (const r of records) {
    const b = bytesOf(r)
    if (bytes + b > REQUEST_BYTES_MAX && chunk.length > 0) {
      chunks.push(chunk)
      chunk = []
      bytes = 0
    }
    chunk.push(r)
    bytes += b
  }
  if (chunk.length > 0) chunks.push(chunk)
  return chunks
}

function byTopic(records: readonly OutRecord[]) {
  const topics = new Map<string, { key: string; value: Buffer | string | null; partition?: number; headers?: Record<string, string> }[]>()
  for (const { topic, ...message } of records) {
    const list = topics.get(topic)
    if (list === undefined) topics.set(topic, [message])
    else list.push(message)
  }
  return [...topics].map(([topic, messages]) => ({ topic, messages }))
}

/**
 * An idempotent producer, acks = all. After a failed request the Kafka producer is replaced: its sequence numbers no longer agree
 * with the broker's, and another batch under the same numbers would be taken for a repeat and dropped.
 */
export async function createProducer(kafka: Kafka, retry: RetryOptions = RETRY): Promise<RecordProducer> {
  const open = async (): Promise<Producer> => {
    const p = kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner,
      retry,
      allowAutoTopicCreation: false,
    })
    await p.connect()
    return p
  }
  let producer: Producer | undefined = await open()
  let tail: Promise<void> = Promise.resolve()
  let closed = false

  const sendNow = async (records: readonly OutRecord[]): Promise<void> => {
    for (const chunk of split(records)) {
      producer ??= await open()
      try {
        await producer.sendBatch({ acks: -1, topicMessages: byTopic(chunk) })
      } catch (error) {
        const failed = producer
        producer = undefined
        // A connection that cannot be closed either is dropped: the original error is what matters.
        await failed.disconnect().catch(() => undefined)
        throw error
      }
    }
  }
  return {
    send(records) {
      if (closed) return Promise.reject(new Error('the producer is closed'))
      if (records.length === 0) return Promise.resolve()
      const sent = tail.then(() => sendNow(records))
      // The queue goes on after a failure; the failure itself belongs to the caller of that send.
      tail = sent.catch(() => undefined)
      return sent
    },
    async close() {
      closed = true
      await tail
      await producer?.disconnect()
      producer = undefined
    },
  }
}

const DAY = 86_400_000
/** How long a topic keeps its records. */
const RETENTION_MS: Record<keyof typeof TOPICS, number> = {
  telemetry: 7 * DAY,
  quarantine: 30 * DAY,
  summaries: 7 * DAY,
  findings: 90 * DAY,
  tickets: 90 * DAY,
  live: DAY / 24,
  crews: DAY,
}

async function withAdmin<T>(kafka: Kafka, use: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin({ retry: RETRY })
  await admin.connect()
  try {
    return await use(admin)
  } finally {
    await admin.disconnect()
  }
}

/** Creates what is missing of our topics; existing ones stay as they are. Returns how many partitions `telemetry` really has. */
export async function ensureTopics(
  kafka: Kafka,
  config: Pick<Config, 'METERSTREAM_PREFIX' | 'KAFKA_TELEMETRY_PARTITIONS'>,
): Promise<{ telemetryPartitions: number; clusterId: string }> {
  return withAdmin(kafka, async (admin) => {
    const existing = new Set(await admin.listTopics())
    const names = Object.keys(TOPICS) as (keyof typeof TOPICS)[]
    const missing = names.filter((t) => !existing.has(topicName(config, TOPICS[t])))
    if (missing.length > 0) {
      await admin.createTopics({
        waitForLeaders: true,
        topics: missing.map((t) => ({
          topic: topicName(config, TOPICS[t]),
          numPartitions: t === 'telemetry' ? config.KAFKA_TELEMETRY_PARTITIONS : 1,
          replicationFactor: -1, // the cluster's default
          configEntries: [
            { name: 'max.message.bytes', value: String(TOPIC_BATCH_BYTES_MAX) },
            { name: 'retention.ms', value: String(RETENTION_MS[t]) },
          ],
        })),
      })
    }
    const telemetry = topicName(config, TOPICS.telemetry)
    const { topics } = await admin.fetchTopicMetadata({ topics: [telemetry] })
    const { clusterId } = await admin.describeCluster()
    return { telemetryPartitions: topics[0]?.partitions.length ?? 0, clusterId }
  })
}

/** Next offset to be written and oldest kept offset, by partition of a topic. */
export async function topicOffsets(kafka: Kafka, topic: string): Promise<{ partition: number; low: number; high: number }[]> {
  return withAdmin(kafka, async (admin) =>
    (await admin.fetchTopicOffsets(topic)).map((o) => ({ partition: o.partition, low: Number(o.low), high: Number(o.high) })),
  )
}

export interface InRecord {
  offset: number
  key: string
  value: Buffer
  /** Kafka's timestamp, epoch ms: when the producer sent it. */
  timestampMs: number
}

export interface InBatch {
  topic: string
  partition: number
  /** Offset of the next record the topic will get: lag = highWatermark - (last offset + 1). */
  highWatermark: number
  records: InRecord[]
  /** Call now and then in a long batch, at least every few seconds; rejects when the partition was taken away: let it through. */
  heartbeat(): Promise<void>
  /** False when the consumer is stopping: leave the rest. */
  running(): boolean
}

export interface ConsumeOptions {
  group: string
  topics: readonly string[]
  log: KafkaLog
  /** Where a group without a committed offset begins. */
  from: 'beginning' | 'end'
  /** `after-batch`: the batch's offsets are committed when onBatch resolves. `manual`: the caller commits with `commit`. */
  commit: 'after-batch' | 'manual'
  /** Throwing makes the batch come again after a pause: throw only for what may pass (a server that is away). */
  onBatch(batch: InBatch): Promise<void>
  /** After every (re)join, before its first batch: all partitions that are ours now. */
  onAssign?(assigned: ReadonlyMap<string, readonly number[]>): void
  /** A rebalance begins: last chance to save. Not awaited by Kafka beyond the rebalance timeout. */
  onRebalance?(): void
  /** Bytes a fetch may bring for one partition. */
  maxBytesPerPartition?: number
  /** Longest wait for the first byte of a fetch, ms. */
  maxWaitMs?: number
  sessionTimeoutMs?: number
  /** No sign of life for this long: the watchdog makes a new consumer. kafkajs is known to stop silently. */
  stallMs?: number
}

export interface RecordConsumer {
  /** The next fetch of the partition begins there. */
  seek(topic: string, partition: number, offset: number): void
  /** Records the next offset to read, for lag display and for the next start. */
  commit(offsets: readonly { topic: string; partition: number; offset: number }[]): Promise<void>
  /** Times the watchdog or a crash had to replace the consumer. */
  restarts(): number
  stop(): Promise<void>
}

/** Consumes in a group. One batch at a time: folds are CPU work, and order across partitions of a process is then simple. */
export async function consume(kafka: Kafka, options: ConsumeOptions): Promise<RecordConsumer> {
  const { log } = options
  const stallMs = options.stallMs ?? 60_000
  let consumer: Consumer
  let stopping = false
  let restarts = 0
  let lastSign = Date.now()
  let busy = 0
  let replacing: Promise<void> | undefined

  const start = async (): Promise<void> => {
    const c = kafka.consumer({
      groupId: options.group,
      sessionTimeout: options.sessionTimeoutMs ?? 10_000,
      rebalanceTimeout: 30_000,
      heartbeatInterval: Math.min(3_000, (options.sessionTimeoutMs ?? 10_000) / 3),
      maxBytesPerPartition: options.maxBytesPerPartition ?? 2 * 1024 * 1024,
      maxBytes: 16 * 1024 * 1024,
      maxWaitTimeInMs: options.maxWaitMs ?? 100,
      allowAutoTopicCreation: false,
      retry: { ...RETRY, restartOnFailure: async () => !stopping },
    })
    consumer = c
    const sign = () => {
      lastSign = Date.now()
    }
    c.on(c.events.FETCH, sign)
    c.on(c.events.HEARTBEAT, sign)
    c.on(c.events.REBALANCING, () => options.onRebalance?.())
    c.on(c.events.GROUP_JOIN, (e) => {
      sign()
      options.onAssign?.(new Map(Object.entries(e.payload.memberAssignment).map(([t, p]) => [t, [...p]])))
    })
    c.on(c.events.CRASH, (e) => {
      const fields = { group: options.group, error: e.payload.error.message, restart: e.payload.restart }
      log[e.payload.restart ? 'info' : 'warn'](fields, 'consumer crashed')
      if (!e.payload.restart && !stopping && c === consumer) replace('crashed')
    })
    await c.connect()
    await c.subscribe({ topics: [...options.topics], fromBeginning: options.from === 'beginning' })
    await c.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: 1,
      eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
        // A seek overtook this batch.
        if (isStale() || c !== consumer || batch.messages.length === 0) return
        busy += 1
        try {
          await options.onBatch({
            topic: batch.topic,
            partition: batch.partition,
            highWatermark: Number(batch.highWatermark),
            records: batch.messages.map((m) => ({
              offset: Number(m.offset),
              key: m.key === null ? '' : m.key.toString(),
              value: m.value ?? Buffer.alloc(0),
              timestampMs: Number(m.timestamp),
            })),
            heartbeat: () => {
              sign()
              return heartbeat()
            },
            running: () => isRunning() && !isStale() && !stopping,
          })
        } finally {
          busy -= 1
          sign()
        }
        if (isStale()) return
        const last = batch.lastOffset()
        resolveOffset(last)
        if (options.commit === 'after-batch') {
          await c.commitOffsets([{ topic: batch.topic, partition: batch.partition, offset: (BigInt(last) + 1n).toString() }])
        }
        await heartbeat()
      },
    })
  }

  const replace = (why: string): void => {
    if (replacing !== undefined || stopping) return
    restarts += 1
    const old = consumer
    replacing = (async () => {
      log.warn({ group: options.group, why }, 'replacing the consumer')
      // Bounded: a consumer that hangs may hang in disconnect too.
      await Promise.race([old.disconnect().catch(() => undefined), new Promise((r) => setTimeout(r, 5_000).unref())])
      for (let wait = 500; !stopping; wait = Math.min(wait * 2, 10_000)) {
        try {
          await start()
          return
        } catch (error) {
          log.warn({ group: options.group, error: (error as Error).message }, 'consumer could not start, trying again')
          await new Promise((r) => setTimeout(r, wait).unref())
        }
      }
    })().finally(() => {
      replacing = undefined
      lastSign = Date.now()
    })
  }

  await start()
  const everyMs = Math.min(5_000, stallMs)
  let checkedMs = Date.now()
  const watchdog = setInterval(() => {
    const now = Date.now()
    // This process itself stood still (suspended, a long computation): the consumer gets its time again.
    if (now - checkedMs > everyMs * 2) lastSign = now
    checkedMs = now
    if (busy === 0 && now - lastSign > stallMs) replace('no sign of life')
  }, everyMs)
  watchdog.unref()

  return {
    seek: (topic, partition, offset) => consumer.seek({ topic, partition, offset: String(offset) }),
    commit: (offsets) => consumer.commitOffsets(offsets.map((o) => ({ topic: o.topic, partition: o.partition, offset: String(o.offset) }))),
    restarts: () => restarts,
    async stop() {
      stopping = true
      clearInterval(watchdog)
      await replacing
      await consumer.disconnect()
    },
  }
}

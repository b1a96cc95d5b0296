// Consumes the log: hosts the zone folds of the partitions that Kafka assigns to this process, and runs their flush cycle.
import { consume, type InBatch, type Kafka, type RecordConsumer, type RecordProducer, topicOffsets } from '#runtime/kafka.ts'
import type { Log } from '#runtime/log.ts'
import type { Pool } from '#runtime/postgres.ts'
import type { QuestDb } from '#runtime/questdb.ts'
import { acquire } from '../sinks/checkpoints.ts'
import type { OutTopics } from '../sinks/outputs.ts'
import { RowPrefixes } from '../sinks/questdb.ts'
import type { Topology } from '../topology.ts'
import { Cycle, type CycleMetrics } from './cycle.ts'
import { Partition, type PartitionState } from './partition.ts'
import { type Persist, persistently } from './persist.ts'

export interface ZonesMetrics extends CycleMetrics {
  folded(records: number, readings: number, seconds: number): void
  poisoned(n: number): void
}

export interface ZonesOptions {
  kafka: Kafka
  producer: RecordProducer
  questdb: QuestDb
  pool: Pool
  log: Log
  metrics: ZonesMetrics
  /** Kafka's cluster id: offsets of another cluster mean nothing. */
  cluster: string
  group: string
  telemetry: string
  topics: OutTopics
  /** QuestDB tables. */
  tablePrefix: string
  topology: Topology
  /** Detector settings below those of the log. */
  settings?: Record<string, unknown>
  /** Names this process in `checkpoints`, for people. */
  owner: string
  onBroken(error: unknown): void
  checkpointMs?: number
  sessionTimeoutMs?: number
}

/** Records folded between two signs of life. */
const SLICE = 100
/** Fetches from the next offset that bring only later ones, before that is taken for a hole in the log. */
const SEEKS_MAX = 3
/** A partition lost to another owner is taken back only after Kafka has assigned it again, or after this long. */
const BLOCKED_MS = 30_000

export class ZonesRunner {
  readonly partitions = new Map<number, Partition>()
  readonly #o: ZonesOptions
  readonly #cycle: Cycle
  readonly #prefixes: RowPrefixes
  readonly #blocked = new Map<number, number>()
  #consumer: RecordConsumer | undefined
  #stopping = false
  #problem = ''
  joined = false

  constructor(options: ZonesOptions) {
    this.#o = options
    this.#prefixes = new RowPrefixes(options.tablePrefix)
    this.#cycle = new Cycle({
      ...options,
      partitions: () => this.partitions.values(),
      onLost: (p) => this.#lost(p),
      onSaved: (offsets) => this.#commit(offsets),
    })
  }

  get problem(): string {
    return this.#cycle.problem || this.#problem
  }

  restarts(): number {
    return this.#consumer?.restarts() ?? 0
  }

  async start(): Promise<void> {
    const { kafka, group, telemetry, log, sessionTimeoutMs } = this.#o
    this.#cycle.start()
    this.#consumer = await consume(kafka, {
      group,
      topics: [telemetry],
      log,
      from: 'beginning',
      commit: 'manual',
      onBatch: (batch) => this.#onBatch(batch),
      onAssign: (assigned) => this.#onAssign(assigned.get(telemetry) ?? []),
      onRebalance: () => this.#cycle.checkpointSoon(),
      ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }),
    })
  }

  /** Stops folding, saves everything, leaves the group. */
  async stop(): Promise<void> {
    this.#stopping = true
    try {
      await this.#cycle.stop()
    } finally {
      await this.#consumer?.stop()
    }
  }

  #onAssign(mine: readonly number[]): void {
    this.joined = true
    this.#blocked.clear()
    for (const [id, p] of this.partitions) {
      if (mine.includes(id)) continue
      // Its new owner folds from our last checkpoint; what we have not sent since comes from there.
      p.lost = true
      this.partitions.delete(id)
    }
    this.#o.log.info({ partitions: [...mine].sort((a, b) => a - b) }, 'partitions assigned')
  }

  #lost(p: Partition): void {
    this.#o.log.warn({ partition: p.partition, epoch: p.epoch }, 'partition has another owner, letting go')
    if (this.partitions.get(p.partition) === p) this.partitions.delete(p.partition)
    this.#blocked.set(p.partition, Date.now() + BLOCKED_MS)
  }

  #commit(offsets: readonly { partition: number; offset: number }[]): void {
    const { telemetry, log } = this.#o
    const list = offsets.map((o) => ({ topic: telemetry, ...o }))
    // For lag display only: PostgreSQL holds the truth.
    this.#consumer?.commit(list).catch((error: Error) => log.debug({ err: error }, 'offsets not committed'))
  }

  async #onBatch(batch: InBatch): Promise<void> {
    const { metrics } = this.#o
    const p = await this.#partitionOf(batch)
    if (p === undefined || !this.#inPlace(p, batch)) return
    for (let i = 0; i < batch.records.length; i += SLICE) {
      await this.#cycle.room(batch.heartbeat)
      if (this.#stopping || p.lost || !batch.running()) return
      const slice = batch.records.slice(i, i + SLICE)
      const before = { readings: p.readings, poisoned: p.poisoned }
      const started = performance.now()
      p.apply(slice)
      p.lag = Math.max(0, batch.highWatermark - p.nextOffset)
      metrics.folded(slice.length, p.readings - before.readings, (performance.now() - started) / 1000)
      if (p.poisoned > before.poisoned) metrics.poisoned(p.poisoned - before.poisoned)
      this.#cycle.folded()
      await batch.heartbeat()
    }
  }

  async #partitionOf(batch: InBatch): Promise<Partition | undefined> {
    const known = this.partitions.get(batch.partition)
    if (known !== undefined) return known
    if (this.#stopping || Date.now() < (this.#blocked.get(batch.partition) ?? 0)) return undefined
    const { pool, owner, cluster, kafka, telemetry, log, topology, topics, settings = {} } = this.#o
    const { partition } = batch
    const persist: Persist = {
      log,
      givingUp: () => this.#stopping,
      onProblem: (text) => {
        this.#problem = text
      },
      alive: batch.heartbeat,
    }
    const taking = { stage: 'zones', partition, owner, cluster } as const
    const acquired = await persistently('taking a partition over', persist, () => acquire<PartitionState>(pool, taking))
    if (acquired.note !== '') log.warn({ partition }, acquired.note)
    const { low, high } = (await topicOffsets(kafka, telemetry)).find((o) => o.partition === partition) ?? { low: 0, high: 0 }
    const { epoch } = acquired
    const p = new Partition({ partition, epoch, topology, topics, settings, prefixes: this.#prefixes }, acquired, low)
    if (p.nextOffset < low) {
      log.error(
        { partition, saved: p.nextOffset, oldest: low },
        'the log no longer has the records after the checkpoint: they are lost to the folds',
      )
      p.nextOffset = low
    } else if (p.nextOffset > high) {
      log.warn({ partition, saved: p.nextOffset, newest: high }, 'the log is shorter than the checkpoint: it was made anew')
      p.nextOffset = low
    }
    log.info({ partition, epoch, offset: p.nextOffset, zones: p.zones.size }, 'partition taken over')
    this.partitions.set(partition, p)
    return p
  }

  /** True when the batch holds the next record; else fetching goes there. */
  #inPlace(p: Partition, batch: InBatch): boolean {
    const first = batch.records[0]?.offset ?? p.nextOffset
    const last = batch.records.at(-1)?.offset ?? p.nextOffset
    if (first <= p.nextOffset && last >= p.nextOffset) {
      p.seeks = 0
      return true
    }
    if (first > p.nextOffset && p.seeks >= SEEKS_MAX) {
      this.#o.log.error(
        { partition: p.partition, expected: p.nextOffset, found: first },
        'a hole in the log: its records are lost to the folds',
      )
      p.nextOffset = first
      p.seeks = 0
      return true
    }
    p.seeks += 1
    this.#consumer?.seek(batch.topic, p.partition, p.nextOffset)
    return false
  }
}

// The second stage and the incidents behind it: whoever is assigned the one partition of `summaries` folds what all zones said. Small volumes,
// so it is simple: fold a batch, send what came of it, now and then save.
import type { TicketIntent } from '#model/ticket.ts'
import {
  consume,
  type InBatch,
  type InRecord,
  type Kafka,
  type OutRecord,
  type RecordConsumer,
  type RecordProducer,
  topicOffsets,
} from '#runtime/kafka.ts'
import type { Log } from '#runtime/log.ts'
import type { Pool } from '#runtime/postgres.ts'
import { createNetworkFold, type NetworkFold, type NetworkState, type StageRecord } from '../network-fold.ts'
import { acquire, encodeState, LostPartition, lostAmong, save } from '../sinks/checkpoints.ts'
import type { OutTopics } from '../sinks/outputs.ts'
import { incidentFollower, type Topology } from '../topology.ts'
import { type Persist, persistently } from './persist.ts'

const CHECKPOINT_MS = 10_000
/** Fetches from the next offset that bring only later ones, before that is taken for a hole in the topic. */
const SEEKS_MAX = 3
/** The topic's only partition. */
const PARTITION = 0

export interface StageMetrics {
  findings(n: number): void
  tickets(n: number): void
  unreadable(n: number): void
  faults(part: string): void
}

export interface StageOptions {
  kafka: Kafka
  producer: RecordProducer
  pool: Pool
  log: Log
  metrics: StageMetrics
  cluster: string
  group: string
  topics: OutTopics
  topology: Topology
  /** Partitions of `telemetry`: all must have spoken before something is decided. */
  telemetryPartitions: number
  settings?: Record<string, unknown>
  owner: string
  checkpointMs?: number
  sessionTimeoutMs?: number
}

interface Held {
  epoch: number
  nextOffset: number
  fold: NetworkFold
  savedAtMs: number
  /** How often the consumer was sent to nextOffset since a record was there. */
  seeks: number
}

/** Keys that a stage record must have; a stranger's record on the topic must not stop the stage. */
function readRecord(r: InRecord): StageRecord | undefined {
  let value: Partial<StageRecord> | null
  try {
    value = JSON.parse(r.value.toString()) as Partial<StageRecord> | null
  } catch {
    return undefined
  }
  if (value?.type === 'watermark')
    return typeof value.partition === 'number' && typeof value.nowMs === 'number' ? (value as StageRecord) : undefined
  if (value?.type !== 'summary' && value?.type !== 'notice') return undefined
  return typeof value.zone === 'string' && typeof value.seq === 'number' && typeof value.atMs === 'number'
    ? (value as StageRecord)
    : undefined
}

export class StageRunner {
  readonly #o: StageOptions
  readonly #persist: Persist
  #held: Held | undefined
  #out: OutRecord[] = []
  #consumer: RecordConsumer | undefined
  #stopping = false
  #timer: NodeJS.Timeout | undefined
  /** The batch being folded or the checkpoint being saved: one at a time. */
  #busy: Promise<void> = Promise.resolve()
  problem = ''

  constructor(options: StageOptions) {
    this.#o = options
    this.#persist = {
      log: options.log,
      givingUp: () => this.#stopping,
      onProblem: (text) => {
        this.problem = text
      },
    }
  }

  /** Open findings of this stage, when it runs here. */
  openFindings(): number {
    return this.#held?.fold.openFindings() ?? 0
  }

  async start(): Promise<void> {
    const { kafka, group, topics, log, sessionTimeoutMs } = this.#o
    this.#consumer = await consume(kafka, {
      group,
      topics: [topics.summaries],
      log,
      from: 'beginning',
      commit: 'manual',
      onBatch: (batch) => this.#alone(() => this.#onBatch(batch)),
      onAssign: (assigned) => {
        if ((assigned.get(topics.summaries) ?? []).length === 0) this.#held = undefined
      },
      ...(sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs }),
    })
    // When nothing more comes, what was folded is saved all the same.
    this.#timer = setInterval(() => {
      this.#alone(() => this.#whileHeld((held) => this.#checkpointIfDue(held))).catch((error: Error) =>
        log.warn({ err: error }, 'checkpoint failed'),
      )
    }, this.#checkpointMs)
    this.#timer.unref()
  }

  get #checkpointMs(): number {
    return this.#o.checkpointMs ?? CHECKPOINT_MS
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearInterval(this.#timer)
    try {
      await this.#busy.catch(() => undefined)
      if (this.#held !== undefined && this.#out.length === 0) await this.#whileHeld((held) => this.#checkpoint(held))
    } finally {
      await this.#consumer?.stop()
    }
  }

  #alone(work: () => Promise<void>): Promise<void> {
    const turn = this.#busy.catch(() => undefined).then(work)
    this.#busy = turn
    return turn
  }

  /** Runs with what is held; lets go of it when it turns out that another process has taken over. */
  async #whileHeld(work: (held: Held) => Promise<void>): Promise<void> {
    const held = this.#held
    if (held === undefined) return
    try {
      await work(held)
    } catch (error) {
      if (!(error instanceof LostPartition)) throw error
      this.#o.log.warn({ epoch: held.epoch }, 'the second stage runs elsewhere now, letting go')
      this.#held = undefined
    }
  }

  async #onBatch(batch: InBatch): Promise<void> {
    if (this.#stopping) return
    this.#held ??= await this.#acquire(batch)
    const held = this.#held
    const first = batch.records[0]?.offset ?? held.nextOffset
    const last = batch.records.at(-1)?.offset ?? -1
    if (last < held.nextOffset || (first > held.nextOffset && held.seeks < SEEKS_MAX)) {
      held.seeks += 1
      this.#consumer?.seek(batch.topic, PARTITION, held.nextOffset)
      return
    }
    if (first > held.nextOffset) this.#o.log.error({ expected: held.nextOffset, found: first }, 'a hole in the topic of summaries')
    held.seeks = 0
    await this.#whileHeld(async () => {
      this.#fold(held, batch.records)
      await this.#send(held)
      await this.#checkpointIfDue(held)
    })
  }

  async #checkpointIfDue(held: Held): Promise<void> {
    if (held.fold.dirty && Date.now() - held.savedAtMs >= this.#checkpointMs) await this.#checkpoint(held)
  }

  #fold(held: Held, records: readonly InRecord[]): void {
    let unreadable = 0
    for (const r of records) {
      if (r.offset < held.nextOffset) continue
      const record = readRecord(r)
      if (record === undefined) unreadable += 1
      else held.fold.apply(record)
      held.nextOffset = r.offset + 1
    }
    if (unreadable > 0) {
      this.#o.metrics.unreadable(unreadable)
      this.#o.log.error({ unreadable }, 'records on the topic of summaries that are none')
    }
  }

  async #send(held: Held): Promise<void> {
    if (this.#out.length === 0) return
    const records = this.#out
    this.#out = []
    const mine = [{ partition: PARTITION, epoch: held.epoch }]
    const lost = await persistently('reading epochs', this.#persist, () => lostAmong(this.#o.pool, 'network', mine))
    if (lost.size > 0) throw new LostPartition('network', PARTITION)
    await persistently('writing to Kafka', this.#persist, () => this.#o.producer.send(records))
  }

  async #checkpoint(held: Held): Promise<void> {
    const { pool, cluster, log, topics } = this.#o
    held.fold.dirty = false
    const state = encodeState(held.fold.state)
    const { epoch, nextOffset } = held
    const checkpoint = {
      partition: PARTITION,
      epoch,
      cluster,
      nextOffset,
      clockMs: held.fold.state.nowMs,
      state,
      zones: [],
      ledger: [],
      days: [],
      ruleCounts: [],
      recalculations: [],
    }
    await persistently('saving a checkpoint', this.#persist, () => save(pool, 'network', checkpoint))
    held.savedAtMs = Date.now()
    const offsets = [{ topic: topics.summaries, partition: PARTITION, offset: nextOffset }]
    this.#consumer?.commit(offsets).catch((error: Error) => log.debug({ err: error }, 'offsets not committed'))
  }

  async #acquire(batch: InBatch): Promise<Held> {
    const { pool, owner, cluster, kafka, topics, log } = this.#o
    const taking = { stage: 'network', partition: PARTITION, owner, cluster } as const
    const persist = { ...this.#persist, alive: batch.heartbeat }
    const acquired = await persistently('taking the second stage over', persist, () => acquire<NetworkState>(pool, taking))
    if (acquired.note !== '') log.warn({}, acquired.note)
    const { low, high } = (await topicOffsets(kafka, topics.summaries))[0] ?? { low: 0, high: 0 }
    let nextOffset = acquired.nextOffset ?? low
    if (nextOffset < low || nextOffset > high) {
      log.error({ saved: nextOffset, oldest: low, newest: high }, 'the topic of summaries no longer has the records after the checkpoint')
      nextOffset = low
    }
    log.info({ epoch: acquired.epoch, offset: nextOffset }, 'second stage taken over')
    this.#out = []
    return { epoch: acquired.epoch, nextOffset, fold: this.#createFold(acquired.state), savedAtMs: Date.now(), seeks: 0 }
  }

  #createFold(restored: NetworkState | undefined): NetworkFold {
    const { topology, telemetryPartitions, settings = {}, topics, metrics, log } = this.#o
    return createNetworkFold({
      detectors: topology.networkDetectors,
      settings,
      partitions: telemetryPartitions,
      onFinding: (f) => {
        metrics.findings(1)
        this.#out.push({ topic: topics.findings, key: f.id, value: JSON.stringify(f) })
      },
      onFault: (part, error) => {
        metrics.faults(part)
        log.error({ err: error, part }, 'a detector of the second stage failed')
      },
      follower: incidentFollower(
        (t: TicketIntent) => {
          metrics.tickets(1)
          this.#out.push({ topic: topics.tickets, key: t.key, value: JSON.stringify(t) })
        },
        (d) => this.#out.push({ topic: topics.tickets, key: d.key, value: JSON.stringify(d) }),
      ),
      ...(restored === undefined ? {} : { restored }),
    })
  }
}

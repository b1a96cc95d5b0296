// The flush cycle of a process: what all its partitions have said goes to QuestDB, then to Kafka, and now and then their state to
// PostgreSQL. One cycle at a time; folding goes on meanwhile, as far as memory allows. Nothing is forgotten before it is stored.
import type { OutRecord, RecordProducer } from '#runtime/kafka.ts'
import type { Log } from '#runtime/log.ts'
import type { Pool } from '#runtime/postgres.ts'
import type { QuestDb } from '#runtime/questdb.ts'
import { LostPartition, lostAmong, save } from '../sinks/checkpoints.ts'
import type { PartitionOutputs } from '../sinks/outputs.ts'
import type { Partition, Snapshot } from './partition.ts'
import { type Persist, persistently } from './persist.ts'

/** A cycle begins when so many rows wait, or after so long. Few large flushes are what QuestDB likes. */
const FLUSH_ROWS = 50_000
const FLUSH_MS = 300
/** Folding waits while so much waits: about 60 MB. */
const PENDING_MAX = 200_000
/**
 * A checkpoint this often at least; more seldom when the states are large, so that saving (about 25 ms of CPU a megabyte, here and in
 * PostgreSQL) costs at most a twentieth of the time.
 */
const CHECKPOINT_MS = 10_000
const CHECKPOINT_MS_MAX = 120_000
const CHECKPOINT_MS_PER_MB = 500
/** Days wait for a checkpoint; with so many it comes at once. */
const DAYS_MAX = 20_000
const FAULTS_LOGGED_MAX = 5

export interface CycleMetrics {
  flushed(rows: number, seconds: number): void
  refusedRows(n: number): void
  checkpointed(bytes: number, seconds: number): void
  faults(part: string): void
}

export interface CycleOptions {
  questdb: QuestDb
  producer: RecordProducer
  pool: Pool
  log: Log
  metrics: CycleMetrics
  cluster: string
  partitions(): Iterable<Partition>
  /** The partition's epoch is no longer ours. */
  onLost(partition: Partition): void
  /** A defect, or a server away while stopping: the process must end, its successor goes on from the last checkpoint. */
  onBroken(error: unknown): void
  /** After a checkpoint: offsets for lag display. */
  onSaved(offsets: readonly { partition: number; offset: number }[]): void
  checkpointMs?: number
}

interface Share {
  partition: Partition
  out: PartitionOutputs
  snapshot: Snapshot | undefined
}

export class Cycle {
  readonly #o: CycleOptions
  #running: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #stopping = false
  /** A cycle gave up: its outputs are not stored, so no state after it may be saved. */
  #broken = false
  #checkpointWanted = false
  #checkpointAtMs = Date.now()
  #checkpointMs: number
  /** What went wrong last, '' when all is well. */
  problem = ''

  constructor(options: CycleOptions) {
    this.#o = options
    this.#checkpointMs = options.checkpointMs ?? CHECKPOINT_MS
  }

  start(): void {
    this.#timer = setInterval(() => this.kick(), FLUSH_MS)
  }

  get #pending(): number {
    let n = 0
    for (const p of this.#o.partitions()) n += p.pending
    return n
  }

  /** After folding: begins a cycle when much waits. */
  folded(): void {
    if (this.#pending >= FLUSH_ROWS) this.kick()
  }

  /** Resolves when folding may go on. `alive` is called about once a second meanwhile; its error goes to the caller. */
  async room(alive: () => Promise<void>): Promise<void> {
    while (this.#pending >= PENDING_MAX && !this.#stopping) {
      this.kick()
      await Promise.race([this.#running, new Promise((r) => setTimeout(r, 1_000))])
      await alive()
    }
  }

  /** A checkpoint with the next cycle. */
  checkpointSoon(): void {
    this.#checkpointWanted = true
    this.kick()
  }

  kick(): void {
    if (this.#running !== undefined || this.#stopping) return
    this.#running = this.#run(false)
      .catch((error) => {
        this.#broken = true
        this.#o.onBroken(error)
      })
      .finally(() => {
        this.#running = undefined
      })
  }

  /** The last cycle, checkpoint included. No folding may follow. @throws the error of a server that is away: what it should store comes again. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stopping = true
    await this.#running
    if (!this.#broken) await this.#run(true)
  }

  #checkpointDue(last: boolean): boolean {
    if (last || this.#checkpointWanted || Date.now() - this.#checkpointAtMs >= this.#checkpointMs) return true
    for (const p of this.#o.partitions()) if (p.days.length >= DAYS_MAX) return true
    return false
  }

  async #run(last: boolean): Promise<void> {
    const { partitions, log } = this.#o
    const checkpoint = this.#checkpointDue(last)
    const mine = [...partitions()].filter((p) => !p.lost && (p.hasNews || checkpoint))
    if (mine.length === 0) return
    if (checkpoint) {
      this.#checkpointWanted = false
      this.#checkpointAtMs = Date.now()
    }
    // One point of the log for outputs and state: no await between here and the end of this loop.
    const started = performance.now()
    const shares: Share[] = mine.map((partition) => {
      const out = partition.take(Date.now())
      return { partition, out, snapshot: checkpoint ? partition.snapshot() : undefined }
    })
    const persist: Persist = {
      log,
      givingUp: () => this.#stopping,
      onProblem: (text) => {
        this.problem = text
      },
    }
    for (const s of shares) this.#reportFaults(s)
    await this.#flush(shares, persist)
    if (checkpoint) await this.#save(shares, persist, performance.now() - started)
    for (const s of shares) s.partition.release(s.out)
  }

  #reportFaults({ out }: Share): void {
    for (const [i, f] of out.faults.entries()) {
      this.#o.metrics.faults(f.part)
      if (i < FAULTS_LOGGED_MAX)
        this.#o.log.error({ err: f.error, zone: f.zone, part: f.part }, 'a detector failed: what it would have said is missing')
    }
  }

  async #dropLost(shares: readonly Share[], persist: Persist): Promise<Share[]> {
    const held = shares.map(({ partition: { partition, epoch } }) => ({ partition, epoch }))
    const lost = await persistently('reading epochs', persist, () => lostAmong(this.#o.pool, 'zones', held))
    for (const { partition } of shares) {
      if (!lost.has(partition.partition) || partition.lost) continue
      partition.lost = true
      this.#o.onLost(partition)
    }
    return shares.filter((s) => !s.partition.lost)
  }

  async #flush(all: readonly Share[], persist: Persist): Promise<void> {
    const { questdb, producer, metrics } = this.#o
    const shares = await this.#dropLost(all, persist)
    const rows = shares.reduce((n, s) => n + s.out.rows.rows, 0)
    const started = performance.now()
    if (rows > 0) {
      // Table by table, so that QuestDB does not switch at every row.
      const tables = [0, 1, 2].flatMap((t) => shares.map((s) => s.out.rows.tables()[t] as ReturnType<typeof s.out.rows.tables>[number]))
      const { refused } = await persistently('writing to QuestDB', persist, () => questdb.write(tables))
      if (refused > 0) metrics.refusedRows(refused)
    }
    const records: OutRecord[] = shares.flatMap((s) => s.out.records)
    if (records.length > 0) await persistently('writing to Kafka', persist, () => producer.send(records))
    metrics.flushed(rows, (performance.now() - started) / 1000)
  }

  async #save(all: readonly Share[], persist: Persist, beforeMs: number): Promise<void> {
    const { pool, cluster, onSaved, onLost, metrics } = this.#o
    const started = performance.now()
    let bytes = 0
    const offsets: { partition: number; offset: number }[] = []
    for (const { partition, snapshot } of all) {
      if (partition.lost || snapshot === undefined) continue
      const { bytes: size, ...saved } = snapshot
      const checkpoint = { partition: partition.partition, epoch: partition.epoch, cluster, ...saved }
      try {
        await persistently('saving a checkpoint', persist, () => save(pool, 'zones', checkpoint))
      } catch (error) {
        if (!(error instanceof LostPartition)) throw error
        partition.lost = true
        onLost(partition)
        continue
      }
      partition.saved(snapshot)
      bytes += size
      offsets.push({ partition: partition.partition, offset: saved.nextOffset })
    }
    const atLeast = this.#o.checkpointMs ?? CHECKPOINT_MS
    this.#checkpointMs = Math.max(atLeast, Math.min((bytes / 1e6) * CHECKPOINT_MS_PER_MB, CHECKPOINT_MS_MAX))
    metrics.checkpointed(bytes, (beforeMs + performance.now() - started) / 1000)
    onSaved(offsets)
  }
}

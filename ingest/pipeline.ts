// The pipeline of ingest: messages in micro-batches → decoded → routed → one Kafka send → acknowledged to the broker, in order.
// One batch is on its way while the next one is made; a batch that Kafka does not take is sent again until it does, and meanwhile
// nothing is acknowledged, so the broker keeps the rest: every queue here is bounded by the window of unacknowledged messages.
import { setTimeout as sleep } from 'node:timers/promises'
import type { TickRecord } from '#model/telemetry.ts'
import type { Log } from '#runtime/log.ts'
import type { MqttMessage } from '#runtime/mqtt.ts'
import { Batch, type BatchRecord, type TopicNames } from './batch.ts'
import { advance, type LogClock } from './clock.ts'
import type { Decode, DecodedMessage } from './decode.ts'
import { CollectionHealth } from './health.ts'
import type { Lessons } from './lessons.ts'
import type { MessageLedger } from './message-ledger.ts'
import type { IngestMetrics, PipelineState } from './metrics.ts'
import { quarantineEntry } from './quarantine.ts'
import type { Registry } from './registry.ts'
import type { RegistryView } from './registry-view.ts'
import { type RouteSink, route } from './route.ts'

const BATCH_MESSAGES_MAX = 500
const BATCH_BYTES_MAX = 8 * 1024 * 1024
/** A batch waits this long for company. */
const BATCH_WAIT_MS = 5
/** A send longer than this is trouble: what happens meanwhile is not collected. */
const SLOW_SEND_MS = 5_000
const RETRY_MS = 1_000
const HEALTH_CHECK_MS = 1_000

export interface PipelineOptions {
  decode: Decode
  registry: Pick<Registry, 'view' | 'take' | 'due' | 'publishedOperations'>
  /** Resolves when Kafka has the records; rejects when it does not take them for now. */
  send(records: BatchRecord[]): Promise<void>
  acknowledge(messages: readonly MqttMessage[]): void
  /** Messages that later ones need are saved before they are acknowledged. */
  lessons: Pick<Lessons, 'learn' | 'saved'>
  /** Counts what the broker delivers; written before it is acknowledged. */
  messages: Pick<MessageLedger, 'count' | 'saved'>
  /** All connections are up and none has its window full. */
  collecting(): boolean
  clock: 'wall' | 'messages'
  /** Messages mode: where the log's clock stood when this instance last ran. */
  startMs?: number | undefined
  instance: string
  topics: TopicNames
  partitions: number
  metrics: IngestMetrics
  log: Log
}

/** Writes entries that come back from quarantine, routed by the registry as it is then. */
export type Release = (registry: RegistryView, sink: RouteSink) => void

interface Made {
  records: BatchRecord[]
  messages: readonly MqttMessage[]
  /** To be told when Kafka has it. */
  then: (() => void)[]
  clockMs: number | undefined
}

export class Pipeline {
  readonly #o: PipelineOptions
  readonly #clock: LogClock
  readonly #health: CollectionHealth
  /** Gateways that said they are offline. */
  readonly #offline = new Set<string>()
  /** What comes back from quarantine, by whoever waits until Kafka has it. */
  #releases: { write: Release; done: () => void }[] = []
  #placeMs = 0
  #place = 0
  #queue: MqttMessage[] = []
  #head = 0
  #wake: (() => void) | undefined
  #waited: NodeJS.Timeout | undefined
  #stopping = false
  #sending: Promise<void> | undefined
  #sendingSinceMs = 0
  #loop: Promise<void> | undefined
  #ticker: NodeJS.Timeout | undefined
  /** Log time that Kafka has acknowledged. */
  durableMs: number | undefined

  constructor(options: PipelineOptions) {
    this.#o = options
    this.#clock = { nowMs: options.clock === 'messages' ? options.startMs : undefined }
    this.#health = new CollectionHealth(Date.now())
  }

  start(): void {
    this.#loop = this.#run()
    this.#ticker = setInterval(() => {
      this.#checkHealth()
      if (this.#o.clock === 'wall') this.#signal()
    }, HEALTH_CHECK_MS)
  }

  /** Takes a message; its acknowledgement follows when Kafka has what came of it. */
  push(message: MqttMessage): void {
    this.#queue.push(message)
    if (this.#wake === undefined) return
    // Alone it waits a moment for others; many need not wait.
    if (this.#full()) this.#signal()
    else this.#waited ??= setTimeout(() => this.#signal(), BATCH_WAIT_MS)
  }

  /** The registry has a change: the log is told even when no message comes. */
  registryChanged(): void {
    this.#signal()
  }

  /** Resolves when Kafka has what was written, between two messages. The caller bounds how much that is, and how many wait. */
  release(write: Release): Promise<void> {
    return new Promise((done) => {
      this.#releases.push({ write, done })
      this.#signal()
    })
  }

  state(): PipelineState {
    const oldest = this.#queue[this.#head]
    return {
      queued: this.#queue.length - this.#head,
      queueAgeS: oldest === undefined ? 0 : (Date.now() - oldest.receivedAtMs) / 1000,
      logTimeMs: this.#clock.nowMs,
    }
  }

  /** Connections came or went, or Kafka is slow: ticks will say so. */
  #checkHealth(): void {
    const slow = this.#sending !== undefined && Date.now() - this.#sendingSinceMs > SLOW_SEND_MS
    if (slow || !this.#o.collecting()) this.#health.trouble(Date.now())
  }

  connectionChanged(): void {
    this.#health.trouble(Date.now())
  }

  /** Longest time since a send began, ms; 0 when none is under way. */
  sendingMs(): number {
    return this.#sending === undefined ? 0 : Date.now() - this.#sendingSinceMs
  }

  /** Finishes what was taken, if Kafka takes it in time. */
  async stop(msMax: number): Promise<void> {
    this.#stopping = true
    clearInterval(this.#ticker)
    this.#signal()
    await Promise.race([this.#loop, sleep(msMax, undefined, { ref: false })])
  }

  #signal(): void {
    clearTimeout(this.#waited)
    this.#waited = undefined
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  async #run(): Promise<void> {
    for (;;) {
      if (!this.#full() && !this.#stopping) await this.#woken()
      // Nothing can be sent before the last batch is through: better one large batch after it than a small one waiting.
      if (!this.#full()) await this.#sending
      const made = this.#make()
      await this.#sending
      if (made.records.length > 0 || made.messages.length > 0 || made.then.length > 0) this.#send(made)
      if (this.#stopping && this.#queue.length === this.#head) break
    }
    await this.#sending
  }

  #full(): boolean {
    return this.#queue.length - this.#head >= BATCH_MESSAGES_MAX
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      if (this.#queue.length > this.#head) this.#waited ??= setTimeout(() => this.#signal(), BATCH_WAIT_MS)
    })
  }

  #send(made: Made): void {
    this.#sendingSinceMs = Date.now()
    const booked = this.#o.messages.saved()
    this.#sending = this.#sendUntilTaken(made).then(async (taken) => {
      const saved = taken ? this.#o.lessons.saved() : undefined
      if (saved !== undefined) await saved
      if (taken && booked !== undefined) await booked
      this.#sending = undefined
      if (!taken) return
      this.#o.acknowledge(made.messages)
      if (made.clockMs !== undefined) this.durableMs = made.clockMs
      for (const then of made.then) then()
    })
  }

  async #sendUntilTaken({ records }: Made): Promise<boolean> {
    if (records.length === 0) return true
    const { send, metrics, log } = this.#o
    for (let attempt = 1; ; attempt++) {
      const began = performance.now()
      try {
        await send(records)
        metrics.sent((performance.now() - began) / 1000, records.length)
        if (attempt > 1) log.info({ attempt, records: records.length }, 'Kafka takes records again')
        return true
      } catch (error) {
        metrics.sendFailed()
        log.warn({ attempt, records: records.length, error: (error as Error).message }, 'Kafka does not take records, sending again')
        // Not acknowledged to the broker, so nothing is lost by leaving: it delivers these messages again.
        if (this.#stopping) return false
        await sleep(RETRY_MS)
      }
    }
  }

  /** The next micro-batch: what changed in the registry, then messages and ticks in order. */
  #make(): Made {
    const batch = new Batch(this.#o.topics, this.#o.partitions)
    const then: (() => void)[] = []
    const messages = this.#takeMessages()
    if (this.#o.clock === 'wall' && this.#clock.nowMs === undefined) this.#upTo(batch, then, Date.now())
    this.#registryChange(batch, then)
    for (const { write, done } of this.#releases.splice(0)) {
      write(this.#o.registry.view, batch)
      then.push(done)
    }
    for (const m of messages) this.#message(batch, then, m)
    const idle = this.#queue.length === this.#head
    if (this.#o.clock === 'wall' && idle) this.#upTo(batch, then, Date.now())
    this.#count(batch)
    return { records: batch.finish(), messages, then, clockMs: this.#clock.nowMs }
  }

  #takeMessages(): readonly MqttMessage[] {
    let bytes = 0
    let end = this.#head
    while (end < this.#queue.length && end - this.#head < BATCH_MESSAGES_MAX && bytes < BATCH_BYTES_MAX) {
      bytes += (this.#queue[end] as MqttMessage).payload.length
      end++
    }
    const messages = this.#queue.slice(this.#head, end)
    if (end === this.#queue.length) {
      this.#queue = []
      this.#head = 0
    } else this.#head = end
    return messages
  }

  #registryChange(batch: Batch, then: (() => void)[]): void {
    const change = this.#o.registry.take()
    if (change === undefined) return
    const receivedAtMs = this.#clock.nowMs ?? 0
    for (const def of change.defs) batch.control({ kind: 'zone', zone: def.zone, receivedAtMs, def })
    for (const { zone, settings } of change.settings) batch.control({ kind: 'settings', zone, receivedAtMs, settings })
    then.push(change.published)
  }

  #message(batch: Batch, then: (() => void)[], m: MqttMessage): void {
    const { decode, metrics, registry, clock, log } = this.#o
    const arrivedMs = clock === 'messages' ? (this.#clock.nowMs ?? m.receivedAtMs) : m.receivedAtMs
    const { topic, payload, retained, redelivered } = m
    const found = decode({ topic, payload, retained, receivedAtMs: arrivedMs })
    const receivedAtMs = clock === 'messages' ? this.#messageTime(found, arrivedMs) : arrivedMs
    this.#upTo(batch, then, receivedAtMs)
    const { decoded } = found
    metrics.message(found.format, decoded.disposition)
    if (decoded.gatewayOnline === false) this.#offline.add(found.gateway)
    else if (decoded.gatewayOnline === true) this.#offline.delete(found.gateway)
    if (decoded.learned !== undefined)
      this.#o.lessons.learn({ format: found.format, key: decoded.learned, topic, payload, receivedAtMs: arrivedMs })
    const { disposition, seq } = decoded
    this.#o.messages.count({
      gateway: registry.view.gateways.has(found.gateway) ? found.gateway : '',
      receivedAtMs,
      seq,
      redelivered,
      refused: disposition === 'quarantine' || disposition === 'reject',
    })
    if (receivedAtMs === this.#placeMs) this.#place += 1
    else {
      this.#placeMs = receivedAtMs
      this.#place = 0
    }
    const inbound = { topic, payload, retained, redelivered, receivedAtMs, place: this.#place, ...found }
    try {
      metrics.readings(route(inbound, registry.view, batch))
    } catch (error) {
      // A defect of ours; its message must not stop the others, and must not vanish.
      log.error({ topic, err: error }, 'message could not be routed, kept in quarantine')
      const why = { reason: 'malformed' as const, field: '', message: 'could not be routed', device: '', entries: 1, index: 0 }
      batch.quarantine(quarantineEntry({ ...inbound, seq: decoded.seq }, why))
    }
  }

  /** Messages mode: the time that the message carries, else the log's, else the newest that it knows. */
  #messageTime({ decoded }: DecodedMessage, arrivedMs: number): number {
    if (decoded.receivedAtMs !== undefined) return decoded.receivedAtMs
    if (this.#clock.nowMs !== undefined) return this.#clock.nowMs
    const times = [...decoded.readings, ...decoded.events].flatMap((e) => (e.tsMs === undefined ? [] : [e.tsMs]))
    return times.length === 0 ? arrivedMs : Math.max(...times)
  }

  /** Moves the log's clock: operations as they become known, and a tick for each ten seconds. */
  #upTo(batch: Batch, then: (() => void)[], toMs: number): void {
    const beforeMs = this.#clock.nowMs ?? 0
    for (const tickMs of advance(this.#clock, toMs)) {
      this.#operations(batch, then, tickMs, beforeMs)
      batch.tick(this.#tick(tickMs))
      this.#o.metrics.tick()
    }
    this.#operations(batch, then, toMs, beforeMs)
  }

  #operations(batch: Batch, then: (() => void)[], knownUntilMs: number, beforeMs: number): void {
    const { registry } = this.#o
    const due = registry.due(knownUntilMs)
    if (due.length === 0) return
    for (const { operation, zones } of due) {
      const receivedAtMs = Math.max(operation.knownAtMs, beforeMs)
      for (const zone of zones) batch.control({ kind: 'operation', zone, receivedAtMs, operation })
    }
    then.push(() => registry.publishedOperations(due.map((d) => d.id)))
  }

  #tick(nowMs: number): TickRecord {
    const { registry, instance, clock } = this.#o
    const known = registry.view.gateways
    let gatewaysOnline = known.size
    for (const id of this.#offline) if (known.has(id)) gatewaysOnline--
    // In a simulation the log's time is not ours: our troubles are no silence of its meters.
    return { kind: 'tick', nowMs, ingest: instance, brokerConnected: clock === 'messages' || this.#health.atTick(nowMs), gatewaysOnline }
  }

  #count(batch: Batch): void {
    const { metrics } = this.#o
    if (batch.events > 0) metrics.events(batch.events)
    for (const q of batch.quarantined) metrics.refusal(q.reason, q.entries)
  }
}

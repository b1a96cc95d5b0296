// MQTT consumers behind one file: a pool of connections whose messages are acknowledged by their receiver, late and many at once.
//
// MQTT.js hands over one packet at a time and sends PUBACK when its handler is done, so acknowledging after Kafka would mean one
// message in flight per connection. Here a QoS 1 PUBLISH is turned into QoS 0 for the library on `packetreceive`, which it emits
// before it handles the packet, and PUBACKs are written by us, in order of receipt, once the receiver says so. mqtt.int.test.ts holds
// the pinned library version to this. The broker should leave at most `receiveMaximum` messages unacknowledged per connection, but
// mosquitto 2.0 exceeds that when many are acknowledged at once: what bounds our memory is `bytesMax`, at which we stop reading.
import { Connection, type ConnectionOwner, KEEPALIVE_S, type Receipt } from './mqtt-connection.ts'

/** The part of a logger that is used here; pino's loggers fit. */
export interface MqttLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

export interface MqttMessage {
  readonly topic: string
  readonly payload: Buffer
  /** Sent by the broker because it was kept, not because it was published now. */
  readonly retained: boolean
  /** The broker marked it as sent before. */
  readonly redelivered: boolean
  readonly receivedAtMs: number
  /** Bookkeeping of the pool. */
  readonly receipt: Receipt
}

export interface MqttPoolOptions {
  url: string
  username?: string
  password?: string
  /** Fixed per instance; each connection adds its number. The broker keeps the session under this name. */
  clientId: string
  /** Topic filters as sent to the broker, with `$share/group/` in front when shared. */
  filters: readonly string[]
  connections: number
  /** Number of the first connection, 0 when left out. */
  firstNumber?: number
  qos: 0 | 1
  /** Unacknowledged messages per connection, at most. */
  receiveMaximum?: number
  /** Bytes handed over and not yet acknowledged, of the whole pool; beyond it no more are read from the network. */
  bytesMax?: number
  /** How long the broker keeps the session while we are away, seconds; 0: none is kept, and each connection begins anew. */
  sessionExpiryS: number
  keepaliveS?: number
  /** Takes the sessions over to end them: what the broker has queued is delivered, and the filters are unsubscribed. */
  retiring?: boolean
  /** A message to ourselves twice a minute proves that the broker still delivers; silent sessions are reconnected. */
  watchdog?: boolean
  watchdogIntervalMs?: number
  log: MqttLog
  onMessage(message: MqttMessage): void
  onConnection?(connected: boolean): void
  /** At each connection: whether the broker had kept the session. */
  onSession?(present: boolean): void
  /** Another process connected under our name: two of us must not go on. */
  onTakenOver?(): void
}

export interface MqttStats {
  /** Connected and subscribed. */
  connected: number
  connections: number
  unacknowledged: number
  bytes: number
  /** Reading is stopped because `bytesMax` is reached. */
  stalled: boolean
  received: number
  redelivered: number
  reconnects: number
  watchdogRestarts: number
}

export interface MqttPool {
  /** The receiver is done with these, also with those of other pools: in any order, each once. PUBACKs go out in order of receipt. */
  acknowledge(messages: readonly MqttMessage[]): void
  stats(): MqttStats
  /** Stops handing over messages; what was handed over may still be acknowledged. */
  pause(): void
  /** Breaks all connections and makes new ones: the broker sends again what was not acknowledged. */
  reconnect(reason: string): void
  /** Sends what was acknowledged, then disconnects; the broker keeps the sessions unless they are to be forgotten. */
  close(options?: { forget?: boolean }): Promise<void>
}

const BYTES_MAX = 24 * 1024 * 1024

/** Opens the pool; connections are made and kept in the background, whatever the broker does. */
export function createMqttPool(options: MqttPoolOptions): MqttPool {
  const pool = new Pool(options)
  const first = options.firstNumber ?? 0
  for (let i = first; i < first + options.connections; i++) pool.connections.push(new Connection(pool, `${options.clientId}-${i}`))
  return pool
}

class Pool implements MqttPool, ConnectionOwner {
  readonly options: MqttPoolOptions
  readonly connections: Connection[] = []
  readonly bytesMax: number
  bytes = 0
  received = 0
  redelivered = 0
  reconnects = 0
  watchdogRestarts = 0
  paused = false
  readonly #waiting: (() => void)[] = []
  readonly #pinger: NodeJS.Timeout

  constructor(options: MqttPoolOptions) {
    this.options = options
    this.bytesMax = options.bytesMax ?? BYTES_MAX
    this.#pinger = setInterval(() => this.#keepAlive(), ((options.keepaliveS ?? KEEPALIVE_S) * 1000) / 3)
  }

  get stalled(): boolean {
    return this.paused || this.bytes > this.bytesMax
  }

  /** Called by the library when a packet was handled: the next one is read when this calls back. */
  next(callback: () => void): void {
    if (this.stalled) this.#waiting.push(callback)
    else callback()
  }

  acknowledge(messages: readonly MqttMessage[]): void {
    const connections = new Set<Connection>()
    const pools = new Set<ConnectionOwner>()
    for (const { receipt } of messages) {
      if (receipt.done) continue
      receipt.done = true
      const { connection } = receipt
      connection.pool.bytes -= receipt.bytes
      pools.add(connection.pool)
      if (receipt.packetId !== undefined) connections.add(connection)
    }
    for (const connection of connections) connection.flush()
    for (const pool of pools) pool.resume()
  }

  resume(): void {
    if (this.stalled) return
    for (const callback of this.#waiting.splice(0)) callback()
  }

  /** While nothing is read, the library would miss its PINGRESPs and give up, and it would not send a PINGREQ on time. */
  #keepAlive(): void {
    if (!this.stalled) return
    for (const { client } of this.connections) {
      if (!client.connected) continue
      client.sendPing()
      client.reschedulePing(true)
    }
  }

  pause(): void {
    this.paused = true
  }

  reconnect(reason: string): void {
    for (const connection of this.connections) connection.restart(reason)
  }

  stats(): MqttStats {
    return {
      connected: this.connections.filter((c) => c.ready).length,
      connections: this.connections.length,
      unacknowledged: this.connections.reduce((n, c) => n + c.unacknowledged, 0),
      bytes: this.bytes,
      stalled: this.stalled,
      received: this.received,
      redelivered: this.redelivered,
      reconnects: this.reconnects,
      watchdogRestarts: this.watchdogRestarts,
    }
  }

  async close({ forget = false }: { forget?: boolean } = {}): Promise<void> {
    this.paused = true
    clearInterval(this.#pinger)
    await Promise.all(this.connections.map((c) => c.close(forget)))
  }
}

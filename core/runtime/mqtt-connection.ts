// One MQTT connection of a pool: its session, its subscription, its messages in order of receipt and the PUBACKs that are owed.
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import type { MqttPoolOptions } from './mqtt.ts'

/** The pool, as a connection needs it. */
export interface ConnectionOwner {
  readonly options: MqttPoolOptions
  /** Bytes handed over and not yet acknowledged. */
  bytes: number
  received: number
  redelivered: number
  reconnects: number
  watchdogRestarts: number
  /** Nothing is read for now. */
  readonly stalled: boolean
  /** Calls back when the next packet may be read. */
  next(callback: () => void): void
  /** Reads on, if it may. */
  resume(): void
}

export interface Receipt {
  connection: Connection
  /** The network connection it came by: a PUBACK must not go out on another. */
  stream: unknown
  /** undefined for QoS 0. */
  packetId: number | undefined
  bytes: number
  done: boolean
}

const RECEIVE_MAXIMUM = 250
/** What a message costs beside its payload. */
const MESSAGE_OVERHEAD = 512
export const KEEPALIVE_S = 30
const RECONNECT_MS = 1_000
const CONNECT_MS_MAX = 10_000
const RESUBSCRIBE_MS = 30_000
const WATCHDOG_INTERVAL_MS = 30_000
const CLOSE_MS_MAX = 2_000
const SESSION_TAKEN_OVER = 0x8e
const FIRST_REFUSAL_CODE = 0x80
/** mosquitto hangs up on the elder of two clients with one name and says nothing: connections that break at once, again and again. */
const BRIEF_MS = 5_000
const BRIEF_MAX = 4

export class Connection {
  readonly client: MqttClient
  ready = false
  readonly pool: ConnectionOwner
  readonly #clientId: string
  readonly #echoTopic: string
  #everConnected = false
  #readySinceMs = 0
  #brief = 0
  #closing = false
  /** Receipts of this stream in order, from #head on. */
  #unacked: Receipt[] = []
  #head = 0
  #resubscribe: NodeJS.Timeout | undefined
  #watchdog: NodeJS.Timeout | undefined
  /** 0: no echo is on its way. */
  #echoSentMs = 0
  #echoWorks = false
  #echoGivenUp = false

  constructor(pool: ConnectionOwner, clientId: string) {
    this.pool = pool
    this.#clientId = clientId
    this.#echoTopic = `meterstream/echo/${clientId}`
    this.client = mqtt.connect(pool.options.url, this.#clientOptions())
    // The library's own handling of a packet is then nothing but asking for the next one.
    this.client.handleMessage = (_packet, callback) => pool.next(callback)
    this.client.on('packetreceive', (packet) => {
      if (packet.cmd === 'publish') this.#publish(packet)
    })
    this.client.on('connect', ({ sessionPresent }) => this.#connected(sessionPresent))
    this.client.on('close', () => this.#closed())
    this.client.on('disconnect', ({ reasonCode }) => {
      if (reasonCode !== SESSION_TAKEN_OVER) return
      pool.options.log.error({ clientId }, 'another process connected under our name')
      pool.options.onTakenOver?.()
    })
    this.client.on('error', (error) => pool.options.log.warn({ clientId, error: error.message }, 'mqtt connection failed'))
    if (pool.options.watchdog === true) {
      this.#watchdog = setInterval(() => this.#watch(), pool.options.watchdogIntervalMs ?? WATCHDOG_INTERVAL_MS)
    }
  }

  get unacknowledged(): number {
    return this.#unacked.length - this.#head
  }

  #clientOptions(): IClientOptions {
    const o = this.pool.options
    return {
      protocolVersion: 5,
      clientId: this.#clientId,
      clean: o.sessionExpiryS === 0,
      ...(o.username === undefined || o.username === '' ? {} : { username: o.username, password: o.password ?? '' }),
      keepalive: o.keepaliveS ?? KEEPALIVE_S,
      reconnectPeriod: RECONNECT_MS,
      connectTimeout: CONNECT_MS_MAX,
      // We subscribe at each connection ourselves, so that changed filters take effect in a kept session.
      resubscribe: false,
      timerVariant: 'native',
      properties: { sessionExpiryInterval: o.sessionExpiryS, receiveMaximum: o.receiveMaximum ?? RECEIVE_MAXIMUM },
      // The library describes each packet to its log; unread text is costly at 10,000 packets a second.
      log: () => undefined,
    }
  }

  #publish(packet: mqtt.IPublishPacket): void {
    const { client } = this
    const receipt: Receipt = {
      connection: this,
      stream: client.stream,
      packetId: packet.qos === 0 ? undefined : packet.messageId,
      bytes: packet.payload.length + MESSAGE_OVERHEAD,
      done: false,
    }
    if (receipt.packetId !== undefined) this.#unacked.push(receipt)
    packet.qos = 0
    if (packet.topic === this.#echoTopic) {
      this.#echoSentMs = 0
      this.#echoWorks = true
      receipt.done = true
      this.flush()
      return
    }
    this.pool.bytes += receipt.bytes
    this.pool.received += 1
    if (packet.dup) this.pool.redelivered += 1
    this.pool.options.onMessage({
      topic: packet.topic,
      payload: packet.payload as Buffer,
      retained: packet.retain,
      redelivered: packet.dup,
      receivedAtMs: Date.now(),
      receipt,
    })
  }

  /** Writes the PUBACKs of the oldest messages that are done. */
  flush(): void {
    const first = this.#head
    const { stream } = this.client
    while (this.#head < this.#unacked.length && (this.#unacked[this.#head] as Receipt).done) this.#head++
    const count = this.#head - first
    if (count === 0) return
    const bytes = Buffer.allocUnsafe(count * 4)
    let at = 0
    for (let i = first; i < this.#head; i++) {
      const receipt = this.#unacked[i] as Receipt
      // What came by an earlier connection is sent again by the broker, and acknowledged then.
      if (receipt.stream !== stream) continue
      // PUBACK, remaining length 2: the reason code is left out when it is success (MQTT 5, section 3.4.2.1).
      at = bytes.writeUInt16BE(0x4002, at)
      at = bytes.writeUInt16BE(receipt.packetId as number, at)
    }
    if (at > 0 && stream.writable) stream.write(bytes.subarray(0, at))
    if (this.#head > 1_000 || this.#head === this.#unacked.length) {
      this.#unacked = this.#unacked.slice(this.#head)
      this.#head = 0
    }
  }

  #connected(sessionPresent: boolean): void {
    const { log, sessionExpiryS } = this.pool.options
    if (this.#everConnected) this.pool.reconnects += 1
    if (this.#everConnected && sessionExpiryS > 0 && !sessionPresent) {
      log.warn({ clientId: this.#clientId }, 'the broker no longer had our session: what it had queued for us is gone')
    }
    this.#everConnected = true
    this.pool.options.onSession?.(sessionPresent)
    if (this.pool.options.retiring === true) this.client.unsubscribe([...this.pool.options.filters], () => this.#isReady())
    else this.#subscribe()
  }

  #subscribe(): void {
    const { filters, qos, log } = this.pool.options
    const own = this.#watchdog === undefined || this.#echoGivenUp ? [] : [this.#echoTopic]
    const again = (problem: string) => {
      log.error({ clientId: this.#clientId, problem }, 'cannot subscribe')
      clearTimeout(this.#resubscribe)
      this.#resubscribe = setTimeout(() => this.client.connected && this.#subscribe(), RESUBSCRIBE_MS)
    }
    this.client.subscribe([...filters, ...own], { qos, rap: false, rh: 0 }, (error, asked = [], suback) => {
      if (this.#closing) return
      const codes = (suback?.granted ?? []) as number[]
      const refused = asked.filter((s, i) => (codes[i] ?? 0) >= FIRST_REFUSAL_CODE && s.topic !== this.#echoTopic).map((s) => s.topic)
      // Without a refusal an error means that the connection closed meanwhile; the next one subscribes.
      if (refused.length > 0) again(`the broker refuses ${refused.join(', ')}`)
      else if (error !== null && this.client.connected) again(error.message)
      // What is granted works; ingest is not to stand still for the rest.
      const works = codes.length > 0 && refused.length < filters.length
      if (works && !this.ready) this.#isReady()
    })
  }

  #isReady(): void {
    this.ready = true
    this.#readySinceMs = Date.now()
    this.pool.options.onConnection?.(true)
  }

  #closed(): void {
    // The broker sends these again; whatever is still being done with them is not ours to acknowledge any more.
    this.#unacked = []
    this.#head = 0
    this.#echoSentMs = 0
    clearTimeout(this.#resubscribe)
    if (!this.ready) return
    this.ready = false
    this.#brief = Date.now() - this.#readySinceMs < BRIEF_MS ? this.#brief + 1 : 0
    if (this.#brief === BRIEF_MAX) {
      const text = 'the connection keeps breaking right after it was made: is there another ingest of the same INGEST_INSTANCE?'
      this.pool.options.log.error({ clientId: this.#clientId }, text)
    }
    this.pool.options.onConnection?.(false)
  }

  /** A session can stop delivering while its connection lives; then our own echo does not come back either. */
  #watch(): void {
    const { log, watchdogIntervalMs = WATCHDOG_INTERVAL_MS } = this.pool.options
    // With messages in our hands the window may be full, and silence is our own doing.
    if (!this.ready || this.#echoGivenUp || this.pool.stalled) return
    if (this.#echoSentMs !== 0) {
      if (this.unacknowledged > 0 || Date.now() - this.#echoSentMs < watchdogIntervalMs / 2) return
      if (this.#echoWorks) {
        this.pool.watchdogRestarts += 1
        this.restart('the session stopped delivering')
      } else {
        this.#echoGivenUp = true
        log.warn(
          { clientId: this.#clientId, topic: this.#echoTopic },
          'the broker does not return our echo (no permission?): no watch over this session',
        )
      }
      return
    }
    this.#echoSentMs = Date.now()
    this.client.publish(this.#echoTopic, '', { qos: 1 }, (error) => {
      if (error) this.#echoSentMs = 0
    })
  }

  restart(reason: string): void {
    this.pool.options.log.warn({ clientId: this.#clientId, reason }, 'reconnecting')
    // Ends the network connection without DISCONNECT; the library connects again.
    this.client.stream.destroy()
  }

  async close(forget: boolean): Promise<void> {
    this.#closing = true
    clearInterval(this.#watchdog)
    clearTimeout(this.#resubscribe)
    const ended = this.client.endAsync(false, forget ? { properties: { sessionExpiryInterval: 0 } } : {})
    const late = new Promise<'late'>((resolve) => setTimeout(resolve, CLOSE_MS_MAX, 'late').unref())
    // With unread packets or an echo on its way an orderly end can take forever; what was acknowledged is written by now.
    if ((await Promise.race([ended, late])) === 'late') this.client.stream.destroy()
  }
}

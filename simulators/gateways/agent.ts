// An edge agent: takes readings and events of a concentrator, keeps them on disk, and forwards them over MQTT in order whenever there is
// a connection, for hours without one too. At least once: what may or may not have reached the broker is sent again under its number.
import mqtt, { type MqttClient } from 'mqtt'
import type { SpoolOptions } from './spool.ts'
import { Spool } from './spool.ts'

export interface AgentOptions {
  url: string
  username?: string
  password?: string
  gateway: string
  /** Folder of the spool; of this agent alone. */
  dir: string
  spool?: SpoolOptions
  /** Entries are sent at the latest after so long, and as soon as a message is full. */
  flushMs?: number
  entriesMax?: number
  /** Messages on their way and not acknowledged. */
  window?: number
  /** Longest wait between two tries to connect. */
  retryMsMax?: number
  onState?: (state: 'connected' | 'lost' | 'error', detail: string) => void
  now?: () => Date
}

/** One entry as the native format has it. */
export type AgentEntry =
  | {
      device: string
      quantity: string
      ts: string
      value: number
      flags?: string[]
      phase?: string
      tariff?: number
      channel?: string
      raw?: unknown
    }
  | { device: string; event: string; ts: string; detail?: Record<string, unknown> }

export interface Agent {
  /** Takes an entry. `kept` is called with the message's number when it is safe on disk. */
  put(entry: AgentEntry, kept?: (number: number) => void): void
  /** Writes what is still in memory. */
  flush(): void
  /** Entries in memory, not yet safe. */
  readonly pending: number
  /** Messages on disk that the broker has not acknowledged. */
  readonly waiting: number
  readonly forwarded: number
  /** Messages that a full disk allowance lost. */
  readonly dropped: number
  readonly connected: boolean
  /** Writes everything to disk and disconnects; what is not forwarded is at the next start. */
  close(): Promise<void>
}

const FLUSH_MS = 2_000
const ENTRIES_MAX = 500
const WINDOW = 100
const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 30_000
const SAVE_MS = 1_000
const CONNECT_MS_MAX = 10_000

export function startAgent(options: AgentOptions): Agent {
  return new EdgeAgent(options)
}

class EdgeAgent implements Agent {
  readonly #o: AgentOptions
  readonly #spool: Spool
  readonly #entriesMax: number
  #entries: { entry: AgentEntry; kept: ((number: number) => void) | undefined }[] = []
  #flushTimer: NodeJS.Timeout | undefined
  #client: MqttClient | undefined
  #connected = false
  #closing = false
  #retryMs = RETRY_MS_MIN
  #retryTimer: NodeJS.Timeout | undefined
  readonly #saveTimer: NodeJS.Timeout
  /** Numbers on their way over this connection, in order; true once acknowledged. */
  #flight: { number: number; done: boolean }[] = []
  #forwarded = 0

  constructor(options: AgentOptions) {
    this.#o = options
    this.#entriesMax = options.entriesMax ?? ENTRIES_MAX
    this.#spool = new Spool(options.dir, options.spool)
    this.#saveTimer = setInterval(() => this.#spool.save(), SAVE_MS)
    this.#connect()
  }

  get pending(): number {
    return this.#entries.length
  }
  get waiting(): number {
    return this.#spool.waiting
  }
  get forwarded(): number {
    return this.#forwarded
  }
  get dropped(): number {
    return this.#spool.dropped
  }
  get connected(): boolean {
    return this.#connected
  }

  put(entry: AgentEntry, kept?: (number: number) => void): void {
    this.#entries.push({ entry, kept })
    if (this.#entries.length >= this.#entriesMax) this.flush()
    else this.#flushTimer ??= setTimeout(() => this.flush(), this.#o.flushMs ?? FLUSH_MS)
  }

  flush(): void {
    clearTimeout(this.#flushTimer)
    this.#flushTimer = undefined
    const taken = this.#entries
    if (taken.length === 0) return
    this.#entries = []
    const sentAt = (this.#o.now ?? (() => new Date()))().toISOString()
    const readings = taken.map((t) => t.entry).filter((e) => 'quantity' in e)
    const events = taken.map((t) => t.entry).filter((e) => 'event' in e)
    const number = this.#spool.append([
      (seq) => Buffer.from(JSON.stringify({ seq, sentAt, readings, ...(events.length > 0 ? { events } : {}) })),
    ])
    for (const t of taken) t.kept?.(number)
    this.#forward()
  }

  /**
   * Each connection has a client of its own: the library keeps unacknowledged messages in memory and sends them again by itself, beside what
   * we read again from disk, and the two would mix.
   */
  #connect(): void {
    if (this.#closing) return
    const { url, gateway, username, password } = this.#o
    const topic = `telemetry/v1/${gateway}/status`
    const status = (online: boolean) => JSON.stringify({ online, ts: (this.#o.now ?? (() => new Date()))().toISOString() })
    const client = mqtt.connect(url, {
      protocolVersion: 5,
      clientId: `agent-${gateway}`,
      clean: true,
      keepalive: 30,
      reconnectPeriod: 0,
      connectTimeout: CONNECT_MS_MAX,
      ...(username ? { username, password: password ?? '' } : {}),
      // The broker stamps nothing: the time in a will is that of the connection's begin, its arrival is what counts.
      will: { topic, payload: Buffer.from(status(false)), qos: 1, retain: true },
      log: () => undefined,
    })
    this.#client = client
    client.on('connect', () => {
      if (client !== this.#client) return
      this.#connected = true
      this.#retryMs = RETRY_MS_MIN
      this.#flight = []
      this.#spool.rewind()
      this.#o.onState?.('connected', '')
      client.publish(topic, status(true), { qos: 1, retain: true })
      this.#forward()
    })
    client.on('error', (error) => this.#o.onState?.('error', error.message))
    client.on('close', () => this.#lost(client))
  }

  #lost(client: MqttClient): void {
    if (client !== this.#client) return
    this.#client = undefined
    client.end(true)
    if (this.#connected) this.#o.onState?.('lost', '')
    this.#connected = false
    this.#flight = []
    if (this.#closing) return
    this.#retryTimer = setTimeout(() => this.#connect(), this.#retryMs)
    this.#retryMs = Math.min(this.#o.retryMsMax ?? RETRY_MS_MAX, this.#retryMs * 2)
  }

  #forward(): void {
    const client = this.#client
    if (client === undefined || !this.#connected) return
    while (this.#flight.length < (this.#o.window ?? WINDOW)) {
      const entry = this.#spool.read()
      if (entry === undefined) return
      const flight = { number: entry.number, done: false }
      this.#flight.push(flight)
      client.publish(`telemetry/v1/${this.#o.gateway}/readings`, entry.payload, { qos: 1 }, (error) => {
        // An error means that this connection is gone or the message was refused; then the next connection sends it again.
        if (client !== this.#client) return
        if (error) {
          this.#o.onState?.('error', error.message)
          client.stream.destroy()
          return
        }
        flight.done = true
        this.#settle()
      })
    }
  }

  #settle(): void {
    while (this.#flight[0]?.done) {
      this.#spool.acknowledge((this.#flight.shift() as { number: number }).number)
      this.#forwarded++
    }
    this.#forward()
  }

  async close(): Promise<void> {
    this.#closing = true
    this.flush()
    clearTimeout(this.#retryTimer)
    clearInterval(this.#saveTimer)
    const client = this.#client
    this.#client = undefined
    const wasConnected = this.#connected
    this.#connected = false
    if (client !== undefined) {
      // An orderly goodbye sends no will: say ourselves that we are gone.
      if (wasConnected)
        client.publish(`telemetry/v1/${this.#o.gateway}/status`, JSON.stringify({ online: false, ts: new Date().toISOString() }), {
          qos: 0,
          retain: true,
        })
      await client.endAsync(!wasConnected)
    }
    this.#spool.close()
  }
}

// Publishes packets over one MQTT connection, QoS 1, in order, with a bounded number on the way. After a break the library sends the
// unacknowledged ones again, in order, before anything new.
import mqtt from 'mqtt'
import type { Packet } from './gateways/entry.ts'

export interface PublisherOptions {
  url: string
  username?: string
  password?: string
  clientId: string
  /** Packets sent and not yet acknowledged, at most. */
  window?: number
  /** Called with what happens to the connection. */
  onState?: (state: 'connected' | 'lost' | 'error', detail: string) => void
}

export interface Publisher {
  /** Resolves when the packet is on its way (there was room for it); `acknowledged` is called in order of sending. */
  send(packet: Packet, acknowledged?: () => void): Promise<void>
  /** Resolves when everything sent is acknowledged; false after `maxMs`. */
  drained(maxMs: number): Promise<boolean>
  readonly sent: number
  readonly acknowledged: number
  /** Packets that the broker refused (MQTT 5 reason codes from 128). */
  readonly refused: number
  close(): Promise<void>
}

const WINDOW = 400
const CONNECT_MS_MAX = 15_000

/** Connects; rejects when no connection is made in time. */
export async function connectPublisher(options: PublisherOptions): Promise<Publisher> {
  const client = await mqtt.connectAsync(
    options.url,
    {
      protocolVersion: 5,
      clientId: options.clientId,
      clean: true,
      keepalive: 30,
      reconnectPeriod: 1_000,
      connectTimeout: CONNECT_MS_MAX,
      ...(options.username ? { username: options.username, password: options.password ?? '' } : {}),
      // The library describes each packet to its log; unread text is costly at thousands of packets a second.
      log: () => undefined,
    },
    false,
  )
  client.on('connect', () => options.onState?.('connected', ''))
  client.on('close', () => {
    if (!client.disconnecting) options.onState?.('lost', '')
  })
  client.on('error', (error) => options.onState?.('error', error.message))
  return makePublisher(client, options.window ?? WINDOW)
}

interface Sent {
  done: boolean
  then: (() => void) | undefined
}

function makePublisher(client: mqtt.MqttClient, window: number): Publisher {
  const queue: Sent[] = []
  let waiting: (() => void)[] = []
  let sent = 0
  let acknowledged = 0
  let refused = 0
  const settle = (): void => {
    while (queue[0]?.done) {
      const first = queue.shift() as Sent
      acknowledged++
      first.then?.()
    }
    const all = waiting
    waiting = []
    for (const wake of all) wake()
  }
  const changed = (): Promise<void> => new Promise((resolve) => void waiting.push(resolve))
  return {
    async send(packet, then) {
      while (queue.length >= window) await changed()
      const entry: Sent = { done: false, then }
      queue.push(entry)
      sent++
      client.publish(packet.topic, packet.payload, { qos: 1, retain: packet.retain }, (error) => {
        // Refused by the broker (no permission, quota): counted, and it does not hold up those behind it.
        if (error) refused++
        entry.done = true
        settle()
      })
    },
    async drained(maxMs) {
      const until = Date.now() + maxMs
      while (queue.length > 0) {
        const left = until - Date.now()
        if (left <= 0) return false
        await Promise.race([changed(), new Promise((resolve) => setTimeout(resolve, Math.min(left, 250)))])
      }
      return true
    },
    get sent() {
      return sent
    },
    get acknowledged() {
      return acknowledged
    },
    get refused() {
      return refused
    },
    close: async () => {
      // What is still unacknowledged is known to the caller; waiting longer for a broker that is gone would only hold up the stop.
      await client.endAsync(queue.length > 0)
    },
  }
}

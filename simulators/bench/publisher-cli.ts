// The load: a process of its own that builds every packet before it begins, then writes them on plain sockets, QoS 1, with a window
// of unacknowledged messages per connection. It costs little, so that the system under test has the machine.
// Started by fork: { ...PublisherOptions } as argument, `ready` and `done` to the parent, `go` from it.
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FleetOptions, fleetMessages, type Totals } from './fleet.ts'

export interface PublisherOptions {
  fleet: FleetOptions
  /** Of the broker, with user and password. */
  url: string
  connections: number
  /** Unacknowledged messages per connection. */
  window: number
  /** Messages of the warm-up, which `go` releases first. */
  warmupMessages: number
  /** Readings a second; 0: as fast as they are taken. */
  rate: number
}

export type ToParent =
  | { type: 'ready'; warmup: Totals; all: Totals; bytes: number }
  | { type: 'done'; phase: 'warmup' | 'measured'; ms: number; startedAt: number }

/** MQTT 3.1.1 PUBLISH, QoS 1; the packet id is filled in when it is sent. */
interface Packet {
  bytes: Buffer
  idAt: number
  readings: number
}

function publishPacket(topic: string, payload: Buffer, readings: number): Packet {
  const topicBytes = Buffer.from(topic)
  const remaining = 2 + topicBytes.length + 2 + payload.length
  const head: number[] = [0x32]
  for (let n = remaining; ; ) {
    head.push(n < 128 ? n : (n % 128) | 0x80)
    n = Math.floor(n / 128)
    if (n === 0) break
  }
  const bytes = Buffer.concat([
    Buffer.from(head),
    Buffer.from([topicBytes.length >> 8, topicBytes.length & 255]),
    topicBytes,
    Buffer.alloc(2),
    payload,
  ])
  return { bytes, idAt: head.length + 2 + topicBytes.length, readings }
}

/** A CONNECT of MQTT 3.1.1 with user and password. */
function connectPacket(clientId: string, { username, password }: URL): Buffer {
  const fields = [clientId, decodeURIComponent(username), decodeURIComponent(password)].map((text) => Buffer.from(text))
  const body = Buffer.concat([
    Buffer.from('00044d51545404c20000', 'hex'),
    ...fields.flatMap((f) => [Buffer.from([f.length >> 8, f.length & 255]), f]),
  ])
  return Buffer.concat([Buffer.from([0x10, body.length]), body])
}

/** One connection with its queue. Packets of a gateway stay on one connection, so their order is kept. */
class Line {
  readonly #socket: Socket
  readonly #window: number
  #packets: Packet[] = []
  #next = 0
  #inFlight = 0
  #id = 0
  #rest: Buffer = Buffer.alloc(0)
  #allowed = Number.POSITIVE_INFINITY
  #done: (() => void) | undefined

  private constructor(socket: Socket, window: number) {
    this.#socket = socket
    this.#window = window
    socket.on('data', (data) => this.#read(data))
  }

  static open(url: URL, clientId: string, window: number): Promise<Line> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port: Number(url.port), host: url.hostname, noDelay: true })
      socket.once('error', reject)
      socket.once('data', (data) => {
        if (data[0] !== 0x20 || data[3] !== 0) reject(new Error(`no CONNACK: ${data.toString('hex')}`))
        socket.removeListener('error', reject)
        socket.on('close', () => fail('the broker closed a connection'))
        resolve(new Line(socket, window))
      })
      socket.write(connectPacket(clientId, url))
    })
  }

  /** Sends all of them; resolves when the broker has acknowledged the last. */
  send(packets: Packet[], allowed: number): Promise<void> {
    this.#packets = packets
    this.#next = 0
    this.#allowed = allowed
    return new Promise((resolve) => {
      this.#done = resolve
      this.#fill()
    })
  }

  /** Lets so many more packets go. */
  allow(count: number): void {
    this.#allowed += count
    this.#fill()
  }

  #fill(): void {
    if (this.#next >= this.#packets.length && this.#inFlight === 0) {
      const done = this.#done
      this.#done = undefined
      done?.()
      return
    }
    this.#socket.cork()
    while (this.#inFlight < this.#window && this.#next < this.#packets.length && this.#allowed > 0) {
      const { bytes, idAt } = this.#packets[this.#next++] as Packet
      this.#id = (this.#id % 65_535) + 1
      bytes.writeUInt16BE(this.#id, idAt)
      this.#socket.write(bytes)
      this.#inFlight += 1
      this.#allowed -= 1
    }
    this.#socket.uncork()
  }

  #read(data: Buffer): void {
    const bytes = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data])
    let at = 0
    // Only PUBACKs come: 4 bytes each.
    while (bytes.length - at >= 4) {
      if (bytes[at] !== 0x40) fail(`unexpected packet ${bytes[at]}`)
      this.#inFlight -= 1
      at += 4
    }
    this.#rest = bytes.subarray(at)
    this.#fill()
  }
}

function fail(text: string): never {
  process.stderr.write(`publisher: ${text}\n`)
  process.exit(1)
}

async function main(): Promise<void> {
  const o = JSON.parse(process.argv[2] ?? '') as PublisherOptions
  const totals: Totals = { readings: 0, messages: 0, sumThousandths: 0 }
  const warmup: Totals = { ...totals }
  const phases: Packet[][][] = [0, 1].map(() => Array.from({ length: o.connections }, () => []))
  let bytes = 0
  let count = 0
  for (const m of fleetMessages(o.fleet, totals)) {
    const packet = publishPacket(m.topic, m.payload, m.readings)
    bytes += packet.bytes.length
    ;(phases[count < o.warmupMessages ? 0 : 1] as Packet[][])[m.gateway % o.connections]?.push(packet)
    count += 1
    if (count > o.warmupMessages) continue
    // The totals are ahead of the messages: readings wait for their message to be full.
    warmup.readings += m.readings
    warmup.messages += 1
  }
  const lines = await Promise.all(
    Array.from({ length: o.connections }, (_, i) => Line.open(new URL(o.url), `bench-${process.pid}-${i}`, o.window)),
  )
  const tell = (message: ToParent) => process.send?.(message)
  const names = ['warmup', 'measured'] as const
  let phase = 0
  process.on('message', () => {
    const name = names[phase] as 'warmup' | 'measured'
    const packets = phases[phase++] as Packet[][]
    const startedAt = Date.now()
    const began = performance.now()
    const paced = o.rate > 0 && name === 'measured'
    const sent = Promise.all(lines.map((line, i) => line.send(packets[i] as Packet[], paced ? 0 : Number.POSITIVE_INFINITY)))
    if (paced) void pace(lines, packets, o, sent)
    void sent.then(() => tell({ type: 'done', phase: name, ms: performance.now() - began, startedAt }))
  })
  process.on('disconnect', () => process.exit(0))
  tell({ type: 'ready', warmup, all: totals, bytes })
}

/** Releases packets evenly, every 20 ms, on each connection in proportion to what it has. */
async function pace(lines: readonly Line[], packets: readonly Packet[][], o: PublisherOptions, sent: Promise<unknown>): Promise<void> {
  let going = true
  void sent.then(() => {
    going = false
  })
  const all = packets.reduce((n, p) => n + p.length, 0)
  const seconds = all / (o.rate / o.fleet.perMessage)
  const released = lines.map(() => 0)
  const began = performance.now()
  while (going) {
    const share = Math.min(1, (performance.now() - began) / 1000 / seconds)
    for (const [i, line] of lines.entries()) {
      const due = Math.floor((packets[i] as Packet[]).length * share)
      if (due > (released[i] as number)) line.allow(due - (released[i] as number))
      released[i] = due
    }
    await sleep(20)
  }
}

await main()

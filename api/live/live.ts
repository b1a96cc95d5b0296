// The live stream: keeps the picture, turns news into numbered events, and hands them to every client. One event is serialised once.
// A client that does not read is dropped with a word, so that it can never fill our memory.
import type { AlarmLoad, AlarmView } from '#model/alarm.ts'
import type { TicketView } from '#model/desk.ts'
import type { Finding } from '#model/finding.ts'
import type { LiveRecord } from '#model/live.ts'
import type { CrewView, LiveBye, LiveEventName, LiveEvents, LiveSnapshot, LiveStatus, LiveValue, PartHealth } from '#model/live-events.ts'
import {
  createPicture,
  listedAlarms,
  listedFindings,
  listedTickets,
  newlyStale,
  openCounts,
  type Picture,
  speedOf,
  statusOf,
  takeAlarm,
  takeCrew,
  takeFinding,
  takeRecord,
  takeTicket,
  takeValue,
} from './picture.ts'
import { createRing, type Ring } from './ring.ts'

/** Where a client's events go. */
export interface LiveClient {
  /** Bytes not yet taken by the network. */
  pending(): number
  write(text: string): void
  end(): void
}

export interface Live {
  /** The log's clock, 0 before the first record. */
  nowMs(): number
  status(): LiveStatus
  crews(): CrewView[]
  /** Open findings by kind, open tickets by class. */
  open(): { findings: Map<string, number>; tickets: Map<string, number> }
  takeRecord(r: LiveRecord, wallMs: number): void
  takeValues(values: readonly LiveValue[]): void
  takeFinding(f: Finding): void
  takeTicket(t: TicketView): void
  takeAlarm(a: AlarmView): void
  setLoad(load: AlarmLoad): void
  takeCrew(c: Omit<CrewView, 'stale' | 'skills'>): void
  setSkills(skills: ReadonlyMap<string, CrewView['skills']>): void
  setParts(parts: PartHealth[]): void
  /** When records of the log last came, wall clock; 0 when never. */
  heardMs(): number
  /** All findings, tickets and alarms anew, at the start and when news may have been missed: every client gets a new snapshot. */
  replaceDesk(findings: readonly Finding[], tickets: readonly TicketView[], alarms: readonly AlarmView[]): void
  /** `lastEventId`: what the client saw last. Returns what to call when it is gone. The caller has looked at `clientsMax`. */
  connect(client: LiveClient, lastEventId: string | undefined): () => void
  clients(): number
  readonly clientsMax: number
  /** Ends one client's stream and says why. */
  dismiss(client: LiveClient, reason: LiveBye['reason']): void
  /** Says goodbye to all and stops the timers. */
  close(): void
}

export interface LiveOptions {
  clientsMax: number
  /** Random name of this process' stream: an id of another one never resumes here. */
  instance: string
  /** The wall clock, for pace and health only. */
  wallMs: () => number
  flushMs?: number
  clockMs?: number
  onDropped?: (reason: LiveBye['reason']) => void
}

/** Bytes that a client may be behind: about a snapshot of a large utility and a minute of changes. */
const PENDING_BYTES_MAX = 16 * 1024 * 1024
const RING_COUNT = 5_000
const RING_BYTES = 32 * 1024 * 1024
/** Values of one event; a burst of news is several events. */
const VALUES_PER_EVENT = 5_000

export function createLive(options: LiveOptions): Live {
  return new LiveStream(options)
}

class LiveStream implements Live {
  readonly #options: LiveOptions
  readonly #picture: Picture = createPicture()
  readonly #clients = new Set<LiveClient>()
  readonly #timers: NodeJS.Timeout[]
  #ring: Ring = createRing(RING_COUNT, RING_BYTES)
  #epoch = 1
  #news = new Map<string, LiveValue>()
  #parts: PartHealth[] = []
  #skills: ReadonlyMap<string, CrewView['skills']> = new Map()
  #heardMs = 0

  constructor(options: LiveOptions) {
    this.#options = options
    this.#timers = [setInterval(() => this.#flush(), options.flushMs ?? 250), setInterval(() => this.#beat(), options.clockMs ?? 2000)]
    for (const t of this.#timers) t.unref()
  }

  nowMs = () => this.#picture.nowMs
  heardMs = () => this.#heardMs
  clients = () => this.#clients.size
  get clientsMax() {
    return this.#options.clientsMax
  }
  status = () => statusOf(this.#picture, this.#parts, this.#options.wallMs())
  open = () => openCounts(this.#picture)
  crews = () => [...this.#picture.crews.values()]
  setParts(parts: PartHealth[]) {
    this.#parts = parts
  }
  setSkills(skills: ReadonlyMap<string, CrewView['skills']>) {
    this.#skills = skills
  }

  takeRecord(r: LiveRecord, wallMs: number) {
    this.#heardMs = Math.max(this.#heardMs, wallMs)
    for (const v of takeRecord(this.#picture, r, wallMs)) this.#news.set(`${v[0]}\u0000${v[1]}\u0000${v[2]}`, v)
  }
  takeValues(values: readonly LiveValue[]) {
    for (const v of values) {
      if (takeValue(this.#picture, v)) this.#news.set(`${v[0]}\u0000${v[1]}\u0000${v[2]}`, v)
    }
  }
  takeFinding(f: Finding) {
    if (takeFinding(this.#picture, f)) this.#send('finding', f)
  }
  takeTicket(t: TicketView) {
    if (takeTicket(this.#picture, t)) this.#send('ticket', t)
  }
  takeAlarm(a: AlarmView) {
    if (takeAlarm(this.#picture, a)) this.#send('alarm', a)
  }
  setLoad(load: AlarmLoad) {
    this.#picture.load = load
  }
  takeCrew(c: Omit<CrewView, 'stale' | 'skills'>) {
    const view = takeCrew(this.#picture, c, this.#skills.get(c.crew) ?? [])
    if (view !== undefined) this.#send('crew', view)
  }

  replaceDesk(findings: readonly Finding[], tickets: readonly TicketView[], alarms: readonly AlarmView[]) {
    this.#picture.findings.clear()
    this.#picture.tickets.clear()
    this.#picture.alarms.clear()
    for (const f of findings) takeFinding(this.#picture, f)
    for (const t of tickets) takeTicket(this.#picture, t)
    for (const a of alarms) takeAlarm(this.#picture, a)
    // Ids of the old epoch resume nothing: what was missed is in no ring.
    this.#epoch += 1
    this.#ring = createRing(RING_COUNT, RING_BYTES)
    this.#sendAll(this.#snapshotText())
  }

  connect(client: LiveClient, lastEventId: string | undefined) {
    this.#flush()
    const missed = lastEventId === undefined ? undefined : this.#missedSince(lastEventId)
    client.write('retry: 2000\n\n')
    if (missed === undefined) client.write(this.#snapshotText())
    else {
      for (const e of missed) client.write(e.text)
      client.write(this.#clockText())
    }
    this.#clients.add(client)
    return () => void this.#clients.delete(client)
  }

  close() {
    for (const t of this.#timers) clearInterval(t)
    for (const client of this.#clients) this.dismiss(client, 'shutting_down')
  }

  #missedSince(id: string) {
    const m = /^([\w]+)-(\d+)-(\d+)$/.exec(id)
    if (m === null || m[1] !== this.#options.instance || Number(m[2]) !== this.#epoch) return undefined
    return this.#ring.after(Number(m[3]))
  }

  #id(seq: number): string {
    return `${this.#options.instance}-${this.#epoch}-${seq}`
  }

  #text<K extends LiveEventName>(name: K, data: LiveEvents[K], seq: number): string {
    return `event: ${name}\nid: ${this.#id(seq)}\ndata: ${JSON.stringify(data)}\n\n`
  }

  #snapshotText(): string {
    const p = this.#picture
    const snapshot: LiveSnapshot = {
      nowMs: p.nowMs,
      values: [...p.values.values()],
      findings: listedFindings(p),
      tickets: listedTickets(p),
      crews: [...p.crews.values()],
      alarms: listedAlarms(p),
      status: this.status(),
    }
    return this.#text('snapshot', snapshot, this.#ring.lastSeq)
  }

  #clockText(): string {
    return this.#text('clock', { nowMs: this.#picture.nowMs, speed: speedOf(this.#picture, this.#options.wallMs()) }, this.#ring.lastSeq)
  }

  #send<K extends LiveEventName>(name: K, data: LiveEvents[K]): void {
    // News of values came before this event: the page must not show the finding before the pressure that it is about.
    if (name !== 'values') this.#flush()
    this.#sendAll(this.#ring.push((seq) => this.#text(name, data, seq)).text)
  }

  #sendAll(text: string): void {
    for (const client of this.#clients) {
      if (client.pending() > PENDING_BYTES_MAX) this.dismiss(client, 'too_slow')
      else client.write(text)
    }
  }

  dismiss(client: LiveClient, reason: LiveBye['reason']): void {
    this.#clients.delete(client)
    this.#options.onDropped?.(reason)
    client.write(this.#text('bye', { reason }, this.#ring.lastSeq))
    client.end()
  }

  #flush(): void {
    if (this.#news.size === 0) return
    const news = [...this.#news.values()]
    this.#news = new Map()
    const { nowMs } = this.#picture
    for (let i = 0; i < news.length; i += VALUES_PER_EVENT) this.#send('values', { nowMs, values: news.slice(i, i + VALUES_PER_EVENT) })
  }

  #beat(): void {
    for (const crew of newlyStale(this.#picture)) this.#send('crew', crew)
    this.#send('status', this.status())
    this.#sendAll(this.#clockText())
  }
}

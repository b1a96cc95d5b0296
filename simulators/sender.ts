// Steps the world and sends what it says: the history as fast as ingest takes it, then live. Keeps the position on disk.
import { toIso } from '#model/time.ts'
import { type Message, toPacket } from './gateways/entry.ts'
import { livePace } from './pace.ts'
import { freeze, type Position, savePosition, saveState, takeRequests } from './position.ts'
import type { Publisher } from './publisher.ts'
import type { Effect } from './scenarios/effect.ts'
import { planScenario } from './scenarios/sequence.ts'
import { STEP_MS, type World, type WorldState } from './world.ts'

export interface SenderOptions {
  world: World
  state: WorldState
  publisher: Publisher
  /** Folder for snapshot and position. */
  dir: string
  startMs: number
  /** End of the history. */
  liveMs: number
  factor: number
  sequence: boolean
  /** What an earlier run has sent and got acknowledged. */
  resumeAfter: Position | undefined
  /** Waits while ingest is too far behind; only asked during the history. */
  throttle: (sentMessages: number) => Promise<void>
  /** Effects begin: for the journal. */
  onEffects: (effects: readonly Effect[], atMs: number) => void
  onProgress: (progress: Progress) => void
  /** Stop when this instant is reached; Infinity: never. */
  untilMs: number
  stopping: () => boolean
  /** Real time, ms; Date.now but for tests. */
  clock: () => number
  sleep: (ms: number) => Promise<void>
}

export interface Progress {
  simMs: number
  live: boolean
  /** Share of the history that is sent, 0 to 1. */
  share: number
  messages: number
  readings: number
  events: number
}

const SNAPSHOT_EVERY_MS = 8_000
const POSITION_EVERY_MS = 250
/** Simulated and real time between two clock messages when nothing else is sent. */
const CLOCK_SIM_MS = 10_000
const CLOCK_REAL_MS = 500

/** Runs until `stopping` or `untilMs`. Resolves with the totals of this run. */
export async function runSender(o: SenderOptions): Promise<Progress> {
  const run = new Run(o)
  while (!o.stopping() && o.state.nextMs < o.untilMs) await run.step()
  await o.publisher.drained(5_000)
  run.save(true)
  return run.progress()
}

class Run {
  readonly #o: SenderOptions
  #messages = 0
  #readings = 0
  #events = 0
  #position: Position | undefined
  #dirty = false
  #savedPositionMs = 0
  #frozenMs = 0
  /** A snapshot and how many of this run's messages must be acknowledged before it may replace the one on disk. */
  #frozen: { bytes: Buffer; after: number } | undefined
  #pace: ReturnType<typeof livePace> | undefined
  #lastAtMs: number
  #clockSentMs = 0

  constructor(o: SenderOptions) {
    this.#o = o
    this.#position = o.resumeAfter
    this.#lastAtMs = o.resumeAfter?.atMs ?? 0
  }

  progress(): Progress {
    const { liveMs, startMs, state } = this.#o
    return {
      simMs: Math.max(this.#lastAtMs, startMs),
      live: state.nextMs > liveMs,
      share: Math.min(1, (state.nextMs - startMs) / (liveMs - startMs)),
      messages: this.#messages,
      readings: this.#readings,
      events: this.#events,
    }
  }

  /** One step of five simulated minutes: simulate, then send its messages one after the other. */
  async step(): Promise<void> {
    const { world, state, liveMs, factor, resumeAfter } = this.#o
    const stepMs = state.nextMs
    const repeated = resumeAfter !== undefined && stepMs < resumeAfter.stepMs
    if (!repeated) this.#takeRequests(stepMs)
    this.#freeze(stepMs >= liveMs)
    const before = state.effects.filter((e) => e.startMs >= stepMs && e.startMs < stepMs + STEP_MS)
    const out = world.step(state, { liveMs, factor, sequence: this.#o.sequence })
    if (repeated) return
    const beginning = [...before, ...out.added.filter((e) => e.startMs < stepMs + STEP_MS)]
    if (beginning.length > 0) this.#o.onEffects(beginning, stepMs)
    for (const [index, m] of out.messages.entries()) {
      if (resumeAfter !== undefined && stepMs === resumeAfter.stepMs && index <= resumeAfter.index) continue
      if (stepMs >= liveMs) await this.#waitFor(m.atMs)
      else if (this.#messages % 200 === 0) await this.#o.throttle(this.#messages)
      if (this.#o.stopping()) return
      await this.#send(m, { stepMs, index, atMs: m.atMs })
    }
  }

  async #send(m: Message, position: Position): Promise<void> {
    if (m.atMs < this.#lastAtMs) throw new Error(`time went back: ${toIso(m.atMs)} after ${toIso(this.#lastAtMs)}`)
    this.#lastAtMs = m.atMs
    this.#messages++
    if (m.kind === 'readings') {
      this.#readings += m.readings.length
      this.#events += m.events.length
    }
    await this.#o.publisher.send(toPacket(m), () => {
      this.#position = position
      this.#dirty = true
      this.save(false)
    })
    this.#o.onProgress(this.progress())
  }

  /** Waits until a simulated instant; sends the time now and then while nothing else comes. */
  async #waitFor(simMs: number): Promise<void> {
    const { clock, sleep, factor, world, stopping } = this.#o
    this.#pace ??= livePace(simMs, factor, clock)
    for (;;) {
      const wait = this.#pace.waitFor(simMs)
      if (wait <= 1 || stopping()) return
      const untilClock =
        Math.max(this.#lastAtMs + CLOCK_SIM_MS - this.#pace.now(), (this.#clockSentMs + CLOCK_REAL_MS - clock()) * factor) / factor
      await sleep(Math.min(wait, Math.max(untilClock, 20), 1_000))
      const now = Math.floor(this.#pace.now() / 1000) * 1000
      if (now < this.#lastAtMs + CLOCK_SIM_MS || now >= simMs || clock() < this.#clockSentMs + CLOCK_REAL_MS) continue
      this.#clockSentMs = clock()
      this.#lastAtMs = now
      await this.#o.publisher.send(toPacket({ kind: 'clock', atMs: now, gateway: world.town.gateways[0]?.id as string }))
      this.#o.onProgress(this.progress())
    }
  }

  /** Scenarios that somebody asked for while we run begin at once. */
  #takeRequests(stepMs: number): void {
    const { dir, world, state } = this.#o
    for (const name of takeRequests(dir)) {
      const found = planScenario(world.town, name, 10_000 + Math.floor(stepMs / STEP_MS), stepMs + 20_000, state.effects)
      state.effects.push(...found)
      // Nothing but the snapshot knows of it.
      if (found.length > 0) this.#frozenMs = 0
    }
  }

  #freeze(live: boolean): void {
    const now = this.#o.clock()
    if (this.#frozen !== undefined || (now - this.#frozenMs < SNAPSHOT_EVERY_MS && !live)) return
    this.#frozenMs = now
    this.#frozen = { bytes: freeze(this.#o.state), after: this.#o.publisher.sent }
  }

  /** Writes what may be written: the position (at most four times a second), the snapshot once all before it is acknowledged. */
  save(force: boolean): void {
    const { dir, publisher, clock, state, startMs } = this.#o
    const now = clock()
    if (this.#position === undefined || (!force && now - this.#savedPositionMs < POSITION_EVERY_MS)) return
    if (this.#dirty || force) savePosition(dir, this.#position, { seed: state.seed, startMs })
    this.#dirty = false
    this.#savedPositionMs = now
    if (this.#frozen === undefined || publisher.acknowledged < this.#frozen.after) return
    saveState(dir, this.#frozen.bytes)
    this.#frozen = undefined
  }
}

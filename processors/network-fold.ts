// The second stage: what only shows across zones. It waits until every partition of the log has spoken up to a time, orders what the
// zones said by log time, and decides; so it is as exact as a zone's fold. Pure.
import type { Finding, FindingDraft, FindingNotice, Summary, Watermark } from '#model/finding.ts'
import { HOUR_MS } from '#model/time.ts'
import { countOpen, type FindingBook, forget, record } from './findings.ts'
import type { AnyNetworkDetector, NetworkContext } from './fold.ts'
import { partSettings } from './part-settings.ts'

/** What travels on the topic `summaries`. */
export type StageRecord = Summary | FindingNotice | Watermark

/** Log time between two ticks of this stage. Fixed: how often watermarks come must not change a decision. */
export const STAGE_TICK_MS = 60_000
/** At most this many ticks are made up for at once (a year and more); beyond it the clock jumps. */
const CATCH_UP_MAX = 600_000
/** Waiting records; beyond it the oldest are decided without the partitions that lag behind. */
const PENDING_MAX = 200_000

/** What follows the second stage: it sees the findings of both stages in log-time order, and every tick. */
export interface StageFollower<S = unknown> {
  create(): S
  onFinding(state: S, finding: Finding, nowMs: number): void
  onTick(state: S, nowMs: number): void
}

export interface NetworkState {
  /** Partition -> watermark. */
  watermarks: Map<number, number>
  /** Zone -> last sequence number taken in: a repeat is dropped. */
  lastSeq: Map<string, number>
  pending: (Summary | FindingNotice)[]
  nowMs: number
  /** Last tick; 0 before the first record. */
  tickMs: number
  /** Records decided before all partitions had spoken, because too many waited. */
  hurried: number
  findings: FindingBook
  detectors: Map<string, { version: number; state: unknown }>
  follower: unknown
}

export interface NetworkFoldOptions {
  detectors: readonly AnyNetworkDetector[]
  /** Detector name -> settings. */
  settings?: Record<string, unknown>
  /** Partitions of `telemetry`: all of them must have spoken. */
  partitions: number
  /** A finding of this stage; those of the zones are already on their way. */
  onFinding(finding: Finding): void
  onFault(part: string, error: unknown): void
  follower?: StageFollower
  restored?: NetworkState
}

function order(a: Summary | FindingNotice, b: Summary | FindingNotice): number {
  return a.atMs - b.atMs || (a.zone < b.zone ? -1 : a.zone > b.zone ? 1 : a.seq - b.seq)
}

interface Host {
  detector: AnyNetworkDetector
  state: unknown
  ctx: NetworkContext
}

export class NetworkFold {
  readonly state: NetworkState
  dirty = false
  readonly #options: NetworkFoldOptions
  readonly #hosts: Host[]

  constructor(options: NetworkFoldOptions) {
    this.#options = options
    this.state = options.restored ?? {
      watermarks: new Map(),
      lastSeq: new Map(),
      pending: [],
      nowMs: 0,
      tickMs: 0,
      hurried: 0,
      findings: new Map(),
      detectors: new Map(),
      follower: options.follower?.create(),
    }
    this.#hosts = options.detectors.map((detector) => this.#host(detector))
  }

  openFindings(): number {
    return countOpen(this.state.findings)
  }

  apply(log: StageRecord): void {
    const { state } = this
    this.dirty = true
    if (log.type === 'watermark') {
      const known = state.watermarks.get(log.partition)
      if (known !== undefined && log.nowMs <= known) return
      state.watermarks.set(log.partition, log.nowMs)
      this.#decide(this.#low())
      return
    }
    const last = state.lastSeq.get(log.zone)
    if (last !== undefined && log.seq <= last) return
    state.lastSeq.set(log.zone, log.seq)
    state.pending.push(log)
    if (state.pending.length > PENDING_MAX) this.#hurry()
  }

  /** Time before which every partition has said all. */
  #low(): number {
    const { watermarks } = this.state
    if (watermarks.size < this.#options.partitions) return 0
    let low = Number.POSITIVE_INFINITY
    for (const ms of watermarks.values()) if (ms < low) low = ms
    return low
  }

  /** Decides everything strictly before `lowMs`: at `lowMs` itself a partition may still speak. */
  #decide(lowMs: number): void {
    const { state } = this
    const due = state.pending.filter((p) => p.atMs < lowMs).sort(order)
    if (due.length > 0) state.pending = state.pending.filter((p) => p.atMs >= lowMs)
    for (const p of due) {
      this.#ticks(p.atMs)
      if (state.tickMs === 0) state.tickMs = Math.floor(p.atMs / STAGE_TICK_MS) * STAGE_TICK_MS
      state.nowMs = Math.max(state.nowMs, p.atMs)
      if (p.type === 'summary') this.#summary(p)
      else this.#follow(p.finding)
    }
    this.#ticks(lowMs)
  }

  /** The tick of a minute comes after all that was said in it, so before what is said at its very end. */
  #ticks(beforeMs: number): void {
    const { state } = this
    if (state.tickMs === 0) return
    if (beforeMs - state.tickMs > CATCH_UP_MAX * STAGE_TICK_MS)
      state.tickMs = Math.floor(beforeMs / STAGE_TICK_MS) * STAGE_TICK_MS - STAGE_TICK_MS
    while (state.tickMs + STAGE_TICK_MS < beforeMs) {
      state.tickMs += STAGE_TICK_MS
      state.nowMs = Math.max(state.nowMs, state.tickMs)
      if (state.tickMs % HOUR_MS === 0) forget(state.findings, state.nowMs)
      for (const h of this.#hosts) this.#guard(h.detector.name, () => h.detector.onTick?.(h.state, state.nowMs, h.ctx))
      const { follower } = this.#options
      if (follower !== undefined) this.#guard('follower', () => follower.onTick(state.follower, state.nowMs))
    }
  }

  #summary(s: Summary): void {
    for (const h of this.#hosts) {
      if (h.detector.topics.includes(s.topic)) this.#guard(h.detector.name, () => h.detector.onSummary?.(h.state, s, h.ctx))
    }
  }

  #follow(finding: Finding): void {
    const { follower } = this.#options
    if (follower !== undefined) this.#guard('follower', () => follower.onFinding(this.state.follower, finding, this.state.nowMs))
  }

  #hurry(): void {
    const { state } = this
    const oldest = [...state.pending].sort(order)
    const until = (oldest[Math.floor(PENDING_MAX / 10)] as Summary).atMs + 1
    state.hurried += oldest.filter((p) => p.atMs < until).length
    this.#decide(until)
  }

  #guard(part: string, call: () => void): void {
    try {
      call()
    } catch (error) {
      this.#options.onFault(part, error)
    }
  }

  #host(detector: AnyNetworkDetector): Host {
    const { state } = this
    const version = detector.version ?? 0
    let slot = state.detectors.get(detector.name)
    if (slot?.version !== version) {
      slot = { version, state: detector.create() }
      state.detectors.set(detector.name, slot)
    }
    const onWrong = (error: Error) => this.#options.onFault(detector.name, error)
    const settings = partSettings(detector.settings, this.#options.settings?.[detector.name], undefined, onWrong)
    const ctx: NetworkContext = {
      settings,
      get nowMs() {
        return state.nowMs
      },
      emit: (zone, draft) => this.#emit(detector.name, zone, draft),
    }
    return { detector, state: slot.state, ctx }
  }

  #emit(detector: string, zone: string, draft: FindingDraft): void {
    const finding = record(this.state.findings, draft, { zone, detector, nowMs: this.state.nowMs })
    if (finding === undefined) return
    this.#options.onFinding(finding)
    this.#follow(finding)
  }
}

export function createNetworkFold(options: NetworkFoldOptions): NetworkFold {
  return new NetworkFold(options)
}

// The same folds over a log from files, in one process, without servers. Prints what the live system would send, in order of decision.
import type { ZoneDef } from '#model/asset.ts'
import type { Finding } from '#model/finding.ts'
import type { Interval, MeterDay } from '#model/interval.ts'
import type { LogRecord } from '#model/telemetry.ts'
import type { TicketIntent } from '#model/ticket.ts'
import { toIso } from '#model/time.ts'
import type { RuleCount } from '#model/validation-rules.ts'
import { createNetworkFold, type NetworkFold } from './network-fold.ts'
import { incidentFollower, type Topology } from './topology.ts'
import { createZoneFold, type ZoneFold, type ZoneOutputs } from './zone-fold.ts'

export const EMITS = ['findings', 'intervals', 'days', 'tickets'] as const
export type Emit = (typeof EMITS)[number]

export interface BacktestOptions {
  topology: Topology
  emit: ReadonlySet<Emit>
  /** One line without its end, in order of decision. */
  write(line: string): void
  /** A defect in a part of the folds. */
  onFault(part: string, error: unknown): void
  /** Settings below those in the log. */
  settings?: Record<string, unknown>
}

export interface BacktestCounts {
  records: number
  ticks: number
  readings: number
  stored: number
  computed: number
  events: number
  intervals: number
  days: number
  findings: number
  tickets: number
  /** Readings and events refused by validation, by reason. */
  quarantined: Record<string, number>
}

export function intervalLine(i: Interval): string {
  const { meter, quantity, channel, value, status, reasons, rev, was } = i
  const named = channel === '' ? { meter, quantity } : { meter, quantity, channel }
  return JSON.stringify({ type: 'interval', ...named, start: toIso(i.startMs), end: toIso(i.endMs), value, status, reasons, rev, was })
}

export function dayLine(d: MeterDay): string {
  const { meter, quantity, channel, date, value, actual, estimated, missing, rev, estimatedValue, tou, was } = d
  const named = channel === '' ? { meter, date, quantity } : { meter, date, quantity, channel }
  const rules = d.rules.length === 0 ? undefined : d.rules
  const edited = d.edited === 0 ? undefined : d.edited
  const mix = estimatedValue === 0 ? undefined : estimatedValue
  const line = { type: 'day', ...named, value, actual, estimated, missing, edited, rev, estimatedValue: mix, tou, rules, was }
  return JSON.stringify(line)
}

export class Backtest {
  readonly counts: BacktestCounts = {
    records: 0,
    ticks: 0,
    readings: 0,
    stored: 0,
    computed: 0,
    events: 0,
    intervals: 0,
    days: 0,
    findings: 0,
    tickets: 0,
    quarantined: {},
  }
  readonly zones = new Map<string, ZoneFold>()
  readonly network: NetworkFold
  readonly #options: BacktestOptions
  readonly #out: ZoneOutputs
  #clockMs = 0
  readonly #ruleCounts = new Map<string, RuleCount>()
  /** Lines not yet in their final order: [time of decision, line]. */
  #lines: [number, string][] = []

  constructor(options: BacktestOptions) {
    this.#options = options
    const { topology, settings = {}, onFault } = options
    this.network = createNetworkFold({
      detectors: topology.networkDetectors,
      settings,
      partitions: 1,
      onFinding: (f) => this.#finding(f, this.network.state.nowMs),
      onFault,
      follower: incidentFollower((t) => this.#ticket(t)),
    })
    this.#out = this.#outputs()
  }

  apply(record: LogRecord): void {
    this.counts.records += 1
    if (record.kind === 'tick') {
      this.counts.ticks += 1
      if (record.nowMs > this.#clockMs) this.#clockMs = record.nowMs
      for (const fold of this.zones.values()) fold.apply(record, this.#out)
      this.network.apply({ type: 'watermark', partition: 0, nowMs: this.#clockMs })
      this.#print(this.#clockMs)
      return
    }
    if (record.kind === 'data') this.counts.readings += record.readings.length
    let fold = this.zones.get(record.zone)
    if (fold === undefined) {
      const { topology, settings = {} } = this.#options
      fold = createZoneFold({
        zone: record.zone,
        detectors: topology.detectors,
        validator: topology.validator,
        settings,
        clockMs: this.#clockMs,
      })
      this.zones.set(record.zone, fold)
    }
    fold.apply(record, this.#out)
  }

  /** The log has ended: what was decided by now is printed. Nothing is decided that only more of the log could tell. */
  end(): void {
    this.#print(Number.POSITIVE_INFINITY)
  }

  /** Firings of validation rules, all zones, days and classes of meters together. */
  rulesFired(): Record<string, number> {
    const sums: Record<string, number> = {}
    for (const c of this.#ruleCounts.values()) sums[c.rule] = (sums[c.rule] ?? 0) + c.fired
    return sums
  }

  def(zone: string): ZoneDef | undefined {
    return this.zones.get(zone)?.def
  }

  #print(beforeMs: number): void {
    if (this.#lines.length === 0) return
    const due = this.#lines.filter(([ms]) => ms < beforeMs).sort((a, b) => a[0] - b[0])
    if (due.length === 0) return
    this.#lines = due.length === this.#lines.length ? [] : this.#lines.filter(([ms]) => ms >= beforeMs)
    for (const [, line] of due) this.#options.write(line)
  }

  #finding(f: Finding, nowMs: number): void {
    this.counts.findings += 1
    if (this.#options.emit.has('findings')) this.#lines.push([nowMs, JSON.stringify(f)])
  }

  #ticket(t: TicketIntent): void {
    this.counts.tickets += 1
    if (this.#options.emit.has('tickets')) this.#lines.push([this.network.state.nowMs, JSON.stringify(t)])
  }

  #nowOf(zone: string): number {
    return this.zones.get(zone)?.state.nowMs ?? this.#clockMs
  }

  #outputs(): ZoneOutputs {
    const { counts } = this
    const { emit, onFault } = this.#options
    return {
      reading: () => {
        counts.stored += 1
      },
      computed: () => {
        counts.computed += 1
      },
      event: () => {
        counts.events += 1
      },
      interval: (zone, interval) => {
        counts.intervals += 1
        if (emit.has('intervals')) this.#lines.push([this.#nowOf(zone), intervalLine(interval)])
      },
      day: (_zone, day, nowMs) => {
        counts.days += 1
        if (emit.has('days')) this.#lines.push([nowMs, dayLine(day)])
      },
      ruleCount: (c) => {
        this.#ruleCounts.set(`${c.zone}|${c.date}|${c.rule}|${c.class}`, c)
      },
      // A data set has one registry: nothing changes in it.
      recalculation: () => undefined,
      finding: (finding, seq, nowMs) => {
        this.#finding(finding, nowMs)
        // The second stage keeps it for a while: a copy, because its parts belong to the detector.
        this.network.apply({ type: 'notice', zone: finding.zone, seq, atMs: nowMs, finding: structuredClone(finding) })
      },
      summary: (summary) => this.network.apply(structuredClone(summary)),
      quarantine: ({ reason, entries }) => {
        counts.quarantined[reason] = (counts.quarantined[reason] ?? 0) + entries
      },
      fault: (zone, part, error) => onFault(`${part} in zone ${zone}`, error),
    }
  }
}

// The fold of one zone: validate, store, detect. Pure: records of the log in, outputs to the sinks; its only clock is the log's.
// The clock moves with every entry, not with every record, so how the log was cut into records changes nothing.
import type { ZoneDef, ZoneDevice } from '#model/asset.ts'
import type { FindingDraft } from '#model/finding.ts'
import type { Interval, MeterDay } from '#model/interval.ts'
import type { LedgerEntry } from '#model/ledger.ts'
import type { Refusal } from '#model/outcome.ts'
import type { MeterEvent, Reading } from '#model/reading.ts'
import type { DataRecord, GatewayRecord, LogRecord, OperationRecord, SettingsRecord, TickRecord, ZoneRecord } from '#model/telemetry.ts'
import { DAY_MS, HOUR_MS } from '#model/time.ts'
import { countOpen, forget, record } from './findings.ts'
import type { AnyDetector, DetectorContext, ValidatedRead, ZoneContext } from './fold.ts'
import { entryOf, forgetHours } from './ledger.ts'
import { partSettings } from './part-settings.ts'
import { refusedEvent, refusedReading } from './refused.ts'
import { repeated } from './repeats.ts'
import type { AnyValidator, ValidatorContext } from './validation/validator.ts'
import { createZoneContext } from './zone-context.ts'
import { createZoneState, type Slot, type ZoneOutputs, type ZoneState } from './zone-state.ts'

export type { ZoneOutputs, ZoneState } from './zone-state.ts'

export interface ZoneFoldOptions {
  zone: string
  detectors: readonly AnyDetector[]
  validator: AnyValidator
  /** Detector or validator name -> settings, below those that come with the log. */
  settings?: Record<string, unknown>
  /** Log time at which the zone appears: the partition's clock. A zone never speaks of earlier times. */
  clockMs?: number
  restored?: { def: ZoneDef | undefined; state: ZoneState }
}

/** Operations are kept this long after their end. */
const OPERATION_KEPT_MS = 7 * DAY_MS
/** Beyond it the oldest are dropped: a control room does not plan so much for one zone. */
const OPERATIONS_MAX = 2_000
const INGESTS_MAX = 64

/** A detector with its state, its settings and its view of the zone. */
interface Host {
  readonly detector: AnyDetector
  readonly state: unknown
  readonly ctx: DetectorContext
}

export class ZoneFold {
  readonly zone: string
  readonly state: ZoneState
  /** Set by every record; its owner clears it after a snapshot. */
  dirty = false
  /** Readings and events received since the owner last cleared it; copies are not counted. */
  received = 0
  readonly #options: ZoneFoldOptions
  readonly #validator: AnyValidator
  #context: ZoneContext | undefined
  #hosts: Host[] = []
  #onRead: Host[] = []
  #onInterval: Host[] = []
  #onDay: Host[] = []
  #onEvent: Host[] = []
  #onTick: Host[] = []
  #validation: unknown
  #validatorCtx: ValidatorContext | undefined
  #warmupUntilMs = 0
  #out!: ZoneOutputs
  readonly #ledgerChanged = new Set<LedgerEntry>()
  // The entry of the last reading: readings of one gateway come together.
  #ledgerEntry: LedgerEntry | undefined
  #settled = false

  constructor(options: ZoneFoldOptions) {
    this.zone = options.zone
    this.#options = options
    this.#validator = options.validator
    this.state = options.restored?.state ?? createZoneState(options.clockMs)
    const def = options.restored?.def
    if (def !== undefined) this.#host(createZoneContext(def), false)
  }

  get def(): ZoneDef | undefined {
    return this.#context?.def
  }

  openFindings(): number {
    return countOpen(this.state.findings)
  }

  /** Ledger entries changed since the last call. */
  takeLedger(): LedgerEntry[] {
    const entries = [...this.#ledgerChanged]
    this.#ledgerChanged.clear()
    return entries
  }

  /** Folds one record of this zone, or a tick of its partition. */
  apply(log: LogRecord, out: ZoneOutputs): void {
    this.#out = out
    this.dirty = true
    switch (log.kind) {
      case 'data':
        this.#data(log)
        break
      case 'tick':
        this.#tick(log)
        break
      case 'zone':
        this.#zoneRecord(log)
        break
      case 'operation':
        this.#operation(log)
        break
      case 'gateway':
        this.#gateway(log)
        break
      case 'settings':
        this.#settings(log)
        break
      case 'edit':
        this.#advance(log.receivedAtMs)
        this.#validate((v, ctx) => v.onEdit?.(this.#validation, log.edit, ctx))
        break
    }
  }

  #advance(toMs: number): void {
    if (toMs > this.state.nowMs) this.state.nowMs = toMs
  }

  /** Readings in order, each event before the first reading that came after it. */
  #data(log: DataRecord): void {
    const { readings, events } = log
    let e = 0
    for (let i = 0; i < readings.length; i++) {
      const r = readings[i] as Reading
      while (e < events.length && (events[e] as MeterEvent).receivedAtMs < r.receivedAtMs) this.#event(events[e++] as MeterEvent)
      this.#reading(r)
    }
    while (e < events.length) this.#event(events[e++] as MeterEvent)
  }

  #reading(r: Reading): void {
    this.#advance(r.receivedAtMs)
    const info = this.#context?.device(r.device)
    if (info === undefined) {
      this.#count(r)
      this.#refuse(r, undefined, 'unknown_device', 'device', `zone ${this.zone} has no device ${r.device}`)
      return
    }
    if (info.primary) this.#count(r)
    this.#settled = false
    try {
      this.#validator.onReading(this.#validation, r, info, this.#validatorCtx as ValidatorContext)
    } catch (error) {
      this.#out.fault(this.zone, this.#validator.name, error)
    }
    // Only a defect of the validator gets here; the reading must not vanish from the books.
    if (!this.#settled) this.#refuse(r, info, 'malformed', '', 'validation failed on this reading')
  }

  #count(r: { gateway: string; receivedAtMs: number }): void {
    this.received += 1
    let entry = this.#ledgerEntry
    const { nowMs } = this.state
    const { receivedAtMs } = r
    const same =
      entry !== undefined &&
      entry.gateway === r.gateway &&
      receivedAtMs >= entry.hourMs &&
      receivedAtMs < entry.hourMs + HOUR_MS &&
      nowMs - receivedAtMs < HOUR_MS
    if (entry === undefined || !same) {
      entry = entryOf(this.state.ledger, { zone: this.zone, gateway: r.gateway, receivedAtMs, nowMs })
      this.#ledgerEntry = entry
    }
    entry.received += 1
    this.#ledgerChanged.add(entry)
  }

  #refuse(r: Reading, info: ZoneDevice | undefined, reason: Refusal, field: string, message: string): void {
    this.#settled = true
    if (info?.primary === false) return
    const { quarantined } = this.#ledgerEntry as LedgerEntry
    quarantined[reason] = (quarantined[reason] ?? 0) + 1
    this.#out.quarantine(refusedReading(r, { reason, field, message }))
  }

  #accept(read: ValidatedRead): void {
    this.#settled = true
    if (read.info.primary) {
      ;(this.#ledgerEntry as LedgerEntry).accepted += 1
      this.#out.reading(this.zone, read)
    }
    for (const h of this.#onRead) {
      try {
        h.detector.onRead?.(h.state, read, h.ctx)
      } catch (error) {
        this.#out.fault(this.zone, h.detector.name, error)
      }
    }
  }

  #duplicate(r: Reading): void {
    this.#settled = true
    if (this.#context?.device(r.device)?.primary === false) return
    const entry = this.#ledgerEntry as LedgerEntry
    entry.duplicate += 1
    if (r.redelivered) entry.redelivered += 1
  }

  #interval(interval: Interval, info: ZoneDevice): void {
    if (info.primary) this.#out.interval(this.zone, interval)
    for (const h of this.#onInterval) {
      try {
        h.detector.onInterval?.(h.state, interval, info, h.ctx)
      } catch (error) {
        this.#out.fault(this.zone, h.detector.name, error)
      }
    }
  }

  #event(e: MeterEvent): void {
    this.#advance(e.receivedAtMs)
    const info = this.#context?.device(e.device)
    const counted = info === undefined || info.primary
    if (counted) this.#count(e)
    const entry = this.#ledgerEntry as LedgerEntry
    if (info === undefined) {
      entry.quarantined.unknown_device = (entry.quarantined.unknown_device ?? 0) + 1
      this.#out.quarantine(
        refusedEvent(e, { reason: 'unknown_device', field: 'device', message: `zone ${this.zone} has no device ${e.device}` }),
      )
      return
    }
    if (repeated(this.state.events, `${e.device}|${e.event}`, e.tsMs)) {
      if (counted) entry.duplicate += 1
      return
    }
    if (counted) {
      entry.accepted += 1
      this.#out.event(this.zone, e)
    }
    this.#validate((v, ctx) => v.onEvent?.(this.#validation, e, info, ctx))
    this.#detect(this.#onEvent, (h) => h.detector.onEvent?.(h.state, e, info, h.ctx))
  }

  #gateway(log: GatewayRecord): void {
    this.#advance(log.receivedAtMs)
    if (repeated(this.state.gateways, log.gateway, `${log.tsMs}|${log.online}`)) return
    this.#detect(this.#hosts, (h) => h.detector.onGateway?.(h.state, log, h.ctx))
  }

  #operation({ receivedAtMs, operation }: OperationRecord): void {
    this.#advance(receivedAtMs)
    const known = this.state.operations
    const key = JSON.stringify(operation)
    if (operation.endMs < this.state.nowMs - OPERATION_KEPT_MS || known.some((o) => JSON.stringify(o) === key)) return
    known.push(operation)
    if (known.length > OPERATIONS_MAX) known.shift()
    this.#validate((v, ctx) => v.onOperation?.(this.#validation, operation, ctx))
    this.#detect(this.#hosts, (h) => h.detector.onOperation?.(h.state, operation, h.ctx))
  }

  #tick(tick: TickRecord): void {
    const { state } = this
    const last = state.ticks.get(tick.ingest)
    if (last !== undefined && tick.nowMs <= last) return
    state.ticks.delete(tick.ingest)
    state.ticks.set(tick.ingest, tick.nowMs)
    if (state.ticks.size > INGESTS_MAX) state.ticks.delete(state.ticks.keys().next().value as string)
    const hour = Math.floor(state.nowMs / HOUR_MS)
    this.#advance(tick.nowMs)
    if (Math.floor(state.nowMs / HOUR_MS) !== hour) this.#hourly()
    if (this.#validator.onTick !== undefined) this.#validate((v, ctx) => v.onTick?.(this.#validation, tick, ctx))
    for (const h of this.#onTick) {
      try {
        h.detector.onTick?.(h.state, tick, h.ctx)
      } catch (error) {
        this.#out.fault(this.zone, h.detector.name, error)
      }
    }
  }

  #hourly(): void {
    const { state } = this
    forgetHours(state.ledger, state.nowMs)
    forget(state.findings, state.nowMs)
    if (state.operations.some((o) => o.endMs < state.nowMs - OPERATION_KEPT_MS)) {
      state.operations = state.operations.filter((o) => o.endMs >= state.nowMs - OPERATION_KEPT_MS)
    }
  }

  #zoneRecord(log: ZoneRecord): void {
    const { state } = this
    this.#advance(log.receivedAtMs)
    if (log.receivedAtMs < state.defAtMs || log.def.version === this.#context?.def.version) return
    state.defAtMs = log.receivedAtMs
    this.#host(createZoneContext(log.def), true)
    // What is remembered of devices and gateways that are gone.
    const gateways = new Set(log.def.gateways.map((g) => g.id))
    for (const id of state.gateways.keys()) if (!gateways.has(id)) state.gateways.delete(id)
    for (const key of state.events.keys())
      if (this.#context?.device(key.slice(0, key.lastIndexOf('|'))) === undefined) state.events.delete(key)
  }

  #settings(log: SettingsRecord): void {
    this.#advance(log.receivedAtMs)
    if (log.receivedAtMs < this.state.settingsAtMs) return
    this.state.settingsAtMs = log.receivedAtMs
    this.state.settings = log.settings
    if (this.#context !== undefined) this.#host(this.#context, false)
  }

  /** Makes hosts for a definition or for new settings; states go on, those of other versions and of detectors gone are dropped. */
  #host(context: ZoneContext, changed: boolean): void {
    const { state } = this
    const known = new Set([...state.detectors.keys()])
    const hadValidation = state.validation?.version === (this.#validator.version ?? 0)
    this.#context = context
    this.#warmupUntilMs = context.def.warmupUntilMs
    if (!hadValidation) state.validation = { version: this.#validator.version ?? 0, state: this.#validator.create(context) }
    this.#validation = state.validation?.state
    this.#validatorCtx = this.#contextOfValidator()
    const slots = new Map<string, Slot>()
    this.#hosts = []
    for (const detector of this.#options.detectors) {
      if (!detector.zoneKinds.includes(context.def.kind)) continue
      const version = detector.version ?? 0
      let slot = state.detectors.get(detector.name)
      if (slot?.version !== version) {
        slot = { version, state: detector.create(context) }
        known.delete(detector.name)
      }
      slots.set(detector.name, slot)
      this.#hosts.push({ detector, state: slot.state, ctx: this.#contextOfDetector(detector) })
    }
    state.detectors = slots
    this.#onRead = this.#hosts.filter((h) => h.detector.onRead !== undefined)
    this.#onInterval = this.#hosts.filter((h) => h.detector.onInterval !== undefined)
    this.#onDay = this.#hosts.filter((h) => h.detector.onDay !== undefined)
    this.#onEvent = this.#hosts.filter((h) => h.detector.onEvent !== undefined)
    this.#onTick = this.#hosts.filter((h) => h.detector.onTick !== undefined)
    if (!changed) return
    if (hadValidation) this.#validate((v, ctx) => v.onZone?.(this.#validation, ctx))
    this.#detect(
      this.#hosts.filter((h) => known.has(h.detector.name)),
      (h) => h.detector.onZone?.(h.state, h.ctx),
    )
  }

  #validate(call: (validator: AnyValidator, ctx: ValidatorContext) => void): void {
    if (this.#validatorCtx === undefined) return
    try {
      call(this.#validator, this.#validatorCtx)
    } catch (error) {
      this.#out.fault(this.zone, this.#validator.name, error)
    }
  }

  #detect(hosts: readonly Host[], call: (host: Host) => void): void {
    for (const h of hosts) {
      try {
        call(h)
      } catch (error) {
        this.#out.fault(this.zone, h.detector.name, error)
      }
    }
  }

  #settingsOf({ name, settings }: { name: string; settings: AnyDetector['settings'] }): unknown {
    const onWrong = (error: Error) => this.#out?.fault(this.zone, name, error)
    return partSettings(settings, this.#options.settings?.[name], this.state.settings[name], onWrong)
  }

  #contextOfDetector(detector: AnyDetector): DetectorContext {
    const fold = this
    return {
      settings: this.#settingsOf(detector),
      get nowMs() {
        return fold.state.nowMs
      },
      get zone() {
        return fold.#context as ZoneContext
      },
      get operations() {
        return fold.state.operations
      },
      get warmingUp() {
        return fold.state.nowMs < fold.#warmupUntilMs
      },
      emit: (draft) => fold.#emit(detector.name, draft),
      summarise: (topic, data) => {
        const { state } = fold
        const zoneKind = (fold.def as ZoneDef).kind
        state.seq += 1
        fold.#out.summary({ type: 'summary', zone: fold.zone, zoneKind, seq: state.seq, atMs: state.nowMs, topic, data })
      },
      measure: (asset, quantity, tsMs, value) => fold.#out.computed(fold.zone, { asset, quantity, tsMs, value, nowMs: fold.state.nowMs }),
    }
  }

  #emit(detector: string, draft: FindingDraft): void {
    const { state } = this
    if (state.nowMs < this.#warmupUntilMs) return
    const finding = record(state.findings, draft, { zone: this.zone, detector, nowMs: state.nowMs })
    if (finding === undefined) return
    state.seq += 1
    this.#out.finding(finding, state.seq, state.nowMs)
  }

  #contextOfValidator(): ValidatorContext {
    const fold = this
    return {
      settings: this.#settingsOf(this.#validator),
      get nowMs() {
        return fold.state.nowMs
      },
      get zone() {
        return fold.#context as ZoneContext
      },
      get operations() {
        return fold.state.operations
      },
      accept: (read) => fold.#accept(read),
      duplicate: (reading) => fold.#duplicate(reading),
      refuse: (r, reason, field, message) => fold.#refuse(r, fold.#context?.device(r.device), reason, field, message),
      interval: (interval, info) => fold.#interval(interval, info),
      day: (day: MeterDay, info) => {
        if (info.primary) fold.#out.day(fold.zone, day, fold.state.nowMs)
        fold.#detect(fold.#onDay, (h) => h.detector.onDay?.(h.state, day, info, h.ctx))
      },
      ruleCount: (count) => fold.#out.ruleCount(count),
      recalculate: (r) => fold.#out.recalculation({ ...r, zone: fold.zone }),
    }
  }
}

/** One instance a zone. */
export function createZoneFold(options: ZoneFoldOptions): ZoneFold {
  return new ZoneFold(options)
}
